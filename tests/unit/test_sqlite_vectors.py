"""What only the SQLite vector store promises: its file, its memory, and that its short cuts mean the same."""

import asyncio
import logging
import sqlite3
import subprocess
import sys
from textwrap import dedent

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perdure.errors import ClosedError, ConfigError, StoreUnavailableError
from perdure.filters import matches, parse
from perdure.records import VectorQuery, VectorRecord
from perdure.stores.sqlite_vectors import SqliteVectorStore, columns, corpus
from perdure.stores.sqlite_vectors.analysis import Analyser
from perdure.stores.sqlite_vectors.columns import Columns
from perdure.stores.sqlite_vectors.scan import MANY, cosines
from perdure.stores.sqlite_vectors.words import Texts, Words
from perdure.vectors import as_json

WHOSE = {"embedder": "e", "dimension": 4}


def record(name, text="some words", owner="ann", **more):
    vector = np.array([1, len(name), len(text), 1], dtype=np.float32)
    return VectorRecord(owner=owner, id=name, kind="memory", text=text, vector=vector, **more)


@pytest.fixture
async def store(tmp_path):
    store = SqliteVectorStore(tmp_path)
    await store.connect(**WHOSE)
    yield store
    await store.close()


def damage(path):
    data = bytearray(path.read_bytes())
    data[100 : len(data) - 100] = b"\xa5" * (len(data) - 200)
    path.write_bytes(data)


async def filled(directory, count=200):
    store = SqliteVectorStore(directory)
    await store.connect(**WHOSE)
    await store.upsert([record(f"r{number}") for number in range(count)], mark="5")
    return store


@pytest.mark.parametrize("content", [b"", b"not a database" * 500, None])
async def test_a_damaged_file_is_said_and_made_anew(tmp_path, caplog, content):
    """The index is derived: an empty one with no mark is filled again from the graph."""
    await (await filled(tmp_path)).close()
    path = tmp_path / "vectors.db"
    if content is None:
        damage(path)
    else:
        path.write_bytes(content)
    store = SqliteVectorStore(tmp_path)
    with caplog.at_level(logging.WARNING, "perdure.stores"):
        await store.connect(**WHOSE)
    assert (await store.count(), await store.mark()) == (0, None)
    assert ("made anew" in caplog.text) is (content != b"")
    await store.upsert([record("r1")])
    assert await store.count() == 1
    await store.close()


async def test_a_file_that_was_not_closed_is_looked_through(tmp_path, caplog):
    """As after a crash; what is whole stays."""
    path = tmp_path / "vectors.db"
    await (await filled(tmp_path)).close()
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM about WHERE name = 'closed'")
    connection.close()
    store = SqliteVectorStore(tmp_path)
    await store.connect(**WHOSE)
    assert (await store.count(), await store.mark()) == (200, "5")
    await store.close()


async def test_damage_found_while_it_is_open_goes_with_the_next_opening(tmp_path):
    """Said as it is found, with what to do."""
    store = await filled(tmp_path)
    await store.close()
    store = SqliteVectorStore(tmp_path)
    await store.connect(**WHOSE)
    damage(tmp_path / "vectors.db")
    with pytest.raises(StoreUnavailableError, match="damaged"):
        await store.search(VectorQuery("ann", text="words"))
    await store.close()
    store = SqliteVectorStore(tmp_path)
    await store.connect(**WHOSE)
    assert await store.count() == 0
    await store.close()


async def test_a_file_takes_one_client_at_a_time(store, tmp_path):
    """Another one would not see what changes; it may come when the first is closed."""
    other = SqliteVectorStore(tmp_path)
    with pytest.raises(StoreUnavailableError, match="in use"):
        await other.connect(**WHOSE)
    await store.close()
    await other.connect(**WHOSE)
    await other.close()


async def test_closing_meanwhile_ends_what_is_under_way(tmp_path):
    """P24: each call either does its work or says that the store is closed."""
    store = await filled(tmp_path)
    calls = [store.search(VectorQuery("ann", text="words")) for _ in range(20)]
    calls += [store.upsert([record(f"late{number}")]) for number in range(20)]
    calls += [store.delete("ann", ["r1"]), store.count(), store.mark()]
    under_way = [asyncio.ensure_future(call) for call in calls]
    await asyncio.sleep(0)
    await store.close()
    answers = await asyncio.gather(*under_way, return_exceptions=True)
    assert {type(answer) for answer in answers if isinstance(answer, Exception)} <= {ClosedError}


async def test_a_cancelled_write_is_whole_or_not_there(store):
    """And the store goes on."""
    for number in range(20):
        writing = asyncio.ensure_future(store.upsert([record(f"{number}-{part}") for part in range(50)]))
        await asyncio.sleep(0)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
    assert await store.count("ann") % 50 == 0
    await store.upsert([record("last", "final")])
    assert [hit.id for hit in await store.search(VectorQuery("ann", text="final"))] == ["last"]


async def test_a_directory_that_cannot_be_used_is_named(tmp_path):
    """Before anything else happens."""
    (tmp_path / "file").write_text("in the way")
    store = SqliteVectorStore(tmp_path / "file")
    with pytest.raises(ConfigError, match="file"):
        await store.connect(**WHOSE)
    await store.close()


async def test_without_a_directory_nothing_is_left():
    """For tests."""
    store = SqliteVectorStore(None)
    await store.connect(**WHOSE)
    await store.upsert([record("a")])
    assert [hit.id for hit in await store.search(VectorQuery("ann", text="words"))] == ["a"]
    await store.close()


async def test_owners_beyond_the_memory_are_loaded_again(tmp_path):
    """With little room each search loads its owner anew, and finds the same."""
    store = SqliteVectorStore(tmp_path, max_memory_bytes=1)
    await store.connect(**WHOSE)
    for owner in ("ann", "bob"):
        await store.upsert([record(f"of {owner}", owner=owner)])
    for owner in ("ann", "bob", "ann"):
        assert [hit.id for hit in await store.search(VectorQuery(owner, text="words"))] == [f"of {owner}"]
    await store.upsert([record("more")])
    assert len(await store.search(VectorQuery("ann", text="words"))) == 2
    await store.close()


async def test_a_write_while_records_are_loaded_is_not_missed(store, monkeypatch):
    """Whatever the loading reads, before or after the write."""
    await store.upsert([record(f"r{number}") for number in range(50)])
    writes = [store.upsert([record(f"new{number}", "fresh")]) for number in range(20)]
    searches = [store.search(VectorQuery("ann", text="words fresh", limit=1000)) for _ in range(5)]
    await asyncio.gather(*writes, *searches)
    assert len(await store.search(VectorQuery("ann", text="fresh"))) == 20


async def test_a_search_keeps_what_it_began_with(store):
    """A snapshot does not change under it."""
    await store.upsert([record("a"), record("b")])
    await store.search(VectorQuery("ann", text="words"))
    before = store._cache.get("ann").snapshot
    await store.upsert([record("a", "other"), record("c")])
    await store.delete("ann", ["b"])
    query = VectorQuery("ann", text="words")
    [words] = await asyncio.to_thread(lambda: Analyser().words(["words"]))
    assert {hit.id for hit in before.search(query, None, words)} == {"a", "b"}
    assert {hit.id for hit in await store.search(query)} == {"c"}


async def test_what_is_gone_is_tidied_away(store, monkeypatch):
    """Replaced and deleted records take room until they are as many as those that are there."""
    monkeypatch.setattr(corpus, "FEWEST_GONE", 5)
    await store.upsert([record(f"r{number}", f"word{number}", metadata={"n": number}) for number in range(20)])
    await store.search(VectorQuery("ann", text="words", filter=parse({"n": 3})))
    for _ in range(5):
        await store.upsert([record(f"r{number}", f"word{number}", metadata={"n": number}) for number in range(20)])
    await store.delete("ann", [f"r{number}" for number in range(10)])
    assert store._cache.get("ann").snapshot.count < 25
    for number in range(20):
        found = await store.search(VectorQuery("ann", text=f"word{number}", filter=parse({"n": number})))
        assert [hit.id for hit in found] == ([f"r{number}"] if number >= 10 else [])


# -- short cuts

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.5, 1.0, 2**53, 2**53 + 1, float(2**53), float("inf"), float("nan"), -0.0]),
    st.text("aAé", max_size=2),
    st.lists(st.integers(0, 2), max_size=2),
)
OPERANDS = st.one_of(
    st.booleans(), st.integers(-3, 3), st.sampled_from([0.5, 2**53, 1e300]), st.text("aAé", max_size=2)
)
ORDERED = OPERANDS.filter(lambda value: not isinstance(value, bool))
FILTERS = st.one_of(
    st.builds(lambda op, value: {"n": {op: value}}, st.sampled_from(["eq", "ne", "contains"]), OPERANDS),
    st.builds(lambda op, value: {"n": {op: value}}, st.sampled_from(["gt", "gte", "lt", "lte"]), ORDERED),
    st.builds(
        lambda op, value: {"n": {op: value}},
        st.sampled_from(["in", "nin"]),
        st.lists(st.one_of(st.none(), OPERANDS), max_size=3),
    ),
)


@pytest.mark.slow
@pytest.mark.parametrize("many", [0, 1000])
def test_looking_a_value_up_says_what_asking_each_would(many, monkeypatch):
    """P16: for few values and for many, one row at a time and together."""
    monkeypatch.setattr(columns, "MANY_VALUES", many)

    @settings(max_examples=200)
    @given(st.lists(VALUES, max_size=12), FILTERS, st.integers(0, 12))
    def check(values, filters, first):
        rows = [{"n": value} if value is not None else {} for value in values]
        texts = [as_json(row) for row in rows]
        kept, tree = Columns(), parse(filters)
        kept.mask(tree, texts, min(first, len(rows)))
        assert kept.mask(tree, texts, len(rows)).tolist() == [matches(tree, row) for row in rows]

    check()


@given(st.lists(st.text("ab ", max_size=12), max_size=12), st.integers(0, 12), st.text("ab ", max_size=6))
def test_words_added_later_score_as_words_added_at_once(texts, first, query):
    """Which records have them; how well they fit may differ by the average length of a text alone."""
    analyser = Analyser()
    found = analyser.words(texts)
    whole = Words.of(Texts.of(found))
    grown = Words.of(Texts.of(found[:first])).extended(Texts.of(found[first:]))
    [asked] = analyser.words([query])
    analyser.close()
    assert ((whole.scores(asked) > 0) == (grown.scores(asked) > 0)).all()
    assert (whole.scores(asked) > 0).tolist() == [bool(set(query.split()) & set(text.split())) for text in texts]


def test_a_scan_that_is_shared_out_finds_what_one_core_finds():
    """M7: whatever the number of vectors."""
    generator = np.random.default_rng(7)
    vectors, vector = generator.random((MANY + 7, 8), dtype=np.float32), generator.random(8, dtype=np.float32)
    assert np.array_equal(cosines(vectors, vector), np.einsum("ij,j->i", vectors, vector))
    assert np.array_equal(cosines(vectors[:9], vector), np.einsum("ij,j->i", vectors[:9], vector))


def test_a_large_search_may_come_when_the_main_thread_has_ended():
    """A thread of the application's own goes on searching, as long as the process waits for it."""
    program = """
        import asyncio, threading
        import numpy as np
        from perdure.records import VectorQuery, VectorRecord
        from perdure.stores.sqlite_vectors import SqliteVectorStore, scan

        scan.MANY, scan.CORES = 2, 2
        vector = np.ones(4, dtype=np.float32)

        async def search():
            store = SqliteVectorStore(None)
            await store.connect(embedder="e", dimension=4)
            records = [VectorRecord(owner="o", id=str(n), kind="memory", text="", vector=vector) for n in range(9)]
            await store.upsert(records)
            print(len(await store.search(VectorQuery("o", vector))))
            await store.close()

        def late():
            threading.main_thread().join()
            asyncio.run(search())

        threading.Thread(target=late).start()
    """
    done = subprocess.run(
        [sys.executable, "-c", dedent(program)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("9\n", "")
