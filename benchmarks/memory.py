"""What a million writes leave in memory: nothing, through a writer with room for a thousand.

Each store is measured in a process of its own. The writes set the content of the same thousand messages over and over,
so that the graph does not grow, and what grows is the writer's. After a warm-up, the growth of the process's resident
memory is taken where it is highest. The null store acknowledges each batch a little later and keeps nothing: it shows
the writer alone, with its room full all the time. Accepted writes are kept in memory, or in a journal ("os").

    python -m benchmarks.memory [--quick] [--neo4j] [--json FILE]
"""

import asyncio
import gc
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from time import perf_counter
from typing import NamedTuple

from benchmarks.apart import apart, resident_mib
from benchmarks.cli import Run, main
from benchmarks.contenders import perdure_on
from benchmarks.figures import Figure, Side, progress, value
from benchmarks.scratch import CONTENT, CREATE, Address, Scratch
from benchmarks.stores import NullStore
from perdure import MemoryClient, MemorySettings
from perdure.records import Durability

ROOM = 1000
MESSAGES = 1000
WARM_UP = 50_000
WRITES_BETWEEN_LOOKS = 10_000
TURNS_OF_THE_LOOP = 50
"""The null store's delay: late enough for the room to fill up meanwhile."""
MOST_GROWTH_MIB = 60.0


class Arm(NamedTuple):
    """Whose memory is watched."""

    store: str
    durability: Durability


class Seen(NamedTuple):
    """What one process showed."""

    growth_mib: float
    high_water: int
    rate: float


@asynccontextmanager
async def client_of(arm: Arm, address: Address | None) -> AsyncGenerator[MemoryClient]:
    """Connect to one of the stores."""
    if address is not None:
        async with perdure_on(address, ROOM, arm.durability) as client:
            yield client
        return
    store = NullStore(TURNS_OF_THE_LOOP) if arm.store == "null" else arm.store
    memory = {"write_mode": "buffered", "max_pending": ROOM, "durability": arm.durability}
    with tempfile.TemporaryDirectory(prefix="perdure-benchmark-") as directory:
        async with MemoryClient(MemorySettings(store=store, memory=memory, data_dir=directory)) as client:
            yield client


async def submit_many(client: MemoryClient, prefix: str, writes: int) -> None:
    """Submit writes that set the content of the same messages over and over."""
    for i in range(writes):
        await client.buffered.submit(CREATE, {"id": f"{prefix}{i % MESSAGES}", "content": f"{CONTENT}({i})"})


async def write_watched(arm: Arm, address: Address | None, prefix: str, writes: int) -> Seen:
    """Write, and watch this process's memory."""
    async with client_of(arm, address) as client:
        await submit_many(client, prefix, WARM_UP)
        await client.flush()
        gc.collect()
        before = highest = resident_mib()
        started = perf_counter()
        for _ in range(writes // WRITES_BETWEEN_LOOKS):
            await submit_many(client, prefix, WRITES_BETWEEN_LOOKS)
            highest = max(highest, resident_mib())
        await client.flush()
        rate = writes / (perf_counter() - started)
        stats = client.buffered.stats()
    if stats.committed != WARM_UP + writes:
        raise RuntimeError(f"{stats.committed} writes were committed, not {WARM_UP + writes}")
    return Seen(highest - before, stats.high_water, rate)


def watch(arm: Arm, address: Address | None, prefix: str, writes: int) -> Seen:
    """Return what one store shows: what each process runs."""
    return asyncio.run(write_watched(arm, address, prefix, writes))


async def measure(run: Run) -> list[Figure]:
    """Measure the null store, the embedded one, and Neo4j where that is asked for."""
    writes = run.scaled(1_000_000, 50_000)
    figures: list[Figure] = []
    for arm in (Arm("null", "memory"), Arm("null", "os"), Arm("memory://", "memory")):
        progress(f"memory: {writes:,} writes into {arm.store}, {arm.durability}…")
        figures += figures_of(arm, writes, await apart(watch, arm, None, "", writes))
    if run.neo4j and run.address is not None:
        async with Scratch.open(run.address) as scratch:
            for arm in (Arm("Neo4j", "memory"), Arm("Neo4j", "os")):
                progress(f"memory: {writes:,} writes into {arm.store}, {arm.durability}…")
                async with scratch.plot() as plot:
                    seen = await apart(watch, arm, run.address, plot.prefix, writes)
                figures += figures_of(arm, writes, seen)
    return figures


def figures_of(arm: Arm, writes: int, seen: Seen) -> list[Figure]:
    """Return the figures of one store."""
    name = f"{writes:,} writes, {arm.store}, {arm.durability}"
    return [
        value(f"{name}: memory growth", Side("Perdure", [seen.growth_mib], "MiB"), MOST_GROWTH_MIB),
        value(f"{name}: most pending of {ROOM:,}", Side("Perdure", [seen.high_water], "writes"), ROOM),
        value(f"{name}: rate", Side("Perdure", [seen.rate], "/s")),
    ]


if __name__ == "__main__":
    main(__doc__, [measure], needs_server=False)
