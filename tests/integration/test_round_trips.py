"""What connecting costs on a server that has everything already, counted on the wire."""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
from breakable import Network, settings_for

from perdure import MemoryClient

READ = 65_536


@pytest.fixture
def neo4j_server(own_server):
    """One whose schema nobody else changes meanwhile."""
    return own_server


class CountedNetwork(Network):
    """A line that counts how often the client asked and then waited for the answer."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self.round_trips = 0

    async def _requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answering: asyncio.Event
    ) -> None:
        while data := await reader.read(READ):
            self.round_trips += answering.is_set()
            answering.clear()
            writer.write(data)
            await writer.drain()

    async def _answers(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answering: asyncio.Event
    ) -> None:
        while data := await reader.read(READ):
            answering.set()
            writer.write(data)
            await writer.drain()


@pytest.fixture
async def line(neo4j_server) -> AsyncIterator[CountedNetwork]:
    """A line to the tests' server whose round trips are counted."""
    target = urlsplit(neo4j_server.uri)
    network = CountedNetwork(target.hostname, target.port)
    await network.restore()
    try:
        yield network
    finally:
        await network.cut()


async def reaching(line, server):
    """Return what the driver itself takes to reach a server and to be let in."""
    from neo4j import AsyncGraphDatabase  # noqa: PLC0415  an optional package

    before = line.round_trips
    async with AsyncGraphDatabase.driver(line.uri, auth=server.auth) as driver:
        await driver.get_server_info()
        return line.round_trips - before


async def connecting(line, server, **options):
    """Return what a client takes until it is connected."""
    before = line.round_trips
    async with MemoryClient(settings_for(server, line.uri, **options)):
        return line.round_trips - before


@pytest.mark.parametrize("mode", ["sync", "buffered", "deferred"])
async def test_connecting_costs_three_round_trips_when_the_schema_is_current(line, neo4j_server, mode):
    """M26: beside those in which the driver reaches the server and is let in."""
    first = await connecting(line, neo4j_server, write_mode=mode)
    cost = await connecting(line, neo4j_server, write_mode=mode) - await reaching(line, neo4j_server)
    print(f"{cost} round trips, and {first} where the schema may have had to be made")
    assert 0 < cost <= 3


async def test_clients_that_start_at_once_all_connect_and_leave_a_current_schema(line, neo4j_server):
    """M26: as several workers do; and the next one pays for none of it."""
    from perdure.graph import schema  # noqa: PLC0415

    async with MemoryClient(settings_for(neo4j_server)) as client:
        await client._store.write("MATCH (s:_PerdureSchema) DELETE s", {})
    await asyncio.gather(*(connecting(line, neo4j_server) for _ in range(4)))
    async with MemoryClient(settings_for(neo4j_server)) as client:
        rows = await client.query.cypher(schema.TEXTS["version"])
    assert [row["version"] for row in rows] == [schema.VERSION]
    assert await connecting(line, neo4j_server) - await reaching(line, neo4j_server) <= 3
