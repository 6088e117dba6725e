"""Searching typed memory: what is found, what is not, and whose it is; on both stores and in every write mode."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from searching import contents, owner_of, said

from perdure import InputError, MemoryClient, MemorySettings
from perdure.graph.scope import Scope

NOON = datetime(2025, 5, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
HOSTILE = [
    "MATCH (n) DETACH DELETE n //",
    "'}) DETACH DELETE (n) //",
    "'; DROP TABLE records; --",
    '" OR 1=1 --',
    "tea AND NOT (green OR black) NEAR/3 *",
    'text:"tea" +must -not tea~2 [a TO z] {x} ^9 \\ / && || !',
    "search_scope:* OR *:*",
    "a\0b",
    "🫖🍵 tea \u200b\u202e",
    "\t\r\n tea",
    "$owner {{owner}} %s {0}",
    "*",
    "AND",
    "-",
    '"',
    "日本語のお茶",
    "t\u0301e\u0301",
]


# -- what is found


async def test_messages_are_found_within_session_role_and_metadata(searched):
    """M5: each narrows, and what does not match leaves no gap among `limit` hits."""
    await said(searched.ada, "other", *(f"green tea {n}" for n in range(150)))
    await said(searched.ada, "s", *(f"green tea, she said {n}" for n in range(100)), role="assistant")
    await said(searched.ada, "s", *(f"tea {n} of some other kind" for n in range(12)), metadata={"n": 1, "at": NOON})
    await said(searched.ada, "s", "tea", metadata={"n": 5, "tags": ["hot", "green"], "at": NOON + DAY})

    async def count(limit=12, **more):
        return len(await contents(searched.ada, "green tea", limit=limit, **more))

    assert await count(limit=1000) == 263
    assert await count(limit=1000, session_id="s") == 113
    assert await count(session_id="s", role="user") == 12
    assert await count(limit=1000, session_id="s", role="user") == 13
    assert await count(metadata={"n": 1}) == 12
    assert await count(limit=20, metadata={"n": {"gte": 1, "lt": 5}}) == 12
    assert await count(metadata={"n": {"gt": 1}}) == await count(metadata={"tags": {"contains": "hot"}}) == 1
    assert await count(limit=20, metadata={"at": {"lte": NOON}}) == 12
    assert await count(limit=20, metadata={"OR": [{"n": 5}, {"n": {"in": [1, 2]}}]}) == 13
    assert await count(limit=1000, metadata={"NOT": {"n": 1}}) == 251
    assert await count(role="assistant", metadata={"n": 1}) == await count(session_id="nowhere") == 0
    assert await count(role="tool") == await count(metadata={"n": "1"}) == 0


async def test_hits_say_how_well_they_fit_and_are_whole(searched):
    """M5: best first; the item is what the graph has, and `why` says what its score is made of."""
    kept = await searched.ada.short_term.add_message(
        "s", "user", "green tea in the morning", name="Ada", metadata={"n": 1, "at": NOON}, tool_calls=[{"x": 1}]
    )
    await said(searched.ada, "s", "tea", "coffee at noon", "")
    hits = await searched.ada.short_term.search_messages("green tea in the morning")
    assert hits[0].item == kept
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    for hit in hits:
        assert hit.score == pytest.approx(hit.why["meaning"] + hit.why["words"])
        assert -1 <= hit.why["cosine"] <= 1
    assert hits[0].why["cosine"] > 0.9
    assert "" not in {hit.item.content for hit in hits}
    assert await contents(searched.ada, "ada's?") != []


async def test_long_term_memory_and_traces_are_found(searched):
    """M5: entities by name, alias and description, facts and preferences by all their words, traces by their task."""
    long, reasoning = searched.ada.long_term, searched.ada.reasoning
    await long.add_entity("Grace Hopper", "person", aliases=["Amazing Grace"], description="wrote a compiler")
    await long.add_entity("Grace", "ship")
    await long.add_fact("Grace Hopper", "worked at", "Harvard", confidence=0.5)
    await long.add_preference("drinks", "green tea", context="in the morning")
    trace = await reasoning.start_trace("s", "brew green tea", metadata={"cups": 2})
    await reasoning.start_trace("s", "brew coffee")
    await reasoning.complete_trace(trace, outcome="done", success=True, metadata={"minutes": 3})

    assert (await long.search_entities("compiler"))[0].item.name == "Grace Hopper"
    assert (await long.search_entities("amazing"))[0].item.name == "Grace Hopper"
    assert [hit.item.name for hit in await long.search_entities("grace", type="ship")] == ["Grace"]
    assert await long.search_entities("grace", type="city") == []
    for query in ("Hopper", "worked", "harvard"):
        assert [hit.item.confidence for hit in await long.search_facts(query)] == [0.5]
    for query in ("drinks", "tea", "morning"):
        assert [hit.item.preference for hit in await long.search_preferences(query)] == ["green tea"]
    hits = await reasoning.search_traces("green tea")
    assert [hit.item.task for hit in hits] == ["brew green tea", "brew coffee"]
    assert (hits[0].item.outcome, hits[0].item.metadata) == ("done", {"cups": 2, "minutes": 3})
    assert [hit.item.task for hit in await reasoning.search_traces("brew", success=True)] == ["brew green tea"]
    assert await reasoning.search_traces("brew", success=False) == []


async def test_a_threshold_is_the_least_cosine(searched):
    """M5: what is below it is no hit, by words either."""
    await said(searched.ada, "s", "green tea", "green tea and milk")
    assert len(await contents(searched.ada, "green tea")) == 2
    assert await contents(searched.ada, "green tea", threshold=0.9) == ["green tea"]
    assert len(await contents(searched.ada, "green tea", threshold=0)) == 2
    assert await contents(searched.ada, "black coffee", threshold=1) == []
    [hit] = await searched.ada.short_term.search_messages("green tea", threshold=0.9)
    assert hit.why["cosine"] >= 0.9


@pytest.mark.parametrize(
    "wrong",
    [
        {"query": ""},
        {"query": " \n\t"},
        {"query": None},
        {"query": "x" * 100_001},
        {"limit": 0},
        {"limit": -1},
        {"limit": 1001},
        {"limit": True},
        {"limit": 2.0},
        {"threshold": 1.1},
        {"threshold": -0.1},
        {"threshold": "high"},
        {"threshold": float("nan")},
        {"query": "half a pair \ud800"},
    ],
    ids=repr,
)
async def test_questions_that_mean_nothing_are_refused_by_every_search(client_of, memory_graph, wrong):
    """M5: before anything is looked at."""
    async with client_of(memory_graph) as client:
        for search in (
            client.short_term.search_messages,
            client.long_term.search_entities,
            client.long_term.search_facts,
            client.long_term.search_preferences,
            client.reasoning.search_traces,
        ):
            with pytest.raises(InputError):
                await search(**{"query": "tea", **wrong})
        for more in ({"role": "robot"}, {"session_id": " "}, {"metadata": {"n": {"like": 1}}}, {"metadata": [1]}):
            with pytest.raises(InputError):
                await client.short_term.search_messages("tea", **more)


async def test_hostile_texts_are_texts(searched):
    """T13: to keep, and to ask for; no word of them is an operator, and nobody else's memory comes with them."""
    await said(searched.bob, "s", "tea of bob's", *HOSTILE[:5])
    for text in HOSTILE:
        await searched.ada.short_term.add_message("s", "user", text)
    long = "tea " * 25_600
    await searched.ada.short_term.add_message("s", "user", long)
    kept = {*HOSTILE, long}
    for query in [*HOSTILE, long[:100_000]]:
        found = await searched.ada.short_term.search_messages(query, limit=100)
        assert {hit.item.user_id for hit in found} <= {"ada"}
        assert {hit.item.content for hit in found} <= kept
    for text in HOSTILE[:6]:
        assert (await contents(searched.ada, text, limit=1)) == [text]
    assert len((await searched.ada.short_term.get_conversation("s")).messages) == len(kept)
    assert await contents(searched.bob, "bob", limit=1) == ["tea of bob's"]


# -- read your writes


async def test_a_search_sees_what_was_written_just_before_it(searched):
    """B41: of every kind, at once, in every mode."""
    for n in range(5):
        await searched.ada.short_term.add_message("s", "user", f"word{n}")
        assert f"word{n}" in await contents(searched.ada, f"word{n}", limit=1)
        assert f"word{n}" in await contents(searched.ada, f"word{n}", session_id="s", limit=1)
        entity = await searched.ada.long_term.add_entity(f"thing{n}", "thing")
        assert (await searched.ada.long_term.search_entities(f"thing{n}", limit=1))[0].item.id == entity.id
        fact = await searched.ada.long_term.add_fact("it", "is", f"fact{n}")
        assert (await searched.ada.long_term.search_facts(f"fact{n}", limit=1))[0].item.id == fact.id
        liked = await searched.ada.long_term.add_preference("x", f"like{n}")
        assert (await searched.ada.long_term.search_preferences(f"like{n}", limit=1))[0].item.id == liked.id
        trace = await searched.ada.reasoning.start_trace("s", f"task{n}")
        assert (await searched.ada.reasoning.search_traces(f"task{n}", limit=1))[0].item.id == trace.id


async def test_many_at_once_each_find_their_own(searched):
    """B41: fifty writers, each of whom searches for what it wrote."""

    async def work(n):
        await searched.ada.short_term.add_message(f"s{n % 5}", "user", f"unique{n} words")
        return (await contents(searched.ada, f"unique{n}", limit=1)) == [f"unique{n} words"]

    assert all(await asyncio.gather(*(work(n) for n in range(50))))


async def test_a_changed_entity_is_found_by_its_new_text_only(searched):
    """M24: by words; what it was called before is an alias, and finds it still."""
    grace = await searched.ada.long_term.add_entity("Grace", "person", description="sailor")

    async def fits(query):
        hits = await searched.ada.long_term.search_entities(query)
        return [hit.item.id for hit in hits if hit.why["word_score"] > 0]

    assert await fits("sailor") == [grace.id]
    changed = await searched.ada.long_term.update_entity(grace, name="Hopper", description="admiral")
    assert await fits("admiral") == await fits("hopper") == await fits("grace") == [grace.id]
    assert await fits("sailor") == []
    assert (await searched.ada.long_term.search_entities("admiral"))[0].item == changed
    await searched.ada.long_term.add_entity("Grace", "person", aliases=["Amazing"])
    assert await fits("amazing") == [grace.id]


# -- time


async def test_what_is_superseded_is_hidden_unless_it_is_asked_for(searched):
    """M22, M23: `include_expired` shows it, and `as_of` what was true then."""
    long = searched.ada.long_term
    for add, search, supersede, words in (
        (long.add_fact, long.search_facts, long.supersede_fact, ("Ada", "lives in")),
        (long.add_preference, long.search_preferences, long.supersede_preference, ("cities",)),
    ):
        old = await add(*words, "London old", valid_from=NOON)
        new = await add(*words, "Paris new", valid_from=NOON + 10 * DAY)
        assert {hit.item.id for hit in await search("London Paris")} == {old.id, new.id}
        await supersede(old, new)
        assert [hit.item.id for hit in await search("London Paris old")] == [new.id]
        assert {hit.item.id for hit in await search("London Paris", include_expired=True)} == {old.id, new.id}
        [expired] = [hit.item for hit in await search("old", include_expired=True) if hit.item.id == old.id]
        assert (expired.valid_until, expired.expired_at is None) == (NOON + 10 * DAY, False)
        for moment, wanted in ((NOON + DAY, [old.id]), (NOON + 20 * DAY, [new.id]), (NOON - DAY, [])):
            assert [hit.item.id for hit in await search("London Paris", as_of=moment)] == wanted
        with pytest.raises(InputError):
            await search("London", as_of=NOON.replace(tzinfo=None))


async def test_what_no_longer_holds_does_not_crowd_out_what_does(searched):
    """M22: sixty expired facts that fit better, and one that holds."""
    long = searched.ada.long_term
    new = await long.add_fact("Ada", "is somewhere", "else", valid_from=NOON + DAY)
    for n in range(60):
        old = await long.add_fact("Ada", "is in", f"London {n}", valid_from=NOON)
        await long.supersede_fact(old, new)
    assert [hit.item.id for hit in await long.search_facts("Ada is in London", limit=1)] == [new.id]
    [hit] = await long.search_facts("Ada is in London", limit=1, as_of=NOON + 2 * DAY)
    assert hit.item.id == new.id


# -- what is gone


async def test_what_is_deleted_is_not_found(searched):
    """M6, M7, M24: at once, and it is in no vector store once somebody has searched."""
    long, short, reasoning = searched.ada.long_term, searched.ada.short_term, searched.ada.reasoning
    message = await short.add_message("s", "user", "tea")
    await said(searched.ada, "t", "tea", "tea")
    await reasoning.start_trace("t", "tea")
    entity = await long.add_entity("tea", "thing")
    fact = await long.add_fact("tea", "is", "tea")
    liked = await long.add_preference("tea", "tea")

    async def found():
        searches = (short.search_messages, long.search_entities, long.search_facts, long.search_preferences)
        return [len(await search("tea")) for search in (*searches, reasoning.search_traces)]

    assert await found() == [3, 1, 1, 1, 1]
    assert await short.delete_message(message.id)
    assert await found() == [2, 1, 1, 1, 1]
    assert await short.clear_session("t") == 3
    assert await found() == [0, 1, 1, 1, 0]
    assert await long.delete_entity(entity)
    assert await found() == [0, 0, 1, 1, 0]
    assert await long.delete_fact(fact)
    assert await long.delete_preference(liked)
    assert await found() == [0, 0, 0, 0, 0]
    assert await searched.vectors.count(owner_of(searched)) == 0
    again = await long.add_entity("tea", "thing")
    assert (again.id, await found()) == (entity.id, [0, 1, 0, 0, 0])


async def test_forgetting_a_user_leaves_nothing_in_the_vector_store(searched):
    """T9: and everything of the others; who comes back begins anew."""
    for memory in (searched.ada, searched.bob):
        await said(memory, "s", "tea", "tea")
        await memory.long_term.add_entity("tea", "thing")
        await memory.long_term.add_fact("tea", "is", "tea")
        await memory.reasoning.start_trace("s", "tea")
    assert len(await contents(searched.bob, "tea")) == len(await contents(searched.ada, "tea")) == 2
    await searched.client.users.delete("ada", tenant=searched.tenant)
    assert await contents(searched.ada, "tea") == []
    assert await searched.vectors.count(owner_of(searched)) == 0
    assert await searched.vectors.count(owner_of(searched, "bob")) == 5
    await said(searched.ada, "s", "tea again")
    assert await contents(searched.ada, "tea") == ["tea again"]


# -- the default


async def test_the_embedder_that_comes_with_it_finds_by_meaning(typed):
    """M5: without any setting; the words are others than the query's."""
    await said(typed.ada, "s", "I adore puppies", "the invoice is overdue", "it rained all day in Hamburg")
    assert (await contents(typed.ada, "dogs", limit=1)) == ["I adore puppies"]
    assert (await contents(typed.ada, "unpaid bill", limit=1)) == ["the invoice is overdue"]


@pytest.mark.neo4j
async def test_neo4j_searches_with_its_own_indexes_without_a_setting(neo4j_server, tmp_path):
    """M5: the wiring of a program that names only the server; its second client finds what the first indexed."""
    settings = {"uri": neo4j_server.uri, "username": neo4j_server.username, "password": neo4j_server.password}
    names = {"tenant": f"wired {tmp_path.name} {id(settings)}", "user_id": "ada"}
    for first in (True, False):
        memory = {"write_mode": "deferred", "durability": "memory"}
        async with MemoryClient(MemorySettings(neo4j=settings, data_dir=tmp_path, memory=memory)) as client:
            ada = client.scope(**names)
            if first:
                await said(ada, "s", "I adore puppies", "the invoice is overdue")
            assert await contents(ada, "dogs", limit=1) == ["I adore puppies"]
            if not first:
                await client.users.delete("ada", tenant=names["tenant"])
                assert await contents(ada, "dogs") == []
                rows = await client.query.cypher(
                    "MATCH (n) WHERE n.owner = $owner RETURN count(n) AS n", {"owner": Scope(**names).owner}
                )
                assert rows == [{"n": 0}]
    assert not (tmp_path / "vectors").exists()
