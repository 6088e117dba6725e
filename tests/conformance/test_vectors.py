"""One suite for every vector store: what is kept is found, by its owner only, and filters mean the same everywhere."""

import asyncio
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vector_indexes import DIMENSION, MODEL, embedder, opened

from perdure.errors import ClosedError, ConfigError, InputError
from perdure.filters import ORDER, matches, parse
from perdure.protocols import VectorStore
from perdure.records import Revision, VectorQuery, VectorRecord
from perdure.testing import FakeEmbedder, FakeVectorStore
from perdure.testing.vectors import words_of

# -- what is kept is found


async def test_a_vector_store_keeps_the_protocol(index):
    """Whoever takes a VectorStore takes each of them."""
    assert isinstance(index.store, VectorStore)


async def test_a_record_is_found_by_meaning_and_by_words(index):
    """M5: each way alone, and both at once; the scores say how well it fits."""
    await index.keep("the organ is in Wales", "a piano in Ennistymon")
    for way in ({"words": False}, {"meaning": False}, {}):
        hits = {hit.id: hit for hit in await index.search("organ Wales", **way)}
        best = hits["the organ is in Wales"]
        assert best.kind == "memory"
        assert (best.dense > 0) is (way != {"meaning": False})
        assert (best.words > 0) is (way != {"words": False})
    [hit] = await index.search("the organ is in Wales", words=False, limit=1)
    assert hit.id == "the organ is in Wales"
    assert hit.dense == pytest.approx(1, abs=1e-5)


async def test_a_word_that_nobody_used_is_found_nowhere(index):
    """No hit by words is none, not a bad one."""
    await index.keep("the organ is in Wales")
    assert await index.ids("harmonium", meaning=False) == set()


async def test_the_closest_come_first_to_the_limit(index):
    """With more records than asked for, the best by cosine are those that come back."""
    await index.keep(*(f"word{number} and word{number + 1}" for number in range(40)))
    [vector] = await embedder.embed(["word7 and word8"])
    hits = await index.search("word7 and word8", words=False, limit=5)
    everything = await index.search("word7 and word8", words=False, limit=40)
    best = sorted((hit.dense for hit in everything), reverse=True)[:5]
    assert sorted((hit.dense for hit in hits), reverse=True) == pytest.approx(best)
    assert len(everything) == 40
    assert vector.any()


async def test_a_record_kept_again_stands_in_place_of_the_first(index):
    """An upsert is idempotent by owner and id; of two in one call the later one stays."""
    await index.keep("old", id="one", metadata={"n": 1}, revision="1")
    await index.store.upsert(
        [await index.record("older", id="one"), await index.record("new", id="one", metadata={"n": 2}, revision="2")]
    )
    assert await index.store.count(index.owner()) == 1
    assert await index.ids("old older", meaning=False) == set()
    assert await index.ids("new", filters={"n": 2}) == {"one"}
    assert await index.ids("new", filters={"n": 1}) == set()


async def test_a_deleted_record_is_not_found(index):
    """Neither are others touched; an id that is not there changes nothing."""
    await index.keep("one", "two", "three")
    await index.store.delete(index.owner(), ["two", "four"])
    assert await index.ids("one two three") == {"one", "three"}
    assert await index.store.count(index.owner()) == 2
    await index.keep("two")
    assert await index.ids("two", meaning=False) == {"two"}


async def test_forgetting_takes_what_it_names(index):
    """T9: by session, by kind, and all of an owner."""
    await index.keep("a", session_id="s1", kind="message")
    await index.keep("b", session_id="s2", kind="message")
    await index.keep("c", session_id="s1", kind="trace")
    await index.store.forget(index.owner(), session_id="s1", kinds=["message"])
    assert await index.ids("a b c") == {"b", "c"}
    await index.store.forget(index.owner(), kinds=["trace"])
    assert await index.ids("a b c") == {"b"}
    await index.store.forget(index.owner())
    assert await index.store.count(index.owner()) == 0


async def test_expired_records_are_hidden_unless_asked_for(index):
    """M22."""
    await index.keep("now")
    await index.keep("then", expired=True)
    assert await index.ids("now then") == {"now"}
    assert await index.ids("now then", include_expired=True) == {"now", "then"}


async def test_what_was_kept_is_there_after_reopening(index):
    """With the mark and the revisions that say how far it follows the graph."""
    await index.keep("one", revision="r1", mark="7")
    await index.keep("two", revision="r2", mark="8")
    await index.keep("three", revision="r3")
    await index.store.close()
    async with opened(index.again()) as store:
        query = VectorQuery(index.owner(), text="one two three")
        assert {hit.id for hit in await store.search(query)} == {"one", "two", "three"}
        assert await store.mark() == "8"
        assert await revisions(store, index.owner()) == {"one": "r1", "two": "r2", "three": "r3"}
    await index.store.connect(embedder=MODEL, dimension=DIMENSION)


async def revisions(store, owner):
    """Read every page, two at a time."""
    found, page = [], await store.revisions(limit=2)
    while page:
        found += page
        page = await store.revisions(after=page[-1], limit=2)
    assert all(isinstance(each, Revision) for each in found)
    assert len({(each.owner, each.id) for each in found}) == len(found)
    return {each.id: each.revision for each in found if each.owner == owner}


async def test_a_search_after_a_write_sees_it(index):
    """Also when the owner's records were searched before, and many times over."""
    for number in range(30):
        await index.keep(f"note{number}")
        assert f"note{number}" in await index.ids(f"note{number}", limit=3)
    await index.store.delete(index.owner(), [f"note{number}" for number in range(29)])
    assert await index.ids("note1 note29") == {"note29"}


# -- whose it is


async def test_owners_never_meet(index):
    """T2, T4: two owners with the same ids and texts; neither finds, replaces or removes what is the other's."""
    ann, bob = index.owner("ann"), index.owner("bob")
    await index.keep("shared", "only ann", owner=ann, metadata={"who": "ann"})
    await index.keep("shared", "only bob", owner=bob, metadata={"who": "bob"})
    assert await index.ids("shared only ann bob", owner=ann) == {"shared", "only ann"}
    assert await index.ids("shared", owner=ann, filters={"who": "bob"}) == set()
    await index.store.delete(ann, ["shared", "only bob"])
    assert await index.ids("shared only ann bob", owner=bob) == {"shared", "only bob"}
    await index.store.forget(ann)
    assert await index.store.count(bob) == 2


@pytest.mark.parametrize("other", ["ann ", "Ann", "ann/", "%", "*", "a", "ann' OR 1=1 --", "ann\u0000"])
async def test_an_owner_is_an_exact_text(index, other):
    """T12: no pattern, no prefix, no case."""
    await index.keep("secret", owner=index.owner("ann"))
    assert await index.ids("secret", owner=index.owner(other)) == set()


async def test_ids_that_look_like_an_owner_do_not_cross(index):
    """An owner and an id together name a record: no other pair does."""
    owner = index.owner("a")
    await index.keep("mine", id="b:c", owner=owner)
    await index.keep("theirs", id="c", owner=index.owner("a:b"))
    await index.store.delete(index.owner("a:b"), ["c"])
    assert await index.ids("mine", owner=owner) == {"b:c"}


async def test_a_small_owner_finds_as_much_beside_a_large_one(index):
    """T6: what another keeps makes no difference, whatever the limit."""
    small, large = index.owner("small"), index.owner("large")
    await index.keep(*(f"stone number {n}" for n in range(20)), owner=small)
    alone = await index.search("stone number", owner=small, words=False, limit=10)
    await index.keep(*(f"stone number {n} {n}" for n in range(300)), owner=large)
    inside = await index.search("stone number", owner=small, words=False, limit=10)
    assert {hit.id for hit in inside} == {hit.id for hit in alone}
    assert len(inside) == 10


async def test_a_search_is_narrowed_to_session_agent_run_and_kind(index):
    """M5: each alone, and together."""
    for number, session in enumerate(["s1", "s2", None]):
        for kind in ("message", "fact"):
            await index.keep(f"{kind}{number}", session_id=session, agent_id="a" if number else None, kind=kind)
    words = "message0 message1 message2 fact0 fact1 fact2"
    assert await index.ids(words, session_id="s1") == {"message0", "fact0"}
    assert await index.ids(words, agent_id="a") == {"message1", "message2", "fact1", "fact2"}
    assert await index.ids(words, agent_id="a", kinds=("fact",)) == {"fact1", "fact2"}
    assert await index.ids(words, agent_id="a", session_id="s2", kinds=("fact", "message")) == {"message1", "fact1"}
    assert await index.ids(words, run_id="r") == set()


# -- filters

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, 1, -1, 1.0, 0.5, 2**53, 2**53 + 1, float(2**53), 2**63 - 1, -0.0, 1e300, float("inf")]),
    st.sampled_from(
        ["", "a", "A", "ab", "Straße", "STRASSE", "İ", "é", "\U0001f600", "\uffee", "1", "true", "null", "x'y\"z`"]
    ),
)
KEYS = st.sampled_from(["k", "K", "n", "a.b", "$x", 'q"k', "ключ"])
OPERATIONS = st.one_of(
    st.builds(lambda op, v: {op: v}, st.sampled_from(["eq", "ne"]), SCALARS),
    st.builds(
        lambda op, v: {op: v},
        st.sampled_from(ORDER),
        SCALARS.filter(lambda value: value is not None and not isinstance(value, bool)),
    ),
    st.builds(lambda op, v: {op: v}, st.sampled_from(["in", "nin"]), st.lists(SCALARS, max_size=3)),
    st.builds(lambda v: {"contains": v}, SCALARS.filter(lambda value: value is not None)),
    st.builds(lambda v: {"icontains": v}, SCALARS.filter(lambda value: isinstance(value, str))),
    SCALARS,
)
LEAVES = st.dictionaries(KEYS, OPERATIONS, min_size=1, max_size=2)
FILTERS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda parts: {"AND": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda parts: {"OR": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda part: {"NOT": part}, inner),
    ),
    max_leaves=6,
)
METADATA = st.dictionaries(
    KEYS, st.one_of(SCALARS, st.lists(SCALARS, max_size=3), st.dictionaries(KEYS, SCALARS, max_size=2)), max_size=4
)


async def test_a_filter_means_the_same_on_every_store(index):
    """P16: any filter over any metadata finds exactly what `filters.matches` says, and never another owner's."""
    rows = sample(METADATA, 60)
    mine, other = index.owner("mine"), index.owner("other")
    for owner in (mine, other):
        await index.store.upsert(
            [await index.record(f"row {n}", id=str(n), owner=owner, metadata=row) for n, row in enumerate(rows)]
        )
    found_any = 0
    for filters in sample(FILTERS, 150):
        expected = {str(n) for n, row in enumerate(rows) if matches(parse(filters), row)}
        assert await index.ids("row", owner=mine, filters=filters, limit=60, words=False) == expected, filters
        found_any += 0 < len(expected) < len(rows)
    assert found_any > 20


def sample(strategy, count):
    """Draw many values of a strategy, the same in every run."""
    found = []

    @settings(max_examples=count, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(strategy)
    def draw(value):
        found.append(value)

    draw()
    return found


async def test_the_limit_is_reached_under_filters(index):
    """M5: a filter that few pass gives as many hits as there are, by meaning and by words."""
    texts = [f"the same words {number}" for number in range(200)]
    await index.store.upsert(
        [
            await index.record(text, metadata={"n": number, "rare": number % 40 == 0})
            for number, text in enumerate(texts)
        ]
    )
    assert len(await index.ids("the same words", filters={"rare": True}, limit=5, words=False)) == 5
    assert len(await index.ids("the same words", filters={"n": {"gte": 190}}, limit=10, meaning=False)) == 10
    assert len(await index.ids("the same words", filters={"NOT": {"rare": False}}, limit=50)) == 5


@pytest.mark.parametrize("name", ["owner", "user_id", "agent_id", "run_id", "session_id", "tenant"])
async def test_a_filter_cannot_name_the_scope(index, name):
    """T12: at any depth, before any I/O."""
    for filters in ({name: "bob"}, {"OR": [{name: "*"}, {"a": 1}]}, {"NOT": [{"AND": [{name: None}]}]}):
        with pytest.raises(InputError, match=name):
            await index.ids("x", filters=filters)


# -- awkward input

HOSTILE = [
    "'; DROP TABLE records; --",
    '" OR "" : * ^ - + NEAR(a b, 2) {text} : NOT',
    "owner : x AND text*",
    "+search_scope:* || a && b ~ ? \\ / [a TO b]",
    "}) DETACH DELETE n //",
    "NUL \x00 in the middle",
    "emoji 😀 👩‍👩‍👧 and 漢字 and العربية",
    "AND",
    "*",
    "\n\t",
    "",
    "a" * 5000,
    "word " * 3000,
]


@pytest.mark.parametrize("text", HOSTILE)
async def test_any_text_is_data(index, text):
    """T13: kept, found by meaning and looked for by words, as id and in metadata; nothing becomes a query."""
    await index.keep("bystander")
    name = text[:100].strip() or "blank"
    await index.store.upsert(
        [
            await index.record(text, id=name, metadata={f"key {name}": text[:1000]}),
            await index.record(f"before {text}", id="other", session_id=name),
        ]
    )
    assert "other" in await index.ids(f"before {text}", filters=None)
    found = await index.ids("before", filters={f"key {name}": text[:1000]}, words=False)
    assert found == ({name} if words_of(text) else set())
    assert await index.ids("before", session_id=name) == {"other"}
    await index.ids(text + " ", owner=index.owner("somebody else"))
    await index.store.delete(index.owner(), [name])
    assert await index.store.count(index.owner()) == 2


async def test_words_are_found_in_any_form_and_script(index):
    """Plurals and tenses in English, accents or none, scripts that put no spaces."""
    if isinstance(index.store, FakeVectorStore):
        pytest.skip("the fake knows whole words only")
    await index.keep("She moved the organs", "café crème", "私は東京に住んでいます")
    assert await index.ids("moving organ", meaning=False) == {"She moved the organs"}
    assert await index.ids("CAFÉ", meaning=False) == {"café crème"}
    assert await index.ids("東京", meaning=False) == {"私は東京に住んでいます"}


async def test_a_text_that_means_nothing_is_found_by_its_words(index):
    """A vector of zeros has no direction: no search by meaning gives it, and none is made with it."""
    owner = index.owner()
    zeros = np.zeros(DIMENSION, dtype=np.float32)
    await index.store.upsert([VectorRecord(owner, "blank", "memory", "unspoken", zeros), await index.record("said")])
    assert await index.ids("said", words=False) == {"said"}
    assert [hit.id for hit in await index.store.search(VectorQuery(owner, zeros, "unspoken"))] == ["blank"]
    [hit] = await index.store.search(VectorQuery(owner, zeros, "said"))
    assert hit.dense == 0


async def test_what_no_index_can_hold_is_refused(index):
    """Each before anything is written, with what is wrong."""
    good = await index.record("good")
    nan = np.full(DIMENSION, np.nan, dtype=np.float32)
    bad = {
        "finite": VectorRecord(index.owner(), "x", "memory", "x", nan),
        "shape": VectorRecord(index.owner(), "x", "memory", "x", np.ones(3, dtype=np.float32)),
        "owner": VectorRecord(" ", "x", "memory", "x", good.vector),
        "id is": VectorRecord(index.owner(), "", "memory", "x", good.vector),
        "kind": VectorRecord(index.owner(), "x", "thing", "x", good.vector),
        "bytes": VectorRecord(index.owner(), "x", "memory", "x", good.vector, metadata={"a": b"1"}),
        "surrogate": VectorRecord(index.owner(), "x", "memory", "\ud800", good.vector),
        "characters": VectorRecord(index.owner(), "x" * 1201, "memory", "x", good.vector),
    }
    for message, record in bad.items():
        with pytest.raises(InputError, match=message):
            await index.store.upsert([good, record])
    assert await index.store.count(index.owner()) == 0
    for query in (
        VectorQuery("", good.vector),
        VectorQuery(index.owner()),
        VectorQuery(index.owner(), good.vector, limit=0),
        VectorQuery(index.owner(), good.vector, limit=-1),
        VectorQuery(index.owner(), good.vector, limit=10_000),
        VectorQuery(index.owner(), good.vector, kinds=("thing",)),
        VectorQuery(index.owner(), good.vector, session_id=""),
        VectorQuery(index.owner(), np.ones(3, dtype=np.float32)),
    ):
        with pytest.raises(InputError):
            await index.store.search(query)


async def test_another_embedder_is_refused_at_connect(index):
    """M27: by dimension or by name, with both named; nothing is changed, and the right one still connects."""
    await index.keep("one")
    await index.store.close()
    for name, dimension in ((MODEL, 16), ("another", DIMENSION)):
        store = index.again()
        with pytest.raises(ConfigError, match=str(dimension)) as caught:
            await store.connect(embedder=name, dimension=dimension)
        assert MODEL in str(caught.value)
        with pytest.raises(ClosedError):
            await store.count()
        await store.close()
    await index.store.connect(embedder=MODEL, dimension=DIMENSION)
    assert await index.ids("one") == {"one"}


async def test_an_index_of_another_embedder_can_be_made_anew(index):
    """M27: empty, without a mark, for vectors of another length; then it is that one's, and nothing was left open."""
    await index.keep("one", "two", mark="7")
    await index.store.close()
    other = FakeEmbedder(16, name="another")
    store = index.again()
    await store.connect(embedder=other.name, dimension=16, anew=True)
    try:
        assert (await store.count(), await store.mark(), await store.revisions()) == (0, None, [])
        [vector] = await other.embed(["organ music"])
        await store.upsert([VectorRecord(index.owner(), "three", "memory", "organ music", vector)])
        [hit] = await store.search(VectorQuery(index.owner(), vector))
        assert (hit.id, hit.dense) == ("three", pytest.approx(1, abs=1e-5))
        await store.close()
        with pytest.raises(ConfigError, match="another"):
            await index.again().connect(embedder=MODEL, dimension=DIMENSION)
    finally:
        await store.close()
        await index.store.connect(embedder=MODEL, dimension=DIMENSION, anew=True)


async def test_an_index_of_the_same_embedder_stays_as_it_is(index):
    """M5: made anew is what would be refused, and nothing else."""
    await index.keep("one", mark="7")
    await index.store.close()
    await index.store.connect(embedder=MODEL, dimension=DIMENSION, anew=True)
    assert await index.ids("one") == {"one"}
    assert await index.store.mark() == "7"


async def test_a_closed_store_says_so(index):
    """Every method, also when it is closed twice."""
    store = index.store
    await store.close()
    await store.close()
    for call in (
        store.upsert([]),
        store.delete("a", ["b"]),
        store.forget("a"),
        store.search(VectorQuery("a", text="b")),
        store.count(),
        store.mark(),
        store.revisions(),
    ):
        with pytest.raises(ClosedError):
            await call
    await store.connect(embedder=MODEL, dimension=DIMENSION)


async def test_many_may_write_and_search_at_once(index):
    """Every write is found when all have returned, and a search meanwhile sees whole records only."""

    async def write(number):
        await index.keep(f"note{number}", metadata={"n": number})

    async def look():
        return await index.search("note1 note2", filters={"n": {"gte": 0}})

    async with asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(write(number))
            group.create_task(look())
    assert await index.store.count(index.owner()) == 20
    assert len(await index.ids("note", limit=50, words=False)) == 20
    assert json.dumps(sorted(await index.ids("note3", meaning=False))) == '["note3"]'
