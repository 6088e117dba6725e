"""What a million writes leave in memory: nothing, through a writer with room for a thousand.

Each store is measured in a process of its own. The writes set the content of the same thousand messages over and over,
so that the graph does not grow, and what grows is the writer's. After a warm-up, the growth of the process's resident
memory is taken where it is highest. The null store acknowledges each batch a little later and keeps nothing: it shows
the writer alone, with its room full all the time.

    python -m benchmarks.memory [--quick] [--neo4j] [--json FILE]
"""

import asyncio
import gc
import multiprocessing
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from time import perf_counter
from typing import Any, NamedTuple

import psutil

from benchmarks.cli import Run, main
from benchmarks.contenders import settings_for
from benchmarks.figures import Figure, Side, progress, value
from benchmarks.scratch import CONTENT, CREATE, Address, Scratch
from perdure import MemoryClient, MemorySettings
from perdure.records import Batch

ROOM = 1000
MESSAGES = 1000
WARM_UP = 50_000
WRITES_BETWEEN_LOOKS = 10_000
TURNS_OF_THE_LOOP = 50
MOST_GROWTH_MIB = 60.0
MIB = 1024 * 1024


class NullStore:
    """A GraphStore that says yes to everything."""

    name = "nothing"

    async def connect(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""

    async def read(self, _statement: str, _parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return nothing."""
        return []

    async def write(self, _statement: str, _parameters: Mapping[str, Any]) -> None:
        """Acknowledge."""

    async def apply(self, batch: Batch) -> int:
        """Acknowledge all of it, late enough for the room to fill up meanwhile."""
        for _ in range(TURNS_OF_THE_LOOP):
            await asyncio.sleep(0)
        return len(batch.entries)

    async def forget_lanes(self, _lanes: Sequence[str]) -> None:
        """Acknowledge."""


class Seen(NamedTuple):
    """What one process showed."""

    growth_mib: float
    high_water: int
    rate: float


def settings_of(store: str, address: Address | None) -> MemorySettings:
    """Return the settings for one of the stores."""
    if store == "Neo4j" and address is not None:
        return settings_for(address, ROOM)
    memory = {"write_mode": "buffered", "max_pending": ROOM}
    return MemorySettings(store=NullStore() if store == "null" else store, memory=memory)


async def submit_many(client: MemoryClient, prefix: str, writes: int) -> None:
    """Submit writes that set the content of the same messages over and over."""
    for i in range(writes):
        await client.buffered.submit(CREATE, {"id": f"{prefix}{i % MESSAGES}", "content": f"{CONTENT}({i})"})


async def write_watched(store: str, address: Address | None, prefix: str, writes: int) -> Seen:
    """Write, and watch this process's memory."""
    resident = psutil.Process().memory_info
    async with MemoryClient(settings_of(store, address)) as client:
        await submit_many(client, prefix, WARM_UP)
        await client.flush()
        gc.collect()
        before = highest = resident().rss
        started = perf_counter()
        for _ in range(writes // WRITES_BETWEEN_LOOKS):
            await submit_many(client, prefix, WRITES_BETWEEN_LOOKS)
            highest = max(highest, resident().rss)
        await client.flush()
        rate = writes / (perf_counter() - started)
        stats = client.buffered.stats()
    if stats.committed != WARM_UP + writes:
        raise RuntimeError(f"{stats.committed} writes were committed, not {WARM_UP + writes}")
    return Seen((highest - before) / MIB, stats.high_water, rate)


def watch(store: str, address: Address | None, prefix: str, writes: int) -> Seen:
    """Return what one store shows: what each process runs."""
    return asyncio.run(write_watched(store, address, prefix, writes))


async def in_its_own_process(store: str, address: Address | None, prefix: str, writes: int) -> Seen:
    """Measure one store in a new process."""
    progress(f"memory: {writes:,} writes into {store}…")
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return await asyncio.get_running_loop().run_in_executor(pool, watch, store, address, prefix, writes)


async def measure(run: Run) -> list[Figure]:
    """Measure the null store, the embedded one, and Neo4j where that is asked for."""
    writes = run.scaled(1_000_000, 100_000)
    figures: list[Figure] = []
    for store in ("null", "memory://"):
        figures += figures_of(store, writes, await in_its_own_process(store, None, "", writes))
    if run.neo4j and run.address is not None:
        async with Scratch.open(run.address) as scratch, scratch.plot() as plot:
            seen = await in_its_own_process("Neo4j", run.address, plot.prefix, writes)
        figures += figures_of("Neo4j", writes, seen)
    return figures


def figures_of(store: str, writes: int, seen: Seen) -> list[Figure]:
    """Return the figures of one store."""
    name = f"{writes:,} writes, {store}"
    return [
        value(f"{name}: memory growth", Side("Perdure", [seen.growth_mib], "MiB"), MOST_GROWTH_MIB),
        value(f"{name}: most pending of {ROOM:,}", Side("Perdure", [seen.high_water], "writes"), ROOM),
        value(f"{name}: rate", Side("Perdure", [seen.rate], "/s")),
    ]


if __name__ == "__main__":
    main(__doc__, [measure], needs_server=False)
