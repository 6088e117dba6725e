"""The extension surface on one page: what a store, a journal or an embedder must do to stand behind Perdure."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from perdure.errors import JournalError
from perdure.records import (
    Backlog,
    Batch,
    DeadLetter,
    JournalEntry,
    LaneMark,
    LaneState,
    Revision,
    VectorHit,
    VectorKind,
    VectorQuery,
    VectorRecord,
)

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray


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

    async def write(self, statement: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Run one statement in one transaction, and return its rows when it is committed."""
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


@runtime_checkable
class Embedder(Protocol):
    """Turns texts into vectors: texts that mean the same into vectors that point the same way.

    Its answers are float32 arrays of numpy, a row a text: what every model and every store computes with, so that a
    batch of thousands is never unpacked into Python's numbers. One that has `async def prepare()` is given time with it
    before it is used, to load a model. It is asked for at most 256 texts at a time, none of them blank.
    """

    @property
    def name(self) -> str:
        """Which model it is: two embedders of one name give one text the same vector."""
        ...

    @property
    def dimension(self) -> int:
        """How many numbers a vector has."""
        ...

    async def embed(self, texts: Sequence[str]) -> "NDArray[float32]":
        """Return an array of `len(texts)` rows and `dimension` columns, all finite.

        A row of zeros says that a text means nothing. The event loop is not kept busy.
        """
        ...


@runtime_checkable
class LanguageModel(Protocol):
    """Answers in text.

    Raises ProviderTimeoutError, RateLimitError or ProviderError when it does not; nothing else is expected to escape.
    """

    @property
    def name(self) -> str:
        """How the model is called in messages, without secrets."""
        ...

    async def complete(self, messages: Sequence[Mapping[str, str]], *, schema: Mapping[str, Any] | None = None) -> str:
        """Return the answer to messages of `role` and `content`.

        `schema` is a JSON Schema that the answer should follow; a model that cannot be held to it answers as it can.
        The event loop is not kept busy.
        """
        ...


@runtime_checkable
class Reranker(Protocol):
    """Judges how well texts answer a query, each by itself. Raises ProviderError when it cannot.

    One that has `async def prepare()` is given time with it before it is used.
    """

    @property
    def name(self) -> str:
        """How the reranker is called in messages."""
        ...

    async def rerank(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        """Return a finite score for each text, in their order; higher fits better. The loop is not kept busy."""
        ...


@runtime_checkable
class VectorStore(Protocol):
    """An index that finds memories by meaning and by words, one owner's at a time.

    It is derived from the graph: what is in it can be made again, and `mark` and `revisions` say what is missing.
    Methods raise InputError before any I/O for what they cannot take, StoreUnavailableError when the same call may
    succeed later, and ClosedError before `connect` and after `close`. Searches never wait for writes.
    """

    @property
    def name(self) -> str:
        """How the store is called in messages, without secrets."""
        ...

    async def connect(self, *, embedder: str, dimension: int, anew: bool = False) -> None:
        """Open the index for vectors of an embedder of this name; with the dimension 0, for words only.

        When it was made for another, raises ConfigError, with nothing changed and nothing left open; `anew` empties it.
        """
        ...

    async def close(self) -> None:
        """Release everything. Safe to call twice, and after a connect that failed."""
        ...

    async def upsert(self, records: Sequence[VectorRecord], *, mark: str | None = None) -> None:
        """Keep records, each in place of the one of the same owner and id; of two in one call the later stays.

        All of them or none, and found by every search that begins when this has returned. `mark` is kept with them.
        """
        ...

    async def delete(self, owner: str, ids: Sequence[str]) -> None:
        """Remove records of one owner; ids that are not there, or are another's, change nothing."""
        ...

    async def forget(
        self,
        owner: str,
        *,
        kinds: Sequence[VectorKind] = (),
        agent_id: str | None = None,
        run_id: str | None = None,
        session_id: str | None = None,
    ) -> None:
        """Remove all of an owner's records, or those of these kinds, that agent, that run, that session."""
        ...

    async def search(self, query: VectorQuery) -> Sequence[VectorHit]:
        """Return the best `limit` records by meaning and the best `limit` by words, each record once.

        The owner and all that narrows hold for every hit, and there are `limit` by meaning whenever so many records
        that mean something are left. Every hit has its `dense` score, whichever way it was found. A word is found in
        any of its English forms, in either case, and inside texts of scripts that put no spaces.
        """
        ...

    async def count(self, owner: str | None = None) -> int:
        """Return how many records there are, of one owner or of all."""
        ...

    async def mark(self) -> str | None:
        """Return the newest mark that was kept, or None: how far the index follows the graph."""
        ...

    async def revisions(self, after: Revision | None = None, *, limit: int = 1000) -> Sequence[Revision]:
        """Return which state of which memory the index holds: a page, in an order that the next one continues."""
        ...
