"""What the methods take, for an editor: all that the official ones take, and whose memory a call is about."""

# pyright: reportIncompatibleVariableOverride=false
# `parse` and `stream` take what `create` takes, but for a type where that takes the schema of one.

from collections.abc import Iterable, Mapping
from typing import Generic, Literal, Required

from openai import NotGiven, Omit, Timeout
from openai.types.chat.completion_create_params import (
    CompletionCreateParamsBase,
    CompletionCreateParamsNonStreaming,
    CompletionCreateParamsStreaming,
    ResponseFormat,
)
from openai.types.responses.response_create_params import (
    ResponseCreateParamsBase,
    ResponseCreateParamsNonStreaming,
    ResponseCreateParamsStreaming,
)
from openai.types.responses.tool_param import ParseableToolParam
from typing_extensions import (
    TypedDict,  # that of typing cannot be joined with the official ones before Python 3.12
    TypeVar,  # as the official one it has a default: without a type, nothing is parsed
)

T = TypeVar("T", default=None)


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


class ChatParse(CompletionCreateParamsBase, Sent, Generic[T], total=False):
    """A chat's completion whose answer has a type."""

    response_format: type[T] | Omit


class ChatEvents(CompletionCreateParamsBase, Sent, Generic[T], total=False):
    """A chat's completion as a stream of typed events."""

    response_format: ResponseFormat | type[T] | Omit


class Respond(ResponseCreateParamsNonStreaming, Sent):
    """A response."""


class RespondStream(ResponseCreateParamsStreaming, Sent):
    """A response, as a stream."""


class RespondEither(ResponseCreateParamsBase, Sent):
    """A response; `stream` says how."""

    stream: bool


class RespondEvents(ResponseCreateParamsBase, Sent, Generic[T], total=False):
    """A response as a stream of typed events."""

    text_format: type[T] | Omit
    tools: Iterable[ParseableToolParam]


class RespondParse(RespondEvents[T], Generic[T], total=False):
    """A response whose text has a type."""

    parse_as: type[T] | None
    """Not in the first versions of the official package."""
    verbosity: Literal["low", "medium", "high"] | None


class RespondResumed(Sent, Generic[T], total=False):
    """The rest of a response that was begun before, as a stream of typed events."""

    response_id: Required[str]
    starting_after: int
    text_format: type[T] | Omit
    tools: Iterable[ParseableToolParam]
