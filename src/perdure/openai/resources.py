"""The official resources that talk, `chat.completions` and `responses`, with memory."""

from functools import cached_property
from typing import Any, TypeVar, Unpack, cast, overload

from openai import Omit, omit
from openai.lib.streaming.chat import AsyncChatCompletionStreamManager, ChatCompletionStreamManager
from openai.lib.streaming.responses import AsyncResponseStreamManager, ResponseStreamManager
from openai.resources.chat import chat
from openai.resources.chat.completions import completions
from openai.resources.responses import responses
from openai.types.chat import ChatCompletionChunk
from openai.types.responses import ResponseStreamEvent

from perdure.openai import params as taken
from perdure.openai.answered import ChatAnswer, ResponseAnswer
from perdure.openai.answers import ChatCompletion, ParsedChatCompletion, ParsedResponse, Response
from perdure.openai.asked import CHAT, RESPONSES
from perdure.openai.calls import AsyncCalls, SyncCalls
from perdure.openai.streams import AsyncStream, AsyncStreamManager, Stream, StreamManager

# pyright: reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false
# The methods take more than the official ones, and name what they take in a TypedDict.

T = TypeVar("T")


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

    async def parse(self, *, response_format: type[T] | Omit = omit, **params: Any) -> ParsedChatCompletion[T]:
        """Do that with an answer of a given type."""
        about: Any = super(AsyncCompletions, self.about(params))
        return await about.parse(response_format=response_format, **params)

    def stream(self, **params: Any) -> AsyncChatCompletionStreamManager[Any]:
        """Do that with a stream of typed events."""
        about = self.about(params)
        manager = super(AsyncCompletions, about).stream(**params)
        return cast("AsyncChatCompletionStreamManager[Any]", AsyncStreamManager(manager, about.turn, about.settle))


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

    async def parse(self, *, text_format: type[T] | Omit = omit, **params: Any) -> ParsedResponse[T]:
        """Do that with an answer of a given type."""
        about: Any = super(AsyncResponses, self.about(params))
        return await about.parse(text_format=text_format, **params)

    def stream(self, **params: Any) -> AsyncResponseStreamManager[Any]:
        """Do that with a stream of typed events."""
        about = self.about(params)
        manager = super(AsyncResponses, about).stream(**params)
        return cast("AsyncResponseStreamManager[Any]", AsyncStreamManager(manager, about.turn, about.settle))


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

    def parse(self, *, response_format: type[T] | Omit = omit, **params: Any) -> ParsedChatCompletion[T]:
        """Do that with an answer of a given type."""
        about: Any = super(Completions, self.about(params))
        return about.parse(response_format=response_format, **params)

    def stream(self, **params: Any) -> ChatCompletionStreamManager[Any]:
        """Do that with a stream of typed events."""
        about = self.about(params)
        manager = super(Completions, about).stream(**params)
        return cast("ChatCompletionStreamManager[Any]", StreamManager(manager, about.turn, about.settle))


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

    def parse(self, *, text_format: type[T] | Omit = omit, **params: Any) -> ParsedResponse[T]:
        """Do that with an answer of a given type."""
        about: Any = super(Responses, self.about(params))
        return about.parse(text_format=text_format, **params)

    def stream(self, **params: Any) -> ResponseStreamManager[Any]:
        """Do that with a stream of typed events."""
        about = self.about(params)
        manager = super(Responses, about).stream(**params)
        return cast("ResponseStreamManager[Any]", StreamManager(manager, about.turn, about.settle))
