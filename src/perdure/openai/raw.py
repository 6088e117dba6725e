"""What an editor knows of raw and of streamed answers: the official views of a resource, over methods that take ids.

At run time there are only the official ones, which take over the methods of whatever resource they are made of.
"""

from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

from openai._legacy_response import LegacyAPIResponse
from openai._response import APIResponse, AsyncAPIResponse, AsyncResponseContextManager, ResponseContextManager
from openai.resources.chat.completions import completions as chat
from openai.resources.responses import responses as respond

from perdure.openai.resources import AsyncCompletions, AsyncResponses, Completions, Responses
from perdure.openai.turns import TurnMemory

# pyright: reportPrivateUsage=false, reportIncompatibleVariableOverride=false
# What the views give is in no public module; and their methods take more than the official ones.

P = ParamSpec("P")
R = TypeVar("R")


class RawAnswer(LegacyAPIResponse[R]):
    """The official raw answer, and what memory did for it."""

    memory: TurnMemory


class StreamedAnswer(APIResponse[R]):
    """The official streamed answer, and what memory did for it."""

    memory: TurnMemory


class AsyncStreamedAnswer(AsyncAPIResponse[R]):
    """The official streamed answer, and what memory did for it."""

    memory: TurnMemory


def raw(method: Callable[P, R]) -> Callable[P, RawAnswer[R]]:
    """Return a method that gives its answer raw."""
    raise NotImplementedError


def async_raw(method: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[RawAnswer[R]]]:
    """Return that of one that is awaited."""
    raise NotImplementedError


def streamed(method: Callable[P, R]) -> Callable[P, ResponseContextManager[StreamedAnswer[R]]]:
    """Return a method that gives its answer as it comes."""
    raise NotImplementedError


def async_streamed(
    method: Callable[P, Awaitable[R]],
) -> Callable[P, AsyncResponseContextManager[AsyncStreamedAnswer[R]]]:
    """Return that of one that is awaited."""
    raise NotImplementedError


class AsyncRawCompletions(chat.AsyncCompletionsWithRawResponse):
    """Raw completions."""

    def __init__(self, completions: AsyncCompletions) -> None:
        self.create = async_raw(completions.create)
        self.parse = async_raw(completions.parse)


class AsyncStreamedCompletions(chat.AsyncCompletionsWithStreamingResponse):
    """Streamed completions."""

    def __init__(self, completions: AsyncCompletions) -> None:
        self.create = async_streamed(completions.create)
        self.parse = async_streamed(completions.parse)


class AsyncRawResponses(respond.AsyncResponsesWithRawResponse):
    """Raw responses."""

    def __init__(self, responses: AsyncResponses) -> None:
        self.create = async_raw(responses.create)
        self.parse = async_raw(responses.parse)


class AsyncStreamedResponses(respond.AsyncResponsesWithStreamingResponse):
    """Streamed responses."""

    def __init__(self, responses: AsyncResponses) -> None:
        self.create = async_streamed(responses.create)


class RawCompletions(chat.CompletionsWithRawResponse):
    """Raw completions."""

    def __init__(self, completions: Completions) -> None:
        self.create = raw(completions.create)
        self.parse = raw(completions.parse)


class StreamedCompletions(chat.CompletionsWithStreamingResponse):
    """Streamed completions."""

    def __init__(self, completions: Completions) -> None:
        self.create = streamed(completions.create)
        self.parse = streamed(completions.parse)


class RawResponses(respond.ResponsesWithRawResponse):
    """Raw responses."""

    def __init__(self, responses: Responses) -> None:
        self.create = raw(responses.create)
        self.parse = raw(responses.parse)


class StreamedResponses(respond.ResponsesWithStreamingResponse):
    """Streamed responses."""

    def __init__(self, responses: Responses) -> None:
        self.create = streamed(responses.create)
