"""The nouns that pass between the layers: no I/O, no behaviour beyond what a value knows about itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

from perdure.errors import shorten

WriteMode = Literal["sync", "buffered", "deferred"]
Durability = Literal["memory", "os", "disk"]
FullPolicy = Literal["block", "raise"]
ReceiptState = Literal["accepted", "committed", "failed"]


class JournalEntry(NamedTuple):
    """One accepted write: a statement, a snapshot of its parameters, and its place in the order."""

    seq: int
    lane: int
    key: str | None
    statement: str
    parameters: Mapping[str, Any]
    size: int
    """Bytes this write counts for against `max_pending_bytes`."""

    def __repr__(self) -> str:
        return f"<JournalEntry {self.seq} {shorten(self.statement)!r}>"


class Batch(NamedTuple):
    """Writes of one lane that go into the store together, in order of `seq`."""

    lane: str
    """The lane's name in the store: unique to the journal that owns it."""
    epoch: int
    """The owner's number: a store ignores a batch older than the newest owner it has seen."""
    entries: Sequence[JournalEntry]


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
