"""What an editor is told that the chat clients take is what the installed official package takes."""

import inspect

import pytest

pytest.importorskip("openai", reason="pip install 'perdure[openai]'")

from openai.resources.chat.completions import completions
from openai.resources.responses import responses

from perdure.openai import params

NOT_TOLD = {(responses.Responses, "parse"): {"stream"}}
"""A parameter that the official method has, and cannot use."""


@pytest.mark.parametrize(
    ("resource", "method", "told"),
    [
        (completions.Completions, "create", params.ChatEither),
        (completions.Completions, "parse", params.ChatParse),
        (completions.Completions, "stream", params.ChatEvents),
        (responses.Responses, "create", params.RespondEither),
        (responses.Responses, "parse", params.RespondParse),
        (responses.Responses, "stream", params.RespondEvents),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_no_official_parameter_is_unknown_to_an_editor(resource, method, told):
    """X5: such as one that a new version has brought."""
    official = set(inspect.signature(getattr(resource, method)).parameters) - {"self"}
    known = set(told.__annotations__) | {key for base in told.__mro__ for key in getattr(base, "__annotations__", ())}
    known |= set(params.RespondResumed.__annotations__) if method == "stream" else set()
    assert official - known - NOT_TOLD.get((resource, method), set()) == set()
    assert {"user_id", "agent_id", "run_id", "tenant"} <= known
