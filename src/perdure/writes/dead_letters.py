"""Writes that failed for good, and what a person can do about them."""

from collections.abc import Callable, Sequence
from time import monotonic

from perdure.errors import ConfigError
from perdure.protocols import Journal
from perdure.records import DeadLetter
from perdure.writes.acceptance import Acceptance
from perdure.writes.intake import Write, again
from perdure.writes.receipts import Receipt


class DeadLetters:
    """Accepted writes that the store refused for good, kept in the journal with the reason.

    With a journal on disk they stay until they are sent again or dropped; in memory, the newest 1,000 stay until the
    process ends. Every method raises ClosedError when the writer is not open, ConfigError in sync mode, which opens no
    journal of its own, and JournalError when the journal cannot be read or written.
    """

    def __init__(
        self, journal: Journal, acceptance: Acceptance, check_open: Callable[[], None], *, drains: bool
    ) -> None:
        self._journal = journal
        self._acceptance = acceptance
        self._check_writer = check_open
        self._drains = drains

    async def list(self, limit: int = 100) -> Sequence[DeadLetter]:
        """Return the newest dead letters, oldest first."""
        self._check_open()
        return await self._journal.letters(limit)

    async def get(self, seq: int) -> DeadLetter:
        """Return the dead letter of the write that had this number; raises NotFoundError."""
        self._check_open()
        return await self._journal.letter(seq)

    async def redrive(self, seq: int | None = None) -> Sequence[Receipt]:
        """Submit a dead letter again, or all of them in their order, and return the receipts.

        Each is a new write with a new number, behind what is pending; from then on it is no dead letter, unless it
        fails again. Waits for room as `submit` does. Raises NotFoundError, ConfigError in sync mode, and InputError,
        before any is sent, for one that is larger than `max_pending_bytes` is now.
        """
        self._check_open()
        if not self._drains:
            raise ConfigError("A dead letter is sent again in the background.", hint="Set write_mode to 'buffered'.")
        letters = await self._journal.letters(None) if seq is None else [await self._journal.letter(seq)]
        most = self._acceptance.room.max_bytes
        writes = [again(letter, most) for letter in sorted(letters, key=lambda letter: letter.seq)]
        return [await self._submit(write) for write in writes]

    async def drop(self, seq: int | None = None) -> int:
        """Forget a dead letter, or all of them, and return how many that was. Raises NotFoundError."""
        self._check_open()
        letters = await self._journal.letters(None) if seq is None else [await self._journal.letter(seq)]
        return await self._journal.drop_letters([letter.seq for letter in letters])

    async def drop_those(self, parameter: str, value: object) -> int:
        """Forget those that have a parameter of this value, and return how many; none where no journal is open."""
        self._check_writer()
        if not self._has_journal:
            return 0
        letters = await self._journal.letters(None)
        return await self._journal.drop_letters(
            [letter.seq for letter in letters if letter.parameters.get(parameter) == value]
        )

    @property
    def _has_journal(self) -> bool:
        return self._drains or self._journal.durable

    def _check_open(self) -> None:
        self._check_writer()
        if not self._has_journal:
            raise ConfigError("No journal is open in sync mode.", hint="Set write_mode to 'buffered'.")

    async def _submit(self, write: Write) -> Receipt:
        self._acceptance.redriven += 1
        receipt = await self._acceptance.when_there_is_room(write, monotonic(), None)
        return await receipt.accepted()
