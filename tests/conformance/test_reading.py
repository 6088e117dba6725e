"""Reading: questions are answered, and nothing that writes gets through this door."""

import pytest

from perdure.errors import ClosedError, InputError, StatementRejectedError

WRITES = {
    "create": "CREATE (n:Thing {id: 2}) RETURN n",
    "merge": "MERGE (n:Thing {id: 2}) RETURN n",
    "set": "MATCH (n:Thing) SET n.x = 1",
    "set a map": "MATCH (n:Thing) SET n += {x: 1} RETURN n",
    "set a label": "MATCH (n:Thing) SET n:Other",
    "remove": "MATCH (n:Thing) REMOVE n.v",
    "remove a label": "MATCH (n:Thing) REMOVE n:Thing",
    "delete": "MATCH (n:Thing) DELETE n",
    "detach and delete": "MATCH (n:Thing) DETACH DELETE n",
    "in small letters": "match (n:Thing) detach delete n",
    "over several lines": "MATCH (n:Thing)\nDETACH\n\tDELETE\nn",
    "with a comment between": "MATCH (n:Thing) DETACH/* all */DELETE n",
    "after a comment": "// RETURN\nMATCH (n:Thing) SET n.x = 1",
    "for each": "FOREACH (x IN [1] | CREATE (:Thing {id: x}))",
    "after UNWIND": "UNWIND [1] AS x CREATE (:Thing {id: x + 1})",
    "after WITH": "MATCH (n:Thing) WITH n LIMIT 1 SET n.x = 1 RETURN n",
    "in a union": "RETURN 1 AS id UNION CREATE (n:Thing {id: 2}) RETURN n.id AS id",
    "a relationship": "MATCH (n:Thing) CREATE (n)-[:SELF]->(n)",
    "an index": "CREATE INDEX perdure_never IF NOT EXISTS FOR (n:Thing) ON (n.x)",
    "a constraint": "CREATE CONSTRAINT perdure_never IF NOT EXISTS FOR (n:Thing) REQUIRE n.x IS UNIQUE",
    "dropping an index": "DROP INDEX perdure_never IF EXISTS",
}
IN_A_SUBQUERY = {
    "a subquery": "CALL { CREATE (n:Thing {id: 2}) RETURN n } RETURN n",
    "a subquery of a row": "MATCH (n:Thing) CALL (n) { SET n.x = 1 } RETURN n",
    "a subquery of no row": "CALL () { CREATE (:Thing {id: 2}) }",
    "a subquery in transactions": "UNWIND [2] AS x CALL (x) { CREATE (:Thing {id: x}) } IN TRANSACTIONS",
}
READS = {
    "a text that says so": "RETURN 'CREATE (n)' AS x",
    "a name that says so": "MATCH (n:Thing) RETURN n.create AS x, n.`SET` AS y",
    "a column that says so": "MATCH (n:Thing) RETURN n.id AS set, n.id AS delete",
    "a label that says so": "OPTIONAL MATCH (n:Create) RETURN n",
    "a comment that says so": "RETURN 1 AS x // CREATE (n:Thing)",
    "a variable that says so": "MATCH (`merge`:Thing) RETURN `merge`",
    "a subquery": "MATCH (n:Thing) CALL (n) { RETURN n.id AS `set` } RETURN `set`",
}


def named(texts):
    return [pytest.param(text, id=name) for name, text in texts.items()]


async def untouched(graph):
    """Return whether the graph is as `one` left it."""
    nodes = await graph.read("MATCH (n:Thing) OPTIONAL MATCH (n)-[r]-() RETURN n, labels(n) AS labels, r")
    others = await graph.read("MATCH (n:Other) RETURN n")
    return len(nodes) == 1 and nodes[0]["n"] == {"id": 1, "v": 1} and nodes[0]["r"] is None and not others


@pytest.fixture
async def one(graph):
    """A graph of one node."""
    await graph.write("CREATE (n:Thing {id: 1, v: 1})")
    return graph


@pytest.mark.parametrize("statement", named(WRITES | IN_A_SUBQUERY))
async def test_a_query_that_writes_is_refused(one, client_of, statement):
    """`query.cypher` only reads: what writes raises InputError that says where to go, and changes nothing."""
    async with client_of(one) as client:
        with pytest.raises(InputError, match=r"client\.buffered\.submit"):
            await client.query.cypher(one.text(statement))
    assert await untouched(one)


@pytest.mark.parametrize("statement", named(WRITES | IN_A_SUBQUERY))
async def test_a_store_refuses_to_write_when_it_is_asked_to_read(one, statement):
    """The store is the judge, whoever asks: the same error from every one."""
    with pytest.raises(InputError, match=r"client\.buffered\.submit"):
        await one.read(statement)
    assert await untouched(one)


@pytest.mark.parametrize("statement", named(READS))
async def test_a_query_that_only_looks_like_a_write_is_answered(one, client_of, statement):
    """Words in strings, names and comments are not clauses."""
    async with client_of(one) as client:
        assert len(await client.query.cypher(one.text(statement))) == 1


async def test_a_refused_query_leaves_the_client_working(one, client_of):
    """For reading and for writing."""
    async with client_of(one, write_mode="buffered") as client:
        for statement in (*WRITES.values(), "NONSENSE", "RETURN 1 / 0"):
            with pytest.raises((InputError, StatementRejectedError)):
                await client.query.cypher(one.text(statement))
        await client.buffered.submit(one.text("CREATE (n:Thing {id: 2})"))
        assert (await client.flush()).committed == 1
        rows = await client.query.cypher(one.text("MATCH (n:Thing) RETURN n.id AS id ORDER BY id"))
    assert [row["id"] for row in rows] == [1, 2]


async def test_a_query_sees_what_is_committed_and_not_what_is_pending(one, client_of):
    """Flush first to see that too; a linger longer than the test keeps the write from leaving by itself."""
    question = one.text("MATCH (n:Thing {id: 2}) RETURN n.id AS id")
    async with client_of(one, write_mode="buffered", linger_seconds=10) as client:
        await client.buffered.submit(one.text("CREATE (n:Thing {id: $id})"), {"id": 2})
        assert await client.query.cypher(question) == []
        await client.flush()
        assert await client.query.cypher(question) == [{"id": 2}]


async def test_a_query_sees_its_own_clients_commits_at_once(one, client_of):
    """Read your writes: fifty times over."""
    async with client_of(one, write_mode="sync") as client:
        for number in range(50):
            await client.buffered.submit(one.text("MATCH (n:Thing {id: 1}) SET n.v = $v"), {"v": number})
            assert await client.query.cypher(one.text("MATCH (n:Thing) RETURN n.v AS v")) == [{"v": number}]


async def test_the_callers_parameters_are_left_alone(one):
    """P21: what comes back shares nothing with what was given."""
    given = {"rows": [{"a": [1, 2]}], "name": {"title": 1}}
    copy = {"rows": [{"a": [1, 2]}], "name": {"title": 1}}
    answer = await one.value("RETURN [$rows, $name]", given)
    answer[0][0]["a"].append(3)
    assert given == copy


async def test_a_store_that_is_not_open_says_so(one):
    """Before connect and after close."""
    await one.store.close()
    for call in (one.read("RETURN 1"), one.write("CREATE (n:Thing)"), one.apply("CREATE (n:Thing)")):
        with pytest.raises(ClosedError):
            await call
    await one.store.close()
    await one.store.connect()
    assert await one.value("RETURN 1") == 1
