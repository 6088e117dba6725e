"""What an editor knows of the answers: the official models, with `memory`. At run time they are the official ones."""

from typing import TYPE_CHECKING

from openai.lib.streaming.chat import AsyncChatCompletionStream as OfficialAsyncChatStream
from openai.lib.streaming.chat import ChatCompletionStream as OfficialChatStream
from openai.lib.streaming.responses import AsyncResponseStream as OfficialAsyncResponseStream
from openai.lib.streaming.responses import ResponseStream as OfficialResponseStream
from openai.types.chat import ChatCompletion as OfficialChatCompletion
from openai.types.chat import ParsedChatCompletion as OfficialParsedChatCompletion
from openai.types.responses import ParsedResponse as OfficialParsedResponse
from openai.types.responses import Response as OfficialResponse

from perdure.openai.params import T
from perdure.openai.turns import TurnMemory

if TYPE_CHECKING:

    class ChatCompletion(OfficialChatCompletion):
        """The official answer, and what memory did for it."""

        memory: TurnMemory

    class ParsedChatCompletion(OfficialParsedChatCompletion[T]):
        """The official answer, and what memory did for it."""

        memory: TurnMemory

    class Response(OfficialResponse):
        """The official answer, and what memory did for it."""

        memory: TurnMemory

    class ParsedResponse(OfficialParsedResponse[T]):
        """The official answer, and what memory did for it."""

        memory: TurnMemory

    class ChatStream(OfficialChatStream[T]):
        """The official stream of events, and what memory did for it."""

        memory: TurnMemory

    class AsyncChatStream(OfficialAsyncChatStream[T]):
        """The official stream of events, and what memory did for it."""

        memory: TurnMemory

    class ResponseStream(OfficialResponseStream[T]):
        """The official stream of events, and what memory did for it."""

        memory: TurnMemory

    class AsyncResponseStream(OfficialAsyncResponseStream[T]):
        """The official stream of events, and what memory did for it."""

        memory: TurnMemory

else:
    ChatCompletion, ParsedChatCompletion = OfficialChatCompletion, OfficialParsedChatCompletion
    Response, ParsedResponse = OfficialResponse, OfficialParsedResponse
    ChatStream, AsyncChatStream = OfficialChatStream, OfficialAsyncChatStream
    ResponseStream, AsyncResponseStream = OfficialResponseStream, OfficialAsyncResponseStream
