"""The part of a lane that is in the journal only: what came while much was waiting, or before this process began."""

import time
from collections.abc import Callable, Sequence
from time import monotonic
from weakref import WeakValueDictionary

from perdure.errors import JournalError
from perdure.protocols import Journal
from perdure.records import JournalEntry
from perdure.writes.receipts import Receipt

BATCHES_IN_MEMORY = 4


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
        self._max_count = BATCHES_IN_MEMORY * max_batch
        self._max_bytes = BATCHES_IN_MEMORY * max_batch_bytes
        self._held: WeakValueDictionary[int, Receipt] = WeakValueDictionary()

    def begins_behind(self, count: int, size: int) -> bool:
        """Return whether that much of the lane is all that should be in memory."""
        return count >= self._max_count or size >= self._max_bytes

    def add(self, receipt: Receipt) -> None:
        """Leave a write to the journal."""
        self.count += 1
        self._held[receipt.seq] = receipt

    async def fetch(self) -> Sequence[Receipt]:
        """Return the next writes, in order."""
        entries = await self._journal.read(self._lane, self.after, self._max_count, self._max_bytes)
        if not entries:
            raise JournalError(f"{self.count} writes of lane {self._lane} are missing from the journal.")
        self.count -= len(entries)
        return [self._held.pop(entry.seq, None) or self._receipt(entry) for entry in entries]

    def held(self) -> Sequence[Receipt]:
        """Return the receipts that somebody holds, in order."""
        return [receipt for _, receipt in sorted(self._held.items())]

    def _receipt(self, entry: JournalEntry) -> Receipt:
        receipt = Receipt(entry, monotonic() - max(0.0, time.time() - entry.accepted_at), self._hurry)
        receipt.keep()
        return receipt
