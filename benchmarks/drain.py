"""How fast buffered writes reach Neo4j: Perdure beside neo4j-agent-memory, and beside a loader written by hand.

The writes create a message and link it to the one before, in turns. Each side drains the same writes, from the first
submit until everything is committed, over a connection that is warm; what then stands in the graph is counted. There
is room for all writes, or for the 200 that are the default of both libraries: that makes no difference to how fast
neo4j-agent-memory drains, so it is measured once. The loader has its writes as a list. Neither of them keeps anything
on disk, while Perdure is measured both ways: with accepted writes in memory, and in its journal (durability "os").

    python -m benchmarks.drain [--quick] [--json FILE]
"""

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from itertools import chain
from time import perf_counter

from neo4j import AsyncGraphDatabase

from benchmarks.cli import Run, main
from benchmarks.contenders import (
    DEFAULT_ROOM,
    DURABILITIES,
    LOADER,
    RIVAL,
    WARM_UP,
    Open,
    loader,
    perdure_writer,
    rival_is_installed,
    rival_writer,
)
from benchmarks.delay_proxy import ROUND_TRIP_MS, delayed
from benchmarks.figures import Figure, Side, absent, faster, percentile, progress, rotated, value
from benchmarks.scratch import Address, Scratch, Write
from perdure.records import Durability

PRODUCERS = 50
TIMES_RIVAL, TIMES_LOADER, TIMES_ONE_PRODUCER = 30.0, 0.75, 1.0
PINGS = 200

Rates = Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Arm:
    """One way of draining writes: who, how many, with how much room, and from how many producers."""

    open: Open
    writes: int
    room: int
    chains: int = 1
    producers: int = 1

    async def rate(self, address: Address, scratch: Scratch) -> float:
        """Drain into a plot of its own, and return the writes per second."""
        async with scratch.plot() as plot, self.open(address, self.room) as writer:
            await writer.drain(plot.chain("warm", WARM_UP))
            chains = [plot.chain(str(number), self.writes // self.chains) for number in range(self.chains)]
            shares = chains if self.producers > 1 else [list(in_rotation(chains))]
            gc.collect()
            started = perf_counter()
            await writer.drain(*shares)
            seconds = perf_counter() - started
            await plot.verify(self.writes + WARM_UP)
        return self.writes / seconds


def in_rotation(chains: Sequence[Sequence[Write]]) -> Iterator[Write]:
    """Yield the first write of every chain, then the second of every chain, and so on, as so many producers would."""
    return chain.from_iterable(zip(*chains, strict=True))


async def in_turns(arms: Mapping[str, Arm], address: Address, scratch: Scratch, rounds: int) -> Rates:
    """Return a rate per arm and round; each round begins with another arm, and one before the first is not counted."""
    rates: dict[str, list[float]] = {name: [] for name in arms}
    for turn in range(rounds + 1):
        for name in rotated(list(arms), turn):
            rate = await arms[name].rate(address, scratch)
            if turn:
                rates[name].append(rate)
    return rates


def arms_for(few: int, many: int, *, producers: bool) -> dict[str, Arm]:
    """Return who is measured: with few writes where neo4j-agent-memory takes part, with many otherwise."""
    arms = {"loader": Arm(loader, many, many)}
    if rival_is_installed():
        arms["rival"] = Arm(rival_writer, few, few)
    for durability in DURABILITIES:
        ours = partial(perdure_writer, durability=durability)
        arms[f"few, {durability}"] = Arm(ours, few, few)
        arms[f"few, default room, {durability}"] = Arm(ours, few, DEFAULT_ROOM)
        arms[f"many, {durability}"] = Arm(ours, many, many)
        if producers:
            arms[f"one, {durability}"] = Arm(ours, many, DEFAULT_ROOM, chains=PRODUCERS)
            arms[f"fifty, {durability}"] = Arm(ours, many, DEFAULT_ROOM, chains=PRODUCERS, producers=PRODUCERS)
    return arms


def figures_of(rates: Rates, way: str, durability: Durability, few: int, many: int) -> list[Figure]:
    """Return what the rates say of one durability, beside each other."""

    def side(who: str, arm: str) -> Side:
        return Side(who, rates[arm], "/s")

    figures: list[Figure] = []
    way = f"{way}, {durability}"
    for arm, room in {"few": "", "few, default room": f", room for {DEFAULT_ROOM}"}.items():
        name = f"drain {few:,} writes, {way}{room}"
        target = TIMES_RIVAL if arm == "few" else None
        ours = side("Perdure", f"{arm}, {durability}")
        if "rival" in rates:
            figures.append(faster(name, ours, side(RIVAL, "rival"), target))
        else:
            figures.append(absent(name, f"{RIVAL} is not installed", ours))
    ours = side("Perdure", f"many, {durability}")
    figures.append(faster(f"drain {many:,} writes, {way}", ours, side(LOADER, "loader"), TIMES_LOADER))
    if f"fifty, {durability}" in rates:
        name = f"{PRODUCERS} producers, {many:,} writes, {way}, room for {DEFAULT_ROOM}"
        ours, one = side("Perdure", f"fifty, {durability}"), side("one producer", f"one, {durability}")
        figures.append(faster(name, ours, one, TIMES_ONE_PRODUCER))
    return figures


async def longer_by_ms(here: Address, away: Address) -> float:
    """Return how much longer a statement that does nothing takes over the proxy, the two ways taking turns."""
    times: tuple[list[float], list[float]] = ([], [])
    async with AsyncExitStack() as stack:
        drivers = [AsyncGraphDatabase.driver(address.uri, auth=address.auth) for address in (here, away)]
        sessions = [(await stack.enter_async_context(driver)).session() for driver in drivers]
        for _ in range(PINGS):
            for session, seconds in zip(sessions, times, strict=True):
                started = perf_counter()
                await (await session.run("RETURN 1")).consume()
                seconds.append(perf_counter() - started)
        for session in sessions:
            await session.close()
    return (percentile(times[1], 50) - percentile(times[0], 50)) * 1000


async def measure(run: Run) -> list[Figure]:
    """Measure on the server itself, and then with the proxy between."""
    if run.address is None:
        return [absent("drain", "no Neo4j server")]
    few, many, rounds = run.scaled(2000, 200), run.scaled(20_000, 4000), run.scaled(5, 2)
    figures: list[Figure] = []
    async with Scratch.open(run.address) as scratch:
        progress(f"drain: {rounds} rounds directly…")
        rates = await in_turns(arms_for(few, many, producers=True), run.address, scratch, rounds)
        for durability in DURABILITIES:
            figures += figures_of(rates, "direct", durability, few, many)
        with delayed(run.address.uri, ROUND_TRIP_MS) as uri:
            progress(f"drain: {rounds} rounds with {ROUND_TRIP_MS:g} ms of network…")
            away = run.address._replace(uri=uri)
            added = await longer_by_ms(run.address, away)
            figures.append(value("the proxy adds to each round trip", Side("the proxy", [added], "ms")))
            rates = await in_turns(arms_for(few, many, producers=False), away, scratch, rounds)
            for durability in DURABILITIES:
                figures += figures_of(rates, f"+{ROUND_TRIP_MS:g} ms", durability, few, many)
    return figures


if __name__ == "__main__":
    main(__doc__, [measure])
