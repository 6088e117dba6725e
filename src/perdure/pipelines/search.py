"""Finding: by meaning, by words and by what is mentioned at the same time, put into one order."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from perdure import ids
from perdure.errors import ProviderError
from perdure.filters import Filter, matches
from perdure.graph.index import Index
from perdure.graph.memories import Memories, Stored
from perdure.graph.scope import Scope
from perdure.graph.search import check_threshold
from perdure.graph.searchable import kind_and_id
from perdure.pipelines.fuse import Candidate, Ranked, around, rank
from perdure.pipelines.mentions import names
from perdure.pipelines.question import Question, understood
from perdure.pipelines.speakers import Speakers
from perdure.protocols import Reranker
from perdure.records import MAX_HITS, VectorHit, VectorQuery
from perdure.results import MemoryHit, SearchResult
from perdure.runtime.limits import Pool
from perdure.runtime.together import both

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

CANDIDATES = 30
MENTIONING = 50
"""Memories that mention a name of the query and are looked at for that alone."""


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

    def __init__(
        self, memories: Memories, index: Index, stores: Pool, reranker: Reranker | None, speakers: Speakers
    ) -> None:
        self._memories = memories
        self._index = index
        self._stores = stores
        self._reranker = reranker
        self._speakers = speakers

    async def search(self, whose: Scope, wanted: Wanted) -> SearchResult:
        """Return what fits best, best first; raises InputError for a threshold where there are no vectors."""
        check_threshold(wanted.threshold, self._index.embedder)
        question = understood(wanted.query, await self._speakers.of(whose), ids.now())
        vector, mentioning = await both(self._meaning(question.text), self._mentioning(whose, question))
        depth = max(CANDIDATES, wanted.limit)
        while True:
            hits = await self._hits(whose, wanted, question, vector, depth)
            found = await self._ranked(whose, wanted, question, hits, mentioning)
            if len(found) >= wanted.limit or len(hits) < depth or depth >= MAX_HITS:
                return await self._reranked(whose, wanted, found)
            depth = min(4 * depth, MAX_HITS)

    async def _meaning(self, text: str) -> "NDArray[float32]":
        [vector] = await self._index.embedder.embed([text])
        return vector

    async def _mentioning(self, whose: Scope, question: Question) -> Sequence[str]:
        """Return the ids of memories that mention a name of the query: not a speaker's, whom the others mention."""
        named = names(question.text)
        if not named:
            return []
        return await self._stores.run(lambda: self._memories.mentioning(whose, named, MENTIONING))

    async def _hits(
        self, whose: Scope, wanted: Wanted, question: Question, vector: "NDArray[float32]", depth: int
    ) -> Sequence[VectorHit]:
        query = VectorQuery(
            owner=whose.owner,
            vector=vector,
            text=question.text,
            kinds=("memory",),
            agent_id=whose.agent_id,
            run_id=whose.run_id,
            filter=wanted.filter,
            limit=depth,
        )
        return await self._stores.run(lambda: self._index.vectors.search(query))

    async def _ranked(
        self, whose: Scope, wanted: Wanted, question: Question, hits: Sequence[VectorHit], mentioning: Sequence[str]
    ) -> list[Ranked]:
        """Return what is wanted of the hits, of what mentions a name, and of what stands beside a hit, best first."""
        scores = {kind_and_id(hit.id)[1]: hit for hit in hits}
        wanted_ids = list(dict.fromkeys([*scores, *mentioning]))
        stored = await self._stores.run(lambda: self._memories.candidates(whose, wanted_ids))
        mentions = set(mentioning)
        looked_for = [_candidate(each, scores, mentions) for each in stored if not each.expired]
        beside = await self._beside(whose, around(question, looked_for))
        known = {each.id: each for each in [*beside, *stored]}
        ranked = rank(question, [*looked_for, *(_candidate(each, scores, mentions) for each in beside)])
        return [one for one in ranked if _is_wanted(known[one.candidate.id], one, wanted)]

    async def _beside(self, whose: Scope, places: Sequence[tuple[str, int]]) -> list[Stored]:
        """Return the memories at some places of chats that are still held to be true."""
        if not places:
            return []
        found = await self._stores.run(lambda: self._memories.neighbours(whose, places))
        return [each for each in found if not each.expired]

    async def _reranked(self, whose: Scope, wanted: Wanted, ranked: Sequence[Ranked]) -> SearchResult:
        """Return the best in the reranker's order, or in ours where it cannot say."""
        reranker = self._reranker if wanted.rerank else None
        if reranker is None:
            return SearchResult(results=await self._whole(whose, wanted, ranked[: wanted.limit]))
        first = await self._whole(whose, wanted, ranked[: max(CANDIDATES, wanted.limit)])
        if not first:
            return SearchResult()
        try:
            scores = await reranker.rerank(wanted.query, [hit.memory for hit in first])
        except ProviderError as error:
            return SearchResult(results=first[: wanted.limit], rerank_error=error)
        best = sorted(zip(scores, first, strict=True), key=lambda pair: -pair[0])
        hits = [hit.model_copy(update={"score": float(score)}) for score, hit in best[: wanted.limit]]
        return SearchResult(results=hits)

    async def _whole(self, whose: Scope, wanted: Wanted, ranked: Sequence[Ranked]) -> list[MemoryHit]:
        """Return hits as they stand in the graph; one that is forgotten by now is none."""
        if not ranked:
            return []
        names = [one.candidate.id for one in ranked]
        found = await self._stores.run(lambda: self._memories.get(whose, names))
        stored = {each.id: each for each in found if not each.expired}
        return [
            _hit(stored[one.candidate.id], one, explain=wanted.explain) for one in ranked if one.candidate.id in stored
        ]


def _candidate(stored: Stored, scores: Mapping[str, VectorHit], mentions: Collection[str]) -> Candidate:
    hit = scores.get(stored.id)
    return Candidate(
        id=stored.id,
        text=stored.text,
        said_at=stored.said_at,
        dense=None if hit is None else hit.dense,
        words=0.0 if hit is None else hit.words,
        name=stored.name,
        role=stored.role,
        place=stored.place,
        mentioned=stored.id in mentions,
    )


def _is_wanted(stored: Stored, one: Ranked, wanted: Wanted) -> bool:
    """Return whether a candidate may be a hit: those that were not looked for may be anything."""
    dense = one.candidate.dense
    if wanted.threshold is not None and (dense is None or dense < wanted.threshold):
        return False
    return dense is not None or matches(wanted.filter, stored.metadata)


def _hit(stored: Stored, one: Ranked, *, explain: bool) -> MemoryHit:
    why = {**one.why, "cosine": one.candidate.dense, "word_score": one.candidate.words} if explain else None
    return MemoryHit(**dict(stored.record), score=one.score, why=why)
