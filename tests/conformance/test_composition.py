"""Statements that Neo4j is given together do what each does alone, whatever is in them."""

import pytest

from perdure.cypher import parse
from perdure.errors import StatementRejectedError

GIVEN = {"v": 1, "zero": 0, "map": {"v": 1}, "list": [1, 2, 3], "label": "Extra", "day": "2024-01-01", "0": 5, "a b": 3}
SHAPES = [
    "CREATE (n:Thing {v: $v}) RETURN *",
    "CREATE (n:Thing {v: $v}) WITH * RETURN n",
    "CREATE (n:Thing {v: $v}) WITH *, 1 AS x RETURN *",
    "CREATE (n:Thing {v: $v}) FINISH",
    "CREATE (n:Thing {v: $v}) RETURN n AS `_`",
    "CREATE (n:Thing{v:$v})RETURN n",
    "CYPHER runtime=slotted CREATE (n:Thing {v: $v})",
    "PROFILE CREATE (n:Thing {v: $v})",
    "EXPLAIN CREATE (n:Thing {v: $v})",
    "INSERT (n:Thing {v: $v})",
    "WITH $v AS _ CREATE (n:Thing {v: _})",
    "WITH 1 AS __row CREATE (n:Thing {v: $v, __row: __row})",
    "UNWIND [1, 2] AS rows CREATE (n:Thing {v: $v + rows})",
    "CREATE (n:Thing {v: $v}) UNION CREATE (n:Thing {v: $v})",
    "CREATE (n:Thing {v: $v}) RETURN 1 AS x UNION ALL CREATE (n:Thing {v: $v}) RETURN 2 AS x",
    "CALL { CREATE (n:Thing {v: $v}) }",
    "CALL (*) { CREATE (n:Thing {v: $v}) }",
    "WITH 1 AS x CALL (x) { CREATE (n:Thing {v: $v + x}) }",
    "CREATE (n:Thing {v: $v}) WITH n SKIP $zero LIMIT $v SET n.kept = true",
    "CREATE (n:Thing $map)",
    "MERGE (n:Thing {v: $v}) ON CREATE SET n += $map ON MATCH SET n.again = coalesce(n.again, 0) + 1",
    "CREATE (n:Thing) SET n = $map",
    "CREATE (n:Thing {v: '$v', w: \"$v\", `$v`: $v})",
    "CREATE (n:Thing {v: $v.x})",
    "CREATE (n:Thing {v: $map.v, w: $list[0], x: [x IN $list WHERE x > $v | x * $v]})",
    "CREATE (n:Thing {v: reduce(a = 0, x IN $list | a + x + $v), w: CASE $v WHEN 1 THEN 2 ELSE 3 END})",
    "CREATE (n:Thing {v: 1e3, w: 0x1F, x: .5, y: $v, z: date($day)})",
    "CREATE (n:Thing {v: $0, w: $`a b`})",
    "FOREACH (x IN $list | CREATE (n:Thing {v: x}))",
    "CREATE (n:Thing {v: $v}) WITH n MATCH (m:Thing) WITH count(m) AS c MATCH (k:Thing {v: $v}) SET k.seen = c",
    "CREATE (n:Thing {v: COUNT { MATCH (m:Thing {v: $v}) RETURN m }, w: EXISTS { (m:Thing) WHERE m.v = $v }})",
    "MATCH (n:Thing) WHERE n.v = $v SET n.w = $v UNION CREATE (n:Thing {v: $v})",
    "CREATE (n:$($label):Thing {v: $v})-[:$($label) {v: $v}]->(:Thing)",
    "CREATE (n:Thing {v: $v}) SET n.a = 1, n.b = $v REMOVE n.a",
    "CREATE (n:Thing {v: $v}) WITH n ORDER BY n.v RETURN n.v AS v, count(*) AS c",
    "CREATE (n:Thing {v: $v}) /* $zero */ // }) RETURN $nothing",
    "OPTIONAL MATCH (n:Thing) WITH count(n) AS c WHERE c < 2 CREATE (:Thing {v: c})",
]


async def three_times(graph, statement, way):
    """Run a statement three times in one of three ways, and return what it leaves or how it is refused."""
    text = graph.text(statement)
    parameters = {name: GIVEN[name] for name in parse(text).parameters}
    lane = f"{way} of three"
    try:
        if way == "alone":
            for _ in range(3):
                await graph.write(text, parameters)
        else:
            endings = ["\n// 1", "\n// 2", "\n// 3"] if way == "one by one" else [""] * 3
            await graph.apply_all(*((text + ending, parameters) for ending in endings), lane=lane)
    except StatementRejectedError as error:
        return type(error)
    nodes = await graph.read("MATCH (n:Thing) RETURN properties(n) AS n, size(labels(n)) AS labels")
    links = await graph.read("MATCH (:Thing)-[r]->(:Thing) RETURN type(r) AS type, properties(r) AS r")
    await graph.write("MATCH (n:Thing) DETACH DELETE n")
    return sorted(repr(sorted(row["n"].items())) + str(row["labels"]) for row in nodes), sorted(map(repr, links))


@pytest.mark.parametrize("statement", SHAPES)
async def test_a_statement_does_the_same_alone_one_by_one_and_together(neo4j_graph, statement):
    """B40: three times each; the last way leaves it to the store what it puts into one statement."""
    alone = await three_times(neo4j_graph, statement, "alone")
    assert await three_times(neo4j_graph, statement, "one by one") == alone
    assert await three_times(neo4j_graph, statement, "together") == alone


async def left_by(graph, *batches):
    """Apply batches one after the other, twice each as after a lost answer; return what they leave, or the refusal."""
    done = 0
    try:
        for batch in batches:
            for _ in range(2):
                await graph.apply(*batch, first=done)
            done += len(batch)
    except StatementRejectedError as error:
        return type(error), await graph.value("MATCH (n:Thing) RETURN count(n)")
    rows = await graph.read("MATCH (n:Thing) RETURN properties(n) AS n")
    nodes = [{key: value for key, value in row["n"].items() if key != "id"} for row in rows]  # kglite counts on
    return sorted(map(repr, nodes)), await graph.value("MATCH (:Thing)-[r]->(:Thing) RETURN count(r)")


@pytest.mark.parametrize("statement", SHAPES)
async def test_a_batch_of_one_does_what_it_does_among_others(embedded_graph, statement):
    """J3: the embedded store commits it as one statement with its mark."""
    before, given = ("CREATE (n:Other {v: 1})", {}), {name: GIVEN[name] for name in parse(statement).parameters}
    together = await left_by(embedded_graph, [before], [before, (statement, given)])
    await embedded_graph.sweep()
    assert await left_by(embedded_graph, [before], [before], [(statement, given)]) == together


async def test_a_write_by_itself_needs_no_copy_of_the_graph(embedded_graph, monkeypatch):
    """B2: a transaction makes one, of up to 32,000 nodes, which takes ten milliseconds and more."""
    first, second, third = (f"CREATE (n:Thing {{v: {v}}})" for v in range(3))
    await embedded_graph.apply(first)
    monkeypatch.setattr("perdure.stores.embedded.store.transaction", None)
    assert await embedded_graph.apply(second, first=1) == 1
    await embedded_graph.write(third)
    assert await embedded_graph.value("MATCH (n:Thing) RETURN count(n)") == 3
