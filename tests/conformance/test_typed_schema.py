"""The schema that typed memory stands on: made once, by whoever comes first."""

import asyncio

import pytest

from perdure import ConfigError, MemoryClient, MemorySettings, StatementRejectedError, StoreUnavailableError
from perdure.graph import schema
from perdure.testing import FakeGraphStore


@pytest.fixture(scope="module")
def neo4j_server(own_server):
    """One where nobody else makes, forgets or asks for the schema meanwhile."""
    return own_server


class Counting:
    """A store that counts what it is asked, and fails when it is told to."""

    def __init__(self, store):
        self.store, self.reads, self.writes, self.error, self.fail_at = store, 0, 0, None, -1

    async def read(self, statement, parameters):
        self.reads += 1
        return await self.store.read(statement, parameters)

    async def write(self, statement, parameters):
        self.writes += 1
        if self.writes == self.fail_at:
            raise self.error
        return await self.store.write(statement, parameters)


async def version(graph):
    return [row["version"] for row in await graph.store.read(schema.TEXTS["version"], {})]


async def forget(graph):
    await graph.store.write("MATCH (s:_PerdureSchema) DELETE s", {})


async def test_a_current_schema_costs_one_question(graph):
    """M26: beside what connecting to a server takes by itself."""
    await schema.ensure(graph.store)
    counting = Counting(graph.store)
    await schema.ensure(counting)
    assert (counting.reads, counting.writes) == (1, 0)


async def test_two_clients_may_make_the_schema_at_once(graph):
    """M26: also when one of them is told that the other was quicker."""
    await forget(graph)
    await asyncio.gather(*(schema.ensure(graph.store) for _ in range(3)))
    assert await version(graph) == [schema.VERSION]


async def test_an_index_that_many_make_at_once_is_there_for_all(neo4j_graph):
    """M26: Neo4j refuses those that come while the first makes it, `IF NOT EXISTS` or not."""
    for number in range(5):
        index = f"perdure_at_once_{number}"
        text = f"CREATE INDEX {index} IF NOT EXISTS FOR (n:Thing) ON (n.v{number})"
        await asyncio.gather(*(neo4j_graph.write(text) for _ in range(8)))
        await neo4j_graph.write(f"DROP INDEX {index}")


async def test_a_schema_step_that_failed_is_taken_up_again(graph):
    """M26: it is current only when all of it is there."""
    await forget(graph)
    counting = Counting(graph.store)
    counting.fail_at, counting.error = 5, StoreUnavailableError("down")
    with pytest.raises(StoreUnavailableError):
        await schema.ensure(counting)
    assert await version(graph) == []
    await schema.ensure(counting)
    assert await version(graph) == [schema.VERSION]


async def test_the_schema_of_a_newer_version_is_left_alone(graph):
    """M26: an older client works with what is there."""
    await schema.ensure(graph.store)
    await graph.store.write("MATCH (s:_PerdureSchema) SET s.version = 99", {})
    counting = Counting(graph.store)
    await schema.ensure(counting)
    assert counting.writes == 0
    await graph.store.write(schema.TEXTS["set_version"], {"version": schema.VERSION})
    assert await version(graph) == [99]
    await forget(graph)
    await schema.ensure(graph.store)


async def test_keys_are_unique_on_both_stores(graph):
    """M2, M19: which is what concurrent writers rely on."""
    await schema.ensure(graph.store)
    for label in ("Conversation", "Message", "Trace", "Entity", "EntityName", "User"):
        await graph.store.write(f"CREATE (n:{label} {{id: $id}})", {"id": graph.lane()})
        with pytest.raises(StatementRejectedError):
            await graph.store.write(f"CREATE (n:{label} {{id: $id}})", {"id": graph.lane()})
        await graph.store.write(f"MATCH (n:{label} {{id: $id}}) DELETE n", {"id": graph.lane()})


async def test_a_graph_that_cannot_have_the_schema_keeps_the_rest_of_the_client():
    """M26: typed calls say why, and Cypher works as before."""
    store = FakeGraphStore(lambda *_: [])
    store.reject("perdure_message")
    store.read = no_rows
    async with MemoryClient(MemorySettings(store=store)) as client:
        with pytest.raises(ConfigError, match="schema of typed memory"):
            _ = client.short_term
        await client.buffered.submit("CREATE (:Note)")


async def no_rows(statement, parameters):
    return []
