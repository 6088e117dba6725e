"""Keeps the vector store in step with the graph, in the background.

A typed call marks what it writes as not indexed, in the transaction that writes it. When that is committed, the
record is read back, embedded, given to the vector store, and the mark removed. So whatever a crash leaves undone is
marked, and is done at the next start; and the vector store, which holds nothing of its own, can be made anew.
"""

import asyncio
import contextlib
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Self, cast

from perdure import ids
from perdure.errors import PerdureError, StoreError
from perdure.graph.searchable import EFFECTS, KINDS, Effect, Found, found, metadata_of, text_of
from perdure.graph.statements import load
from perdure.models import Message, Timed, Trace
from perdure.protocols import Embedder, GraphStore, VectorStore
from perdure.records import VectorKind, VectorRecord
from perdure.telemetry import STORES
from perdure.writes import Receipt

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

TEXTS = load("index")
AT_ONCE = 256
"""Records in one batch of the embedder and the vector store."""
NOTED_AT_ONCE = 512
MOST_WAITING = 10_000
"""Changes kept in memory; what comes beyond them is found by its mark."""
SECONDS_TO_TRY_AGAIN = 1.0
SECONDS_TO_FINISH = 10.0
SECONDS_BETWEEN_WARNINGS = 60.0
Progress = Callable[[int, int], object]


class Written(NamedTuple):
    """A record that was written; its key is that of its node."""

    owner: str
    kind: VectorKind
    key: str


class Removed(NamedTuple):
    """Records of an owner that are gone: those of these names, or all of a session, or all."""

    owner: str
    names: Sequence[str] = ()
    session_id: str | None = None


Change = Written | Removed


class Index:
    """Follows the graph with a vector store, for the client that owns both.

    `separate` says that the vector store is not in the graph's own database, so that one of the two may be restored
    from a backup without the other: then marks on both sides are compared at the start.
    """

    def __init__(self, store: GraphStore, vectors: VectorStore, embedder: Embedder, *, separate: bool) -> None:
        self.vectors = vectors
        self.embedder = embedder
        self._store = store
        self._separate = separate
        self._changes: deque[Change] = deque()
        self._left: Counter[str] = Counter()
        self._noted: dict[VectorKind, dict[str, str]] = defaultdict(dict)
        self._newest_mark = ""
        self._wake = asyncio.Event()
        self._moved = asyncio.Event()
        self._lagging = False
        self._trouble: PerdureError | None = None
        self._warned_at = -SECONDS_BETWEEN_WARNINGS
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> Self:
        """Open the vector store; from the first typed call on follow, what an earlier process left undone first.

        Raises ConfigError when it holds the vectors of another embedder.
        """
        await self.vectors.connect(embedder=self.embedder.name, dimension=self.embedder.dimension)
        self._lagging = True
        self._task = asyncio.create_task(self._run(), name="perdure index")
        self._task.add_done_callback(self._ended)
        await asyncio.sleep(0)
        return self

    def follow(self, owner: str, statement: str, parameters: Mapping[str, Any], receipt: Receipt | None = None) -> None:
        """Take note of what a statement did, or will have done when `receipt` is settled."""
        effect = EFFECTS.get(statement)
        for change in () if effect is None else _changes(owner, effect, parameters):
            self._left[owner] += 1
            if receipt is None:
                self._add(change)
            else:
                receipt.when_settled(partial(self._add, change))

    def _add(self, change: Change) -> None:
        if len(self._changes) >= MOST_WAITING and isinstance(change, Written):
            self._lagging = True
            self._done([change])
        else:
            self._changes.append(change)
        self._wake.set()

    def _done(self, changes: Iterable[Change]) -> None:
        self._left.subtract(Counter(change.owner for change in changes))
        for owner in [owner for owner, count in self._left.items() if not count]:
            del self._left[owner]

    async def caught_up(self, owner: str) -> None:
        """Return when everything of an owner that is committed can be found.

        Raises what keeps the index from following, when it cannot.
        """
        self._wake.set()
        while self._trouble is None and (self._lagging or self._left.get(owner)):
            await self._moved.wait()
        if self._trouble is not None:
            raise self._trouble

    async def close(self, timeout: float | None = SECONDS_TO_FINISH) -> None:  # noqa: ASYNC109  as the client's
        """Do what is left to do, for `timeout` seconds at most, and close the vector store. Safe to call twice.

        What is not done then is marked in the graph, and is done after the next start.
        """
        if self._task is not None:
            if self._wake.is_set() or self._left or self._noted:
                await self._finish(timeout)
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        await self.vectors.close()

    async def _finish(self, limit: float | None) -> None:
        with contextlib.suppress(TimeoutError, PerdureError):
            async with asyncio.timeout(limit):
                while self._trouble is None and (self._lagging or self._changes):
                    await self._moved.wait()
            await self._note_done(1)

    async def _run(self) -> None:
        await self._wake.wait()  # a client that only writes Cypher has no use for any of this
        while True:
            try:
                await self._step()
            except PerdureError as error:
                await self._stuck(error)

    async def _step(self) -> None:
        """Do what there is to do, or wait for it."""
        if self._lagging:
            await self._catch_up()
        elif self._changes:
            await self._follow()
        else:
            self._wake.clear()
            await self._wake.wait()

    async def _stuck(self, error: PerdureError) -> None:
        """Tell whoever waits, and try again a little later."""
        now = asyncio.get_running_loop().time()
        if now - self._warned_at >= SECONDS_BETWEEN_WARNINGS:
            self._warned_at = now
            STORES.warning("%s is behind the graph: %s", self.vectors.name, error.message)
        self._trouble = error
        self._tell()
        await asyncio.sleep(SECONDS_TO_TRY_AGAIN)
        self._trouble = None

    def _tell(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Leave nobody waiting for a task that a store's adapter broke."""
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._trouble = StoreError(f"The index stopped unexpectedly ({type(error).__name__}); connect anew.")
            STORES.error("%s", self._trouble.message, exc_info=error)
            self._tell()

    async def _follow(self) -> None:
        """Take the oldest changes into the vector store: one removal, or all that was written before the next one."""
        changes = [self._changes.popleft()]
        while self._changes and len(changes) < AT_ONCE and type(self._changes[0]) is type(changes[0]) is Written:
            changes.append(self._changes.popleft())
        try:
            await self._apply(changes)
        except BaseException:
            self._changes.extendleft(reversed(changes))
            raise
        self._done(changes)
        self._tell()

    async def _apply(self, changes: Sequence[Change]) -> None:
        by_kind: defaultdict[VectorKind, list[str]] = defaultdict(list)
        for change in changes:
            if isinstance(change, Written):
                by_kind[change.kind].append(change.key)
            elif change.names:
                await self.vectors.delete(change.owner, change.names)
            else:
                await self.vectors.forget(change.owner, session_id=change.session_id)
        for kind, keys in by_kind.items():
            await self._index_kind(kind, keys)

    async def _index_kind(self, kind: VectorKind, keys: Sequence[str]) -> None:
        """Embed records as they stand in the graph now, and make them findable."""
        rows = await self._store.read(KINDS[kind].stored, {"ids": list(dict.fromkeys(keys))})
        stored = [found(kind, row["n"]) for row in rows]
        if not stored:
            return
        texts = [text_of(each.record) for each in stored]
        vectors = await self.embedder.embed(texts)
        records = [_vector_record(*parts) for parts in zip(stored, texts, vectors, strict=True)]
        self._newest_mark = ids.uuid7()
        await self.vectors.upsert(records, mark=self._newest_mark if self._separate else None)
        self._noted[kind].update({each.key: each.unindexed for each in stored if each.unindexed is not None})
        await self._note_done(NOTED_AT_ONCE)

    async def _note_done(self, least: int) -> None:
        """Remove the marks of what is indexed, when they are that many."""
        if sum(map(len, self._noted.values())) < least:
            return
        for kind, states in self._noted.items():
            if states:
                rows = [{"id": key, "unindexed": state} for key, state in states.items()]
                await self._store.write(KINDS[kind].indexed, {"rows": rows})
                states.clear()
        if self._separate and self._newest_mark:
            await self._store.write(TEXTS["set_mark"], {"mark": self._newest_mark})

    async def _catch_up(self) -> None:
        """Index what is marked, or, when the vector store is new or older than the graph, everything."""
        await self._note_done(1)
        if self._separate and await self._is_behind():
            await self.rebuild()
        else:
            for kind in KINDS:
                while keys := await self._keys(KINDS[kind].unindexed):
                    await self._index_kind(kind, keys)
                    await self._note_done(1)
        self._lagging = False
        self._tell()

    async def _is_behind(self) -> bool:
        rows = await self._store.read(TEXTS["mark"], {})
        return bool(rows) and (await self.vectors.mark() or "") < rows[0]["mark"]

    async def rebuild(self, progress: Progress | None = None) -> int:
        """Index everything anew, and return how many records that were.

        `progress` is told after each batch how many are done, and of how many.
        """
        everything: dict[VectorKind, list[str]] = {}
        for kind in KINDS:
            everything[kind] = [row["id"] for row in await self._store.read(KINDS[kind].every, {})]
        total, done = sum(map(len, everything.values())), 0
        for kind, keys in everything.items():
            for first in range(0, len(keys), AT_ONCE):
                await self._index_kind(kind, keys[first : first + AT_ONCE])
                done += len(keys[first : first + AT_ONCE])
                if progress is not None:
                    progress(done, total)
        await self._note_done(1)
        return total

    async def _keys(self, statement: str) -> list[str]:
        return [row["id"] for row in await self._store.read(statement, {"limit": AT_ONCE})]


def _changes(owner: str, effect: Effect, parameters: Mapping[str, Any]) -> Iterator[Change]:
    given = parameters.get(effect.parameter)
    if effect.kind is None:
        yield Removed(owner, (), given and given.removeprefix(owner))
        return
    keys = cast("list[str]", given if isinstance(given, list) else [given])
    for key in keys:
        if effect.removes:
            yield Removed(owner, [name_of(effect.kind, key.removeprefix(owner))])
        else:
            yield Written(owner, effect.kind, key)


def name_of(kind: VectorKind, record_id: str) -> str:
    """Return what a record is called in the vector store: kinds may share an id."""
    return f"{kind}:{record_id}"


def _vector_record(stored: Found, text: str, vector: "NDArray[float32]") -> VectorRecord:
    kept, whose = stored.record, stored.scope
    created = kept.started_at if isinstance(kept, Trace) else kept.created_at
    return VectorRecord(
        owner=whose.owner,
        id=name_of(stored.kind, kept.id),
        kind=stored.kind,
        text=text,
        vector=vector,
        agent_id=whose.agent_id,
        run_id=whose.run_id,
        session_id=kept.session_id if isinstance(kept, Message | Trace) else None,
        metadata=metadata_of(kept),
        created_at=created.timestamp(),
        revision=stored.unindexed or "",
        expired=isinstance(kept, Timed) and kept.expired_at is not None,
    )
