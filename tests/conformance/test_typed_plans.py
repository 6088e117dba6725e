"""How Neo4j finds what typed writes hang on: by its key, however little else there is."""

import pytest

from perdure.cypher import parse
from perdure.graph import schema
from perdure.graph.statements import load

BY_KEY = ["start_trace", "add_step", "record_tool_call", "complete_trace"]


def operators(plan):
    """Yield each operator of a plan with what it works on."""
    yield plan["operatorType"], plan.get("args", {}).get("Details", "")
    for child in plan.get("children", []):
        yield from operators(child)


@pytest.mark.parametrize("name", BY_KEY)
async def test_a_write_looks_for_its_parents_by_their_keys(neo4j_store, neo4j_driver, name):
    """M9: in a graph that is almost empty the planner takes all that an owner has for as few as one."""
    await schema.ensure(neo4j_store)
    text = load("reasoning")[name]
    given = dict.fromkeys(parse(text).parameters)
    _, summary, _ = await neo4j_driver.execute_query(f"EXPLAIN {text}", given)
    finding = [each for each in operators(summary.plan) if "Seek" in each[0] or "Scan" in each[0]]
    assert finding
    assert [details for kind, details in finding if not kind.startswith("NodeUniqueIndexSeek")] == []
