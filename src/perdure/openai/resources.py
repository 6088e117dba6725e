"""The official resources that talk, `chat.completions` and `responses`, with memory."""

from functools import cached_property
from typing import TYPE_CHECKING, Any, Unpack, overload

from openai.resources.chat import chat
from openai.resources.chat.completions import completions
from openai.resources.responses import responses
from openai.types.chat import ChatCompletionChunk
from openai.types.responses import ResponseStreamEvent

from perdure.openai import params as taken
from perdure.openai.answered import ChatAnswer, ResponseAnswer
from perdure.openai.answers import (
    AsyncChatStream,
    AsyncResponseStream,
    ChatCompletion,
    ChatStream,
    ParsedChatCompletion,
    ParsedResponse,
    Response,
    ResponseStream,
)
from perdure.openai.asked import CHAT, RESPONSES
from perdure.openai.calls import AsyncCalls, SyncCalls
from perdure.openai.params import T
from perdure.openai.streams import AsyncStream, AsyncStreamManager, Stream, StreamManager

# pyright: reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false
# The methods take more than the official ones, and name what they take in a TypedDict.

if TYPE_CHECKING:
    from perdure.openai import raw


class AsyncCompletions(AsyncCalls, completions.AsyncCompletions):
    """The official `chat.completions`, whose methods also take `user_id`, `agent_id`, `run_id` and `tenant`."""

    dialect = CHAT
    answer = ChatAnswer

    @overload
    async def create(self, **params: Unpack[taken.Chat]) -> ChatCompletion: ...
    @overload
    async def create(self, **params: Unpack[taken.ChatStream]) -> AsyncStream[ChatCompletionChunk]: ...
    @overload
    async def create(self, **params: Unpack[taken.ChatEither]) -> ChatCompletion | AsyncStream[ChatCompletionChunk]: ...
    async def create(self, **params: Any) -> Any:
        """Complete a chat as the official method does, with what memory knows of it, and remember it."""
        about: Any = super(AsyncCompletions, self.about(params))
        return await about.create(**params)

    async def parse(self, **params: Unpack[taken.ChatParse[T]]) -> ParsedChatCompletion[T]:
        """Do that with an answer of a given type."""
        about: Any = super(AsyncCompletions, self.about(params))
        return await about.parse(**params)

    def stream(self, **params: Unpack[taken.ChatEvents[T]]) -> AsyncStreamManager[AsyncChatStream[T]]:
        """Do that with a stream of typed events."""
        about = self.about(params)
        official: Any = super(AsyncCompletions, about)
        return AsyncStreamManager(official.stream(**params), about.turn, about.settle)

    if TYPE_CHECKING:
        with_raw_response: raw.AsyncRawCompletions
        with_streaming_response: raw.AsyncStreamedCompletions


class AsyncChat(chat.AsyncChat):
    """The official `chat`, with memory."""

    @cached_property
    def completions(self) -> AsyncCompletions:
        """Where chats are completed."""
        return AsyncCompletions(self._client)


class AsyncResponses(AsyncCalls, responses.AsyncResponses):
    """The official `responses`, whose methods also take `user_id`, `agent_id`, `run_id` and `tenant`."""

    dialect = RESPONSES
    answer = ResponseAnswer

    @overload
    async def create(self, **params: Unpack[taken.Respond]) -> Response: ...
    @overload
    async def create(self, **params: Unpack[taken.RespondStream]) -> AsyncStream[ResponseStreamEvent]: ...
    @overload
    async def create(self, **params: Unpack[taken.RespondEither]) -> Response | AsyncStream[ResponseStreamEvent]: ...
    async def create(self, **params: Any) -> Any:
        """Make a response as the official method does, with what memory knows of it, and remember it."""
        about: Any = super(AsyncResponses, self.about(params))
        return await about.create(**params)

    async def parse(self, **params: Unpack[taken.RespondParse[T]]) -> ParsedResponse[T]:
        """Do that with an answer of a given type."""
        about: Any = super(AsyncResponses, self.about(params))
        return await about.parse(**params)

    @overload
    def stream(self, **params: Unpack[taken.RespondEvents[T]]) -> AsyncStreamManager[AsyncResponseStream[T]]: ...
    @overload
    def stream(self, **params: Unpack[taken.RespondResumed[T]]) -> AsyncStreamManager[AsyncResponseStream[T]]: ...
    def stream(self, **params: Any) -> AsyncStreamManager[AsyncResponseStream[Any]]:
        """Do that with a stream of typed events."""
        about = self.about(params)
        official: Any = super(AsyncResponses, about)
        return AsyncStreamManager(official.stream(**params), about.turn, about.settle)

    if TYPE_CHECKING:
        with_raw_response: raw.AsyncRawResponses
        with_streaming_response: raw.AsyncStreamedResponses


class Completions(SyncCalls, completions.Completions):
    """The official `chat.completions`, whose methods also take `user_id`, `agent_id`, `run_id` and `tenant`."""

    dialect = CHAT
    answer = ChatAnswer

    @overload
    def create(self, **params: Unpack[taken.Chat]) -> ChatCompletion: ...
    @overload
    def create(self, **params: Unpack[taken.ChatStream]) -> Stream[ChatCompletionChunk]: ...
    @overload
    def create(self, **params: Unpack[taken.ChatEither]) -> ChatCompletion | Stream[ChatCompletionChunk]: ...
    def create(self, **params: Any) -> Any:
        """Complete a chat as the official method does, with what memory knows of it, and remember it."""
        about: Any = super(Completions, self.about(params))
        return about.create(**params)

    def parse(self, **params: Unpack[taken.ChatParse[T]]) -> ParsedChatCompletion[T]:
        """Do that with an answer of a given type."""
        about: Any = super(Completions, self.about(params))
        return about.parse(**params)

    def stream(self, **params: Unpack[taken.ChatEvents[T]]) -> StreamManager[ChatStream[T]]:
        """Do that with a stream of typed events."""
        about = self.about(params)
        official: Any = super(Completions, about)
        return StreamManager(official.stream(**params), about.turn, about.settle)

    if TYPE_CHECKING:
        with_raw_response: raw.RawCompletions
        with_streaming_response: raw.StreamedCompletions


class Chat(chat.Chat):
    """The official `chat`, with memory."""

    @cached_property
    def completions(self) -> Completions:
        """Where chats are completed."""
        return Completions(self._client)


class Responses(SyncCalls, responses.Responses):
    """The official `responses`, whose methods also take `user_id`, `agent_id`, `run_id` and `tenant`."""

    dialect = RESPONSES
    answer = ResponseAnswer

    @overload
    def create(self, **params: Unpack[taken.Respond]) -> Response: ...
    @overload
    def create(self, **params: Unpack[taken.RespondStream]) -> Stream[ResponseStreamEvent]: ...
    @overload
    def create(self, **params: Unpack[taken.RespondEither]) -> Response | Stream[ResponseStreamEvent]: ...
    def create(self, **params: Any) -> Any:
        """Make a response as the official method does, with what memory knows of it, and remember it."""
        about: Any = super(Responses, self.about(params))
        return about.create(**params)

    def parse(self, **params: Unpack[taken.RespondParse[T]]) -> ParsedResponse[T]:
        """Do that with an answer of a given type."""
        about: Any = super(Responses, self.about(params))
        return about.parse(**params)

    @overload
    def stream(self, **params: Unpack[taken.RespondEvents[T]]) -> StreamManager[ResponseStream[T]]: ...
    @overload
    def stream(self, **params: Unpack[taken.RespondResumed[T]]) -> StreamManager[ResponseStream[T]]: ...
    def stream(self, **params: Any) -> StreamManager[ResponseStream[Any]]:
        """Do that with a stream of typed events."""
        about = self.about(params)
        official: Any = super(Responses, about)
        return StreamManager(official.stream(**params), about.turn, about.settle)

    if TYPE_CHECKING:
        with_raw_response: raw.RawResponses
        with_streaming_response: raw.StreamedResponses
