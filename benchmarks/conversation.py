"""Appending to a long conversation, and reading its end, beside a short one: embedded, and on Neo4j.

The long one has 100,000 messages, made by add_messages a thousand at a time; the short one has 100. Both are in the
same graph, of the same owner, and what is timed is done in each of them in turns, in sync mode: add_message, and
get_conversation(limit=20). The figure is the median of all of a round's calls. What keeps typed memory searchable
has no part in this: the embedder gives every text the same vector, and the vector store keeps none of them.

    python -m benchmarks.conversation [--quick] [--json FILE]
"""

import secrets
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from neo4j import AsyncGraphDatabase
from numpy.typing import NDArray

from benchmarks.cli import Run, main
from benchmarks.contenders import forget_marks
from benchmarks.figures import Figure, Side, absent, longer, percentile, progress, rotated, value
from benchmarks.scratch import CONTENT, Address
from perdure import MemoryClient, MemorySettings
from perdure.graph.typed import TypedMemory
from perdure.records import VectorRecord
from perdure.testing import FakeVectorStore

LONG, SHORT = 100_000, 100
BATCH = 1000
CALLS = 100
LIMIT = 20
MOST_TIMES = 1.2
REMOVE = """
MATCH (n:Message|Conversation|User) WHERE n.owner = $owner
CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 5000 ROWS"""


class NoMeaning:
    """An embedder that gives every text the same vector."""

    name = "no meaning"
    dimension = 4

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return a row of ones for each text."""
        return np.ones((len(texts), self.dimension), dtype=np.float32)


class NoVectors(FakeVectorStore):
    """Takes vectors, and keeps none."""

    async def upsert(self, records: Sequence[VectorRecord], *, mark: str | None = None) -> None:  # noqa: ARG002
        """Let them go."""
        await super().upsert([], mark=mark)


@dataclass(frozen=True)
class Arm:
    """A conversation, and what is done in it."""

    what: str
    session: str
    memory: TypedMemory

    async def call(self) -> object:
        """Do it once."""
        if self.what == "add_message":
            return await self.memory.short_term.add_message(self.session, "user", CONTENT)
        return await self.memory.short_term.get_conversation(self.session, limit=LIMIT)


async def wait(call: Callable[[], Awaitable[object]]) -> float:
    """Return the milliseconds that a call takes."""
    started = perf_counter()
    await call()
    return (perf_counter() - started) * 1e3


async def in_turns(arms: Sequence[Arm], rounds: int, calls: int) -> dict[Arm, list[float]]:
    """Return each arm's median per round; the arms take turns call by call, and a first round is not counted."""
    medians: dict[Arm, list[float]] = {arm: [] for arm in arms}
    for turn in range(rounds + 1):
        waits: dict[Arm, list[float]] = {arm: [] for arm in arms}
        for number in range(calls):
            for arm in rotated(arms, number):
                waits[arm].append(await wait(arm.call))
        for arm in arms if turn else ():
            medians[arm].append(percentile(waits[arm], 50))
    return medians


async def fill(memory: TypedMemory, session: str, count: int) -> float:
    """Make a conversation, and return how many messages a second that were."""
    started = perf_counter()
    for first in range(0, count, BATCH):
        several = [{"role": "user", "content": CONTENT} for _ in range(min(BATCH, count - first))]
        await memory.short_term.add_messages(session, several)
    return count / (perf_counter() - started)


async def forget(address: Address | None, user: str) -> None:
    """Remove what was made on a server, some thousands at a time; what is embedded goes with its directory."""
    if address is not None:
        async with AsyncGraphDatabase.driver(address.uri, auth=address.auth) as driver, driver.session() as session:
            await (await session.run(REMOVE, owner=f'[null,"{user}"]')).consume()


async def verify(memory: TypedMemory, arms: Sequence[Arm], added: int) -> None:
    """Raise RuntimeError unless both conversations have all their messages, and their ends are in order."""
    for arm in arms:
        found = (await memory.short_term.get_conversation(arm.session)).messages
        expected = int(arm.session) + added
        last = (await memory.short_term.get_conversation(arm.session, limit=LIMIT)).messages
        if len(found) != expected or [each.id for each in last] != [each.id for each in found[-LIMIT:]]:
            raise RuntimeError(f"conversation {arm.session} should have {expected} messages, and has {len(found)}")


async def beside(run: Run, where: str, settings: MemorySettings) -> list[Figure]:
    """Measure one store."""
    long, short = run.scaled(LONG, 10_000), SHORT
    rounds, calls = run.scaled(5, 2), run.scaled(CALLS, 30)
    async with MemoryClient(settings) as client:
        user = f"benchmark-{secrets.token_hex(4)}"
        memory = client.scope(user_id=user)
        try:
            progress(f"conversation: {long:,} messages, {where}…")
            rate = await fill(memory, str(long), long)
            await fill(memory, str(short), short)
            progress(f"conversation: {rounds} rounds, {where}…")
            arms = [Arm(what, str(n), memory) for what in ("add_message", "get_conversation") for n in (long, short)]
            medians = await in_turns(arms, rounds, calls)
            await verify(memory, arms[:2], (rounds + 1) * calls)
        finally:
            await forget(run.address if where == "Neo4j" else None, user)
    figures = [value(f"{where}: add_messages, {BATCH:,} at a time", Side("Perdure", [rate], "/s"))]
    for of_long, of_short in ((arms[0], arms[1]), (arms[2], arms[3])):
        name = f"{where}: {of_long.what}, {long:,} messages beside {short}"
        sides = [Side(f"among {arm.session}", medians[arm], "ms") for arm in (of_long, of_short)]
        figures.append(longer(name, *sides, MOST_TIMES))
    return figures


def settings_for(address: Address | None, data_dir: str) -> MemorySettings:
    """Return Perdure's settings: on a server, or embedded."""
    apart = {"vector_store": NoVectors(), "embedder": NoMeaning(), "data_dir": data_dir}
    if address is None:
        return MemorySettings(**apart)
    return MemorySettings(
        neo4j={"uri": address.uri, "username": address.username, "password": address.password}, **apart
    )


async def measure(run: Run) -> list[Figure]:
    """Measure the embedded store, and Neo4j."""
    with tempfile.TemporaryDirectory(prefix="perdure-benchmark-") as data_dir:
        figures = await beside(run, "embedded", settings_for(None, data_dir))
    if run.address is None:
        return [*figures, absent("appending to a conversation on Neo4j", "no Neo4j server")]
    with tempfile.TemporaryDirectory(prefix="perdure-benchmark-") as data_dir:
        figures += await beside(run, "Neo4j", settings_for(run.address, data_dir))
        await forget_marks(run.address, Path(data_dir))
    return figures


if __name__ == "__main__":
    main(__doc__, [measure])
