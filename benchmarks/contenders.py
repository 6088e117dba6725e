"""Who is measured: Perdure, neo4j-agent-memory, and a loader written by hand, on one server with one driver."""

import asyncio
import sqlite3
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from neo4j import AsyncGraphDatabase, AsyncManagedTransaction

from benchmarks.scratch import CREATE, Address, Write
from perdure import MemoryClient, MemorySettings
from perdure.records import Durability

BATCH = 200
"""Writes in one transaction: Perdure's default, and the loader's."""
DEFAULT_ROOM = 200
"""Pending writes there may be, by default, in both libraries."""
WARM_UP = 4
"""Writes of both shapes before the clock starts: they open the connection, and have the statements planned."""
LOAD_NODES = "UNWIND $rows AS row MERGE (m:Message {id: row.id}) SET m.content = row.content"
LOAD_LINKS = "UNWIND $rows AS row MATCH (a:Message {id: row.a}), (b:Message {id: row.b}) MERGE (a)-[:NEXT]->(b)"
REMOVE_MARKS = "MATCH (k:_JournalMark) WHERE k.id STARTS WITH $owner DELETE k"
DURABILITIES: Sequence[Durability] = ("memory", "os")
"""What accepted means, in every figure about writing: kept in memory, and Perdure's default."""
RIVAL = "neo4j-agent-memory"
LOADER = "UNWIND loader"


@dataclass(frozen=True)
class Writer:
    """A connected writer: takes writes, and returns from `flush` when all of them are in the graph."""

    submit: Callable[[str, dict[str, Any]], Awaitable[object]]
    flush: Callable[[], Awaitable[object]]
    failed: Callable[[], int]

    async def drain(self, *shares: Sequence[Write]) -> None:
        """Submit writes from as many producers as there are shares, at the same time, and flush."""
        await asyncio.gather(*(self._produce(share) for share in shares))
        await self.flush()
        if self.failed():
            raise RuntimeError(f"{self.failed()} writes failed")

    async def _produce(self, writes: Sequence[Write]) -> None:
        for statement, parameters in writes:
            await self.submit(statement, parameters)


Open = Callable[[Address, int], AbstractAsyncContextManager[Writer]]


def settings_for(address: Address, max_pending: int, durability: Durability, data_dir: str) -> MemorySettings:
    """Return Perdure's settings for a server: buffered, with room for `max_pending` writes, otherwise its defaults."""
    neo4j = {"uri": address.uri, "username": address.username, "password": address.password}
    memory = {"write_mode": "buffered", "max_pending": max_pending, "durability": durability}
    return MemorySettings(neo4j=neo4j, memory=memory, data_dir=data_dir)


@asynccontextmanager
async def perdure_on(address: Address, max_pending: int, durability: Durability) -> AsyncGenerator[MemoryClient]:
    """Connect Perdure to a server, with a journal that is new, and gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="perdure-benchmark-") as data_dir:
        async with MemoryClient(settings_for(address, max_pending, durability, data_dir)) as client:
            yield client
        await forget_marks(address, Path(data_dir))


async def forget_marks(address: Address, data_dir: Path) -> None:
    """Remove the marks of a journal that nobody will open again."""
    for path in data_dir.glob("journal/*/journal.db"):
        with closing(sqlite3.connect(path)) as database:
            (identity,) = database.execute("SELECT value FROM about WHERE name = 'identity'").fetchone()
        async with AsyncGraphDatabase.driver(address.uri, auth=address.auth) as driver:
            await driver.execute_query(REMOVE_MARKS, owner=f"{identity}/")


@asynccontextmanager
async def perdure_writer(
    address: Address, max_pending: int, durability: Durability = "memory"
) -> AsyncGenerator[Writer]:
    """Open Perdure as a writer."""
    async with perdure_on(address, max_pending, durability) as client:
        yield Writer(client.buffered.submit, client.flush, lambda: len(client.write_errors))


def rival_is_installed() -> bool:
    """Return whether neo4j-agent-memory can be measured."""
    return find_spec("neo4j_agent_memory") is not None


@asynccontextmanager
async def rival_writer(address: Address, max_pending: int) -> AsyncGenerator[Writer]:
    """Open neo4j-agent-memory's buffered mode with room for `max_pending` writes and otherwise its defaults.

    Its writer stands over its client here, as in its MemoryClient, without the schema that connecting that sets up.
    """
    from neo4j_agent_memory import Neo4jClient, Neo4jConfig  # noqa: PLC0415  may not be installed
    from neo4j_agent_memory.memory.buffered import BufferedWriter  # noqa: PLC0415  may not be installed

    config = Neo4jConfig(uri=address.uri, username=address.username, password=address.password or "none")
    async with Neo4jClient(config) as client:
        writer = BufferedWriter(client, write_mode="buffered", max_pending=max_pending)
        try:
            yield Writer(writer.submit, writer.flush, lambda: len(writer.errors))
        finally:
            await writer.stop()


@asynccontextmanager
async def loader(address: Address, _max_pending: int) -> AsyncGenerator[Writer]:
    """Open a loader for exactly these two shapes: in each transaction one UNWIND for nodes, then one for links."""
    waiting: list[Write] = []
    driver = AsyncGraphDatabase.driver(address.uri, auth=address.auth, notifications_min_severity="OFF")
    async with driver, driver.session() as session:

        async def submit(statement: str, parameters: dict[str, Any]) -> None:
            waiting.append(Write(statement, parameters))

        async def flush() -> None:
            for start in range(0, len(waiting), BATCH):
                await session.execute_write(load, waiting[start : start + BATCH])
            waiting.clear()

        yield Writer(submit, flush, lambda: 0)


async def load(transaction: AsyncManagedTransaction, writes: Sequence[Write]) -> None:
    """Load one batch: nodes first, so that each link finds its ends."""
    nodes = [parameters for statement, parameters in writes if statement is CREATE]
    links = [parameters for statement, parameters in writes if statement is not CREATE]
    await (await transaction.run(LOAD_NODES, rows=nodes)).consume()
    await (await transaction.run(LOAD_LINKS, rows=links)).consume()
