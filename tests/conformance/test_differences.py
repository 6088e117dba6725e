"""What the embedded store does otherwise than Neo4j: each line of the documentation's list, shown on both.

Where the two cannot be made alike, the embedded store refuses a statement rather than answer it differently; the last
tests are of the few places where it does answer differently.
"""

from typing import Any

import pytest

from perdure.errors import StatementRejectedError

FAMILY = "CREATE (a:Thing {id: 1, v: 1})-[:NEXT]->(b:Thing {id: 2, v: 2})"
ONLY_ON_NEO4J = {
    "a second node of the same label and id": "CREATE (n:Thing {id: 1})",
    "a merge that would make one": "MERGE (n:Thing {id: 1, v: 99})",
    "changing an id": "MATCH (n:Thing {id: 1}) SET n.id = 9",
    "changing an id by a map": "MATCH (n:Thing {id: 1}) SET n += {id: 9}",
    "removing an id": "MATCH (n:Thing {id: 1}) REMOVE n.id",
    "writing in a subquery": "MATCH (n:Thing {id: 1}) CALL (n) { SET n.x = 1 }",
    "writing in transactions": "UNWIND [1] AS x CALL (x) { CREATE (:Thing {id: x + 5}) } IN TRANSACTIONS",
    "merging a path with new ends": "MERGE (:Thing {id: 1})-[:KNOWS]->(:Thing {id: 5})",
    "a map beside a relationship": "CREATE (n:Thing $map)-[:KNOWS]->(:Thing {id: 6})",
    "setting a property by a computed name": "MATCH (n:Thing {id: 1}) SET n[$name] = 1",
    "a keyword for a variable": "MATCH (merge:Thing {id: 1}) SET merge.x = 1",
    "a foreign name in a pattern": "MATCH (n:Thing {`é`: 1}) SET n.x = 1",
    "a name with a quote in a pattern": "MATCH (n:Thing {`it's`: 1}) SET n.x = 1",
    "a label with foreign letters in a pattern": "MATCH (n:Thing:`naïve`) SET n.x = 1",
    "a label that is not this one": "MATCH (n:Thing&!Other) SET n.x = 1",
    "a Cartesian point": "MATCH (n:Thing {id: 1}) SET n.x = point({x: 1.0, y: 2.0})",
    "the clock as a number": "MATCH (n:Thing {id: 1}) SET n.x = timestamp()",
    "a quantified pattern": "MATCH (n:Thing {id: 1})-[:NEXT]->{1,3}(m) SET m.x = 1",
    "an underscore in a number": "MATCH (n:Thing {id: 1}) SET n.x = 1_000",
}
ONLY_EMBEDDED = {
    "a list of numbers and texts": [1, "a"],
    "a list of booleans and numbers": [True, 1],
    "a list with null in it": [1, None],
    "a list of lists": [[1], [2]],
    "a list of maps": [{"a": 1}],
    "a map": {"a": 1},
}
OTHERWISE: dict[str, tuple[str, Any, Any]] = {
    "a node without a label gets one": ("MATCH (n {mine: 'MINE'}) RETURN size(labels(n)) AS x", 1, 0),
    "a path without bounds ends after ten steps": (
        "MATCH p = (:Thing {id: 100})-[:LONG*]->() RETURN max(length(p)) AS x",
        10,
        11,
    ),
    "a node without an id gets a number": ("MATCH (n:Other) RETURN n.id IS NULL AS x", False, True),
    "a relationship has a number": ("MATCH (:Thing)-[r:NEXT]->() RETURN r.id IS NULL AS x", False, True),
    "a float divided by zero is null": ("RETURN 1.0 / 0.0 AS x", None, float("inf")),
    "a name computed from a value may be kglite's own": (
        "MATCH (n:Thing {id: 1}) RETURN n['ti' + 'tle'] IS NULL AS x",
        False,
        True,
    ),
    "what is not evaluated is not checked": (
        "MATCH (n:Thing {id: 99}) RETURN nonsense(n) AS x",
        [],
        StatementRejectedError,
    ),
    "explaining answers with rows": ("EXPLAIN MATCH (n:Thing {id: 99}) RETURN n.id AS x", True, []),
    "integers and floats stay what they were": ("MATCH (n:Other) RETURN n.list AS x", [1, 2.5], [1.0, 2.5]),
    "replacing all properties keeps the id": (
        "MATCH (n:Other {replaced: true}) RETURN n.v IS NULL AND n.id IS NOT NULL AS x",
        True,
        False,
    ),
    "a SET sees what stands before it in the same clause": ("MATCH (n:Thing {id: 2}) RETURN n.b AS x", 1, None),
}


def named(table):
    return [pytest.param(*(value if isinstance(value, tuple) else (value,)), id=name) for name, value in table.items()]


@pytest.mark.parametrize("statement", named(ONLY_ON_NEO4J))
async def test_the_embedded_store_refuses_and_neo4j_does(embedded_graph, neo4j_graph, statement):
    """A typed error and nothing written, against a write that succeeds."""
    given = {"map": {"id": 7}, "name": "x"}
    parameters = {name: value for name, value in given.items() if f"${name}" in statement}
    for graph in (embedded_graph, neo4j_graph):
        await graph.write(FAMILY)
    before = await embedded_graph.snapshot()
    with pytest.raises(StatementRejectedError):
        await embedded_graph.write(statement, parameters)
    assert await embedded_graph.snapshot() == before
    await neo4j_graph.write(statement, parameters)


@pytest.mark.parametrize("value", named(ONLY_EMBEDDED))
async def test_neo4j_refuses_a_property_that_the_embedded_store_holds(embedded_graph, neo4j_graph, value):
    """As a parameter either takes it; as a property Neo4j takes values, and lists of values of one kind."""
    create = "CREATE (n:Thing {id: 1, v: $v})"
    await embedded_graph.write(create, {"v": value})
    assert await embedded_graph.value("MATCH (n:Thing) RETURN n.v") == value
    with pytest.raises(StatementRejectedError):
        await neo4j_graph.write(create, {"v": value})


async def answer(graph, question):
    """Return the one value that answers a question, [] for no rows, and an error's type."""
    try:
        rows = await graph.read(question)
    except StatementRejectedError as error:
        return type(error)
    return rows[0].get("x", True) if rows else []


@pytest.mark.parametrize(("question", "embedded", "neo4j"), named(OTHERWISE))
async def test_the_two_stores_answer_otherwise(embedded_graph, neo4j_graph, question, embedded, neo4j):
    """Rely on neither where you may change from one to the other."""
    question = question.replace("MINE", neo4j_graph.lane())
    for graph in (embedded_graph, neo4j_graph):
        await graph.write(FAMILY)
        await graph.write("UNWIND range(100, 111) AS id CREATE (:Thing {id: id})")
        await graph.write("MATCH (a:Thing), (b:Thing) WHERE a.id >= 100 AND b.id = a.id + 1 CREATE (a)-[:LONG]->(b)")
        await graph.write("CREATE (:Thing {id: 200})-[:R]->({mine: $mine})", {"mine": neo4j_graph.lane()})
        await graph.write("CREATE (n:Other {list: [1, 2.5]})")
        await graph.write("CREATE (n:Other {id: 'x', list: [1, 2.5], v: 1}) SET n = {replaced: true, list: [1, 2.5]}")
        await graph.write("MATCH (n:Thing {id: 2}) SET n.a = 1, n.b = n.a")
    assert await answer(embedded_graph, question) == embedded
    assert await answer(neo4j_graph, question) == neo4j
    await neo4j_graph.write("MATCH (:Thing {id: 200})-[:R]->(n) DETACH DELETE n")


async def test_the_embedded_store_names_the_end_of_a_relationship(embedded_graph, neo4j_graph):
    """Return the pattern's own variable instead; properties of the end are right on both."""
    for graph in (embedded_graph, neo4j_graph):
        await graph.write(FAMILY)
        assert await graph.value("MATCH (:Thing)-[r:NEXT]->() RETURN endNode(r).id") == 2
    assert await neo4j_graph.value("MATCH (:Thing)-[r:NEXT]->() RETURN endNode(r)") == {"id": 2, "v": 2}
    assert isinstance(await embedded_graph.value("MATCH (:Thing)-[r:NEXT]->() RETURN endNode(r)"), str)


async def test_the_embedded_store_may_take_a_made_up_id_for_yours(embedded_graph):
    """Give every node an id of its own: a node that was created without one has a number for it."""
    await embedded_graph.write("CREATE (n:Thing {v: 'no id was given'})")
    made_up = await embedded_graph.value("MATCH (n:Thing) RETURN n.id")
    await embedded_graph.write("MERGE (n:Thing {id: $id}) SET n.v = 'mine'", {"id": made_up})
    assert await embedded_graph.value("MATCH (n:Thing) RETURN count(n)") == 1


async def test_keys_may_show_more_than_was_given(embedded_graph):
    """Among them, but for a prefix, is each name that was."""
    names = {"id", "name", "title", "__x", "a b", "content"}
    await embedded_graph.write("CREATE (n:Thing $map)", {"map": dict.fromkeys(names, 1)})
    keys = await embedded_graph.value("MATCH (n:Thing) RETURN keys(n)")
    assert names <= set(keys) | {key.removeprefix("__") for key in keys}
