"""What calling from threads costs: 32 of them on one SyncMemory, beside 32 tasks on one Memory, a minute each.

Every worker adds a memory of its own and searches, in turns; both arms work in files in a directory of their own, with
no language model. At the end every memory that was acknowledged is looked for. A call that does nothing shows the way
to the event loop and back by itself.

    python -m benchmarks.sync [--quick] [--json FILE]
"""

import asyncio
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import perf_counter
from typing import NamedTuple

from benchmarks.cli import Run, main
from benchmarks.figures import Figure, Side, faster, progress, rotated, value
from perdure import Memory, MemorySettings, SyncMemory

WORKERS = 32
EMPTY_CALLS = 2000
AT_LEAST = 0.8
PAGE = 1000


class Worked(NamedTuple):
    """What one arm did: calls a second, and how many acknowledged memories were not there at the end."""

    rate: float
    lost: int


def said(worker: int, n: int) -> str:
    """Return what a worker adds: words of its own among words that all use."""
    return f"Worker {worker} keeps parcel {n} on shelf {n % 97} of room {worker * 7 + n % 13}."


def settings(directory: str) -> MemorySettings:
    """Return settings with files in a directory."""
    return MemorySettings(store=directory, data_dir=directory)


async def by_tasks(seconds: float, directory: str) -> Worked:
    """Let tasks work on a Memory."""

    async def work(worker: int) -> int:
        n = 0
        while perf_counter() < end:
            await memory.add(said(worker, n), user_id=f"u{worker}", infer=False)
            await memory.search(f"which parcel is on shelf {n % 97}?", user_id=f"u{worker}", limit=5)
            n += 1
        return n

    async with Memory(settings(directory)) as memory:
        await memory.add("warm", user_id="warm")
        started = perf_counter()
        end = started + seconds
        turns = await asyncio.gather(*map(work, range(WORKERS)))
        rate = 2 * sum(turns) / (perf_counter() - started)
        lost = 0
        for worker, told in enumerate(turns):
            kept, cursor = 0, None
            while kept == 0 or cursor:
                page = await memory.get_all(user_id=f"u{worker}", limit=PAGE, cursor=cursor)
                kept, cursor = kept + len(page.results), page.cursor
            lost += told - kept
    return Worked(rate, lost)


def by_threads(seconds: float, directory: str) -> Worked:
    """Let threads work on a SyncMemory."""

    def work(worker: int) -> int:
        n = 0
        while perf_counter() < end:
            memory.add(said(worker, n), user_id=f"u{worker}", infer=False)
            memory.search(f"which parcel is on shelf {n % 97}?", user_id=f"u{worker}", limit=5)
            n += 1
        return n

    def kept(worker: int) -> int:
        found, cursor = 0, None
        while found == 0 or cursor:
            page = memory.get_all(user_id=f"u{worker}", limit=PAGE, cursor=cursor)
            found, cursor = found + len(page.results), page.cursor
        return found

    with SyncMemory(settings(directory)) as memory, ThreadPoolExecutor(WORKERS) as threads:
        memory.add("warm", user_id="warm")
        started = perf_counter()
        end = started + seconds
        turns = list(threads.map(work, range(WORKERS)))
        rate = 2 * sum(turns) / (perf_counter() - started)
        lost = sum(told - kept(worker) for worker, told in enumerate(turns))
    return Worked(rate, lost)


def microseconds_a_call(directory: str) -> float:
    """Return what a call that does nothing takes, one after the other on one thread."""
    with SyncMemory(settings(directory)) as memory:
        run = memory.client.connection.run
        started = perf_counter()
        for _ in range(EMPTY_CALLS):
            run(int)
        return (perf_counter() - started) / EMPTY_CALLS * 1e6


async def measure(run: Run) -> list[Figure]:
    """Measure both arms in turns."""
    seconds, rounds = run.scaled((60.0, 2), (3.0, 1))
    worked: dict[str, list[Worked]] = {"tasks": [], "threads": []}
    arms = list(worked)
    for turn in range(rounds):
        for arm in rotated(arms, turn):
            progress(f"sync: {WORKERS} {arm} for {seconds:g} s, round {turn + 1} of {rounds}")
            with tempfile.TemporaryDirectory() as directory:
                in_a_thread: Callable[[], Worked] = partial(by_threads, seconds, directory)
                done = await (by_tasks(seconds, directory) if arm == "tasks" else asyncio.to_thread(in_a_thread))
            worked[arm].append(done)
    with tempfile.TemporaryDirectory() as directory:
        hops = [await asyncio.to_thread(microseconds_a_call, directory)]
    threads = Side("SyncMemory", [done.rate for done in worked["threads"]], "calls/s")
    tasks = Side("Memory", [done.rate for done in worked["tasks"]], "calls/s")
    lost = Side("both", [float(done.lost) for arm in worked.values() for done in arm], "memories")
    return [
        faster(f"{WORKERS} threads beside {WORKERS} tasks, add and search", threads, tasks, AT_LEAST),
        value("acknowledged and not there", lost, 0.0),
        value("a call that does nothing", Side("SyncMemory", hops, "us")),
    ]


if __name__ == "__main__":
    main(__doc__, [measure], needs_server=False)
