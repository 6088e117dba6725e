"""Names: any property, column or parameter name means the same on every store, also where kglite has its own ideas.

Each test asks about many names at once, so that one look at a failure shows which of them a store takes for others.
"""

import pytest

from perdure.errors import PerdureError

TAKEN = ["title", "name", "type", "label", "node_type", "updated_at", "modified_by", "git_sha"]
OURS = ["__x", "__name", "____x", "__id", "_x", "__quoted_0"]
PLAIN = [
    "content",
    "Name",
    "TYPE",
    "x1",
    "created_at",
    "labels",
    "properties",
    "nodes",
    "start",
    "end",
    "source",
    "target",
]
FOREIGN = ["été", "имя", "名前"]
ODD = ["a b", "a.b", "a-b", "$x", "a`b", 'say "x"', "`", "null", "MATCH", "n.name", " "]
ODDEST = ["1st", "it's", "a\\b", "a\nb", "😀"]
WORDS = [*TAKEN, *OURS, *PLAIN, *FOREIGN]
NAMES = [*WORDS, *ODD, *ODDEST]


def quoted(name):
    return "`" + name.replace("`", "``") + "`"


async def answers(names, question):
    """Ask about each name, and return what was answered, an error's type for a refusal."""
    found = {}
    for name in names:
        try:
            found[name] = await question(name)
        except PerdureError as error:
            found[name] = type(error).__name__
    return found


def wrong(found, expected):
    """Return the names that were answered otherwise than expected, with what was answered."""
    wanted = {name: expected(name) if callable(expected) else expected for name in found}
    return {name: answer for name, answer in found.items() if answer != wanted[name]}


async def test_a_property_of_any_name_is_read_back(graph):
    """M14: set in a pattern, by assignment and from a map, it is on the node and answers to its name."""

    async def question(name):
        word = quoted(name)
        await graph.write("MATCH (n:Thing) DELETE n")
        await graph.write(f"CREATE (n:Thing {{id: 1, {word}: $v}})", {"v": "in a pattern"})
        await graph.write(f"CREATE (n:Thing {{id: 2}}) SET n.{word} = $v", {"v": "assigned"})
        await graph.write("CREATE (n:Thing {id: 3}) SET n += $map", {"map": {name: "from a map"}})
        await graph.write("CREATE (n:Thing $map)", {"map": {"id": 4, name: "created from a map"}})
        rows = await graph.read(f"MATCH (n:Thing) RETURN n.{word} AS v, n, properties(n) AS p ORDER BY n.id")
        return [(row["v"], row["n"], row["p"]) for row in rows]

    def expected(name):
        values = ["in a pattern", "assigned", "from a map", "created from a map"]
        return [
            (value, {"id": place, name: value}, {"id": place, name: value}) for place, value in enumerate(values, 1)
        ]

    assert not wrong(await answers(NAMES, question), expected)


async def test_a_property_of_any_name_can_be_asked_for(graph):
    """Also where another node has not got it."""

    async def question(name):
        word = quoted(name)
        await graph.write("MATCH (n:Thing) DELETE n")
        await graph.write("CREATE (n:Thing {id: 1}) SET n += $map", {"map": {name: "this one"}})
        await graph.write("CREATE (n:Thing {id: 2}) SET n.other = 1")
        return await graph.read(f"MATCH (n:Thing) WHERE n.{word} = $v RETURN n.id AS id", {"v": "this one"})

    assert not wrong(await answers(NAMES, question), [{"id": 1}])


async def test_a_property_can_be_asked_for_in_a_pattern(graph):
    """All names but the oddest, which stand in WHERE."""

    async def question(name):
        word = quoted(name)
        await graph.write("MATCH (n:Thing) DELETE n")
        await graph.write("CREATE (n:Thing {id: 1}) SET n += $map", {"map": {name: "this one"}})
        await graph.write("CREATE (n:Thing {id: 2}) SET n.other = 1")
        return await graph.read(f"MATCH (n:Thing {{{word}: $v}}) RETURN n.id AS id", {"v": "this one"})

    assert not wrong(await answers([*TAKEN, *OURS, *PLAIN, *ODD], question), [{"id": 1}])


async def test_a_property_named_without_backticks_is_read_back(graph):
    """The same for a plain word: in a pattern, by name, by look-up, in a projection and in a map."""

    async def question(name):
        await graph.write("MATCH (n:Thing) DELETE n")
        await graph.write(f"CREATE (n:Thing {{id: 1, {name}: $v}}) SET n.other = n.{name}", {"v": 7})
        [row] = await graph.read(
            f"MATCH (n:Thing) RETURN n.{name} AS v, n.other AS other, n['{name}'] AS looked_up, "
            f"n {{.{name}}} AS projected, {{{name}: n.{name}}} AS built"
        )
        return row

    def expected(name):
        return {"v": 7, "other": 7, "looked_up": 7, "projected": {name: 7}, "built": {name: 7}}

    assert not wrong(await answers(WORDS, question), expected)


async def test_an_absent_property_is_null(graph):
    """A store that answers a name by itself would make every node look titled."""
    await graph.write("CREATE (n:Thing {id: 1}), (m:Thing {id: 2})-[:KNOWS]->(n)")

    async def question(name):
        word = quoted(name)
        rows = await graph.read(f"MATCH (n:Thing) RETURN n.{word} AS v, n.{word} IS NULL AS absent")
        present = await graph.read(f"MATCH (n:Thing) WHERE n.{word} IS NOT NULL RETURN n.id AS id")
        return rows, present, await graph.value(f"MATCH (:Thing)-[r:KNOWS]->(:Thing) RETURN r.{word}")

    assert not wrong(await answers(NAMES, question), ([{"v": None, "absent": True}] * 2, [], None))


async def test_a_property_of_any_name_can_be_removed(graph):
    """By REMOVE and by setting null."""

    async def question(name):
        word = quoted(name)
        await graph.write("MATCH (n:Thing) DELETE n")
        for number in (1, 2):
            await graph.write("CREATE (n:Thing {id: $id}) SET n += $map", {"id": number, "map": {name: "v"}})
        await graph.write(f"MATCH (n:Thing {{id: 1}}) REMOVE n.{word}")
        await graph.write(f"MATCH (n:Thing {{id: 2}}) SET n.{word} = null")
        return await graph.read("MATCH (n:Thing) RETURN n ORDER BY n.id")

    assert not wrong(await answers(NAMES, question), [{"n": {"id": 1}}, {"n": {"id": 2}}])


async def test_a_relationship_has_properties_of_any_name(graph):
    """As nodes do."""

    async def question(name):
        word = quoted(name)
        await graph.write("MATCH (n:Thing) DETACH DELETE n")
        create = f"CREATE (:Thing {{id: 1}})-[r:KNOWS {{{word}: $v}}]->(:Thing {{id: 2}}) SET r.since = 1"
        await graph.write(create, {"v": "v"})
        return await graph.read(f"MATCH (:Thing)-[r:KNOWS]->(:Thing) RETURN r.{word} AS v, r, type(r) AS type")

    assert not wrong(
        await answers(NAMES, question), lambda name: [{"v": "v", "r": {name: "v", "since": 1}, "type": "KNOWS"}]
    )


async def test_a_column_keeps_its_name(graph):
    """Whether it stands for a value or for a map with names of its own."""
    await graph.write("CREATE (n:Thing {id: 1})")

    async def question(name):
        return await graph.read(f"MATCH (n:Thing) RETURN n.id AS {quoted(name)}")

    assert not wrong(await answers(NAMES, question), lambda name: [{name: 1}])


@pytest.mark.parametrize("expression", ["n.id", "n.name", "n.type", "n.__x", "count(n)", "1 + 1", "$v", "n.id = 1"])
async def test_a_column_without_a_name_is_called_after_its_expression(graph, expression):
    """Callers index rows by what they wrote."""
    await graph.write("CREATE (n:Thing {id: 1, name: 'a', type: 'b', __x: 'c'})")
    [row] = await graph.read(f"MATCH (n:Thing) RETURN {expression}", {"v": 1})
    assert list(row) == [expression]


async def test_a_parameter_may_have_any_name(graph):
    """T13: in backticks where it is no plain word, alone and in a batch that passes it on under another name."""

    async def question(name):
        await graph.write("MATCH (n:Thing) DELETE n")
        create = f"CREATE (n:Thing {{id: $id, v: ${quoted(name)}}})"
        await graph.write(create, {"id": 0, name: "v0"})
        await graph.apply(*((create, {"id": place, name: f"v{place}"}) for place in (1, 2)), lane=f"lane {name}")
        found = f"MATCH (n:Thing) WHERE n.v <> ${quoted(name)} RETURN n.v AS v ORDER BY n.id"
        return [row["v"] for row in await graph.read(found, {name: "other"})]

    assert not wrong(
        await answers(["name", "__x", "__row", "été", "1st", "a b", "`", "$x", "a\nb", "MATCH"], question),
        ["v0", "v1", "v2"],
    )


async def test_a_label_and_a_relationship_type_may_have_any_name(graph):
    """In backticks where it is no plain word."""
    labels = ["Ding-Dong", "two words", "type", "a`b", "name", "MATCH"]

    async def question(label):
        word = quoted(label)
        await graph.write(f"CREATE (a:Thing:{word} {{id: 1}})-[:{word}]->(b:Thing {{id: 2}})")
        [row] = await graph.read(
            f"MATCH (a:Thing:{word})-[r:{word}]->(b:Thing) "
            "RETURN a.id AS a, b.id AS b, type(r) AS type, labels(a) AS all"
        )
        await graph.write("MATCH (n:Thing) DETACH DELETE n")
        return row["a"], row["b"], row["type"], label in row["all"]

    assert not wrong(await answers(labels, question), lambda label: (1, 2, label, True))


async def test_id_is_a_property_like_any_other(graph):
    """Text or number, it is what was given, and tells nodes of one label apart."""
    for ident in ("1", 1, 1):
        await graph.write("MERGE (:Thing {id: $id})", {"id": ident})
    ids = [row["id"] for row in await graph.read("MATCH (n:Thing) RETURN n.id AS id")]
    assert sorted(ids, key=repr) == ["1", 1]
    assert await graph.value("MATCH (n:Thing {id: $id}) RETURN n.id", {"id": "1"}) == "1"
