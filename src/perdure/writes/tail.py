"""The part of a lane that is in the journal only: what came while much was waiting, or before this process began."""

import time
from collections.abc import Callable, Sequence
from time import monotonic
from weakref import WeakValueDictionary

from perdure.errors import JournalError
from perdure.protocols import Journal
from perdure.records import JournalEntry
from perdure.writes.receipts import Receipt

BATCHES_IN_MEMORY = 50
MOST_BYTES_IN_MEMORY = 8 * 1024 * 1024
BATCHES_READ_AT_ONCE = 4


class Tail:
    """Keeps the memory of a long queue bounded: its writes are read back from the journal when their turn comes.

    A receipt that somebody still holds is the one that comes back; nobody else's is kept.
    """

    def __init__(
        self, journal: Journal, lane: int, hurry: Callable[[Receipt], None], *, max_batch: int, max_batch_bytes: int
    ) -> None:
        self.count = 0
        self.after = -1
        """The newest number that was brought into memory."""
        self._journal = journal
        self._lane = lane
        self._hurry = hurry
        self._most = BATCHES_IN_MEMORY * max_batch
        self._page = BATCHES_READ_AT_ONCE * max_batch
        self._page_bytes = BATCHES_READ_AT_ONCE * max_batch_bytes
        self._held: WeakValueDictionary[int, Receipt] = WeakValueDictionary()

    def begins_behind(self, count: int, size: int) -> bool:
        """Return whether that much of the lane is all that should be in memory."""
        return count >= self._most or size >= MOST_BYTES_IN_MEMORY

    def add(self, receipt: Receipt) -> None:
        """Leave a write to the journal."""
        self.count += 1
        self._held[receipt.seq] = receipt

    async def fetch(self) -> Sequence[Receipt]:
        """Return the next writes, in order."""
        entries = await self._journal.read(self._lane, self.after, self._page, self._page_bytes)
        if not entries:
            raise JournalError(f"{self.count} writes of lane {self._lane} are missing from the journal.")
        self.count -= len(entries)
        moment = monotonic(), time.time()
        return [self._receipt(entry, *moment) for entry in entries]

    def held(self) -> Sequence[Receipt]:
        """Return the receipts that somebody holds, in order."""
        return [receipt for _, receipt in sorted(self._held.items())]

    def _receipt(self, entry: JournalEntry, now: float, since_1970: float) -> Receipt:
        """Return the receipt that somebody holds, or a new one."""
        if self._held and (held := self._held.pop(entry.seq, None)) is not None:
            return held
        receipt = Receipt(entry, now - max(0.0, since_1970 - entry.accepted_at), self._hurry)
        receipt.keep()
        return receipt
