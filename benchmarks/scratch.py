"""The writes that are measured, and a corner of the database for them: counted after each run, and left empty."""

import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from neo4j import AsyncDriver, AsyncGraphDatabase

from perdure.graph.statements import load

CREATE = "MERGE (m:Message {id: $id}) SET m.content = $content"
LINK = "MATCH (a:Message {id: $a}), (b:Message {id: $b}) MERGE (a)-[:NEXT]->(b)"
CONTENT = "Could we move the review to Thursday? I will not have the figures before then. "

# Perdure's own, which stays as its schema does once it has connected; neo4j-agent-memory is content with it.
UNIQUE = load("schema")["message_is_unique"]
POPULATE = """
UNWIND range(1, $count) AS i CREATE (m:Message {id: $prefix + i, content: $content})
WITH collect(m) AS ms UNWIND range(1, size(ms) - 1) AS i WITH ms[i - 1] AS a, ms[i] AS b CREATE (a)-[:NEXT]->(b)"""
ROOT = "CREATE (:Message {id: $id})"
COUNT = """
MATCH (m:Message) WHERE m.id STARTS WITH $prefix
RETURN count(m) AS nodes, sum(COUNT { (m)<-[:NEXT]-() }) AS links"""
REMOVE = "MATCH (m:Message) WHERE m.id STARTS WITH $prefix DETACH DELETE m"
POPULATION = 20_000


class Write(NamedTuple):
    """One write as any of the libraries takes it."""

    statement: str
    parameters: dict[str, Any]


class Address(NamedTuple):
    """Where a server is, and how to log in."""

    uri: str
    username: str
    password: str | None

    @property
    def auth(self) -> tuple[str, str] | None:
        """What the driver wants as `auth`."""
        return None if self.password is None else (self.username, self.password)


def chain(root: str, prefix: str, writes: int) -> list[Write]:
    """Return creates and links in turns: each message is created, and then linked from the one before it."""
    before = root
    made: list[Write] = []
    for i in range(writes // 2):
        node = f"{prefix}{i}"
        made.append(Write(CREATE, {"id": node, "content": f"{CONTENT}({i})"}))
        made.append(Write(LINK, {"a": before, "b": node}))
        before = node
    return made


@dataclass
class Plot:
    """Room for one run: the id of a node to begin chains at, and the prefix of every id in it."""

    driver: AsyncDriver
    prefix: str

    @property
    def root(self) -> str:
        """The node that is there already."""
        return f"{self.prefix}root"

    def chain(self, name: str, writes: int) -> list[Write]:
        """Return a chain of creates and links of its own name."""
        return chain(self.root, f"{self.prefix}{name}-", writes)

    async def verify(self, writes: int) -> None:
        """Raise RuntimeError unless exactly these writes, half creates and half links, are in the graph."""
        found = (await self.driver.execute_query(COUNT, prefix=self.prefix)).records[0]
        expected = (writes // 2 + 1, writes // 2)
        if (found["nodes"], found["links"]) != expected:
            raise RuntimeError(f"nodes and links should be {expected}, and are {(found['nodes'], found['links'])}")


class Scratch:
    """A corner of a database with 20,000 messages in it, so that the planner's view of it stays put.

    Everything in it has one prefix; nothing else in the database is read or removed.
    """

    def __init__(self, driver: AsyncDriver) -> None:
        self._driver = driver
        self._prefix = f"benchmark-{secrets.token_hex(4)}-"
        self._plots = 0

    @classmethod
    @asynccontextmanager
    async def open(cls, address: Address) -> AsyncGenerator[Self]:
        """Prepare the corner, and remove it at the end."""
        async with AsyncGraphDatabase.driver(address.uri, auth=address.auth) as driver:
            scratch = cls(driver)
            try:
                await scratch._prepare()
                yield scratch
            finally:
                await scratch._remove()

    @asynccontextmanager
    async def plot(self) -> AsyncGenerator[Plot]:
        """Yield room for one run, and clear it afterwards."""
        self._plots += 1
        plot = Plot(self._driver, f"{self._prefix}{self._plots}-")
        await self._driver.execute_query(ROOT, id=plot.root)
        yield plot
        await self._driver.execute_query(REMOVE, prefix=plot.prefix)

    async def _prepare(self) -> None:
        await self._driver.execute_query(UNIQUE)
        await self._driver.execute_query("CALL db.awaitIndexes(60)")
        await self._driver.execute_query(
            POPULATE, count=POPULATION, prefix=f"{self._prefix}population-", content=CONTENT
        )

    async def _remove(self) -> None:
        await self._driver.execute_query(REMOVE, prefix=self._prefix)
