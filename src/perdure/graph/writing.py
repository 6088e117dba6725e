"""How typed calls reach the graph: whose they are, at once or in the background, and in which order.

In `sync` and `buffered` mode a typed write is one transaction, and its rows say what it found. In `deferred` mode it
is one write in the queue, ordered by its lane: the session it belongs to, or its owner. Reads wait for what this
client has in the lanes they look at.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeVar

from perdure import ids
from perdure.cypher import bind, parse
from perdure.errors import InputError, StoreError, StoreUnavailableError, WriteFailed
from perdure.graph.hooks import Hooks
from perdure.graph.index import Index
from perdure.graph.rows import whole
from perdure.graph.scope import Scope, ScopeIds
from perdure.models import Record, Trace
from perdure.protocols import GraphStore
from perdure.values import redacted
from perdure.writes import BufferedWriter, Receipt
from perdure.writes.receipts import UNSETTLED

REMEMBERED = 10_000
SECONDS_TO_SETTLE = 60.0
Rows = list[dict[str, Any]]
R = TypeVar("R", bound=Record)
T = TypeVar("T")
Kind = Literal["message", "trace", "step"]


@dataclass(slots=True)
class Parent:
    """What is known of a node that others hang on: the lane its writes are in, and what they inherit."""

    lane: str
    session_id: str
    agent_id: str | None = None
    run_id: str | None = None
    trace_id: str = ""
    steps: int = 0
    """How many steps a trace has, with those that are on their way."""
    trace: Trace | None = None
    """The trace itself, as it will be, without its steps."""

    def within(self, scope: Scope) -> bool:
        """Return whether the ids that narrow a scope match."""
        return scope.leaves(self.agent_id, self.run_id)


class Known:
    """The newest nodes that this client has made or looked up, by their kind and key."""

    def __init__(self) -> None:
        self._parents: OrderedDict[tuple[Kind, str], Parent] = OrderedDict()
        self._entities: OrderedDict[str, tuple[str, ...]] = OrderedDict()
        self._queued: dict[str, tuple[dict[str, Any], Receipt]] = {}

    def get(self, kind: Kind, key: str) -> Parent | None:
        """Return what is known of a node."""
        return self._parents.get((kind, key))

    def add(self, kind: Kind, key: str, parent: Parent) -> Parent:
        """Remember a node, and return what was known of it before, if anything was."""
        kept = self._parents.setdefault((kind, key), parent)
        self._parents.move_to_end((kind, key))
        if len(self._parents) > REMEMBERED:
            self._parents.popitem(last=False)
        return kept

    def entities(self, key: str) -> tuple[str, ...]:
        """Return the ids of the entities that have a key or a name; none when that is not known."""
        return self._entities.get(key, ())

    def add_entities(self, key: str, found: tuple[str, ...]) -> None:
        """Remember which entities have a key or a name."""
        self._entities[key] = found
        if len(self._entities) > REMEMBERED:
            self._entities.popitem(last=False)

    def forget(self, kind: Kind, key: str) -> None:
        """Look a node up again the next time."""
        self._parents.pop((kind, key), None)

    def queue_entity(self, key: str, row: dict[str, Any], receipt: Receipt) -> None:
        """Remember an entity that is on its way, with all the names that are on their way with it."""
        earlier = self.queued_entities([key])
        names = dict.fromkeys(name for each in [*earlier, row] for name in each["names"])
        self._queued[key] = ({**(earlier[0] if earlier else row), "names": list(names)}, receipt)
        receipt.when_settled(partial(self._settled, key, receipt))

    def _settled(self, key: str, receipt: Receipt) -> None:
        if key in self._queued and self._queued[key][1] is receipt:
            del self._queued[key]

    def queued_entities(self, keys: Sequence[str]) -> list[dict[str, Any]]:
        """Return those of some entities that are still on their way, as they will be made."""
        found = [self._queued[key] for key in keys if key in self._queued]
        return [row for row, receipt in found if receipt.state in UNSETTLED]

    def forget_names(self, keys: Sequence[str]) -> None:
        """Look up again what has these names."""
        for key in keys:
            self._entities.pop(key, None)

    def forget_owner(self, owner: str) -> None:
        """Look up again whatever belongs to an owner."""
        for kind, key in [each for each in self._parents if each[1].startswith(owner)]:
            del self._parents[kind, key]
        self.forget_names([key for key in self._entities if key.startswith(owner)])

    def forget_lane(self, lane: str) -> None:
        """Look up again whatever is in a lane."""
        for each in [each for each, parent in self._parents.items() if parent.lane == lane]:
            del self._parents[each]


class Graph:
    """Runs the statements of typed memory for the owner they are meant for."""

    def __init__(  # noqa: PLR0913  what they need, by name
        self, store: GraphStore, writer: BufferedWriter, index: Index, hooks: Hooks, *, deferred: bool, strict: bool,
        check: Callable[[], object],
    ) -> None:  # fmt: skip
        self.index = index
        self.hooks = hooks
        self.deferred = deferred
        self.known = Known()
        self._store = store
        self._writer = writer
        self._strict = strict
        self._check = check
        self._newest: dict[str, tuple[str, Receipt]] = {}
        self._unheard = 1 if writer.recovery.left else 0
        self._heard = 0

    def scope(self, bound: Scope, given: ScopeIds, of: object = None) -> Scope:
        """Return whose memory a call is about; `of` is the record it was given in place of an id.

        Raises InputError for ids that cannot be one, and in strict mode when there is none at all; ClosedError and
        ConfigError when the client cannot be used here.
        """
        self._check()
        scope = bound.refined(given).of(of)
        if self._strict and not scope.given:
            raise InputError(
                "This call does not say whose memory it is about, and memory.multi_tenant asks for that.",
                hint="Pass user_id, agent_id, run_id or tenant, or use client.scope(user_id=…).",
            )
        return scope

    async def read(self, scope: Scope, statement: str, *, lane: str | None = None, **parameters: Any) -> Rows:
        """Return the rows of a statement, when this client's writes to a lane (None: the owner's) are settled."""
        await self.settled(scope.owner, lane)
        text, bound = _bound(scope, statement, parameters)
        try:
            return await self._store.read(text, bound)
        except StoreError as error:
            raise redacted(error, bound) from None

    async def records(
        self,
        make: Callable[[dict[str, Any]], T],
        scope: Scope,
        statement: str,
        *,
        lane: str | None = None,
        **parameters: Any,
    ) -> list[T]:
        """Return what `make` makes of each row that `read` returns; what is deleted meanwhile is not among it."""

        async def read() -> list[T]:
            return [make(row) for row in await self.read(scope, statement, lane=lane, **parameters)]

        return await whole(read)

    async def for_everybody(self, statement: str, parameters: dict[str, Any], *, writes: bool = False) -> Rows:
        """Return the rows of a statement on nobody's behalf, when all that this client has queued is settled."""
        await self._writer.flush()
        run = self._store.write if writes else self._store.read
        return await run(statement, parameters)

    @property
    def identity(self) -> str:
        """A name that no other client has at the same time, and that the next one with the same journal has again."""
        return self._writer.identity

    async def write(self, scope: Scope, statement: str, *, lane: str, **parameters: Any) -> Rows | None:
        """Run a statement in one transaction and return its rows; None when it is only queued, behind its lane."""
        if not self.deferred:
            return await self.write_now(scope, statement, **parameters)
        await self.queue(scope, statement, lane=lane, **parameters)
        return None

    async def queue(
        self, scope: Scope, statement: str, *, lane: str, follow: bool = True, **parameters: Any
    ) -> Receipt:
        """Queue a statement behind its lane, and return the receipt when it is accepted.

        Its parameters are not copied: they are checked already, and nobody changes them any more. The index does not
        `follow` what the caller makes findable itself.
        """
        given = _named(scope, statement, {"loud": True, **parameters})
        try:
            receipt = await self._writer.submit_own(statement, given, lane)
        except asyncio.CancelledError:
            self._unheard += 1  # it may be accepted all the same, without a receipt to wait for
            raise
        self._remember(scope.owner, lane, receipt)
        if follow:
            self.index.follow(scope.owner, statement, given, receipt)
        return receipt

    def recorded(self, made: R) -> R:
        """Return what a call has added, of which the application's hook is told."""
        self.hooks.recorded(made)
        return made

    def queued_last(self, lane: str) -> Receipt | None:
        """Return the receipt of what this client has queued last in a lane."""
        return self._newest[lane][1] if lane in self._newest else None

    async def write_now(self, scope: Scope, statement: str, **parameters: Any) -> Rows:
        """Run a statement in one transaction, whatever the mode, and return its rows."""
        await self.settled(scope.owner)
        text, bound = _bound(scope, statement, {"loud": False, **parameters})
        try:
            return await self._store.write(text, bound)
        except StoreError as error:
            raise redacted(error, bound) from None
        finally:
            self.index.follow(scope.owner, statement, bound)  # whether it is committed, the graph says

    async def drop_letters(self, owner: str) -> int:
        """Forget the writes of typed calls that failed for an owner, and return how many there were."""
        return await self._writer.dead_letters.drop_those("owner", owner)

    async def settled(self, owner: str, lane: str | None = None) -> None:
        """Wait for what this client has queued for an owner, or in one lane, and for what has no receipt here.

        That is what an earlier client had left, what a cancelled call may have queued, and dead letters that were sent
        again. Raises StoreUnavailableError when it does not reach the store within a minute; it stays queued.
        """
        if self._heard == self._written_unheard() and not self._pending(owner, lane):
            return
        try:
            async with asyncio.timeout(SECONDS_TO_SETTLE):
                await self._settle(owner, lane)
        except TimeoutError as error:
            raise StoreUnavailableError(
                f"This client's own writes did not reach {self._store.name} within {SECONDS_TO_SETTLE:g} s.",
                hint="They stay queued; client.health() says how far they are.",
            ) from error

    async def _settle(self, owner: str, lane: str | None) -> None:
        if self._heard < (unheard := self._written_unheard()):
            await self._writer.flush()
            self._heard = max(self._heard, unheard)
            self.index.look_again()
        for receipt in self._pending(owner, lane):
            try:
                await receipt.committed()
            except WriteFailed:
                continue  # it is in write_errors, and not in the graph

    def _written_unheard(self) -> int:
        """Return how often something was queued that there is no receipt for here."""
        return self._unheard + self._writer.redriven

    def _pending(self, owner: str, lane: str | None) -> Sequence[Receipt]:
        newest = [self._newest.get(lane, (owner, None))] if lane is not None else self._newest.values()
        ours = (receipt for whose, receipt in newest if lane is not None or whose == owner)
        return [receipt for receipt in ours if receipt is not None and receipt.state in UNSETTLED]

    def _remember(self, owner: str, lane: str, receipt: Receipt) -> None:
        earlier = self._newest.get(lane)
        if earlier is None or earlier[1].seq < receipt.seq:  # they may be accepted in another order
            self._newest[lane] = (owner, receipt)
            receipt.when_settled(partial(self._forget, lane, receipt))

    def _forget(self, lane: str, receipt: Receipt) -> None:
        """Let go of a receipt, which holds all that was written."""
        if self.queued_last(lane) is receipt:
            del self._newest[lane]


def _named(scope: Scope, statement: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters that a statement names, the owner's among them.

    `now` is when it is run, and `revision` a text of its own for what it changes, where the caller has not made one.
    """
    names = parse(statement).parameters
    if "owner" not in names:
        raise AssertionError(statement)  # a statement that asks for nobody's memory would give everybody's
    given = {**parameters, **scope.narrowing()}
    if "now" in names:
        given["now"] = ids.now()
    if "revision" in names and "revision" not in given:
        given["revision"] = ids.uuid7()
    return {name: given[name] for name in names if name in given}


def _bound(scope: Scope, statement: str, parameters: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return a statement with a copy of the parameters it names, as a store takes them."""
    text, copy, _ = bind(statement, _named(scope, statement, parameters))
    return text, copy
