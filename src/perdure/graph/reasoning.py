"""Reasoning memory: how an agent went about a task, step by step, with the tools it used."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC
from typing import Any, Literal, Unpack

import anyio

from perdure import ids
from perdure.errors import NotFoundError, PerdureError, shorten
from perdure.graph import checks
from perdure.graph.rows import call_of, kept, properties, record, trace_of
from perdure.graph.scope import Scope, ScopeIds, check_id
from perdure.graph.search import question, search
from perdure.graph.short_term import session
from perdure.graph.statements import load
from perdure.graph.touched import Touched
from perdure.graph.writing import Graph, Parent
from perdure.models import Entity, Hit, ReasoningStep, ToolCall, ToolStats, Trace
from perdure.plain import encode
from perdure.telemetry import WRITES

TEXTS = load("reasoning")
SECONDS_TO_RECORD = 5.0
LONGEST_OUTCOME = 2_000


class ReasoningMemory:
    """Traces of tasks: steps numbered from 1 without gaps, and the tool calls of each.

    Every call takes `user_id`, `agent_id`, `run_id` and `tenant`, which say whose memory it is about. Where a trace or
    a step is asked for, its id will do, or the record itself, which knows its owner.
    """

    def __init__(self, graph: Graph, bound: Scope) -> None:
        self._graph = graph
        self._bound = bound

    async def start_trace(
        self,
        session_id: str,
        task: str,
        *,
        triggered_by: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        **scope: Unpack[ScopeIds],
    ) -> Trace:
        """Begin to record how a task is done, and return the trace. `triggered_by` is the id of a message.

        Raises NotFoundError when there is no such message.
        """
        whose = self._graph.scope(self._bound, scope)
        trace = Trace(
            id=ids.uuid7(), session_id=check_id("session_id", session_id), task=checks.text("task", task),
            triggered_by=None if triggered_by is None else check_id("triggered_by", triggered_by),
            metadata=checks.plain_map("metadata", metadata), started_at=ids.now(), **whose.ids(),
        )  # fmt: skip
        lane = whose.key(session_id)
        message = await self._message(whose, triggered_by, lane)
        rows = await self._graph.write(
            whose, TEXTS["start_trace"], lane=lane, id=whose.key(trace.id), conversation=lane, message=message,
            session=session(whose, session_id, trace.started_at), trace=properties(trace, "steps"),
        )  # fmt: skip
        if rows == []:
            raise NotFoundError(f"There is no message {shorten(repr(triggered_by), 60)} that could have triggered it.")
        if self._graph.deferred:
            mine = Parent(lane, session_id, whose.agent_id, whose.run_id, trace=trace)
            self._graph.known.add("trace", whose.key(trace.id), mine)
        return self._graph.recorded(trace)

    async def _message(self, whose: Scope, message_id: str | None, lane: str) -> str | None:
        """Return a message's key; before a write is queued, the message has to be in the graph or in its lane."""
        if message_id is None:
            return None
        key = whose.key(check_id("message_id", message_id))
        known = self._graph.known.get("message", key)
        if self._graph.deferred and known is None:
            if not await self._graph.read(whose, TEXTS["message_is_there"], id=key):
                raise NotFoundError(f"There is no message {shorten(repr(message_id), 60)}.")
        elif known is not None and known.lane != lane:
            await self._graph.settled(whose.owner, known.lane)
        return key

    async def add_step(
        self,
        trace: str | Trace,
        *,
        thought: str | None = None,
        action: str | None = None,
        observation: str | None = None,
        **scope: Unpack[ScopeIds],
    ) -> ReasoningStep:
        """Add the next step to a trace, and return it with its number.

        Raises NotFoundError when there is no such trace. In deferred mode the number is the one it will have unless
        another client adds to the same trace at the same time; the stored numbers are without gaps in any case.
        """
        whose = self._graph.scope(self._bound, scope, trace)
        trace_id = check_id("trace", trace.id if isinstance(trace, Trace) else trace)
        parts: dict[str, Any] = {
            "id": ids.uuid7(), "thought": checks.optional("thought", thought),
            "action": checks.optional("action", action), "observation": checks.optional("observation", observation),
            "created_at": ids.now(), "tenant": whose.tenant, "user_id": whose.user_id,
        }  # fmt: skip
        given = {"trace": whose.key(trace_id), "id": whose.key(parts["id"]), "step": kept(parts)}
        if self._graph.deferred:
            found = await self._queue_step(whose, trace_id, given)
        else:
            rows = await self._graph.write_now(whose, TEXTS["add_step"], **given)
            if not rows:
                raise _no("trace", trace_id)
            [found] = rows
        return self._graph.recorded(ReasoningStep(trace_id=trace_id, **parts, **found))

    async def _queue_step(self, whose: Scope, trace_id: str, given: dict[str, Any]) -> dict[str, Any]:
        """Queue a step, and return what it will have from its trace."""
        parent = await self._parent(whose, "trace", trace_id)
        parent.steps += 1
        number = parent.steps
        try:
            await self._graph.write(whose, TEXTS["add_step"], lane=parent.lane, **given)
        except BaseException:
            self._graph.known.forget("trace", given["trace"])  # nobody can tell which number the next one has
            raise
        mine = Parent(parent.lane, parent.session_id, parent.agent_id, parent.run_id, trace_id)
        self._graph.known.add("step", given["id"], mine)
        return {"step_number": number, "agent_id": parent.agent_id, "run_id": parent.run_id}

    async def _parent(self, whose: Scope, kind: Literal["trace", "step"], public_id: str) -> Parent:
        """Return what is known of a trace or a step, looking it up where it is not; raises NotFoundError."""
        key = whose.key(public_id)
        parent = self._graph.known.get(kind, key)
        if parent is None:
            rows = await self._graph.read(whose, TEXTS["trace" if kind == "trace" else "step"], id=key)
            if not rows:
                raise _no(kind, public_id)
            [node] = rows[0].values()
            parent = self._graph.known.add(kind, key, Parent(
                node["conversation"], node["session_id"], node.get("agent_id"), node.get("run_id"),
                node.get("trace_id", ""), node.get("step_count", 0), trace_of(node) if kind == "trace" else None,
            ))  # fmt: skip
        if not parent.within(whose):
            raise _no(kind, public_id)
        return parent

    async def record_tool_call(  # noqa: PLR0913  the parts of a tool call
        self,
        step: str | ReasoningStep,
        tool_name: str,
        arguments: Any = None,
        *,
        result: Any = None,
        status: str = "success",
        duration_seconds: float | None = None,
        error: str | None = None,
        observation: str | None = None,
        touched: Sequence[str | Entity] = (),
        message_id: str | None = None,
        **scope: Unpack[ScopeIds],
    ) -> ToolCall:
        """Record one use of a tool within a step, and return it.

        In the same transaction the step gets its `observation`, and the call its links to the message that asked for
        it and to the entities it was about: names, aliases, ids or Entity objects. Arguments and result are JSON-like
        values and datetimes. Raises NotFoundError when the step, the message or an entity is not there.
        """
        whose = self._graph.scope(self._bound, scope, step)
        step_id = check_id("step", step.id if isinstance(step, ReasoningStep) else step)
        parts: dict[str, Any] = {
            "id": ids.uuid7(), "tool_name": checks.filled("tool_name", tool_name),
            "status": checks.filled("status", status), "error": checks.optional("error", error),
            "duration_seconds": checks.seconds("duration_seconds", duration_seconds),
            "message_id": None if message_id is None else check_id("message_id", message_id),
            "created_at": ids.now(), "tenant": whose.tenant, "user_id": whose.user_id,
        }  # fmt: skip
        values, texts = checks.plain_texts(arguments=arguments, result=result)
        about = Touched(whose, touched)
        given = {
            "id": whose.key(parts["id"]), "step": whose.key(step_id), "entities": about.keys, "names": about.names,
            "queued": [], "observation": checks.optional("observation", observation), "call": kept(parts) | texts,
        }  # fmt: skip
        if self._graph.deferred:
            found = await self._queue_call(whose, step_id, message_id, about, given)
        else:
            message = await self._message(whose, message_id, "")
            rows = await self._graph.write_now(whose, TEXTS["record_tool_call"], message=message, **given)
            if not rows:
                raise NotFoundError(
                    f"There is no step {shorten(repr(step_id), 60)}, or not the message or an entity it is about.",
                    hint="Add entities first; ids are found within their owner only.",
                )
            found = dict[str, Any](rows[0], touched=sorted(set(rows[0]["touched"])))
        return self._graph.recorded(ToolCall(step_id=step_id, **parts, **values, **found))

    async def _queue_call(
        self, whose: Scope, step_id: str, message_id: str | None, about: Touched, given: dict[str, Any]
    ) -> dict[str, Any]:
        """Queue a tool call, and return what it will have from its step and from what it touched."""
        parent = await self._parent(whose, "step", step_id)
        message = await self._message(whose, message_id, parent.lane)
        touched = await about.ids(self._graph)
        given["queued"] = self._graph.known.queued_entities([whose.key(each) for each in touched])
        await self._graph.write(whose, TEXTS["record_tool_call"], lane=parent.lane, message=message, **given)
        return {"touched": touched, "agent_id": parent.agent_id, "run_id": parent.run_id}

    async def complete_trace(
        self,
        trace: str | Trace,
        *,
        outcome: str | None = None,
        success: bool | None = None,
        metadata: Mapping[str, Any] | None = None,
        **scope: Unpack[ScopeIds],
    ) -> Trace:
        """Say how a task ended, and return its trace without the steps; metadata are laid over those it began with.

        Raises NotFoundError when there is no such trace. A trace that is completed again has the last outcome.
        """
        whose = self._graph.scope(self._bound, scope, trace)
        trace_id = check_id("trace", trace.id if isinstance(trace, Trace) else trace)
        ending = {"outcome": checks.optional("outcome", outcome), "success": checks.flag("success", success),
                  "completed_at": ids.now()}  # fmt: skip
        return await self._complete(whose, trace_id, ending, checks.plain_map("metadata", metadata), if_open=False)

    async def _complete(
        self, whose: Scope, trace_id: str, ending: dict[str, Any], metadata: dict[str, Any], *, if_open: bool
    ) -> Trace:
        given: dict[str, Any] = {"id": whose.key(trace_id), "if_open": if_open, "completion": dict(ending)}
        if metadata:
            given["completion"]["completed_metadata"] = encode(metadata)
        if not self._graph.deferred:
            rows = await self._graph.write_now(whose, TEXTS["complete_trace"], **given)
            if not rows:
                raise _no("trace", trace_id)
            return self._graph.recorded(_trace(rows[0]))
        parent = await self._parent(whose, "trace", trace_id)
        await self._graph.write(whose, TEXTS["complete_trace"], lane=parent.lane, **given)
        if parent.trace is None:
            raise _no("trace", trace_id)
        if not (if_open and parent.trace.completed_at):
            ending["metadata"] = {**parent.trace.metadata, **metadata}
            parent.trace = parent.trace.model_copy(update=ending)
        return self._graph.recorded(parent.trace)

    @asynccontextmanager
    async def trace(
        self,
        session_id: str,
        task: str,
        *,
        triggered_by: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        **scope: Unpack[ScopeIds],
    ) -> AsyncGenerator[Trace]:
        """Record a task for the length of a block: success at its end, or the exception that left it.

        What `complete_trace` said inside the block stays. When the ending cannot be recorded after an exception, that
        is logged, and the exception is the one that leaves.
        """
        trace = await self.start_trace(session_id, task, triggered_by=triggered_by, metadata=metadata, **scope)
        whose = self._graph.scope(self._bound, scope, trace)
        try:
            yield trace
        except BaseException as error:
            with anyio.move_on_after(SECONDS_TO_RECORD, shield=True):
                await self._record_failure(whose, trace, error)
            raise
        await self._complete(whose, trace.id, {"success": True, "completed_at": ids.now()}, {}, if_open=True)

    async def _record_failure(self, whose: Scope, trace: Trace, error: BaseException) -> None:
        outcome = shorten(f"{type(error).__name__}: {error}", LONGEST_OUTCOME)
        ending = {"outcome": outcome, "success": False, "completed_at": ids.now()}
        try:
            await self._complete(whose, trace.id, ending, {}, if_open=True)
        except PerdureError as failure:
            WRITES.warning("the failure of trace %s could not be recorded: %s", trace.id, type(failure).__name__)

    async def get_trace(self, trace: str | Trace, **scope: Unpack[ScopeIds]) -> Trace | None:
        """Return a trace with its steps and their tool calls, or None."""
        whose = self._graph.scope(self._bound, scope, trace)
        trace_id = check_id("trace", trace.id if isinstance(trace, Trace) else trace)
        key = whose.key(trace_id)
        known = self._graph.known.get("trace", key)
        lane = known.lane if known else None
        found = await self._graph.records(_trace, whose, TEXTS["trace"], lane=lane, id=key)
        if not found:
            return None
        calls: dict[str, list[ToolCall]] = {}
        for call in await self._graph.records(_call, whose, TEXTS["tool_calls_of"], lane=lane, trace=key):
            calls.setdefault(call.step_id, []).append(call)

        def step(row: dict[str, Any]) -> ReasoningStep:
            return record(ReasoningStep, row["s"], tool_calls=calls.get(row["s"].get("public_id"), []))

        steps = await self._graph.records(step, whose, TEXTS["steps_of"], lane=lane, trace=key)
        return found[0].model_copy(update={"steps": steps})

    async def list_traces(
        self,
        session_id: str | None = None,
        *,
        success: bool | None = None,
        limit: int = 100,
        offset: int = 0,
        **scope: Unpack[ScopeIds],
    ) -> list[Trace]:
        """Return traces, newest first and without their steps, of one session or of all the owner's."""
        whose = self._graph.scope(self._bound, scope)
        page: dict[str, Any] = {"limit": checks.limit(limit), "offset": checks.limit(offset, "offset", 0),
                "success": checks.flag("success", success)}  # fmt: skip
        if session_id is None:
            return await self._graph.records(_trace, whose, TEXTS["traces"], **page)
        lane = whose.key(check_id("session_id", session_id))
        return await self._graph.records(
            _trace, whose, TEXTS["traces_of_session"], lane=lane, conversation=lane, **page
        )

    async def search_traces(
        self,
        query: str,
        *,
        success: bool | None = None,
        limit: int = 10,
        threshold: float | None = None,
        **scope: Unpack[ScopeIds],
    ) -> list[Hit[Trace]]:
        """Return the traces, without their steps, whose tasks are most like a query, best first.

        `threshold` is the least cosine, from 0 to 1, between the two. Raises InputError for a blank query.
        """
        whose = self._graph.scope(self._bound, scope)
        where = {"$success": checks.flag("success", success)}
        asked = question(("trace",), query, limit=limit, threshold=threshold, where=where)
        return await search(self._graph, whose, asked)

    async def get_tool_stats(self, tool_name: str | None = None, **scope: Unpack[ScopeIds]) -> list[ToolStats]:
        """Return what the recorded tool calls say about each tool, in order of their names."""
        whose = self._graph.scope(self._bound, scope)
        rows = await self._graph.read(whose, TEXTS["tool_stats"], tool_name=checks.optional("tool_name", tool_name))
        return [
            ToolStats(
                **{**row, "last_used_at": row["last_used_at"].astimezone(UTC)}, failures=row["calls"] - row["successes"]
            )
            for row in rows
        ]


def _trace(row: dict[str, Any]) -> Trace:
    return trace_of(row["t"])


def _call(row: dict[str, Any]) -> ToolCall:
    return call_of(row["k"])


def _no(kind: str, public_id: str) -> NotFoundError:
    return NotFoundError(
        f"There is no {kind} {shorten(repr(public_id), 60)}.",
        hint=f"Ids are found within their owner: pass its user_id, or the {kind} itself.",
    )
