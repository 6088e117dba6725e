"""An event loop in a thread of its own, and how other threads wait for what is run there."""

import asyncio
import inspect
import os
import sys
import threading
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import Future, InvalidStateError
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager, suppress
from contextvars import copy_context
from types import TracebackType
from typing import Any, Generic, TypeVar, cast
from weakref import WeakSet

from perdure.errors import ClosedError, ConfigError
from perdure.runtime.home import cancelled

T = TypeVar("T")
Work = Callable[[], Coroutine[Any, Any, T] | T]


class Call(Generic[T]):
    """What a thread has asked the event loop to do."""

    def __init__(self, work: Work[T]) -> None:
        self.work = work
        self.answer = Future[T]()
        self.task: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Do it, and answer."""
        try:
            result = self.work()
            if inspect.iscoroutine(result):  # a receipt can be awaited, and is given back as it is
                result = await result
        except asyncio.CancelledError as error:
            self.answer.set_exception(_ended() if cancelled() else error)
        except BaseException as error:  # noqa: BLE001  whatever it is, it is the caller's
            self.answer.set_exception(error)
        else:
            self.answer.set_result(cast("T", result))

    def cancel(self) -> None:
        """Have it stop where it stands."""
        if self.task is not None:
            self.task.cancel()


class Loop:
    """Runs what any number of threads ask for, each in a task of its own, with the context of who asked."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal's handler may come between, and ask as well
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._end: asyncio.Event
        self._calls = set[Call[Any]]()
        """Those without an answer."""

    @property
    def running(self) -> bool:
        """Whether it takes calls."""
        return self._loop is not None

    def start(self) -> None:
        """Start the thread. It keeps no process from ending."""
        ready = Future[asyncio.AbstractEventLoop]()
        self._thread = threading.Thread(target=self._run, args=[ready], name="perdure loop", daemon=True)
        self._thread.start()
        self._loop = loop = ready.result()
        _running.add(loop)

    def stop(self, timeout: float | None = None) -> None:
        """Take no more calls, cancel those that run, and return when the thread has ended. Safe to call again."""
        with self._lock:
            loop, self._loop = self._loop, None
            if loop is not None:
                loop.call_soon_threadsafe(self._end.set)
        if self._thread is not None:
            self._thread.join(timeout)

    def run(self, work: Work[T], timeout: float | None = None) -> T:
        """Return what `work` returns on the event loop, or raise what it raises; who is interrupted, cancels it."""
        if threading.current_thread() is self._thread:
            raise ConfigError(
                "This runs on the memory's own event loop, and would wait for itself.",
                hint="Use the asynchronous client there, or call this in a thread: await asyncio.to_thread(…).",
            )
        call = Call(work)
        with self._cancelling(call):  # also where the interruption comes before the wait
            self._put(call)
            return call.answer.result(timeout)

    def begin(self, work: Work[T]) -> Call[T]:
        """Have some work begun. Raises ClosedError."""
        call = Call(work)
        self._put(call)
        return call

    def _put(self, call: Call[Any]) -> None:
        with self._lock:  # so that everything asked for is begun before the loop ends
            if self._loop is None:
                raise _ended()
            self._calls.add(call)
            self._loop.call_soon_threadsafe(self._begin, call, context=copy_context())

    def wait(self, call: Call[Any], answer: Future[T], timeout: float | None = None) -> T:
        """Wait for one of the answers of a call, which is cancelled when the wait is interrupted."""
        with self._cancelling(call):
            return answer.result(timeout)

    @contextmanager
    def _cancelling(self, call: Call[Any]) -> Generator[None]:
        """Cancel a call that has no answer when this is left by an error."""
        try:
            yield
        except BaseException:
            with self._lock:
                if self._loop is not None and not call.answer.done():
                    self._loop.call_soon_threadsafe(call.cancel)
            raise

    def entered(self, block: AbstractAsyncContextManager[T]) -> AbstractContextManager[T]:
        """Return a context manager that enters and leaves an asynchronous one, both in one task."""
        return _Block(self, block)

    def _begin(self, call: Call[Any]) -> None:
        call.task = asyncio.create_task(call.run(), name="perdure call")
        call.task.add_done_callback(lambda _: self._calls.discard(call))

    def _run(self, ready: Future[asyncio.AbstractEventLoop]) -> None:
        """Be the thread; whatever ends it, nobody waits for ever."""
        try:
            asyncio.run(self._serve(ready))
        except OSError as error:  # there is no file left for an event loop
            ready.set_exception(error)
        finally:
            with self._lock:
                self._loop = None
            for call in list(self._calls):
                if not call.answer.done():
                    call.answer.set_exception(_ended())

    async def _serve(self, ready: Future[asyncio.AbstractEventLoop]) -> None:
        self._end = asyncio.Event()
        ready.set_result(asyncio.get_running_loop())
        await self._end.wait()
        while tasks := [call.task for call in list(self._calls) if call.task is not None]:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


class _Block(AbstractContextManager[T]):
    """Holds an asynchronous context manager open in a task until it is told how the block ended."""

    def __init__(self, loop: Loop, block: AbstractAsyncContextManager[T]) -> None:
        self._loop = loop
        self._block = block
        self._value = Future[T]()
        self._error = Future[BaseException | None]()
        self._call: Call[bool | None]

    async def _hold(self) -> bool | None:
        try:
            self._value.set_result(await self._block.__aenter__())
        except BaseException as error:
            self._value.set_exception(_ended() if isinstance(error, asyncio.CancelledError) else error)
            raise
        try:
            error = await asyncio.wrap_future(self._error)
        except asyncio.CancelledError as stopped:
            await self._block.__aexit__(type(stopped), stopped, stopped.__traceback__)
            raise
        return await self._block.__aexit__(type(error) if error else None, error, error and error.__traceback__)

    def __enter__(self) -> T:
        self._call = self._loop.begin(self._hold)
        return self._loop.wait(self._call, self._value)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        with suppress(InvalidStateError):  # it is over where the loop has ended
            self._error.set_result(error)
        try:
            return self._loop.wait(self._call, self._call.answer)
        except ClosedError:
            if error is None:
                raise
            return None


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
            hint=f"Await {asynchronous} here, or call this in a thread: await asyncio.to_thread(…).",
        )


def _in_a_cell() -> bool:
    """Return whether this is where a notebook runs its cells; the kernel is loaded where there is one."""
    if threading.current_thread() is not threading.main_thread() or "ipykernel" not in sys.modules:
        return False
    shell = sys.modules["IPython"].get_ipython()
    return hasattr(shell, "kernel")


_running = WeakSet[asyncio.AbstractEventLoop]()


def _leave_to_the_parent() -> None:
    """Have a forked child, where nothing runs on, not complain of the tasks that are its parent's."""
    for loop in list(_running):
        loop.set_exception_handler(_say_nothing)


def _say_nothing(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Be told of something that went wrong."""


if hasattr(os, "register_at_fork"):  # where there is no fork, there is no such function
    os.register_at_fork(after_in_child=_leave_to_the_parent)


def _ended() -> ClosedError:
    return ClosedError("It was closed before this call had ended.")
