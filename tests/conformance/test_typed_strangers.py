"""Others use the same graph: with labels that are also ours, and to delete what is being read."""

import asyncio
import logging
import secrets

import pytest

from perdure.graph import everybody, marked, rows

LABELS = ("Message", "Conversation", "Entity", "Fact", "Preference", "Trace", "Memory", "User")
THEIRS = """
CREATE (n:{label} {{id: $id, owner: $owner, public_id: $id, user_id: $id, unindexed: 'x', content: 'tea', name: 'tea'}})
"""


@pytest.fixture
async def strangers(graph):
    """Another library's nodes, with labels and names of properties that are ours as well."""
    mine = f"theirs-{secrets.token_hex(4)}"
    for label in LABELS:
        for number, owner in enumerate(("grace", "[1]", '["a","b"]', "[null,null,null]")):
            await graph.store.write(THEIRS.format(label=label), {"id": f"{mine}-{number}", "owner": owner})
    yield mine
    await graph.store.write("MATCH (n) WHERE n.id STARTS WITH $mine DELETE n", {"mine": mine})


async def test_the_nodes_of_another_library_are_left_alone(graph, strangers, client_of, caplog):
    """M5, T2: they are in nobody's search, export or list of owners, and do not keep the index from following."""
    async with client_of(graph) as client:
        ada = client.scope(tenant=strangers, user_id="ada")
        await ada.short_term.add_message("s", "user", "green tea")
        with caplog.at_level(logging.WARNING):
            [hit] = await ada.short_term.search_messages("tea")
            await client.rebuild_index()
        assert hit.item.content == "green tea"
        assert caplog.messages == []
        owners = await everybody.everyone(client._graph)
        assert (strangers, "ada") in {(whose.tenant, whose.user_id) for whose in owners}
        assert not {whose.user_id for whose in owners} & {"grace", strangers}
        await everybody.owners(client._graph)
        await client.users.delete("ada", tenant=strangers)
    [left] = await graph.store.read(
        "MATCH (n) WHERE n.id STARTS WITH $mine AND n.unindexed = 'x' RETURN count(n) AS n", {"mine": strangers}
    )
    assert left["n"] == 4 * len(LABELS)


@pytest.mark.neo4j
async def test_what_is_deleted_while_it_is_read_is_read_as_gone(neo4j_graph, client_of, caplog):
    """M20, T9: a read of Neo4j may see a node without its properties; nobody is told of it, and nothing gets stuck."""
    async with client_of(neo4j_graph) as client:
        tenant = f"tenant-{secrets.token_hex(4)}"
        ada = client.scope(tenant=tenant, user_id="ada")
        said = [{"role": "user", "content": f"tea {number}"} for number in range(100)]
        with caplog.at_level(logging.WARNING):
            for _ in range(4):
                await ada.short_term.add_messages("s", said)
                reading = [asyncio.create_task(read_until_empty(ada)) for _ in range(2)]
                await client.rebuild_index()
                await client.users.delete("ada", tenant=tenant)
                await asyncio.gather(*reading)
            assert await ada.short_term.search_messages("tea") == []
        assert caplog.messages == []


async def read_until_empty(memory):
    """Read a conversation until it has no messages; each that is there is whole."""
    while messages := (await memory.short_term.get_conversation("s", limit=100)).messages:
        assert all(message.content.startswith("tea") for message in messages)


async def test_a_read_that_sees_half_a_node_is_made_again(embedded_graph, client_of, monkeypatch):
    """M20: as Neo4j may show one that is being deleted; only a node that stays so is an error."""
    half = {"count": 2}
    read = embedded_graph.store.read

    async def torn(statement, parameters):
        found = await read(statement, parameters)
        if "RETURN m" in statement and half["count"]:
            half["count"] -= 1
            return [{name: {} for name in row} for row in found]
        return found

    async with client_of(embedded_graph) as client:
        made = await client.short_term.add_message("s", "user", "green tea")
        monkeypatch.setattr(embedded_graph.store, "read", torn)
        assert (await client.short_term.get_conversation("s")).messages == [made]
        half["count"] = rows.TRIES
        with pytest.raises(rows.IncompleteError, match="is no Message: look at its content, created_at, id, role"):
            await client.short_term.get_message(made.id)
        half["count"] = 0


async def test_the_index_takes_half_a_node_for_gone(embedded_graph, client_of, monkeypatch, caplog):
    """M5: what is marked and cannot be read keeps nothing else from being found; at first nobody is told of it."""
    monkeypatch.setattr(marked, "SECONDS_TO_LOOK_AGAIN", 3600.0)
    async with client_of(embedded_graph) as client:
        await client.short_term.add_message("s", "user", "green tea", id="broken")
        await client.short_term.search_messages("tea")
        text = "MATCH (m:Message {public_id: 'broken'}) SET m.unindexed = 'x' REMOVE m.role"
        await embedded_graph.store.write(text, {})
        client._graph.index.look_again()
        await client.short_term.add_message("s", "user", "black tea")
        with caplog.at_level(logging.WARNING):
            [hit] = await client.short_term.search_messages("tea", limit=1, role="user", metadata={})
        assert hit.item.content == "black tea"
        assert caplog.messages == []
