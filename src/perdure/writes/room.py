"""Back-pressure: how many accepted writes there may be, and who waits for the next place."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from perdure.errors import ClosedError, QueueFullError

T = TypeVar("T")


class _Waiter(Generic[T]):
    __slots__ = ("accept", "outcome", "size")

    def __init__(self, size: int, accept: Callable[[], tuple[T, bool]]) -> None:
        self.size = size
        self.accept = accept
        self.outcome: asyncio.Future[T] = asyncio.get_running_loop().create_future()


class Room(Generic[T]):
    """Counts writes and bytes against their limits, and hands places out in the order they were asked for.

    Whoever waits says what to do with its place; that is done the moment the place is free, before anybody else can
    come, so that nobody overtakes. `on_exhausted` is called whenever only a commit can make room.
    """

    def __init__(self, max_count: int, max_bytes: int) -> None:
        self.max_count = max_count
        self.max_bytes = max_bytes
        self.count = 0
        self.bytes = 0
        self.high_water = 0
        self.on_exhausted: Callable[[], None] = lambda: None
        self._waiting: deque[_Waiter[T]] = deque()

    def restore(self, count: int, size: int) -> None:
        """Give places to writes that were accepted before this process began, whether there are as many or not."""
        self.count += count
        self.bytes += size

    def exhausted(self) -> bool:
        """Return whether only a commit can make room for the next write."""
        return self.count >= self.max_count or bool(self._waiting)

    def take(self, size: int) -> bool:
        """Take a place now if there is one and nobody is waiting for it."""
        if self._waiting or not self._fits(size):
            return False
        self._occupy(size)
        if self.count == self.max_count:
            self.on_exhausted()
        return True

    async def wait(
        self,
        size: int,
        timeout: float | None,  # noqa: ASYNC109  as submit
        accept: Callable[[], tuple[T, bool]],
    ) -> T:
        """Take a place when it is this caller's turn, and return what `accept` made of it then.

        `accept` returns that, and whether it needs the place. Raises QueueFullError after `timeout` seconds,
        ClosedError when no more places will be given, and what `accept` raises, which then holds no place.
        A caller that is cancelled before its turn holds none either.
        """
        waiter = _Waiter(size, accept)
        self._waiting.append(waiter)
        self.on_exhausted()
        try:
            async with asyncio.timeout(timeout):
                return await waiter.outcome
        except TimeoutError:
            if waiter.outcome.done() and not waiter.outcome.cancelled():
                return waiter.outcome.result()
            self._withdraw(waiter)
            raise full(self, waited=timeout) from None
        except asyncio.CancelledError:
            self._withdraw(waiter)
            raise

    def give_back(self, count: int, size: int) -> bool:
        """Free places, and return whether somebody was waiting for them."""
        self.count -= count
        self.bytes -= size
        return self._admit()

    def shut(self) -> None:
        """Turn away everyone who waits."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.outcome.done():
                waiter.outcome.set_exception(ClosedError("The client was closed while this write waited for room."))

    def _fits(self, size: int) -> bool:
        return self.count < self.max_count and self.bytes + size <= self.max_bytes

    def _occupy(self, size: int) -> None:
        self.count += 1
        self.bytes += size
        self.high_water = max(self.high_water, self.count)

    def _admit(self) -> bool:
        admitted = False
        while self._waiting and self._fits(self._waiting[0].size):
            waiter = self._waiting.popleft()
            if not waiter.outcome.done():
                admitted = self._hand_over(waiter) or admitted
        return admitted

    def _hand_over(self, waiter: _Waiter[T]) -> bool:
        self._occupy(waiter.size)
        needed = False
        try:
            outcome, needed = waiter.accept()
            waiter.outcome.set_result(outcome)
        except BaseException as error:
            waiter.outcome.set_exception(error)
            if not isinstance(error, Exception):
                raise
        finally:
            if not needed:
                self.count -= 1
                self.bytes -= waiter.size
        return needed

    def _withdraw(self, waiter: _Waiter[T]) -> None:
        """Leave the queue; those behind may fit where this one did not."""
        if waiter in self._waiting:
            self._waiting.remove(waiter)
            self._admit()


def full(room: Room[T], waited: float | None = None) -> QueueFullError:
    """Return the error for a write that found no room."""
    after = "" if waited is None else f" after {waited:g} s"
    return QueueFullError(
        f"{room.count} of {room.max_count} writes ({room.bytes} of {room.max_bytes} bytes) are pending{after}; this "
        "one was not accepted.",
        hint="Submit it again later, raise the limits (max_pending, max_pending_bytes, max_journal_bytes), or look in "
        "write_errors and stats() for what holds it up.",
    )
