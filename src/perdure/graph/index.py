"""Keeps the vector store in step with the graph, in the background.

A typed call marks what it writes as not indexed, in the transaction that writes it. When that is committed, the
record is read back, embedded, given to the vector store, and the mark removed. So whatever a crash leaves undone is
marked, and is done at the next start; and the vector store, which holds nothing of its own, can be made anew.

What a change made of a record the graph says when its turn comes, so it does not matter how often, or in which order,
changes are heard of. A deletion leaves no mark: what a crash leaves of it in the vector store is no hit, because hits
are read from the graph, and goes when the index is made anew.
"""

import asyncio
import contextlib
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from functools import partial
from itertools import islice, takewhile
from typing import Any, Self

from perdure import ids
from perdure.errors import PerdureError, StoreUnavailableError
from perdure.graph.changes import Change, Changed, Cleared, changes_of
from perdure.graph.making import Making
from perdure.graph.marked import Marked
from perdure.graph.searchable import EFFECTS, KINDS, Found, Place, found, name_of, owners_of, text_of, vector_record
from perdure.graph.statements import load
from perdure.protocols import Embedder, GraphStore, VectorStore
from perdure.records import Revision, VectorKind, VectorRecord
from perdure.runtime.home import cancelled
from perdure.telemetry import STORES
from perdure.writes import Receipt

TEXTS = load("index")
AT_ONCE = 256
"""Records in one batch of the embedder and the vector store."""
NOTED_AT_ONCE = 512
MOST_WAITING = 10_000
"""Changes kept in memory; what comes beyond them is found by its mark."""
SECONDS_FOR_COMPANY = 0.25
"""How long the first change after a pause waits for others, while nobody searches: one turn is indexed as one batch."""
SECONDS_TO_TRY_AGAIN = 1.0
SECONDS_TO_FINISH = 10.0
SECONDS_BETWEEN_WARNINGS = 60.0
Progress = Callable[[int, int], object]


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
        self._marked = Marked(store, self.look_again)
        self._making = Making(store, vectors, separate=separate)
        self._changes: deque[Change] = deque()
        self._left: Counter[str] = Counter()
        self._clearing: Counter[str] = Counter()
        self._noted: dict[VectorKind, dict[str, str]] = defaultdict(dict)
        self._newest_mark = ""
        self._brought: Counter[str] = Counter()
        self._wake = asyncio.Event()
        self._moved = asyncio.Event()
        self._working = asyncio.Lock()
        self._compared = self._lagging = self._missed = False
        self._hurry = asyncio.Event()
        self._awaited = 0
        self._trouble: PerdureError | None = None
        self._warned_at = -SECONDS_BETWEEN_WARNINGS
        self._task: asyncio.Task[None] | None = None

    async def start(self, *, anew: bool = False) -> Self:
        """Open the vector store; from the first typed call on follow, what an earlier process left undone first.

        Raises ConfigError when it was made for another embedder, unless it may be made `anew`.
        """
        await self.vectors.connect(embedder=self.embedder.name, dimension=self.embedder.dimension, anew=anew)
        self._lagging = True
        self._task = asyncio.create_task(self._run(), name="perdure index")
        await asyncio.sleep(0)
        return self

    def follow(self, owner: str, statement: str, parameters: Mapping[str, Any], receipt: Receipt | None = None) -> None:
        """Take note of what a statement did, or will have done when `receipt` is settled."""
        for change in changes_of(owner, EFFECTS.get(statement, ()), parameters):
            self._left[owner] += 1
            if receipt is None:
                self._add(change)
            else:
                receipt.when_settled(partial(self._add, change))

    def look_again(self) -> None:
        """Look for marks once more: something was written that `follow` did not hear of."""
        self._lagging = self._missed = True
        if self._compared:
            self._wake.set()

    def _add(self, change: Change) -> None:
        if len(self._changes) >= MOST_WAITING and self._can_be_found_again(change):
            self._lagging = self._missed = True
            self._done([change])
        else:
            self._changes.append(change)
            self._clearing[change.owner] += isinstance(change, Cleared)
        if len(self._changes) >= AT_ONCE:
            self._hurry.set()
        self._wake.set()

    def _can_be_found_again(self, change: Change) -> bool:
        """Return whether a change is marked, and nothing before it could undo what a look for marks makes of it."""
        return isinstance(change, Changed) and change.marked and not self._clearing[change.owner]

    def _done(self, changes: Sequence[Change]) -> None:
        self._left.subtract(Counter(change.owner for change in changes))
        for owner in {change.owner for change in changes}:
            if not self._left[owner]:
                del self._left[owner]

    async def caught_up(self, owner: str) -> None:
        """Return when everything of an owner that is committed can be found.

        Raises what keeps the index from following, when it cannot.
        """
        with self._hurried():
            while self._trouble is None and (self._lagging or self._left.get(owner)):
                await self._moved.wait()
        if self._trouble is not None:
            raise self._trouble

    def begin(self) -> None:
        """Do now what an earlier process left undone, rather than with the first typed call."""
        self._wake.set()

    @contextlib.contextmanager
    def bringing(self, keys: Sequence[str]) -> Generator[None]:
        """Have these indexed by the caller alone, and not taken for gone before the graph has them."""
        self._brought.update(keys)
        try:
            yield
        finally:
            for key in keys:
                self._brought[key] -= 1
                if not self._brought[key]:
                    del self._brought[key]

    async def put(self, records: Sequence[VectorRecord]) -> None:
        """Make records findable at once, beside whatever else is to be indexed."""
        mark = None
        if self._separate and self._compared:
            mark = self._newest_mark = ids.uuid7()
        await self.vectors.upsert(records, mark=mark)

    def is_put(self, kind: VectorKind, states: Mapping[str, str]) -> None:
        """Take note that records, by the keys of their nodes, are findable in these states, and are in the graph."""
        self._noted[kind].update(states)
        if self._noted_count() >= NOTED_AT_ONCE:
            self._wake.set()

    def follow_records(self, owner: str, kind: VectorKind, keys: Iterable[str], receipt: Receipt) -> None:
        """Take note of records that a write leaves in the graph and that are not findable yet."""
        for key in keys:
            self._left[owner] += 1
            receipt.when_settled(partial(self._add, Changed(owner, kind, key, marked=True)))

    async def remove(self, owner: str, kind: VectorKind, record_ids: Sequence[str]) -> None:
        """Make records unfindable at once that are gone from the graph."""
        if record_ids:
            await self.vectors.delete(owner, [name_of(kind, each) for each in record_ids])

    async def forget(self, owner: str) -> None:
        """Have nothing of an owner in the vector store when this returns; what is on its way there goes behind it."""
        await self.vectors.forget(owner)

    async def close(self, timeout: float | None = None) -> None:  # noqa: ASYNC109  as the client's
        """Do what is left to do, for ten seconds and for `timeout` at most, and close. Safe to call twice.

        What is not done then is marked in the graph, and is done after the next start.
        """
        try:
            if self._task is not None and (self._wake.is_set() or self._left or self._noted):
                await self._finish(SECONDS_TO_FINISH if timeout is None else min(timeout, SECONDS_TO_FINISH))
        finally:
            if self._task is not None:
                self._task.cancel()
                await asyncio.wait([self._task])
                self._task = None
            await self.vectors.close()

    async def _finish(self, limit: float) -> None:
        with contextlib.suppress(TimeoutError, PerdureError), self._hurried():
            async with asyncio.timeout(limit):
                while self._trouble is None and (self._lagging or self._changes):
                    await self._moved.wait()
                async with self._working:
                    await self._note_done(1)

    async def _run(self) -> None:
        await self._wake.wait()  # a client that only writes Cypher has no use for any of this
        while True:
            try:
                await self._step()
            except (KeyboardInterrupt, SystemExit, GeneratorExit):
                raise
            except PerdureError as error:
                await self._stuck(error)
            except BaseException as error:
                if cancelled():
                    raise
                crash = StoreUnavailableError(f"Writing to {self.vectors.name} failed: {type(error).__name__}.")
                crash.__cause__ = error
                await self._stuck(crash)

    async def _step(self) -> None:
        """Do what there is to do, or wait for it."""
        if self._compared and not (self._changes or self._lagging):
            self._wake.clear()
            await self._wake.wait()
            await self._wait_for_company()
        async with self._working:
            if not self._compared:
                await self._compare()
            elif self._changes:
                await self._follow()
            elif self._lagging:
                await self._catch_up()
            else:
                await self._note_done(NOTED_AT_ONCE)

    @contextlib.contextmanager
    def _hurried(self) -> Generator[None]:
        """Have what is left to do begun now, and nothing wait for company meanwhile."""
        self._awaited += 1
        self._hurry.set()
        self._wake.set()
        try:
            yield
        finally:
            self._awaited -= 1

    async def _wait_for_company(self) -> None:
        self._hurry.clear()
        if not self._awaited and len(self._changes) < AT_ONCE:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SECONDS_FOR_COMPANY):
                    await self._hurry.wait()

    async def _stuck(self, error: PerdureError) -> None:
        """Tell whoever waits, and try again a little later."""
        now = asyncio.get_running_loop().time()
        if now - self._warned_at >= SECONDS_BETWEEN_WARNINGS:
            self._warned_at = now
            STORES.warning("The search does not follow the graph for now: %s", error.message)
        self._trouble = error
        self._tell()
        await asyncio.sleep(SECONDS_TO_TRY_AGAIN)
        self._trouble = None

    def _tell(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()

    async def _follow(self) -> None:
        """Take the oldest changes into the vector store: one clearing, or all up to the next one."""
        touched = takewhile(lambda change: isinstance(change, Changed), self._changes)
        changes = list(islice(touched, AT_ONCE)) or [self._changes[0]]
        await self._apply(changes)
        for change in changes:
            self._changes.popleft()
            self._clearing[change.owner] -= isinstance(change, Cleared)
            if not self._clearing[change.owner]:
                del self._clearing[change.owner]
        self._done(changes)
        self._tell()

    async def _apply(self, changes: Iterable[Change]) -> None:
        owners: dict[Place, str] = {}
        for change in changes:
            if isinstance(change, Cleared):
                await self.vectors.forget(change.owner, session_id=change.session_id)
            else:
                owners[change.kind, change.key] = change.owner
        brought = set(self._brought)
        await self._forget_others(owners, await self._index(owners), brought)

    async def _forget_others(
        self, owners: Mapping[Place, str], stored: Collection[Place], brought: Collection[str]
    ) -> None:
        """Make what is not in the graph unfindable."""
        gone: defaultdict[str, list[str]] = defaultdict(list)
        for (kind, key), owner in owners.items():
            if (kind, key) not in stored and key not in brought:
                gone[owner].append(name_of(kind, key.removeprefix(owner)))
        for owner, names in gone.items():
            await self.vectors.delete(owner, names)

    async def _index(self, places: Iterable[Place]) -> set[Place]:
        """Embed records as they stand in the graph now, make them findable, and return where there are any."""
        stored = await self._stored(places)
        if not stored:
            return set()
        texts = [text_of(each.record) for each in stored]
        vectors = await self.embedder.embed(texts)
        records = [vector_record(*parts) for parts in zip(stored, texts, vectors, strict=True)]
        await self.put(records)
        for each in stored:
            if each.unindexed is not None:
                self._noted[each.kind][each.key] = each.unindexed
        await self._note_done(NOTED_AT_ONCE)
        return {each.place for each in stored}

    async def _stored(self, places: Iterable[Place]) -> list[Found]:
        """Return the records at some places, with one question for all kinds."""
        wanted: dict[str, list[str]] = {kind: [] for kind in KINDS}
        for kind, key in places:
            wanted[kind].append(key)
        rows = await self._store.read(TEXTS["stored"], wanted) if any(wanted.values()) else []
        return [each for row in rows for each in found(row["kind"], [row["n"]])]

    def _noted_count(self) -> int:
        return sum(map(len, self._noted.values()))

    async def _note_done(self, least: int) -> None:
        """Remove the marks of what is indexed, when they are that many."""
        if self._noted_count() < least:
            return
        if self._separate and self._newest_mark:
            await self._store.write(TEXTS["set_mark"], {"mark": self._newest_mark})
        for kind in KINDS:
            noted = self._noted[kind]
            done = dict(noted)  # more may be noted meanwhile
            if done:
                rows = [{"id": key, "unindexed": state} for key, state in done.items()]
                await self._store.write(KINDS[kind].indexed, {"rows": rows})
                self._noted[kind] = {key: state for key, state in noted.items() if done.get(key) != state}

    async def _compare(self) -> None:
        """Index everything when the vector store is new, made by half, or older than the graph."""
        if await self._making.is_needed():
            await self._rebuild(None)
        self._compared = True

    async def _catch_up(self) -> None:
        """Index what is marked."""
        self._missed = False
        await self._note_done(1)
        for kind in KINDS:
            while keys := await self._marked.page(kind, AT_ONCE, self._brought):
                self._marked.pass_by(kind, keys, await self._index((kind, key) for key in keys))
                await self._note_done(1)
        self._marked.end()
        self._lagging = self._missed
        self._tell()

    async def is_due(self) -> bool:
        """Return whether it is still to be made from the graph, which who searches next will wait for."""
        return await self._making.is_due()

    async def rebuild(self, progress: Progress | None = None) -> int:
        """Index everything anew, let go of what is not in the graph, and return how many records are indexed.

        `progress` is told after each batch how many are done, and of how many.
        """
        async with self._working:
            return await self._rebuild(progress)

    async def _rebuild(self, progress: Progress | None) -> int:
        self._compared, self._newest_mark = False, ""
        done = await self._making.begin()
        places: list[Place] = [
            (kind, row["id"]) for kind in KINDS for row in await self._store.read(KINDS[kind].every, {})
        ]
        for first in range(0, len(places), AT_ONCE):
            left = [place for place in places[first : first + AT_ONCE] if place not in done]
            await self._index(place for place in left if place[1] not in self._brought)
            if progress is not None:
                progress(min(first + AT_ONCE, len(places)), len(places))
        await self._forget_strays()
        self._newest_mark = ids.uuid7()
        await self.vectors.upsert([], mark=self._newest_mark)
        self._compared = True
        await self._note_done(1)
        return len(places)

    async def _forget_strays(self) -> None:
        """Let go of what the vector store holds and the graph does not."""
        after: Revision | None = None
        while page := await self.vectors.revisions(after, limit=AT_ONCE):
            after = page[-1]
            owners = owners_of(page)
            brought = set(self._brought)
            stored = {each.place for each in await self._stored(owners)}
            await self._forget_others(owners, stored, brought)
