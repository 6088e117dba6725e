"""Tells an application's callback of what happens, beside whatever it happens in."""

import asyncio
import inspect
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from anyio import CapacityLimiter, to_thread

from perdure.runtime.home import cancelled
from perdure.telemetry import WRITES

T = TypeVar("T")


class Notifier(Generic[T]):
    """Tells a callback of one thing after the other; `label` is how a log line calls one, without its values.

    An async callback runs on the event loop, a plain one in a worker thread. What it raises is logged.
    """

    def __init__(
        self,
        name: str,
        callback: Callable[[T], Awaitable[object] | object] | None,
        limit: int,
        label: Callable[[T], str],
    ) -> None:
        self._name = name
        self._callback = callback
        self._label = label
        self._queue: deque[T] = deque(maxlen=limit)
        self._news = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._thread = CapacityLimiter(1)
        self._task: asyncio.Task[None] | None = None
        self._ended = False

    def add(self, news: T) -> None:
        """Queue news for the callback; the oldest is let go when it is that far behind."""
        if self._callback is None or self._ended:
            return
        if len(self._queue) == self._queue.maxlen:
            lost = self._label(self._queue[0])
            WRITES.warning("%s is not told of %s: too much is waiting for it", self._name, lost)
        self._queue.append(news)
        self._idle.clear()
        self._news.set()

    async def finished(self) -> None:
        """Return when the callback has been told of everything; at once when it is the callback that asks."""
        if asyncio.current_task() is not self._task:
            await self._idle.wait()

    def end(self) -> None:
        """Have `run` return when it has told what is queued."""
        self._ended = True
        self._news.set()

    async def run(self) -> None:
        """Tell the callback of each as it comes, until cancelled."""
        self._task = asyncio.current_task()
        try:
            while not self._ended:
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

    async def _tell(self, news: T) -> None:
        callback = self._callback
        if callback is None:
            return
        try:
            if inspect.iscoroutinefunction(callback) or inspect.iscoroutinefunction(type(callback).__call__):
                await callback(news)  # pyright: ignore[reportGeneralTypeIssues]
                return
            answer = await to_thread.run_sync(callback, news, abandon_on_cancel=True, limiter=self._thread)
            if inspect.isawaitable(answer):
                await answer
        except asyncio.CancelledError as failure:
            if cancelled():
                raise
            self._log(failure, news)
        except Exception as failure:  # noqa: BLE001  the application's own callback, at the drain's rim
            self._log(failure, news)

    def _log(self, failure: BaseException, news: T) -> None:
        """Say that the callback failed, without what it may have said about values."""
        WRITES.error("%s raised %s for %s", self._name, type(failure).__name__, self._label(news))
