"""Lanes: queues whose writes are committed strictly in order, and the binding of ordering keys to them."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from perdure.records import Backlog
from perdure.writes.receipts import Receipt
from perdure.writes.tail import Tail


class Pace(NamedTuple):
    """When a lane has enough to send, and how long it waits for that."""

    max_batch: int
    max_batch_bytes: int
    linger: float


class Lane:
    """Accepted writes in order, and the one reader who is woken when there is enough to send.

    Where the journal is on disk, only the first of them are in memory; the others are its `tail`.
    """

    def __init__(self, number: int, pace: Pace, exhausted: Callable[[], bool], tail: Tail | None) -> None:
        self.number = number
        self.queue: deque[Receipt] = deque()
        self.bytes = 0
        self.tail = tail
        self._pace = pace
        self._linger_from = 0.0
        self._exhausted = exhausted
        self._hurry_to = -1
        self._wake_at = 1
        self._sleeper: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        return len(self.queue) + (self.tail.count if self.tail else 0)

    def push(self, receipt: Receipt) -> None:
        """Add a write at the end; wake the reader when it is worth it."""
        if self.tail is not None and (self.tail.count or self.tail.begins_behind(len(self.queue), self.bytes)):
            self.tail.add(receipt)
            return
        self._take(receipt)
        if self._sleeper is not None and (len(self.queue) >= self._wake_at or self.bytes >= self._pace.max_batch_bytes):
            self._wake()

    def _take(self, receipt: Receipt) -> None:
        self.queue.append(receipt)
        self.bytes += receipt.entry.size
        if self.tail is not None:
            self.tail.after = receipt.seq

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
        while not await self._filled():
            await self._sleep(1, None)
        loop = asyncio.get_running_loop()
        while not self._full() and self.queue[0].seq > self._hurry_to and not self._exhausted():
            left = max(self.queue[0].accepted_at, self._linger_from) + self._pace.linger - loop.time()
            if left <= 0:
                return
            await self._sleep(self._pace.max_batch, left)

    async def _filled(self) -> bool:
        """Bring writes in from the tail when there are few in memory; return whether there are any now."""
        if self.tail is not None and self.tail.count and not self._full():
            for receipt in await self.tail.fetch():
                self._take(receipt)
        return bool(self.queue)

    def _full(self) -> bool:
        return len(self.queue) >= self._pace.max_batch or self.bytes >= self._pace.max_batch_bytes

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

    def __init__(self, count: int, pace: Pace, exhausted: Callable[[], bool]) -> None:
        self._pace = pace
        self._exhausted = exhausted
        self._lanes = {number: Lane(number, pace, exhausted, None) for number in range(count + 1)}
        self._for_keys = [self._lanes[number] for number in range(1, count + 1)]
        self._bound: dict[str, tuple[Lane, int]] = {}

    def __iter__(self) -> Iterator[Lane]:
        return iter(self._lanes.values())

    def __getitem__(self, number: int) -> Lane:
        return self._lanes[number]

    def restore(self, backlog: Backlog, tail: Callable[[int], Tail]) -> None:
        """Give lanes a tail in the journal, and what an earlier owner left there.

        A lane that was configured then and is not now stays until it is drained, and for keys that are in it.
        """
        for number in self._lanes.keys() | backlog.lanes.keys():
            lane = self._lanes.setdefault(number, Lane(number, self._pace, self._exhausted, None))
            lane.tail = tail(number)
            lane.tail.count = backlog.lanes.get(number, (0, 0))[0]
        self._bound = {key: (self._lanes[number], count) for key, (number, count) in backlog.keys.items()}

    def nudge(self) -> None:
        """Have every lane look again at whether to wait for company."""
        for lane in self:
            lane.nudge()

    def bind(self, key: str | None) -> Lane:
        """Return the lane for the next write of this key."""
        if key is None:
            return self._lanes[0]
        bound = self._bound.get(key)
        lane, count = bound or (min(self._for_keys, key=len), 0)
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
