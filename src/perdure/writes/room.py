"""Back-pressure: how many accepted writes there may be, and who waits for the next place."""

import asyncio
from collections import deque
from dataclasses import dataclass, field

from perdure.errors import ClosedError, QueueFullError


@dataclass(slots=True, eq=False)
class _Waiter:
    size: int
    granted: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Room:
    """Counts writes and bytes against their limits, and hands places out in the order they were asked for.

    A place that was granted but not yet taken up keeps later callers waiting, so that nobody overtakes.
    """

    def __init__(self, max_count: int, max_bytes: int) -> None:
        self.max_count = max_count
        self.max_bytes = max_bytes
        self.count = 0
        self.bytes = 0
        self.high_water = 0
        self._waiting: deque[_Waiter] = deque()
        self._granted = 0

    @property
    def contended(self) -> bool:
        """Whether somebody is waiting for a place."""
        return bool(self._waiting) or self._granted > 0

    def take(self, size: int) -> bool:
        """Take a place now if there is one and nobody is waiting for it."""
        if self._waiting or self._granted or not self._fits(size):
            return False
        self._occupy(size)
        return True

    async def wait(self, size: int, timeout: float | None) -> None:  # noqa: ASYNC109  the surface's own name
        """Take a place when it is this caller's turn.

        Raises QueueFullError after `timeout` seconds, ClosedError when no more places will be given. A caller that is
        cancelled holds no place.
        """
        waiter = _Waiter(size)
        self._waiting.append(waiter)
        if not self._granted:
            self._grant()
        try:
            async with asyncio.timeout(timeout):
                await waiter.granted
        except TimeoutError:
            self._withdraw(waiter)
            raise full(self, waited=timeout) from None
        except BaseException:
            self._withdraw(waiter)
            raise
        self._granted -= 1
        self._grant()

    def give_back(self, count: int, size: int) -> None:
        """Free places, and grant them to those who wait."""
        self.count -= count
        self.bytes -= size
        self._grant()

    def shut(self) -> None:
        """Turn away everyone who waits."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.granted.done():
                waiter.granted.set_exception(ClosedError("The client was closed while this write waited for room."))

    def _fits(self, size: int) -> bool:
        return self.count < self.max_count and self.bytes + size <= self.max_bytes

    def _occupy(self, size: int) -> None:
        self.count += 1
        self.bytes += size
        self.high_water = max(self.high_water, self.count)

    def _grant(self) -> None:
        while self._waiting and self._fits(self._waiting[0].size):
            waiter = self._waiting.popleft()
            if not waiter.granted.done():
                self._occupy(waiter.size)
                self._granted += 1
                waiter.granted.set_result(None)

    def _withdraw(self, waiter: _Waiter) -> None:
        """Leave the queue, giving back a place that was granted too late."""
        if waiter in self._waiting:
            self._waiting.remove(waiter)
        elif waiter.granted.done() and not waiter.granted.cancelled() and waiter.granted.exception() is None:
            self._granted -= 1
            self.give_back(1, waiter.size)
        self._grant()


def full(room: Room, waited: float | None = None) -> QueueFullError:
    """Return the error for a write that found no room."""
    after = "" if waited is None else f" after {waited:g} s"
    return QueueFullError(
        f"{room.count} of {room.max_count} writes ({room.bytes} of {room.max_bytes} bytes) are pending{after}; this "
        "one was not accepted.",
        hint="Submit it again later, raise max_pending, or look in write_errors and stats() for what holds it up.",
    )
