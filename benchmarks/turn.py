"""What an agent waits for its memory in a turn of typed calls: Perdure beside neo4j-agent-memory, on one Neo4j.

A turn is 2 messages, 1 trace, 4 steps, and 4 tool calls that touch 2 entities each; what a full one says beside that
stands in `agents`. Its wait is the time from its first call to the return of its last. The entities are there before,
and each side is told which are meant by what it finds quickest: Perdure by the record, neo4j-agent-memory by the id.

Only what reaches the graph is compared. neo4j-agent-memory has no extractor, no entity resolution, no geocoding and
no enrichment, its calls say generate_embedding=False and extraction_mode="skip", and it has no users. Perdure has its
defaults, a user and its index among them: it embeds messages and traces and puts them into Neo4j's vector index in the
background, while the next turn is measured. Turns wait until the one before is in the graph, as an agent that asks a
model in between does: what is deferred is then written outside the wait, and what is not has been inside. After the
turns both graphs are read, and hold every one of them whole.

    python -m benchmarks.turn [--quick] [--json FILE]
"""

import asyncio
import gc
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

from benchmarks.agents import Agent, Open, perdure_agent, perdure_turn, rival_agent
from benchmarks.cli import Run, main
from benchmarks.contenders import RIVAL, rival_is_installed
from benchmarks.delay_proxy import ROUND_TRIP_MS, delayed
from benchmarks.figures import Figure, Side, absent, longer, percentile, progress, rotated, value
from benchmarks.scratch import Address, Scratch
from perdure import MemoryClient, MemorySettings
from perdure.stores.neo4j import Neo4jGraphStore

WARM_UP = 3
"""Turns before the clock starts: they open connections, and have the statements planned."""
MOST: Mapping[str, float] = {"deferred, os": 1 / 100, "deferred, memory": 1 / 100, "sync": 1 / 3}
OURS: Mapping[str, Open] = {
    "deferred, os": partial(perdure_agent, mode="deferred", durability="os"),
    "deferred, memory": partial(perdure_agent, mode="deferred", durability="memory"),
    "sync": partial(perdure_agent, mode="sync", durability="os"),
}

Waits = Sequence[float]
"""Milliseconds, turn by turn."""


@dataclass(frozen=True)
class Arm:
    """An agent: whose memory, and whether its turns are full ones."""

    who: str
    open: Open
    full: bool

    async def waits(self, address: Address, turns: int) -> Waits:
        """Live through the turns, and return what each waited."""
        async with self.open(address, full=self.full) as agent:
            for _ in range(WARM_UP):
                await one_wait(agent)
            gc.collect()
            waits = [await one_wait(agent) for _ in range(turns)]
            await agent.verify(turns + WARM_UP, full=self.full)
        return waits


async def one_wait(agent: Agent) -> float:
    """Take one turn and return its milliseconds, when it is in the graph."""
    started = perf_counter()
    await agent.turn()
    waited = perf_counter() - started
    await agent.settled()
    return waited * 1e3


async def in_turns(address: Address, rounds: int, turns: int) -> Mapping[Arm, Sequence[Waits]]:
    """Return the waits of each arm and round; each round begins with another arm, and a first one is not counted."""
    opens = {**({RIVAL: rival_agent} if rival_is_installed() else {}), **OURS}
    arms = [Arm(who, open_, full) for full in (False, True) for who, open_ in opens.items()]
    waits: dict[Arm, list[Waits]] = {arm: [] for arm in arms}
    for turn in range(rounds + 1):
        for arm in rotated(arms, turn):
            found = await arm.waits(address, turns if turn else 2)
            if turn:
                waits[arm].append(found)
    return waits


def figures_of(way: str, waits: Mapping[Arm, Sequence[Waits]]) -> list[Figure]:
    """Return the median wait of both kinds of turn beside the other side's, and the longest; the plain is judged."""
    figures: list[Figure] = []
    for arm, found in waits.items():
        if arm.who == RIVAL:
            continue
        theirs = next((rounds for other, rounds in waits.items() if (other.who, other.full) == (RIVAL, arm.full)), None)
        for what, percent in {"median": 50.0, "longest": 100.0}.items():
            name = f"{'full' if arm.full else 'plain'} turn, {way}, {arm.who}: {what}"
            ours = Side("Perdure", [percentile(each, percent) for each in found], "ms")
            judged = MOST[arm.who] if what == "median" and not arm.full else None
            if theirs is None:
                figures.append(absent(name, f"{RIVAL} is not installed", ours))
            else:
                other = Side(RIVAL, [percentile(each, percent) for each in theirs], "ms")
                figures.append(longer(name, ours, other, judged))
    return figures


class CountingStore(Neo4jGraphStore):
    """Counts the transactions that one task runs."""

    counted: "asyncio.Task[Any] | None" = None
    transactions = 0

    def _count(self) -> None:
        self.transactions += asyncio.current_task() is self.counted

    async def read(self, statement: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Count, and read."""
        self._count()
        return await super().read(statement, parameters)

    async def write(self, statement: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Count, and write."""
        self._count()
        return await super().write(statement, parameters)


class Counted:
    """Stands before a kind of memory, and notes how many transactions each of its calls ran."""

    def __init__(self, memory: Any, store: CountingStore, notes: list[int]) -> None:
        self._memory, self._store, self._notes = memory, store, notes

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._memory, name)
        return partial(self._call, found) if asyncio.iscoroutinefunction(found) else self._of(found)

    def _of(self, found: Any) -> "Counted":
        return Counted(found, self._store, self._notes)

    async def _call(self, call: Any, *given: Any, **named: Any) -> Any:
        before = self._store.transactions
        try:
            return await call(*given, **named)
        finally:
            self._notes.append(self._store.transactions - before)


async def transactions(address: Address) -> Figure:
    """Count the transactions of each typed call of a full turn in sync mode, those of the index left out."""
    store = CountingStore(address.uri, username=address.username, password=address.password)
    store.counted = asyncio.current_task()
    notes: list[int] = []
    with tempfile.TemporaryDirectory(prefix="perdure-benchmark-") as data_dir:
        async with MemoryClient(MemorySettings(store=store, data_dir=data_dir)) as client:
            memory = client.scope(user_id=f"counted-{data_dir}")
            entities = [await memory.long_term.add_entity(f"counted {number}", "person") for number in range(8)]
            await perdure_turn(Counted(memory, store, notes), "counted", entities, full=True)  # pyright: ignore[reportArgumentType]
            await client.users.delete(f"counted-{data_dir}")
    name = f"the {len(notes)} typed calls of a full turn, sync: most transactions in one"
    return value(name, Side("Perdure", [max(notes)], "transactions"), 1, note=f"{sum(notes)} in all")


async def measure(run: Run) -> list[Figure]:
    """Measure on the server itself, and then with the proxy between."""
    if run.address is None:
        return [absent("an agent's turn", "no Neo4j server")]
    rounds, turns = run.scaled(5, 1), run.scaled(20, 5)
    figures = [await transactions(run.address)]
    async with Scratch.open(run.address):
        progress(f"turn: {rounds} rounds directly…")
        figures += figures_of("direct", await in_turns(run.address, rounds, turns))
        with delayed(run.address.uri, ROUND_TRIP_MS) as uri:
            progress(f"turn: {rounds} rounds with {ROUND_TRIP_MS:g} ms of network…")
            away = run.address._replace(uri=uri)
            figures += figures_of(f"+{ROUND_TRIP_MS:g} ms", await in_turns(away, rounds, turns))
    return figures


if __name__ == "__main__":
    main(__doc__, [measure])
