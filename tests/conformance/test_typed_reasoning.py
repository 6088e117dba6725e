"""Reasoning memory: traces, steps and tool calls, on both stores and in every write mode."""

import asyncio
from collections import Counter
from datetime import UTC, datetime

import pytest

from perdure import NotFoundError
from perdure.models import ReasoningStep, Trace

AWKWARD = {"list": [1, 2.5, None, {"a": []}], "text": "🎉\0`'", "at": datetime(2025, 1, 1, tzinfo=UTC), "$perdure": 1}
VALUES = [AWKWARD, [], {}, None, "", 0, False, 2.5, "text", [[1], ["a"]]]


async def test_steps_are_numbered_without_gaps_under_fifty_writers(typed):
    """M11: and each step that was returned has the number that is stored."""
    trace = await typed.ada.reasoning.start_trace("s", "task")
    made = await asyncio.gather(*(typed.ada.reasoning.add_step(trace, thought=str(n)) for n in range(50)))
    found = await typed.ada.reasoning.get_trace(trace)
    assert [step.step_number for step in found.steps] == list(range(1, 51))
    assert sorted(made, key=lambda step: step.step_number) == found.steps


async def test_an_unknown_parent_is_not_found(typed):
    """M12, M17: at the call, in every mode, and nothing is written."""
    unknown = "01890a5d-ac96-774b-bcce-b302099a8057"
    calls = [
        typed.ada.reasoning.add_step(unknown, thought="x"),
        typed.ada.reasoning.record_tool_call(unknown, "search"),
        typed.ada.reasoning.complete_trace(unknown, outcome="x", success=True),
        typed.ada.reasoning.start_trace("s", "task", triggered_by=unknown),
    ]
    for call in calls:
        with pytest.raises(NotFoundError):
            await call
    step = await typed.ada.reasoning.add_step(await typed.ada.reasoning.start_trace("s", "task"))
    for links in ({"message_id": unknown}, {"touched": [unknown]}, {"touched": ["Nobody"]}):
        with pytest.raises(NotFoundError):
            await typed.ada.reasoning.record_tool_call(step, "search", **links)
    assert [(label, count) for _, label, count in await typed.contents()] == [
        ("Conversation", 1), ("ReasoningStep", 1), ("Trace", 1),
    ]  # fmt: skip
    assert await typed.ada.reasoning.get_trace(unknown) is None


async def test_a_parent_of_an_earlier_client_is_found(typed, client_of):
    """M12: what this client did not make itself is looked up, and the steps count on."""
    trace = await typed.ada.reasoning.start_trace("s", "task")
    step = await typed.ada.reasoning.add_step(trace, thought="first")
    await typed.client.flush()
    async with client_of(typed.graph, write_mode=typed.mode, durability="memory") as other:
        ada = other.scope(tenant=typed.tenant, user_id="ada")
        second, third = [await ada.reasoning.add_step(trace.id, thought=text) for text in ("second", "third")]
        call = await ada.reasoning.record_tool_call(step.id, "search", {"q": 1})
        done = await ada.reasoning.complete_trace(trace.id, outcome="done", success=True)
        found = await ada.reasoning.get_trace(trace.id)
    assert [second.step_number, third.step_number] == [2, 3]
    assert found.steps == [step.model_copy(update={"tool_calls": [call]}), second, third]
    assert done == found.model_copy(update={"steps": []})


async def test_a_tool_call_is_recorded_whole(typed):
    """M13, M14: with its message, the step's observation, and any JSON-like value; read back as it was returned."""
    message = await typed.ada.short_term.add_message("s", "user", "look it up")
    trace = await typed.ada.reasoning.start_trace("s", "task", triggered_by=message.id, metadata=AWKWARD)
    step = await typed.ada.reasoning.add_step(trace, thought="t", action="a")
    made = [
        await typed.ada.reasoning.record_tool_call(
            step, "search", value, result=value, duration_seconds=0.5, observation=f"saw {n}", message_id=message.id
        )
        for n, value in enumerate(VALUES)
    ]
    assert [call.arguments for call in made] == [call.result for call in made] == VALUES
    failed = await typed.ada.reasoning.record_tool_call(step, "search", status="error", error="boom")
    found = await typed.ada.reasoning.get_trace(trace)
    assert found.metadata == AWKWARD == trace.metadata
    assert found.triggered_by == message.id
    assert found.steps == [
        step.model_copy(update={"observation": f"saw {len(made) - 1}", "tool_calls": [*made, failed]})
    ]
    links = await typed.rows(
        "MATCH (a)-[:TRIGGERED_BY]->(m:Message {id: $key}) RETURN labels(a)[0] AS l",
        key=f'["{typed.tenant}","ada"]{message.id}',
    )
    assert Counter(row["l"] for row in links) == {"ToolCall": len(made), "Trace": 1}


async def test_tool_statistics_are_what_the_tool_calls_say(typed):
    """M15: under fifty writers, with nobody counting."""
    traces = await asyncio.gather(*(typed.ada.reasoning.start_trace(f"s{n % 5}", "task") for n in range(10)))
    steps = await asyncio.gather(*(typed.ada.reasoning.add_step(trace) for trace in traces))
    await asyncio.gather(
        *(
            typed.ada.reasoning.record_tool_call(
                steps[n % 10], f"tool {n % 3}", status="error" if n % 4 == 0 else "success", duration_seconds=n or None
            )
            for n in range(50)
        )
    )
    stats = {each.tool_name: each for each in await typed.ada.reasoning.get_tool_stats()}
    assert list(stats) == ["tool 0", "tool 1", "tool 2"]
    for number, name in enumerate(stats):
        mine = [n for n in range(50) if n % 3 == number]
        timed = [n for n in mine if n]
        assert stats[name].calls == len(mine)
        assert stats[name].failures == len([n for n in mine if n % 4 == 0]) == len(mine) - stats[name].successes
        assert stats[name].mean_seconds == pytest.approx(sum(timed) / len(timed))
    assert await typed.ada.reasoning.get_tool_stats("tool 1") == [stats["tool 1"]]
    assert await typed.ada.reasoning.get_tool_stats("no such tool") == await typed.bob.reasoning.get_tool_stats() == []


async def test_a_block_records_its_success_or_the_exception_that_left_it(typed):
    """And what was said inside the block stays."""
    async with typed.ada.reasoning.trace("s", "good") as good:
        await typed.ada.reasoning.add_step(good, thought="x")
    with pytest.raises(ZeroDivisionError):
        async with typed.ada.reasoning.trace("s", "bad") as bad:
            1 / 0  # noqa: B018
    async with typed.ada.reasoning.trace("s", "said") as said:
        await typed.ada.reasoning.complete_trace(said, outcome="by hand", success=False, metadata={"k": 1})
    found = [await typed.ada.reasoning.get_trace(trace) for trace in (good, bad, said)]
    assert [(trace.success, trace.outcome) for trace in found] == [
        (True, None), (False, "ZeroDivisionError: division by zero"), (False, "by hand"),
    ]  # fmt: skip
    assert all(trace.completed_at >= trace.started_at for trace in found)
    assert found[2].metadata == {"k": 1}


async def test_a_cancelled_block_is_recorded_as_such(typed):
    """The cancellation goes on, and what was recorded says so."""
    started = asyncio.Event()

    async def work():
        async with typed.ada.reasoning.trace("s", "task"):
            started.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    [trace] = await typed.ada.reasoning.list_traces("s")
    assert trace.success is False
    assert trace.outcome.startswith("CancelledError")


async def test_traces_are_listed_newest_first(typed):
    """Of a session or of all, by success, page by page."""
    made = [await typed.ada.reasoning.start_trace(f"s{n % 2}", str(n)) for n in range(4)]
    await typed.ada.reasoning.complete_trace(made[3], success=True)

    async def tasks(*session, **asked):
        return [trace.task for trace in await typed.ada.reasoning.list_traces(*session, **asked)]

    assert await tasks() == ["3", "2", "1", "0"]
    assert await tasks("s0") == ["2", "0"]
    assert await tasks(limit=2, offset=1) == ["2", "1"]
    assert await tasks(success=True) == ["3"]
    assert await tasks("s1", success=False) == []


async def test_records_can_stand_for_their_ids(typed):
    """T4: a trace and a step know whose they are, so that a call without a scope finds them; another's does not."""
    trace = await typed.ada.reasoning.start_trace("s", "task", agent_id="planner")
    step = await typed.client.reasoning.add_step(trace, thought="x")
    call = await typed.client.reasoning.record_tool_call(step, "search")
    assert isinstance(trace, Trace)
    assert isinstance(step, ReasoningStep)
    assert (call.user_id, call.agent_id, call.tenant) == ("ada", "planner", typed.tenant)
    for attempt in (
        typed.bob.reasoning.add_step(trace),
        typed.bob.reasoning.record_tool_call(step, "search"),
        typed.bob.reasoning.complete_trace(trace),
    ):
        with pytest.raises(NotFoundError):
            await attempt
    with pytest.raises(NotFoundError):
        await typed.ada.reasoning.add_step(trace, agent_id="somebody else")


async def test_a_deferred_write_whose_parent_is_gone_fails_loudly(graph, client_of):
    """M12: what another client deleted meanwhile; nothing vanishes without a word, and what follows goes on."""
    async with client_of(graph, write_mode="deferred", durability="memory") as client:
        scope = {"tenant": graph.lane(), "user_id": "ada"}
        trace = await client.reasoning.start_trace("s", "task", **scope)
        step = await client.reasoning.add_step(trace)
        await client.flush()
        await graph.store.write("MATCH (n:Trace) WHERE n.public_id = $id DETACH DELETE n", {"id": trace.id})
        await client.reasoning.add_step(trace, thought="lost")
        await client.reasoning.record_tool_call(step, "search")
        summary = await client.flush()
        assert [error.error.code for error in client.write_errors] == ["statement_rejected"]
        assert "the trace is not there" in str(client.write_errors[0].error)
        assert summary.failed == 1
        assert [letter.code for letter in await client.buffered.dead_letters.list()] == ["statement_rejected"]
        await graph.store.write(
            "MATCH (n) WHERE n.owner STARTS WITH $mine DETACH DELETE n", {"mine": f'["{graph.lane()}"'}
        )
