"""One owner's records in memory. A search reads a snapshot that nobody changes; a write puts a new one in its place."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from perdure.records import VectorHit, VectorQuery
from perdure.stores.sqlite_vectors.analysis import Hashes
from perdure.stores.sqlite_vectors.columns import Columns, Mask
from perdure.stores.sqlite_vectors.scan import cosines
from perdure.stores.sqlite_vectors.words import Texts, Words
from perdure.vectors import KINDS, NARROWING, Vector

FEWEST_GONE = 1000
SPARSE = 4
"""A search among fewer than one in so many records looks at those only."""
CODES = {kind: code for code, kind in enumerate(KINDS)}


class Row(NamedTuple):
    """A record as it is kept."""

    id: str
    kind: str
    agent_id: str | None
    run_id: str | None
    session_id: str | None
    expired: bool
    metadata: str
    vector: bytes
    words: bytes


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The first `count` records at one moment; what stands behind them in shared arrays and lists is not its own."""

    count: int
    vectors: Vector
    present: Mask
    meaning: Mask
    """Which have a vector that is not all zeros."""
    expired: Mask
    kinds: NDArray[np.int8]
    narrowing: NDArray[np.int32]
    """A column each for agent, run and session."""
    names: dict[str, int]
    """The numbers that stand for those."""
    ids: list[str]
    metadata: list[str]
    words: Words
    columns: Columns

    def search(self, query: VectorQuery, vector: Vector | None, words: Hashes) -> list[VectorHit]:
        """Return the best by meaning and the best by words among what the query leaves."""
        left = self._left(query)
        fits = self.words.scores(words) if len(words) else np.zeros(self.count, dtype=np.float32)
        by_words = best(fits, left & (fits > 0), query.limit)
        if vector is None:
            return self._hits(by_words, np.zeros(len(by_words), dtype=np.float32), fits, by_words)
        by_meaning = best(self._cosines(vector, left), left & self.meaning, query.limit)
        found = np.union1d(by_meaning, by_words)
        return self._hits(found, self.vectors[found] @ vector, fits, by_words)

    def _hits(
        self, found: NDArray[np.intp], cosines: Vector, fits: Vector, by_words: NDArray[np.intp]
    ) -> list[VectorHit]:
        worded = set(by_words.tolist())
        return [
            VectorHit(
                self.ids[place],
                KINDS[self.kinds[place]],
                min(1.0, max(-1.0, float(cosine))),
                float(fits[place]) if place in worded else 0.0,
            )
            for place, cosine in zip(found.tolist(), cosines, strict=True)
        ]

    def _left(self, query: VectorQuery) -> Mask:
        left = self.present if query.include_expired else self.present & ~self.expired
        if query.kinds:
            left = left & np.isin(self.kinds, [CODES[kind] for kind in query.kinds])
        for column, name in enumerate(NARROWING):
            value = getattr(query, name)
            if value is not None:
                left = left & (self.narrowing[:, column] == self.names.get(value, -1))
        return left & self.columns.mask(query.filter, self.metadata, self.count)

    def _cosines(self, vector: Vector, left: Mask) -> Vector:
        if np.count_nonzero(left) * SPARSE > self.count:
            return cosines(self.vectors, vector)
        found = np.zeros(self.count, dtype=np.float32)
        found[left] = cosines(self.vectors[left], vector)
        return found


def best(scores: Vector, among: Mask, limit: int) -> NDArray[np.intp]:
    """Return the places of the highest scores, best first; of equal ones, those that were there first."""
    places = np.flatnonzero(among)
    chosen = scores[places]
    if len(places) > limit:
        edge = np.partition(chosen, len(places) - limit)[len(places) - limit]
        above, at = places[chosen > edge], places[chosen == edge]
        places = np.concatenate([above, at[: limit - len(above)]])
        chosen = scores[places]
    return places[np.argsort(-chosen, kind="stable")]


class Corpus:
    """Holds the current snapshot, and makes the next one. One thread at a time may change it; any may read."""

    def __init__(self, dimension: int) -> None:
        self._dimension = dimension
        self._places: dict[str, int] = {}
        self.snapshot = Snapshot(
            count=0,
            vectors=np.empty((0, dimension), dtype=np.float32),
            present=np.empty(0, dtype=np.bool_),
            meaning=np.empty(0, dtype=np.bool_),
            expired=np.empty(0, dtype=np.bool_),
            kinds=np.empty(0, dtype=np.int8),
            narrowing=np.empty((0, len(NARROWING)), dtype=np.int32),
            names={},
            ids=[],
            metadata=[],
            words=Words.of(Texts.of([])),
            columns=Columns(),
        )

    @property
    def nbytes(self) -> int:
        """About how much memory it takes."""
        now = self.snapshot
        return now.vectors.nbytes + now.words.nbytes + now.count * 300 + sum(map(len, now.metadata))

    def remove(self, ids: Sequence[str]) -> None:
        """Let go of the records of these ids, where they are there."""
        places = [place for place in (self._places.pop(each, None) for each in ids) if place is not None]
        if places:
            present = self.snapshot.present.copy()
            present[places] = False
            self.snapshot = replace(self.snapshot, present=present)
            self._tidy()

    def fill(self, pages: Iterable[Sequence[Row]]) -> None:
        """Take in many records of different ids, before anybody searches."""
        texts: list[Texts] = []
        for rows in pages:
            self.snapshot = self._extended(rows)
            texts.append(words_of(rows))
        self.snapshot = replace(self.snapshot, words=Words.of(Texts.joined(texts)))

    def add(self, rows: Sequence[Row]) -> None:
        """Take in records, each in place of the one of its id."""
        if rows:
            words = self.snapshot.words.extended(words_of(rows))
            self.snapshot = replace(self._extended(rows), words=words)
            self._tidy()

    def _extended(self, rows: Sequence[Row]) -> Snapshot:
        now = self.snapshot
        present = now.present.copy()
        present[[self._places[row.id] for row in rows if row.id in self._places]] = False
        self._places.update((row.id, place) for place, row in enumerate(rows, now.count))
        vectors = np.frombuffer(b"".join(row.vector for row in rows), dtype="<f4").reshape(len(rows), self._dimension)
        now.ids.extend(row.id for row in rows)
        now.metadata.extend(row.metadata for row in rows)
        return replace(
            now,
            count=now.count + len(rows),
            vectors=appended(now.vectors, vectors),
            present=np.concatenate([present, np.ones(len(rows), dtype=np.bool_)]),
            meaning=np.concatenate([now.meaning, vectors.any(axis=1)]),
            expired=np.concatenate([now.expired, np.array([row.expired for row in rows], dtype=np.bool_)]),
            kinds=np.concatenate([now.kinds, np.array([CODES[row.kind] for row in rows], dtype=np.int8)]),
            narrowing=np.concatenate([now.narrowing, self._narrowing(now.names, rows)]),
        )

    def _narrowing(self, names: dict[str, int], rows: Sequence[Row]) -> NDArray[np.int32]:
        values = (value for row in rows for value in (row.agent_id, row.run_id, row.session_id))
        codes = [-2 if value is None else names.setdefault(value, len(names)) for value in values]
        return np.array(codes, dtype=np.int32).reshape(-1, len(NARROWING))

    def _tidy(self) -> None:
        """Move what is there together when half of it is gone."""
        now = self.snapshot
        gone = now.count - int(np.count_nonzero(now.present))
        if gone < FEWEST_GONE or 2 * gone < now.count:
            return
        keep = now.present
        places = np.flatnonzero(keep).tolist()
        ids = [now.ids[place] for place in places]
        self._places = {each: place for place, each in enumerate(ids)}
        self.snapshot = replace(
            now,
            count=len(places),
            vectors=now.vectors[keep],
            present=np.ones(len(places), dtype=np.bool_),
            meaning=now.meaning[keep],
            expired=now.expired[keep],
            kinds=now.kinds[keep],
            narrowing=now.narrowing[keep],
            ids=ids,
            metadata=[now.metadata[place] for place in places],
            words=now.words.kept(keep),
            columns=Columns(),
        )


def words_of(rows: Sequence[Row]) -> Texts:
    """Return the words of records as they are kept."""
    hashes = np.frombuffer(b"".join(row.words for row in rows), dtype="<u8")
    return Texts(hashes, np.array([len(row.words) // hashes.itemsize for row in rows], dtype=np.int64))


def appended(rows: Vector, new: Vector) -> Vector:
    """Return the rows with new ones behind them, in the same memory where it has room that nobody reads."""
    count = len(rows) + len(new)
    room = rows.base if isinstance(rows.base, np.ndarray) and rows.base.shape[1:] == rows.shape[1:] else rows
    if len(room) < count:
        larger = np.empty((max(count, len(rows) * 3 // 2, 64), rows.shape[1]), dtype=np.float32)
        larger[: len(rows)] = rows
        room = larger
    room[len(rows) : count] = new
    return room[:count]
