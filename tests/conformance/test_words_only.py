"""With `embedder="none"` memories are found by their words and names, on every store, and no vector is kept for it."""

import sqlite3

import numpy as np
import pytest
from searching import contents, said
from vector_indexes import DIMENSION, MODEL, lent, opened

from perdure.embedders.none import NoEmbedder
from perdure.errors import ConfigError, InputError
from perdure.records import VectorQuery, VectorRecord
from perdure.stores.sqlite_vectors import SqliteVectorStore
from perdure.testing import FakeVectorStore

WORDS = NoEmbedder()
LABEL = "SearchableByWords"
NOTHING = np.empty(0, dtype=np.float32)


def neo4j_vectors(store, label):
    """Make a store of vectors on a Neo4j."""
    from perdure.stores.neo4j.vectors import Neo4jVectorStore  # noqa: PLC0415  needs the optional driver

    return Neo4jVectorStore(store, label=label)


@pytest.fixture
async def fake_words():
    fake = FakeVectorStore()
    async with lent(fake, lambda: fake, WORDS) as index:
        yield index


@pytest.fixture
async def sqlite_words(tmp_path):
    async with lent(SqliteVectorStore(tmp_path), lambda: SqliteVectorStore(tmp_path), WORDS) as index:
        yield index


@pytest.fixture
async def neo4j_words(neo4j_store):
    async with lent(neo4j_vectors(neo4j_store, LABEL), lambda: neo4j_vectors(neo4j_store, LABEL), WORDS) as index:
        yield index


@pytest.fixture(params=["fake", "SQLite", pytest.param("Neo4j", marks=pytest.mark.neo4j)])
def words(request):
    """Each vector store in turn, opened for words only."""
    return request.getfixturevalue(f"{request.param.lower()}_words")


# -- stores


async def test_records_are_found_by_words_and_no_other_way(words):
    """M5: nothing is near anything, so a search gives what has a word of it, and only that."""
    await words.keep("the organ is in Wales", "a piano in Ennistymon")
    [hit] = await words.search("organ")
    assert (hit.id, hit.dense) == ("the organ is in Wales", 0)
    assert hit.words > 0
    assert await words.ids("harmonium") == set()
    assert await words.ids("organ", words=False) == set()


async def test_what_narrows_a_search_narrows_one_by_words(words):
    """M5, T2: owner, session, kind and filters, also after reopening, and when most of it is gone."""
    await words.keep(*(f"organ {n}" for n in range(30)), session_id="s", metadata={"n": 1})
    await words.keep("organ music", kind="fact", metadata={"n": 2})
    await words.keep("organ pipes", owner=words.owner("bob"))
    assert await words.ids("organ", kinds=("fact",)) == await words.ids("organ", filters={"n": 2}) == {"organ music"}
    assert len(await words.ids("organ", session_id="s", limit=20)) == 20
    await words.store.forget(words.owner(), session_id="s")
    assert await words.ids("organ") == {"organ music"}
    await words.store.close()
    async with opened(words.again(), WORDS) as store:
        hits = await store.search(VectorQuery(words.owner(), NOTHING, "organ"))
        assert [hit.id for hit in hits] == ["organ music"]
    await words.store.connect(embedder=WORDS.name, dimension=0)


async def test_a_vector_is_refused_where_there_are_none(words):
    """M27: by its shape, in a record and in a query; nothing is written."""
    one = np.ones(3, dtype=np.float32)
    with pytest.raises(InputError, match="shape"):
        await words.store.upsert([VectorRecord(words.owner(), "x", "memory", "x", one)])
    with pytest.raises(InputError, match="shape"):
        await words.store.search(VectorQuery(words.owner(), one, "x"))
    assert await words.store.count(words.owner()) == 0


async def test_an_index_of_words_and_one_of_vectors_are_two(words):
    """M27: the other embedder is refused at connect, and nothing is changed."""
    await words.keep("one")
    await words.store.close()
    with pytest.raises(ConfigError, match="none"):
        await words.again().connect(embedder=MODEL, dimension=DIMENSION)
    await words.store.connect(embedder=WORDS.name, dimension=0)
    assert await words.ids("one") == {"one"}


async def test_an_index_of_vectors_is_not_taken_for_one_of_words(index):
    """M27: the other way round."""
    await index.keep("one")
    await index.store.close()
    with pytest.raises(ConfigError, match="none"):
        await index.again().connect(embedder=WORDS.name, dimension=0)
    await index.store.connect(embedder=MODEL, dimension=DIMENSION)
    assert await index.ids("one") == {"one"}


async def test_a_file_keeps_no_numbers_for_it(tmp_path):
    """What is stored of a vector of no numbers is nothing."""
    async with lent(SqliteVectorStore(tmp_path), None, WORDS) as index:
        await index.keep("one", "two")
        with sqlite3.connect(tmp_path / "vectors.db") as file:
            assert file.execute("SELECT length(vector) FROM records").fetchall() == [(0,), (0,)]
        file.close()


@pytest.mark.neo4j
async def test_neo4j_has_no_vector_index_for_it_and_is_asked_for_none(neo4j_store, monkeypatch):
    """What it would say of a vector of zeros is an error."""
    asked = []
    read = type(neo4j_store).read

    async def noted(store, statement, parameters):
        asked.append(statement)
        return await read(store, statement, parameters)

    async with lent(neo4j_vectors(neo4j_store, LABEL), None, WORDS) as index:
        await index.keep("one", "two")
        monkeypatch.setattr(type(neo4j_store), "read", noted)
        assert await index.ids("one") == {"one"}
        assert [text for text in asked if "fulltext" not in text] == []
        names = {row["name"] for row in await neo4j_store.read("SHOW INDEXES YIELD name", {})}
        assert f"perdure_{LABEL}_words" in names
        assert f"perdure_{LABEL}_vectors" not in names
        rows = await neo4j_store.read(f"MATCH (n:{LABEL}) RETURN n.search_embedding AS vector", {})
        assert [row["vector"] for row in rows] == [None, None]


# -- typed memory


async def test_typed_memory_is_found_by_words(unembedded):
    """M5: every kind of it, in any English form of a word, best first; what has none of them is not."""
    ada, long = unembedded.ada, unembedded.ada.long_term
    await said(ada, "s", "I moved my bicycles", "green tea", "The tea is a green one, and it is cold by now")
    await long.add_entity("Grace Hopper", "person", aliases=["Amazing Grace"], description="wrote a compiler")
    await long.add_fact("Grace Hopper", "worked at", "Harvard")
    await long.add_preference("drinks", "green tea")
    await ada.reasoning.start_trace("s", "brew green tea")
    assert await contents(ada, "moving bicycles") == ["I moved my bicycles"]
    assert (await contents(ada, "green tea"))[0] == "green tea"
    assert await contents(ada, "velocipede") == []
    assert await contents(unembedded.bob, "green tea") == []
    assert [hit.item.name for hit in await long.search_entities("compilers")] == ["Grace Hopper"]
    assert [hit.item.object for hit in await long.search_facts("harvard")] == ["Harvard"]
    assert [hit.item.preference for hit in await long.search_preferences("tea")] == ["green tea"]
    assert [hit.item.task for hit in await ada.reasoning.search_traces("brewing")] == ["brew green tea"]
    assert "green tea" in await ada.get_context("green tea")
    [hit] = await ada.short_term.search_messages("bicycle")
    assert (hit.why["meaning"], hit.why["cosine"]) == (0, 0)


async def test_a_threshold_is_refused_where_nothing_has_a_cosine(unembedded):
    """P16: every search that takes one, whatever it is."""
    ada = unembedded.ada
    for threshold in (0, 0.5, 1):
        for search in (
            ada.short_term.search_messages,
            ada.long_term.search_entities,
            ada.long_term.search_facts,
            ada.long_term.search_preferences,
            ada.reasoning.search_traces,
        ):
            with pytest.raises(InputError, match="no vectors to compare"):
                await search("tea", threshold=threshold)
    with pytest.raises(InputError, match="from 0 to 1"):
        await ada.short_term.search_messages("tea", threshold=2)


# -- Memory


@pytest.fixture
async def remembered(memory_with, memory_on, tmp_path):
    """A memory whose settings name no embedder, on each store."""
    vectors = SqliteVectorStore(tmp_path / "vectors")
    if "Neo4j" in memory_on.store.name:
        vectors = neo4j_vectors(memory_on.store, "SearchableByWordsMemory")
    async with memory_with(embedder="none", vector_store=vectors) as kept:
        yield kept


async def test_a_memory_is_found_by_words_and_names(remembered):
    """P15: also once it is changed, superseded or deleted, as with any embedder."""
    memory, ada = remembered.memory, remembered.ada
    result = await memory.add("I live in Porto.", **ada)
    assert result.complete
    await memory.add("Zebulon repairs organs.", **ada)
    await memory.add("I live in Lisbon.", **ada)
    assert await remembered.found("living Lisbon") == ["I live in Lisbon."]
    assert await remembered.found("Porto") == []
    assert await remembered.found("who is Zebulon?") == ["Zebulon repairs organs."]
    assert await remembered.found("harpsichord") == []
    [organs] = (await memory.search("organ repair", **ada)).results
    await memory.update(organs.id, "Zebulon repairs clocks.", **ada)
    assert await remembered.found("organ") == []
    assert await remembered.found("clock") == ["Zebulon repairs clocks."]
    await memory.delete(organs.id, **ada)
    assert await remembered.found("clock") == []


async def test_a_memory_refuses_a_threshold_then(remembered):
    """P16: what would let nothing pass."""
    await remembered.memory.add("I live in Lisbon.", **remembered.ada)
    with pytest.raises(InputError, match="no vectors to compare"):
        await remembered.found("Lisbon", threshold=0.1)
