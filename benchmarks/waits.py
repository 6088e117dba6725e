"""What an agent waits for its memory: 50 turns of 8 writes, one after the other, 1 ms of network away.

A turn's wait is the time from its first submit to the return of its last. Turns follow each other without a pause,
which is the hardest case: with the 200 places that are the default of both libraries the agent fills them and then
waits for the database; with room for everything it waits for nobody but the library itself, which either way takes
well under a millisecond a turn. Perdure keeps what it accepted in memory, or in its journal (durability "os").

    python -m benchmarks.waits [--quick] [--json FILE]
"""

import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter

from benchmarks.cli import Run, main
from benchmarks.contenders import (
    DEFAULT_ROOM,
    DURABILITIES,
    RIVAL,
    WARM_UP,
    Open,
    Writer,
    perdure_writer,
    rival_is_installed,
    rival_writer,
)
from benchmarks.delay_proxy import ROUND_TRIP_MS, delayed
from benchmarks.figures import Figure, Side, absent, percentile, progress, rotated, shorter
from benchmarks.scratch import Address, Scratch, Write
from perdure.records import Durability

TURNS = 50
WRITES_A_TURN = 8
TIMES_SHORTER = 20.0

Waits = Sequence[float]
"""Seconds, turn by turn."""
SUMMARIES: Mapping[str, tuple[str, Callable[[Waits], float]]] = {
    "total wait": ("ms", lambda waits: sum(waits) * 1e3),
    "p50 a turn": ("ms", lambda waits: percentile(waits, 50) * 1e3),
    "p99 a turn": ("ms", lambda waits: percentile(waits, 99) * 1e3),
}


@dataclass(frozen=True)
class Arm:
    """An agent: whose memory (Perdure's by its durability), and with how much room."""

    who: str
    open: Open
    room: int

    async def waits(self, address: Address, scratch: Scratch) -> Waits:
        """Live through the turns, and return what each waited."""
        writes = TURNS * WRITES_A_TURN
        async with scratch.plot() as plot, self.open(address, self.room) as writer:
            await writer.drain(plot.chain("warm", WARM_UP))
            all_writes = plot.chain("turns", writes)
            turns = [all_writes[start : start + WRITES_A_TURN] for start in range(0, writes, WRITES_A_TURN)]
            gc.collect()
            waits = [await wait_of_turn(writer, turn) for turn in turns]
            await writer.drain()
            await plot.verify(writes + WARM_UP)
        return waits


async def wait_of_turn(writer: Writer, turn: Sequence[Write]) -> float:
    """Submit one turn's writes, and return the seconds that took."""
    started = perf_counter()
    for statement, parameters in turn:
        await writer.submit(statement, parameters)
    return perf_counter() - started


async def measure(run: Run) -> list[Figure]:
    """Measure both libraries, with little room and with enough, in turns."""
    if run.address is None:
        return [absent("what an agent waits", "no Neo4j server")]
    rounds = run.scaled(5, 2)
    opens: dict[str, Open] = {RIVAL: rival_writer} if rival_is_installed() else {}
    opens |= {f"Perdure, {kept}": partial(perdure_writer, durability=kept) for kept in DURABILITIES}
    rooms = (DEFAULT_ROOM, TURNS * WRITES_A_TURN)
    arms = [Arm(who, open_, room) for room in rooms for who, open_ in opens.items()]
    waits: dict[Arm, list[Waits]] = {arm: [] for arm in arms}
    progress(f"waits: {rounds} rounds…")
    async with Scratch.open(run.address) as scratch:
        with delayed(run.address.uri, ROUND_TRIP_MS) as uri:
            for turn in range(rounds + 1):
                for arm in rotated(arms, turn):
                    seconds = await arm.waits(run.address._replace(uri=uri), scratch)
                    if turn:
                        waits[arm].append(seconds)
    return [figure for kept in DURABILITIES for room in rooms for figure in figures_of(room, kept, waits)]


def figures_of(room: int, kept: Durability, waits: Mapping[Arm, Sequence[Waits]]) -> list[Figure]:
    """Return the total, median and worst wait beside each other; the target is for the total, at little room."""
    figures: list[Figure] = []
    for what, (unit, summary) in SUMMARIES.items():
        name = f"{TURNS} turns of {WRITES_A_TURN} writes, +{ROUND_TRIP_MS:g} ms, {kept}, room for {room}: {what}"
        sides = {
            arm.who: Side(arm.who, [summary(turns) for turns in rounds], unit)
            for arm, rounds in waits.items()
            if arm.room == room
        }
        ours = sides[f"Perdure, {kept}"]
        if RIVAL in sides:
            target = TIMES_SHORTER if room == DEFAULT_ROOM and what == "total wait" else None
            figures.append(shorter(name, ours, sides[RIVAL], target))
        else:
            figures.append(absent(name, f"{RIVAL} is not installed", ours))
    return figures


if __name__ == "__main__":
    main(__doc__, [measure])
