"""Two owners of one journal on a real Neo4j: one that is gone and whose last request is still on its way, and the next.

The first client's request, or its COMMIT, is held back on the line. The client goes, the next one takes its journal
over, and then the old bytes arrive.
"""

import asyncio
import shutil

import pytest
from held_network import held_network_to

from perdure import MemoryClient
from perdure.errors import ConflictError, WriteFailed
from tests.integration.breakable import network_to, settings_for

pytestmark = pytest.mark.slow

COMMIT = bytes([0, 2, 0xB0, 0x12, 0, 0])  # a Bolt message by itself: two bytes, COMMIT, end
IN_A_BATCH = b"_JournalMark"
WAYS = {"composed": IN_A_BATCH, "one by one": COMMIT}
WARM, NEW = range(3), range(3, 13)
EVERYTHING = {1: [*WARM, *NEW]}


@pytest.fixture
async def network(neo4j_server):
    """A line to the tests' server on which answers can be withheld."""
    async with network_to(neo4j_server) as line:
        yield line


@pytest.fixture
async def held_network(neo4j_server):
    """A line to the tests' server on which a request can be held back."""
    async with held_network_to(neo4j_server.uri) as line:
        yield line


@pytest.fixture
def owner(neo4j_server, tmp_path):
    """Make a client over a line, whose journal is in `tmp_path`; each takes over from the one before."""

    def make(line, data_dir=tmp_path):
        settings = settings_for(neo4j_server, line.uri, durability="os", linger_seconds=0.2)
        settings.data_dir = data_dir
        return MemoryClient(settings)

    return make


async def submit(client, graph, way, values):
    """Submit writes that a store may send together, or that it has to run one by one."""
    statement = graph.append if way == "composed" else graph.append_alone
    for value in values:
        await client.buffered.submit(statement, {"id": 1, "v": value})


async def warm_up(client, graph, way):
    """Write some, one batch each, so that what comes next is sent the way it will always be sent."""
    for value in WARM:
        await submit(client, graph, way, [value])
        await client.flush()


async def leave(client):
    """Go at once, with what is in the journal for the next."""
    report = await client.close(timeout=0)
    assert (report.unsettled, report.kept) == (len(NEW), True)


async def leave_a_request_behind(client, graph, network, way):
    """Have a client send a batch that is held back, or whose COMMIT is, and go."""
    await client.connect()
    await warm_up(client, graph, way)
    network.hold_next(WAYS[way])
    await submit(client, graph, way, NEW)
    await network.held.wait()
    await leave(client)


async def leave_an_answer_behind(client, graph, network, way):
    """Have a client's batch committed, keep the answer from it, and have it go."""
    await client.connect()
    await warm_up(client, graph, way)
    network.withhold_answers_after(WAYS[way])
    await submit(client, graph, way, NEW)
    await network.withheld.wait()
    async with asyncio.timeout(30):
        while len((await graph.logs())[1]) < len(EVERYTHING[1]):
            pass
    await leave(client)
    await network.cut()
    await network.restore()


async def marks_of(client, graph):
    """Return the marks of a client's lanes, with all they hold."""
    marks = await graph.run("MATCH (k:_JournalMark) RETURN properties(k) AS mark ORDER BY k.id")
    return [row["mark"] for row in marks if row["mark"]["id"].startswith(client.buffered._journal.identity)]


@pytest.mark.parametrize("way", WAYS)
async def test_an_answer_lost_with_its_process_changes_nothing_twice(owner, graph, network, way):
    """J4: the next owner is told by the mark that the batch is applied."""
    await leave_an_answer_behind(owner(network), graph, network, way)
    async with owner(network) as client:
        assert (client.buffered.recovery.left, client.buffered.recovery.already_applied) == (0, len(NEW))
        await client.flush()
    assert await graph.logs() == EVERYTHING


async def test_without_the_mark_a_lost_answer_would_be_repeated(owner, graph, network):
    """The control of J4."""
    first = owner(network)
    await leave_an_answer_behind(first, graph, network, "composed")
    await graph.forget_marks(first)
    async with owner(network) as client:
        assert client.buffered.recovery.left == len(NEW)
        await client.flush()
    assert await graph.logs() == {1: [*WARM, *NEW, *NEW]}


async def test_a_request_that_arrives_late_applies_nothing(owner, graph, held_network):
    """J5: the next owner has applied the batch, and the old one's epoch is over."""
    await leave_a_request_behind(owner(held_network), graph, held_network, "composed")
    async with owner(held_network) as client:
        assert (client.buffered.recovery.left, client.buffered.recovery.already_applied) == (len(NEW), 0)
        await client.flush()
        before = await marks_of(client, graph)
        await held_network.deliver(answers=2)
        assert await marks_of(client, graph) == before
        await submit(client, graph, "composed", [13])
    assert await graph.logs() == {1: [*EVERYTHING[1], 13]}


async def test_without_marks_a_late_request_would_be_applied_as_well(owner, graph, held_network):
    """The control of J5: the same, with the marks removed before it arrives."""
    await leave_a_request_behind(owner(held_network), graph, held_network, "composed")
    async with owner(held_network) as client:
        await client.flush()
        await graph.forget_marks(client)
        await held_network.deliver(answers=2)
    assert await graph.logs() == {1: [*WARM, *NEW, *NEW]}


async def taking_over(owner, graph, network):
    """Begin to connect the next owner, and return its task once it waits for the transaction of the one before."""
    client = owner(network)
    task = asyncio.create_task(client.connect())
    waiting = (
        "SHOW TRANSACTIONS YIELD status, currentQuery WHERE status STARTS WITH 'Blocked' RETURN currentQuery AS text"
    )
    async with asyncio.timeout(30):
        while not [row for row in await graph.run(waiting) if "k.taken" in row["text"]]:
            assert not task.done()
    return task


async def test_a_commit_that_arrives_late_is_waited_for(owner, graph, held_network):
    """J5: the next owner waits for the open transaction, and applies only what that one did not."""
    await leave_a_request_behind(owner(held_network), graph, held_network, "one by one")
    task = await taking_over(owner, graph, held_network)
    await held_network.deliver(answers=1)
    client = await task
    assert (client.buffered.recovery.left, client.buffered.recovery.already_applied) == (0, len(NEW))
    await client.close()
    assert await graph.logs() == EVERYTHING


async def test_a_commit_that_never_arrives_is_made_good(owner, graph, held_network):
    """J5: the server rolls the open transaction back, and the next owner applies it."""
    await leave_a_request_behind(owner(held_network), graph, held_network, "one by one")
    task = await taking_over(owner, graph, held_network)
    held_network.drop()
    client = await task
    assert client.buffered.recovery.left == len(NEW)
    await client.close()
    assert await graph.logs() == EVERYTHING


async def test_an_owner_whose_journal_was_copied_and_taken_over_applies_nothing(owner, graph, network, tmp_path):
    """J5: as when a machine is restored from a snapshot and the old one lives on."""
    async with owner(network, tmp_path / "first") as old:
        await warm_up(old, graph, "composed")
        shutil.copytree(tmp_path / "first", tmp_path / "second")
        async with owner(network, tmp_path / "second") as new:
            receipt = await old.buffered.submit(graph.append, {"id": 1, "v": 99})
            with pytest.raises(WriteFailed) as failed:
                await receipt
            assert isinstance(failed.value.error, ConflictError)
            await submit(new, graph, "composed", NEW)
    assert await graph.logs() == EVERYTHING
