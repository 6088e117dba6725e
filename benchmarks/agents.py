"""An agent's turn through typed calls, as Perdure and neo4j-agent-memory each take it, and what is in the graph then.

A turn is 2 messages, 1 trace, 4 steps and 4 tool calls that touch 2 entities each. The plain turn is these 11 calls.
The full one says as well that the user's message triggered the trace and the tool calls, writes each result into its
step as the observation, and completes the trace: 12 calls.
"""

import secrets
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from neo4j import AsyncGraphDatabase

from benchmarks.contenders import forget_marks
from benchmarks.scratch import CONTENT, Address
from perdure import MemoryClient, MemorySettings
from perdure.graph.typed import TypedMemory
from perdure.models import Entity
from perdure.records import Durability, WriteMode

STEPS = 4
TOUCHED = 2
TASK = "Find another day for the review."
RESULT = {"free": ["Thursday", "Friday"], "room": "B 12"}
COUNT_OURS = """
MATCH (t:Trace {owner: $owner})-[:HAS_STEP]->(s)-[:USED]->(k)-[:TOUCHED]->(e:Entity)
WITH count(DISTINCT t) AS traces, count(DISTINCT s) AS steps, count(DISTINCT k) AS calls, count(*) AS touched,
  count(DISTINCT CASE WHEN t.completed_at IS NOT NULL AND (t)-[:TRIGGERED_BY]->() AND (k)-[:TRIGGERED_BY]->()
                           AND s.observation IS NOT NULL THEN k END) AS whole
MATCH (c:Conversation {owner: $owner})-[:NEXT*]->(m:Message)
WITH count(DISTINCT m) AS messages, traces, steps, calls, touched, whole
RETURN [messages, traces, steps, calls, touched, whole] AS found"""
COUNT_THEIRS = """
MATCH (t:ReasoningTrace {session_id: $owner})-[:HAS_STEP]->(s)-[:USES_TOOL]->(k)
WITH t, s, k, COUNT { (s)-[:TOUCHED]->(:Entity) } AS touched
WITH count(DISTINCT t) AS traces, count(DISTINCT s) AS steps, count(DISTINCT k) AS calls, sum(touched) AS touched,
  count(DISTINCT CASE WHEN t.completed_at IS NOT NULL AND (t)-[:INITIATED_BY]->() AND (k)-[:TRIGGERED_BY]->()
                           AND s.observation IS NOT NULL THEN k END) AS whole
MATCH (c:Conversation {session_id: $owner})-[:HAS_MESSAGE]->(m:Message)
WITH count(DISTINCT m) AS messages, traces, steps, calls, touched, whole
RETURN [messages, traces, steps, calls, touched, whole] AS found"""
REMOVE_THEIRS = """
OPTIONAL MATCH (c:Conversation {session_id: $owner})-[:HAS_MESSAGE]->(m)
DETACH DELETE c, m WITH count(*) AS done
OPTIONAL MATCH (t:ReasoningTrace {session_id: $owner})-[:HAS_STEP]->(s)-[:USES_TOOL]->(k)-[:INSTANCE_OF]->(tool)
DETACH DELETE t, s, k, tool WITH count(*) AS done
MATCH (e:Entity) WHERE e.name STARTS WITH $owner DETACH DELETE e"""


@dataclass(frozen=True)
class Agent:
    """A connected memory with entities in it: takes turns, and can say whether what it took is in the graph."""

    turn: Callable[[], Awaitable[object]]
    settled: Callable[[], Awaitable[object]]
    found: Callable[[], Awaitable[Sequence[int]]]

    async def verify(self, turns: int, *, full: bool) -> None:
        """Raise RuntimeError unless exactly these turns are in the graph, whole."""
        expected = [2 * turns, turns, STEPS * turns, STEPS * turns, STEPS * TOUCHED * turns, STEPS * turns * full]
        found = await self.found()
        if list(found) != expected:
            raise RuntimeError(f"messages, traces, steps, calls, touched and links should be {expected}, are {found}")


class Open(Protocol):
    """Opens an agent on a server, whose turns are full ones or plain."""

    def __call__(self, address: Address, *, full: bool) -> AbstractAsyncContextManager[Agent]:
        """Open it."""
        ...


async def rows(address: Address, statement: str, owner: str) -> Any:
    """Run a statement about one owner, on a connection of its own, and return what it found."""
    async with AsyncGraphDatabase.driver(address.uri, auth=address.auth, notifications_min_severity="OFF") as driver:
        records = (await driver.execute_query(statement, owner=owner)).records
    return records[0]["found"] if records else []


def settings_for(address: Address, mode: WriteMode, durability: Durability, data_dir: str) -> MemorySettings:
    """Return Perdure's settings for a server, its defaults but for the write mode and the durability."""
    neo4j = {"uri": address.uri, "username": address.username, "password": address.password}
    return MemorySettings(neo4j=neo4j, memory={"write_mode": mode, "durability": durability}, data_dir=data_dir)


@asynccontextmanager
async def perdure_agent(
    address: Address, *, full: bool, mode: WriteMode, durability: Durability
) -> AsyncGenerator[Agent]:
    """Open Perdure, with its index, and give it its entities; what it holds is deleted at the end."""
    with tempfile.TemporaryDirectory(prefix="perdure-benchmark-") as data_dir:
        async with MemoryClient(settings_for(address, mode, durability, data_dir)) as client:
            user = f"benchmark-{secrets.token_hex(4)}"
            memory = client.scope(user_id=user)
            names = [f"{user} {number}" for number in range(STEPS * TOUCHED)]
            entities = [await memory.long_term.add_entity(name, "person") for name in names]
            owner = f'[null,"{user}"]'
            try:
                yield Agent(
                    lambda: perdure_turn(memory, user, entities, full=full),
                    client.flush,
                    lambda: rows(address, COUNT_OURS, owner),
                )
            finally:
                await client.users.delete(user)
        await forget_marks(address, Path(data_dir))


async def perdure_turn(memory: TypedMemory, session: str, entities: Sequence[Entity], *, full: bool) -> None:
    """Remember one turn with Perdure."""
    asked = await memory.short_term.add_message(session, "user", CONTENT)
    trigger = asked.id if full else None
    reasoning = memory.reasoning
    trace = await reasoning.start_trace(session, TASK, triggered_by=trigger)
    for number in range(STEPS):
        step = await reasoning.add_step(trace, thought=f"Who is free? ({number})", action="look into calendars")
        touched = entities[number * TOUCHED : (number + 1) * TOUCHED]
        await reasoning.record_tool_call(
            step, f"{session} calendar", {"day": number}, result=RESULT, duration_seconds=0.25, touched=touched,
            message_id=trigger, observation=str(RESULT) if full else None,
        )  # fmt: skip
    if full:
        await reasoning.complete_trace(trace, outcome="It is on Thursday.", success=True)
    await memory.short_term.add_message(session, "assistant", CONTENT)


@asynccontextmanager
async def rival_agent(address: Address, *, full: bool) -> AsyncGenerator[Agent]:
    """Open neo4j-agent-memory without its extractor and its embedder, and give it its entities."""
    from neo4j_agent_memory import MemoryClient as Rival  # noqa: PLC0415  may not be installed
    from neo4j_agent_memory import MemorySettings as RivalSettings  # noqa: PLC0415  may not be installed
    from neo4j_agent_memory import Neo4jConfig  # noqa: PLC0415  may not be installed
    from neo4j_agent_memory.config.settings import ExtractionConfig, ExtractorType  # noqa: PLC0415  as above
    from neo4j_agent_memory.schema.models import EntityRef  # noqa: PLC0415  as above

    config = Neo4jConfig(uri=address.uri, username=address.username, password=address.password or "none")
    settings = RivalSettings(neo4j=config, extraction=ExtractionConfig(extractor_type=ExtractorType.NONE))
    session = f"benchmark-{secrets.token_hex(4)}"
    async with Rival(settings, embedder=Unused()) as client:
        refs: list[Any] = []
        for number in range(STEPS * TOUCHED):
            entity, _ = await client.long_term.add_entity(
                f"{session} {number}", "PERSON", resolve=False, generate_embedding=False, deduplicate=False,
                geocode=False, enrich=False,
            )  # fmt: skip
            refs.append(EntityRef(id=str(entity.id), name=entity.name))
        try:
            yield Agent(
                lambda: rival_turn(client, session, refs, full=full),
                nothing,
                lambda: rows(address, COUNT_THEIRS, session),
            )
        finally:
            await rows(address, REMOVE_THEIRS, session)


async def rival_turn(client: Any, session: str, entities: Sequence[Any], *, full: bool) -> None:
    """Remember one turn with neo4j-agent-memory; its calls set relationships and properties as they are asked to."""
    spoken: dict[str, Any] = {"generate_embedding": False, "extraction_mode": "skip"}
    asked = await client.short_term.add_message(session, "user", CONTENT, **spoken)
    trigger = asked.id if full else None
    reasoning = client.reasoning
    trace = await reasoning.start_trace(session, TASK, generate_embedding=False, triggered_by_message_id=trigger)
    for number in range(STEPS):
        step = await reasoning.add_step(
            trace.id, thought=f"Who is free? ({number})", action="look into calendars", generate_embedding=False
        )
        touched = entities[number * TOUCHED : (number + 1) * TOUCHED]
        await reasoning.record_tool_call(
            step.id, f"{session} calendar", {"day": number}, result=RESULT, duration_ms=250, touched_entities=touched,
            message_id=trigger, auto_observation=full,
        )  # fmt: skip
    if full:
        await reasoning.complete_trace(trace.id, outcome="It is on Thursday.", success=True)
    await client.short_term.add_message(session, "assistant", CONTENT, **spoken)


async def nothing() -> None:
    """Wait for nothing: every call has waited for its own commit."""


class Unused:
    """An embedder that is there for the size of an index, and fails when it is asked for more."""

    dimensions = 256
    model = "unused"

    async def embed(self, text: str) -> list[float]:
        """Fail: no text is to be embedded."""
        raise AssertionError(text)

    async def embed_batch(self, texts: list[str]) -> list[list[float]]:
        """Fail: no text is to be embedded."""
        raise AssertionError(texts)
