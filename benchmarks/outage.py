"""What an outage does to an agent that does not stop writing, until its journal is full; and how it ends.

The store is down, there is room for as many writes as the journal takes, and one submitter writes as fast as it can
until a write is not accepted: beyond `max_journal_bytes`. Then the store returns; the drain, whose pauses between its
tries have grown to as much as 5 s, finds out, and catches up. Each round is a process of its own with an embedded store
in files and durability "os"; the writes create and link the same thousand messages in turns, so that the graph does not
grow.

    python -m benchmarks.outage [--quick] [--json FILE]
"""

import asyncio
import gc
import tempfile
from array import array
from collections import Counter
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

from benchmarks.apart import MIB, apart, forget_peak, peak_mib, resident_mib
from benchmarks.cli import Run, main
from benchmarks.figures import Figure, Side, absent, longer, percentile, progress, value
from benchmarks.replay import Place
from benchmarks.stores import Door
from perdure import JournalFullError, MemoryClient, MemorySettings, QueueFullError
from perdure.stores.embedded import EmbeddedGraphStore

WARM_UP = 2000
ONE_ROUND = 2000
PATIENCE_SECONDS = 2.0
"""How long a write waits for the journal to have room before it is said that it waits."""
TICK_SECONDS = 0.001
MOST_TIMES_LATENCY, MOST_GROWTH_MIB = 1.5, 60.0


class Outage(NamedTuple):
    """What one round showed: seconds, MiB, and microseconds where it says so."""

    accepted: int
    first_us: tuple[float, float]
    last_us: tuple[float, float]
    ending: str
    on_disk: float
    growth: float
    noticed: float
    caught_up: float
    growth_after: float
    left_on_disk: float


def settings_of(store: Door, directory: str, journal_bytes: int) -> MemorySettings:
    """Return settings with room for anything but too large a journal."""
    memory = {
        "write_mode": "buffered", "max_pending": 10**9, "max_pending_bytes": 10**12, "max_journal_bytes": journal_bytes,
    }  # fmt: skip
    return MemorySettings(store=store, memory=memory, data_dir=directory)


def files_mib(directory: str) -> float:
    """Return the size of a journal's files together."""
    return sum(path.stat().st_size for path in Path(directory).glob("journal/*/*")) / MIB


async def write_until_refused(client: MemoryClient) -> "tuple[array[float], str]":
    """Submit at full rate until a write is not accepted; return the seconds of the others, and what happened to it."""
    seconds = array("d")
    submit = client.buffered.submit
    for statement, parameters in cycle(list(Place("", None, "", ONE_ROUND).ring())):
        started = perf_counter()
        try:
            await submit(statement, parameters, timeout=PATIENCE_SECONDS)
        except JournalFullError:
            return seconds, "JournalFullError"
        except QueueFullError:
            return seconds, "waits for room"
        seconds.append(perf_counter() - started)
    raise AssertionError


def latencies(seconds: Sequence[float]) -> tuple[float, float]:
    """Return the 50th and the 99th percentile, in microseconds."""
    return percentile(seconds, 50) * 1e6, percentile(seconds, 99) * 1e6


async def live_through(directory: str, journal_bytes: int) -> Outage:
    """Fill the journal while the store is down, and drain it when it is back."""
    store = Door(EmbeddedGraphStore(directory))
    async with MemoryClient(settings_of(store, directory, journal_bytes)) as client:
        for statement, parameters in islice(cycle(Place("", None, "", ONE_ROUND).ring()), WARM_UP):
            await client.buffered.submit(statement, parameters)
        await client.flush()
        gc.collect()
        before = resident_mib()
        forget_peak()
        store.down = True
        seconds, ending = await write_until_refused(client)
        growth, on_disk = peak_mib() - before - len(seconds) * seconds.itemsize / MIB, files_mib(directory)
        tenth = len(seconds) // 10
        first, last = latencies(seconds[:tenth]), latencies(seconds[-tenth:])
        accepted = len(seconds)
        del seconds
        forget_peak()
        store.down = False
        started = perf_counter()
        while client.buffered.stats().committed == WARM_UP:
            await asyncio.sleep(TICK_SECONDS)
        noticed = perf_counter()
        await client.flush()
        caught_up = perf_counter() - noticed
        after = peak_mib() - before
        if client.buffered.stats().committed != WARM_UP + accepted:
            raise RuntimeError(f"{client.buffered.stats().committed} writes were committed, not {WARM_UP + accepted}")
    left = files_mib(directory)
    return Outage(accepted, first, last, ending, on_disk, growth, noticed - started, caught_up, after, left)


def outage(journal_bytes: int) -> Outage:
    """Return what one outage shows: what each process runs."""
    with tempfile.TemporaryDirectory(prefix="perdure-benchmark-") as directory:
        return asyncio.run(live_through(directory, journal_bytes))


async def measure(run: Run) -> list[Figure]:
    """Measure some outages, one after the other."""
    rounds, size = run.scaled(3, 2), run.scaled(256, 8)
    found: list[Outage] = []
    for turn in range(rounds):
        progress(f"outage: round {turn + 1} of {rounds}…")
        found.append(await apart(outage, size * MIB))
    return figures_of(f"outage, journal of {size} MiB", found)


def figures_of(name: str, found: Sequence[Outage]) -> list[Figure]:
    """Return what the outages showed."""

    def of(what: str, values: Sequence[float], unit: str, at_most: float | None = None) -> Figure:
        return value(f"{name}: {what}", Side("Perdure", values, unit), at_most)

    figures = [of("writes accepted", [one.accepted for one in found], "writes")]
    for position, percent in enumerate((50, 99)):
        first = Side("first tenth", [one.first_us[position] for one in found], "us")
        last = Side("Perdure", [one.last_us[position] for one in found], "us")
        target = MOST_TIMES_LATENCY if percent == 50 else None
        figures.append(longer(f"{name}: submit, p{percent} of the last tenth", last, first, target))
    (ending, _), *_ = Counter(one.ending for one in found).most_common(1)
    return [
        *figures,
        absent(f"{name}: the next write", ending),
        of("files on disk", [one.on_disk for one in found], "MiB"),
        of("memory growth while down", [one.growth for one in found], "MiB", MOST_GROWTH_MIB),
        of("until the first commit", [one.noticed for one in found], "s"),
        of("catching up from there", [one.caught_up for one in found], "s"),
        of("rate of that", [one.accepted / one.caught_up for one in found], "/s"),
        of("memory growth until caught up", [one.growth_after for one in found], "MiB", MOST_GROWTH_MIB),
        of("files on disk, after close", [one.left_on_disk for one in found], "MiB"),
    ]


if __name__ == "__main__":
    main(__doc__, [measure], needs_server=False)
