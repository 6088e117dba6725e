"""What a tool call touched, when the tool call and its entities are on their way in lanes of their own."""

from itertools import permutations

import pytest

from perdure import MemoryClient, MemorySettings, NotFoundError
from perdure.graph.statements import load
from perdure.testing import FakeGraphStore

ENTITIES = (
    "MATCH (e:Entity) WHERE e.owner STARTS WITH $mine OPTIONAL MATCH (w:EntityName)-[:NAMES]->(e) "
    "RETURN e.name AS name, e.type AS type, e.description AS description, e.aliases AS aliases, "
    "e.unindexed > '' AS marked, w.id AS known_as ORDER BY name, known_as"
)
TOUCHED = (
    "MATCH (k:ToolCall)-[:TOUCHED]->(e:Entity) WHERE k.owner STARTS WITH $mine "
    "RETURN k.tool_name AS tool, e.name AS name, e.public_id IN k.touched AS noted ORDER BY tool, name"
)


def deferred_over(store):
    return MemoryClient(MemorySettings(store=store, memory={"write_mode": "deferred", "durability": "memory"}))


async def turn(memory):
    """Add entities, and use a tool on them before any of it can be in the graph."""
    ada = await memory.long_term.add_entity("Ada", "person", aliases=["Countess"], description="first")
    babbage = await memory.long_term.add_entity("Babbage", "person")
    await memory.long_term.add_entity("Ada", "person", aliases=["Lovelace"], description="second")
    trace = await memory.reasoning.start_trace("s", "task")
    step = await memory.reasoning.add_step(trace)
    calls = [
        await memory.reasoning.record_tool_call(step, tool, touched=touched)
        for tool, touched in [("by id", [ada.id]), ("by name", ["babbage"]), ("by aliases", ["LOVELACE", "countess"])]
    ]
    assert [call.touched for call in calls] == [[ada.id], [babbage.id], [ada.id]]


async def test_a_tool_call_does_not_wait_for_the_entities_it_touched():
    """B41, M13: nothing is asked, and nothing has to be committed, for what this client added itself."""
    asked = []
    store = FakeGraphStore(lambda statement, _: asked.append(statement) or [])
    async with deferred_over(store) as client:
        store.hold()
        await turn(client)
        assert store.committed == []
        assert not [statement for statement in asked if "$owner" in statement]
        step = await client.reasoning.add_step(await client.reasoning.start_trace("t", "task"))
        store.release()
        with pytest.raises(NotFoundError):
            await client.reasoning.record_tool_call(step, "search", touched=["Nobody"])
        assert load("touched")["touched"] in asked


async def test_a_tool_call_and_its_entities_leave_one_graph_in_every_order(graph):
    """M13, B40: lanes go on independently; whichever comes first, the links and the entities are the same."""
    queued = await sent(turn, f"{graph.lane()} orders")
    lanes = [[each for each in queued if ("long" if "add_entity" in each[0] else "short") == kind]
             for kind in ("long", "short")]  # fmt: skip
    mine = {"mine": f'["{graph.lane()} orders"'}
    left = []
    for order in permutations(lanes):
        for _, statement, parameters in (each for lane in order for each in lane):
            await graph.store.write(statement, parameters)
        left.append([await graph.store.read(text, mine) for text in (ENTITIES, TOUCHED)])
        await graph.store.write("MATCH (n) WHERE n.owner STARTS WITH $mine DETACH DELETE n", mine)
    assert left[0] == left[1]
    entities, touched = left[0]
    assert [row["name"] for row in entities] == ["Ada"] * 3 + ["Babbage"]
    assert (entities[0]["description"], entities[0]["aliases"]) == ("first", ["Countess", "Lovelace"])
    assert {row["marked"] for row in entities} == {True}
    assert [(row["tool"], row["name"], row["noted"]) for row in touched] == [
        ("by aliases", "Ada", True), ("by id", "Ada", True), ("by name", "Babbage", True),
    ]  # fmt: skip


async def sent(script, tenant):
    """Return what a script sends in deferred mode, with the names of its statements."""
    names = {text: name for file in ("entities", "reasoning") for name, text in load(file).items()}
    store = FakeGraphStore(lambda *_: [])
    async with deferred_over(store) as client:
        store.hold()
        await script(client.scope(tenant=tenant))
        store.release()
    return [(names[each.statement], *each) for each in store.committed if each.statement in names]


async def test_what_is_in_the_graph_already_is_not_made_again(typed):
    """T8: an entity that somebody else has deleted since stays deleted; the write fails and says so."""
    if typed.mode != "deferred":
        return
    ada = await typed.ada.long_term.add_entity("Ada", "person")
    await typed.client.flush()
    await typed.graph.store.write(
        "MATCH (e:Entity {id: $id}) DETACH DELETE e", {"id": f'["{typed.tenant}","ada"]{ada.id}'}
    )
    step = await typed.ada.reasoning.add_step(await typed.ada.reasoning.start_trace("s", "task"))
    await typed.ada.reasoning.record_tool_call(step, "search", touched=[ada])
    await typed.client.flush()
    assert len(typed.client.write_errors) == 1
    typed.client.write_errors.clear()
    assert await typed.ada.long_term.get_entity(ada.id) is None


async def test_another_owners_entity_is_not_there(typed):
    """T4: also where its record is passed, by a call that says nobody's name."""
    ada = await typed.ada.long_term.add_entity("Ada", "person")
    nobody = typed.client.scope(tenant=typed.tenant)
    step = await nobody.reasoning.add_step(await nobody.reasoning.start_trace("s", "task"))
    for memory in (nobody, typed.client):
        with pytest.raises(NotFoundError):
            await memory.reasoning.record_tool_call(step, "search", touched=[ada])
