"""An embedder and a vector store: no model, no files, and the promises of the real ones."""

import asyncio
import re
from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from perdure.errors import ClosedError
from perdure.filters import matches
from perdure.records import Revision, VectorHit, VectorKind, VectorQuery, VectorRecord
from perdure.vectors import (
    NARROWING,
    check_dimension,
    check_forget,
    check_ids,
    check_index,
    check_owner,
    check_query,
    check_records,
)


class FakeEmbedder:
    """An Embedder whose vectors say which words a text has, and nothing of what they mean; the same everywhere."""

    def __init__(self, dimension: int = 32, *, name: str = "fake") -> None:
        self.name = name
        self.dimension = dimension
        self.texts: list[str] = []
        """Every text it was asked for, in order."""

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return a row for each text: the sum of what its words' hashes say."""
        await asyncio.sleep(0)
        self.texts += texts
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for place, text in enumerate(texts):
            for word in words_of(text):
                seed = int.from_bytes(blake2b(word.encode(), digest_size=8).digest(), "little")
                vectors[place] += np.random.default_rng(seed).standard_normal(self.dimension, dtype=np.float32)
        return vectors


class FakeVectorStore:
    """A VectorStore that looks at every record for every search: slow, short, and what the others are compared with.

    Its words are whole words, ignoring case.
    """

    name = "the fake vectors"

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], VectorRecord] = {}
        """What is in it, by owner and id; kept when it is closed."""
        self.marks: list[str] = []
        self._index: tuple[str, int] | None = None
        self._dimension: int | None = None

    async def connect(self, *, embedder: str, dimension: int, anew: bool = False) -> None:
        """Open the store; raises ConfigError when it was made for another embedder, unless it may be made `anew`."""
        check_dimension(dimension)
        if anew and self._index != (embedder, dimension):
            self.records, self.marks, self._index = {}, [], None
        check_index(self._index or (embedder, dimension), (embedder, dimension), self.name)
        self._index, self._dimension = (embedder, dimension), dimension

    async def close(self) -> None:
        """Close it. Safe to call twice."""
        self._dimension = None

    async def upsert(self, records: Sequence[VectorRecord], *, mark: str | None = None) -> None:
        """Keep records, each in place of the one of the same owner and id."""
        kept = check_records(records, self._opened())
        self.records |= {(record.owner, record.id): record for record in kept}
        self.marks += [] if mark is None else [mark]

    async def delete(self, owner: str, ids: Sequence[str]) -> None:
        """Remove records of one owner."""
        self._opened()
        check_owner(owner)
        check_ids(ids)
        for each in ids:
            self.records.pop((owner, each), None)

    async def forget(
        self,
        owner: str,
        *,
        kinds: Sequence[VectorKind] = (),
        agent_id: str | None = None,
        run_id: str | None = None,
        session_id: str | None = None,
    ) -> None:
        """Remove an owner's records, all or those that all of this holds for."""
        self._opened()
        check_forget(owner, kinds, {"agent_id": agent_id, "run_id": run_id, "session_id": session_id})
        gone = VectorQuery(
            owner,
            kinds=tuple(kinds),
            agent_id=agent_id,
            run_id=run_id,
            session_id=session_id,
            include_expired=True,
        )
        self.records = {key: record for key, record in self.records.items() if not is_left(record, gone)}

    async def search(self, query: VectorQuery) -> Sequence[VectorHit]:
        """Return the best by meaning and the best by words."""
        vector = check_query(query, self._opened())
        words = set(words_of(query.text))
        hits: list[VectorHit] = []
        for record in self.records.values():
            if is_left(record, query):
                dense = float(record.vector @ vector) if vector is not None else 0.0
                fit = float(len(words & set(words_of(record.text))))
                hits.append(VectorHit(record.id, record.kind, dense, fit))
        meaning = [hit for hit in hits if vector is not None and self.records[query.owner, hit.id].vector.any()]
        by_meaning = sorted(meaning, key=lambda hit: -hit.dense)[: query.limit]
        by_words = sorted((hit for hit in hits if hit.words), key=lambda hit: -hit.words)[: query.limit]
        return by_words + [hit._replace(words=0.0) for hit in by_meaning if hit not in by_words]

    async def count(self, owner: str | None = None) -> int:
        """Return how many records there are."""
        self._opened()
        return sum(owner in (None, record.owner) for record in self.records.values())

    async def mark(self) -> str | None:
        """Return the newest mark."""
        self._opened()
        return self.marks[-1] if self.marks else None

    async def revisions(self, after: Revision | None = None, *, limit: int = 1000) -> Sequence[Revision]:
        """Return which state of which memory it holds."""
        self._opened()
        first = ("", "") if after is None else (after.owner, after.id)
        return [Revision(*key, self.records[key].revision) for key in sorted(self.records) if key > first][:limit]

    def _opened(self) -> int:
        if self._dimension is None:
            raise ClosedError("The fake vectors are not connected.")
        return self._dimension


def is_left(record: VectorRecord, query: VectorQuery) -> bool:
    """Return whether a record is one that a query may find."""
    return (
        record.owner == query.owner
        and (not query.kinds or record.kind in query.kinds)
        and all(getattr(query, name) in (None, getattr(record, name)) for name in NARROWING)
        and (query.include_expired or not record.expired)
        and matches(query.filter, record.metadata)
    )


def words_of(text: str) -> list[str]:
    """Return the words of a text, in lower case."""
    return re.findall(r"\w+", text.lower())
