"""What accepting a write costs the caller, and for how long the drain holds up the event loop.

Accepting: one call of `try_submit`, and one of `await submit`, with room for all writes, kept in memory or in a journal
(durability "os"). `try_submit` does not wait for the journal: most of its calls only hand the write to its thread. The
stall: how late a task that asks to be woken every millisecond is woken at the worst, while all writes are submitted
and drained; see watch.py. Two more figures say whose doing that is: how long the loop's thread computed at most between
two wakes, and how late the task is woken while nothing happens at all.

    python -m benchmarks.accept [--quick] [--json FILE]
"""

import asyncio
import gc
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter

from benchmarks.cli import Run, main
from benchmarks.contenders import DURABILITIES, perdure_on
from benchmarks.figures import Figure, Side, absent, percentile, progress, rotated, value
from benchmarks.scratch import ROOT, Address, Scratch, Write, chain
from benchmarks.watch import watched
from perdure import MemoryClient, MemorySettings
from perdure.records import Durability

WARM_UP = 400
IDLE_SECONDS = 1.0
MOST_SUBMIT_US: Mapping[Durability, float] = {"memory": 10.0, "os": 80.0}
MOST_TRY_SUBMIT_US, MOST_STALL_MS = 5.0, 10.0
COUNT_ALL = "MATCH (m:Message) RETURN count(m) AS nodes"


@dataclass
class Samples:
    """What one store showed: microseconds a call, milliseconds of lateness, writes per second; a value per round."""

    try_submit_p50: list[float] = field(default_factory=list)
    try_submit_p99: list[float] = field(default_factory=list)
    submit_p50: list[float] = field(default_factory=list)
    submit_p99: list[float] = field(default_factory=list)
    stall: list[float] = field(default_factory=list)
    computed: list[float] = field(default_factory=list)
    idle_stall: list[float] = field(default_factory=list)
    drained: list[float] = field(default_factory=list)


Found = dict[Durability, Samples]


async def warm_up(client: MemoryClient, writes: Sequence[Write]) -> None:
    """Have the statements parsed and planned, and the connection open."""
    for write in writes:
        await client.buffered.submit(*write)
    await client.flush()


async def try_to_submit(client: MemoryClient, writes: Sequence[Write], samples: Samples) -> None:
    """Time `try_submit`, call by call."""
    seconds: list[float] = []
    try_submit = client.buffered.try_submit
    gc.collect()
    for statement, parameters in writes:
        started = perf_counter()
        try_submit(statement, parameters)
        seconds.append(perf_counter() - started)
    await client.flush()
    samples.try_submit_p50.append(percentile(seconds, 50) * 1e6)
    samples.try_submit_p99.append(percentile(seconds, 99) * 1e6)


async def submit_watched(client: MemoryClient, writes: Sequence[Write], samples: Samples) -> None:
    """Time `submit`, call by call, and watch the event loop until all is drained."""
    seconds: list[float] = []
    submit = client.buffered.submit
    async with watched() as idle:
        await asyncio.sleep(IDLE_SECONDS)
    async with watched() as watch:
        begun = perf_counter()
        for statement, parameters in writes:
            started = perf_counter()
            await submit(statement, parameters)
            seconds.append(perf_counter() - started)
        await client.flush()
        samples.drained.append(len(writes) / (perf_counter() - begun))
    samples.idle_stall.append(idle.longest)
    samples.stall.append(watch.longest)
    samples.computed.append(watch.computed)
    samples.submit_p50.append(percentile(seconds, 50) * 1e6)
    samples.submit_p99.append(percentile(seconds, 99) * 1e6)


async def embedded_round(durability: Durability, writes: int, samples: Samples) -> None:
    """Measure a new embedded store, in files, as it is by default."""
    with tempfile.TemporaryDirectory(prefix="perdure-benchmark-") as directory:
        memory = {"write_mode": "buffered", "max_pending": writes, "durability": durability}
        settings = MemorySettings(store=directory, memory=memory)
        async with MemoryClient(settings) as client:
            await warm_up(client, [Write(ROOT, {"id": "root"}), *chain("root", "warm-", WARM_UP)])
            await try_to_submit(client, chain("root", "first-", writes), samples)
            await submit_watched(client, chain("root", "second-", writes), samples)
            found = (await client.query.cypher(COUNT_ALL))[0]["nodes"]
        if found != 1 + WARM_UP // 2 + writes:
            raise RuntimeError(f"{found} nodes are in the graph")


async def neo4j_round(
    address: Address, scratch: Scratch, durability: Durability, writes: int, samples: Samples
) -> None:
    """Measure on the server."""
    async with scratch.plot() as plot, perdure_on(address, writes, durability) as client:
        await warm_up(client, plot.chain("warm", WARM_UP))
        await try_to_submit(client, plot.chain("first", writes), samples)
        await submit_watched(client, plot.chain("second", writes), samples)
        await plot.verify(WARM_UP + 2 * writes)


async def in_turns(store: str, rounds: int, measure_one: Callable[[Durability, Samples], Awaitable[None]]) -> Found:
    """Measure each durability once a round; the first round is a warm-up."""
    found: Found = {durability: Samples() for durability in DURABILITIES}
    for turn in range(rounds + 1):
        progress(f"accept: {store}, round {turn} of {rounds}…")
        for durability in rotated(DURABILITIES, turn):
            await measure_one(durability, found[durability] if turn else Samples())
    return found


async def measure(run: Run) -> list[Figure]:
    """Measure both stores."""
    writes, rounds, address = run.scaled(20_000, 5000), run.scaled(5, 2), run.address
    found = await in_turns("embedded", rounds, lambda kept, samples: embedded_round(kept, writes, samples))
    figures = [figure for kept in DURABILITIES for figure in figures_of("embedded", kept, found[kept], writes)]
    if address is None:
        return [*figures, absent("accept, Neo4j", "no Neo4j server")]
    async with Scratch.open(address) as scratch:
        found = await in_turns(
            "Neo4j", rounds, lambda kept, samples: neo4j_round(address, scratch, kept, writes, samples)
        )
    return figures + [figure for kept in DURABILITIES for figure in figures_of("Neo4j", kept, found[kept], writes)]


def figures_of(store: str, durability: Durability, samples: Samples, writes: int) -> list[Figure]:
    """Return the figures of one store and durability."""

    def of(name: str, values: Sequence[float], unit: str, at_most: float | None = None) -> Figure:
        return value(f"{store}, {durability}: {name}", Side("Perdure", values, unit), at_most)

    return [
        of("try_submit, p50", samples.try_submit_p50, "us", MOST_TRY_SUBMIT_US),
        of("try_submit, p99", samples.try_submit_p99, "us"),
        of("await submit, p50", samples.submit_p50, "us", MOST_SUBMIT_US[durability]),
        of("await submit, p99", samples.submit_p99, "us"),
        of(f"longest stall, {writes:,} writes", samples.stall, "ms", MOST_STALL_MS),
        of("longest stretch of computing", samples.computed, "ms"),
        of("longest stall, idle", samples.idle_stall, "ms"),
        of(f"submit and drain {writes:,} writes", samples.drained, "/s"),
    ]


if __name__ == "__main__":
    main(__doc__, [measure])
