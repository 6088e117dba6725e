"""How long it takes to find a memory: by meaning and words among 100,000 of one owner, with what narrows, and cold.

Texts are two sentences of the demo's conversation with a name nobody else has, embedded by the static embedder. A
search is measured from call to return, with its query embedded before. Recall is measured against comparing a query
with every vector of a tenant: that of a tenant of 1,000 among 100,000 beside its own when it is alone.

    python -m benchmarks.search [--quick] [--json FILE] [--neo4j]
"""

import asyncio
import json
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.resources import files
from time import perf_counter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.cli import Run, main
from benchmarks.figures import Figure, Side, Target, percentile, progress, value
from benchmarks.scratch import Address
from perdure.embedders.static import StaticEmbedder
from perdure.filters import EVERYTHING, Filter, parse
from perdure.protocols import VectorStore
from perdure.records import VectorQuery, VectorRecord
from perdure.stores.sqlite_vectors import SqliteVectorStore

LARGE, SMALL = 100_000, 1000
LARGE_IN_NEO4J = 20_000
QUERIES = 200
BATCH = 1000
LIMIT = 10
SLOWEST_MS = 30.0
LEAST_RECALL = 0.99
COLD = """
from time import perf_counter
started = perf_counter()
import asyncio
from perdure.embedders.static import StaticEmbedder
asyncio.run(StaticEmbedder().embed(["Where is the organ?"]))
print(perf_counter() - started)
"""


class Corpus(NamedTuple):
    """Texts, and what they mean."""

    texts: Sequence[str]
    vectors: NDArray[np.float32]

    def records(self, owner: str) -> list[VectorRecord]:
        """Return them as an owner's memories, in fifty sessions and three categories."""
        return [
            VectorRecord(
                owner=owner,
                id=f"{owner}-{number}",
                kind="message",
                text=text,
                vector=vector,
                session_id=f"session {number % 50}",
                metadata={"category": ("work", "home", "play")[number % 3], "number": number},
                created_at=float(number),
            )
            for number, (text, vector) in enumerate(zip(self.texts, self.vectors, strict=True))
        ]


def sentences() -> list[str]:
    """Return the sentences of the demo's conversation."""
    turns = json.loads(files("perdure.demo").joinpath("conversation.json").read_text(encoding="utf-8"))
    return [found for turn in turns for found in re.split(r"(?<=[.!?])\s+", turn["content"]) if found]


async def corpus(count: int, seed: int, embedder: StaticEmbedder) -> Corpus:
    """Make up texts."""
    chance, said = random.Random(seed), sentences()
    texts = [f"{' '.join(chance.sample(said, 2))} Signed, {chance.randbytes(3).hex()}." for _ in range(count)]
    return Corpus(texts, await embedder.embed(texts))


async def keep(store: VectorStore, records: Sequence[VectorRecord], batch: int = BATCH) -> float:
    """Keep records in batches, and return how many a second that were."""
    started = perf_counter()
    for first in range(0, len(records), batch):
        await store.upsert(records[first : first + batch])
    return len(records) / (perf_counter() - started)


async def waits(
    store: VectorStore, owner: str, asked: Corpus, *, tree: Filter = EVERYTHING, session: str | None = None
) -> list[float]:
    """Search for each question in turn, and return the milliseconds each took."""
    found: list[float] = []
    for text, vector in zip(asked.texts, asked.vectors, strict=True):
        started = perf_counter()
        await store.search(VectorQuery(owner, vector, text, filter=tree, session_id=session))
        found.append((perf_counter() - started) * 1e3)
    return found


def latency(name: str, milliseconds: Sequence[float], at_most: float | None = SLOWEST_MS) -> list[Figure]:
    """Return the median and the 95th percentile of some searches."""
    return [
        value(f"{name}: p50", Side("Perdure", [percentile(milliseconds, 50)], "ms")),
        value(f"{name}: p95", Side("Perdure", [percentile(milliseconds, 95)], "ms"), at_most),
    ]


async def recall(store: VectorStore, owner: str, own: Corpus, asked: Corpus) -> float:
    """Return the share of the nearest ten by comparing all that a search by meaning finds."""
    shares: list[float] = []
    for vector in asked.vectors:
        nearest = np.argsort(-(own.vectors @ vector), kind="stable")[:LIMIT]
        found = {hit.id for hit in await store.search(VectorQuery(owner, vector, limit=LIMIT))}
        shares.append(sum(f"{owner}-{number}" in found for number in nearest) / LIMIT)
    return sum(shares) / len(shares)


async def embedding(embedder: StaticEmbedder, texts: Sequence[str]) -> list[Figure]:
    """Measure the embedder: cold in a process of its own, and warm."""
    cold = [float(subprocess.check_output([sys.executable, "-c", COLD])) for _ in range(3)]
    rates: list[float] = []
    for _ in range(3):
        started = perf_counter()
        await embedder.embed(texts)
        rates.append(len(texts) / (perf_counter() - started))
    return [
        value("static embedder: first text of a new process", Side("Perdure", cold, "s")),
        value("static embedder: texts a second", Side("Perdure", rates, "/s")),
    ]


async def embedded(run: Run) -> list[Figure]:
    """Measure the SQLite store."""
    embedder = StaticEmbedder()
    large = await corpus(run.scaled(LARGE, 5000), 1, embedder)
    small = await corpus(run.scaled(SMALL, 200), 2, embedder)
    asked = await corpus(QUERIES, 3, embedder)
    count = f"{len(large.texts):,}"
    figures = await embedding(embedder, large.texts[:5000])
    with tempfile.TemporaryDirectory(prefix="perdure-search-") as directory:
        progress(f"search: keeping {count} memories…")
        store = await opened(directory, embedder)
        await keep(store, small.records("small"))
        alone = await recall(store, "small", small, asked)
        rate = await keep(store, large.records("large"))
        inside = await recall(store, "small", small, asked)
        await store.close()
        progress("search: searching…")
        started = perf_counter()
        store = await opened(directory, embedder)
        await store.search(VectorQuery("large", asked.vectors[0], asked.texts[0]))
        first = perf_counter() - started
        figures += [
            value(f"keeping memories, {BATCH} at a time", Side("Perdure", [rate], "/s")),
            value(f"opening the file and the first search among {count}", Side("Perdure", [first], "s")),
        ]
        figures += await searches(store, count, asked)
        figures += await beside_writes(store, count, asked, small)
        await store.close()
    figures += recalls(f"1 tenant of {len(small.texts):,} among {count}", inside, alone)
    return figures


async def opened(directory: str, embedder: StaticEmbedder) -> SqliteVectorStore:
    """Open a file of vectors."""
    store = SqliteVectorStore(directory)
    await store.connect(embedder=embedder.name, dimension=embedder.dimension)
    return store


async def searches(store: VectorStore, count: str, asked: Corpus) -> list[Figure]:
    """Measure a search with all that narrows, each after one that makes what it needs."""
    narrowed = {
        "": (EVERYTHING, None),
        ", one session of 50": (EVERYTHING, "session 7"),
        ", one category of 3": (parse({"category": "work"}), None),
        ", half by number": (parse({"number": {"gte": int(count.replace(",", "")) // 2}}), None),
        ", all but two by number": (parse({"number": {"nin": [1, 2]}}), None),
    }
    figures: list[Figure] = []
    for what, (tree, session) in narrowed.items():
        first = (await waits(store, "large", Corpus(asked.texts[:1], asked.vectors[:1]), tree=tree, session=session))[0]
        figures += latency(
            f"search among {count}{what}", await waits(store, "large", asked, tree=tree, session=session)
        )
        if tree != EVERYTHING:
            figures.append(value(f"search among {count}{what}: the first", Side("Perdure", [first], "ms")))
    return figures


async def beside_writes(store: VectorStore, count: str, asked: Corpus, more: Corpus) -> list[Figure]:
    """Measure searches while memories of the same owner are kept, ten at a time, without a pause."""
    done = asyncio.Event()

    async def write() -> None:
        while not done.is_set():
            await keep(store, [record for record in more.records("large") if not done.is_set()], 10)

    async with asyncio.TaskGroup() as group:
        group.create_task(write())
        found = await waits(store, "large", asked)
        done.set()
    return latency(f"search among {count}, beside writes", found, None)


def recalls(name: str, inside: float, alone: float) -> list[Figure]:
    """Return a tenant's recall among others, and how it compares with its recall alone."""
    return [
        value(f"{name}: recall@{LIMIT}", Side("Perdure", [inside], "")),
        Figure(
            f"{name}: recall@{LIMIT} inside / alone",
            Side("Perdure", [inside / alone], ""),
            target=Target(LEAST_RECALL, at_least=True),
        ),
    ]


async def in_neo4j(run: Run, address: Address) -> list[Figure]:
    """Measure Neo4j's indexes, with a smaller large owner: writing there takes minutes."""
    from perdure.stores.neo4j import Neo4jGraphStore  # noqa: PLC0415  needs the optional driver
    from perdure.stores.neo4j.vectors import Neo4jVectorStore  # noqa: PLC0415  as above

    embedder = StaticEmbedder()
    large = await corpus(run.scaled(LARGE_IN_NEO4J, 6000), 1, embedder)
    small = await corpus(run.scaled(SMALL, 200), 2, embedder)
    asked = await corpus(QUERIES // 4, 3, embedder)
    graph = Neo4jGraphStore(address.uri, username=address.username, password=address.password)
    await graph.connect()
    store = Neo4jVectorStore(graph, label="SearchableInBenchmarks")
    count = f"{len(large.texts):,}"
    try:
        await store.connect(embedder=embedder.name, dimension=embedder.dimension)
        progress(f"search: keeping {count} memories in Neo4j…")
        await keep(store, small.records("small"))
        alone = await recall(store, "small", small, asked)
        rate = await keep(store, large.records("large"))
        inside = await recall(store, "small", small, asked)
        progress("search: searching Neo4j…")
        figures = [value(f"Neo4j, keeping memories, {BATCH} at a time", Side("Perdure", [rate], "/s"))]
        for owner in ("large", "small"):
            found = await waits(store, owner, asked)
            figures += latency(f"Neo4j, search among {count}, by the {owner} owner", found, None)
        figures.append(
            value(
                f"Neo4j, the large owner: recall@{LIMIT}",
                Side("Perdure", [await recall(store, "large", large, asked)], ""),
            )
        )
        return figures + recalls(f"Neo4j, 1 tenant of {len(small.texts):,} among {count}", inside, alone)
    finally:
        for owner in ("small", "large"):
            await store.forget(owner)
        await graph.close()


async def measure(run: Run) -> list[Figure]:
    """Measure the embedded search, and Neo4j's where it is asked for."""
    figures = await embedded(run)
    if run.neo4j and run.address is not None:
        figures += await in_neo4j(run, run.address)
    return figures


if __name__ == "__main__":
    main(__doc__, [measure], needs_server=False)
