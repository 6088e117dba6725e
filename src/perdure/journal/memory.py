"""A journal that ends with the process: *accepted* means held in memory."""

import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from perdure.errors import JournalError
from perdure.journal.letters import existing
from perdure.records import Backlog, DeadLetter, JournalEntry, LaneState

MOST_LETTERS = 1000


class MemoryJournal:
    """Keeps nothing beside what the writer holds in its lanes, and the newest 1,000 dead letters.

    Its identity is new at each start, so the lanes it owns in the store are nobody else's.
    """

    durable = False
    name = "memory"
    trouble = ""
    max_bytes = None
    epoch = 1
    next_seq = 0
    findings: Sequence[str] = ()

    def __init__(self) -> None:
        self.identity = f"memory-{secrets.token_hex(8)}"
        self._letters: OrderedDict[int, DeadLetter] = OrderedDict()

    async def open(self) -> Mapping[int, LaneState]:
        """Return nothing: no earlier owner can have left anything."""
        return {}

    async def resume(self, applied: Mapping[int, int]) -> Backlog:
        """Return nothing, for the same reason."""
        return Backlog()

    def on_kept(self, told: Callable[[Sequence[JournalEntry], JournalError | None], None]) -> None:
        """Tell nothing later: `append` keeps at once."""

    def append(self, entry: JournalEntry, replacing: int | None = None) -> bool:
        """Accept a write at once."""
        if replacing is not None:
            self._letters.pop(replacing, None)
        return True

    async def read(self, lane: int, after: int, max_count: int, max_bytes: int) -> Sequence[JournalEntry]:
        """Return nothing: lanes hold all there is."""
        return ()

    def settle(self, lane: int, up_to: int) -> None:
        """Let go of settled writes."""

    async def bury(self, entry: JournalEntry, error: str, code: str) -> None:
        """Keep a dead letter, letting the oldest go when there are too many."""
        now = datetime.now(UTC)
        self._letters[entry.seq] = DeadLetter(
            entry.seq,
            entry.key,
            entry.statement,
            entry.parameters,
            error,
            code,
            entry.failures + 1,
            now,
            now,
            entry.size,
        )
        if len(self._letters) > MOST_LETTERS:
            self._letters.popitem(last=False)

    async def letters(self, limit: int | None) -> Sequence[DeadLetter]:
        """Return the newest dead letters, oldest first."""
        letters = list(self._letters.values())
        return letters if limit is None else letters[max(0, len(letters) - limit) :]

    async def letter(self, seq: int) -> DeadLetter:
        """Return one dead letter; raises NotFoundError."""
        return existing(seq, self._letters.get(seq))

    async def drop_letters(self, seqs: Sequence[int]) -> int:
        """Remove dead letters, and return how many there were."""
        return sum(self._letters.pop(seq, None) is not None for seq in seqs)

    async def orphans(self) -> Sequence["MemoryJournal"]:
        """Return nothing: what was in memory is gone."""
        return ()

    async def adopted(self, journal: str) -> Mapping[int, int]:
        """Return nothing."""
        return {}

    async def adopt(self, journal: str, entries: Sequence[tuple[JournalEntry, JournalEntry]]) -> None:
        """Do nothing: lanes hold all there is."""

    async def adopt_letters(self, journal: str, letters: Sequence[DeadLetter], first_seq: int) -> None:
        """Keep dead letters of another journal."""
        for seq, letter in enumerate(letters, first_seq):
            self._letters[seq] = letter

    async def remove(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing; what is pending is the writer's to report."""

    def abandon(self) -> None:
        """Do nothing."""
