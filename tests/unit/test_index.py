"""The index: it follows the graph in the background, loses nothing, and says when it cannot follow."""

import asyncio

import numpy as np
import pytest
from index_rig import Kept, Rig, Vectors

from perdure import MemoryClient, MemorySettings, ProviderError, ProviderOutputError, StoreUnavailableError
from perdure.graph import index as following
from perdure.graph.scope import Scope

OWNER = Scope(user_id="ada").owner


@pytest.fixture
async def rig():
    """A graph that several clients use in turn."""
    made = Rig()
    await made.graph.connect()
    yield made
    await made.graph.close()


async def contents(client, query, **more):
    """Return the contents of the messages a search finds."""
    return {hit.item.content for hit in await client.short_term.search_messages(query, user_id="ada", **more)}


async def found_at_last(client, query):
    """Search until the index follows again."""
    while True:
        try:
            return await contents(client, query)
        except (StoreUnavailableError, ProviderError):
            await asyncio.sleep(0)


# -- marks


@pytest.mark.parametrize("mode", ["sync", "deferred"])
async def test_what_is_indexed_is_not_marked_any_more(rig, mode):
    """M5: at the latest when the client is closed, and everything is in the vector store by then."""
    async with rig.client(write_mode=mode) as client:
        for n in range(5):
            await client.short_term.add_message("s", "user", f"note {n}", user_id="ada")
        await client.long_term.add_entity("Grace", "person", user_id="ada")
        fact = await client.long_term.add_fact("Grace", "likes", "tea", user_id="ada")
        await client.long_term.add_preference("food", "noodles", user_id="ada")
        await client.reasoning.start_trace("s", "cook", user_id="ada")
        await client.flush()
    assert await rig.marked() == 0
    assert len(rig.vectors.records) == 9
    assert (OWNER, f"fact:{fact.id}") in rig.vectors.records


async def test_a_change_while_a_record_is_embedded_is_not_taken_for_indexed(rig):
    """M5: its mark is of the state that was embedded; the next state is embedded as well."""
    async with rig.client() as client:
        await client.long_term.add_entity("Grace", "person", user_id="ada")
        await client.long_term.search_entities("Grace", user_id="ada")
        rig.embedder.free.clear()
        rig.embedder.asked.clear()
        await client.long_term.update_entity("Grace", description="sailor", user_id="ada")
        await rig.embedder.asked.wait()
        await client.long_term.update_entity("Grace", description="admiral", user_id="ada")
        rig.embedder.free.set()
        [hit] = await client.long_term.search_entities("admiral", user_id="ada")
        assert hit.why["word_score"] == 1
    assert await rig.marked() == 0


async def test_a_client_that_only_writes_cypher_has_no_index_to_pay_for(rig):
    """B10: nothing is embedded, and the vector store is not asked."""
    async with rig.client(write_mode="buffered") as client:
        await client.buffered.submit("CREATE (:Note {text: 'hello'})")
        await client.flush()
        await client.query.cypher("MATCH (n:Note) RETURN n")
    assert rig.embedder.texts == []
    assert rig.vectors.upserts == 0


# -- when something fails


@pytest.mark.parametrize(
    "failure", [StoreUnavailableError("It is away."), RuntimeError("no GPU"), asyncio.CancelledError()]
)
@pytest.mark.parametrize("who", ["vectors", "embedder"])
async def test_what_keeps_the_index_from_following_is_raised_by_searches_and_passes(rig, who, failure):
    """M5: writes go on, a search raises rather than hang or miss something, and afterwards everything is found."""
    culprit = getattr(rig, who)
    async with rig.client() as client:
        await client.short_term.add_message("s", "user", "tea before", user_id="ada")
        assert await contents(client, "tea") == {"tea before"}
        culprit.failing = failure
        await client.short_term.add_message("s", "user", "tea meanwhile", user_id="ada")
        with pytest.raises((StoreUnavailableError, ProviderError)) as raised:
            await contents(client, "tea")
        assert failure in (raised.value, raised.value.__cause__)
        await client.short_term.add_message("s", "user", "tea later", user_id="ada")
        culprit.failing = None
        assert await found_at_last(client, "tea") == {"tea before", "tea meanwhile", "tea later"}
    assert await rig.marked() == 0


async def test_an_embedder_that_gives_too_few_vectors_is_a_failure_too(rig, monkeypatch):
    """M5: and not a search that never ends."""

    async def none(texts):
        return np.zeros((0, rig.embedder.dimension), dtype=np.float32)

    async with rig.client() as client:
        with monkeypatch.context() as broken:
            broken.setattr(rig.embedder, "embed", none)
            await client.short_term.add_message("s", "user", "tea", user_id="ada")
            with pytest.raises(ProviderOutputError, match="embedder fake"):
                await contents(client, "tea")
        assert await found_at_last(client, "tea") == {"tea"}


async def test_what_could_not_be_indexed_is_found_by_the_next_client(rig):
    """M5: close does not wait for what fails; the marks stay."""
    rig.vectors.failing = StoreUnavailableError("It is away.")
    async with rig.client() as client:
        await client.short_term.add_message("s", "user", "tea", user_id="ada")
        with pytest.raises(StoreUnavailableError):
            await contents(client, "tea")
    assert await rig.marked() == 1
    rig.vectors.failing = None
    async with rig.client() as client:
        assert await contents(client, "tea") == {"tea"}


async def test_a_write_that_was_cancelled_or_whose_answer_was_lost_is_found_when_it_was_made(rig, monkeypatch):
    """M5: and a deletion is carried out likewise; what the graph says counts."""
    write = rig.graph.write

    async def lost(statement, parameters):
        await write(statement, parameters)
        raise StoreUnavailableError("The answer was lost.")

    async with rig.client() as client:
        await client.short_term.add_message("s", "user", "tea first", id="first", user_id="ada")
        assert await contents(client, "tea") == {"tea first"}
        with monkeypatch.context() as losing:
            losing.setattr(rig.graph, "write", lost)
            with pytest.raises(StoreUnavailableError):
                await client.short_term.add_message("s", "user", "tea second", user_id="ada")
            with pytest.raises(StoreUnavailableError):
                await client.short_term.delete_message("first", user_id="ada")
        assert await found_at_last(client, "tea") == {"tea second"}
        assert len(rig.vectors.records) == 1


async def test_a_deferred_write_whose_call_was_cancelled_is_found_when_it_was_accepted(rig, tmp_path):
    """B41, M5: wherever the call was when it was cancelled, a search finds what a conversation shows."""
    settings = {"store": Kept(rig.graph), "vector_store": rig.vectors, "embedder": rig.embedder, "data_dir": tmp_path}
    memory = {"write_mode": "deferred", "durability": "disk"}
    async with MemoryClient(MemorySettings(**settings, memory=memory)) as client:
        await client.short_term.add_message("s", "user", "tea", user_id="ada")
        assert await contents(client, "tea") == {"tea"}
        left = 0
        for turns in range(8):
            call = asyncio.create_task(client.short_term.add_message("s", "user", f"tea {turns}", user_id="ada"))
            for _ in range(turns):
                await asyncio.sleep(0)
            call.cancel()
            await asyncio.wait([call])
            left += call.cancelled()
            found = await contents(client, "tea", limit=100)
            kept = (await client.short_term.get_conversation("s", user_id="ada")).messages
            assert found == {message.content for message in kept}
        assert left
        assert len(kept) > 2


# -- many changes


async def test_more_changes_than_are_kept_in_memory_are_found_by_their_marks(rig, monkeypatch):
    """M5: those that come while everything that waits is worked off are not lost either."""
    monkeypatch.setattr(following, "MOST_WAITING", 3)
    async with rig.client() as client:
        await client.short_term.add_message("s", "user", "note 0", user_id="ada")
        await contents(client, "note")
        rig.embedder.free.clear()
        for n in range(1, 20):
            await client.short_term.add_message("s", "user", f"note {n}", user_id="ada")
        rig.embedder.free.set()
        for n in range(20, 40):
            await client.short_term.add_message("s", "user", f"note {n}", user_id="ada")
            await asyncio.sleep(0)
        assert await contents(client, "note", limit=100) == {f"note {n}" for n in range(40)}
    assert await rig.marked() == 0


async def test_overflow_does_not_undo_what_came_after_a_deletion(rig, monkeypatch):
    """M24, T9: a user forgotten and then remembered again, with more changes than are kept in memory."""
    monkeypatch.setattr(following, "MOST_WAITING", 2)
    async with rig.client() as client:
        await client.long_term.add_entity("Grace", "person", user_id="ada")
        await client.long_term.search_entities("Grace", user_id="ada")
        rig.embedder.free.clear()
        for n in range(4):
            await client.short_term.add_message("s", "user", f"note {n}", user_id="bob")
        await client.long_term.delete_entity("Grace", user_id="ada")
        await client.users.delete("ada")
        await client.long_term.add_entity("Grace", "person", user_id="ada")
        await client.short_term.add_message("s", "user", "tea", user_id="ada")
        rig.embedder.free.set()
        assert len(await client.long_term.search_entities("Grace", user_id="ada")) == 1
        assert await contents(client, "tea") == {"tea"}
        assert len(await client.short_term.search_messages("note", user_id="bob")) == 4
    assert await rig.marked() == 0


async def test_a_hundred_writers_and_their_deletions_leave_graph_and_index_alike(rig):
    """M5, M24: whatever order things are indexed in."""
    async with rig.client(write_mode="deferred") as client:

        async def work(n):
            kept = await client.short_term.add_message(f"s{n % 7}", "user", f"note {n}", user_id="ada")
            entity = await client.long_term.add_entity(f"thing {n % 5}", "thing", user_id="ada")
            if n % 3 == 0:
                await client.short_term.delete_message(kept.id, user_id="ada")
            if n % 10 == 0:
                await client.long_term.delete_entity(entity, user_id="ada")
            if n == 50:
                await client.short_term.clear_session("s3", user_id="ada")

        await asyncio.gather(*(work(n) for n in range(100)))
        await client.flush()
    rows = await rig.graph.read("MATCH (n) WHERE n:Message OR n:Entity RETURN labels(n)[0] AS l, n.public_id AS id", {})
    assert {name for _, name in rig.vectors.records} == {f"{row['l'].lower()}:{row['id']}" for row in rows}
    assert await rig.marked() == 0


# -- the end, and who waits for whom


async def test_close_finishes_what_is_being_indexed(rig):
    """M5: also a batch that has left the queue already."""
    async with rig.client() as client:
        rig.embedder.free.clear()
        await client.short_term.add_message("s", "user", "tea", user_id="ada")
        await rig.embedder.asked.wait()
        asyncio.get_running_loop().call_soon(rig.embedder.free.set)
    assert await rig.marked() == 0
    assert len(rig.vectors.records) == 1


async def test_close_does_not_wait_for_ever(rig, monkeypatch):
    """B13: an embedder that never answers costs some seconds and no memory."""
    monkeypatch.setattr(following, "SECONDS_TO_FINISH", 0.01)
    async with rig.client() as client:
        rig.embedder.free.clear()
        await client.short_term.add_message("s", "user", "tea", user_id="ada")
    assert await rig.marked() == 1
    rig.embedder.free.set()
    async with rig.client() as client:
        assert await contents(client, "tea") == {"tea"}


async def test_a_close_that_is_cancelled_leaves_no_task_and_nothing_open(rig):
    """B13: the marks say what is left to do."""
    async with rig.client() as client:
        rig.embedder.free.clear()
        await client.short_term.add_message("s", "user", "tea", user_id="ada")
        await rig.embedder.asked.wait()
        closing = asyncio.create_task(client.close())
        for _ in range(50):
            await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        assert not [task for task in asyncio.all_tasks() if task.get_name() == "perdure index"]
    assert await rig.marked() == 1


async def test_a_slow_write_of_one_owner_does_not_hold_up_the_search_of_another(rig):
    """B38: and is found by its own owner's search, which waits for it."""
    rig.graph.word = "slow"
    async with rig.client(write_mode="deferred") as client:
        await client.short_term.add_message("s", "user", "tea, slow", user_id="bob")
        await client.short_term.add_message("s", "user", "tea", user_id="ada")
        assert await contents(client, "tea") == {"tea"}
        rig.graph.free.set()
        [hit] = await client.short_term.search_messages("tea", user_id="bob")
        assert hit.item.content == "tea, slow"


async def test_what_was_not_the_index_to_hear_of_is_found_when_the_writer_has_recovered(rig, tmp_path):
    """B41, M5: a journal's writes are committed after the index has looked for marks, and are found all the same."""
    memory = {"write_mode": "deferred", "durability": "os", "lanes": 1}
    settings = {"store": Kept(rig.graph), "vector_store": rig.vectors, "embedder": rig.embedder, "data_dir": tmp_path}
    rig.graph.word = "slow"
    first = await MemoryClient(MemorySettings(**settings, memory=memory)).connect()
    await first.short_term.add_message("s", "user", "tea, slow", user_id="ada")
    report = await first.close(timeout=0)
    assert (report.unsettled, report.kept) == (1, True)
    second = MemoryClient(MemorySettings(**settings, memory={**memory, "lanes": 8}))
    async with second as client:
        index = client._graph.index
        await index.caught_up(OWNER)
        rig.graph.free.set()
        assert await contents(client, "tea") == {"tea, slow"}


async def test_what_a_turn_changed_is_indexed_with_one_write(rig, monkeypatch):
    """M5: of whatever kinds it is; the server has the next turn to do."""
    monkeypatch.setattr(following, "SECONDS_FOR_COMPANY", 3600.0)
    async with rig.client() as client:
        await client.short_term.add_message("s", "user", "the first", user_id="ada")
        assert await contents(client, "first") == {"the first"}
        before = rig.vectors.upserts
        await client.short_term.add_message("s", "user", "find a day", user_id="ada")
        await client.reasoning.start_trace("s", "find a day", user_id="ada")
        await client.long_term.add_fact("Ada", "is free on", "Friday", user_id="ada")
        assert await contents(client, "find") == {"the first", "find a day"}
        assert rig.vectors.upserts == before + 1


# -- making it anew


async def test_rebuild_says_how_far_it_is_and_lets_go_of_strays(rig, monkeypatch):
    """M5, T9: what the graph does not have is in no vector store afterwards; what others labelled alike is let be."""
    monkeypatch.setattr(following, "AT_ONCE", 2)
    async with rig.client() as client:
        for n in range(5):
            await client.short_term.add_message("s", "user", f"note {n}", user_id="ada")
        await contents(client, "note")
        await client.buffered.submit("CREATE (:Message {id: 'theirs', text: 'note'}), (:Entity {name: 'theirs'})")
        await client.flush()
        stray = next(iter(rig.vectors.records.values()))
        await rig.graph.write("MATCH (n:Message {content: 'note 3'}) DETACH DELETE n", {})
        [vector] = await rig.embedder.embed(["note"])
        strangers = [
            type(stray)("nobody", "message:gone", "message", "note", vector),
            type(stray)("nobody", "other:kept", "message", "note", vector),
        ]
        await rig.vectors.upsert(strangers)
        told = []
        assert await client._graph.index.rebuild(lambda done, total: told.append((done, total))) == 4
        assert told == [(2, 4), (4, 4)]
        assert await contents(client, "note") == {"note 0", "note 1", "note 2", "note 4"}
        assert {name for owner, name in rig.vectors.records if owner == "nobody"} == {"other:kept"}
        assert len(rig.vectors.records) == 5


async def test_a_rebuild_and_the_follower_do_not_overtake_one_another(rig):
    """M5, T9: what changes or goes while everything is indexed is as it is in the graph afterwards."""
    async with rig.client() as client:
        await client.long_term.add_entity("Grace", "person", user_id="ada")
        await client.short_term.add_message("s", "user", "note", id="gone", user_id="ada")
        await client.long_term.search_entities("Grace", user_id="ada")
        rig.embedder.free.clear()
        rig.embedder.asked.clear()
        rebuilding = asyncio.create_task(client._graph.index.rebuild())
        await rig.embedder.asked.wait()
        await client.long_term.update_entity("Grace", description="admiral", user_id="ada")
        await client.short_term.delete_message("gone", user_id="ada")
        rig.embedder.free.set()
        await rebuilding
        [hit] = await client.long_term.search_entities("admiral", user_id="ada")
        assert hit.why["word_score"] == 1
        assert {name.partition(":")[0] for _, name in rig.vectors.records} == {"entity"}


async def test_a_new_vector_store_for_a_graph_that_has_everything_indexed_is_filled(rig):
    """M5: it holds nothing of its own; also in place of one that was in the graph's database, and left no mark."""
    async with rig.client() as client:
        await client.short_term.add_message("s", "user", "tea", user_id="ada")
    await rig.graph.write("MATCH (k:_PerdureSearch) DETACH DELETE k", {})
    rig.vectors = Vectors()
    async with rig.client() as client:
        assert await contents(client, "tea") == {"tea"}


async def test_what_a_caller_brings_is_embedded_by_nobody_else(rig):
    """M5: neither for its mark, nor while the index is made anew."""
    async with rig.client() as client:
        message = await client.short_term.add_message("s", "user", "tea", user_id="ada")
    await rig.graph.write("MATCH (n:Message) SET n.unindexed = 'once more'", {})
    rig.vectors, before = Vectors(), len(rig.embedder.texts)
    async with rig.client() as client:
        index = client.graph.index
        with index.bringing([OWNER + message.id]):
            index.begin()
            await index.caught_up(OWNER)
        assert len(rig.embedder.texts) == before
        index.look_again()
        assert await contents(client, "tea") == {"tea"}
