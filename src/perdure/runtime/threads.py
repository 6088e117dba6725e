"""Worker threads for one kind of blocking work: a bounded number, and never the event loop's default executor."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from queue import Empty, SimpleQueue
from threading import Lock, Thread, current_thread
from typing import Any, NamedTuple, TypeVar

from perdure.errors import ClosedError

T = TypeVar("T")
IDLE_SECONDS = 10.0


class _Job(NamedTuple):
    work: Callable[[], Any]
    answer: asyncio.Future[Any]


class Threads:
    """Runs blocking functions beside the event loop, `count` of them at the same time and the rest in their order.

    A call that is cancelled, or whose deadline passes, returns at once, and if it had not begun it never does. A
    thread cannot be stopped: it goes on until its function ends, and keeps its place until then, so that however
    many calls hang there are never more than `count` threads. (anyio and the standard pool have one half of this
    each: the one gives an abandoned thread's place away, the other keeps a process from exiting while one hangs.)
    Threads start when they are needed, and end after ten seconds without work.
    """

    def __init__(self, kind: str, count: int) -> None:
        self.kind = kind
        self.count = count
        self._lock = Lock()
        self._jobs = SimpleQueue[_Job | None]()
        self._threads = set[Thread]()
        self._unfinished = set[_Job]()
        self._running = set[_Job]()
        self._drained: asyncio.Future[None] | None = None
        self._closed = False

    @property
    def running(self) -> int:
        """How many functions run at present, those that nobody waits for any more among them."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """How many have not begun."""
        return len(self._unfinished) - len(self._running)

    @property
    def alive(self) -> int:
        """How many threads there are; never more than `count`."""
        return len(self._threads)

    def begin(self, function: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        """Have `function(*args)` run, and return the future of what comes of it. Raises ClosedError after close."""
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._submit(_Job(partial(copy_context().run, function, *args), answer))
        return answer

    async def run(self, function: Callable[..., T], *args: Any) -> T:
        """Return what `function(*args)` returns, or raise what it raises. Raises ClosedError after close."""
        return await self.begin(function, *args)

    async def close(self, timeout: float | None = None) -> int:  # noqa: ASYNC109  its caller has a deadline for it all
        """Let what runs and waits end, for at most `timeout` seconds, and return how many functions still run.

        Those hang: their threads do not keep the process from ending. What waits behind them gets a ClosedError.
        """
        with self._lock:
            if not self._closed:
                self._closed = True
                for _ in self._threads:
                    self._jobs.put(None)
            if self._unfinished and self._drained is None:
                self._drained = asyncio.get_running_loop().create_future()
        if self._drained is not None:
            await asyncio.wait([self._drained], timeout=timeout)
        with self._lock:
            for job in self._unfinished - self._running:
                _tell(job.answer, None, self._refusal())
            self._unfinished &= self._running
        return self.running

    def _submit(self, job: _Job) -> None:
        with self._lock:
            if self._closed:
                raise self._refusal()
            self._unfinished.add(job)
            self._jobs.put(job)
            if len(self._threads) < min(self.count, len(self._unfinished)):
                thread = Thread(target=self._work, name=f"perdure {self.kind}", daemon=True)
                self._threads.add(thread)
                thread.start()

    def _work(self) -> None:
        while self._do_next():
            pass

    def _do_next(self) -> bool:
        try:
            job = self._jobs.get(timeout=IDLE_SECONDS)
        except Empty:
            job = None
        if job is None:
            return not self._leave()
        if self._begins(job):
            try:
                result = job.work()
            except BaseException as error:  # noqa: BLE001  whatever it is, it is the caller's
                self._end(job)
                _tell(job.answer, None, _carriable(error))
            else:
                self._end(job)
                _tell(job.answer, result)
        return True

    def _begins(self, job: _Job) -> bool:
        """Return whether a job is to be done: it was not given up while it waited."""
        with self._lock:
            if job in self._unfinished and not job.answer.done():
                self._running.add(job)
                return True
        self._end(job)
        return False

    def _end(self, job: _Job) -> None:
        with self._lock:
            self._running.discard(job)
            self._unfinished.discard(job)
            if self._drained is not None and not self._unfinished:
                _tell(self._drained, None)

    def _leave(self) -> bool:
        with self._lock:
            if not self._closed and not self._jobs.empty():
                return False
            self._threads.discard(current_thread())
            return True

    def _refusal(self) -> ClosedError:
        return ClosedError(f"The threads for {self.kind.replace('_', ' ')} work are closed.")


def _carriable(error: BaseException) -> BaseException:
    """Return an error that a coroutine may raise: StopIteration would mean that it has returned."""
    if not isinstance(error, StopIteration):
        return error
    carried = RuntimeError("The function raised StopIteration.")
    carried.__cause__ = error
    return carried


def _tell(answer: asyncio.Future[Any], result: Any, error: BaseException | None = None) -> None:
    """Settle a future on its own event loop; where that is closed, nobody waits."""
    with suppress(RuntimeError):
        answer.get_loop().call_soon_threadsafe(_settle, answer, result, error)


def _settle(answer: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if answer.done():
        return  # whoever waited has gone
    if error is None:
        answer.set_result(result)
    else:
        answer.set_exception(error)
