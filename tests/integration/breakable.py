"""A network that can break between client and server, and a graph that shows what was lost, repeated or disordered."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from secrets import token_hex
from typing import Any
from urllib.parse import urlsplit

from perdure import MemoryClient, MemorySettings

CHUNK = 65_536
ALONE = " AS __row"  # a name that the store keeps for itself when it composes: such a statement runs by itself


class Network:
    """A TCP proxy in front of a server, whose line can be cut, go silent, or lose an answer.

    It runs on the test's event loop; `uri` is where clients connect.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._server: asyncio.Server | None = None
        self._port = 0
        self._lines: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._marker: bytes | None = None
        self.withheld = asyncio.Event()
        """Set once an answer is being withheld."""

    @property
    def uri(self) -> str:
        """Where clients connect."""
        return f"bolt://127.0.0.1:{self._port}"

    async def restore(self) -> None:
        """Accept connections again, at the same address, and let everything flow."""
        self._marker = None
        self.withheld.clear()
        self._flowing.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
            self._port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Reset every connection and refuse new ones."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for line in list(self._lines):
            line.cancel()
        await asyncio.gather(*self._lines, return_exceptions=True)

    def silence(self) -> None:
        """Pass nothing on in either direction, with every connection left open."""
        self._flowing.clear()

    def withhold_answers_after(self, marker: bytes) -> None:
        """Pass requests on, but no answers on a connection from the first request with these bytes in it."""
        self._marker = marker

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = asyncio.current_task()
        assert line is not None
        self._lines.add(line)
        try:
            await self._connect(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._lines.discard(line)
            writer.transport.abort()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(*self._target)
        answering = asyncio.Event()
        answering.set()
        try:
            async with asyncio.TaskGroup() as directions:
                requests = directions.create_task(ending_quietly(self._requests(reader, back, answering)))
                answers = directions.create_task(ending_quietly(self._answers(there, writer, answering)))
                await asyncio.wait([requests, answers], return_when=asyncio.FIRST_COMPLETED)
                requests.cancel()
                answers.cancel()
        finally:
            back.transport.abort()

    async def _requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answering: asyncio.Event
    ) -> None:
        while data := await reader.read(CHUNK):
            await self._flowing.wait()
            if self._marker is not None and self._marker in data:
                answering.clear()
                self.withheld.set()
            writer.write(data)
            await writer.drain()

    async def _answers(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answering: asyncio.Event
    ) -> None:
        while data := await reader.read(CHUNK):
            await self._flowing.wait()
            await answering.wait()
            writer.write(data)
            await writer.drain()


async def ending_quietly(direction: Coroutine[Any, Any, None]) -> None:
    """Pass bytes on until either end goes away, which ends the line and is no news."""
    with contextlib.suppress(OSError):
        await direction


class Graph:
    """A corner of the server's graph that belongs to one test, and the driver to look at it with."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        self.label = f"Log{token_hex(6)}"
        self.append = f"MERGE (n:{self.label} {{id: $id}}) SET n.log = coalesce(n.log, []) + $v"
        self.append_alone = f"{self.append} RETURN n{ALONE}"

    async def run(self, statement: str, **parameters: Any) -> list[dict[str, Any]]:
        """Run a statement as somebody else would: with the driver, past Perdure."""
        records, _, _ = await self._driver.execute_query(statement.replace("Log", self.label), parameters)
        return [record.data() for record in records]

    async def logs(self) -> dict[Any, list[Any]]:
        """Return what was appended, by node: a loss, a repetition and a wrong order all show."""
        return {row["id"]: row["log"] for row in await self.run("MATCH (n:Log) RETURN n.id AS id, n.log AS log")}

    async def marks(self) -> list[str]:
        """Return the lanes that have a mark."""
        return [row["id"] for row in await self.run("MATCH (k:_JournalMark) RETURN k.id AS id")]

    async def forget_marks(self, client: MemoryClient) -> None:
        """Remove a client's marks behind its back: the control."""
        await self.run(
            "MATCH (k:_JournalMark) WHERE k.id STARTS WITH $mine DELETE k", mine=client.buffered._journal.identity
        )

    @contextlib.asynccontextmanager
    async def locking(self, statement: str) -> AsyncIterator[Any]:
        """Hold what a statement locks, in a transaction that stays open for the length of a block."""
        async with self._driver.session() as session, await session.begin_transaction() as transaction:
            await (await transaction.run(statement.replace("Log", self.label))).consume()
            yield transaction

    async def sweep(self) -> None:
        """Remove what is this test's."""
        await self.run("MATCH (n:Log) DETACH DELETE n")


def settings_for(server: Any, uri: str | None = None, **memory: Any) -> MemorySettings:
    """Return settings for a server, with a journal in memory unless `durability` says otherwise.

    Further names are those of the `memory` section, or `connect_timeout_seconds`.
    """
    section = {"uri": uri or server.uri, "username": server.username, "password": server.password}
    if "connect_timeout_seconds" in memory:
        section["connect_timeout_seconds"] = memory.pop("connect_timeout_seconds")
    return MemorySettings(neo4j=section, memory={"write_mode": "buffered", "durability": "memory", **memory})


@contextlib.asynccontextmanager
async def looking_at(server: Any) -> AsyncIterator[Graph]:
    """Lend a corner of a server's graph."""
    from neo4j import AsyncGraphDatabase  # noqa: PLC0415  an optional package

    async with AsyncGraphDatabase.driver(server.uri, auth=server.auth) as driver:
        graph = Graph(driver)
        yield graph
        await graph.sweep()


@contextlib.asynccontextmanager
async def network_to(server: Any) -> AsyncIterator[Network]:
    """Lay a breakable line to a server."""
    address = urlsplit(server.uri)
    line = Network(address.hostname or "127.0.0.1", address.port or 7687)
    await line.restore()
    try:
        yield line
    finally:
        await line.cut()
