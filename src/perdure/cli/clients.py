"""Commands that write: a client for as long as the work lasts, which can be interrupted without losing anything."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import TypeVar

import typer

from perdure.cli import screen
from perdure.client import MemoryClient
from perdure.errors import JournalLockedError
from perdure.settings import MemorySettings

T = TypeVar("T")

INTERRUPTED = 130


def with_client(settings: MemorySettings, work: Callable[[MemoryClient], Awaitable[T]], instead: str) -> T:
    """Run something with a connected client; `instead` says what to do when another process has the journal.

    When it is interrupted, or returns with writes not committed, the client stops at once and leaves them in the
    journal.
    """
    try:
        with unless_held(instead):
            return asyncio.run(_with_client(settings, work))
    except KeyboardInterrupt:
        screen.complain("perdure: Interrupted. What is not committed stays in the journal.")
        raise typer.Exit(INTERRUPTED) from None


@contextmanager
def unless_held(instead: str) -> Generator[None]:
    """Say what to do instead when another process has the journal."""
    try:
        yield
    except JournalLockedError as error:
        raise JournalLockedError(error.message, hint=instead) from error


async def _with_client(settings: MemorySettings, work: Callable[[MemoryClient], Awaitable[T]]) -> T:
    client = await MemoryClient(settings).connect()
    done = False
    try:
        result = await work(client)
        done = client.buffered.pending == 0
    finally:
        await client.close(None if done else 0)
    return result
