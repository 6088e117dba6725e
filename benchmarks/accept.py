"""What accepting a write costs the caller, and for how long the drain holds up the event loop.

Accepting: one call of `try_submit`, and one of `await submit`, with room for all writes and durability "memory". The
stall: how late a task that asks to be woken every millisecond is woken at the worst, while all writes are submitted
and drained. Two more figures say whose doing that is: how long the loop's thread computed at most between two wakes,
and how late the task is woken while nothing happens at all, which is the machine's share.

    python -m benchmarks.accept [--quick] [--json FILE]
"""

import asyncio
import gc
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import perf_counter, thread_time

from benchmarks.cli import Run, main
from benchmarks.contenders import settings_for
from benchmarks.figures import Figure, Side, absent, percentile, progress, value
from benchmarks.scratch import ROOT, Scratch, Write, chain
from perdure import MemoryClient, MemorySettings

WARM_UP = 400
TICK_SECONDS, IDLE_SECONDS = 0.001, 1.0
MOST_TRY_SUBMIT_US, MOST_SUBMIT_US, MOST_STALL_MS = 5.0, 10.0, 10.0
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


class Watch:
    """Keeps how late the event loop was, and how long its thread computed at a stretch, at most, in milliseconds."""

    def __init__(self) -> None:
        self.longest = 0.0
        self.computed = 0.0

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            due, used = perf_counter() + TICK_SECONDS, thread_time()
            await asyncio.sleep(TICK_SECONDS)
            self.longest = max(self.longest, (perf_counter() - due) * 1000)
            self.computed = max(self.computed, (thread_time() - used) * 1000)


@asynccontextmanager
async def watched() -> AsyncGenerator[Watch]:
    """Watch the event loop for the time of a block."""
    gc.collect()
    watch = Watch()
    task = asyncio.create_task(watch.run())
    try:
        await asyncio.sleep(2 * TICK_SECONDS)
        yield watch
    finally:
        task.cancel()
        await asyncio.wait([task])


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


async def embedded_round(writes: int, samples: Samples) -> None:
    """Measure a new embedded store, in files, as it is by default."""
    with tempfile.TemporaryDirectory(prefix="perdure-benchmark-") as directory:
        settings = MemorySettings(store=directory, memory={"write_mode": "buffered", "max_pending": writes})
        async with MemoryClient(settings) as client:
            await warm_up(client, [Write(ROOT, {"id": "root"}), *chain("root", "warm-", WARM_UP)])
            await try_to_submit(client, chain("root", "first-", writes), samples)
            await submit_watched(client, chain("root", "second-", writes), samples)
            found = (await client.query.cypher(COUNT_ALL))[0]["nodes"]
        if found != 1 + WARM_UP // 2 + writes:
            raise RuntimeError(f"{found} nodes are in the graph")


async def neo4j_round(run: Run, scratch: Scratch, writes: int, samples: Samples) -> None:
    """Measure on the server."""
    assert run.address is not None
    async with scratch.plot() as plot, MemoryClient(settings_for(run.address, writes)) as client:
        await warm_up(client, plot.chain("warm", WARM_UP))
        await try_to_submit(client, plot.chain("first", writes), samples)
        await submit_watched(client, plot.chain("second", writes), samples)
        await plot.verify(WARM_UP + 2 * writes)


async def measure(run: Run) -> list[Figure]:
    """Measure both stores; the first round is a warm-up."""
    writes, rounds = run.scaled(20_000, 5000), run.scaled(5, 3)
    embedded, neo4j = Samples(), Samples()
    for turn in range(rounds + 1):
        progress(f"accept: embedded, round {turn} of {rounds}…")
        await embedded_round(writes, embedded if turn else Samples())
    if run.address is None:
        return [*figures_of("embedded", embedded, writes), absent("accept, Neo4j", "no Neo4j server")]
    async with Scratch.open(run.address) as scratch:
        for turn in range(rounds + 1):
            progress(f"accept: Neo4j, round {turn} of {rounds}…")
            await neo4j_round(run, scratch, writes, neo4j if turn else Samples())
    return [*figures_of("embedded", embedded, writes), *figures_of("Neo4j", neo4j, writes)]


def figures_of(store: str, samples: Samples, writes: int) -> list[Figure]:
    """Return the figures of one store."""

    def of(name: str, values: Sequence[float], unit: str, at_most: float | None = None) -> Figure:
        return value(f"{store}: {name}", Side("Perdure", values, unit), at_most)

    return [
        of("try_submit, p50", samples.try_submit_p50, "us", MOST_TRY_SUBMIT_US),
        of("try_submit, p99", samples.try_submit_p99, "us"),
        of("await submit, p50", samples.submit_p50, "us", MOST_SUBMIT_US),
        of("await submit, p99", samples.submit_p99, "us"),
        of(f"longest stall, {writes:,} writes", samples.stall, "ms", MOST_STALL_MS),
        of("longest stretch of computing", samples.computed, "ms"),
        of("longest stall, idle", samples.idle_stall, "ms"),
        of(f"submit and drain {writes:,} writes", samples.drained, "/s"),
    ]


if __name__ == "__main__":
    main(__doc__, [measure])
