"""What makes an asynchronous memory, or client, usable from any thread: connected when it is first used, once."""

from collections.abc import Awaitable, Callable
from threading import Lock
from typing import Any, Generic, Protocol, TypeVar

from perdure.errors import ClosedError
from perdure.records import CloseReport
from perdure.runtime.home import Process
from perdure.sync.loop import Loop, refuse_to_block

T = TypeVar("T")


class Connectable(Protocol):
    """A Memory, or a MemoryClient."""

    async def connect(self) -> Any:
        """Open what it works with."""
        ...

    async def close(self, timeout: float | None = None) -> CloseReport | None:  # noqa: ASYNC109  as the client's
        """Finish, and let go of it."""
        ...


C = TypeVar("C", bound=Connectable)


class Connection(Generic[C]):
    """Owns an event loop for `target`, or runs it on the loop of another connection, which stays open."""

    def __init__(self, target: C, *, lender: "Connection[Any] | None" = None) -> None:
        self.target = target
        self._lender = lender
        self._loop: Loop = lender.loop if lender else Loop()
        self._lock = Lock()
        self._process: Process | None = None
        self._open = False
        self._closed = False
        self._report: CloseReport | None = None

    @property
    def loop(self) -> Loop:
        """Where it runs."""
        return self._loop

    def run(self, work: Callable[[], Awaitable[T] | T]) -> T:
        """Return what `work` returns on the event loop. Raises ClosedError, and ConfigError where it must not block."""
        self.open()
        return self._loop.run(work)

    def open(self) -> None:
        """Connect, unless that is done; other threads wait meanwhile. Where it fails, the next call tries anew."""
        self._check()
        if not self._open:
            with self._lock:
                if not self._open:
                    self._connect()

    def connect(self) -> None:
        """Connect now. Raises what `target.connect` raises."""
        self._check()
        with self._lock:
            if self._open:
                self._loop.run(self.target.connect)
            else:
                self._connect()

    def _connect(self) -> None:
        if self._closed:
            raise self._refusal()
        if self._lender is not None:
            self._lender.open()
            self._loop.run(self.target.connect)
        else:
            self._loop.start()
            try:
                self._loop.run(self.target.connect)
            except BaseException:
                self._loop.stop()
                raise
        self._open = True

    def close(self, timeout: float | None = None) -> CloseReport | None:
        """Close the target, and end the loop where it is ours. Safe to call again."""
        self._check(closing=True)
        with self._lock:
            if not self._closed:
                self._closed = True
                self._shut(timeout)
        return self._report

    def _shut(self, timeout: float | None) -> None:
        if self._lender is not None:
            if self._open:
                self._report = self._loop.run(lambda: self.target.close(timeout))
            return
        if not self._open:
            self._loop.start()
        try:
            self._report = self._loop.run(lambda: self.target.close(timeout))
        finally:
            self._loop.stop()

    def _check(self, *, closing: bool = False) -> None:
        """Note the process before anybody takes the lock: in a forked child it could be held for ever."""
        process = self._process
        if process is None:
            self._process = process = Process()
        process.check()
        refuse_to_block(type(self.target).__name__)
        if self._closed and not closing:
            raise self._refusal()

    def _refusal(self) -> ClosedError:
        what = "client" if type(self.target).__name__.endswith("Client") else "memory"
        return ClosedError(f"This {what} is closed.", hint="Make a new one.")
