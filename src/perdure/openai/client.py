"""OpenAI and AsyncOpenAI: the official clients, with memory."""

from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import openai

from perdure.errors import ConfigError
from perdure.memory import Memory
from perdure.openai.blocking import SyncRemembering
from perdure.openai.options import TakesMemory, of_one_s_own
from perdure.openai.remembering import Remembering
from perdure.openai.resources import AsyncChat, AsyncResponses, Chat, Responses
from perdure.sync import SyncMemory

# pyright: reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false
# pyright takes a cached_property for a method; and the clients take more than the official ones.

K = TypeVar("K")


class AsyncOpenAI(TakesMemory[Memory, Remembering], openai.AsyncOpenAI):
    """The official asynchronous client, with memory.

    It takes what the official one takes, and a connected `memory`, which stays open; without one it opens a Memory of
    its own when it first needs it, and closes it when it is closed itself. `recall_timeout` is how many seconds a
    completion waits for memories at most, the first one up to five, and `recall_limit` how many are put into a prompt;
    0 recalls none.

    `chat.completions` and `responses` take `user_id`, `agent_id` and `run_id`, and answer with a `memory` that says
    what was found and what is remembered; without one of these ids they are the official ones. Copies share the
    connection and the memory.
    """

    if TYPE_CHECKING:
        _made = openai.AsyncOpenAI.__init__
        _copied = of_one_s_own(openai.AsyncOpenAI.copy)

    def _remembering_in(self, memory: Any) -> Remembering:
        """Return what asks and tells a Memory."""
        return memory if isinstance(memory, Remembering) else Remembering(_of_kind(memory, Memory))

    @cached_property
    def chat(self) -> AsyncChat:
        """The official `chat`, with memory."""
        return AsyncChat(self)

    @cached_property
    def responses(self) -> AsyncResponses:
        """The official `responses`, with memory."""
        return AsyncResponses(self)

    async def close(self) -> None:
        """Remember what is left, and disconnect."""
        try:
            await super().close()
        finally:
            await self.remembering.close()


class OpenAI(TakesMemory[SyncMemory, SyncRemembering], openai.OpenAI):
    """The official client, with memory: AsyncOpenAI for code that does not await.

    It takes what the official one takes, and a `memory`, a SyncMemory, which stays open; all else is as there.
    """

    if TYPE_CHECKING:
        _made = openai.OpenAI.__init__
        _copied = of_one_s_own(openai.OpenAI.copy)

    def _remembering_in(self, memory: Any) -> SyncRemembering:
        """Return what asks and tells a SyncMemory."""
        return memory if isinstance(memory, SyncRemembering) else SyncRemembering(_of_kind(memory, SyncMemory))

    @cached_property
    def chat(self) -> Chat:
        """The official `chat`, with memory."""
        return Chat(self)

    @cached_property
    def responses(self) -> Responses:
        """The official `responses`, with memory."""
        return Responses(self)

    def close(self) -> None:
        """Remember what is left, and disconnect."""
        try:
            super().close()
        finally:
            self.remembering.close()


def _of_kind(memory: object, kind: type[K]) -> K | None:
    if memory is None or isinstance(memory, kind):
        return memory
    raise ConfigError(
        f"memory should be a {kind.__name__}, not {type(memory).__name__}.",
        hint="OpenAI takes a SyncMemory, AsyncOpenAI a Memory.",
    )
