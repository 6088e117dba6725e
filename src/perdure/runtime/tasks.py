"""Work that goes on when its caller has left: owned, counted, and waited for at the end."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from perdure.errors import ClosedError

T = TypeVar("T")


class Tasks:
    """Owns tasks that may outlive the call that began them, and never itself."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self.closed = False
        """Whether no more is taken."""

    @property
    def running(self) -> int:
        """How many there are."""
        return len(self._tasks)

    def start(self, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Begin some work, and return its task. Whoever awaits it should `asyncio.shield` it."""
        if self.closed:
            work.close()
            raise ClosedError("It is closed, and begins nothing more.")
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever awaits it hears of it; where nobody does any more, it is no news

    async def finished(self, timeout: float | None) -> bool:  # noqa: ASYNC109  as the client's
        """Wait until nothing runs, at most `timeout` seconds, and return whether that is so."""
        try:
            async with asyncio.timeout(timeout):
                while self._tasks:
                    await asyncio.wait(self._tasks)
        except TimeoutError:
            return False
        return True

    async def close(self, timeout: float | None) -> None:  # noqa: ASYNC109  as the client's
        """Wait for what runs, at most `timeout` seconds; what runs on then is cancelled. Safe to call twice."""
        self.closed = True
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=timeout)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)
