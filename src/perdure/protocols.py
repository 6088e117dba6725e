"""The extension surface on one page: what a store or a journal must do to stand behind Perdure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from perdure.errors import JournalError
from perdure.records import Backlog, Batch, DeadLetter, JournalEntry, LaneMark, LaneState


@runtime_checkable
class GraphStore(Protocol):
    """A database that speaks Cypher.

    Every method raises StoreUnavailableError when the same call may succeed later and StatementRejectedError when
    it will not; nothing else is expected to escape. Parameters have passed `values.snapshot` before they arrive.
    """

    @property
    def name(self) -> str:
        """How the store is called in messages: its kind and its address, without secrets."""
        ...

    async def connect(self) -> None:
        """Open the store, or say within seconds why that cannot be and what to do.

        Raises ConfigError when what was configured cannot work and StoreUnavailableError when it may work later.
        """
        ...

    async def close(self) -> None:
        """Release everything. Safe to call twice, and after a connect that failed."""
        ...

    async def read(self, statement: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Run a statement that may not write; raises InputError when it tries to."""
        ...

    async def write(self, statement: str, parameters: Mapping[str, Any]) -> None:
        """Run one statement in one transaction, and return when it is committed."""
        ...

    async def apply(self, batch: Batch) -> int:
        """Commit a prefix of a batch in one transaction and exactly once; return how many entries, at least one.

        The lane's mark (the highest `seq` applied) is read and written in that same transaction, so that a batch
        sent again after a lost answer changes nothing. Entries at or below the mark count as applied. Raises
        StatementRejectedError, with nothing applied, when one of the statements cannot be run.
        """
        ...

    async def take_over(self, owner: str, lanes: Sequence[str], epoch: int) -> Sequence[LaneMark]:
        """Become the owner of lanes, and return how far each is applied.

        These `lanes`, made where they are not there, and every other lane whose name begins with `owner` and a slash.
        Each gets an epoch of at least `epoch`, and higher than it had: from here on earlier owners apply nothing.
        """
        ...

    async def forget_lanes(self, lanes: Sequence[str]) -> None:
        """Remove the marks of lanes whose journal ends with this process."""
        ...


@runtime_checkable
class Journal(Protocol):
    """The queue of accepted, not yet settled writes: it decides what *accepted* means.

    Methods that touch a disk raise JournalError; nothing else is expected to escape.
    """

    @property
    def durable(self) -> bool:
        """Whether what is in it outlives this process."""
        ...

    @property
    def name(self) -> str:
        """How the journal is called in messages."""
        ...

    @property
    def max_bytes(self) -> int | None:
        """How many bytes of writes it may hold, if it sets a limit of its own."""
        ...

    @property
    def trouble(self) -> str:
        """Why nothing can be written to it any more, or an empty text."""
        ...

    @property
    def identity(self) -> str:
        """After `open`: a name that no other journal has; lanes in the store carry it."""
        ...

    @property
    def epoch(self) -> int:
        """After `open`: the owner's number, higher at each opening of the same journal."""
        ...

    @property
    def next_seq(self) -> int:
        """After `open` and `resume`: the first number that no earlier owner gave to a write."""
        ...

    @property
    def findings(self) -> Sequence[str]:
        """What was wrong with it when it was opened and is mended or bearable, a sentence each."""
        ...

    async def open(self) -> Mapping[int, LaneState]:
        """Take the journal over, and return how far each of its lanes is settled."""
        ...

    async def resume(self, applied: Mapping[int, int]) -> Backlog:
        """Let go of what the store has applied already, by lane, and return what is left to commit."""
        ...

    def on_kept(self, told: Callable[[Sequence[JournalEntry], JournalError | None], None]) -> None:
        """Have this called, on the event loop, with writes that are kept now, or with why they could not be."""
        ...

    def append(self, entry: JournalEntry, replacing: int | None = None) -> bool:
        """Keep a write. True: it is kept already; False: `on_kept` will tell.

        `replacing` is the number of the dead letter that it stands for again, which goes in the same breath.
        """
        ...

    async def read(self, lane: int, after: int, max_count: int, max_bytes: int) -> Sequence[JournalEntry]:
        """Return the next writes of a lane behind a number, in order: at least one if there are any."""
        ...

    def settle(self, lane: int, up_to: int) -> None:
        """Let go of a lane's writes up to a number: they are in the store."""
        ...

    async def bury(self, entry: JournalEntry, error: str, code: str) -> None:
        """Keep a write that failed for good as a dead letter; it is one when this returns."""
        ...

    async def letters(self, limit: int | None) -> Sequence[DeadLetter]:
        """Return the newest dead letters, oldest first."""
        ...

    async def letter(self, seq: int) -> DeadLetter:
        """Return one dead letter; raises NotFoundError."""
        ...

    async def drop_letters(self, seqs: Sequence[int]) -> int:
        """Remove dead letters, and return how many there were."""
        ...

    async def orphans(self) -> Sequence["Journal"]:
        """Return journals for the same graph that nobody holds any more, opened."""
        ...

    async def adopted(self, journal: str) -> Mapping[int, int]:
        """Return how much of an orphan was taken over before, by lane; `records.LETTERS` is for its dead letters."""
        ...

    async def adopt(self, journal: str, entries: Sequence[tuple[JournalEntry, JournalEntry]]) -> None:
        """Take over an orphan's writes, whole or not at all: each as it stands there, and as it stands here."""
        ...

    async def adopt_letters(self, journal: str, letters: Sequence[DeadLetter], first_seq: int) -> None:
        """Take over an orphan's dead letters, whole or not at all, under numbers from `first_seq` on."""
        ...

    async def remove(self) -> None:
        """Close the journal for good: all that was in it is taken over."""
        ...

    async def close(self) -> None:
        """Write what is left to write and release the journal. Safe to call twice."""
        ...

    def abandon(self) -> None:
        """Do the same at once, for an event loop that ends without it."""
        ...


@runtime_checkable
class LocalJournal(Journal, Protocol):
    """A journal in a directory of this machine."""

    async def has_writes_left(self) -> bool:
        """Return, without opening it, whether an earlier run has left writes for this graph that nobody drains."""
        ...
