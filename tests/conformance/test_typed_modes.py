"""What the write modes have in common, and what deferred mode adds."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from perdure import InputError, MemoryClient, MemorySettings, NotFoundError, QueueFullError, StoreUnavailableError
from perdure.graph import writing
from perdure.testing import FakeGraphStore

NOON = datetime(2025, 5, 1, 12, tzinfo=UTC)
GRAPH = (
    "MATCH (n) WHERE n.owner STARTS WITH $mine OPTIONAL MATCH (n)-[r]->(m) "
    "RETURN labels(n)[0] AS l, coalesce(n.content, n.task, n.thought, n.tool_name, n.session_id) AS a, "
    "n.step_number AS s, type(r) AS t, labels(m)[0] AS k, "
    "coalesce(m.content, m.task, m.thought, m.tool_name, m.session_id) AS b"
)


async def script(memory):
    """Do what an agent does, in an order that leaves nothing to chance."""
    asked = await memory.short_term.add_message("s", "user", "asked", created_at=NOON)
    await memory.short_term.add_messages(
        "s", [{"role": "tool", "content": str(n), "created_at": NOON - timedelta(hours=n)} for n in range(3)]
    )
    late = await memory.short_term.add_message("s", "user", "late", created_at=NOON - timedelta(minutes=90))
    ada = await memory.long_term.add_entity("Ada", "person", aliases=["Countess"])
    await memory.long_term.add_entity("Babbage", "person")
    await memory.long_term.add_relationship(ada, "KNOWS", "babbage")
    old = await memory.long_term.add_fact("countess", "lives in", "London")
    await memory.long_term.supersede_fact(old, await memory.long_term.add_fact("Ada", "lives in", "Ockham"))
    await memory.long_term.add_preference("food", "rice")
    async with memory.reasoning.trace("s", "task", triggered_by=asked.id) as trace:
        steps = [await memory.reasoning.add_step(trace, thought=f"step {n}") for n in range(3)]
        await memory.reasoning.record_tool_call(
            steps[1], "tool", {"x": 1}, observation="o", message_id=asked.id, touched=[ada, "babbage"]
        )
    await memory.short_term.delete_message(late.id)
    await memory.short_term.add_message("t", "user", "gone")
    await memory.short_term.clear_session("t")
    await memory.short_term.add_message("s", "assistant", "answered", created_at=NOON + timedelta(hours=1))


async def test_one_script_leaves_the_same_graph_in_every_mode(graph, client_of, nothing_blocks):
    """B40: the same nodes, relationships and numbers; and the event loop is never blocked."""
    left = {}
    for mode in ("sync", "buffered", "deferred"):
        async with client_of(graph, write_mode=mode, durability="memory") as client:
            tenant = f"{graph.lane()} {mode}"
            await script(client.scope(tenant=tenant))
            await client.flush()
            rows = await client.query.cypher(GRAPH, {"mine": f'["{tenant}"'})
            left[mode] = sorted(map(repr, rows))
            await graph.store.write(
                "MATCH (n) WHERE n.owner STARTS WITH $mine DETACH DELETE n", {"mine": f'["{tenant}"'}
            )
            assert list(client.write_errors) == []
    assert left["sync"] == left["buffered"] == left["deferred"]
    assert len(left["sync"]) > 30


async def test_a_read_sees_what_the_same_client_wrote(typed):
    """B41: at once, message by message, in the session it asks for and in lists."""
    for n in range(10):
        await typed.ada.short_term.add_message("s", "user", str(n))
        conversation = await typed.ada.short_term.get_conversation("s", limit=3)
        assert conversation.messages[-1].content == str(n)
    await typed.ada.short_term.add_message("t", "user", "x")
    assert [session.session_id for session in await typed.ada.short_term.list_sessions()] == ["s", "t"]
    trace = await typed.ada.reasoning.start_trace("s", "task")
    assert await typed.ada.reasoning.list_traces() == [trace]


# -- over a store that waits when it is told to


@asynccontextmanager
async def deferred_over(store):
    settings = MemorySettings(store=store)
    settings.memory.write_mode, settings.memory.durability = "deferred", "memory"
    async with MemoryClient(settings) as client:
        yield client


async def test_deferred_calls_return_while_the_store_stands_still():
    """B41: whole models, with ids and numbers, and nothing committed yet."""
    store = FakeGraphStore(lambda *_: [])
    async with deferred_over(store) as client:
        store.hold()
        message = await client.short_term.add_message("s", "user", "x", user_id="ada")
        trace = await client.reasoning.start_trace("s", "task", triggered_by=message.id, user_id="ada")
        steps = [await client.reasoning.add_step(trace, thought="y") for _ in range(3)]
        call = await client.reasoning.record_tool_call(steps[0], "search", {"q": 1}, message_id=message.id)
        done = await client.reasoning.complete_trace(trace, outcome="done", success=True)
        assert [step.step_number for step in steps] == [1, 2, 3]
        assert (call.step_id, done.id, done.outcome) == (steps[0].id, trace.id, "done")
        assert client.buffered.pending == 7
        assert store.committed == []
        store.release()
    assert len(store.committed) == 7


async def test_what_is_queued_stays_as_it_was_given():
    """B30, B41: neither the caller's values nor the model that was returned are part of it."""
    store = FakeGraphStore(lambda *_: [])
    async with deferred_over(store) as client:
        store.hold()
        aliases, metadata, result = ["Bob"], {"tags": ["a"]}, {"free": ["Thursday"]}
        entity = await client.long_term.add_entity("Robert", "person", aliases=aliases, attributes=metadata)
        message = await client.short_term.add_message("s", "user", "x", metadata=metadata, tool_calls=[metadata])
        trace = await client.reasoning.start_trace("s", "task", metadata=metadata)
        step = await client.reasoning.add_step(trace)
        call = await client.reasoning.record_tool_call(step, "look", result, result=result, touched=[entity])
        queued = repr(queued_in(client))
        for each in (aliases, entity.aliases, metadata["tags"], result["free"], call.result["free"], call.touched):
            each.append("changed")
        for each in (message, trace):
            each.metadata["tags"].append("changed")
        assert repr(queued_in(client)) == queued
        store.release()
    assert "changed" not in repr(store.committed)


def queued_in(client):
    """Return the parameters of what a client has queued."""
    return [receipt.entry.parameters for lane in client.buffered._acceptance.lanes for receipt in lane.queue]


async def test_a_read_waits_for_its_own_session_only():
    """B41: what is on its way elsewhere is not waited for."""
    store = FakeGraphStore(lambda *_: [])
    async with deferred_over(store) as client:
        store.hold(lambda _, parameters: parameters.get("conversation", "").endswith("slow"))
        await client.short_term.add_message("slow", "user", "x")
        await client.short_term.add_message("quick", "user", "x")
        await client.short_term.get_conversation("quick")
        slow = asyncio.create_task(client.short_term.get_conversation("slow"))
        listing = asyncio.create_task(client.short_term.list_sessions())
        others = await client.short_term.list_sessions(user_id="somebody else")
        await store.arrived()
        assert others == []
        assert not slow.done()
        assert not listing.done()
        store.release()
        await asyncio.gather(slow, listing)


async def test_sync_typed_calls_are_one_transaction_each():
    """M13, T8: with their owner and all their links; the index has its own questions, later."""
    asked = []

    def answer(statement, parameters):
        if "$owner" not in statement:
            return []  # to the index, which asks in the background, and for nobody's memory
        asked.append(statement)
        return [{"id": "x"}]

    store = FakeGraphStore(answer)
    async with MemoryClient(MemorySettings(store=store)) as client:
        await client.short_term.add_message("s", "user", "x")
        await client.short_term.add_messages("s", [{"role": "user", "content": "x"}] * 5)
        await client.reasoning.start_trace("s", "task", triggered_by="m")
    assert len(asked) == 3


async def test_a_deferred_write_without_room_is_refused_and_leaves_no_gap():
    """M11: the next step has the number of the one that was refused."""
    store = FakeGraphStore(lambda statement, _: [TRACE] if statement.startswith("MATCH (t:Trace {id") else [])
    settings = MemorySettings(store=store)
    settings.memory.write_mode, settings.memory.durability = "deferred", "memory"
    settings.memory.on_full, settings.memory.max_pending = "raise", 2
    async with MemoryClient(settings) as client:
        store.hold()
        trace = await client.reasoning.start_trace("s", "task")
        first = await client.reasoning.add_step(trace)
        with pytest.raises(QueueFullError):
            await client.reasoning.add_step(trace)
        store.release()
        second = await client.reasoning.add_step(trace)
    assert (first.step_number, second.step_number) == (1, 2)


TRACE = {"t": {"public_id": "t", "conversation": "c", "session_id": "s", "task": "task", "step_count": 1,
               "started_at": NOON}}  # fmt: skip


async def test_what_an_earlier_process_left_is_seen(tmp_path, client_of, embedded_graph):
    """T7: a journaled typed write carries its scope, and the next client reads behind it."""

    def client():
        made = client_of(embedded_graph, write_mode="deferred")
        made.settings.data_dir = tmp_path
        return made

    first = client()
    await first.connect()
    embedded_graph.store.apply, apply = never, embedded_graph.store.apply
    await first.short_term.add_message("s", "user", "kept", user_id="ada")
    report = await first.close(timeout=0)
    embedded_graph.store.apply = apply
    assert report.kept
    assert report.unsettled == 1
    async with client() as second:
        assert (await second.short_term.get_conversation("s", user_id="bob")).messages == []
        assert [m.content for m in (await second.short_term.get_conversation("s", user_id="ada")).messages] == ["kept"]


async def never(batch):
    await asyncio.Event().wait()


# -- bad input


@pytest.mark.parametrize(
    "call",
    [
        lambda m: m.short_term.add_message("", "user", "x"),
        lambda m: m.short_term.add_message(" s", "user", "x"),
        lambda m: m.short_term.add_message("s" * 513, "user", "x"),
        lambda m: m.short_term.add_message(1, "user", "x"),
        lambda m: m.short_term.add_message("s\0", "user", "x"),
        lambda m: m.short_term.add_message("s", "robot", "x"),
        lambda m: m.short_term.add_message("s", ["user"], "x"),
        lambda m: m.short_term.add_message("s", "user", None),
        lambda m: m.short_term.add_message("s", "user", "\ud800"),
        lambda m: m.short_term.add_message("s", "user", "x", id=" "),
        lambda m: m.short_term.add_message("s", "user", "x", created_at=NOON.replace(tzinfo=None)),
        lambda m: m.short_term.add_message("s", "user", "x", created_at="2025-01-01"),
        lambda m: m.short_term.add_message("s", "user", "x", metadata={"x": b"bytes"}),
        lambda m: m.short_term.add_message("s", "user", "x", metadata={"x": {1, 2}}),
        lambda m: m.short_term.add_message("s", "user", "x", metadata={1: 2}),
        lambda m: m.short_term.add_message("s", "user", "x", metadata=CYCLE),
        lambda m: m.short_term.add_message("s", "user", "x", metadata=[1]),
        lambda m: m.short_term.add_message("s", "user", "x", user_id=""),
        lambda m: m.short_term.add_message("s", "user", "x", user_id=" ada"),
        lambda m: m.short_term.add_message("s", "user", "x", user_id=7),
        lambda m: m.short_term.add_message("s", "user", "x", owner="ada"),
        lambda m: m.short_term.add_messages("s", ["x"]),
        lambda m: m.short_term.add_messages("s", [{"role": "user", "content": "x", "text": "y"}]),
        lambda m: m.short_term.add_messages("s", [{"role": "user", "content": "x", "id": "same"}] * 2),
        lambda m: m.short_term.add_messages("s", [{"role": "user", "content": "x"}, {"role": "user"}]),
        lambda m: m.short_term.get_conversation("s", limit=0),
        lambda m: m.short_term.get_conversation("s", limit=-1),
        lambda m: m.short_term.get_conversation("s", limit=True),
        lambda m: m.short_term.get_conversation("s", since=NOON.replace(tzinfo=None)),
        lambda m: m.short_term.list_sessions(offset=-1),
        lambda m: m.short_term.delete_message(""),
        lambda m: m.short_term.clear_session("s", agent_id="planner"),
        lambda m: m.reasoning.start_trace("s", 7),
        lambda m: m.reasoning.start_trace("s", "x", triggered_by=" "),
        lambda m: m.reasoning.add_step(""),
        lambda m: m.reasoning.add_step("t", thought=1),
        lambda m: m.reasoning.record_tool_call("s", " "),
        lambda m: m.reasoning.record_tool_call("s", "x", object()),
        lambda m: m.reasoning.record_tool_call("s", "x", duration_seconds=-1),
        lambda m: m.reasoning.record_tool_call("s", "x", duration_seconds=float("nan")),
        lambda m: m.reasoning.record_tool_call("s", "x", touched="Ada"),
        lambda m: m.reasoning.record_tool_call("s", "x", touched=[7]),
        lambda m: m.reasoning.complete_trace("t", success="yes"),
        lambda m: m.reasoning.list_traces(limit=0),
    ],
)
@pytest.mark.parametrize("mode", ["sync", "deferred"])
async def test_bad_input_is_refused_before_anything_is_sent(call, mode):
    """T11: with an InputError; the store here refuses to be asked anything."""
    store = FakeGraphStore()
    settings = MemorySettings(store=store)
    settings.memory.write_mode, settings.memory.durability = mode, "memory"
    async with MemoryClient(settings) as client:
        with pytest.raises(InputError) as refused:
            await call(client)
        assert "Cypher" not in refused.value.message
        assert client.buffered.pending == 0
    assert store.committed == []


CYCLE = {}
CYCLE["self"] = CYCLE


async def test_a_read_does_not_wait_for_ever_for_its_own_writes(monkeypatch):
    """B41: in an outage it says so, and what is queued stays queued."""
    store = FakeGraphStore(lambda *_: [])
    monkeypatch.setattr(writing, "SECONDS_TO_SETTLE", 0.05)
    async with deferred_over(store) as client:
        store.hold()
        await client.short_term.add_message("s", "user", "x")
        with pytest.raises(StoreUnavailableError, match="own writes"):
            await client.short_term.get_conversation("s")
        assert client.buffered.pending == 1
        store.release()
    assert len(store.committed) == 1


async def test_the_id_of_one_kind_is_not_that_of_another(graph, client_of):
    """M12: a trace is no message and no step, though this client knows it."""
    for mode in ("sync", "deferred"):
        async with client_of(graph, write_mode=mode, durability="memory") as client:
            ada = client.scope(tenant=f"{graph.lane()} {mode}")
            trace = await ada.reasoning.start_trace("s", "task")
            message = await ada.short_term.add_message("s", "user", "x")
            step = await ada.reasoning.add_step(trace)
            for attempt in (
                ada.reasoning.add_step(step.id),
                ada.reasoning.add_step(message.id),
                ada.reasoning.record_tool_call(trace.id, "x"),
                ada.reasoning.record_tool_call(step, "x", message_id=trace.id),
                ada.reasoning.start_trace("s", "x", triggered_by=trace.id),
            ):
                with pytest.raises(NotFoundError):
                    await attempt
            assert list(client.write_errors) == []
            await client.flush()
            mine = {"mine": f'["{graph.lane()} {mode}"'}
            await graph.store.write("MATCH (n) WHERE n.owner STARTS WITH $mine DETACH DELETE n", mine)
