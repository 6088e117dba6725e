"""The passes over the same conversation: every wait of the agent timed, and nothing left behind."""

import asyncio
import gc
import secrets
import tempfile
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Literal

from perdure import MemoryClient, MemorySettings
from perdure.demo.answers import Recall, recall
from perdure.demo.graphs import Graph, read_graph
from perdure.demo.proof import Proof, prove
from perdure.demo.remembering import BAD_PARAMETERS, BAD_STATEMENT, Agent
from perdure.demo.turns import Turn
from perdure.errors import PerdureError, StoreUnavailableError
from perdure.graph.scope import Scope
from perdure.records import WriteError, WriteStats

Mode = Literal["sync", "deferred"]
MODES: tuple[Mode, Mode] = ("sync", "deferred")
OnTurn = Callable[[], None]

MAX_PENDING = 1000
"""Room for the whole shipped conversation, so that the agent never waits for room."""
FLUSH_SECONDS = 120.0
SETTLING_SECONDS = 0.5
REHEARSED_TURNS = 15
"""Turns kept before the clock starts, so that a server's first planning of each statement is shown by itself."""
SERVER_VERSION = "CALL dbms.components() YIELD versions RETURN versions[0] AS version"
REMEMBERING = "remembering"
"""The user whose memory is asked."""
MARKS = "MATCH (k:_JournalMark) WHERE k.id STARTS WITH $journal DELETE k"
LOG = "MATCH (l:DemoLog) WHERE l.id STARTS WITH $run DETACH DELETE l"


@dataclass(frozen=True, slots=True)
class Pass:
    """What one pass over the conversation cost, and the graph it left."""

    waits: list[float]
    """Seconds the agent waited, turn by turn."""
    pending: int
    """Writes not yet committed when the last turn was over."""
    drain_seconds: float
    stats: WriteStats
    errors: list[WriteError]
    graph: Graph
    replaced: int
    """Facts that were superseded after the conversation."""
    server: str | None
    """The server's version; None for an embedded store."""
    rehearsal_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Run:
    """What the passes over one conversation found, and what was given to them."""

    uri: str | None
    turns: Sequence[Turn]
    sync: Pass
    deferred: Pass
    recall: Recall
    durability: str
    max_pending: int
    proof: Proof


def settings_for(mode: Mode, uri: str | None, directory: Path) -> MemorySettings:
    """Return the settings of a pass: a server's, or an embedded store's in a directory of its own."""
    memory = {"write_mode": mode, "max_pending": MAX_PENDING}
    if uri is not None:
        return MemorySettings(neo4j={"uri": uri}, store=None, data_dir=directory / mode, memory=memory)
    return MemorySettings(store=str(directory / mode), neo4j={"uri": None}, memory=memory)


async def run_demo(
    turns: Sequence[Turn], questions: Sequence[str], uri: str | None, on_turn: Callable[[Mode], OnTurn]
) -> Run:
    """Keep the conversation in both modes, remember it and ask, then kill an agent in mid-run; remove all of that.

    It is removed also when this is interrupted. `on_turn(mode)` is called as a pass begins, and what it returns after
    each turn. Raises PerdureError when the store cannot do its part.
    """
    run_id = f"perdure-demo-{secrets.token_hex(4)}"
    with tempfile.TemporaryDirectory(prefix="perdure-demo-") as directory:
        waiting, deferring = (settings_for(mode, uri, Path(directory)) for mode in MODES)
        async with removed_afterwards(waiting, run_id, Path(directory), needed=uri is not None):
            sync = await run_pass(waiting, turns, run_id, on_turn("sync"))
            deferred = await run_pass(deferring, turns, run_id, on_turn("deferred"))
            remembering = settings_for("deferred", uri, Path(directory) / REMEMBERING)
            recalled = await recall(remembering, turns, questions, Scope(tenant=run_id, user_id=REMEMBERING))
            proof = await prove(uri, Path(directory) / "killed", run_id)
    memory = deferring.memory
    return Run(uri, turns, sync, deferred, recalled, memory.durability, memory.max_pending, proof)


async def run_pass(settings: MemorySettings, turns: Sequence[Turn], run_id: str, on_turn: OnTurn) -> Pass:
    """Rehearse the first turns as another user, then keep all of them."""
    mode = settings.memory.write_mode
    tried = await keep_turns(settings, turns[:REHEARSED_TURNS], Scope(tenant=run_id, user_id=f"{mode}-rehearsal"))
    done = await keep_turns(settings, turns, Scope(tenant=run_id, user_id=mode), on_turn)
    return replace(done, rehearsal_seconds=sum(tried.waits) + tried.drain_seconds)


async def keep_turns(
    settings: MemorySettings,
    turns: Sequence[Turn],
    whose: Scope,
    on_turn: OnTurn | None = None,
) -> Pass:
    """Keep every turn, timed; drain, read back what is there, and settle. The deferred pass has a bad write in it."""
    waits: list[float] = []
    began = datetime.now(UTC)
    async with MemoryClient(settings) as client:
        memory = client.scope(tenant=whose.tenant, user_id=whose.user_id)
        agent = Agent(memory)
        gc.collect()  # what was loaded so far is not what the turns are timed for
        for number, turn in enumerate(turns):
            slip = client if settings.memory.write_mode == "deferred" and number == len(turns) // 2 else None
            waits.append(await wait_of_turn(agent, turn, slip))
            if on_turn is not None:
                on_turn()
        pending = client.buffered.pending
        drain_seconds = await drain(client)
        stats, errors = client.buffered.stats(), list(client.write_errors)
        graph = await read_graph(client, whose.owner, began)
        await agent.settle()
        return Pass(
            waits=waits,
            pending=pending,
            drain_seconds=drain_seconds,
            stats=stats,
            errors=errors,
            graph=graph,
            replaced=len(agent.replaced),
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


async def wait_of_turn(agent: Agent, turn: Turn, slip: MemoryClient | None) -> float:
    """Keep one turn, a bad write of `slip` before it, and return the seconds that took: what the agent waited."""
    started = perf_counter()
    if slip is not None:
        await slip.buffered.submit(BAD_STATEMENT, BAD_PARAMETERS)
    await agent.keep(turn)
    return perf_counter() - started


@asynccontextmanager
async def removed_afterwards(
    settings: MemorySettings, run_id: str, directory: Path, *, needed: bool
) -> AsyncGenerator[None]:
    """Remove everything that a run has written at the end, however the block ends; its journals are in `directory`.

    Not needed for an embedded store, whose whole directory goes. The connection is made first: where it cannot be,
    nothing is written, and nothing has to be removed.
    """
    if not needed:
        yield
        return
    async with MemoryClient(settings) as cleaner:
        try:
            yield
        except BaseException as error:
            await remove(cleaner, run_id, directory, error)
            raise
        await remove(cleaner, run_id, directory, None)


async def remove(cleaner: MemoryClient, run_id: str, directory: Path, reason: BaseException | None) -> None:
    """Forget the users of the run's tenant, the killed agent's log, and how far the journals were.

    Where that fails, it says how to do it by hand: in a note on `reason`, the error that ended the run, or by raising
    StoreUnavailableError. After such an end it deletes twice: a write that was under way may be committed when nobody
    waits for it any more.
    """
    try:
        for pause in (0.0,) if reason is None else (0.0, SETTLING_SECONDS):
            await asyncio.sleep(pause)
            for user in (f"{name}{of}" for name in (*MODES, REMEMBERING) for of in ("", "-rehearsal")):
                await cleaner.users.delete(user, tenant=run_id)
            await cleaner.buffered.submit(LOG, {"run": run_id})
            for identity in journal_identities(directory):
                await cleaner.buffered.submit(MARKS, {"journal": f"{identity}/"})
    except PerdureError as error:
        by_hand = (
            f"Run this yourself: MATCH (n) WHERE n.owner STARTS WITH '[\"{run_id}\"' OR n.id STARTS WITH '{run_id}' "
            "DETACH DELETE n"
        )
        if reason is None:
            raise StoreUnavailableError(f"The demo's nodes were not removed: {error.message}", hint=by_hand) from error
        reason.add_note(f"The demo's nodes were not removed. {by_hand}")


def journal_identities(directory: Path) -> list[str]:
    """Return the names under which the journals below a directory are known to the graph."""
    from perdure.journal.sqlite.inspection import journals, look  # noqa: PLC0415  POSIX only

    found = [look(path) for root in directory.rglob("journal") for path in journals(root)]
    return [state.contents.identity for state in found if state.contents is not None]
