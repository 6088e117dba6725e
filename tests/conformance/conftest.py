"""A graph on each of the stores that Perdure promises to treat alike, with room that belongs to one test at a time."""

import re
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from vector_indexes import lent

from perdure import Memory, MemoryClient, MemorySettings
from perdure.cypher import bind
from perdure.protocols import GraphStore
from perdure.records import Batch, JournalEntry
from perdure.stores.embedded import EmbeddedGraphStore
from perdure.stores.sqlite_vectors import SqliteVectorStore
from perdure.testing import FakeEmbedder, FakeVectorStore

DIRECTORY, MEMORY, NEO4J = "embedded in a directory", "embedded in memory", "Neo4j"
FIXTURES = {DIRECTORY: "directory_graph", MEMORY: "memory_graph", NEO4J: "neo4j_graph"}
LABELS = re.compile(r"(?<=[:|])(Thing|Other)\b")
LANE = "lane"
RUN = secrets.token_hex(6)  # the same for all tests of a run, so that the server plans a statement once


class Graph:
    """A connected store, and a corner of its graph: `:Thing` and `:Other` mean labels that nobody else has.

    That is what keeps a run apart from whoever else uses the server; the corner is swept when a test is over.
    """

    def __init__(self, store: GraphStore) -> None:
        self.store = store
        self._mine = self.owner = RUN
        self._lanes: set[str] = set()

    def text(self, statement: str) -> str:
        """Return a statement with this test's labels in it."""
        return LABELS.sub(rf"\g<1>{self._mine}", statement)

    def lane(self, name: str = LANE) -> str:
        """Return a lane's name in the store, and remember to remove its mark."""
        self._lanes.add(f"{self._mine}/{name}")
        return f"{self._mine}/{name}"

    async def write(self, statement: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Run one statement in one transaction, and return its rows."""
        text, copy, _ = bind(self.text(statement), parameters)
        return await self.store.write(text, copy)

    async def read(self, statement: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Return the rows of a statement that reads."""
        text, copy, _ = bind(self.text(statement), parameters)
        return await self.store.read(text, copy)

    async def value(self, statement: str, parameters: Mapping[str, Any] | None = None) -> Any:
        """Return the one value a statement answers with."""
        [row] = await self.read(statement, parameters)
        [value] = row.values()
        return value

    async def snapshot(self) -> tuple[dict[Any, dict[str, Any]], list[tuple[Any, str, Any, dict[str, Any]]]]:
        """Return every `:Thing`'s properties by its id, and every relationship between two, in order of their ids."""
        nodes = await self.read("MATCH (n:Thing) RETURN n")
        links = await self.read(
            "MATCH (a:Thing)-[r]->(b:Thing) RETURN a.id AS a, type(r) AS t, b.id AS b, r ORDER BY a, t, b"
        )
        return {row["n"]["id"]: row["n"] for row in nodes}, [(row["a"], row["t"], row["b"], row["r"]) for row in links]

    async def apply(
        self, *writes: str | tuple[str, Mapping[str, Any]], first: int = 0, epoch: int = 1, lane: str = LANE
    ) -> int:
        """Send writes as one batch whose first entry has the number `first`."""
        pairs = [(write, {}) if isinstance(write, str) else write for write in writes]
        entries = [self._entry(first + place, *pair) for place, pair in enumerate(pairs)]
        return await self.store.apply(Batch(self.lane(lane), epoch, entries))

    async def apply_all(self, *writes: str | tuple[str, Mapping[str, Any]], lane: str = LANE) -> None:
        """Send writes as batches until all are applied, as the drain does."""
        done = 0
        while done < len(writes):
            done += await self.apply(*writes[done:], first=done, lane=lane)

    def _entry(self, seq: int, statement: str, parameters: Mapping[str, Any]) -> JournalEntry:
        text, copy, size = bind(self.text(statement), parameters)
        return JournalEntry(seq, 0, None, text, copy, size)

    async def sweep(self) -> None:
        """Remove everything that is this test's."""
        await self.write("MATCH (n:Thing|Other) DETACH DELETE n")
        if self._lanes:
            await self.store.forget_lanes(sorted(self._lanes))


@asynccontextmanager
async def opened(store: GraphStore) -> AsyncIterator[GraphStore]:
    """Connect a store for the length of a block."""
    await store.connect()
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def corner(store: GraphStore) -> AsyncIterator[Graph]:
    """Lend a corner of a store's graph, and sweep it."""
    graph = Graph(store)
    yield graph
    await graph.sweep()


@pytest.fixture(scope="module")
async def neo4j_store(neo4j_server) -> AsyncIterator[GraphStore]:
    """A store on the tests' server; connecting anew for each test would take longer than most of them."""
    from perdure.stores.neo4j import Neo4jGraphStore  # noqa: PLC0415  needs the optional driver

    store = Neo4jGraphStore(neo4j_server.uri, username=neo4j_server.username, password=neo4j_server.password)
    async with opened(store):
        yield store


@pytest.fixture
def _composing_early(neo4j_store, monkeypatch):
    """Compose a text from its second coming in a test on, so that short batches show what long runs do."""
    from perdure.stores.neo4j import compose  # noqa: PLC0415  needs the optional driver

    monkeypatch.setattr(compose, "OFTEN", 2)
    monkeypatch.setattr(neo4j_store, "_verdicts", compose.Verdicts())
    monkeypatch.setattr(neo4j_store, "_palette", compose.Palette())


@pytest.fixture
async def neo4j_graph(neo4j_store, _composing_early) -> AsyncIterator[Graph]:
    """A corner of the Neo4j server."""
    async with corner(neo4j_store) as graph:
        yield graph


@pytest.fixture
async def memory_graph() -> AsyncIterator[Graph]:
    """An embedded store in memory."""
    async with opened(EmbeddedGraphStore(None)) as store, corner(store) as graph:
        yield graph


@pytest.fixture
async def directory_graph(tmp_path) -> AsyncIterator[Graph]:
    """An embedded store in a directory."""
    async with opened(EmbeddedGraphStore(tmp_path / "graph")) as store, corner(store) as graph:
        yield graph


@pytest.fixture(params=[DIRECTORY, MEMORY, pytest.param(NEO4J, marks=pytest.mark.neo4j)])
def graph(request) -> Graph:
    """A corner of each store in turn."""
    return request.getfixturevalue(FIXTURES[request.param])


@pytest.fixture(params=[DIRECTORY, MEMORY])
def embedded_graph(request) -> Graph:
    """Both kinds of embedded store in turn."""
    return request.getfixturevalue(FIXTURES[request.param])


class Borrowed:
    """A store that is connected already, and that whoever borrows it leaves open."""

    def __init__(self, store: GraphStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def connect(self) -> None:
        """Stay connected."""

    async def close(self) -> None:
        """Stay open."""


@pytest.fixture
def client_of(tmp_path):
    """Make a MemoryClient over a test's graph: `client_of(graph, write_mode="buffered")`."""

    def make(graph: Graph, **memory: Any) -> MemoryClient:
        settings = MemorySettings(store=Borrowed(graph.store), data_dir=tmp_path)
        for name, value in memory.items():
            setattr(settings.memory, name, value)
        return MemoryClient(settings)

    return make


@pytest.fixture
async def neo4j_driver(neo4j_server) -> AsyncIterator[Any]:
    """The official driver on the same server: somebody else who uses the graph."""
    from neo4j import AsyncGraphDatabase  # noqa: PLC0415  an optional package

    async with AsyncGraphDatabase.driver(neo4j_server.uri, auth=neo4j_server.auth) as driver:
        yield driver


# -- typed memory

MODES = ("sync", "buffered", "deferred")


class Typed:
    """A client in one write mode, and a tenant that belongs to one test."""

    def __init__(self, client: MemoryClient, mode: str, graph: Graph) -> None:
        self.client = client
        self.mode = mode
        self.graph = graph
        self.tenant = f"tenant-{secrets.token_hex(6)}"
        self.ada = client.scope(tenant=self.tenant, user_id="ada")
        self.bob = client.scope(tenant=self.tenant, user_id="bob")

    async def rows(self, statement: str, **parameters: Any) -> list[dict[str, Any]]:
        """Return what is in the graph, when everything is settled."""
        await self.client.flush()
        return await self.client.query.cypher(statement, parameters)

    async def contents(self) -> list[tuple[Any, ...]]:
        """Return how many nodes of which kind the tenant has, by owner."""
        return [
            tuple(row.values())
            for row in await self.rows(
                "MATCH (n) WHERE n.owner STARTS WITH $mine RETURN n.owner AS o, labels(n)[0] AS l, count(*) AS n "
                "ORDER BY o, l",
                mine=f'["{self.tenant}"',
            )
        ]

    async def chain(self, session_id: str, user_id: str = "ada") -> list[str]:
        """Return the ids of a conversation's messages along its chain; fails when it forks, or ends early."""
        key = f'["{self.tenant}","{user_id}"]{session_id}'
        links = await self.rows(
            "MATCH (a)-[:NEXT]->(b:Message {conversation: $key}) RETURN a.id AS a, b.id AS b, b.public_id AS id",
            key=key,
        )
        tips = await self.rows("MATCH (:Conversation {id: $key})-[:LAST]->(m) RETURN m.id AS id", key=key)
        [count] = await self.rows("MATCH (m:Message {conversation: $key}) RETURN count(m) AS n", key=key)
        following = {link["a"]: (link["b"], link["id"]) for link in links}
        assert len(following) == len(links) == len({link["b"] for link in links}) == count["n"]
        here, walked = key, []
        while here in following:
            here, public_id = following[here]
            walked.append(public_id)
        assert len(walked) == count["n"]
        assert [tip["id"] for tip in tips] == ([here] if walked else [])
        return walked

    async def sweep(self) -> None:
        """Remove everything that is the tenant's."""
        await self.graph.store.write(
            "MATCH (n) WHERE n.owner STARTS WITH $mine DETACH DELETE n", {"mine": f'["{self.tenant}"'}
        )


@asynccontextmanager
async def typed_memory(make: Any, graph: Graph, mode: str, **options: Any) -> AsyncIterator[Typed]:
    """Lend typed memory over a graph, and sweep it."""
    async with make(graph, write_mode=mode, durability="memory", **options) as client:
        typed = Typed(client, mode, graph)
        yield typed
        await client.flush()
        await typed.sweep()
        assert [str(error) for error in client.write_errors] == []


@pytest.fixture(
    params=[
        pytest.param((store, mode), id=f"{store}, {mode}", marks=[pytest.mark.neo4j] if store == NEO4J else [])
        for store in (DIRECTORY, NEO4J)
        for mode in MODES
    ]
)
def typed_graph(request) -> tuple[Graph, str]:
    """A graph on each store, with each write mode."""
    store, mode = request.param
    return request.getfixturevalue(FIXTURES[store]), mode


@pytest.fixture
async def typed(typed_graph, client_of) -> AsyncIterator[Typed]:
    """Typed memory on each store in each write mode."""
    async with typed_memory(client_of, *typed_graph) as typed:
        yield typed


@pytest.fixture
async def searched(typed_graph, tmp_path):
    """Typed memory with an embedder that knows words, and the vectors where its graph is."""
    graph, mode = typed_graph
    vectors = SqliteVectorStore(tmp_path / "vectors")
    if "Neo4j" in graph.store.name:
        from perdure.stores.neo4j.vectors import Neo4jVectorStore  # noqa: PLC0415  needs the optional driver

        vectors = Neo4jVectorStore(graph.store, label="SearchableTyped")
    memory = {"write_mode": mode, "durability": "memory"}
    settings = MemorySettings(store=Borrowed(graph.store), vector_store=vectors, embedder=FakeEmbedder(), memory=memory)
    async with MemoryClient(settings) as client:
        typed = Typed(client, mode, graph)
        typed.vectors = vectors
        yield typed
        await client.flush()
        await typed.sweep()
        assert [str(error) for error in client.write_errors] == []


@pytest.fixture
async def unembedded(typed_graph, client_of, tmp_path):
    """Typed memory whose settings name no embedder, and the vector store where its graph is."""
    graph, mode = typed_graph

    def make(graph: Graph, **memory: Any) -> MemoryClient:
        client = client_of(graph, **memory)
        client.settings.embedder = "none"
        client.settings.vector_store = SqliteVectorStore(tmp_path / "vectors")
        if "Neo4j" in graph.store.name:
            from perdure.stores.neo4j.vectors import Neo4jVectorStore  # noqa: PLC0415  needs the optional driver

            client.settings.vector_store = Neo4jVectorStore(graph.store, label="SearchableByWordsTyped")
        return client

    async with typed_memory(make, graph, mode) as typed:
        yield typed


@pytest.fixture
async def fake_vectors():
    """A store that looks at everything."""
    store = FakeVectorStore()
    async with lent(store, lambda: store) as index:
        yield index


@pytest.fixture
async def sqlite_vectors(tmp_path):
    """Vectors in a file."""
    async with lent(SqliteVectorStore(tmp_path), lambda: SqliteVectorStore(tmp_path)) as index:
        yield index


@pytest.fixture
async def neo4j_vectors(neo4j_store):
    """Vectors in the Neo4j server, under a label of the tests' own."""
    from perdure.stores.neo4j.vectors import Neo4jVectorStore  # noqa: PLC0415  needs the optional driver

    def make():
        return Neo4jVectorStore(neo4j_store, label="SearchableInTests")

    async with lent(make(), make) as index:
        yield index


@pytest.fixture(params=["fake", "SQLite", pytest.param("Neo4j", marks=pytest.mark.neo4j)])
def index(request):
    """Each vector store in turn."""
    fixtures = {"fake": "fake_vectors", "SQLite": "sqlite_vectors", "Neo4j": "neo4j_vectors"}
    return request.getfixturevalue(fixtures[request.param])


# -- memory


class Remembered:
    """A Memory over a test's graph, and a tenant that belongs to one test; its vectors stand where its graph does."""

    def __init__(self, memory: Memory, graph: Graph, vectors: Any) -> None:
        self.memory = memory
        self.graph = graph
        self.vectors = vectors
        self.embedder = memory.settings.embedder
        self.tenant = f"tenant-{secrets.token_hex(6)}"
        self.ada = {"tenant": self.tenant, "user_id": "ada"}
        self.bob = {"tenant": self.tenant, "user_id": "bob"}

    async def texts(self, **more: Any) -> list[str]:
        """Return what is remembered of Ada, in the order in which it was."""
        return [each.memory for each in (await self.memory.get_all(**{**self.ada, **more})).results]

    async def found(self, query: str, **more: Any) -> list[str]:
        """Return what is found of Ada."""
        return [hit.memory for hit in (await self.memory.search(query, **{**self.ada, **more})).results]

    async def nodes(self) -> int:
        """Return how many nodes there are of the tenant."""
        given = {"mine": f'["{self.tenant}"'}
        [row] = await self.graph.store.read("MATCH (n) WHERE n.owner STARTS WITH $mine RETURN count(n) AS n", given)
        return row["n"]


@asynccontextmanager
async def memory_over(graph: Graph, directory: Any, **settings: Any) -> AsyncIterator[Remembered]:
    """Lend a memory over a graph, and sweep it."""
    vectors = settings.pop("vector_store", None) or SqliteVectorStore(directory / "vectors")
    if "Neo4j" in graph.store.name and isinstance(vectors, SqliteVectorStore):
        from perdure.stores.neo4j.vectors import Neo4jVectorStore  # noqa: PLC0415  needs the optional driver

        vectors = Neo4jVectorStore(graph.store, label="SearchableMemory")
    over = {"store": Borrowed(graph.store), "embedder": FakeEmbedder(), "memory": {"durability": "memory"}, **settings}
    async with Memory(MemorySettings(vector_store=vectors, data_dir=directory, **over)) as memory:
        remembered = Remembered(memory, graph, vectors)
        yield remembered
        await memory.delete_all(**remembered.ada)
        await memory.delete_all(**remembered.bob)
        await graph.store.write(
            "MATCH (n) WHERE n.owner STARTS WITH $mine DETACH DELETE n", {"mine": f'["{remembered.tenant}"'}
        )


@pytest.fixture(params=[DIRECTORY, pytest.param(NEO4J, marks=pytest.mark.neo4j)])
def memory_on(request) -> Graph:
    """The graph of a memory, on each store."""
    return request.getfixturevalue(FIXTURES[request.param])


@pytest.fixture
def memory_with(memory_on, tmp_path):
    """Make a memory on each store: `async with memory_with(llm=model) as kept`."""
    return partial(memory_over, memory_on, tmp_path)


@pytest.fixture
async def kept(memory_with) -> AsyncIterator[Remembered]:
    """A memory on each store."""
    async with memory_with() as remembered:
        yield remembered
