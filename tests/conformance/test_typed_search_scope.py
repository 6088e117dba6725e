"""Whose memory a search finds: nobody meets anybody else's, on both stores and in every write mode."""

import pytest
from searching import contents, said

from perdure import InputError


async def test_nobody_finds_what_is_anothers(searched):
    """T2, T3: the same words, ids and sessions, in every search; neither does who names nobody."""
    nobody = searched.client.scope(tenant=searched.tenant)
    elsewhere = searched.client.scope(tenant=f"{searched.tenant}!", user_id="ada")
    for name, memory in (("ada", searched.ada), ("bob", searched.bob), ("nobody", nobody)):
        await memory.short_term.add_message("s", "user", f"tea {name}", id="same")
        await memory.long_term.add_entity("tea", "thing", description=name)
        await memory.long_term.add_fact("tea", "is", name)
        await memory.long_term.add_preference("tea", name)
        await memory.reasoning.start_trace("s", f"tea {name}")
    for name, memory in (("ada", searched.ada), ("bob", searched.bob), ("nobody", nobody), ("", elsewhere)):
        found = [
            [hit.item.content for hit in await memory.short_term.search_messages("tea ada bob nobody")],
            [f"tea {hit.item.description}" for hit in await memory.long_term.search_entities("tea ada bob nobody")],
            [f"tea {hit.item.object}" for hit in await memory.long_term.search_facts("tea ada bob nobody")],
            [f"tea {hit.item.preference}" for hit in await memory.long_term.search_preferences("ada bob nobody")],
            [hit.item.task for hit in await memory.reasoning.search_traces("tea ada bob nobody")],
        ]
        assert found == [[f"tea {name}"] if name else []] * 5


async def test_deleting_under_anothers_id_takes_nothing_from_the_search(searched):
    """T4, T5: nor under an agent's, which did not say it."""
    kept = await searched.ada.short_term.add_message("s", "user", "tea", agent_id="planner")
    fact = await searched.ada.long_term.add_fact("tea", "is", "hot", agent_id="planner")
    assert await searched.bob.short_term.delete_message(kept.id) is False
    assert await searched.ada.short_term.delete_message(kept.id, agent_id="coder") is False
    assert await searched.ada.long_term.delete_fact(fact.id, agent_id="coder") is False
    assert await searched.bob.short_term.clear_session("s") == 0
    assert await contents(searched.ada, "tea") == ["tea"]
    assert len(await searched.ada.long_term.search_facts("tea")) == 1


async def test_agent_and_run_narrow_what_is_found(searched):
    """T2: given, they have to match; not given, they do not narrow."""
    planner = searched.ada.scope(agent_id="planner")
    await planner.short_term.add_message("s", "user", "tea planned", run_id="r1")
    await searched.ada.short_term.add_message("s", "user", "tea coded", agent_id="coder")
    await planner.long_term.add_fact("tea", "is", "planned")
    assert sorted(await contents(searched.ada, "tea")) == ["tea coded", "tea planned"]
    assert await contents(planner, "tea") == await contents(searched.ada, "tea", run_id="r1") == ["tea planned"]
    assert await contents(planner, "tea", run_id="r2") == await contents(searched.ada, "tea", agent_id="no") == []
    assert len(await planner.long_term.search_facts("tea")) == 1
    assert await searched.ada.long_term.search_facts("tea", agent_id="coder") == []
    with pytest.raises(InputError, match="agent_id"):
        await contents(planner, "tea", agent_id="coder")


@pytest.mark.parametrize("key", ["user_id", "tenant", "agent_id", "run_id", "session_id", "owner"])
async def test_a_filter_cannot_widen_the_scope(client_of, memory_graph, key):
    """T12: a key that names it is refused, at every depth; AND, OR, NOT and wild cards speak of metadata only."""
    async with client_of(memory_graph) as client:
        ada, bob = client.scope(user_id="ada"), client.scope(user_id="bob")
        await said(ada, "s", "tea of ada's", metadata={"n": 1})
        await said(bob, "s", "tea of bob's", metadata={"n": 1})
        for given in ({key: "bob"}, {"OR": [{key: "bob"}, {"n": 1}]}, {"NOT": {"AND": [{key: {"ne": "bob"}}]}}):
            with pytest.raises(InputError, match="scope"):
                await contents(ada, "tea", metadata=given)
        for given in ({"OR": [{"n": 1}, {"NOT": {"n": 1}}]}, {"n": {"ne": "*"}}, {"x": None}, {"$role": {"ne": "*"}}):
            assert await contents(ada, "tea", metadata=given) == ["tea of ada's"]


async def test_an_id_that_no_store_can_index_is_refused_and_stops_nobody(searched):
    """T11, T2: before it is written; a record that cannot be indexed would keep everybody's searches waiting."""
    strange = searched.client.scope(tenant=searched.tenant, user_id='"' * 256)
    await said(strange, '"' * 256, "tea", metadata={"\x01": "\x01" * 5000, '"': [None, {"a": 1e300}], "$role": "x"})
    assert await contents(strange, "tea", role="user") == ["tea"]
    with pytest.raises(InputError):
        await said(searched.client.scope(tenant="\x01" * 250, user_id="\x02" * 250), "s", "tea")
    await said(searched.ada, "s", "tea")
    assert await contents(searched.ada, "tea") == ["tea"]
