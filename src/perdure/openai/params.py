"""What the methods take, for an editor: all that the official ones take, and whose memory a call is about."""

from collections.abc import Mapping

from openai import NotGiven, Omit, Timeout
from openai.types.chat.completion_create_params import (
    CompletionCreateParamsBase,
    CompletionCreateParamsNonStreaming,
    CompletionCreateParamsStreaming,
)
from openai.types.responses.response_create_params import (
    ResponseCreateParamsBase,
    ResponseCreateParamsNonStreaming,
    ResponseCreateParamsStreaming,
)
from typing_extensions import TypedDict  # that of typing cannot be joined with the official ones before Python 3.12


class Sent(TypedDict, total=False):
    """Whose memory a call is about, and how it is sent."""

    user_id: str | None
    agent_id: str | None
    run_id: str | None
    tenant: str | None
    extra_headers: Mapping[str, str | Omit] | None
    extra_query: Mapping[str, object] | None
    extra_body: object | None
    timeout: float | Timeout | NotGiven | None


class Chat(CompletionCreateParamsNonStreaming, Sent):
    """A chat's completion."""


class ChatStream(CompletionCreateParamsStreaming, Sent):
    """A chat's completion, as a stream."""


class ChatEither(CompletionCreateParamsBase, Sent):
    """A chat's completion; `stream` says how."""

    stream: bool


class Respond(ResponseCreateParamsNonStreaming, Sent):
    """A response."""


class RespondStream(ResponseCreateParamsStreaming, Sent):
    """A response, as a stream."""


class RespondEither(ResponseCreateParamsBase, Sent):
    """A response; `stream` says how."""

    stream: bool
