"""MemoryClient: one owner of the store and the writer, from connect to close."""

import asyncio
import warnings

import pytest

from perdure import (
    ClosedError,
    CloseReport,
    ConfigError,
    FlushSummary,
    InputError,
    MemoryClient,
    MemorySettings,
    StoreUnavailableError,
)
from perdure.testing import FakeGraphStore

NOTE = "CREATE (:Note {n: $n})"


@pytest.fixture
def client(store):
    """A client in buffered mode over the fake store, not yet connected."""
    return MemoryClient(MemorySettings(store=store, memory={"write_mode": "buffered", "durability": "memory"}))


async def test_a_write_passes_from_the_client_to_the_store(client, store):
    """B10: the whole way, and the store is closed at the end."""
    async with client:
        receipt = await client.buffered.submit(NOTE, {"n": 1})
        assert await client.flush(timeout=5) == FlushSummary(committed=1, failed=0, unsettled=0)
        assert receipt.state == "committed"
        assert store.is_open
    assert store.values("n") == [1]
    assert not store.is_open


async def test_wait_for_pending_of_a_client_is_its_flush(client):
    """B7: another name for the same call."""
    async with client:
        await client.buffered.submit(NOTE, {"n": 1})
        assert (await client.wait_for_pending(timeout=5)).committed == 1
    assert MemoryClient.wait_for_pending is MemoryClient.flush


async def test_a_client_drains_when_an_exception_leaves(client, store):
    """B13: and the exception goes on."""

    async def work():
        async with client:
            await client.buffered.submit(NOTE, {"n": 1})
            raise LookupError("Mine.")

    with pytest.raises(LookupError, match="Mine"):
        await work()
    assert store.values("n") == [1]
    assert not store.is_open


async def test_errors_and_the_report_outlive_the_client(client, store):
    """B12: write_errors after close, the same report each time, and clear errors for everything else."""
    store.reject("BAD")
    async with client:
        await client.buffered.submit("BAD")
    assert [error.query for error in client.write_errors] == ["BAD"]
    report = await client.close()
    assert report == await client.close() == CloseReport(committed=0, failed=1, unsettled=0, kept=False)
    with pytest.raises(ClosedError):
        await client.buffered.submit(NOTE, {"n": 1})
    with pytest.raises(ClosedError):
        await client.query.cypher("RETURN 1")
    with pytest.raises(ClosedError):
        await client.health()
    with pytest.raises(ClosedError, match="Make a new one"):
        await client.connect()


async def test_close_with_a_timeout_reports_and_disconnects(client, store):
    """B11: what was left is reported, and the store is closed all the same."""
    await client.connect()
    store.hold()
    await client.buffered.submit(NOTE, {"n": 1})
    assert await client.close(timeout=0.01) == CloseReport(committed=0, failed=0, unsettled=1, kept=False)
    assert not store.is_open
    store.release()


async def test_a_cancelled_close_disconnects(client, store):
    """B17: nothing stays open behind a close that was given up."""
    await client.connect()
    store.hold()
    await client.buffered.submit(NOTE, {"n": 1})
    closing = asyncio.create_task(client.close())
    await store.arrived()
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert not store.is_open
    assert (await client.close()).unsettled == 1


async def test_nothing_works_before_connect(client):
    """B36: each use says what to do first; closing is no error."""
    assert len(client.write_errors) == 0
    for use in (lambda: client.buffered, lambda: client.query):
        with pytest.raises(ClosedError, match="connect"):
            use()
    with pytest.raises(ClosedError, match="connect"):
        await client.flush()
    with pytest.raises(ClosedError, match="connect"):
        await client.health()
    assert await client.close() == CloseReport(0, 0, 0, kept=False)


async def test_a_client_connects_once(client):
    """B36: two connects, one after the other or together, are one too many."""
    async with client:
        with pytest.raises(ConfigError, match="connected already"):
            await client.connect()


async def test_a_failed_connect_may_be_tried_again(client, store):
    """B29: nothing is left open by the failure."""
    store.down()
    with pytest.raises(StoreUnavailableError):
        await client.connect()
    store.up()
    async with client:
        await client.buffered.submit(NOTE, {"n": 1})
    assert store.values("n") == [1]


async def test_the_constructors_on_error_overrides_the_settings(store):
    """B32: one client may listen for itself."""
    store.reject("BAD")
    heard, unheard = [], []
    memory = {"write_mode": "buffered", "durability": "memory", "on_error": unheard.append}
    async with MemoryClient(MemorySettings(store=store, memory=memory), on_error=heard.append) as client:
        await client.buffered.submit("BAD")
    assert [error.query for error in heard] == ["BAD"]
    assert unheard == []
    assert client.settings.memory.on_error == unheard.append


async def test_settings_are_read_at_connect(store):
    """B39: what is assigned before counts; what is assigned later is for the next client."""
    settings = MemorySettings(store=store, memory={"durability": "memory"})
    client = MemoryClient(settings)
    settings.memory.write_mode = "buffered"
    async with client:
        settings.memory.write_mode = "sync"
        assert client.buffered.is_buffered


async def test_a_contradiction_assigned_to_a_section_is_found_at_connect():
    """B39: two stores are never silently one of them."""
    settings = MemorySettings(store=FakeGraphStore())
    settings.neo4j.uri = "neo4j://localhost:1"
    with pytest.raises(ConfigError, match=r"neo4j\.uri"):
        await MemoryClient(settings).connect()


async def test_health_says_whether_the_store_answers(store):
    """B37: an outage is an answer, not an exception."""
    store = FakeGraphStore(answer=lambda statement, _: [{"alive": 1}])
    async with MemoryClient(
        MemorySettings(store=store, memory={"write_mode": "buffered", "durability": "memory"})
    ) as client:
        health = await client.health()
        assert (health.reachable, health.store, health.pending) == (True, "the fake store", 0)
        store.hold()
        await client.buffered.submit(NOTE, {"n": 1})
        await store.arrived()
        store.down()
        health = await client.health()
        assert (health.reachable, health.pending) == (False, 1)
        assert health.oldest_pending_seconds > 0
        store.up()
        store.release()


async def test_reads_pass_and_writes_are_refused():
    """B30: query.cypher takes what reads; what plainly writes never reaches the store."""
    asked = []

    def answer(statement, parameters):
        asked.append((statement, parameters))
        return [{"n": 1}]

    async with MemoryClient(MemorySettings(store=FakeGraphStore(answer))) as client:
        assert await client.query.cypher("MATCH (a {id: $id}) RETURN a.n AS n", {"id": 7}) == [{"n": 1}]
        for statement, named in (("CREATE (:A)", "CREATE"), ("MATCH (n) set n.x = 1", "SET")):
            with pytest.raises(InputError, match=f"has {named}.*buffered.submit"):
                await client.query.cypher(statement)
        with pytest.raises(InputError, match="names \\$id"):
            await client.query.cypher("MATCH (a {id: $id}) RETURN a")
    assert asked == [("MATCH (a {id: $id}) RETURN a.n AS n", {"id": 7})]


async def test_memory_durability_warns_of_nothing(client):
    """B39: control: the default is what it says."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        async with client:
            pass


async def test_what_is_committed_is_kept_in_memory_no_longer():
    """B41: a client that is open for long holds what is on its way, and not the last words of each session."""
    settings = MemorySettings(store="memory://", memory={"write_mode": "deferred", "durability": "memory"})
    async with MemoryClient(settings) as client:
        for number in range(3):
            await client.short_term.add_message(f"session {number}", "user", "a long story")
            await client.long_term.add_entity(f"entity {number}", "person")
        graph = client._graph
        assert len(graph._newest) == 4
        await client.flush()
        await client.short_term.get_conversation("session 0")
        assert (graph._newest, graph.known._queued) == ({}, {})
