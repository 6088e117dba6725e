"""Forgetting a user, and carrying memory from one place to another."""

import asyncio

import pytest

from perdure import InputError


async def live(memory):
    """Write a bit of everything; return what a reader sees of it."""
    entity = await memory.long_term.add_entity("Grace", "person", aliases=["Amazing"], attributes={"born": 1906})
    await memory.long_term.add_entity("Navy", "organisation")
    await memory.long_term.add_relationship(entity, "SERVED_IN", "navy", attributes={"rank": [1, "x"]})
    old = await memory.long_term.add_fact("Grace", "lives in", "Lisbon")
    await memory.long_term.supersede_fact(old, await memory.long_term.add_fact("amazing", "lives in", "Porto"))
    await memory.long_term.add_preference("drinks", "tea")
    asked, gone = await memory.short_term.add_messages(
        "s", [{"role": "user", "content": text, "metadata": {"n": 1}} for text in ("asked", "gone")]
    )
    trace = await memory.reasoning.start_trace("s", "task", triggered_by=asked.id, metadata={"a": 1})
    steps = [await memory.reasoning.add_step(trace, thought=str(n)) for n in range(3)]
    await memory.reasoning.record_tool_call(steps[1], "search", {"q": 1}, touched=[entity, "navy"], message_id=asked.id)
    await memory.reasoning.record_tool_call(steps[2], "search", message_id=gone.id, duration_seconds=0.5)
    await memory.reasoning.complete_trace(trace, outcome="done", success=True, metadata={"b": 2})
    await memory.short_term.delete_message(gone.id)


async def seen(memory):
    traces = [await memory.reasoning.get_trace(trace) for trace in await memory.reasoning.list_traces()]
    grace = await memory.long_term.get_entity("amazing")
    return [
        (await memory.short_term.get_conversation("s")).messages,
        traces,
        grace and grace.model_copy(update={"updated_at": grace.created_at}),
        await memory.long_term.get_facts_about("Grace", include_expired=True),
        grace and [(each.relationship, each.depth) for each in await memory.long_term.get_related(grace)],
        await memory.long_term.get_preferences(),
    ]


async def test_a_user_is_forgotten_with_all_that_is_queued_and_nobody_else(typed):
    """T9: the report is what is gone."""
    await asyncio.gather(live(typed.ada), live(typed.bob))
    mine = typed.client.scope(tenant=typed.tenant)
    await mine.users.upsert("ada", name="Ada")
    before = await typed.contents()
    await asyncio.gather(*(typed.ada.short_term.add_message("s", "user", str(n)) for n in range(20)))
    report = await mine.users.delete("ada")
    assert report.model_dump() == {
        "users": 1, "conversations": 1, "messages": 21, "traces": 1, "steps": 3, "tool_calls": 2, "entities": 2,
        "names": 5, "facts": 2, "preferences": 1, "memories": 0, "history": 0, "speakers": 0, "accepted": 0,
        "dead_letters": 0,
    }  # fmt: skip
    assert report.total == 39
    assert await typed.contents() == [row for row in before if row[0] == f'["{typed.tenant}","bob"]']
    assert (await mine.users.delete("ada")).total == 0
    assert (await seen(typed.ada))[:2] == [[], []]
    await typed.ada.short_term.add_message("s", "user", "anew")
    assert len(await typed.chain("s")) == 1


async def test_users_can_be_noted_changed_and_listed(typed):
    """M24: those of a tenant; what is not given stays."""
    mine = typed.client.scope(tenant=typed.tenant)
    made = await mine.users.upsert("ada", name="Ada", metadata={"k": [1]})
    await mine.users.upsert("bob")
    changed = await mine.users.upsert("ada", metadata={"k": 2})
    assert (changed.name, changed.metadata, changed.created_at) == ("Ada", {"k": 2}, made.created_at)
    assert await mine.users.get("ada") == changed
    assert await mine.users.get("eve") is None
    assert [user.user_id for user in await mine.users.list()] == ["ada", "bob"]
    assert [user.user_id for user in await mine.users.list(limit=1, offset=1)] == ["bob"]
    for attempt in (mine.users.get(""), typed.ada.users.get("bob"), mine.scope(agent_id="x").users.get("ada")):
        with pytest.raises(InputError):
            await attempt


async def test_an_export_holds_everything_and_can_be_written_again(typed, tmp_path, nothing_blocks):
    """M25, T9: under the same ids, for the same owner or another; repeated it changes nothing."""
    await live(typed.ada)
    mine = typed.client.scope(tenant=typed.tenant)
    old = await typed.ada.long_term.add_preference("sweets", "cake")
    await typed.ada.long_term.supersede_preference(old, await typed.ada.long_term.add_preference("sweets", "none"))
    before = await seen(typed.ada)
    links, noted = await superseding(typed), await mine.users.upsert("ada", name="Ada", metadata={"k": [1]})
    count = await mine.users.export("ada", tmp_path / "ada.jsonl")
    assert count == await typed.ada.export(str(tmp_path / "same.jsonl")) == 18
    assert (tmp_path / "ada.jsonl").read_text() == (tmp_path / "same.jsonl").read_text()
    report = await mine.users.delete("ada")
    assert report.total - report.names - report.conversations == count - 3  # what links others goes with them
    assert await typed.client.import_(tmp_path / "ada.jsonl") == count
    assert await seen(typed.ada) == before
    assert await superseding(typed) == links
    assert (await mine.users.get("ada")).created_at == noted.created_at
    contents = await typed.contents()
    assert await typed.ada.import_(tmp_path / "ada.jsonl") == count
    assert await typed.contents() == contents
    await typed.bob.import_(tmp_path / "ada.jsonl")
    assert [(label, n) for owner, label, n in await typed.contents() if '"bob"' in owner] == [
        (label, n) for owner, label, n in contents if '"ada"' in owner
    ]
    assert await typed.chain("s", "bob") == await typed.chain("s", "ada")


async def superseding(typed):
    """Return what supersedes what, by the owner's own ids."""
    rows = await typed.rows(
        "MATCH (a)-[:SUPERSEDES]->(b) WHERE a.owner STARTS WITH $mine RETURN a.public_id AS a, b.public_id AS b, "
        "labels(b)[0] AS l ORDER BY l",
        mine=f'["{typed.tenant}"',
    )
    assert [row["l"] for row in rows] == ["Fact", "Preference"]
    return rows


async def test_an_export_is_whole_or_not_there(typed, tmp_path):
    """M25: and what is no export is refused."""
    await typed.ada.short_term.add_message("s", "user", "x")
    with pytest.raises(OSError, match="No such file"):
        await typed.ada.export(tmp_path / "nowhere" / "x.jsonl")
    assert not list(tmp_path.glob("*.jsonl*"))
    path = tmp_path / "x.jsonl"
    for text in ("", "{}", "nonsense", "\xff", '{"perdure":"memory","format":2}'):
        path.write_text(text)
        with pytest.raises(InputError):
            await typed.ada.import_(path)
    for line in ('{"kind":"ghost"}', '{"kind":"message"}', "[]", '{"kind":"step","id":"a"}'):
        path.write_text('{"perdure":"memory","format":1}\n' + line)
        with pytest.raises(InputError):
            await typed.ada.import_(path)
    with pytest.raises(InputError):
        await typed.ada.import_(tmp_path / "absent.jsonl")
    with pytest.raises(InputError):
        await typed.ada.export(path, agent_id="x")


async def test_an_export_of_everybody_is_a_backup(typed, tmp_path):
    """M25: everybody's records are in it, also of those who have nothing but their name, and go back to them."""
    await asyncio.gather(live(typed.ada), live(typed.bob))
    mine = typed.client.scope(tenant=typed.tenant)
    await mine.users.upsert("eve", name="Eve")
    before, steps = await typed.contents(), []
    await typed.client.export(tmp_path / "all.jsonl", everybody=True, progress=lambda *step: steps.append(step))
    assert [done for done, _ in steps] == list(range(1, steps[-1][1] + 1))
    for name in ("ada", "bob", "eve"):
        await mine.users.delete(name)
    told = []
    count = await typed.client.import_(tmp_path / "all.jsonl", progress=lambda *step: told.append(step))
    assert told[-1] == (count, count)
    assert await typed.contents() == before
    assert (await mine.users.get("eve")).name == "Eve"
    for attempt in (typed.ada.export(tmp_path / "x", everybody=True), typed.client.export("x", everybody=1)):
        with pytest.raises(InputError):
            await attempt


async def test_nothing_is_written_of_a_file_that_is_damaged(typed, tmp_path):
    """M25: the line is named, and what stands before it is not half of somebody's memory."""
    await typed.ada.short_term.add_message("s", "user", "x")
    path = tmp_path / "x.jsonl"
    await typed.ada.export(path)
    path.write_text(path.read_text() + '{"kind":"message"')
    with pytest.raises(InputError, match=r"line 3 of .* is no record"):
        await typed.bob.import_(path)
    assert (await typed.bob.short_term.get_conversation("s")).messages == []
