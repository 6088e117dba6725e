"""An event loop in a thread of its own, and how another thread waits for what is run there."""

import asyncio
import sys
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError
from contextlib import AbstractAsyncContextManager, AbstractContextManager, ExitStack
from typing import TypeVar

from anyio.from_thread import BlockingPortal, start_blocking_portal

from perdure.errors import ClosedError, ConfigError

T = TypeVar("T")


class Loop:
    """Runs coroutines for any number of threads at once."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._portal: BlockingPortal | None = None

    def start(self) -> None:
        """Start the thread."""
        self._portal = self._stack.enter_context(start_blocking_portal())

    def run(self, work: Callable[[], Awaitable[T] | T]) -> T:
        """Return what `work` returns on the event loop; whoever is interrupted while waiting cancels it."""
        future = self._running().start_task_soon(work)
        try:
            return future.result()  # pyright: ignore[reportReturnType]  the portal awaits what can be awaited
        except CancelledError:
            raise ClosedError("It was closed before this call had ended.") from None
        except BaseException:
            future.cancel()
            raise

    def entered(self, block: AbstractAsyncContextManager[T]) -> AbstractContextManager[T]:
        """Return a context manager that enters and leaves an asynchronous one in one task."""
        return self._running().wrap_async_context_manager(block)

    def stop(self) -> None:
        """Cancel what still runs, and return when the thread has ended. Safe to call again."""
        portal, self._portal = self._portal, None
        if portal is not None:
            portal.call(portal.stop, True)  # noqa: FBT003  the portal's own
        self._stack.close()

    def _running(self) -> BlockingPortal:
        if self._portal is None:
            raise ClosedError
        return self._portal


def refuse_to_block(asynchronous: str) -> None:
    """Raise ConfigError on a thread whose event loop would stand still meanwhile.

    A notebook's loop may: each of its cells runs inside it, and it stands still for the whole of every one.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    if not _in_a_cell():
        raise ConfigError(
            "This thread runs an event loop, which a blocking call would stop.",
            hint=f"Await {asynchronous} here, or call this from a thread: `await asyncio.to_thread(…)`.",
        )


def _in_a_cell() -> bool:
    if threading.current_thread() is not threading.main_thread() or "ipykernel" not in sys.modules:
        return False
    return sys.modules["IPython"].get_ipython() is not None
