"""Statements: one text means the same on every store, in what it changes and in what it answers."""

import pytest

from perdure.errors import InputError, StatementRejectedError

COMMENTED = {
    "at the end": "CREATE (n:Thing {v: 1}) // CREATE (n:Thing {v: 2})",
    "of one line before": "// (first\nCREATE (n:Thing {v: 1})",
    "of many lines": "/* one\ntwo */ CREATE (n:Thing {v: 1}) /* three */",
    "inside a pattern": "CREATE (n:Thing /* in (a) pattern } */ {v: /* ' */ 1})",
    "that looks like a string": "CREATE (n:Thing {v: 1}) // it's 'quoted'",
    "with a parameter in it": "CREATE (n:Thing {v: 1}) // $missing",
}
TEXTS_LIKE_COMMENTS = ["http://example.org", "/* no comment */", "a // b", "`quoted`", "$name"]
ENDED = ["CREATE (n:Thing {v: 1});", "CREATE (n:Thing {v: 1}) ; \n", "CREATE (n:Thing {v: 1}); // done"]


@pytest.mark.parametrize("statement", [pytest.param(text, id=name) for name, text in COMMENTED.items()])
async def test_a_comment_changes_nothing(graph, statement):
    """Of either kind, anywhere."""
    await graph.write(statement)
    assert await graph.read(f"{statement.replace('CREATE', 'MATCH')}\nRETURN n.v AS v") == [{"v": 1}]


@pytest.mark.parametrize("statement", [pytest.param(text, id=name) for name, text in COMMENTED.items()])
async def test_a_comment_changes_nothing_in_a_batch(graph, statement):
    """Where one text is put into another, the rest must not end up in its comment."""
    await graph.apply(*[statement] * 3, "CREATE (n:Other {v: 1})", "CREATE (n:Other {v: 2})")
    assert await graph.value("MATCH (n:Thing) RETURN count(n)") == 3
    assert await graph.value("MATCH (n:Other) RETURN count(n)") == 2


@pytest.mark.parametrize("text", TEXTS_LIKE_COMMENTS)
async def test_a_string_is_no_comment(graph, text):
    """Nor a name in backticks, nor a parameter."""
    await graph.write(f"CREATE (n:Thing {{v: '{text}', other: \"{text}\"}})")
    await graph.apply(*[f"CREATE (n:Thing {{v: '{text}', other: \"{text}\"}})"] * 2)
    assert await graph.read("MATCH (n:Thing) RETURN n.v AS v, n.other AS other") == [{"v": text, "other": text}] * 3


@pytest.mark.parametrize("statement", ENDED)
async def test_a_semicolon_at_the_end_is_allowed(graph, statement):
    """As people write them."""
    await graph.write(statement)
    await graph.apply(statement, statement, statement.replace("1", "2"))
    assert [row["v"] for row in await graph.read("MATCH (n:Thing) RETURN n.v AS v ORDER BY v;")] == [1, 1, 1, 2]


@pytest.mark.parametrize("statement", ["CREATE (n:Thing {v: 1}); CREATE (n:Thing {v: 2})", "CREATE (n:Thing {v: 1});;"])
async def test_two_statements_in_one_text_are_refused(graph, statement):
    """Neither half may be lost without a word."""
    with pytest.raises((InputError, StatementRejectedError)):
        await graph.write(statement)
    with pytest.raises((InputError, StatementRejectedError)):
        await graph.apply(statement)
    assert await graph.read("MATCH (n:Thing) RETURN n") == []


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE (n:Thing $props)",
        "CREATE (:Thing $props)",
        "CREATE (n:Thing $props) RETURN n",
        "CREATE (n:Thing $props);",
    ],
)
async def test_a_node_is_created_from_a_map(graph, statement):
    """The shortest way to store what one has."""
    props = {"id": 1, "name": "Ana", "tags": ["a"], "gone": None}
    await graph.write(statement, {"props": props})
    await graph.apply((statement, {"props": {**props, "id": 2}}), (statement, {"props": {**props, "id": 3}}))
    rows = await graph.read("MATCH (n:Thing) RETURN n ORDER BY n.id")
    assert [row["n"] for row in rows] == [{"id": place, "name": "Ana", "tags": ["a"]} for place in (1, 2, 3)]


async def test_new_properties_may_come_at_any_time(graph):
    """No schema has to be told of them, neither by writes nor by reads."""
    await graph.write("CREATE (n:Thing {id: 1, a: 1})")
    await graph.write("MATCH (n:Thing {id: 1}) SET n.b = 2")
    await graph.write("MATCH (n:Thing {id: 1}) WHERE n.c IS NULL SET n.d = n.e, n.f = 3")
    await graph.write("MERGE (n:Thing {id: 2, g: 4}) ON CREATE SET n.h = 5 ON MATCH SET n.i = 6")
    assert await graph.read("MATCH (n:Thing {j: 7}) RETURN n") == []
    assert await graph.read("MATCH (n:Thing) WHERE n.k = 8 OR n.l > 9 RETURN n") == []
    assert await graph.read("MATCH (n:Thing) RETURN n, n.m AS m ORDER BY n.id") == [
        {"n": {"id": 1, "a": 1, "b": 2, "f": 3}, "m": None},
        {"n": {"id": 2, "g": 4, "h": 5}, "m": None},
    ]


FAMILY = """
CREATE (ana:Thing {id: 1, name: 'Ana', age: 40}), (ben:Thing {id: 2, name: 'Ben', age: 10}),
       (eva:Thing {id: 3, name: 'Eva'}), (ana)-[:PARENT_OF {since: 2014}]->(ben),
       (ana)-[:KNOWS {since: 2020, how: 'work'}]->(eva), (ben)-[:KNOWS]->(eva)
"""
ANA, BEN, EVA = {"id": 1, "name": "Ana", "age": 40}, {"id": 2, "name": "Ben", "age": 10}, {"id": 3, "name": "Eva"}
ANSWERS = {
    "a node": ("MATCH (n:Thing {id: 1}) RETURN n", [{"n": ANA}]),
    "a relationship": ("MATCH (:Thing)-[r:PARENT_OF]->() RETURN r", [{"r": {"since": 2014}}]),
    "a relationship without properties": (
        "MATCH (:Thing {id: 2})-[r]->() RETURN r, type(r) AS t",
        [{"r": {}, "t": "KNOWS"}],
    ),
    "a path": (
        "MATCH p = (:Thing {id: 1})-[:PARENT_OF]->()-[:KNOWS]->() RETURN p, length(p) AS length",
        [{"p": {"nodes": [ANA, BEN, EVA], "relationships": [{"since": 2014}, {}]}, "length": 2}],
    ),
    "a path of one node": (
        "MATCH p = (n:Thing {id: 3}) RETURN p, length(p) AS l",
        [{"p": {"nodes": [EVA], "relationships": []}, "l": 0}],
    ),
    "what a path is made of": (
        "MATCH p = (:Thing {id: 1})-[:KNOWS]->() RETURN nodes(p) AS n, relationships(p) AS r",
        [{"n": [ANA, EVA], "r": [{"since": 2020, "how": "work"}]}],
    ),
    "nodes in lists and maps": (
        "MATCH (n:Thing {id: 3}) RETURN [n, 1] AS list, {node: n, deep: [{x: n}]} AS map, collect(n) AS all",
        [{"list": [EVA, 1], "map": {"node": EVA, "deep": [{"x": EVA}]}, "all": [EVA]}],
    ),
    "projections": (
        "MATCH (n:Thing {id: 3}) RETURN n {.name, age: 1} AS m, n {.*, x: 2} AS all, properties(n) AS p",
        [{"m": {"name": "Eva", "age": 1}, "all": {**EVA, "x": 2}, "p": EVA}],
    ),
    "everything": ("MATCH (n:Thing {id: 2})-[r:KNOWS]->(m) RETURN *", [{"m": EVA, "n": BEN, "r": {}}]),
    "aggregates": (
        """MATCH (n:Thing) WITH n ORDER BY n.id
        RETURN count(*) AS c, count(n.age) AS ages, sum(n.age) AS s, avg(n.age) AS a, min(n.age) AS lo,
        max(n.name) AS hi, collect(n.age) AS list, count(DISTINCT n.id % 2) AS kinds""",
        [{"c": 3, "ages": 2, "s": 50, "a": 25.0, "lo": 10, "hi": "Eva", "list": [40, 10], "kinds": 2}],
    ),
    "aggregates of nothing": (
        "MATCH (n:Thing {id: 9}) RETURN count(n) AS c, sum(n.x) AS s, collect(n) AS l, min(n.x) AS m, avg(n.x) AS a",
        [{"c": 0, "s": 0, "l": [], "m": None, "a": None}],
    ),
    "groups": (
        "MATCH (a:Thing)-[r]->(b:Thing) RETURN type(r) AS type, count(*) AS c ORDER BY type",
        [{"type": "KNOWS", "c": 2}, {"type": "PARENT_OF", "c": 1}],
    ),
    "nulls in order": (
        "MATCH (n:Thing) RETURN n.age AS age ORDER BY age DESC",
        [{"age": None}, {"age": 40}, {"age": 10}],
    ),
    "what is not there": (
        "MATCH (n:Thing {id: 3}) OPTIONAL MATCH (n)-[r:PARENT_OF]->(m) RETURN n.id AS id, r, m, m.name AS name",
        [{"id": 3, "r": None, "m": None, "name": None}],
    ),
    "labels that nobody has": ("MATCH (n:Other) RETURN n.x AS x", []),
    "several steps": (
        "MATCH p = (a:Thing {id: 1})-[:PARENT_OF|KNOWS*1..2]->(b) RETURN b.id AS b, length(p) AS l ORDER BY b, l",
        [{"b": 2, "l": 1}, {"b": 3, "l": 1}, {"b": 3, "l": 2}],
    ),
    "either direction": ("MATCH (:Thing {id: 3})--(n) RETURN n.id AS id ORDER BY id", [{"id": 1}, {"id": 2}]),
    "patterns in expressions": (
        """MATCH (n:Thing) WHERE EXISTS { (n)-[:KNOWS]->() } RETURN n.id AS id, COUNT { (n)-->() } AS c,
        [(n)-[:KNOWS]->(m) | m.name] AS names ORDER BY id""",
        [{"id": 1, "c": 2, "names": ["Eva"]}, {"id": 2, "c": 1, "names": ["Eva"]}],
    ),
    "a union": ("RETURN 1 AS a UNION RETURN 1 AS a UNION RETURN 2 AS a", [{"a": 1}, {"a": 2}]),
    "a subquery": (
        "MATCH (n:Thing) CALL (n) { MATCH (n)-->(m) RETURN count(m) AS c } RETURN n.id AS id, c ORDER BY id",
        [{"id": 1, "c": 2}, {"id": 2, "c": 1}, {"id": 3, "c": 0}],
    ),
    "with in between": (
        "MATCH (n:Thing) WITH n.id % 2 AS odd, count(*) AS c WHERE c > 1 RETURN odd, c",
        [{"odd": 1, "c": 2}],
    ),
    "pages": ("MATCH (n:Thing) RETURN n.id AS id ORDER BY id DESC SKIP 1 LIMIT 1", [{"id": 2}]),
    "arithmetic": (
        "RETURN 7 / 2 AS d, -7 / 2 AS n, 7 % 3 AS m, 7.0 / 2 AS f, 2 ^ 3 AS p",
        [{"d": 3, "n": -3, "m": 1, "f": 3.5, "p": 8.0}],
    ),
    "logic of null": (
        "RETURN null = null AS a, null IS NULL AS b, NOT null AS c, null AND false AS d, 1 = 1.0 AS e, 1 = '1' AS f",
        [{"a": None, "b": True, "c": None, "d": False, "e": True, "f": False}],
    ),
    "text": (
        """RETURN toUpper('é') AS u, size('😀') AS s, substring('hello', 1, 3) AS m, split('a,b', ',') AS l,
        'a' + 1 AS c, 'abc' STARTS WITH 'a' AS w, 'abc' =~ 'a.*' AS x""",
        [{"u": "É", "s": 1, "m": "ell", "l": ["a", "b"], "c": "a1", "w": True, "x": True}],
    ),
    "lists": (
        """RETURN [x IN range(1, 4) WHERE x % 2 = 0 | x * 10] AS c, [1, 2, 3][-1] AS last, [1, 2, 3][0..2] AS s,
        2 IN [1, 2] AS i, reduce(a = 0, x IN [1, 2] | a + x) AS r, all(x IN [] WHERE false) AS e, [1] + 2 AS plus""",
        [{"c": [20, 40], "last": 3, "s": [1, 2], "i": True, "r": 3, "e": True, "plus": [1, 2]}],
    ),
    "conversions": (
        """RETURN toString(1.0) AS f, toString(true) AS b, toInteger('5') AS i, toInteger('x') AS n,
        coalesce(null, 1) AS c, CASE WHEN 1 > 2 THEN 'a' ELSE 'b' END AS k""",
        [{"f": "1.0", "b": "true", "i": 5, "n": None, "c": 1, "k": "b"}],
    ),
    "a duration": ("RETURN duration('P1M2DT3S') AS d", [{"d": {"months": 1, "days": 2, "seconds": 3}}]),
    "a duration with a fraction": (
        "RETURN duration('PT3.5S') AS d",
        [{"d": {"months": 0, "days": 0, "seconds": 3, "nanoseconds": 500_000_000}}],
    ),
    "a point": (
        "RETURN point({latitude: 1.0, longitude: 2.0}) AS p",
        [{"p": {"longitude": 2.0, "latitude": 1.0}}],
    ),
}


@pytest.mark.parametrize(("question", "answer"), [pytest.param(*pair, id=name) for name, pair in ANSWERS.items()])
async def test_an_answer_is_the_same_plain_values(graph, question, answer):
    """Nodes, relationships and paths are maps and lists, and columns are called what they were called."""
    await graph.write(FAMILY)
    assert await graph.read(question) == answer


CHANGES = {
    "create and link": (
        ["CREATE (:Thing {id: 4})", "MATCH (a:Thing {id: 3}), (b:Thing {id: 4}) CREATE (a)-[:NEXT {n: 1}]->(b)"],
        "MATCH (:Thing {id: 3})-[r:NEXT]->(b) RETURN b.id AS b, r.n AS n",
        [{"b": 4, "n": 1}],
    ),
    "merge twice": (
        ["MERGE (n:Thing {id: 4}) ON CREATE SET n.c = 1 ON MATCH SET n.m = 1"] * 2,
        "MATCH (n:Thing {id: 4}) RETURN n",
        [{"n": {"id": 4, "c": 1, "m": 1}}],
    ),
    "merge a relationship twice": (
        ["MATCH (a:Thing {id: 1}), (b:Thing {id: 3}) MERGE (a)-[r:LIKES {n: 1}]->(b) SET r.c = coalesce(r.c, 0) + 1"]
        * 2,
        "MATCH (:Thing)-[r:LIKES]->(:Thing) RETURN r",
        [{"r": {"n": 1, "c": 2}}],
    ),
    "delete a relationship": (
        ["MATCH (:Thing {id: 1})-[r:KNOWS]->() DELETE r"],
        "MATCH (:Thing {id: 1})-[r]->() RETURN type(r) AS t",
        [{"t": "PARENT_OF"}],
    ),
    "detach and delete": (
        ["MATCH (n:Thing {id: 1}) DETACH DELETE n"],
        "MATCH (n:Thing) RETURN n.id AS id ORDER BY id",
        [{"id": 2}, {"id": 3}],
    ),
    "delete and create again": (
        ["MATCH (n:Thing {id: 3}) DETACH DELETE n", "CREATE (n:Thing {id: 3, name: 'Eva II'})"],
        "MATCH (n:Thing {id: 3}) OPTIONAL MATCH (n)--(m) RETURN n.name AS n, m",
        [{"n": "Eva II", "m": None}],
    ),
    "add to a list": (
        [
            "MATCH (n:Thing {id: 3}) SET n.log = coalesce(n.log, []) + 1",
            "MATCH (n:Thing {id: 3}) SET n.log = n.log + [2, 3]",
        ],
        "MATCH (n:Thing {id: 3}) RETURN n.log AS log",
        [{"log": [1, 2, 3]}],
    ),
    "replace but for the id": (
        ["MATCH (n:Thing {id: 1}) SET n = {id: 1, b: 2}"],
        "MATCH (n:Thing {id: 1}) RETURN n",
        [{"n": {"id": 1, "b": 2}}],
    ),
    "change labels": (
        [
            "MATCH (n:Thing {id: 1}) SET n:Other",
            "MATCH (n:Thing {id: 2}) SET n:Other",
            "MATCH (n:Other {id: 2}) REMOVE n:Other",
        ],
        "MATCH (n:Other) RETURN n.id AS id, size(labels(n)) AS labels",
        [{"id": 1, "labels": 2}],
    ),
    "for each": (
        [
            "FOREACH (x IN [5, 6] | CREATE (:Thing {id: x}))",
            "MATCH (n:Thing {id: 1}) FOREACH (x IN [] | SET n.gone = true)",
        ],
        "MATCH (n:Thing) WHERE n.id > 3 OR n.gone RETURN n.id AS id ORDER BY id",
        [{"id": 5}, {"id": 6}],
    ),
    "a match of nothing changes nothing": (
        ["MATCH (n:Thing {id: 99}) CREATE (n)-[:NEXT]->(:Thing {id: 100})", "MATCH (n:Thing {id: 99}) SET n.x = 1"],
        "MATCH (n:Thing) RETURN count(n) AS c",
        [{"c": 3}],
    ),
    "a loop": (
        ["MATCH (n:Thing {id: 1}) MERGE (n)-[:SELF]->(n)"],
        "MATCH (n:Thing)-[:SELF]->(m) RETURN n.id = m.id AS same",
        [{"same": True}],
    ),
    "a statement that returns rows": (
        ["UNWIND range(4, 9) AS x CREATE (n:Thing {id: x}) RETURN n"],
        "MATCH (n:Thing) RETURN count(n) AS c",
        [{"c": 9}],
    ),
    "a read": (["MATCH (n:Thing) RETURN n", "RETURN 1"], "MATCH (n:Thing) RETURN count(n) AS c", [{"c": 3}]),
}


@pytest.mark.parametrize("way", ["one by one", "in one batch", "twice in one batch"])
@pytest.mark.parametrize("change", [pytest.param(change, id=name) for name, change in CHANGES.items()])
async def test_a_change_is_the_same(graph, change, way):
    """The second batch has only texts that were seen before: the ones a store may put together."""
    statements, question, answer = change
    await graph.write(FAMILY)
    if way == "one by one":
        for statement in statements:
            await graph.write(statement)
    else:
        if way == "twice in one batch":
            await graph.apply(*statements, lane="before")
            await graph.write("MATCH (n:Thing) DETACH DELETE n")
            await graph.write(FAMILY)
        await graph.apply(*statements)
    assert await graph.read(question) == answer


REFUSED = {
    "no Cypher": "MAKE ME A SANDWICH",
    "half a statement": "CREATE (n:Thing {id: 1}",
    "an unknown variable": "CREATE (n:Thing {id: 1}) SET m.x = 1",
    "an unknown function": "CREATE (n:Thing {id: 1}) SET n.x = nonsense(1)",
    "a division by zero": "CREATE (n:Thing {id: 1}) SET n.x = 1 / 0",
    "an overflow": "CREATE (n:Thing {id: 1}) SET n.x = 9223372036854775807 + 1",
    "a merge by null": "CREATE (n:Thing {id: 1}) MERGE (m:Thing {id: null})",
    "a node that has relationships": "CREATE (n:Thing {id: 1})-[:R]->(m:Thing {id: 2}) DELETE n",
}


@pytest.mark.parametrize("statement", [pytest.param(text, id=name) for name, text in REFUSED.items()])
async def test_a_statement_that_cannot_run_is_rejected_and_leaves_nothing(graph, statement):
    """B28: alone and in a batch it is the same typed error, which trying again would not change."""
    with pytest.raises(StatementRejectedError) as alone:
        await graph.write(statement)
    with pytest.raises(StatementRejectedError):
        await graph.apply("CREATE (n:Thing {id: 0})", statement)
    assert not alone.value.retryable
    assert await graph.read("MATCH (n:Thing) RETURN n") == []


async def test_a_question_that_cannot_be_answered_is_rejected(graph):
    """Reads fail as writes do."""
    for statement in ("MATCH (n:Thing RETURN n", "RETURN nonsense(1)", "RETURN 1 / 0", "RETURN unknown"):
        with pytest.raises(StatementRejectedError):
            await graph.read(statement)


UNUSABLE = {
    "an empty text": ("", None),
    "white space": (" \n\t", None),
    "only a comment": ("/* nothing */ // here", None),
    "None": (None, None),
    "bytes": (b"RETURN 1", None),
    "a number": (1, None),
    "a list": (["RETURN 1"], None),
    "a string that never ends": ("RETURN 'abc", None),
    "a comment that never ends": ("RETURN 1 /* abc", None),
    "a name that never ends": ("RETURN `abc", None),
    "half a surrogate pair": ("RETURN '\ud800'", None),
    "a missing parameter": ("RETURN $a, $b", {"a": 1}),
    "a missing parameter in backticks": ("RETURN $`a b`", {"a": 1}),
    "no parameters at all": ("RETURN $a", None),
    "a list of parameters": ("RETURN 1", [1]),
    "a text of parameters": ("RETURN 1", "a"),
    "a number of a parameter": ("RETURN 1", {1: 1}),
}


@pytest.mark.parametrize(("statement", "parameters"), [pytest.param(*pair, id=name) for name, pair in UNUSABLE.items()])
async def test_what_no_store_could_take_is_refused_before_it_is_sent(graph, client_of, statement, parameters):
    """B30: by submit, try_submit and query alike; nothing is pending, nothing has failed."""
    async with client_of(graph, write_mode="buffered") as client:
        for refusal in (client.buffered.submit, client.query.cypher):
            with pytest.raises(InputError):
                await refusal(statement, parameters)
        with pytest.raises(InputError):
            client.buffered.try_submit(statement, parameters)
        stats = client.buffered.stats()
    assert (stats.pending, stats.committed, stats.failed) == (0, 0, 0)


@pytest.mark.parametrize("write_mode", ["sync", "buffered"])
async def test_a_missing_parameter_is_named(graph, client_of, write_mode):
    """A store that took it for null would store the wrong thing without a word."""
    async with client_of(graph, write_mode=write_mode) as client:
        with pytest.raises(InputError, match=r"\$name, \$text"):
            await client.buffered.submit(graph.text("CREATE (n:Thing {id: $id, n: $name, t: $text})"), {"id": 1})
        summary = await client.flush()
    assert (summary.committed, summary.failed) == (0, 0)
    assert await graph.read("MATCH (n:Thing) RETURN n") == []
