"""The nouns that pass between the layers: no I/O, no behaviour beyond what a value knows about itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

from perdure.errors import shorten

WriteMode = Literal["sync", "buffered", "deferred"]
Durability = Literal["memory", "os", "disk"]
FullPolicy = Literal["block", "raise"]
ReceiptState = Literal["submitted", "accepted", "committed", "failed"]


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
