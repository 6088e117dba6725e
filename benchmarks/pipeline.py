"""What a memory's pipeline adds to what it waits for: Perdure's Memory beside mem0's AsyncMemory, on the same stubs.

The language model answers after 300 ms, the embedder after 20 ms, a store after 10 ms; see `stubs`. What an add needs
one after the other is the model, the embedder and a store: its critical path, 330 ms, of which figures are multiples.
Each add finds two new statements. The stubs answer an `await` where the pipeline awaits them (Perdure), and wait in
a thread where it calls them in threads (mem0). Perdure's limits are 256 calls of a kind at the same
time, so that they hold nobody up, and beside that the defaults; mem0 has asyncio's default threads, of which there are
more on more cores. After each round it is looked whether all that was added is there.

A machine that does other work as well makes the pipeline's own part longer, and not the stubs': compare sides of one
run. How long a side computed for an add, in all its threads, says what is its own.

    python -m benchmarks.pipeline [--quick] [--json FILE] [--picture FILE]
"""

import asyncio
import gc
import threading
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import count
from platform import python_version
from statistics import median
from time import perf_counter, process_time
from typing import NamedTuple

from benchmarks.apart import apart, forget_peak, peak_mib, resident_mib
from benchmarks.cli import Run, main
from benchmarks.figures import Figure, Side, cores, installed, longer, percentile, progress, rotated, shorter, value
from benchmarks.ingest import ingest
from benchmarks.memories import RIVAL, Contender, Open, perdure_on_stubs, rival_is_installed, rival_on_stubs, wide
from benchmarks.picture import Curve, drawn
from benchmarks.stalls import only_new_garbage
from benchmarks.stubs import EMBEDDER_SECONDS, MODEL_SECONDS, STATEMENTS, STORE_SECONDS
from benchmarks.watch import watched

PATH_MS = (MODEL_SECONDS + EMBEDDER_SECONDS + STORE_SECONDS) * 1e3
VERY_MANY = 1000
OURS, BY_DEFAULT = "Perdure", "Perdure, default limits"
SAID = "Anna took me to a concert, and I would like to hear that song again."
ASKED = "Which concert was it that we went to with Anna?"
WAITS = "An add waits for a language model of 300 ms, an embedder of 20 ms and stores of 10 ms: stubs, alike for both."
SEARCHERS = 10
MOST_OF_ONE, MOST_OF_MANY, MOST_OF_A_SEARCH, MOST_STALL_MS = 1.05, 1.3, 2.0, 20.0
TICK_SECONDS = 0.002


class Plan(NamedTuple):
    """What is done in a round."""

    ones: int
    """Adds one after the other."""
    crowds: Sequence[int]
    """Adds at the same time; the last of these is what most figures are about."""
    alone: int
    """Searches of each searcher."""
    beside: int
    """The same beside adds."""


class Wave(NamedTuple):
    """What adds at the same time took: milliseconds until the last was done, and that the process computed for each."""

    took: float
    computed: float


class Found(NamedTuple):
    """What one round of one side showed, in milliseconds."""

    one: float
    waves: Mapping[int, Wave]
    of_one_user: Wave
    stall: float
    threads: int
    alone: Sequence[float]
    """Searches."""
    beside: Sequence[float]

    @property
    def most(self) -> Wave:
        """The largest wave."""
        return self.waves[max(self.waves)]


Rounds = Mapping[str, Sequence[Found]]


def contenders() -> dict[str, Open]:
    """Return whom there is to measure."""
    ours: dict[str, Open] = {OURS: partial(perdure_on_stubs, wide()), BY_DEFAULT: perdure_on_stubs}
    return ours | ({RIVAL: rival_on_stubs} if rival_is_installed() else {})


class Crowd:
    """Adds and searches on behalf of many users, none of whom was there before."""

    def __init__(self, contender: Contender) -> None:
        self._contender = contender
        self._users = count()
        self._added = 0

    def user(self) -> str:
        """Return somebody new."""
        return f"user-{next(self._users)}"

    async def add(self, user: str) -> None:
        """Tell one thing."""
        self._added += 1
        await self._contender.add(user, SAID)

    async def wave(self, users: Sequence[str]) -> Wave:
        """Add at the same time."""
        started, computed = perf_counter(), process_time()
        await asyncio.gather(*map(self.add, users))
        took, computed = perf_counter() - started, process_time() - computed
        return Wave(took * 1e3, computed * 1e3 / len(users))

    async def of_own(self, adds: int) -> Wave:
        """Add at the same time, each for somebody else."""
        return await self.wave([self.user() for _ in range(adds)])

    async def search(self, user: str, each: int) -> list[float]:
        """Search so often by each of some searchers at the same time, and return the milliseconds each search took."""

        async def searches() -> list[float]:
            found: list[float] = []
            for _ in range(each):
                started = perf_counter()
                await self._contender.search(user, ASKED)
                found.append((perf_counter() - started) * 1e3)
            return found

        return [took for one in await asyncio.gather(*(searches() for _ in range(SEARCHERS))) for took in one]

    @asynccontextmanager
    async def adding(self, adds: int) -> AsyncGenerator[None]:
        """Have so many adds in flight for the time of a block."""
        ended = False

        async def work() -> None:
            while not ended:
                await self.add(self.user())

        tasks = [asyncio.create_task(work()) for _ in range(adds)]
        await asyncio.sleep(PATH_MS / 1e3)
        try:
            yield
        finally:
            ended = True
            await asyncio.gather(*tasks)

    def verify(self) -> None:
        """Raise where something that was added is not there."""
        wanted = self._added * STATEMENTS
        for there in self._contender.kept():
            if there != wanted:
                raise RuntimeError(f"{wanted} memories were added, and {there} are there")


@asynccontextmanager
async def counted_threads() -> AsyncGenerator[list[int]]:
    """Look every other millisecond how many threads there are."""
    seen = [threading.active_count()]

    async def look() -> None:
        while True:
            seen.append(threading.active_count())
            await asyncio.sleep(TICK_SECONDS)

    task = asyncio.create_task(look())
    try:
        yield seen
    finally:
        task.cancel()
        await asyncio.wait([task])


async def one_round(open_: Open, plan: Plan) -> Found:
    """Measure one side: alone, with more and more others, and searching beside adds."""
    async with open_() as contender:
        crowd = Crowd(contender)
        await crowd.of_own(10)
        gc.collect()
        one = median([(await crowd.of_own(1)).took for _ in range(plan.ones)])
        waves = {adds: await crowd.of_own(adds) for adds in plan.crowds}
        many = max(plan.crowds)
        of_one_user = await crowd.wave([crowd.user()] * many)
        with only_new_garbage():
            async with watched() as watch, counted_threads() as threads:
                await crowd.of_own(many)
        searcher = crowd.user()
        await crowd.wave([searcher] * 5)
        alone = await crowd.search(searcher, plan.alone)
        async with crowd.adding(many):
            beside = await crowd.search(searcher, plan.beside)
        crowd.verify()
    return Found(one, waves, of_one_user, watch.longest, max(threads), alone, beside)


def round_of(who: str, plan: Plan) -> Found:
    """Measure one side: what each process runs."""
    return asyncio.run(one_round(contenders()[who], plan))


async def all_rounds(run: Run, rounds: int) -> Rounds:
    """Measure everybody once a round, each time in a new process."""
    found: dict[str, list[Found]] = {who: [] for who in contenders()}
    plan = Plan(run.scaled(9, 3), run.scaled((1, 10, 50, 100, 200), (1, 10, 50)), 20, 20)
    for turn in range(rounds):
        for who in rotated(list(found), turn):
            progress(f"pipeline: round {turn + 1}, {who}…")
            given = plan._replace(alone=5, beside=1) if who == RIVAL else plan
            found[who].append(await apart(round_of, who, given))
    return found


async def growth(open_: Open, adds: int) -> float:
    """Return by how many MiB this process was larger while it added so many at the same time."""
    async with open_() as contender:
        crowd = Crowd(contender)
        await crowd.of_own(100)
        gc.collect()
        forget_peak()
        before = resident_mib()
        await crowd.of_own(adds)
        crowd.verify()
        return peak_mib() - before


def growth_of(who: str, adds: int) -> float:
    """Measure one side's memory: what a process runs."""
    return asyncio.run(growth(contenders()[who], adds))


# -- figures


def sides(found: Rounds, unit: str, read: Callable[[Found], float]) -> list[Side]:
    """Return what is read from each round: of Perdure, and of mem0 where it is measured."""
    return [Side(who, [read(each) for each in found[who]], unit) for who in (OURS, RIVAL) if who in found]


def beside(name: str, both: Sequence[Side], *, is_wait: bool = True) -> Figure:
    """Return how many times ours a wait of mem0's is, or how many times mem0's a cost of ours is; or ours alone."""
    compare = shorter if is_wait else longer
    return compare(name, *both) if len(both) > 1 else value(name, *both)


def multiple(name: str, found: Rounds, read: Callable[[Found], float], at_most: float) -> list[Figure]:
    """Return a wait as a multiple of the critical path, which is judged, and beside mem0's."""
    judged = sides(found, "x", lambda each: read(each) / PATH_MS)
    note = "" if len(judged) == 1 else f"{RIVAL} {judged[1]}"
    return [
        value(f"{name} / critical path of {PATH_MS:g} ms", judged[0], at_most, note=note),
        beside(name, sides(found, "ms", read)),
    ]


def waits(found: Rounds) -> list[Figure]:
    """Return what adds and searches took."""
    many = max(found[OURS][0].waves)
    together = f"{many} adds at the same time"
    limited = Side(OURS, [each.most.took / PATH_MS for each in found[BY_DEFAULT]], "x")
    slower = [percentile(each.beside, 95) / percentile(each.alone, 95) for each in found[OURS]]
    figures = [
        *multiple("one add", found, lambda each: each.one, MOST_OF_ONE),
        *multiple(f"{together}, own users", found, lambda each: each.most.took, MOST_OF_MANY),
        value(f"{together}, own users, default limits / critical path", limited),
        *multiple(f"{together}, one user", found, lambda each: each.of_one_user.took, MOST_OF_MANY),
        beside(f"{together}: computed for each", sides(found, "ms", lambda each: each.most.computed), is_wait=False),
        value(f"search beside {many} adds / alone: p95", Side(OURS, slower, "x"), MOST_OF_A_SEARCH),
    ]
    for percent in (50, 95):
        alone, busy = (partial(_percentile, name, percent) for name in ("alone", "beside"))
        figures += [
            beside(f"search alone: p{percent}", sides(found, "ms", alone)),
            beside(f"search beside {many} adds: p{percent}", sides(found, "ms", busy)),
        ]
    return figures


def _percentile(name: str, percent: float, found: Found) -> float:
    return percentile(getattr(found, name), percent)


def costs(found: Rounds, grown: Mapping[str, float], adds: int) -> list[Figure]:
    """Return what adds at the same time cost the event loop and the process."""
    many = max(found[OURS][0].waves)
    stalls, threads = sides(found, "ms", lambda each: each.stall), sides(found, "", lambda each: each.threads)
    notes = [f"{RIVAL} {both[1]}" if len(both) > 1 else "" for both in (stalls, threads)]
    memory = [Side(who, [grown[who]], "MiB") for who in (OURS, RIVAL) if who in grown]
    return [
        value(f"longest stall, {many} adds at the same time", stalls[0], MOST_STALL_MS, note=notes[0]),
        value(f"most threads, {many} adds at the same time", threads[0], note=notes[1]),
        beside(f"memory of {adds:,} adds at the same time", memory, is_wait=False),
    ]


def curves(found: Rounds) -> list[Curve]:
    """Return how long adds took at rising concurrency."""
    return [
        Curve(who, [(adds, median(each.waves[adds].took for each in rounds) / 1e3) for adds in rounds[0].waves])
        for who, rounds in found.items()
        if who != BY_DEFAULT
    ]


async def measure(run: Run) -> list[Figure]:
    """Measure waits and costs on stubs, and how quickly memories are kept on embedded stores."""
    rounds = run.scaled(3, 1)
    found = await all_rounds(run, rounds)
    adds = run.scaled(VERY_MANY, 100)
    progress(f"pipeline: memory of {adds:,} adds…")
    grown = {who: await apart(growth_of, who, adds) for who in found if who != BY_DEFAULT}
    if run.picture is not None:
        measured_on = (
            f"{RIVAL} {installed('mem0ai')}, Python {python_version()}, {cores()} cores; medians of {rounds} rounds"
        )
        run.picture.write_text(drawn(curves(found), WAITS, measured_on), encoding="utf-8")
    return [*waits(found), *costs(found, grown, adds), *await ingest(run)]


if __name__ == "__main__":
    main(__doc__, [measure], needs_server=False)
