"""One alarm for many calls, each of which may take equally long: a timer for each costs more than most calls do."""

import asyncio
from types import TracebackType
from typing import Self


class Deadlines:
    """Ends calls whose time has passed, those that began first before the others. For one event loop."""

    def __init__(self) -> None:
        self._running: dict[Deadline, None] = {}
        self._alarm: asyncio.TimerHandle | None = None

    def within(self, seconds: float | None) -> "Deadline":
        """Return the deadline of a call that begins now: to be entered, and left with its end. None is no deadline."""
        return Deadline(self, seconds)

    def watch(self, one: "Deadline") -> None:
        """End a call when its time has come: after those that began before it."""
        self._running[one] = None
        if self._alarm is None:
            self._alarm = asyncio.get_running_loop().call_at(one.due, self._ring)

    def let_go(self, one: "Deadline") -> None:
        """Watch a call no more."""
        del self._running[one]

    def _ring(self) -> None:
        self._alarm = None
        loop = asyncio.get_running_loop()
        for one in [each for each in self._running if not each.passed]:
            if one.due > loop.time():
                self._alarm = loop.call_at(one.due, self._ring)
                return
            one.end()


class Deadline:
    """Cancels the task that entered it when its time has passed, and raises TimeoutError in its place."""

    __slots__ = ("_cancelling", "_deadlines", "_seconds", "_task", "due", "passed")

    def __init__(self, deadlines: Deadlines, seconds: float | None) -> None:
        self._deadlines = deadlines
        self._seconds = seconds
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self.due = 0.0
        self.passed = False
        """Whether the time had passed before the call ended."""

    def __enter__(self) -> Self:
        self._task = asyncio.current_task()
        if self._seconds is not None and self._task is not None:
            self._cancelling = self._task.cancelling()
            self.due = asyncio.get_running_loop().time() + self._seconds
            self._deadlines.watch(self)
        return self

    def __exit__(self, _: object, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.due:
            self._deadlines.let_go(self)
        if self.passed and self._task is not None:
            asked_by_nobody_else = self._task.uncancel() <= self._cancelling
            if asked_by_nobody_else and isinstance(error, asyncio.CancelledError):
                raise TimeoutError from error

    def end(self) -> None:
        """Cancel the call."""
        self.passed = True
        if self._task is not None:
            self._task.cancel()
