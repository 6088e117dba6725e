"""What an editor knows of the answers: the official models, with `memory`. At run time they are the official ones."""

from typing import TYPE_CHECKING, TypeVar

from openai.types.chat import ChatCompletion as OfficialChatCompletion
from openai.types.chat import ParsedChatCompletion as OfficialParsedChatCompletion
from openai.types.responses import ParsedResponse as OfficialParsedResponse
from openai.types.responses import Response as OfficialResponse

from perdure.openai.turns import TurnMemory

T = TypeVar("T")

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

else:
    ChatCompletion, ParsedChatCompletion = OfficialChatCompletion, OfficialParsedChatCompletion
    Response, ParsedResponse = OfficialResponse, OfficialParsedResponse
