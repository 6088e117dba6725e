"""Long-term memory: entities, relationships, facts and preferences, on both stores and in every write mode."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from perdure import ConflictError, InputError, NotFoundError

NOON = datetime(2025, 5, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


async def test_one_name_and_type_is_one_entity_under_fifty_writers(typed):
    """M19: and the ids that were returned address it."""
    made = await asyncio.gather(
        *(typed.ada.long_term.add_entity("Grace" if n % 2 else "GRACE ", "person") for n in range(0, 50, 2)),
        *(typed.ada.long_term.add_entity("Grace", "person", aliases=[f"alias {n}"]) for n in range(25)),
        return_exceptions=True,
    )
    entities = [each for each in made if not isinstance(each, InputError)]
    assert len(entities) == 25
    [found] = {await typed.ada.long_term.get_entity(each.id, type="person") is not None for each in entities}
    assert found
    assert len({each.id for each in entities}) == 1
    one = await typed.ada.long_term.get_entity("grace")
    assert sorted(one.aliases) == sorted(f"alias {n}" for n in range(25))
    assert [(label, n) for _, label, n in await typed.contents()] == [("Entity", 1), ("EntityName", 26)]
    assert UUID(one.id).version == 8


async def test_an_entity_is_found_by_alias_and_ignoring_case(typed):
    """M20, M21: by every reader; and only by those of its owner."""
    made = await typed.ada.long_term.add_entity(
        "Grace Hopper", "person", aliases=["Amazing Grace", "\uff27race"], attributes={"born": 1906, "at": NOON},
        description="wrote a compiler",
    )  # fmt: skip
    for word in ("Grace Hopper", "grace  HOPPER", "amazing grace", "grace", made.id):
        found = await typed.ada.long_term.get_entity(word)
        assert found.model_copy(update={"updated_at": made.updated_at}) == made
        assert await typed.bob.long_term.get_entity(word) is None
    assert await typed.ada.long_term.get_entity("grace", type="ship") is None
    ship = await typed.ada.long_term.add_entity("Grace", "ship")
    assert (await typed.ada.long_term.get_entity("grace", type="ship")).id == ship.id
    assert await typed.ada.long_term.get_entity("nobody") is None


async def test_adding_an_entity_again_keeps_what_it_has(typed):
    """M19: a description and attributes are filled once; aliases are added."""
    await typed.ada.long_term.add_entity("Grace", "person", description="first", aliases=["a"])
    await typed.ada.long_term.add_entity(
        "grace", "person", description="second", aliases=["a", "b"], attributes={"x": 1}
    )
    found = await typed.ada.long_term.get_entity("b")
    assert (found.name, found.description, found.aliases, found.attributes) == ("Grace", "first", ["a", "b"], {"x": 1})


async def test_an_entity_can_be_changed_and_deleted(typed):
    """M24: its id stays, and the name it had still finds it; what is deleted is gone with its names."""
    made = await typed.ada.long_term.add_entity("Grace", "person", description="d")
    changed = await typed.ada.long_term.update_entity(
        "grace", name="Rear Admiral", attributes={"rank": 7}, aliases=["G"]
    )
    assert (changed.id, changed.name, changed.aliases) == (made.id, "Rear Admiral", ["G", "Grace"])
    assert (changed.description, changed.attributes) == ("d", {"rank": 7})
    assert (
        await typed.ada.long_term.get_entity("grace") == await typed.ada.long_term.get_entity("rear admiral") == changed
    )
    for attempt in (typed.bob.long_term.update_entity(made.id, name="x"), typed.ada.long_term.update_entity("nobody")):
        with pytest.raises(NotFoundError):
            await attempt
    assert await typed.bob.long_term.delete_entity(made.id) is False
    assert await typed.ada.long_term.delete_entity("G") is True
    assert await typed.ada.long_term.delete_entity(made.id) is False
    assert await typed.contents() == []


async def test_relationships_lead_to_the_entities_around_one(typed):
    """M22: in both directions, by type, at a moment, as far as asked."""
    people = [await typed.ada.long_term.add_entity(name, "person") for name in "abcd"]
    knows = [
        await typed.ada.long_term.add_relationship(people[n], "KNOWS", people[n + 1].id, attributes={"n": n})
        for n in range(3)
    ]
    past = await typed.ada.long_term.add_relationship("a", "WORKED_WITH", "d", valid_from=NOON, valid_until=NOON + DAY)

    async def around(name, **asked):
        found = await typed.ada.long_term.get_related(name, **asked)
        return [(each.entity.name, each.depth) for each in found]

    assert await around("a") == [("b", 1), ("d", 1)]
    assert await around("b") == [("a", 1), ("c", 1)]
    assert await around("a", types=["KNOWS"], depth=3) == [("b", 1), ("c", 2), ("d", 3)]
    assert await around("a", depth=5, limit=2) == [("b", 1), ("d", 1)]
    assert await around("a", as_of=NOON + 2 * DAY) == [("b", 1)]
    assert (await typed.ada.long_term.get_related("a"))[0].relationship == knows[0]
    assert (await typed.ada.long_term.get_related("a", types=["WORKED_WITH"]))[0].relationship == past
    for ends in (("a", "nobody"), ("nobody", "a"), (people[0].id, "01890a5d-ac96-774b-bcce-b302099a8057")):
        with pytest.raises(NotFoundError):
            await typed.ada.long_term.add_relationship(ends[0], "KNOWS", ends[1])
    with pytest.raises(NotFoundError):
        await typed.bob.long_term.add_relationship(people[0], "KNOWS", people[1])
    assert await typed.bob.long_term.get_entity("a") is None


async def test_facts_are_dated_and_find_their_entities(typed):
    """M22: whichever came first, by any of its names; what is superseded is hidden, and `as_of` still knows."""
    lisbon = await typed.ada.long_term.add_fact(
        "Grace", "lives in", "Lisbon", valid_from=NOON, confidence=0.5, source="m1"
    )
    grace = await typed.ada.long_term.add_entity("Grace", "person", aliases=["Amazing Grace"])
    porto = await typed.ada.long_term.add_fact("amazing grace", "lives in", "Porto", valid_from=NOON + 10 * DAY)
    about = typed.ada.long_term.get_facts_about
    assert await about("Grace") == await about(grace) == await about("amazing GRACE") == [lisbon, porto]
    assert await about("porto") == [porto]
    old = await typed.ada.long_term.supersede_fact(lisbon, porto)
    assert (old.id, old.valid_until) == (lisbon.id, porto.valid_from)
    assert old.expired_at >= porto.created_at
    assert await about(grace) == [porto]
    assert await about(grace, include_expired=True) == [old, porto]
    assert await about(grace, as_of=NOON + DAY) == [old]
    assert await about(grace, as_of=NOON + 10 * DAY) == [porto]
    assert await about(grace, as_of=NOON - DAY) == []
    assert await typed.bob.long_term.get_facts_about("Grace") == []
    with pytest.raises(NotFoundError):
        await typed.bob.long_term.supersede_fact(porto.id, porto.id)
    assert await typed.bob.long_term.delete_fact(porto.id) is False
    assert await typed.ada.long_term.delete_fact(porto) is True
    assert await typed.ada.long_term.delete_fact(porto) is False


async def test_contradictory_preferences_stay_apart_until_one_supersedes_the_other(typed):
    """M23, M24: nothing is merged by how it sounds; history is kept."""
    tea = await typed.ada.long_term.add_preference("drinks", "likes tea", context="in the morning")
    no_tea = await typed.ada.long_term.add_preference("drinks", "does not like tea")
    await typed.ada.long_term.add_preference("food", "rice")
    get = typed.ada.long_term.get_preferences
    assert await get(category="drinks") == [tea, no_tea]
    old = await typed.ada.long_term.supersede_preference(tea, no_tea)
    assert await get(category="drinks") == [no_tea]
    assert await get(category="drinks", include_expired=True) == [old, no_tea]
    assert len(await get()) == 2
    assert await typed.bob.long_term.get_preferences() == []
    assert await typed.bob.long_term.delete_preference(no_tea.id) is False
    assert await typed.ada.long_term.delete_preference(no_tea) is True


async def test_a_tool_call_touches_entities_by_name_alias_id_or_object(typed):
    """M13: each once, in the same transaction; other owners' are not there."""
    ada, bob, eve = [
        await typed.ada.long_term.add_entity(name, "person", aliases=[f"{name}!"]) for name in ("A", "B", "C")
    ]
    step = await typed.ada.reasoning.add_step(await typed.ada.reasoning.start_trace("s", "task"))
    call = await typed.ada.reasoning.record_tool_call(step, "search", touched=["a!", bob, eve.id, ada])
    assert call.touched == sorted([ada.id, bob.id, eve.id])
    assert (await typed.ada.reasoning.get_trace(step.trace_id)).steps[0].tool_calls == [call]
    mine = await typed.bob.reasoning.add_step(await typed.bob.reasoning.start_trace("s", "task"))
    for wanted in (ada, ada.id, "A"):
        with pytest.raises(NotFoundError):
            await typed.bob.reasoning.record_tool_call(mine, "search", touched=[wanted])


async def test_entities_of_agents_are_their_own_within_an_owner(typed):
    """M20: what an agent added it finds again, and its owner finds all."""
    planner = typed.ada.scope(agent_id="planner")
    theirs = await planner.long_term.add_entity("Grace", "person")
    ours = await typed.ada.long_term.add_entity("Grace", "person")
    assert theirs.id != ours.id
    assert (await planner.long_term.get_entity("grace")).id == theirs.id
    assert (await typed.ada.long_term.get_entity(theirs.id)).id == theirs.id
    with pytest.raises(ConflictError):
        await typed.ada.long_term.update_entity("grace", description="which?")


@pytest.mark.parametrize(
    "call",
    [
        lambda m: m.add_entity("", "person"),
        lambda m: m.add_entity("Grace ", "person"),
        lambda m: m.add_entity("x" * 257, "person"),
        lambda m: m.add_entity("Grace", ""),
        lambda m: m.add_entity("Grace", "person", aliases="Amazing"),
        lambda m: m.add_entity("Grace", "person", attributes={"x": object()}),
        lambda m: m.add_relationship("a", "KNOWS`]->() DELETE n //", "b"),
        lambda m: m.add_relationship("a", "", "b"),
        lambda m: m.add_relationship("a", "KNOWS", "b", valid_from=NOON, valid_until=NOON),
        lambda m: m.get_related("a", depth=0),
        lambda m: m.get_related("a", depth=6),
        lambda m: m.get_related("a", limit=0),
        lambda m: m.get_related("a", types="KNOWS"),
        lambda m: m.add_fact("a", "is", "b", valid_from=NOON, valid_until=NOON - DAY),
        lambda m: m.add_fact("a", "is", "b", valid_from=NOON.replace(tzinfo=None)),
        lambda m: m.add_fact("a", "is", "b", confidence=1.5),
        lambda m: m.add_fact("a", "is", "b", confidence=float("nan")),
        lambda m: m.add_fact("a", " ", "b"),
        lambda m: m.get_facts_about("a", as_of=NOON.replace(tzinfo=None)),
        lambda m: m.add_preference("", "x"),
        lambda m: m.add_preference("x", " "),
    ],
)
async def test_what_cannot_be_known_is_refused_before_anything_is_sent(call, client_of, embedded_graph):
    """T13: with an InputError, and nothing becomes Cypher."""
    async with client_of(embedded_graph, write_mode="deferred", durability="memory") as client:
        with pytest.raises(InputError):
            await call(client.long_term)
        assert client.buffered.pending == 0


async def test_names_that_look_like_cypher_are_kept_as_they_are(typed):
    """T13: also a long object of a fact."""
    for name in ("`}) DETACH DELETE (n) //", "'; DROP", "$owner", '"', "名前 🎉"):
        made = await typed.ada.long_term.add_entity(name, name)
        assert (await typed.ada.long_term.get_entity(name)).type == name == made.name
        fact = await typed.ada.long_term.add_fact(name, name, name + "x" * 100_000)
        assert await typed.ada.long_term.get_facts_about(name) == [fact]


async def test_two_entities_can_become_one(typed):
    """M24: with the names, relationships, facts and tool calls of both; what one was to the other is gone."""
    keep = await typed.ada.long_term.add_entity("Grace Hopper", "person", aliases=["G"])
    drop = await typed.ada.long_term.add_entity("Amazing Grace", "person", aliases=["G", "AG"], description="d")
    near, far = [await typed.ada.long_term.add_entity(name, "place") for name in ("Navy", "Yale")]
    add = typed.ada.long_term.add_relationship
    await add(keep, "SAME_AS", drop)
    served = await add(drop, "SERVED_IN", near, attributes={"n": [1]}, valid_from=NOON)
    taught = await add(far, "TAUGHT", drop)
    fact = await typed.ada.long_term.add_fact("AG", "wrote", "a compiler")
    step = await typed.ada.reasoning.add_step(await typed.ada.reasoning.start_trace("s", "task"))
    await typed.ada.reasoning.record_tool_call(step, "search", touched=[drop, near])
    one = await typed.ada.long_term.merge_entities("grace hopper", drop)
    assert (one.id, one.description, one.aliases) == (keep.id, "d", ["G", "Amazing Grace", "AG"])
    assert await typed.ada.long_term.get_entity(drop.id) is None
    assert [await typed.ada.long_term.get_entity(name) for name in ("ag", "g", "amazing grace")] == [one] * 3
    assert [each.relationship for each in await typed.ada.long_term.get_related(one)] == [
        served.model_copy(update={"source": one.id}), taught.model_copy(update={"target": one.id}),
    ]  # fmt: skip
    assert await typed.ada.long_term.get_facts_about(one) == [fact]
    [step] = (await typed.ada.reasoning.get_trace(step.trace_id)).steps
    assert step.tool_calls[0].touched == sorted([one.id, near.id])
    with pytest.raises(InputError):
        await typed.ada.long_term.merge_entities(one, "AG")
    with pytest.raises(NotFoundError):
        await typed.bob.long_term.merge_entities(one.id, near.id)
