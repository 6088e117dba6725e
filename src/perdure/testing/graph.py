"""A graph store without a database: it keeps a store's promises, and fails when it is told to.

store = FakeGraphStore()
store.reject("BAD")
async with BufferedWriter(store, write_mode="buffered") as writer:
    await writer.submit("CREATE (:Note {text: $text})", {"text": "hello"})
assert store.committed == [("CREATE (:Note {text: $text})", {"text": "hello"})]
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from perdure.errors import ClosedError, ConflictError, InputError, StatementRejectedError, StoreUnavailableError
from perdure.graph import schema
from perdure.records import Batch, JournalEntry, LaneMark
from perdure.testing.waiting import wait_until

Answer = Callable[[str, Mapping[str, Any]], Sequence[Mapping[str, Any]]]
Matcher = str | Callable[[str, Mapping[str, Any]], bool]
"""Which statements are meant: by a part of their text, or by a function of text and parameters."""


class Committed(NamedTuple):
    """One statement that is in the store, with its parameters."""

    statement: str
    parameters: Mapping[str, Any]


class Mark(NamedTuple):
    """How far a lane is applied, and the newest owner it has seen."""

    seq: int
    epoch: int


class _Fault(NamedTuple):
    error: Exception
    after_commit: bool


class _Refusal(NamedTuple):
    matches: Matcher
    message: str
    position: bool


@dataclass(slots=True)
class _Gate:
    matches: Matcher
    open: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: int = 0

    async def pass_through(self) -> None:
        self.waiting += 1
        try:
            await self.open.wait()
        finally:
            self.waiting -= 1


class FakeGraphStore:
    """A GraphStore that remembers what was committed instead of running it.

    What it promises is what a real store promises: a transaction is applied whole or not at all, a batch sent again
    applies nothing, an owner with an older epoch is turned away. It does not understand Cypher: reads are answered by
    `answer`, a function of the statement and its parameters. `exactly_once=False` leaves the marks out, to show what
    they are for.

    Faults asked for by `fail`, `lose_answers` and `break_adapter` happen to the next writes, in the order asked.
    """

    def __init__(self, answer: Answer | None = None, *, exactly_once: bool = True) -> None:
        self.transactions: list[list[Committed]] = []
        """The statements of each commit, oldest first; a commit that had nothing new to apply is empty."""
        self.batches: list[Batch] = []
        """Every batch that arrived, also those that failed."""
        self.marks: dict[str, Mark] = {}
        """Each lane's mark."""
        self.high_water = 0
        """The most writes that were in the store at the same time."""
        self.is_open = True
        self._answer = answer
        self._exactly_once = exactly_once
        self._faults: deque[_Fault] = deque()
        self._refusals: list[_Refusal] = []
        self._at_most: int | None = None
        self._down = False
        self._inside = 0
        self._gates: list[_Gate] = []

    # -- what happened

    @property
    def committed(self) -> list[Committed]:
        """Every committed statement with its parameters, in the order of their commits."""
        return [write for transaction in self.transactions for write in transaction]

    def values(self, name: str) -> list[Any]:
        """Return one parameter of every committed statement that has it, in order."""
        return [write.parameters[name] for write in self.committed if name in write.parameters]

    # -- what shall happen

    def hold(self, matches: Matcher = "") -> None:
        """Keep arriving writes waiting, all of them or those with a statement that matches, until `release`."""
        self._gates.append(_Gate(matches))

    def release(self) -> None:
        """Let the writes that wait go on, and keep no more waiting."""
        for gate in self._gates:
            gate.open.set()
        self._gates.clear()

    async def arrived(self, count: int = 1, deadline: float = 10.0) -> None:
        """Return when `count` writes are held; raises TimeoutError when they do not come."""
        await wait_until(lambda: sum(gate.waiting for gate in self._gates) >= count, deadline)

    def fail(self, times: int = 1, error: Exception | None = None) -> None:
        """Fail the next writes with nothing committed: by default with a StoreUnavailableError that asks to retry."""
        unavailable = StoreUnavailableError("The fake store was told to fail.", relief="again")
        self._faults.extend([_Fault(error or unavailable, after_commit=False)] * times)

    def lose_answers(self, times: int = 1) -> None:
        """Commit the next writes and then say that the connection broke."""
        lost = StoreUnavailableError("The fake store was told to lose its answer.", relief="again")
        self._faults.extend([_Fault(lost, after_commit=True)] * times)

    def break_adapter(self, times: int = 1, error: Exception | None = None) -> None:
        """Raise from the next writes what no store should raise: by default a RuntimeError."""
        self.fail(times, error or RuntimeError("The fake store was told to break."))

    def reject(self, matches: Matcher, *, message: str | None = None, position: bool = True) -> None:
        """Refuse transactions with a statement that matches, until `accept`; `position` False does not say which."""
        self._refusals.append(_Refusal(matches, message or "The fake store was told to refuse this.", position))

    def accept(self) -> None:
        """Refuse nothing any more."""
        self._refusals.clear()

    def commit_at_most(self, count: int | None) -> None:
        """Commit only the first `count` entries of each batch, as a store may; None commits all again."""
        self._at_most = count

    def down(self) -> None:
        """Answer everything, reads and connecting too, with StoreUnavailableError."""
        self._down = True

    def up(self) -> None:
        """Answer again."""
        self._down = False

    # -- the GraphStore protocol

    @property
    def name(self) -> str:
        """What messages call it."""
        return "the fake store"

    async def connect(self) -> None:
        """Open the store; raises StoreUnavailableError while it is down."""
        self._check_up()
        self.is_open = True

    async def close(self) -> None:
        """Close the store; what was committed stays readable. Safe to call twice."""
        self.is_open = False

    async def read(self, statement: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the rows that the store's answer function gives; raises InputError when it has none."""
        await asyncio.sleep(0)
        self._check_open()
        if statement == schema.TEXTS["version"]:
            return [{"version": schema.VERSION}]
        if self._answer is None:
            raise InputError("The fake store cannot run Cypher.", hint="Make it as FakeGraphStore(answer=…).")
        return [dict(row) for row in self._answer(statement, parameters)]

    async def write(self, statement: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Commit one statement, and return the rows that the store's answer function gives, if it has one."""
        writes = [Committed(statement, parameters)]
        async with self._visit(writes):
            self._refuse_among(writes)
            self.transactions.append(writes)
        return [dict(row) for row in self._answer(statement, parameters)] if self._answer else []

    async def apply(self, batch: Batch) -> int:
        """Commit a batch, or as much of it as `commit_at_most` allows; see GraphStore.apply."""
        self.batches.append(batch)
        entries = batch.entries[: self._at_most]
        async with self._visit([_write(entry) for entry in entries]):
            mark = self.marks.get(batch.lane, Mark(-1, batch.epoch))
            if mark.epoch > batch.epoch:
                raise ConflictError(f"Lane {batch.lane!r} has a newer owner; this one may not write to it any more.")
            writes = [_write(entry) for entry in entries if entry.seq > mark.seq]
            self._refuse_among(writes, first=len(entries) - len(writes))
            self.transactions.append(writes)
            newest = max(mark.seq, entries[-1].seq) if self._exactly_once else -1
            self.marks[batch.lane] = Mark(newest, batch.epoch)
        return len(entries)

    async def take_over(self, owner: str, lanes: Sequence[str], epoch: int) -> Sequence[LaneMark]:
        """Raise the epoch of these lanes and of all others of this owner; see GraphStore.take_over."""
        async with self._visit([]):
            for lane in {*lanes, *(known for known in self.marks if known.startswith(f"{owner}/"))}:
                mark = self.marks.get(lane, Mark(-1, 0))
                self.marks[lane] = Mark(mark.seq, max(epoch, mark.epoch + 1))
            return [LaneMark(lane, *mark) for lane, mark in self.marks.items() if lane.startswith(f"{owner}/")]

    async def forget_lanes(self, lanes: Sequence[str]) -> None:
        """Remove these lanes' marks."""
        async with self._visit([]):
            for lane in lanes:
                self.marks.pop(lane, None)

    # -- how

    @asynccontextmanager
    async def _visit(self, writes: Sequence[Committed]) -> AsyncGenerator[None]:
        """Come in, wait at the gates, meet the next fault; the body, which does not await, is one commit."""
        self._inside += 1
        self.high_water = max(self.high_water, self._inside)
        try:
            await asyncio.sleep(0)
            for gate in [gate for gate in self._gates if any(_is_meant(write, gate.matches) for write in writes)]:
                await gate.pass_through()
            self._check_open()
            fault = self._faults.popleft() if self._faults and writes else None
            if fault is not None and not fault.after_commit:
                raise fault.error
            yield
            if fault is not None:
                raise fault.error
        finally:
            self._inside -= 1

    def _refuse_among(self, writes: Sequence[Committed], first: int = 0) -> None:
        """Raise for the first write that is refused; `first` is the place of the first one in its batch."""
        for place, write in enumerate(writes, first):
            for refusal in self._refusals:
                if _is_meant(write, refusal.matches):
                    raise StatementRejectedError(refusal.message, position=place if refusal.position else None)

    def _check_open(self) -> None:
        if not self.is_open:
            raise ClosedError("The fake store is closed.")
        self._check_up()

    def _check_up(self) -> None:
        if self._down:
            raise StoreUnavailableError("The fake store is down.", relief="again")


def _is_meant(write: Committed, matches: Matcher) -> bool:
    return matches in write.statement if isinstance(matches, str) else matches(*write)


def _write(entry: JournalEntry) -> Committed:
    return Committed(entry.statement, entry.parameters)
