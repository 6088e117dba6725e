"""The nouns that pass between the layers: no I/O, no behaviour beyond what a value knows about itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from perdure.errors import shorten
from perdure.filters import EVERYTHING, Filter

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

WriteMode = Literal["sync", "buffered", "deferred"]
Durability = Literal["memory", "os", "disk"]
FullPolicy = Literal["block", "raise"]
ReceiptState = Literal["submitted", "accepted", "committed", "failed"]
VectorKind = Literal["message", "entity", "fact", "preference", "trace", "memory"]


class JournalEntry(NamedTuple):
    """One accepted write: a statement, a snapshot of its parameters, and its place in the order."""

    seq: int
    lane: int
    key: str | None
    statement: str
    parameters: Mapping[str, Any]
    size: int
    """Bytes this write counts for against `max_pending_bytes`."""
    accepted_at: float = 0.0
    """Seconds since 1970 when a journal on disk took it."""
    failures: int = 0
    """How often it failed for good before and was sent again by hand."""

    def __repr__(self) -> str:
        return f"<JournalEntry {self.seq} {shorten(self.statement)!r}>"


class Batch(NamedTuple):
    """Writes of one lane that go into the store together, in order of `seq`."""

    lane: str
    """The lane's name in the store: unique to the journal that owns it."""
    epoch: int
    """The owner's number: a store ignores a batch older than the newest owner it has seen."""
    entries: Sequence[JournalEntry]


LETTERS = -1
"""Stands for dead letters where it is noted by lane how far a journal was adopted."""


class LaneMark(NamedTuple):
    """How far a lane is applied in the store, and the number of the owner that may apply more."""

    lane: str
    seq: int
    epoch: int


class LaneState(NamedTuple):
    """What a journal knows of one lane."""

    settled: int
    """The highest number it has let go of, committed or dead; -1 before the first."""
    last: int
    """The highest number it ever gave to the lane."""
    applied: int
    """The highest number it knows to be in the store."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """What an earlier owner left in a journal, not settled."""

    lanes: Mapping[int, tuple[int, int]] = field(default_factory=dict[int, tuple[int, int]])
    """By lane: how many writes, and their size in bytes."""
    keys: Mapping[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    """By ordering key: the lane its writes are in, and how many they are."""
    oldest: float | None = None
    """Seconds since 1970 when the oldest of them was accepted."""
    let_go: int = field(default=0, compare=False)
    """How many others were let go of as it was taken up, because the store had applied them."""

    @property
    def count(self) -> int:
        """How many writes were left."""
        return sum(count for count, _ in self.lanes.values())

    @property
    def bytes(self) -> int:
        """Their size together."""
        return sum(size for _, size in self.lanes.values())


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An accepted write that failed for good, kept in the journal until it is sent again or dropped."""

    seq: int
    key: str | None
    query: str
    parameters: Mapping[str, Any] = field(repr=False)
    error: str
    """What the store said, without parameter values."""
    code: str
    """The error's stable code."""
    attempts: int
    """How often it failed for good: 1, and one more for each time it was sent again."""
    accepted_at: datetime
    failed_at: datetime
    size: int
    """In bytes, as it counted towards `max_pending_bytes`."""

    def __str__(self) -> str:
        return f"write {self.seq} {shorten(self.query)!r}: {self.error}"


@dataclass(frozen=True, slots=True)
class RecoveryReport:
    """What a client found in its journal when it connected."""

    left: int = 0
    """Writes that an earlier process accepted and that were still to commit."""
    already_applied: int = 0
    """Writes that were in the store already, their answer lost with the process."""
    adopted: int = 0
    """How many of `left` came from journals of other processes that are gone."""
    findings: tuple[str, ...] = ()
    """What was wrong and what was done about it, a sentence each."""


@dataclass(frozen=True, slots=True)
class WriteError:
    """A write that was accepted and then failed for good."""

    query: str
    parameters: Mapping[str, Any] = field(repr=False)
    error: Exception
    when: datetime
    seq: int
    key: str | None

    def __str__(self) -> str:
        return f"write {self.seq} {shorten(self.query)!r}: {self.error}"


@dataclass(frozen=True, slots=True)
class FlushSummary:
    """What became of the writes a flush waited for, and of those settled since the flush before it."""

    committed: int
    failed: int
    unsettled: int

    @property
    def complete(self) -> bool:
        """Whether every write accepted before the flush is settled."""
        return self.unsettled == 0


@dataclass(frozen=True, slots=True)
class CloseReport:
    """What close left behind, over the client's whole life."""

    committed: int
    failed: int
    unsettled: int
    """Writes that were accepted and are not in the store."""
    kept: bool
    """Whether the unsettled ones are in a journal that outlives this process."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds, over the most recent samples; None before the first."""

    p50: float | None
    p99: float | None
    maximum: float | None


@dataclass(frozen=True, slots=True)
class WriteStats:
    """Gauges and counters of a BufferedWriter, at one moment."""

    pending: int
    in_flight: int
    committed: int
    failed: int
    retried: int
    batches: int
    pending_bytes: int
    high_water: int
    oldest_pending_seconds: float | None
    accept_latency: Latency
    commit_latency: Latency


@dataclass(frozen=True, slots=True)
class Health:
    """Whether a store answers, and how far the writes are behind it."""

    reachable: bool
    store: str
    detail: str
    pending: int
    oldest_pending_seconds: float | None
    journal: str = "memory"
    """Where accepted writes are kept."""
    journal_trouble: str = ""
    """Why the journal takes no more of them, or an empty text."""


@dataclass(frozen=True, slots=True)
class VectorRecord:
    """What is kept of one memory so that it can be found: its text, its vector, and whose it is."""

    owner: str
    """Whose it is: an opaque text, and the boundary that no search crosses."""
    id: str
    """Its name among the owner's records; another owner may use the same."""
    kind: VectorKind
    text: str
    vector: "NDArray[float32]" = field(repr=False, compare=False)
    """What the text means. All zeros, or no numbers: nothing; the record is then found by its words only."""
    agent_id: str | None = None
    run_id: str | None = None
    session_id: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """JSON-like, with dates and times beside; what filters look at."""
    created_at: float = 0.0
    """Seconds since 1970."""
    revision: str = ""
    """Which state of the memory this is: any text that differs when the memory does."""
    expired: bool = False
    """Whether it is no longer held to be true; searches pass over it unless they ask."""

    def __repr__(self) -> str:
        return f"<VectorRecord {self.kind} {self.id!r}>"


@dataclass(frozen=True, slots=True)
class VectorQuery:
    """A search among one owner's records: by meaning, by words, or by both.

    Everything but `vector` and `text` narrows: what is None or empty leaves all.
    """

    owner: str
    vector: "NDArray[float32] | None" = field(default=None, repr=False, compare=False)
    """What is meant. None, all zeros, or no numbers: nothing is looked for by meaning."""
    text: str = ""
    """Words to look for; no word of it is taken for an operator."""
    kinds: tuple[VectorKind, ...] = ()
    agent_id: str | None = None
    run_id: str | None = None
    session_id: str | None = None
    filter: Filter = EVERYTHING
    limit: int = 50
    """How many candidates each way of looking gives, where there are so many."""
    include_expired: bool = False


MAX_HITS = 1000
"""The most that one search gives."""


class VectorHit(NamedTuple):
    """A record that was found, and how well it fits in each way; a ranking makes one score of the two."""

    id: str
    kind: VectorKind
    dense: float
    """The cosine of the angle to what is meant, from -1 to 1; 0 where the query or the record means nothing."""
    words: float
    """How well the words fit: 0 where none does or others fit better; comparable within one search only."""


class Revision(NamedTuple):
    """Which state of a memory an index holds."""

    owner: str
    id: str
    revision: str
