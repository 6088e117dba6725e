"""The statements of a search in Neo4j, and what goes into them. A caller's text is only ever a parameter."""

import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from perdure.filters import All, Condition, Filter
from perdure.records import VectorQuery, VectorRecord
from perdure.vectors import ALONE, Vector, as_json, choices, term

LABEL = "Searchable"
FORMAT = 1
MOST_WORDS = 64
PROPERTIES = (
    "id kind text scope agent_id run_id session_id metadata terms created_at revision expired embedding".split()
)
NARROWED = """
($kinds = [] OR n.search_kind IN $kinds)
AND ($agent_id IS NULL OR n.search_agent_id = $agent_id)
AND ($run_id IS NULL OR n.search_run_id = $run_id)
AND ($session_id IS NULL OR n.search_session_id = $session_id)
"""
LEFT = f"""n.owner = $owner AND {NARROWED}
AND ($include_expired OR NOT n.search_expired)
AND all(terms IN $terms WHERE any(term IN terms WHERE term IN n.search_terms))
"""
COSINE = """CASE WHEN $vector IS NULL OR n.search_embedding IS NULL THEN 0.0
ELSE 2 * vector.similarity.cosine(n.search_embedding, $vector) - 1 END"""
FOUND = "n.search_id AS id, n.search_kind AS kind, CASE WHEN $filtered THEN n.search_metadata ELSE '{}' END AS metadata"


UNINDEXED = """WITH n, CASE WHEN size(labels(n)) = 1 THEN [n] ELSE [] END AS whole
FOREACH (gone IN whole | DETACH DELETE gone)
FOREACH (kept IN CASE WHEN whole = [] THEN [n] ELSE [] END | SET kept += $nothing REMOVE kept:Searchable)
"""

KNOWN = """MATCH (k:_SearchIndex {id: $index})
RETURN k.embedder AS embedder, k.dimension AS dimension, coalesce(k.format = $format, false) AS ready,
       coalesce(k.stale, false) AS stale
"""
ONE_INDEX = "CREATE CONSTRAINT perdure_search_index IF NOT EXISTS FOR (k:_SearchIndex) REQUIRE k.id IS UNIQUE"
CLAIM = "MERGE (k:_SearchIndex {id: $index}) ON CREATE SET k.embedder = $embedder, k.dimension = $dimension"
RECLAIM = """MATCH (k:_SearchIndex {id: $index})
SET k.embedder = $embedder, k.dimension = $dimension, k.stale = true REMOVE k.format, k.mark
"""
EMPTIED = "MATCH (k:_SearchIndex {id: $index}) REMOVE k.stale"
READY = "MATCH (k:_SearchIndex {id: $index}) SET k.format = $format"
MARK = "MATCH (k:_SearchIndex {id: $index}) RETURN k.mark AS mark"
SCHEMA = (
    "CREATE CONSTRAINT perdure_Searchable_id IF NOT EXISTS FOR (n:Searchable) REQUIRE n.id IS UNIQUE",
    "CREATE INDEX perdure_Searchable_owner IF NOT EXISTS FOR (n:Searchable) ON (n.owner)",
    """CREATE FULLTEXT INDEX perdure_Searchable_words IF NOT EXISTS FOR (n:Searchable)
    ON EACH [n.search_text, n.search_scope] OPTIONS {indexConfig: {`fulltext.analyzer`: 'english'}}""",
)
VECTORS = """CREATE VECTOR INDEX perdure_Searchable_vectors IF NOT EXISTS FOR (n:Searchable) ON (n.search_embedding)
OPTIONS {indexConfig: {`vector.dimensions`: DIMENSION, `vector.similarity_function`: 'cosine'}}
"""

UPSERT = """MATCH (k:_SearchIndex {id: $index, embedder: $embedder, dimension: $dimension})
FOREACH (m IN CASE WHEN $mark IS NULL THEN [] ELSE [$mark] END | SET k.mark = m)
WITH k UNWIND $rows AS row
MERGE (n:Searchable {id: row.key}) SET n += row.properties
"""
UPSERT_VECTORS = """WITH n, row WHERE row.vector IS NOT NULL
CALL db.create.setNodeVectorProperty(n, 'search_embedding', row.vector)
"""
DELETE = f"UNWIND $keys AS key MATCH (n:Searchable {{id: key}}) WHERE n.owner = $owner {UNINDEXED}"
EMPTY = f"""MATCH (k:_SearchIndex {{id: $index}}) SET k.stale = k.stale  // a write: it is locked before it is read
WITH k WHERE k.stale
MATCH (n:Searchable) WHERE n.search_revision IS NOT NULL WITH n LIMIT $count
{UNINDEXED} RETURN count(*) AS count
"""
FORGET = f"MATCH (n:Searchable {{owner: $owner}}) WHERE {NARROWED} {UNINDEXED}"

SHARE = """MATCH (n:Searchable) WITH count(n) AS all
OPTIONAL MATCH (n:Searchable {owner: $owner}) WITH all, n LIMIT $most RETURN all, count(n) AS mine
"""
COUNT = "MATCH (n:Searchable) WHERE n.search_revision IS NOT NULL RETURN count(n) AS count"
COUNT_OF = "MATCH (n:Searchable {owner: $owner}) WHERE n.search_revision IS NOT NULL RETURN count(n) AS count"
REVISIONS = """MATCH (n:Searchable) WHERE n.id > $after AND n.search_revision IS NOT NULL
RETURN n.owner AS owner, n.search_id AS id, n.search_revision AS revision ORDER BY n.id LIMIT $limit
"""
EXACT = f"""MATCH (n:Searchable {{owner: $owner}}) WHERE n.search_embedding IS NOT NULL AND {LEFT}
WITH n, {COSINE} AS dense ORDER BY dense DESC, n.search_id LIMIT $count
RETURN true AS left, dense, 0.0 AS words, {FOUND}
"""
NEAREST = f"""CALL db.index.vector.queryNodes($index, $count, $vector) YIELD node AS n
WITH n WHERE {LEFT} WITH n, {COSINE} AS dense ORDER BY dense DESC, n.search_id
RETURN true AS left, dense, 0.0 AS words, {FOUND}
"""
WORDED = f"""CALL db.index.fulltext.queryNodes($index, $text, {{limit: $count}}) YIELD node AS n, score
RETURN score > 0 AND {LEFT} AS left, {COSINE} AS dense, score AS words, {FOUND} ORDER BY score DESC
"""


class Statements:
    """The statements for one label, which is a plain word: each index has its own."""

    def __init__(self, label: str) -> None:
        self.index = label
        self.vector_index = f"perdure_{label}_vectors"
        self.text_index = f"perdure_{label}_words"
        self._label = label
        self.delete, self.forget, self.empty = map(self._of, (DELETE, FORGET, EMPTY))
        self.exact, self.nearest, self.worded = map(self._of, (EXACT, NEAREST, WORDED))
        self.share, self.count, self.count_of = map(self._of, (SHARE, COUNT, COUNT_OF))
        self.revisions = self._of(REVISIONS)

    def schema(self, dimension: int) -> list[str]:
        """Return what makes the constraint and the indexes that are not there; a dimension of 0 has no vector index."""
        texts = (*SCHEMA, VECTORS.replace("DIMENSION", f"{dimension:d}")) if dimension else SCHEMA
        return [self._of(text) for text in texts]

    def upsert(self, dimension: int) -> str:
        """Return what keeps records, and says how many: where there are vectors, how many of those."""
        return self._of(f"{UPSERT}{UPSERT_VECTORS if dimension else ''}RETURN count(*) AS count")

    @property
    def unvectored(self) -> str:
        """What removes the index of vectors."""
        return f"DROP INDEX {self.vector_index} IF EXISTS"

    def _of(self, text: str) -> str:
        return text.replace(LABEL, self._label)


def search_key(owner: str, record: str) -> str:
    """Return the `id` of a record's node: no two owners' records share one, whatever their names."""
    return f"{len(owner)}:{owner}:{record}"


def row_of(record: VectorRecord) -> dict[str, Any]:
    """Return a record as `upsert` takes it; a vector of zeros is left out, which the index does not take."""
    terms = (term(key, value) for key, value in record.metadata.items())
    return {
        "key": search_key(record.owner, record.id),
        "vector": record.vector.tolist() if record.vector.any() else None,
        "properties": {
            "owner": record.owner,
            "search_id": record.id,
            "search_kind": record.kind,
            "search_text": ALONE.sub(r" \1 ", record.text),
            "search_scope": scope(record.owner),
            "search_agent_id": record.agent_id,
            "search_run_id": record.run_id,
            "search_session_id": record.session_id,
            "search_metadata": as_json(record.metadata),
            "search_terms": [hashed(each) for each in terms if each is not None],
            "search_created_at": record.created_at,
            "search_revision": record.revision,
            "search_expired": record.expired,
            "search_embedding": None,
        },
    }


def nothing() -> dict[str, None]:
    """Return the properties of a node that is not searchable any more."""
    return {f"search_{name}": None for name in PROPERTIES}


def narrowing(query: VectorQuery, vector: Vector | None) -> Mapping[str, Any]:
    """Return the parameters that every search has."""
    return {
        "owner": query.owner,
        "kinds": list(query.kinds),
        "agent_id": query.agent_id,
        "run_id": query.run_id,
        "session_id": query.session_id,
        "include_expired": query.include_expired,
        "terms": required(query.filter),
        "filtered": query.filter != All(()),
        "vector": None if vector is None else vector.tolist(),
    }


def required(tree: Filter) -> list[list[str]]:
    """Return what the index of exact values can say ahead: of each list, a record must have one at least."""
    parts = tree.parts if isinstance(tree, All) else (tree,)
    found = [choices(part) for part in parts if isinstance(part, Condition)]
    inner = [terms for part in parts if isinstance(part, All) and part is not tree for terms in required(part)]
    return [[hashed(each) for each in terms] for terms in found if terms is not None] + inner


def hashed(text: str) -> str:
    """Return a short name for a term, however long its value is."""
    return blake2b(text.encode(), digest_size=12).hexdigest()


def scope(owner: str) -> str:
    """Return the word that stands for an owner in the index of words; it ends so that no stemmer touches it."""
    return f"o{hashed(owner)}0"


def lucene(owner: str, text: str) -> str | None:
    """Return a query for the words of a text among an owner's, each in quotes and none an operator; None without any.

    The owner's word must be there, and adds nothing to the score.
    """
    words = list(dict.fromkeys(re.findall(r"\w+", ALONE.sub(r" \1 ", text))))[:MOST_WORDS]
    if not words:
        return None
    quoted = " ".join(f'"{word}"' for word in words)
    return f"+search_scope:{scope(owner)}^0 +search_text:({quoted})"
