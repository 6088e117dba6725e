"""What accepting a write costs by what it then survives, beside the disk's own price.

Accepted means: held in memory ("memory"), in a journal that outlives the process ("os"), or on the disk ("disk"). A
store that takes everything at once stands behind each, so that what is measured is the acceptance. Beside "disk" stands
one thread that appends as many bytes as one frame of SQLite's log has to a file on the same disk, and syncs them: what
a single write there costs at the least. All of them take turns, slice by slice, with pauses in which the journals tidy
up; the first 1,000 writes of each are not counted.

    python -m benchmarks.journal [--quick] [--json FILE]
"""

import asyncio
import gc
import os
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

from benchmarks.cli import Run, main
from benchmarks.figures import Figure, Side, faster, longer, percentile, progress, rotated, value
from benchmarks.scratch import Write, chain
from benchmarks.stores import NullStore
from perdure import MemoryClient, MemorySettings
from perdure.records import Durability

WARM_UP = 1000
FRAME_BYTES = 24 + 4096
SUBMITTERS = 64
RAW_SLICE, SLICE, LOADED_SLICE = 100, 200, 20 * SUBMITTERS
PAUSE_SECONDS = 0.1
ROOM = 10_000
MOST_TIMES_RAW, TIMES_RAW_RATE, MOST_OS_US = 1.5, 5.0, 80.0
RAW = "raw"


class Slice(NamedTuple):
    """What each of some writes took, and all of them together, in seconds."""

    each: list[float]
    total: float


class Arm(NamedTuple):
    """One way of writing, and how many writes it does in its turn."""

    run: Callable[[int], Awaitable[Slice]]
    writes: int


class RawFile:
    """One thread that appends the bytes of a frame to a file, and waits for the disk."""

    def __init__(self, directory: str) -> None:
        self._file = os.open(Path(directory) / "raw", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._frame = os.urandom(FRAME_BYTES)

    async def run(self, writes: int) -> Slice:
        """Append and sync, again and again."""
        sync = getattr(os, "fdatasync", os.fsync)
        each: list[float] = []
        for _ in range(writes):
            started = perf_counter()
            os.write(self._file, self._frame)
            sync(self._file)
            each.append(perf_counter() - started)
        return Slice(each, sum(each))

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)


class Submitters:
    """Tasks that submit writes to one client, each waiting for one to be accepted before the next."""

    def __init__(self, client: MemoryClient, tasks: int = 1) -> None:
        self._client = client
        self._tasks = tasks
        self._slices = count()

    async def run(self, writes: int) -> Slice:
        """Submit that many together, and have them drained before anybody else's turn."""
        return await self.submit(chain("root", f"{next(self._slices)}-", writes))

    async def submit(self, writes: Sequence[Write]) -> Slice:
        """Submit these together, and have them drained."""
        each: list[float] = []
        started = perf_counter()
        await asyncio.gather(*(self._submit(writes[first :: self._tasks], each) for first in range(self._tasks)))
        total = perf_counter() - started
        await self._client.flush()
        return Slice(each, total)

    async def _submit(self, writes: Sequence[Write], each: list[float]) -> None:
        submit = self._client.buffered.submit
        for statement, parameters in writes:
            started = perf_counter()
            await submit(statement, parameters)
            each.append(perf_counter() - started)


@asynccontextmanager
async def arms() -> AsyncGenerator[Mapping[str, Arm]]:
    """Open a client for each durability, and the raw file beside their journals."""
    async with AsyncExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="perdure-benchmark-"))
        raw = RawFile(directory)
        stack.callback(raw.close)
        found = {RAW: Arm(raw.run, RAW_SLICE)}
        durabilities: Sequence[Durability] = ("disk", "os", "memory")
        for durability in durabilities:
            memory = {"write_mode": "buffered", "max_pending": ROOM, "durability": durability}
            settings = MemorySettings(store=NullStore(), memory=memory, data_dir=Path(directory) / durability)
            client = await stack.enter_async_context(MemoryClient(settings))
            found[durability] = Arm(Submitters(client).run, RAW_SLICE if durability == "disk" else SLICE)
            found[f"{durability}, {SUBMITTERS}"] = Arm(Submitters(client, SUBMITTERS).run, LOADED_SLICE)
        yield found


async def one_round(all_arms: Mapping[str, Arm], slices: int) -> Mapping[str, Slice]:
    """Let everybody have several turns, and return what they took."""
    found = {name: Slice([], 0.0) for name in all_arms}
    gc.collect()
    for turn in range(slices):
        for name in rotated(list(all_arms), turn):
            part = await all_arms[name].run(all_arms[name].writes)
            found[name] = Slice(found[name].each + part.each, found[name].total + part.total)
            await asyncio.sleep(PAUSE_SECONDS)
    return found


async def measure(run: Run) -> list[Figure]:
    """Measure all durabilities, and the raw file, in turns."""
    rounds, slices = run.scaled(7, 3), run.scaled(10, 4)
    found: list[Mapping[str, Slice]] = []
    async with arms() as all_arms:
        progress(f"journal: {WARM_UP:,} writes each to warm up…")
        for arm in all_arms.values():
            await arm.run(WARM_UP)
        for turn in range(1, rounds + 1):
            progress(f"journal: round {turn} of {rounds}…")
            found.append(await one_round(all_arms, slices))
    return figures_of(found)


def figures_of(found: Sequence[Mapping[str, Slice]]) -> list[Figure]:
    """Return what the rounds say."""

    def latency(who: str, arm: str, percent: float) -> Side:
        return Side(who, [percentile(slices[arm].each, percent) * 1e6 for slices in found], "us")

    def rate(who: str, arm: str) -> Side:
        return Side(who, [len(slices[arm].each) / slices[arm].total for slices in found], "/s")

    raw = f"write+sync of {FRAME_BYTES:,} bytes"
    figures = [
        longer("accept, disk: p50", latency("Perdure", "disk", 50), latency(raw, RAW, 50), MOST_TIMES_RAW),
        longer("accept, disk: p99", latency("Perdure", "disk", 99), latency(raw, RAW, 99)),
        faster("accept, disk: rate", rate("Perdure", "disk"), rate(raw, RAW)),
        faster(
            f"accept, disk, {SUBMITTERS} submitters: rate",
            rate("Perdure", f"disk, {SUBMITTERS}"),
            rate(raw, RAW),
            TIMES_RAW_RATE,
        ),
    ]
    for durability in ("os", "memory"):
        target = MOST_OS_US if durability == "os" else None
        loaded = f"{durability}, {SUBMITTERS}"
        figures += [
            value(f"accept, {durability}: p50", latency("Perdure", durability, 50), target),
            value(f"accept, {durability}: p99", latency("Perdure", durability, 99)),
            value(f"accept, {durability}: rate", rate("Perdure", durability)),
            value(f"accept, {durability}, {SUBMITTERS} submitters: rate", rate("Perdure", loaded)),
        ]
    return figures


if __name__ == "__main__":
    main(__doc__, [measure], needs_server=False)
