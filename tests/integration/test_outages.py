"""Outages: the database goes away in the middle of a drain, and comes back; nothing accepted is lost, or done twice.

Each write appends its number to a list on its key's node, so that a loss, a repetition and a wrong order all show.
"""

import asyncio
import contextlib
import logging
from time import monotonic

import pytest
from breakable import looking_at, network_to, settings_for

from perdure import CloseReport, MemoryClient, StoreUnavailableError, WriteFailed
from perdure.errors import ClosedError, QueueFullError
from perdure.testing import wait_until

KEYS = ["a", "b", "c", None]


class Producers:
    """Write numbers under several keys until told to stop; `expected` is what the graph should hold then."""

    def __init__(self, client, graph):
        self.expected = {}
        self._client = client
        self._graph = graph
        self._stopped = False

    async def run(self):
        await asyncio.gather(*(self._produce(key) for key in KEYS))

    def stop(self):
        self._stopped = True

    async def _produce(self, key):
        node = key or "no key"
        written = self.expected.setdefault(node, [])
        while not self._stopped:
            await self._client.buffered.submit(self._graph.append, {"id": node, "v": len(written)}, key=key)
            written.append(len(written))


@contextlib.asynccontextmanager
async def writing(client, graph):
    """Keep several lanes busy for the length of a block."""
    producers = Producers(client, graph)
    task = asyncio.create_task(producers.run())
    try:
        await wait_until(lambda: client.buffered.stats().committed >= 100, 60.0)
        yield producers
    finally:
        producers.stop()
        await task


def busy(server, uri=None, **options):
    """Return a client with several lanes, small batches, and room for what an outage leaves waiting."""
    return MemoryClient(
        settings_for(server, uri, **{"max_pending": 400, "max_batch": 10, "linger_seconds": 0.0, **options})
    )


async def survive(client, graph, outage, deadline=90.0):
    """Write through an outage; every write is in the graph once, in order, and the client knows that it tried again."""
    async with client:
        async with writing(client, graph) as producers:
            await outage()
            before = client.buffered.stats().committed
            await wait_until(lambda: client.buffered.stats().committed >= before + 100, deadline)
        summary = await client.flush(timeout=deadline)
        stats = client.buffered.stats()
        assert await graph.logs() == producers.expected
    assert (summary.failed, summary.unsettled, stats.failed, len(client.write_errors)) == (0, 0, 0, 0)
    assert stats.retried > 0
    assert stats.committed == sum(map(len, producers.expected.values()))
    assert stats.high_water <= 400


async def is_retrying(client):
    """Return when the drain has found the database away, and away again."""
    at = client.buffered.stats().retried
    await wait_until(lambda: client.buffered.stats().retried >= at + len(KEYS), 30.0)


# -- the network


async def test_connections_are_reset_and_refused(neo4j_server, graph, network):
    """B27, B29: as when a server is restarted behind its address."""
    client = busy(neo4j_server, network.uri)

    async def outage():
        await network.cut()
        await is_retrying(client)
        await network.restore()

    await survive(client, graph, outage)


async def test_connections_are_reset_again_and_again(neo4j_server, graph, network):
    """B29: one outage may follow another."""
    client = busy(neo4j_server, network.uri)

    async def outage():
        for _ in range(5):
            await network.cut()
            await network.restore()
            at = client.buffered.stats().committed
            await wait_until(lambda at=at: client.buffered.stats().committed >= at + 20, 30.0)

    await survive(client, graph, outage)


async def test_the_line_goes_silent(neo4j_server, graph, network):
    """B29: nothing is refused, nothing arrives; the bound on a transaction ends the wait."""
    client = busy(neo4j_server, network.uri)
    client.settings.neo4j.transaction_timeout_seconds = 1.0
    client.settings.neo4j.connect_timeout_seconds = 0.5

    async def outage():
        network.silence()
        await is_retrying(client)
        await network.restore()

    await survive(client, graph, outage)


async def test_a_full_buffer_makes_callers_wait_through_an_outage(neo4j_server, graph, network):
    """B18, B20: it holds what it may, refuses who cannot wait, and takes more when it can."""
    async with busy(neo4j_server, network.uri, max_pending=20) as client:
        await network.cut()
        for value in range(20):
            client.buffered.try_submit(graph.append, {"id": 1, "v": value})
        with pytest.raises(QueueFullError):
            client.buffered.try_submit(graph.append, {"id": 1, "v": -1})
        waiting = asyncio.create_task(client.buffered.submit(graph.append, {"id": 1, "v": 20}))
        await is_retrying_alone(client)
        assert not waiting.done()
        await network.restore()
        await waiting
        await client.flush()
        assert client.buffered.stats().high_water == 20
    assert await graph.logs() == {1: list(range(21))}


async def is_retrying_alone(client):
    await wait_until(lambda: client.buffered.stats().retried >= 2, 30.0)


async def test_sync_mode_says_what_is_wrong(neo4j_server, graph, network):
    """B1: the caller decides whether to try again; afterwards it works."""
    async with busy(neo4j_server, network.uri, write_mode="sync", connect_timeout_seconds=0.5) as client:
        await client.buffered.submit(graph.append, {"id": 1, "v": 0})
        await network.cut()
        with pytest.raises(StoreUnavailableError) as refused:
            await client.buffered.submit(graph.append, {"id": 1, "v": 1})
        assert refused.value.retryable
        await network.restore()
        await client.buffered.submit(graph.append, {"id": 1, "v": 2})
    assert await graph.logs() == {1: [0, 2]}


async def test_reads_and_health_say_what_is_wrong(neo4j_server, network):
    """Within seconds; and that all is well again."""
    async with busy(neo4j_server, network.uri, connect_timeout_seconds=0.5) as client:
        assert (await client.health()).reachable
        await network.cut()
        with pytest.raises(StoreUnavailableError):
            await client.query.cypher("RETURN 1 AS one")
        health = await client.health()
        assert not health.reachable
        assert health.detail
        await network.restore()
        assert (await client.health()).reachable
        assert await client.query.cypher("RETURN 1 AS one") == [{"one": 1}]


async def test_an_outage_is_logged_once_and_without_values(neo4j_server, graph, network, caplog):
    """B34: a warning that says what is waited for, not one for each attempt."""
    caplog.set_level(logging.WARNING, "perdure")
    async with busy(neo4j_server, network.uri) as client:
        await network.cut()
        await client.buffered.submit(graph.append, {"id": "secret id", "v": "secret value"})
        await is_retrying_alone(client)
        await network.restore()
        await client.flush()
    warnings = [record for record in caplog.records if record.name == "perdure.writes"]
    assert len(warnings) == 1
    assert network.uri in warnings[0].getMessage()
    assert "secret" not in caplog.text
    assert "See debug log" not in caplog.text


# -- close in the middle of it


async def test_close_during_an_outage_returns_in_time_and_reports(neo4j_server, graph, network):
    """B11, B12: what was not committed is counted, failed, named, and still readable."""
    client = busy(neo4j_server, network.uri)
    await client.connect()
    await client.buffered.submit(graph.append, {"id": 1, "v": 0})
    await client.flush()
    await network.cut()
    receipts = [await client.buffered.submit(graph.append, {"id": 1, "v": value}) for value in (1, 2, 3)]
    started = monotonic()
    async with asyncio.timeout(20):
        report = await client.close(timeout=0.5)
    assert monotonic() - started >= 0.5
    assert report == CloseReport(committed=1, failed=0, unsettled=3, kept=False)
    assert [error.parameters["v"] for error in client.write_errors] == [1, 2, 3]
    for receipt in receipts:
        with pytest.raises(WriteFailed) as failed:
            await receipt
        assert isinstance(failed.value.error, ClosedError)
    await network.restore()
    assert await graph.logs() == {1: [0]}


async def test_close_on_a_silent_line_returns_in_time(neo4j_server, graph, network):
    """B11: also when nothing is refused and a write is on its way."""
    client = busy(neo4j_server, network.uri)
    await client.connect()
    network.silence()
    await client.buffered.submit(graph.append, {"id": 1, "v": 0})
    await wait_until(lambda: client.buffered.stats().in_flight)
    async with asyncio.timeout(20):
        report = await client.close(timeout=0.5)
    assert (report.committed, report.unsettled) == (0, 1)


async def test_close_waits_for_the_database_while_it_has_time(neo4j_server, graph, network):
    """B10: what was accepted is committed when it comes back in time."""
    client = busy(neo4j_server, network.uri)
    await client.connect()
    await network.cut()
    await client.buffered.submit(graph.append, {"id": 1, "v": 0})
    closing = asyncio.create_task(client.close(timeout=60))
    await is_retrying_alone(client)
    await network.restore()
    assert await closing == CloseReport(committed=1, failed=0, unsettled=0, kept=False)
    assert await graph.logs() == {1: [0]}


async def test_a_flush_that_times_out_in_an_outage_drops_nothing(neo4j_server, graph, network):
    """B5, B29: it says how much is left, and the next one waits for it."""
    async with busy(neo4j_server, network.uri) as client:
        await network.cut()
        for value in range(5):
            await client.buffered.submit(graph.append, {"id": 1, "v": value})
        summary = await client.flush(timeout=0.2)
        assert (summary.committed, summary.unsettled) == (0, 5)
        await network.restore()
        summary = await client.flush(timeout=30)
        assert (summary.committed, summary.unsettled) == (5, 0)
    assert await graph.logs() == {1: [0, 1, 2, 3, 4]}


# -- the server


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_the_server_is_stopped_and_started_again(own_server):
    """B29: a graceful restart in the middle of a drain."""
    async with looking_at(own_server) as graph:
        client = busy(own_server)

        async def outage():
            await asyncio.to_thread(own_server.stop)
            await is_retrying(client)
            await asyncio.to_thread(own_server.start)

        await survive(client, graph, outage)


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_the_server_is_killed_and_started_again(own_server):
    """B29, J4: kill -9 in the middle of a drain; what was being committed is there or is written again, never both."""
    async with looking_at(own_server) as graph:
        client = busy(own_server)

        async def outage():
            await asyncio.to_thread(own_server.kill)
            await is_retrying(client)
            await asyncio.to_thread(own_server.start)

        await survive(client, graph, outage)


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_the_network_is_away_for_half_a_minute(neo4j_server, graph):
    """B29: longer than any retry budget of the driver, and than its pool's patience."""
    async with network_to(neo4j_server) as network:
        client = busy(neo4j_server, network.uri)

        async def outage():
            await network.cut()
            until = monotonic() + 30
            await wait_until(lambda: monotonic() > until, 60.0)
            await network.restore()

        await survive(client, graph, outage)
        assert client.buffered.stats().retried >= 8
