"""The end of the process: what is still open is closed first, whether the program ends or SIGTERM ends it."""

import atexit
import concurrent.futures.thread  # noqa: F401  # pyright: ignore[reportUnusedImport]  too late once the exit has begun
import os
import signal
import sys
import threading
from concurrent.futures import Future
from types import FrameType
from typing import Protocol

from perdure.sync.loop import Call

SECONDS_AT_EXIT = 5.0
"""How long a process that did not close waits for what it has accepted; the journal keeps the rest."""


class Open(Protocol):
    """A connection with an event loop of its own."""

    on_sigterm: bool

    def begin_to_end(self, timeout: float | None) -> Call[None]:
        """Have it closed; None is as long as its settings say."""
        ...

    def end(self, timeout: float) -> None:
        """Close it, and its loop."""
        ...


_exiting = threading.Event()
_never = threading.Event()
_open: dict[Open, None] = {}
_left: set[Future[None]] | None = None
"""What SIGTERM waits for; None before it came."""


def opened(connection: Open) -> None:
    """See to it that it is closed before the process ends."""
    _open[connection] = None
    watch()


def watch() -> bool:
    """Have SIGTERM close what is open, and return whether this thread could: what another opened waits for that."""
    if any(connection.on_sigterm for connection in _open) and _may_handle():
        signal.signal(signal.SIGTERM, _on_sigterm)
    return _in_main_thread()


def closed(connection: Open) -> None:
    """Forget it; after the last one, SIGTERM does again what it did before."""
    _open.pop(connection, None)
    if not _open and _in_main_thread() and signal.getsignal(signal.SIGTERM) is _on_sigterm:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def hold_back() -> None:
    """Keep a daemon thread, which is about to end with the process, from a last word on that."""
    if _exiting.is_set() and threading.current_thread().daemon:
        _never.wait()


@atexit.register
def _at_exit() -> None:
    _exiting.set()
    for connection in reversed(list(_open)):
        connection.end(SECONDS_AT_EXIT)


def _may_handle() -> bool:
    return os.name == "posix" and _in_main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _on_sigterm(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  as `signal` calls it
    """Close everything, then let the signal do what it does without us; it is sent again when that is done."""
    global _left  # noqa: PLW0603  a process has one handler for a signal
    if _left is None:
        calls = [connection.begin_to_end(None) for connection in list(_open) if connection.on_sigterm]
        _left = {call.answer for call in calls}
        for answer in list(_left):
            answer.add_done_callback(_one_is_closed)
    if not _left:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.raise_signal(signal.SIGTERM)
        sys.exit(128 + signal.SIGTERM)  # the first process of a container survives signals


def _one_is_closed(answer: Future[None]) -> None:
    if _left is not None:
        _left.discard(answer)
        if not _left and (main := threading.main_thread().ident) is not None:
            signal.pthread_kill(main, signal.SIGTERM)  # only there do handlers run, and there it ends any wait


if hasattr(os, "register_at_fork"):  # where there is no fork, there is no such function
    os.register_at_fork(after_in_child=_open.clear)
