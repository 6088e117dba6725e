"""How fast an earlier process's writes are drained from the journal, and how much memory that takes.

A process accepts writes while the store takes nothing, and is killed with all of them in its journal (durability
"os"). The next one connects and drains them. Beside it stands a process that accepted the same writes in memory, while
the same kind of store took nothing, and drains them from there. The clock runs from the moment there is something to
drain and a store that takes it, until all is committed; for the journal a second figure begins with the connect, which
checks every entry. The writes create and link the same thousand messages in turns, so that the graph does not grow.

    python -m benchmarks.replay [--quick] [--json FILE]
"""

import asyncio
import os
import signal
import tempfile
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple, TypeVar

from benchmarks.apart import apart, peak_mib
from benchmarks.cli import Run, main
from benchmarks.contenders import forget_marks, settings_for
from benchmarks.figures import Figure, Side, absent, longer, progress, rotated, value
from benchmarks.scratch import CONTENT, CREATE, LINK, Address, Scratch, Write
from benchmarks.stores import Door, NullStore
from perdure import BufferedWriter, MemoryClient, MemorySettings
from perdure.graph import schema
from perdure.journal.sqlite import SqliteJournal
from perdure.wiring import graph_store

MESSAGES = 1000
WARM_UP = 2 * MESSAGES
"""Writes that a server gets before: it plans the statements, and the messages are there."""
MOST_TIMES_MEMORY, MOST_TIMES_PEAK = 1.3, 1.2
ROOM_BYTES = 1024**3
T = TypeVar("T")
Read = Callable[[str, dict[str, Any]], Awaitable[Sequence[Mapping[str, Any]]]]
LAST = "MATCH (m:Message {id: $id}) RETURN m.content AS content"


class Place(NamedTuple):
    """Where a process finds its journal and its store, and what it writes there."""

    directory: str
    address: Address | None
    """None is the embedded store, in the same directory."""
    prefix: str
    writes: int

    @property
    def settings(self) -> MemorySettings:
        """The settings of whoever drains there."""
        if self.address is not None:
            return settings_for(self.address, self.writes, "os", self.directory)
        return MemorySettings(store=self.directory, memory={"write_mode": "buffered"})

    def ring(self) -> Iterator[Write]:
        """Yield creates and links in turns, over the same messages again and again."""
        for i in range(self.writes // 2):
            here = f"{self.prefix}{i % MESSAGES}"
            yield Write(CREATE, {"id": here, "content": f"{CONTENT}({i})"})
            yield Write(LINK, {"a": f"{self.prefix}{(i - 1) % MESSAGES}", "b": here})

    async def verify(self, writer: BufferedWriter, read: Read) -> None:
        """Raise RuntimeError unless all writes were committed, and the last one of them last."""
        last = self.writes // 2 - 1
        found = await read(LAST, {"id": f"{self.prefix}{last % MESSAGES}"})
        if found != [{"content": f"{CONTENT}({last})"}] or writer.stats().committed != self.writes:
            raise RuntimeError(f"after {writer.stats().committed} commits the last message is {found!r}")


class Drained(NamedTuple):
    """What one process showed: seconds, and MiB."""

    opening: float
    draining: float
    peak: float


Rounds = Mapping[str, Sequence[Drained]]


async def accept_all(writer: BufferedWriter, place: Place) -> None:
    """Submit all of a place's writes."""
    for statement, parameters in place.ring():
        await writer.submit(statement, parameters)


async def accept_and_die(place: Place) -> None:
    """Accept all writes into the journal, and be killed."""
    store = Door(NullStore())
    store.shut()
    journal = SqliteJournal(Path(place.directory) / "journal" / "main")
    async with BufferedWriter(
        store, journal=journal, write_mode="buffered", max_pending=place.writes, max_pending_bytes=ROOM_BYTES
    ) as writer:
        await accept_all(writer, place)
        os.kill(os.getpid(), signal.SIGKILL)


async def drain_journal(place: Place) -> Drained:
    """Connect, and drain what is in the journal."""
    started = perf_counter()
    async with MemoryClient(place.settings) as client:
        connected = perf_counter()
        await client.flush()
        done = perf_counter()
        if client.buffered.recovery.left != place.writes:
            raise RuntimeError(f"{client.buffered.recovery.left} writes were in the journal, not {place.writes}")
        await place.verify(client.buffered, client.query.cypher)
        return Drained(connected - started, done - connected, peak_mib())


async def drain_memory(place: Place) -> Drained:
    """Accept all writes in memory, and then drain them."""
    graph = graph_store(place.settings)
    store = Door(graph)
    store.shut()
    await store.connect()
    await schema.ensure(graph)  # as a client does: the same indexes are kept up to date
    try:
        async with BufferedWriter(
            store, write_mode="buffered", max_pending=place.writes, max_pending_bytes=ROOM_BYTES
        ) as writer:
            await accept_all(writer, place)
            started = perf_counter()
            store.open()
            await writer.flush()
            done = perf_counter()
            await place.verify(writer, store.read)
            return Drained(0.0, done - started, peak_mib())
    finally:
        await store.close()


def in_this_process(work: Callable[[Place], Coroutine[Any, Any, T]], place: Place) -> T:
    """Do one of the above: what each process runs."""
    return asyncio.run(work(place))


async def from_journal(place: Place) -> Drained:
    """Have one process accept and die, and another one drain."""
    with suppress(BrokenProcessPool):
        await apart(in_this_process, accept_and_die, place)
        raise RuntimeError("the process that was to be killed came back")
    return await apart(in_this_process, drain_journal, place)


async def from_memory(place: Place) -> Drained:
    """Have one process do both."""
    return await apart(in_this_process, drain_memory, place)


class Arm(NamedTuple):
    """Where the writes come from, and how many they are."""

    drain: Callable[[Place], Awaitable[Drained]]
    writes: int

    async def run(self, scratch: Scratch | None, address: Address | None) -> Drained:
        """Drain in a new directory, and in a plot of its own on a server."""
        with tempfile.TemporaryDirectory(prefix="perdure-benchmark-") as directory:
            if scratch is None or address is None:
                return await self.drain(Place(directory, None, "", self.writes))
            async with scratch.plot() as plot:
                await drain_memory(Place(directory, address, plot.prefix, WARM_UP))
                drained = await self.drain(Place(directory, address, plot.prefix, self.writes))
            await forget_marks(address, Path(directory))
            return drained


async def in_turns(store: str, arms: Mapping[str, Arm], rounds: int, address: Address | None) -> Rounds:
    """Drain from each source once a round."""
    found: dict[str, list[Drained]] = {name: [] for name in arms}
    async with AsyncExitStack() as stack:
        scratch = None if address is None else await stack.enter_async_context(Scratch.open(address))
        for turn in range(rounds):
            progress(f"replay: {store}, round {turn + 1} of {rounds}…")
            for name in rotated(list(arms), turn):
                found[name].append(await arms[name].run(scratch, address))
    return found


async def measure(run: Run) -> list[Figure]:
    """Measure both stores."""
    many, few, rounds = run.scaled(100_000, 10_000), run.scaled(10_000, 2000), run.scaled(5, 2)
    arms = {"journal": Arm(from_journal, many), "memory": Arm(from_memory, many), "few": Arm(from_journal, few)}
    figures = figures_of("embedded", many, few, await in_turns("embedded", arms, rounds, None))
    if run.address is None:
        return [*figures, absent("replay, Neo4j", "no Neo4j server")]
    return figures + figures_of("Neo4j", many, few, await in_turns("Neo4j", arms, rounds, run.address))


def figures_of(store: str, many: int, few: int, found: Rounds) -> list[Figure]:
    """Return the figures of one store."""

    def seconds(who: str, arm: str) -> Side:
        return Side(who, [drained.draining for drained in found[arm]], "s")

    def peak(who: str, arm: str) -> Side:
        return Side(who, [drained.peak for drained in found[arm]], "MiB")

    openings = [drained.opening for drained in found["journal"]]
    connected = Side("Perdure", [drained.opening + drained.draining for drained in found["journal"]], "s")
    name = f"replay {many:,} writes, {store}"
    return [
        longer(f"{name}: drain", seconds("Perdure", "journal"), seconds("from memory", "memory"), MOST_TIMES_MEMORY),
        longer(f"{name}: connect and drain", connected, seconds("from memory", "memory")),
        value(f"{name}: connect, every entry checked", Side("Perdure", openings, "s")),
        longer(f"{name}: peak memory", peak("Perdure", "journal"), peak(f"{few:,} writes", "few"), MOST_TIMES_PEAK),
        value(f"{name}: peak memory when drained from memory", peak("Perdure", "memory")),
    ]


if __name__ == "__main__":
    main(__doc__, [measure])
