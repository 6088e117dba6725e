"""What makes an asynchronous memory, or client, usable from any thread: connected when it is first used, once."""

import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from threading import RLock
from typing import Any, Generic, Protocol, TypeVar

from perdure.errors import ClosedError, PerdureError
from perdure.records import CloseReport
from perdure.runtime.home import Process
from perdure.sync import ending
from perdure.sync.loop import Call, Loop, Work, refuse_to_block
from perdure.telemetry import WRITES

T = TypeVar("T")
GRACE = 1.0
"""Seconds beyond a deadline, for what closes by it to say so."""


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
    """Connects `target` on an event loop of its own, or on that of `lender`, which it closes too if it `owns` it.

    `on_sigterm` says whether SIGTERM should close it.
    """

    def __init__(
        self, target: C, *, lender: "Connection[Any] | None" = None, owns: bool = True, on_sigterm: bool = False
    ) -> None:
        self.target = target
        self.on_sigterm = on_sigterm
        self._lender = lender
        self._owns = owns
        self.loop = lender.loop if lender else Loop()
        self._lock = RLock()  # a signal's handler may close what the code it interrupts connects
        self._process: Process | None = None
        self._connected = False
        self.closed = False
        self._report = CloseReport(0, 0, 0, kept=False) if owns else None
        self.borrowers: list[Connection[Any]] = []

    # -- calls

    def run(self, work: Work[T]) -> T:
        """Return what `work` returns on the event loop.

        Raises ClosedError, ConfigError where it must not block and in a forked child, and what connecting raises.
        """
        try:
            self.open()
            return self.loop.run(work)
        except ClosedError:
            ending.hold_back()
            raise

    def entered(self, work: Callable[[], AbstractAsyncContextManager[T]]) -> AbstractContextManager[T]:
        """Return a context manager that enters and leaves the one that `work` makes."""
        return self.loop.entered(self.run(work))

    def look(self) -> C:
        """Return the target, to be read only; after close as well."""
        if not self.closed:
            self.open()
        return self.target

    def open(self) -> None:
        """Connect, unless that is done; other threads wait meanwhile. Where it fails, the next call tries anew."""
        self.check()
        if not self._connected:
            with self._lock:
                if not self._connected:
                    self._connect()

    def connect(self) -> None:
        """Connect now. Raises what the target's `connect` raises, also when that is done already."""
        self.check()
        with self._lock:
            if self._connected:
                self.loop.run(self.target.connect)
            else:
                self._connect()

    def _connect(self) -> None:
        self.check()
        if self._lender is None:
            self.loop.start()
        else:
            self._lender.open()
        try:
            self.loop.run(self.target.connect)
        except BaseException:
            if self._lender is None:
                self.loop.stop()
            elif self._owns:
                self._lender.close()
            raise
        self._connected = True
        if self._lender is None:
            ending.opened(self)
        else:
            self._lender.borrowers.append(self)

    def check(self, *, closing: bool = False) -> None:
        """Raise ConfigError or ClosedError where it cannot be used.

        It notes the process before anybody takes the lock: in a forked child that could be held for ever.
        """
        process = self._process
        if process is None:
            self._process = process = Process()
        process.check()
        refuse_to_block(type(self.target).__name__)
        if closing:
            return
        if self.closed:
            raise ClosedError(f"This {self._what} is closed.", hint="Make a new one.")
        if self._lender is not None:
            self._lender.check()

    # -- its end

    def close(self, timeout: float | None = None) -> CloseReport | None:
        """Close the target, and what it stands on where that is its own. Safe to call again, from any thread."""
        self.check(closing=True)
        with self._lock:
            if not self.closed:
                self.closed = True
                self._shut(timeout)
        return self._report

    def _shut(self, timeout: float | None) -> None:
        if self._lender is None:
            ending.closed(self)
        elif self in self._lender.borrowers:
            self._lender.borrowers.remove(self)
        try:
            if self._connected and self.loop.running:
                self._report = self.loop.run(lambda: self.target.close(timeout))
        finally:
            if self._lender is None:
                self.loop.stop()
            elif self._owns:
                self._report = self._lender.close(timeout)

    def begin_to_end(self, timeout: float | None) -> Call[None]:
        """Have everything on this loop closed because the process ends; nobody need wait."""
        ours = [*reversed(self.borrowers), self]
        for each in ours:
            each.closed = True
        return self.loop.begin(lambda: _close([each.target for each in ours], timeout))

    def end(self, timeout: float) -> None:
        """Close everything on this loop because the process ends, within about `timeout` seconds."""
        try:
            call = self.begin_to_end(timeout)
            self.loop.wait(call, call.answer, timeout + GRACE)
        except ClosedError:
            return  # another thread was quicker
        except TimeoutError:
            WRITES.error("the end of the process did not wait for a %s that closes for too long", self._what)
        self.loop.stop(GRACE)

    def warn_if_open(self) -> None:
        """Say that nobody can close it any more."""
        if self._connected and not self.closed and self._process is not None and not self._process.left:
            warnings.warn(f"a {self._what} was not closed", ResourceWarning, stacklevel=2)

    @property
    def _what(self) -> str:
        return "client" if type(self.target).__name__.endswith("Client") else "memory"


async def _close(targets: Sequence[Connectable], timeout: float | None) -> None:  # noqa: ASYNC109  as the client's
    for target in targets:
        try:
            await target.close(timeout)
        except PerdureError as error:
            WRITES.error("closing at the end of the process failed: %s", error)
