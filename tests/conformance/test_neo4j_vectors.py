"""What only the vectors in Neo4j promise: nodes of others, large owners, few round trips."""

import asyncio

import pytest
from vector_indexes import lent

from perdure.errors import ConfigError, StoreUnavailableError
from perdure.records import VectorQuery

LABEL = "SearchableInTests"
pytestmark = pytest.mark.neo4j


@pytest.fixture
def vectors():
    from perdure.stores.neo4j import vectors  # noqa: PLC0415  needs the optional driver

    return vectors


@pytest.fixture
def index(neo4j_vectors):
    return neo4j_vectors


class Counted:
    """A store that counts what is asked of it."""

    def __init__(self, store):
        self.name, self.calls, self._store = store.name, 0, store

    async def read(self, *statement):
        self.calls += 1
        return await self._store.read(*statement)

    async def write(self, *statement):
        self.calls += 1
        return await self._store.write(*statement)


async def test_connecting_to_a_current_index_asks_once(index, vectors, neo4j_store):
    """M26."""
    store = Counted(neo4j_store)
    await vectors.Neo4jVectorStore(store, label=LABEL).connect(embedder="fake", dimension=32)
    assert store.calls == 1


async def test_records_that_wait_for_a_transaction_share_the_next(index, vectors, neo4j_store):
    """A transaction costs the server as much for one record as for ten: of twenty puts at once one begins."""
    counted = Counted(neo4j_store)
    store = vectors.Neo4jVectorStore(counted, label=LABEL)
    await store.connect(embedder="fake", dimension=32)
    records = [await index.record(f"note{number}") for number in range(20)]
    counted.calls = 0
    async with asyncio.TaskGroup() as group:
        for record in records:
            group.create_task(store.upsert([record]))
    assert counted.calls == 2
    assert await store.count(index.owner()) == 20


async def test_what_is_forgotten_while_puts_wait_does_not_come_back(index):
    """T9: removals keep their place among the puts that were asked for before and after them."""
    records = [await index.record(f"note{number}") for number in range(20)]
    later = await index.record("later")
    async with asyncio.TaskGroup() as group:
        for record in records:
            group.create_task(index.store.upsert([record]))
        group.create_task(index.store.delete(index.owner(), ["note3"]))
        group.create_task(index.store.forget(index.owner()))
        group.create_task(index.store.upsert([later]))
    assert await index.ids("note3 note19 later") == {"later"}
    assert await index.store.count(index.owner()) == 1


async def test_a_memorys_node_is_made_searchable_and_stays(index, neo4j_store):
    """The record is the node of the memory, under a second label; unsearchable again, it keeps what is its own."""
    from perdure.stores.neo4j.search import search_key  # noqa: PLC0415  needs the optional driver

    owner = index.owner()
    key = search_key(owner, "m1")
    await neo4j_store.write(
        f"CREATE (:MessageInTests:{LABEL} {{id: $id, owner: $owner, content: 'hello'}})", {"id": key, "owner": owner}
    )
    try:
        assert await index.store.count(owner) == 0
        await index.keep("hello world", id="m1")
        assert await index.ids("hello") == {"m1"}
        [row] = await neo4j_store.read("MATCH (n {id: $id}) RETURN count(n) AS count", {"id": key})
        assert row["count"] == 1
        await index.store.delete(owner, ["m1"])
        [row] = await neo4j_store.read("MATCH (n:MessageInTests {id: $id}) RETURN n, labels(n) AS l", {"id": key})
        assert row == {"n": {"id": key, "owner": owner, "content": "hello"}, "l": ["MessageInTests"]}
    finally:
        await neo4j_store.write("MATCH (n:MessageInTests {id: $id}) DETACH DELETE n", {"id": key})


@pytest.mark.parametrize("most", [40, 4096])
async def test_a_large_owner_is_searched_through_the_index(index, vectors, monkeypatch, most):
    """T6: over-fetched until there are enough; where the index gives too few, one by one."""
    monkeypatch.setattr(vectors, "MANY", 3)
    monkeypatch.setattr(vectors, "MOST_FETCHED", most)
    small, large = index.owner("small"), index.owner("large")
    await index.keep(*(f"stone {n}" for n in range(300)), owner=large)
    await index.keep(*(f"stone {n}" for n in range(20)), owner=small, metadata={"rare": 1})
    found = await index.search("stone", owner=small, words=False, limit=10)
    monkeypatch.setattr(vectors, "MANY", 5000)
    exact = await index.search("stone", owner=small, words=False, limit=10)
    assert sorted(hit.dense for hit in found) == pytest.approx(sorted(hit.dense for hit in exact), abs=1e-4)
    assert await index.ids("stone", owner=large, filters={"rare": 1}) == set()


async def test_a_search_asks_the_index_once_where_most_is_the_owners(index, vectors, neo4j_store, monkeypatch):
    """T6: and compares one by one where a filter leaves too little of that, or where the owner has a small part."""
    monkeypatch.setattr(vectors, "FEW", 3)
    asked = []
    read = type(neo4j_store).read

    async def noted(store, statement, parameters):
        asked.append(
            "index" if "vector.queryNodes" in statement else "each" if "{owner: $owner}) WHERE" in statement else ""
        )
        return await read(store, statement, parameters)

    monkeypatch.setattr(type(neo4j_store), "read", noted)
    small, large = index.owner("small"), index.owner("large")
    await index.keep(*(f"stone {n}" for n in range(200)), owner=large)
    await index.keep(*(f"stone {n}" for n in range(20)), owner=small)
    await index.keep(*(f"stone {n}" for n in range(5)), owner=large, kind="fact")

    async def ways(**asking):
        asked.clear()
        found = await index.search("stone", words=False, limit=10, **asking)
        return len(found), [way for way in asked if way]

    assert await ways(owner=large) == (10, ["index"])
    assert await ways(owner=large, kinds=("fact",)) == (5, ["index", "each"])
    assert await ways(owner=small) == (10, ["each"])


async def test_a_query_of_nothing_but_common_words_finds_nothing_by_words(index):
    """Such words are in no index; the owner's word alone is no match."""
    await index.keep("to be or not to be")
    assert await index.store.search(VectorQuery(index.owner(), text="the of and")) == []


@pytest.mark.parametrize("label", ["", "a b", "A`B", "1A", "A" * 60])
async def test_a_label_is_a_plain_word(vectors, neo4j_store, label):
    """T13: it stands in statements."""
    with pytest.raises(ConfigError, match="label"):
        vectors.Neo4jVectorStore(neo4j_store, label=label)


@pytest.fixture
async def two_embedders(neo4j_store, vectors):
    """Make vectors under a label that only one test has, as one embedder's or another's."""
    label = "SearchableAnew"

    def make():
        return vectors.Neo4jVectorStore(neo4j_store, label=label)

    yield make
    for statement in (
        f"MATCH (n:{label}) DETACH DELETE n",
        f"MATCH (k:_SearchIndex {{id: '{label}'}}) DELETE k",
        f"DROP INDEX perdure_{label}_vectors IF EXISTS",
    ):
        await neo4j_store.write(statement, {})


async def test_a_program_that_still_has_the_old_embedder_writes_nothing(two_embedders):
    """M27: its vectors would be compared with those of the other."""
    old, new = two_embedders(), two_embedders()
    async with lent(old, None) as index:
        await index.keep("one")
        await new.connect(embedder="another", dimension=16, anew=True)
        with pytest.raises(ConfigError, match="made anew for another embedder"):
            await index.keep("two", mark="7")
        assert (await new.count(), await new.mark()) == (0, None)


async def test_what_others_call_searchable_is_let_be_when_the_index_is_made_anew(two_embedders, neo4j_store):
    """T9: only what has a record is emptied."""
    async with lent(two_embedders(), None) as index:
        await index.keep("one")
        await neo4j_store.write("CREATE (:SearchableAnew {name: 'theirs'})", {})
        new = two_embedders()
        await new.connect(embedder="another", dimension=16, anew=True)
        assert await new.count() == 0
        assert await neo4j_store.read("MATCH (n:SearchableAnew) RETURN n.name AS name", {}) == [{"name": "theirs"}]


async def test_what_is_begun_to_be_made_anew_is_gone_on_with(two_embedders, vectors, neo4j_store, monkeypatch):
    """M27: also where it ends half way, and where there is a lot of it; whoever comes next goes on."""
    monkeypatch.setattr(vectors, "EMPTIED_AT_A_TIME", 10)

    async def broken(*_):
        raise StoreUnavailableError("The line is down.")

    async with lent(two_embedders(), None) as index:
        await index.keep(*(f"note{n}" for n in range(25)))
        store = two_embedders()
        with monkeypatch.context() as patched:
            patched.setattr(vectors.Neo4jVectorStore, "_empty", broken)
            with pytest.raises(StoreUnavailableError):
                await store.connect(embedder="another", dimension=16, anew=True)
        await store.connect(embedder="another", dimension=16)
        assert await store.count() == 0
        [row] = await neo4j_store.read(
            "SHOW INDEXES YIELD name, options WHERE name = 'perdure_SearchableAnew_vectors' RETURN options", {}
        )
        assert row["options"]["indexConfig"]["vector.dimensions"] == 16


async def test_who_empties_late_takes_nothing_of_what_came_since(two_embedders):
    """M27: of two programs that go on with it at once, the first may be done, and have begun to fill it."""
    first, late = two_embedders(), two_embedders()
    async with lent(first, None) as index:
        await index.keep("one")
        await late._empty()
        assert await index.ids("one") == {"one"}
