"""Lost answers: the server has committed and the client does not know; trying again changes nothing twice."""

import asyncio

import pytest
from breakable import settings_for

from perdure import MemoryClient
from perdure.testing import wait_until

COMMIT = bytes([0, 2, 0xB0, 0x12, 0, 0])  # a Bolt message by itself: two bytes, COMMIT, end
IN_A_BATCH = b"_JournalMark"
WAYS = {"composed": IN_A_BATCH, "one by one": COMMIT}


def writes(graph, way, values):
    """Return statements that a store may send together, or that it has to run one by one."""
    statement = graph.append if way == "composed" else graph.append_alone
    return [(statement, {"id": 1, "v": value}) for value in values]


async def warmed_up(client, graph, way):
    """Write three times, so that what comes next is sent the way it will always be sent."""
    for statement, parameters in writes(graph, way, [0, 1, 2]):
        await client.buffered.submit(statement, parameters)
        await client.flush()


async def lose_the_answer(client, graph, network, way, values):
    """Have a batch committed whose answer never arrives."""
    network.withhold_answers_after(WAYS[way])
    for statement, parameters in writes(graph, way, values):
        await client.buffered.submit(statement, parameters)
    await network.withheld.wait()
    await committed(graph, 3 + len(values))
    assert client.buffered.stats().committed == 3
    await network.cut()


async def committed(graph, count):
    """Return when somebody else can see that many writes."""
    async with asyncio.timeout(30):
        while len((await graph.logs())[1]) < count:
            pass


def client_over(neo4j_server, network):
    return MemoryClient(settings_for(neo4j_server, network.uri, linger_seconds=0.2))


@pytest.mark.parametrize("way", WAYS)
async def test_a_lost_answer_changes_nothing_twice(neo4j_server, graph, network, way):
    """J4: the batch is sent again, and the mark says that it is done."""
    async with client_over(neo4j_server, network) as client:
        await warmed_up(client, graph, way)
        await lose_the_answer(client, graph, network, way, range(3, 13))
        await network.restore()
        summary = await client.flush(timeout=30)
        assert (summary.committed, summary.failed, summary.unsettled) == (10, 0, 0)
        assert client.buffered.stats().retried > 0
        for statement, parameters in writes(graph, way, range(13, 16)):
            await client.buffered.submit(statement, parameters)
    assert await graph.logs() == {1: list(range(16))}


@pytest.mark.parametrize("way", WAYS)
async def test_without_the_mark_a_lost_answer_would_be_done_twice(neo4j_server, graph, network, way):
    """The control: the same loss, with the marks removed while the client cannot look."""
    async with client_over(neo4j_server, network) as client:
        await warmed_up(client, graph, way)
        await lose_the_answer(client, graph, network, way, [3, 4])
        await graph.forget_marks(client)
        await network.restore()
        await client.flush(timeout=30)
    assert await graph.logs() == {1: [0, 1, 2, 3, 4, 3, 4]}


@pytest.mark.parametrize("way", WAYS)
async def test_a_lost_request_is_sent_again(neo4j_server, graph, network, way):
    """The other half of not knowing: it never arrived."""
    async with client_over(neo4j_server, network) as client:
        await warmed_up(client, graph, way)
        network.silence()
        for statement, parameters in writes(graph, way, range(3, 13)):
            await client.buffered.submit(statement, parameters)
        await wait_until(lambda: client.buffered.stats().in_flight == 10)
        await network.cut()
        await network.restore()
        await client.flush(timeout=30)
        assert client.buffered.stats().retried > 0
    assert await graph.logs() == {1: list(range(13))}


async def test_an_answer_lost_with_a_bad_statement_in_the_batch(neo4j_server, graph, network):
    """B25, J4: what is cut up and sent again is neither lost nor repeated."""
    async with client_over(neo4j_server, network) as client:
        await warmed_up(client, graph, "composed")
        network.withhold_answers_after(IN_A_BATCH)
        bad = graph.append.replace("$v", "$v / 0")
        for value in range(3, 13):
            await client.buffered.submit(bad if value == 7 else graph.append, {"id": 1, "v": value})
        await network.withheld.wait()
        await network.cut()
        await network.restore()
        summary = await client.flush(timeout=30)
        assert (summary.committed, summary.failed) == (9, 1)
        assert [error.parameters["v"] for error in client.write_errors] == [7]
    assert await graph.logs() == {1: [value for value in range(13) if value != 7]}


async def test_a_client_that_is_done_leaves_no_marks(neo4j_server, graph, network):
    """Also after a lost answer."""
    async with client_over(neo4j_server, network) as client:
        await warmed_up(client, graph, "composed")
        mine = client.buffered._journal.identity
        await lose_the_answer(client, graph, network, "composed", [3])
        await network.restore()
        await client.flush(timeout=30)
        assert [mark for mark in await graph.marks() if mark.startswith(mine)]
    assert not [mark for mark in await graph.marks() if mark.startswith(mine)]
