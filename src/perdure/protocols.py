"""The extension surface on one page: what a store or a journal must do to stand behind Perdure."""

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from perdure.records import Batch, JournalEntry


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

    async def forget_lanes(self, lanes: Sequence[str]) -> None:
        """Remove the marks of lanes whose journal ends with this process."""
        ...


@runtime_checkable
class Journal(Protocol):
    """The queue of accepted, not yet settled writes: it decides what *accepted* means."""

    @property
    def durable(self) -> bool:
        """Whether what is in it outlives this process."""
        ...

    @property
    def identity(self) -> str:
        """A name for this journal that no other journal has; lanes in the store carry it."""
        ...

    @property
    def epoch(self) -> int:
        """The owner's number, higher at each opening of the same journal."""
        ...

    @property
    def next_seq(self) -> int:
        """After `open`: the first number that no earlier owner gave to a write."""
        ...

    async def open(self) -> Sequence[JournalEntry]:
        """Take the journal over and return what an earlier owner left in it, in order."""
        ...

    def append(self, entry: JournalEntry) -> Awaitable[None] | None:
        """Keep a write. None means it is kept already; otherwise it is once the awaitable is done."""
        ...

    def settle(self, entries: Sequence[JournalEntry], error: Exception | None = None) -> None:
        """Let go of writes that are committed, or keep them as dead letters when `error` says why they failed."""
        ...

    async def close(self) -> None:
        """Write what is left to write and release the journal. Safe to call twice."""
        ...
