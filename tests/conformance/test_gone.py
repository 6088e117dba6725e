"""A statement on Neo4j meets what another transaction is deleting: it is run again, and finds it gone."""

import asyncio
from contextlib import asynccontextmanager

import pytest

pytest.importorskip("neo4j", reason="pip install 'perdure[neo4j]'")

from perdure.stores.neo4j.faults import GoneError, MadeMeanwhileError
from perdure.stores.neo4j.store import is_worth_another_try

pytestmark = pytest.mark.neo4j
BLOCKED = "SHOW TRANSACTIONS YIELD status WHERE status STARTS WITH 'Blocked' RETURN count(*) AS n"
CHANGE = "MATCH (n:Thing {id: 'going'}) CREATE (n)-[:HAS]->(:Other {id: 'new'}) RETURN n.id AS id"


@asynccontextmanager
async def deleting(graph, driver):
    """Delete a node in a transaction, which is committed when somebody waits for it."""
    await graph.write("CREATE (:Thing {id: 'going'}), (:Thing {id: 'staying'})")
    async with driver.session() as session, await session.begin_transaction() as transaction:
        await (await transaction.run(graph.text("MATCH (n:Thing {id: 'going'}) DELETE n"))).consume()
        async with asyncio.TaskGroup() as tasks:
            yield tasks
            async with asyncio.timeout(30):
                while not (await graph.read(BLOCKED))[0]["n"]:
                    pass
            await transaction.commit()


async def test_a_write_that_meets_a_node_that_goes_is_run_again(neo4j_graph, neo4j_driver):
    """T9, B25: the statement is not at fault."""
    async with deleting(neo4j_graph, neo4j_driver) as tasks:
        written = tasks.create_task(neo4j_graph.write(CHANGE))
    assert written.result() == []


@pytest.mark.parametrize("pieces", ["IN TRANSACTIONS", "in 4 concurrent transactions OF 100 ROWS"])
def test_what_commits_in_pieces_is_not_run_again(pieces):
    """B25: some of it may be committed."""
    gone = GoneError("it goes")
    assert is_worth_another_try(CHANGE, gone)
    assert not is_worth_another_try(f"MATCH (n) CALL (n) {{ SET n.v = 1 }} {pieces}", gone)


def test_what_another_client_makes_is_found_by_those_who_ask_for_that():
    """M26: an index that is there stays a refusal for whoever wants a new one."""
    made = MadeMeanwhileError("it is there")
    assert is_worth_another_try("create index i if not exists FOR (n:Thing) ON (n.v)", made)
    assert not is_worth_another_try("CREATE INDEX i FOR (n:Thing) ON (n.v)", made)


async def test_a_batch_that_meets_a_node_that_goes_is_run_again(neo4j_graph, neo4j_driver):
    """T9, B25: none of its writes is given up, and none is applied twice."""
    add = "MATCH (n:Thing {id: 'staying'}) SET n.count = coalesce(n.count, 0) + 1"
    async with deleting(neo4j_graph, neo4j_driver) as tasks:
        applied = tasks.create_task(neo4j_graph.apply(add, CHANGE, add))
    assert applied.result() == 3
    assert await neo4j_graph.value("MATCH (n:Thing {id: 'staying'}) RETURN n.count") == 2
