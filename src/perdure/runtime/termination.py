"""SIGTERM, as `docker stop` and service managers send it: close first, then end as the signal asks."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager

from perdure.errors import PerdureError
from perdure.telemetry import WRITES

Close = Callable[[], Awaitable[object]]


class Closing:
    """Everything that wants to be closed before SIGTERM ends the process, on one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.closers: list[Close] = []
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Close them all, then let the signal do what it does without us."""
        if self._task is None:
            WRITES.info("SIGTERM: closing before the process ends")
            self._task = self.loop.create_task(self._close_and_end(), name="perdure SIGTERM")

    async def _close_and_end(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                for close in list(self.closers):
                    tasks.create_task(_closed(close))
        finally:
            self.loop.remove_signal_handler(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)
            self.loop.call_soon(sys.exit, 128 + signal.SIGTERM)  # the first process of a container survives signals


async def _closed(close: Close) -> None:
    try:
        await close()
    except PerdureError as error:
        WRITES.error("closing at SIGTERM failed: %s", error)


_closing: Closing | None = None


@contextmanager
def closing_on_sigterm(close: Close) -> Generator[None]:
    """Have `close` called when SIGTERM comes, for as long as the block lasts.

    Only in the main thread, and where nobody else handles the signal: a server that does closes us itself.
    """
    global _closing  # noqa: PLW0603  a process has one handler for a signal
    if not _may_handle():
        yield
        return
    closing = _closing
    if closing is None:
        closing = _closing = Closing(asyncio.get_running_loop())
        closing.loop.add_signal_handler(signal.SIGTERM, closing.begin)
    closing.closers.append(close)
    try:
        yield
    finally:
        closing.closers.remove(close)
        if not closing.closers and _closing is closing:
            _closing = None
            if not closing.loop.is_closed():
                closing.loop.remove_signal_handler(signal.SIGTERM)


def _may_handle() -> bool:
    if os.name != "posix" or threading.current_thread() is not threading.main_thread():
        return False
    if _closing is not None and _closing.loop is asyncio.get_running_loop():
        return True
    return signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
