"""Finding memories by meaning and by words."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from perdure.errors import InputError
from perdure.filters import EVERYTHING, All, Condition, Filter
from perdure.graph import checks
from perdure.graph.scope import Scope
from perdure.graph.searchable import Found, found, kind_and_id, name_of
from perdure.graph.statements import load
from perdure.graph.writing import Graph
from perdure.models import Hit
from perdure.protocols import Embedder
from perdure.ranking import Ranked, fuse
from perdure.records import MAX_HITS, VectorKind, VectorQuery
from perdure.runtime.together import together

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

TEXTS = load("search")
STATEMENTS: Mapping[VectorKind, str] = {
    "message": TEXTS["messages"],
    "entity": TEXTS["entities"],
    "fact": TEXTS["facts"],
    "preference": TEXTS["preferences"],
    "trace": TEXTS["traces"],
    "memory": TEXTS["memories"],
}
CANDIDATES = 50
LONGEST_QUERY = 100_000


class Question(NamedTuple):
    """What is looked for, and where."""

    kinds: tuple[VectorKind, ...]
    text: str
    limit: int
    threshold: float | None
    filter: Filter = EVERYTHING
    session_id: str | None = None
    include_expired: bool = False
    keep: Callable[[Any], bool] = lambda _: True
    """What of the records is wanted, as they stand in the graph."""


def question(  # noqa: PLR0913  the parts of a question
    kinds: tuple[VectorKind, ...],
    query: str,
    *,
    limit: int,
    threshold: float | None,
    metadata: Filter = EVERYTHING,
    where: Mapping[str, Any] | None = None,
    **more: Any,
) -> Question:
    """Return a checked question; `where` are conditions of our own that hold beside a caller's `metadata`."""
    text = query_text(query)
    ours = [Condition(key, "eq", value) for key, value in (where or {}).items() if value is not None]
    wanted = All((metadata, *ours)) if ours else metadata
    least = None if threshold is None else checks.share("threshold", threshold)
    return Question(kinds, text, checks.limit(limit, most=MAX_HITS), least, wanted, **more)


def query_text(query: object) -> str:
    """Return the text of a query; raises InputError for a blank one, and for one that is too long."""
    text = checks.filled("query", query)
    if len(text) > LONGEST_QUERY:
        raise InputError(f"query has {len(text)} characters, and at most {LONGEST_QUERY} are looked at.")
    return text


def check_threshold(threshold: float | None, embedder: Embedder) -> None:
    """Raise InputError for a least cosine where there are no vectors: nothing would ever be found."""
    if threshold is not None and not embedder.dimension:
        raise InputError(
            "threshold is the least cosine, and with embedder='none' there are no vectors to compare.",
            hint="Leave threshold out, or choose an embedder.",
        )


async def search(graph: Graph, whose: Scope, asked: Question) -> list[Hit[Any]]:
    """Return what fits best, best first, as it stands in the graph; what this client wrote before is among it.

    `score` is the sum of two shares, how far a hit is above the other candidates by meaning and by words;
    `why` has both, and the cosine, which is what `threshold` is compared with. Raises InputError for a threshold where
    nothing is compared by meaning.
    """
    check_threshold(asked.threshold, graph.index.embedder)
    await graph.settled(whose.owner, None if asked.session_id is None else whose.key(asked.session_id))
    await graph.index.caught_up(whose.owner)
    [vector] = await graph.index.embedder.embed([asked.text])
    wanted = max(CANDIDATES, asked.limit)
    while True:
        hits = await graph.index.vectors.search(_query(whose, asked, vector, wanted))
        ranked = [one for one in fuse(hits) if asked.threshold is None or one.hit.dense >= asked.threshold]
        chosen = await _stored(graph, whose, asked, ranked)
        if len(chosen) >= asked.limit or len(hits) < wanted or wanted >= MAX_HITS:
            return chosen[: asked.limit]
        wanted = min(4 * wanted, MAX_HITS)


def _query(whose: Scope, asked: Question, vector: "NDArray[float32]", limit: int) -> VectorQuery:
    return VectorQuery(
        owner=whose.owner,
        vector=vector,
        text=asked.text,
        kinds=asked.kinds,
        agent_id=whose.agent_id,
        run_id=whose.run_id,
        session_id=asked.session_id,
        filter=asked.filter,
        limit=limit,
        include_expired=asked.include_expired,
    )


async def _stored(graph: Graph, whose: Scope, asked: Question, ranked: list[Ranked]) -> list[Hit[Any]]:
    """Return those that are in the graph, and wanted; one that is gone from it is gone from the index as well."""
    keys: defaultdict[VectorKind, list[str]] = defaultdict(list)
    for kind, record_id in (kind_and_id(one.hit.id) for one in ranked):
        keys[kind].append(whose.key(record_id))
    parts = await together([_read(graph, whose, kind, wanted) for kind, wanted in keys.items()])
    stored = {name_of(one.kind, one.record.id): one.record for one in chain.from_iterable(parts)}
    return [
        Hit(item=stored[one.hit.id], score=one.score, why=_why(one))
        for one in ranked
        if one.hit.id in stored and asked.keep(stored[one.hit.id])
    ]


async def _read(graph: Graph, whose: Scope, kind: VectorKind, keys: list[str]) -> list[Found]:
    rows = await graph.read(whose, STATEMENTS[kind], lane=whose.owner, ids=keys)
    return found(kind, [row["n"] for row in rows])


def _why(one: Ranked) -> dict[str, float]:
    return {
        "meaning": one.dense_share, "words": one.words_share, "cosine": one.hit.dense, "word_score": one.hit.words,
    }  # fmt: skip
