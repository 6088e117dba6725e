"""OpenAI and AsyncOpenAI: the official clients, with memory."""

from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import openai

from perdure.errors import ConfigError, shorten
from perdure.memory import Memory
from perdure.openai.blocking import SyncRemembering
from perdure.openai.remembering import Remembering
from perdure.openai.resources import AsyncChat, AsyncResponses, Chat, Responses
from perdure.openai.turns import Recalling
from perdure.sync import SyncMemory

# pyright: reportIncompatibleMethodOverride=false
# pyright takes a cached_property for a method.

RECALL_SECONDS = 0.5
RECALL_LIMIT = 10


class AsyncOpenAI(openai.AsyncOpenAI):
    """The official asynchronous client, with memory.

    It takes what the official one takes, and a connected `memory`, which stays open; without one it opens a Memory of
    its own when it first needs it, and closes it when it is closed itself. `recall_timeout` is how many seconds a
    completion waits for memories at most, the first one up to five, and `recall_limit` how many are put into a prompt;
    0 recalls none.

    `chat.completions` and `responses` take `user_id`, `agent_id` and `run_id`, and answer with a `memory` that says
    what was found and what is remembered; without one of these ids they are the official ones. Copies share the
    connection and the memory.
    """

    def __init__(
        self,
        *,
        memory: Memory | Remembering | None = None,
        recall_timeout: float = RECALL_SECONDS,
        recall_limit: int = RECALL_LIMIT,
        **options: Any,
    ) -> None:
        _check(memory, (Memory, Remembering), recall_timeout, recall_limit)
        super().__init__(**options)
        self.recalling = Recalling(recall_timeout, recall_limit)
        """How memories are looked for; not for applications."""
        self.remembering = memory if isinstance(memory, Remembering) else Remembering(memory)
        """What asks and tells the memory; not for applications."""

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

    if not TYPE_CHECKING:  # the official signature is the one to see

        def copy(self, **options: Any) -> Self:
            """Return a client with other options; what none is given for is as here, connection and memory too."""
            ours = _taken(self, options)
            return super().copy(**options, _extra_kwargs=ours)

        with_options = copy


class OpenAI(openai.OpenAI):
    """The official client, with memory: AsyncOpenAI for code that does not await.

    It takes what the official one takes, and a `memory`, a SyncMemory, which stays open; all else is as there.
    """

    def __init__(
        self,
        *,
        memory: SyncMemory | SyncRemembering | None = None,
        recall_timeout: float = RECALL_SECONDS,
        recall_limit: int = RECALL_LIMIT,
        **options: Any,
    ) -> None:
        _check(memory, (SyncMemory, SyncRemembering), recall_timeout, recall_limit)
        super().__init__(**options)
        self.recalling = Recalling(recall_timeout, recall_limit)
        """How memories are looked for; not for applications."""
        self.remembering = memory if isinstance(memory, SyncRemembering) else SyncRemembering(memory)
        """What asks and tells the memory; not for applications."""

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

    if not TYPE_CHECKING:  # the official signature is the one to see

        def copy(self, **options: Any) -> Self:
            """Return a client with other options; what none is given for is as here, connection and memory too."""
            ours = _taken(self, options)
            return super().copy(**options, _extra_kwargs=ours)

        with_options = copy


def _taken(client: AsyncOpenAI | OpenAI, options: dict[str, Any]) -> dict[str, Any]:
    """Take what is Perdure's out of the options of a copy; what is not given, or None, is as the client has it."""
    own = {
        "memory": client.remembering,
        "recall_timeout": client.recalling.seconds,
        "recall_limit": client.recalling.limit,
    }
    given = {name: options.pop(name) for name in own if name in options}
    return own | {name: value for name, value in given.items() if value is not None}


def _check(memory: object, kinds: tuple[type, ...], timeout: object, limit: object) -> None:
    if memory is not None and not isinstance(memory, kinds):
        raise ConfigError(
            f"memory should be a {kinds[0].__name__}, not {type(memory).__name__}.",
            hint="OpenAI takes a SyncMemory, AsyncOpenAI a Memory.",
        )
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout >= 0:
        raise ConfigError(f"recall_timeout = {shorten(repr(timeout), 40)} should be a number of seconds.")
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 0:
        raise ConfigError(f"recall_limit = {shorten(repr(limit), 40)} should be a number, 0 or more.")
