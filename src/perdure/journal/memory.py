"""A journal that ends with the process: *accepted* means held in memory."""

import secrets
from collections.abc import Sequence

from perdure.records import JournalEntry


class MemoryJournal:
    """Keeps nothing beside what the writer holds in its lanes.

    Its identity is new at each start, so the lanes it owns in the store are nobody else's.
    """

    durable = False
    epoch = 1
    next_seq = 0

    def __init__(self) -> None:
        self.identity = f"memory-{secrets.token_hex(8)}"

    async def open(self) -> Sequence[JournalEntry]:
        """Return nothing: no earlier owner can have left anything."""
        return ()

    def append(self, entry: JournalEntry) -> None:
        """Accept a write at once."""

    def settle(self, entries: Sequence[JournalEntry], error: Exception | None = None) -> None:
        """Let go of settled writes."""

    async def close(self) -> None:
        """Do nothing; what is pending is the writer's to report."""
