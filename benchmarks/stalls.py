"""For how long the journal holds up the event loop, on this disk and on one whose syncs take 20 ms.

The stall is how late a task that asks to be woken every millisecond is woken at the worst, while 20,000 writes pass:
accepted, drained into a store that takes everything at once, and cleared from the journal; see watch.py. Beside it
stands the same loop with nothing to do, in the same round. What is in memory before is hidden from the garbage
collector, whose pauses would grow with it. The slow disk is a library (slow_fsync.c) that is compiled here and loaded
into a process of its own by LD_PRELOAD; without a C compiler it is left out.

    python -m benchmarks.stalls [--quick] [--json FILE]
"""

import asyncio
import gc
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import NamedTuple

from benchmarks.accept import MOST_STALL_MS
from benchmarks.apart import apart
from benchmarks.cli import Run, main
from benchmarks.figures import Figure, Side, absent, number, progress, rotated, value
from benchmarks.journal import Submitters
from benchmarks.scratch import chain
from benchmarks.stores import NullStore
from benchmarks.watch import watched
from perdure import MemoryClient, MemorySettings
from perdure.records import Durability

SLOW_MS = 20
SOURCE = Path(__file__).with_name("slow_fsync.c")
SUBMITTERS = 64
WARM_UP, ROOM = 1000, 10_000
IDLE_SECONDS = 0.5


class Arm(NamedTuple):
    """Who writes while the loop is watched."""

    durability: Durability
    submitters: int

    def __str__(self) -> str:
        return f"{self.durability}, {self.submitters} submitter{'s' * (self.submitters > 1)}"


class Stalls(NamedTuple):
    """The longest stall while writes passed, and beside it, in milliseconds; and the writes per second."""

    busy: float
    computed: float
    machine: float
    """How late an idle process was at the same time, which is taken off."""
    idle: float
    """The longest stall of the same loop while nothing happened."""
    rate: float


Rounds = Mapping[Arm, Sequence[Stalls]]
ONE_EACH: Sequence[Arm] = (Arm("memory", 1), Arm("os", 1), Arm("disk", 1))
MANY_EACH: Sequence[Arm] = (Arm("memory", SUBMITTERS), Arm("os", SUBMITTERS), Arm("disk", SUBMITTERS))
ON_A_SLOW_DISK: Sequence[Arm] = (Arm("os", 1), Arm("os", SUBMITTERS), Arm("disk", SUBMITTERS))


@contextmanager
def only_new_garbage() -> Generator[None]:
    """Keep the collector from looking again and again at all that is loaded already, which is not the journal's."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


async def one_round(arm: Arm, writes: int) -> Stalls:
    """Watch the loop idle, and then while writes pass."""
    memory = {"write_mode": "buffered", "max_pending": ROOM, "durability": arm.durability}
    with tempfile.TemporaryDirectory(prefix="perdure-benchmark-") as directory:
        settings = MemorySettings(store=NullStore(), memory=memory, data_dir=directory)
        async with MemoryClient(settings) as client:
            submitters = Submitters(client, arm.submitters)
            await submitters.run(WARM_UP)
            made = chain("root", "watched-", writes)
            with only_new_garbage():
                async with watched() as idle:
                    await asyncio.sleep(IDLE_SECONDS)
                async with watched() as busy:
                    took = await submitters.submit(made)
    return Stalls(busy.longest, busy.computed, busy.idle, idle.seen, writes / took.total)


async def all_rounds(arms: Sequence[Arm], rounds: int, writes: int) -> Rounds:
    """Measure everybody once a round."""
    found: dict[Arm, list[Stalls]] = {arm: [] for arm in arms}
    for turn in range(rounds):
        for arm in rotated(arms, turn):
            found[arm].append(await one_round(arm, writes))
    return found


def watch(arms: Sequence[Arm], rounds: int, writes: int) -> Rounds:
    """Return what the arms show on this process's disk: what each process runs."""
    return asyncio.run(all_rounds(arms, rounds, writes))


def sync_ms() -> float:
    """Return how long one sync takes here."""
    with tempfile.TemporaryFile(prefix="perdure-benchmark-") as file:
        file.write(b"written")
        file.flush()
        started = perf_counter()
        os.fdatasync(file.fileno())
        return (perf_counter() - started) * 1000


async def slow_disk(directory: str) -> Mapping[str, str] | str:
    """Compile the slow disk; return the variables that load it, or why that cannot be."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if sys.platform != "linux" or compiler is None:
        return "no C compiler" if sys.platform == "linux" else "LD_PRELOAD is of Linux only"
    library = Path(directory) / "slow_fsync.so"
    command = [compiler, "-shared", "-fPIC", "-O2", "-o", str(library), str(SOURCE), "-ldl"]
    compiled = subprocess.run(command, check=False, capture_output=True, text=True)
    if compiled.returncode:
        progress(compiled.stderr)
        return f"{SOURCE.name} does not compile here"
    variables = {"LD_PRELOAD": str(library), "SLOW_FSYNC_MS": str(SLOW_MS)}
    return variables if await apart(sync_ms, environment=variables) >= SLOW_MS else "syncs do not become slower here"


async def measure(run: Run) -> list[Figure]:
    """Measure on this disk, and on a slow one."""
    rounds, writes = run.scaled(5, 2), run.scaled(20_000, 4000)
    progress(f"stalls: {rounds} rounds on this disk…")
    found = await apart(watch, (*ONE_EACH, *MANY_EACH), rounds, writes)
    figures = figures_of(found, writes, "")
    with tempfile.TemporaryDirectory(prefix="perdure-benchmark-") as directory:
        variables = await slow_disk(directory)
        where = f", syncs of {SLOW_MS} ms"
        if isinstance(variables, str):
            return [*figures, absent(f"longest stall{where}", variables)]
        progress(f"stalls: {rounds} rounds on a slow disk…")
        slow = await apart(watch, ON_A_SLOW_DISK, rounds, writes, environment=variables)
    return figures + figures_of(slow, writes, where)


def figures_of(found: Rounds, writes: int, where: str) -> list[Figure]:
    """Return the stalls of each arm, beside those of an idle loop."""
    figures: list[Figure] = []
    for arm, stalls in found.items():
        busy = Side("Perdure", [one.busy for one in stalls], "ms")
        idle, computed, machine = (
            median(getattr(one, name) for one in stalls) for name in ("idle", "computed", "machine")
        )
        rate = median(one.rate for one in stalls)
        note = f"idle {number(idle)} ms, computed {number(computed)} ms, machine {number(machine)} ms, {number(rate)}/s"
        figures.append(value(f"longest stall, {writes:,} writes{where}, {arm}", busy, MOST_STALL_MS, note=note))
    return figures


if __name__ == "__main__":
    main(__doc__, [measure], needs_server=False)
