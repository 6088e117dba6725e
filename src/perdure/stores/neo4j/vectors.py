"""Neo4j's own vector and full-text index, as a VectorStore.

A record is a node with the label `Searchable`; its text, vector and the rest stand in properties whose names begin with
`search_`. A node that has its key already, with labels of its own, becomes searchable as well, and stays when the
record goes.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from perdure.errors import ClosedError, ConfigError
from perdure.filters import EVERYTHING, matches
from perdure.protocols import GraphStore
from perdure.records import Revision, VectorHit, VectorKind, VectorQuery, VectorRecord
from perdure.runtime.limits import Pool
from perdure.runtime.microbatch import Microbatch
from perdure.runtime.together import together
from perdure.stores.neo4j.search import (
    CLAIM,
    EMPTIED,
    FORMAT,
    KNOWN,
    LABEL,
    MARK,
    ONE_INDEX,
    READY,
    RECLAIM,
    Statements,
    lucene,
    narrowing,
    nothing,
    row_of,
    search_key,
)
from perdure.vectors import (
    Vector,
    check_dimension,
    check_forget,
    check_ids,
    check_index,
    check_owner,
    check_query,
    check_records,
)

FEW = 500
"""An owner with at most so many records is searched one by one: the index takes longer."""
MANY = 5000
"""One with at most so many is as well, unless a good part of all records is its own; and any, for whom the index finds
too few."""
OVERFETCH = 4
MOST_FETCHED = 4096
MOST_WORDED = 16_384
RECORDS_AT_A_TIME = 100
PUTS_AT_ONCE = 64
"""Puts in one transaction, of which there is one at a time: it costs the server much, whatever is in it."""
EMPTIED_AT_A_TIME = 10_000

Row = dict[str, Any]
_Put = tuple[list[Row], str | None]
Fetch = Callable[[int], Awaitable[list[Row]]]


class Neo4jVectorStore:
    """Finds memories with the indexes of a Neo4j database (5.26 or newer).

    `store` is a connected graph store on it, borrowed: it is neither opened nor closed here. `label` is the second
    label of what is searchable, and names the indexes; another label is another index.

    An owner's records are compared one by one, and exactly, while they are few, or a small part of all. Otherwise the
    vector index finds them, approximately, among everybody's, and they are put in order exactly. What scores of words
    mean is Lucene's, over the words of all owners.
    """

    def __init__(self, store: GraphStore, *, label: str = LABEL) -> None:
        if re.fullmatch(r"[A-Za-z][A-Za-z0-9]{0,40}", label) is None:
            raise ConfigError(f"{label!r} cannot be a label: it should be at most 41 plain letters and digits.")
        self._store = store
        self._texts = Statements(label)
        self._made_for: tuple[str, int] | None = None
        self._writing = Pool("store", 1, None)
        self._puts = Microbatch(self._put, self._writing, PUTS_AT_ONCE)

    @property
    def name(self) -> str:
        """The store's name."""
        return f"the vectors in {self._store.name}"

    async def connect(self, *, embedder: str, dimension: int, anew: bool = False) -> None:
        """Make the indexes where they are not there, and wait until they are filled.

        Safe to repeat after a failure, and with two clients at once. Raises ConfigError when the index was made for
        another embedder, unless it may be made `anew`: by one client, while no other uses it.
        """
        check_dimension(dimension)
        known = await self._claimed(embedder, dimension, anew=anew)
        if known["stale"]:
            await self._empty()
        if not known["ready"]:
            for text in self._texts.schema(dimension):
                await self._store.write(text, {})
            await self._store.read("CALL db.awaitIndexes(300)", {})
            await self._store.write(READY, {"index": self._texts.index, "format": FORMAT})
        self._made_for = embedder, dimension

    async def _claimed(self, embedder: str, dimension: int, *, anew: bool) -> Row:
        """Note whose vectors these are, unless it is noted, and return what is; one round trip when it is."""
        index = {"index": self._texts.index}
        found = await self._store.read(KNOWN, {**index, "format": FORMAT})
        if not found:
            await self._store.write(ONE_INDEX, {})
        if not found or (anew and made_for(found[0]) != (embedder, dimension)):
            await self._store.write(
                RECLAIM if found else CLAIM, {**index, "embedder": embedder, "dimension": dimension}
            )
            found = await self._store.read(KNOWN, {**index, "format": FORMAT})
        check_index(made_for(found[0]), (embedder, dimension), self.name)
        return found[0]

    async def _empty(self) -> None:
        """Let go of what was made for another embedder; begun and not ended, it is gone on with at the next connect.

        Of several that do so, none takes for the other embedder's what came after the first of them had ended.
        """
        await self._store.write(self._texts.unvectored, {})
        gone = EMPTIED_AT_A_TIME
        while gone == EMPTIED_AT_A_TIME:
            given = {"index": self._texts.index, "count": EMPTIED_AT_A_TIME, "nothing": nothing()}
            [row] = await self._store.write(self._texts.empty, given)
            gone = row["count"]
        await self._store.write(EMPTIED, {"index": self._texts.index})

    async def close(self) -> None:
        """Use the borrowed store no longer. Safe to call twice."""
        self._made_for = None

    async def upsert(self, records: Sequence[VectorRecord], *, mark: str | None = None) -> None:
        """Keep records, and a mark with them, in one transaction; who waits for one goes along with the next.

        Raises ConfigError when the index was made anew for another embedder meanwhile.
        """
        _, dimension = self._opened()
        await self._puts.ask([(await self._rows(records, dimension), mark)])

    async def _put(self, puts: list[_Put]) -> None:
        """Keep what several have asked for in one transaction; of a record that is there twice, the later state."""
        embedder, dimension = self._opened()
        rows = list({row["key"]: row for rows, _ in puts for row in rows}.values())
        mark = next((mark for _, mark in reversed(puts) if mark is not None), None)
        given = {"index": self._texts.index, "embedder": embedder, "dimension": dimension, "mark": mark, "rows": rows}
        [kept] = await self._store.write(self._texts.upsert(dimension), given)
        if kept["count"] < sum(not dimension or row["vector"] is not None for row in rows):
            raise ConfigError(
                f"{self.name} were made anew for another embedder than {embedder!r} meanwhile.",
                hint="Start this program again, with that embedder.",
            )

    async def _rows(self, records: Sequence[VectorRecord], dimension: int) -> list[Row]:
        """Return records as the statement takes them, letting others have the event loop between two parts."""
        rows: list[Row] = []
        for first in range(0, len(records), RECORDS_AT_A_TIME):
            if first:
                await asyncio.sleep(0)
            rows += map(row_of, check_records(records[first : first + RECORDS_AT_A_TIME], dimension))
        return rows

    async def delete(self, owner: str, ids: Sequence[str]) -> None:
        """Make records unsearchable; a node that is nothing but a record goes."""
        self._opened()
        check_owner(owner)
        check_ids(ids)
        keys = [search_key(owner, each) for each in ids]
        await self._remove(self._texts.delete, {"owner": owner, "keys": keys, "nothing": nothing()})

    async def forget(
        self,
        owner: str,
        *,
        kinds: Sequence[VectorKind] = (),
        agent_id: str | None = None,
        run_id: str | None = None,
        session_id: str | None = None,
    ) -> None:
        """Make an owner's records unsearchable, all or those that all of this holds for."""
        self._opened()
        chosen = {"agent_id": agent_id, "run_id": run_id, "session_id": session_id}
        check_forget(owner, kinds, chosen)
        given = {"owner": owner, "kinds": list(kinds), "nothing": nothing(), **chosen}
        await self._remove(self._texts.forget, given)

    async def _remove(self, statement: str, given: Mapping[str, Any]) -> None:
        """Run a statement when all puts that were asked for before are written, and before those from now on."""
        self._puts.part()
        await self._writing.run(lambda: self._store.write(statement, given))

    async def search(self, query: VectorQuery) -> Sequence[VectorHit]:
        """Return the best by meaning and the best by words; the two are looked for at the same time."""
        vector = check_query(query, self._opened()[1])
        given = narrowing(query, vector)
        by_words, by_meaning = await together([self._by_words(query, given), self._by_meaning(query, given, vector)])
        known = {hit.id for hit in by_words}
        return by_words + [hit for hit in by_meaning if hit.id not in known]

    async def _by_meaning(self, query: VectorQuery, given: Mapping[str, Any], vector: Vector | None) -> list[VectorHit]:
        if vector is None:
            return []

        async def nearest(count: int) -> list[Row]:
            return await self._store.read(
                self._texts.nearest, {**given, "index": self._texts.vector_index, "count": count}
            )

        async def exact(count: int) -> list[Row]:
            return await self._store.read(self._texts.exact, {**given, "count": count})

        count, most = query.limit * OVERFETCH, await self._most_nearest(query)
        while count <= most:
            hits = chosen(query, await nearest(count))
            if len(hits) >= query.limit:
                return hits
            count *= OVERFETCH
        return await filled(query, exact, most=None)

    async def _by_words(self, query: VectorQuery, given: Mapping[str, Any]) -> list[VectorHit]:
        text = lucene(query.owner, query.text)
        if text is None:
            return []

        async def worded(count: int) -> list[Row]:
            return await self._store.read(
                self._texts.worded, {**given, "index": self._texts.text_index, "text": text, "count": count}
            )

        return await filled(query, worded, most=MOST_WORDED)

    async def _most_nearest(self, query: VectorQuery) -> int:
        """Return how many of everybody's nearest the index is asked for before records are compared one by one."""
        [row] = await self._store.read(self._texts.share, {"owner": query.owner, "most": MANY + 1})
        if row["mine"] > MANY:
            return MOST_FETCHED
        worth_a_try = row["mine"] > FEW and row["mine"] * OVERFETCH >= row["all"]
        return query.limit * OVERFETCH if worth_a_try else 0

    async def count(self, owner: str | None = None) -> int:
        """Return how many records there are, of one owner or of all."""
        self._opened()
        [row] = await self._store.read(self._texts.count if owner is None else self._texts.count_of, {"owner": owner})
        return row["count"]

    async def mark(self) -> str | None:
        """Return the newest mark."""
        self._opened()
        found = await self._store.read(MARK, {"index": self._texts.index})
        return found[0]["mark"] if found else None

    async def revisions(self, after: Revision | None = None, *, limit: int = 1000) -> Sequence[Revision]:
        """Return which state of which memory is searchable, in order of the nodes' ids."""
        self._opened()
        key = "" if after is None else search_key(after.owner, after.id)
        rows = await self._store.read(self._texts.revisions, {"after": key, "limit": limit})
        return [Revision(row["owner"], row["id"], row["revision"]) for row in rows]

    def _opened(self) -> tuple[str, int]:
        if self._made_for is None:
            raise ClosedError(f"{self.name} is not connected.")
        return self._made_for


def made_for(known: Row) -> tuple[str, int]:
    """Return the embedder and the dimension that an index was made for."""
    return known["embedder"], known["dimension"]


async def filled(query: VectorQuery, fetch: Fetch, *, most: int | None) -> list[VectorHit]:
    """Fetch more and more until there are enough hits, nothing more, or as many as are ever looked at."""
    count = query.limit if query.filter == EVERYTHING else query.limit * OVERFETCH
    while True:
        rows = await fetch(count)
        hits = chosen(query, rows)
        if len(hits) >= query.limit or len(rows) < count or (most is not None and count >= most):
            return hits
        count *= OVERFETCH


def chosen(query: VectorQuery, rows: Sequence[Row]) -> list[VectorHit]:
    """Return the hits among rows: the server has narrowed them, and what the filter means is decided here."""
    left = (row for row in rows if row["left"] and matches(query.filter, json.loads(row["metadata"])))
    hits = (VectorHit(row["id"], row["kind"], min(1.0, max(-1.0, row["dense"])), row["words"]) for row in left)
    return [hit for hit, _ in zip(hits, range(query.limit), strict=False)]
