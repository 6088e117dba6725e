"""Whose memory: nobody meets anybody else's, on both stores and in every write mode."""

import json
import os
import random

import pytest

from perdure import InputError, NotFoundError
from perdure.graph import entities, facts, reasoning, short_term

SAME = "the same id"


async def fill(memory, words):
    """Write one of everything, under ids that others use as well; return the trace's and the step's ids."""
    await memory.short_term.add_message("s", "user", words, id=SAME)
    trace = await memory.reasoning.start_trace("s", words, triggered_by=SAME)
    step = await memory.reasoning.add_step(trace, thought=words)
    await memory.reasoning.record_tool_call(step, words, words)
    return trace.id, step.id


async def seen(memory, traces=(), steps=()):
    """Return every text that a scope can read, through every reader there is."""
    conversation = await memory.short_term.get_conversation("s")
    newest = await memory.short_term.get_conversation("s", limit=5)
    found = [message.content for message in conversation.messages + newest.messages]
    one = await memory.short_term.get_message(SAME)
    found += [one.content] if one else []
    listed = await memory.reasoning.list_traces() + await memory.reasoning.list_traces("s")
    for trace in [*traces, *(trace.id for trace in listed)]:
        whole = await memory.reasoning.get_trace(trace)
        if whole:
            found += [whole.task, *(step.thought for step in whole.steps)]
            found += [call.arguments for step in whole.steps for call in step.tool_calls]
    found += [stats.tool_name for stats in await memory.reasoning.get_tool_stats()]
    return set(found)


async def test_two_users_never_meet(typed):
    """T2, T3: the same ids and the same session, and each sees their own; whoever names nobody sees nobody's."""
    owners = {
        "ada": typed.ada,
        "bob": typed.bob,
        "nobody": typed.client.scope(tenant=typed.tenant),
        "other ada": typed.client.scope(tenant=f'{typed.tenant}"', user_id="ada"),
    }
    ids = {words: await fill(memory, words) for words, memory in owners.items() if words != "other ada"}
    traces = [trace for trace, _ in ids.values()]
    for words, memory in owners.items():
        assert await seen(memory, traces) == ({words} if words in ids else set())
    assert len(await typed.contents()) == 15


async def test_ids_of_another_owner_are_not_there(typed):
    """T4, T5: for reading, appending, linking, changing and deleting; and nothing of theirs has changed."""
    trace, step = await fill(typed.ada, "ada")
    message = await typed.ada.short_term.add_message("s", "user", "ada")
    before = await typed.contents()
    mine = await typed.bob.reasoning.start_trace("s", "bob")
    mine_step = await typed.bob.reasoning.add_step(mine)
    assert await typed.bob.short_term.get_message(message.id) is None
    assert await typed.bob.short_term.delete_message(message.id) is False
    assert await typed.bob.reasoning.get_trace(trace) is None
    for attempt in (
        typed.bob.reasoning.add_step(trace),
        typed.bob.reasoning.record_tool_call(step, "x"),
        typed.bob.reasoning.complete_trace(trace, success=True),
        typed.bob.reasoning.start_trace("s", "x", triggered_by=message.id),
        typed.bob.reasoning.record_tool_call(mine_step, "x", message_id=message.id),
    ):
        with pytest.raises(NotFoundError):
            await attempt
    assert await typed.bob.short_term.clear_session("s") == 2
    assert await typed.contents() == before
    assert (await typed.ada.reasoning.get_trace(trace)).success is None


async def test_agent_and_run_narrow_within_an_owner(typed):
    """T2: given, they have to match; not given, they do not narrow; and an owner stays one."""
    planner = typed.ada.scope(agent_id="planner")
    await planner.short_term.add_message("s", "user", "planned", run_id="r1")
    await typed.ada.short_term.add_message("s", "user", "coded", agent_id="coder")
    trace = await planner.reasoning.start_trace("s", "task")

    async def read(memory, **scope):
        return [message.content for message in (await memory.short_term.get_conversation("s", **scope)).messages]

    assert await read(typed.ada) == ["planned", "coded"]
    assert await read(planner) == await read(typed.ada, agent_id="planner") == await read(planner, run_id="r1")
    assert await read(planner) == ["planned"]
    assert await read(planner, run_id="r2") == await read(typed.ada, agent_id="nobody") == []
    assert [each.id for each in await planner.reasoning.list_traces()] == [trace.id]
    assert await typed.ada.reasoning.list_traces(agent_id="coder") == []
    with pytest.raises(NotFoundError):
        await typed.ada.reasoning.add_step(trace.id, agent_id="coder")
    step = await typed.ada.reasoning.add_step(trace.id)
    assert step.agent_id == "planner"
    with pytest.raises(InputError, match="agent_id"):
        await planner.short_term.get_conversation("s", agent_id="coder")


async def test_sharing_is_writing_under_a_scope_without_a_user(typed):
    """T10: whoever is to see it reads that scope; a user's own scope does not show it."""
    everybody = typed.client.scope(tenant=typed.tenant)
    await everybody.short_term.add_message("news", "system", "for all")
    assert (await typed.ada.short_term.get_conversation("news")).messages == []
    assert len((await everybody.short_term.get_conversation("news")).messages) == 1


@pytest.mark.parametrize("strict", [True, False])
async def test_strict_mode_refuses_a_call_without_a_scope(typed_graph, client_of, strict):
    """T1: before any I/O; the store is closed here, and would say so."""
    graph, mode = typed_graph
    async with client_of(graph, write_mode=mode, durability="memory", multi_tenant=strict) as client:
        calls = [
            client.short_term.get_conversation("s"),
            client.short_term.get_message("m"),
            client.short_term.list_sessions(),
            client.reasoning.list_traces(),
            client.reasoning.get_trace("t"),
            client.reasoning.get_tool_stats(),
        ]
        writes = [
            client.short_term.add_message("s", "user", "x"),
            client.short_term.add_messages("s", [{"role": "user", "content": "x"}]),
            client.short_term.delete_message("m"),
            client.short_term.clear_session("s"),
            client.reasoning.start_trace("s", "x"),
            client.reasoning.add_step("t"),
            client.reasoning.record_tool_call("s", "x"),
            client.reasoning.complete_trace("t"),
        ]
        for call in calls + writes if strict else calls:
            if strict:
                with pytest.raises(InputError, match="whose memory"):
                    await call
            else:
                await call
        if not strict:
            for call in writes:
                call.close()
        assert (await client.short_term.get_conversation("s", user_id=graph.lane())).messages == []


# -- generated scopes, with a control

ROUNDS = int(os.environ.get("PERDURE_TEST_ROUNDS", "300"))
TENANTS = USERS = (None, "a", "b", '"', "a,b")


async def read_everything(client, choose, rounds):
    """Read under many scopes, and return how many records came back that are not their owner's."""
    leaks = 0
    for _ in range(rounds):
        scope = {"tenant": choose.choice(TENANTS), "user_id": choose.choice(USERS)}
        narrow = {"agent_id": choose.choice((None, None, "x")), "run_id": choose.choice((None, None, "y"))}
        memory = client.scope(**scope, **narrow)
        how = choose.randrange(9)
        if how == 0:
            records = (await memory.short_term.get_conversation("s", limit=choose.choice((None, 3)))).messages
        elif how == 1:
            records = await memory.short_term.list_sessions(prefix=choose.choice((None, "s")))
        elif how == 2:
            records = await memory.reasoning.list_traces(choose.choice((None, "s")))
        elif how == 3:
            records = filter(None, [await memory.short_term.get_message(SAME)])
        elif how == 4:
            records = filter(None, [await memory.long_term.get_entity(choose.choice(("grace", "g")))])
        elif how == 5:
            records = await memory.long_term.get_facts_about("grace", include_expired=choose.choice((True, False)))
        elif how == 6:
            records = await memory.long_term.get_preferences(category=choose.choice((None, "c")))
        elif how == 7:
            grace = await memory.long_term.get_entity("grace")
            near = await memory.long_term.get_related(grace.id, depth=2) if grace else []
            records = [each.entity for each in near] + [each.relationship for each in near]
        else:
            listed = await memory.reasoning.list_traces(limit=1)
            whole = await memory.reasoning.get_trace(listed[0].id) if listed else None
            records = [whole, *whole.steps] if whole else []
        leaks += sum((each.tenant, each.user_id) != (scope["tenant"], scope["user_id"]) for each in records)
    return leaks


async def test_generated_scopes_do_not_leak_and_would_without_the_owner_clause(graph, client_of, monkeypatch):
    """T2, T12: over owners with the same ids; the control takes the clause out of the statements."""
    choose = random.Random(5)
    async with client_of(graph) as client:
        for tenant in TENANTS:
            for user in USERS:
                memory = client.scope(tenant=tenant, user_id=user)
                await memory.short_term.add_message("s", "user", "words", id=SAME, agent_id=choose.choice((None, "x")))
                trace = await memory.reasoning.start_trace("s", "words", run_id=choose.choice((None, "y")))
                await memory.reasoning.add_step(trace)
                grace = await memory.long_term.add_entity("Grace", "person", aliases=["g"])
                await memory.long_term.add_relationship(grace, "SERVED", await memory.long_term.add_entity("N", "ship"))
                await memory.long_term.add_fact("Grace", "is", "N", run_id=choose.choice((None, "y")))
                await memory.long_term.add_preference("c", "words", agent_id=choose.choice((None, "x")))
        assert await read_everything(client, choose, ROUNDS) == 0
        for module in (short_term, reasoning, entities, facts):
            leaky = {name: without_the_clause(text) for name, text in module.TEXTS.items()}
            monkeypatch.setattr(module, "TEXTS", leaky)
        assert await read_everything(client, choose, 100) > 0
        monkeypatch.undo()
        for tenant in TENANTS:
            for user in USERS:
                owner = "[{},{}]".format(*(json.dumps(each) for each in (tenant, user)))
                await graph.store.write("MATCH (n) WHERE n.owner = $owner DETACH DELETE n", {"owner": owner})


def without_the_clause(text):
    """Return a reading statement that names the owner and does not care."""
    for clause in ("{owner: $owner}", ".owner = $owner"):
        text = text.replace(clause, "" if clause[0] == "{" else ".owner = coalesce($owner, '') OR true")
    return f"{text} // $owner" if "$owner" in text else text.replace("RETURN", "WITH *, $owner AS unused RETURN", 1)
