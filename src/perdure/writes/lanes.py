"""Lanes: queues whose writes are committed strictly in order, and the binding of ordering keys to them."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from perdure.writes.receipts import Receipt


class Lane:
    """Accepted writes in order, and the one reader who is woken when there is enough to send."""

    def __init__(
        self, number: int, *, max_batch: int, max_batch_bytes: int, linger: float, exhausted: Callable[[], bool]
    ) -> None:
        self.number = number
        self.queue: deque[Receipt] = deque()
        self.bytes = 0
        self._max_batch = max_batch
        self._max_batch_bytes = max_batch_bytes
        self._linger = linger
        self._linger_from = 0.0
        self._exhausted = exhausted
        self._hurry_to = -1
        self._wake_at = 1
        self._sleeper: asyncio.Future[None] | None = None

    def push(self, receipt: Receipt) -> None:
        """Add a write at the end; wake the reader when it is worth it."""
        self.queue.append(receipt)
        self.bytes += receipt.entry.size
        if self._sleeper is not None and (len(self.queue) >= self._wake_at or self.bytes >= self._max_batch_bytes):
            self._wake()

    def pop(self, count: int) -> list[Receipt]:
        """Remove settled writes from the front."""
        settled = [self.queue.popleft() for _ in range(count)]
        self.bytes -= sum(receipt.entry.size for receipt in settled)
        return settled

    def hurry(self, seq: int) -> None:
        """Stop waiting for company for every write up to `seq`."""
        if seq > self._hurry_to:
            self._hurry_to = seq
            if self.queue:
                self._wake()

    def nudge(self) -> None:
        """Look again at whether to wait for company: there is no room for any."""
        if self.queue:
            self._wake()

    def linger_anew(self) -> None:
        """Wait for company from now on: those who waited for room are about to bring it.

        Otherwise one partial batch would make the next one partial, and so on for as long as the room stays full.
        """
        self._linger_from = asyncio.get_running_loop().time()

    async def ready(self) -> None:
        """Return when there is something to send and it is full enough, old enough, or in a hurry."""
        while not self.queue:
            await self._sleep(1, None)
        loop = asyncio.get_running_loop()
        while not self._full() and self.queue[0].seq > self._hurry_to and not self._exhausted():
            left = max(self.queue[0].accepted_at, self._linger_from) + self._linger - loop.time()
            if left <= 0:
                return
            await self._sleep(self._max_batch, left)

    def _full(self) -> bool:
        return len(self.queue) >= self._max_batch or self.bytes >= self._max_batch_bytes

    async def _sleep(self, wake_at: int, seconds: float | None) -> None:
        loop = asyncio.get_running_loop()
        self._wake_at = wake_at
        self._sleeper = loop.create_future()
        alarm = None if seconds is None else loop.call_later(seconds, self._wake)
        try:
            await self._sleeper
        finally:
            self._sleeper = None
            if alarm is not None:
                alarm.cancel()

    def _wake(self) -> None:
        if self._sleeper is not None and not self._sleeper.done():
            self._sleeper.set_result(None)


class LaneTable:
    """Which lane a key's writes go to.

    Writes without a key have a lane to themselves. A key is bound to one lane while it has unsettled writes, and to
    the emptiest one when it comes anew, so that keys in use at the same time share a lane only when there are more of
    them than lanes.
    """

    def __init__(
        self, count: int, *, max_batch: int, max_batch_bytes: int, linger: float, exhausted: Callable[[], bool]
    ) -> None:
        self._lanes = [
            Lane(number, max_batch=max_batch, max_batch_bytes=max_batch_bytes, linger=linger, exhausted=exhausted)
            for number in range(count + 1)
        ]
        self._bound: dict[str, tuple[Lane, int]] = {}

    def __iter__(self) -> Iterator[Lane]:
        return iter(self._lanes)

    def __getitem__(self, number: int) -> Lane:
        return self._lanes[number]

    def nudge(self) -> None:
        """Have every lane look again at whether to wait for company."""
        for lane in self._lanes:
            lane.nudge()

    def bind(self, key: str | None) -> Lane:
        """Return the lane for the next write of this key."""
        if key is None:
            return self._lanes[0]
        bound = self._bound.get(key)
        lane, count = bound or (min(self._lanes[1:], key=lambda lane: len(lane.queue)), 0)
        self._bound[key] = (lane, count + 1)
        return lane

    def release(self, settled: Sequence[Receipt]) -> None:
        """Unbind keys whose last write is settled."""
        for receipt in settled:
            key = receipt.entry.key
            if key is not None:
                lane, count = self._bound[key]
                if count == 1:
                    del self._bound[key]
                else:
                    self._bound[key] = (lane, count - 1)
