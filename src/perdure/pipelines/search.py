"""Finding: by meaning, by words and by what is mentioned at the same time, put into one order."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from perdure.errors import ProviderError
from perdure.filters import Filter
from perdure.graph.index import Index
from perdure.graph.memories import Memories
from perdure.graph.scope import Scope
from perdure.graph.searchable import kind_and_id
from perdure.protocols import Reranker
from perdure.ranking import fuse
from perdure.records import MAX_HITS, VectorHit, VectorQuery
from perdure.results import MemoryHit, SearchResult
from perdure.runtime.limits import Limits

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

CANDIDATES = 50


class Wanted(NamedTuple):
    """What is looked for."""

    query: str
    limit: int
    filter: Filter
    threshold: float | None
    rerank: bool
    explain: bool


class Searching:
    """The steps of `Memory.search`, in order."""

    def __init__(self, memories: Memories, index: Index, limits: Limits, reranker: Reranker | None) -> None:
        self._memories = memories
        self._index = index
        self._limits = limits
        self._reranker = reranker

    async def search(self, whose: Scope, wanted: Wanted) -> SearchResult:
        """Return what fits best, best first."""
        vector = await self._meaning(wanted.query)
        depth = max(CANDIDATES, wanted.limit)
        while True:
            hits = await self._candidates(whose, wanted, vector, depth)
            found = await self._ranked(whose, wanted, hits)
            if len(found) >= wanted.limit or len(hits) < depth or depth >= MAX_HITS:
                return await self._reranked(wanted, found)
            depth = min(4 * depth, MAX_HITS)

    async def _meaning(self, text: str) -> "NDArray[float32]":
        [vector] = await self._limits.embedder.run(lambda: self._index.embedder.embed([text]))
        return vector

    async def _candidates(
        self, whose: Scope, wanted: Wanted, vector: "NDArray[float32]", depth: int
    ) -> Sequence[VectorHit]:
        query = VectorQuery(
            owner=whose.owner,
            vector=vector,
            text=wanted.query,
            kinds=("memory",),
            agent_id=whose.agent_id,
            run_id=whose.run_id,
            filter=wanted.filter,
            limit=depth,
        )
        return await self._limits.store.run(lambda: self._index.vectors.search(query))

    async def _ranked(self, whose: Scope, wanted: Wanted, hits: Sequence[VectorHit]) -> list[MemoryHit]:
        ranked = [one for one in fuse(hits) if wanted.threshold is None or one.hit.dense >= wanted.threshold]
        names = [kind_and_id(one.hit.id)[1] for one in ranked]
        stored = {each.record.id: each.record for each in await self._memories.get(whose, names)}
        return [
            MemoryHit(
                **dict(stored[name]),
                score=one.score,
                why={"meaning": one.dense_share, "words": one.words_share, "cosine": one.hit.dense}
                if wanted.explain
                else None,
            )
            for name, one in zip(names, ranked, strict=True)
            if name in stored and stored[name].expired_at is None
        ]

    async def _reranked(self, wanted: Wanted, found: Sequence[MemoryHit]) -> SearchResult:
        """Return the best in the reranker's order, or in ours where it cannot say."""
        reranker = self._reranker
        if not wanted.rerank or reranker is None or not found:
            return SearchResult(results=list(found[: wanted.limit]))
        texts = [hit.memory for hit in found]
        try:
            scores = await self._limits.reranker.run(lambda: reranker.rerank(wanted.query, texts))
        except ProviderError as error:
            return SearchResult(results=list(found[: wanted.limit]), rerank_error=error)
        best = sorted(zip(scores, found, strict=True), key=lambda pair: -pair[0])
        hits = [hit.model_copy(update={"score": float(score)}) for score, hit in best[: wanted.limit]]
        return SearchResult(results=hits)
