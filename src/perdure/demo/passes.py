"""The two passes over the same conversation: every wait of the agent timed, and nothing left behind."""

import asyncio
import gc
import secrets
import tempfile
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from time import perf_counter
from typing import Literal

from perdure import MemoryClient, MemorySettings
from perdure.demo.graphs import REMOVE, Graph, expected_graph, read_graph
from perdure.demo.proof import Proof, prove
from perdure.demo.statements import LABELS, Write, bad_write, turn_writes, with_bad_write
from perdure.demo.turns import Turn
from perdure.errors import PerdureError, StoreUnavailableError
from perdure.records import WriteError, WriteStats

Mode = Literal["sync", "buffered"]
MODES: tuple[Mode, Mode] = ("sync", "buffered")
OnTurn = Callable[[], None]

MAX_PENDING = 1000
"""Room for the whole shipped conversation, so that the agent never waits for room."""
FLUSH_SECONDS = 120.0
SETTLING_SECONDS = 0.5
REHEARSED_TURNS = 15
"""Turns written before the clock starts, so that a server's first planning of each statement is shown by itself."""
SERVER_VERSION = "CALL dbms.components() YIELD versions RETURN versions[0] AS version"


@dataclass(frozen=True, slots=True)
class Pass:
    """What one pass over the conversation cost, and the graph it left."""

    mode: Mode
    waits: list[float]
    """Seconds the agent waited, turn by turn."""
    pending: int
    """Writes not yet committed when the last turn was over."""
    drain_seconds: float
    stats: WriteStats
    errors: list[WriteError]
    graph: Graph
    server: str | None
    """The server's version; None for an embedded store."""
    rehearsal_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Run:
    """Both passes, and the graph that the writes describe."""

    uri: str | None
    turns: int
    writes: int
    expected: Graph
    sync: Pass
    buffered: Pass
    durability: str
    max_pending: int
    proof: Proof


def settings_for(mode: Mode, uri: str | None, directory: Path) -> MemorySettings:
    """Return the settings of a pass: a server's, or an embedded store's in a directory of its own."""
    memory = {"write_mode": mode, "max_pending": MAX_PENDING}
    if uri is not None:
        return MemorySettings(neo4j={"uri": uri}, store=None, data_dir=directory / mode, memory=memory)
    return MemorySettings(store=str(directory / mode), neo4j={"uri": None}, memory=memory)


async def run_demo(turns: Sequence[Turn], uri: str | None, on_turn: Callable[[Mode], OnTurn]) -> Run:
    """Write the conversation in both modes, then kill an agent in mid-run; remove all of it, also when interrupted.

    `on_turn(mode)` is called as a pass begins, and what it returns after each turn. Raises PerdureError when the
    store cannot do its part.
    """
    run_id = f"perdure-demo-{secrets.token_hex(4)}"
    with tempfile.TemporaryDirectory(prefix="perdure-demo-") as directory:
        waiting, buffering = (settings_for(mode, uri, Path(directory)) for mode in MODES)
        async with removed_afterwards(waiting, f"{run_id}-sync-", needed=uri is not None) as prefix:
            sync = await run_pass("sync", waiting, turns, prefix, on_turn("sync"))
        async with removed_afterwards(waiting, f"{run_id}-buffered-", needed=uri is not None) as prefix:
            buffered = await run_pass("buffered", buffering, turns, prefix, on_turn("buffered"))
        async with removed_afterwards(waiting, f"{run_id}-killed", needed=uri is not None) as name:
            proof = await prove(uri, Path(directory) / "killed", name)
    every = list(chain.from_iterable(turn_writes(turns, "")))
    expected, memory = expected_graph(every), buffering.memory
    return Run(uri, len(turns), len(every), expected, sync, buffered, memory.durability, memory.max_pending, proof)


async def run_pass(mode: Mode, settings: MemorySettings, turns: Sequence[Turn], prefix: str, on_turn: OnTurn) -> Pass:
    """Rehearse the first turns, then write all of them; the buffered pass has the bad write in its middle."""
    rehearsal, real = f"{prefix}rehearsal-", f"{prefix}real-"
    tried = await write_turns(mode, settings, pass_writes(mode, turns[:REHEARSED_TURNS], rehearsal), rehearsal)
    done = await write_turns(mode, settings, pass_writes(mode, turns, real), real, on_turn)
    return replace(done, rehearsal_seconds=sum(tried.waits) + tried.drain_seconds)


def pass_writes(mode: Mode, turns: Sequence[Turn], prefix: str) -> list[list[Write]]:
    """Return the writes of a pass; in sync mode the bad one would raise where it is submitted, and is left out."""
    writes = turn_writes(turns, prefix)
    return with_bad_write(writes, bad_write(prefix)) if mode == "buffered" else writes


async def write_turns(
    mode: Mode, settings: MemorySettings, turns: Sequence[list[Write]], prefix: str, on_turn: OnTurn | None = None
) -> Pass:
    """Submit every turn's writes, timed, then drain, then read back what is there under `prefix`."""
    waits: list[float] = []
    async with MemoryClient(settings) as client:
        gc.collect()  # what was loaded so far is not what the turns are timed for
        for writes in turns:
            waits.append(await wait_of_turn(client, writes))
            if on_turn is not None:
                on_turn()
        pending = client.buffered.pending
        drain_seconds = await drain(client)
        return Pass(
            mode=mode,
            waits=waits,
            pending=pending,
            drain_seconds=drain_seconds,
            stats=client.buffered.stats(),
            errors=list(client.write_errors),
            graph=await read_graph(client, prefix),
            server=None if settings.neo4j.uri is None else await server_version(client),
        )


async def drain(client: MemoryClient) -> float:
    """Wait until everything is committed and return the seconds that took; raises StoreUnavailableError."""
    started = perf_counter()
    summary = await client.flush(timeout=FLUSH_SECONDS)
    if not summary.complete:
        raise StoreUnavailableError(
            f"{summary.unsettled} writes were not committed within {FLUSH_SECONDS:.0f} s.",
            hint="Check that the database answers, and run the demo again.",
        )
    return perf_counter() - started


async def server_version(client: MemoryClient) -> str:
    """Return the version the server gives itself."""
    rows = await client.query.cypher(SERVER_VERSION)
    return str(rows[0]["version"])


async def wait_of_turn(client: MemoryClient, writes: Sequence[Write]) -> float:
    """Submit one turn's writes and return the seconds that took: what the agent waited."""
    started = perf_counter()
    for write in writes:
        await client.buffered.submit(write.statement, write.parameters, key=write.key)
    return perf_counter() - started


@asynccontextmanager
async def removed_afterwards(settings: MemorySettings, prefix: str, *, needed: bool) -> AsyncGenerator[str, None]:
    """Remove everything whose id begins with `prefix` at the end, however the block ends.

    Not needed for an embedded store, whose whole directory goes. The connection is made first: where it cannot be,
    nothing is written, and nothing has to be removed.
    """
    if not needed:
        yield prefix
        return
    async with MemoryClient(settings) as cleaner:
        try:
            yield prefix
        except BaseException as error:
            await remove(cleaner, prefix, error)
            raise
        await remove(cleaner, prefix, None)


async def remove(cleaner: MemoryClient, prefix: str, reason: BaseException | None) -> None:
    """Delete what the demo wrote under `prefix`; where that fails, say how to do it by hand.

    That goes into a note on `reason`, the error that ended the run, or is raised as StoreUnavailableError. After such
    an end it deletes twice: a write that was under way may be committed when nobody waits for it any more.
    """
    try:
        for pause in (0.0,) if reason is None else (0.0, SETTLING_SECONDS):
            await asyncio.sleep(pause)
            for label in (*LABELS, "DemoLog"):
                await cleaner.buffered.submit(REMOVE.format(label=label), {"prefix": prefix})
    except PerdureError as error:
        by_hand = f"Run this yourself: MATCH (n) WHERE n.id STARTS WITH '{prefix}' DETACH DELETE n"
        if reason is None:
            raise StoreUnavailableError(f"The demo's nodes were not removed: {error.message}", hint=by_hand) from error
        reason.add_note(f"The demo's nodes were not removed. {by_hand}")
