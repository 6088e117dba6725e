"""Lanes on a real server: what two of them do to each other, and what one bad statement does to a full batch."""

import asyncio

import pytest
from breakable import ALONE, settings_for

from perdure import MemoryClient
from perdure.errors import StatementRejectedError
from perdure.testing import wait_until

MOST_ROUNDS = 40


def crossing(graph):
    """Return two statements that lock the same two nodes in opposite order."""
    step = (
        f"MATCH (a:{graph.label} {{id: $first}}) SET a.count = a.count + 1 "
        f"WITH a MATCH (b:{graph.label} {{id: $second}}) SET b.count = b.count + 1 "
        f"WITH b MERGE (c:{graph.label} {{id: $id}}) SET c.log = coalesce(c.log, []) + $v"
    )
    return [("to", {"first": "x", "second": "y"}, step), ("fro", {"first": "y", "second": "x"}, step)]


async def hot_nodes(graph):
    await graph.run("UNWIND ['x', 'y', 'to', 'fro'] AS id CREATE (:Log {id: id, count: 0, log: []})")


async def counts(graph):
    rows = await graph.run("MATCH (n:Log) WHERE n.id IN ['x', 'y'] RETURN n.count AS count")
    return [row["count"] for row in rows]


@pytest.mark.parametrize("ending", ["", f" RETURN c{ALONE}"], ids=["composed", "one by one"])
async def test_lanes_that_deadlock_both_get_through(neo4j_server, graph, ending):
    """B27: the server ends one of the two; it tries again at once, and nothing of either is lost."""
    await hot_nodes(graph)
    written = 0
    settings = settings_for(neo4j_server, max_batch=10, linger_seconds=0.0, max_pending=1000)
    async with MemoryClient(settings) as client:
        for _ in range(MOST_ROUNDS):
            for value in range(written, written + 50):
                for key, ends, step in crossing(graph):
                    await client.buffered.submit(step + ending, {**ends, "id": key, "v": value}, key=key)
            written += 50
            summary = await client.flush()
            if client.buffered.stats().retried:
                break
        stats = client.buffered.stats()
    assert stats.retried > 0, "no deadlock came about, so nothing was shown"
    assert (stats.committed, stats.failed, summary.unsettled) == (2 * written, 0, 0)
    assert await counts(graph) == [2 * written, 2 * written]
    logs = await graph.logs()
    assert logs["to"] == logs["fro"] == list(range(written))


async def test_deadlocks_in_sync_mode_are_not_the_callers_business(neo4j_server, graph):
    """Many callers at once, crossing: each write is tried again until it is through."""
    await hot_nodes(graph)
    async with MemoryClient(settings_for(neo4j_server, write_mode="sync")) as client:

        async def call(value):
            for key, ends, step in crossing(graph):
                await client.buffered.submit(step, {**ends, "id": f"{key} {value}", "v": value})

        await asyncio.gather(*(call(value) for value in range(12)))
        stats = client.buffered.stats()
    assert (stats.committed, stats.failed) == (24, 0)
    assert await counts(graph) == [24, 24]


@pytest.mark.parametrize("ending", ["", f" RETURN n{ALONE}"], ids=["composed", "one by one"])
@pytest.mark.parametrize(
    "bad", ["NOT CYPHER", "MATCH (n:Log {id: $id}) SET n.x = $v / 0"], ids=["no Cypher", "fails as it runs"]
)
async def test_one_bad_statement_in_a_batch_of_two_hundred(neo4j_server, graph, bad, ending):
    """B25, B26: 199 are committed in order, and one error names its own statement."""
    bad = bad.replace("Log", graph.label)
    async with MemoryClient(settings_for(neo4j_server, linger_seconds=5.0)) as client:
        receipts = [
            await client.buffered.submit(bad if value == 137 else graph.append + ending, {"id": 1, "v": value})
            for value in range(200)
        ]
        summary = await client.flush()
    assert (summary.committed, summary.failed) == (199, 1)
    assert await graph.logs() == {1: [value for value in range(200) if value != 137]}
    [error] = client.write_errors
    assert (error.query, error.seq, error.parameters["v"]) == (bad, 137, 137)
    assert isinstance(error.error, StatementRejectedError)
    assert [receipt.seq for receipt in receipts if receipt.state == "failed"] == [137]


async def test_the_server_remembers_only_lanes_in_use(neo4j_server, graph):
    """Sixty keys over four lanes leave four marks while the client is open, and none after."""
    async with MemoryClient(settings_for(neo4j_server, lanes=4)) as client:
        for value in range(300):
            await client.buffered.submit(graph.append, {"id": value % 60, "v": value // 60}, key=f"key {value % 60}")
        await client.flush()
        mine = client.buffered._journal.identity
        assert len([mark for mark in await graph.marks() if mark.startswith(mine)]) <= 4
    assert not [mark for mark in await graph.marks() if mark.startswith(mine)]
    assert await graph.logs() == {number: [0, 1, 2, 3, 4] for number in range(60)}


async def test_many_clients_write_to_one_server(neo4j_server, graph):
    """As several processes would: each with lanes of its own."""

    async def run(name):
        async with MemoryClient(settings_for(neo4j_server)) as client:
            for value in range(50):
                await client.buffered.submit(graph.append, {"id": name, "v": value})

    await asyncio.gather(*(run(f"client {number}") for number in range(6)))
    assert await graph.logs() == {f"client {number}": list(range(50)) for number in range(6)}


async def test_a_lock_held_too_long_is_waited_for(neo4j_server, graph):
    """B29: the server ends the waiting transaction, not the write; it is through when the lock is free."""
    settings = settings_for(neo4j_server)
    settings.neo4j.transaction_timeout_seconds = 1.0
    await graph.run("CREATE (:Log {id: 1, log: []})")
    async with MemoryClient(settings) as client, graph.locking("MATCH (n:Log {id: 1}) SET n.locked = true") as lock:
        for value in range(3):
            await client.buffered.submit(graph.append, {"id": 1, "v": value})
        await wait_until(lambda: client.buffered.stats().retried, 30.0)
        await lock.rollback()
        summary = await client.flush(timeout=30)
    assert (summary.committed, summary.failed) == (3, 0)
    assert await graph.logs() == {1: [0, 1, 2]}


@pytest.mark.slow
async def test_a_statement_that_always_takes_too_long_fails_alone(neo4j_server, graph, monkeypatch):
    """B25: after being tried alone, here only twice; its neighbours are committed."""
    monkeypatch.setattr("perdure.writes.drain.TRIES_ALONE", 2)
    settings = settings_for(neo4j_server, linger_seconds=1.0)
    settings.neo4j.transaction_timeout_seconds = 2.0
    endless = "UNWIND range(1, 1000000000) AS x WITH x WHERE x < $v RETURN count(x)"
    async with MemoryClient(settings) as client:
        for value in range(5):
            await client.buffered.submit(endless if value == 2 else graph.append, {"id": 1, "v": value})
        summary = await client.flush(timeout=90)
        assert [error.seq for error in client.write_errors] == [2]
    assert (summary.committed, summary.failed) == (4, 1)
    assert await graph.logs() == {1: [0, 1, 3, 4]}


async def test_one_connection_is_enough_for_all_lanes(neo4j_server, graph):
    """They take turns; none waits for what another holds, and reads get through between them."""
    settings = settings_for(neo4j_server, max_batch=5, linger_seconds=0.0)
    settings.neo4j.max_connections = 1
    async with MemoryClient(settings) as client:
        for value in range(160):
            statement = graph.append_alone if value % 3 else graph.append
            await client.buffered.submit(statement, {"id": value % 8, "v": value // 8}, key=f"{value % 8}")
        assert await client.query.cypher("RETURN 1 AS one") == [{"one": 1}]
        assert (await client.flush(timeout=60)).unsettled == 0
    assert await graph.logs() == {number: list(range(20)) for number in range(8)}
