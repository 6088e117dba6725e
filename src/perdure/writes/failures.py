"""Writes that failed for good: the bounded list the application reads, and the callback it is told by."""

import asyncio
import inspect
from collections import deque
from collections.abc import Iterator, Sequence
from typing import overload

from anyio import CapacityLimiter, to_thread

from perdure.records import WriteError
from perdure.runtime.home import cancelled
from perdure.settings import OnError
from perdure.telemetry import WRITES


class WriteErrors(Sequence[WriteError]):
    """The newest failed writes, newest last; `dropped` counts the older ones that were let go."""

    def __init__(self, limit: int) -> None:
        self._kept: deque[WriteError] = deque(maxlen=limit)
        self.dropped = 0

    @overload
    def __getitem__(self, index: int) -> WriteError: ...
    @overload
    def __getitem__(self, index: slice) -> list[WriteError]: ...
    def __getitem__(self, index: int | slice) -> WriteError | list[WriteError]:
        return list(self._kept)[index] if isinstance(index, slice) else self._kept[index]

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[WriteError]:
        return iter(tuple(self._kept))

    def __repr__(self) -> str:
        return f"<WriteErrors {len(self)} kept, {self.dropped} dropped>"

    def add(self, error: WriteError) -> None:
        """Keep an error, letting the oldest go when there are too many."""
        self.dropped += len(self._kept) == self._kept.maxlen
        self._kept.append(error)

    def clear(self) -> None:
        """Forget the errors kept and the count of those dropped."""
        self._kept.clear()
        self.dropped = 0


class Notifier:
    """Tells the application of failed writes, one after the other, beside the drain.

    An async callback runs on the event loop, a plain one in a worker thread. What it raises is logged.
    """

    def __init__(self, callback: OnError | None, limit: int) -> None:
        self._callback = callback
        self._queue: deque[WriteError] = deque(maxlen=limit)
        self._news = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._thread = CapacityLimiter(1)
        self._task: asyncio.Task[None] | None = None
        self._ended = False

    def add(self, error: WriteError) -> None:
        """Queue an error for the callback."""
        if self._callback is None or self._ended:
            return
        if len(self._queue) == self._queue.maxlen:
            WRITES.warning("on_error is not told of write %d: too many errors are waiting for it", self._queue[0].seq)
        self._queue.append(error)
        self._idle.clear()
        self._news.set()

    async def finished(self) -> None:
        """Return when the callback has been told of everything; at once when it is the callback that asks."""
        if asyncio.current_task() is not self._task:
            await self._idle.wait()

    async def run(self) -> None:
        """Tell the callback of each error as it comes, until cancelled."""
        self._task = asyncio.current_task()
        try:
            while True:
                await self._news.wait()
                while self._queue:
                    await self._tell(self._queue.popleft())
                    if cancelled():
                        raise asyncio.CancelledError
                self._news.clear()
                self._idle.set()
        finally:
            self._ended = True
            self._idle.set()

    async def _tell(self, error: WriteError) -> None:
        callback = self._callback
        if callback is None:
            return
        try:
            if inspect.iscoroutinefunction(callback) or inspect.iscoroutinefunction(type(callback).__call__):
                await callback(error)  # pyright: ignore[reportGeneralTypeIssues]
                return
            answer = await to_thread.run_sync(callback, error, abandon_on_cancel=True, limiter=self._thread)
            if inspect.isawaitable(answer):
                await answer
        except asyncio.CancelledError as failure:
            if cancelled():
                raise
            log(failure, error)
        except Exception as failure:  # noqa: BLE001  the application's own callback, at the drain's rim
            log(failure, error)


def log(failure: BaseException, error: WriteError) -> None:
    """Say that the application's callback failed, without what it may have said about the write's values."""
    WRITES.error("on_error raised %s for write %d", type(failure).__name__, error.seq)
