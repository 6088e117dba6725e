"""A client, or a memory, for as long as a command's work lasts, which can be interrupted without losing anything."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import TypeVar

from perdure.cli.endings import Interrupted
from perdure.cli.options import reading
from perdure.client import MemoryClient
from perdure.errors import JournalLockedError
from perdure.journal.sqlite.opening import AUTO, has_entries_for
from perdure.memory import Memory
from perdure.settings import MemorySettings
from perdure.wiring import journals, neo4j_uri, target

T = TypeVar("T")

LOG = logging.getLogger("perdure.cli")
"""What is to be said beside the results, above the bar that shows the progress."""
KEPT = "What is not committed stays in the journal."
LEFT = "The journal holds writes that are not in the graph yet, and were not looked at. Next: perdure journal drain"


def with_client(
    settings: MemorySettings,
    work: Callable[[MemoryClient], Awaitable[T]],
    instead: str,
    kept: str = KEPT,
    *,
    reindex: bool = False,
) -> T:
    """Run something with a connected client; `instead` says what to do when another process has the journal.

    When it is interrupted, or returns with writes not committed, the client stops at once and leaves them in the
    journal; `kept` says so.
    """
    with unless_held(instead), interruptible(kept):
        return asyncio.run(_with_client(settings, work, reindex=reindex))


def with_reader(settings: MemorySettings, work: Callable[[MemoryClient], Awaitable[T]]) -> T:
    """Run something that only reads with a connected client; say so when a journal holds what it cannot see."""
    with interruptible():
        result = asyncio.run(_with_client(reading(settings), work))
    tell_of_what_is_left(settings)
    return result


def with_searcher(settings: MemorySettings, work: Callable[[Memory], Awaitable[T]]) -> T:
    """Run something that only reads with a connected memory, as `with_reader` does."""
    with interruptible():
        result = asyncio.run(_with_memory(reading(settings), work))
    tell_of_what_is_left(settings)
    return result


def with_memory(settings: MemorySettings, work: Callable[[Memory], Awaitable[T]], instead: str) -> T:
    """Run something with a connected memory, as `with_client` does.

    Beside a process that has the journal of a graph on a server, it takes a journal of its own.
    """
    with unless_held(instead), interruptible():
        try:
            return asyncio.run(_with_memory(settings, work))
        except JournalLockedError:
            if neo4j_uri(settings) is None:
                raise
        settings.memory.journal_name = AUTO
        return asyncio.run(_with_memory(settings, work))


@contextmanager
def interruptible(and_then: str = "") -> Generator[None]:
    """End the program as Ctrl-C should, and say what became of what was begun."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(and_then) from None


@contextmanager
def unless_held(instead: str) -> Generator[None]:
    """Say what to do instead when another process has the journal."""
    try:
        yield
    except JournalLockedError as error:
        raise JournalLockedError(error.message, hint=instead) from error


async def _with_client(
    settings: MemorySettings, work: Callable[[MemoryClient], Awaitable[T]], *, reindex: bool = False
) -> T:
    client = await MemoryClient(settings, reindex=reindex).connect()
    done = False
    try:
        result = await work(client)
        done = client.buffered.pending == 0
    finally:
        await client.close(None if done else 0)
    return result


async def _with_memory(settings: MemorySettings, work: Callable[[Memory], Awaitable[T]]) -> T:
    memory = await Memory(settings).connect()
    done = False
    try:
        result = await work(memory)
        done = True
    finally:
        await memory.close(None if done else 0)
    return result


def tell_of_what_is_left(settings: MemorySettings) -> None:
    """Say so when a journal holds what a reader does not see."""
    if has_entries_for(journals(settings) / settings.memory.journal_name, target(settings)):
        LOG.warning(LEFT)
