"""The lexer: what stands outside strings, comments and quoted names, and nothing more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure import InputError
from perdure.cypher import bind, parse, quote, rewrite_parameters, tokens, write_clause

PIECES = [
    "MATCH", "CREATE", "n", "_x1", "é", " ", "\n", "\t", "(", ")", "{", "}", "[", "]", ":", ",", ".", "..", "+=", "=",
    "-", "->", ">", "<", "/", "*", "$", "|", "'s $a'", '"d $b"', r"'it\'s'", r'"\\"', "`q $c`", "`a``b`", "// $d 'x\n",
    '/* $e " ` */', "$p", "$`q p`", "$1", "1.5e3", "0x1F", "7",
]  # fmt: skip
STATEMENTS = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)
NAMES = st.text(st.characters(codec="utf-8"), min_size=1)


def cut(text):
    """Return a statement's tokens, or None when it has something that never ends."""
    try:
        return tokens(text)
    except InputError:
        return None


@given(STATEMENTS | st.text())
def test_tokens_joined_give_the_statement_back(text):
    """B30: nothing is lost or changed on the way to the store."""
    pieces = cut(text)
    if pieces is not None:
        assert "".join(piece.text for piece in pieces) == text
        assert all(piece.text for piece in pieces)
        assert rewrite_parameters(text, lambda name: "$" + quote(name)).count("$") == text.count("$")


@given(st.lists(st.sampled_from(["'%s'", '"%s"', "`%s`", "/* %s */", "// %s\n"]), max_size=5), NAMES)
def test_parameters_are_those_outside_strings_comments_and_names(frames, name):
    """B30: a `$name` that is only text asks for nothing."""
    hidden = [frame % "$hidden" for frame in frames]
    text = f"RETURN $a {' , '.join(hidden)} ,$b + $`{name.replace('`', '``')}`"
    assert parse(text).parameters == {"a", "b", name}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("RETURN 1", []),
        ("RETURN $a, $b, $a", ["a", "b"]),
        ("RETURN $1 + $2", ["1", "2"]),
        ("RETURN $größe", ["größe"]),
        ("RETURN $`a b` + $`c``d`", ["a b", "c`d"]),
        (r"RETURN 'it\'s $no', $yes", ["yes"]),
        (r"RETURN '\\', $yes, '$no'", ["yes"]),
        ('RETURN "\'", $yes // $no', ["yes"]),
        ("RETURN '//', $yes", ["yes"]),
        ("RETURN `//`, $yes", ["yes"]),
        ("RETURN 1 /* ' */, $yes /* ' */", ["yes"]),
        ("RETURN 1 // it's\n, $yes", ["yes"]),
        ("RETURN 4/2, $yes", ["yes"]),
        ("UNWIND $rows AS row CREATE (n {x: row.x})", ["rows"]),
        ("CREATE (n:`$no` {`$no`: '$no', yes: $yes})", ["yes"]),
    ],
)
def test_parameters_of_a_statement(text, names):
    """B30: as the database would read them."""
    assert parse(text).parameters == frozenset(names)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("RETURN 'open", "string"),
        ('RETURN "open', "string"),
        (r"RETURN 'open\'", "string"),
        ("RETURN `open", "name in backticks"),
        ("RETURN `a``", "name in backticks"),
        ("RETURN 1 /* open", "comment"),
        ("RETURN 1 /*/", "comment"),
    ],
)
def test_what_never_ends_is_refused(text, what):
    """B30: such a text would swallow what it is composed with."""
    with pytest.raises(InputError, match=f"{what} that never ends"):
        parse(text)


@pytest.mark.parametrize("text", ["RETURN '\ud800'", "\udfff"])
def test_a_statement_is_text_that_can_be_sent(text):
    """B30: half of a surrogate pair is refused here, and not by the driver in the background."""
    with pytest.raises(InputError, match="surrogate"):
        parse(text)


def test_bind_returns_the_text_a_copy_and_the_size():
    """B30, B19: more parameters than the statement names are no error."""
    given_ = {"a": "x" * 100, "extra": [1]}
    text, copy, size = bind("RETURN $a", given_)
    assert (text, copy) == ("RETURN $a", given_)
    assert copy is not given_
    assert size >= 100 + len(text)


@given(NAMES)
def test_a_quoted_name_is_one_token_and_means_the_name(name):
    """B34: a name made of anything at all cannot leave its backticks."""
    (token,) = tokens(quote(name))
    assert (token.kind, token.name) == ("quoted", name)


WRITES = {
    "CREATE": [
        "CREATE (n)", "create\n(n)", "CREATE/* */(n)", "MATCH (a) CREATE (a)-[:X]->(b)", "CREATE p = (a)-[:X]->(b)",
        "CREATE INDEX x FOR (n:A) ON (n.b)", "create or replace user x",
        "CREATE FULLTEXT INDEX x FOR (n:A) ON EACH [n.b]", "CALL { CREATE (n) }", "MATCH (`from`) CREATE (n)",
        "RETURN 1 AS x UNION CREATE (n) RETURN 2 AS x",
    ],
    "MERGE": ["MERGE (n)", "UNWIND $rows AS row MERGE (n {id: row.id})", "MERGE p = (a)", "merge(n)"],
    "INSERT": ["INSERT (n:A)"],
    "SET": [
        "MATCH (n) SET n.x = 1", "MATCH (n) SET n += $map", "MATCH (n) SET n:Label", "MATCH (n) SET n['x'] = 1",
        "MATCH (n) SET `n n`.x = 1", "MATCH (n) SET n = {}", "MATCH (n) SET (CASE WHEN true THEN n END).x = 1",
        "MATCH (n) SET n IS Label", "MATCH (n) set/**/n.x=1",
    ],
    "REMOVE": ["MATCH (n) REMOVE n.x", "MATCH (n) REMOVE n:Label"],
    "DELETE": ["MATCH (n) DELETE n", "MATCH (n) DETACH DELETE n", "MATCH (n) detach\ndelete `n`"],
    "DROP": ["DROP INDEX x", "DROP CONSTRAINT x IF EXISTS"],
    "FOREACH": ["FOREACH (x IN [1] | SET x.y = 1)"],
}  # fmt: skip


@pytest.mark.parametrize(("clause", "text"), [(clause, text) for clause, texts in WRITES.items() for text in texts])
def test_a_plain_write_is_seen(clause, text):
    """B30: query.cypher refuses it before it is sent."""
    assert write_clause(text) == clause


@pytest.mark.parametrize(
    "text",
    [
        "RETURN 1",
        "MATCH (n) RETURN n.set, n.create, n.delete",
        "MATCH (n:Create)-[:SET|DELETE]->(m:Merge&Remove) RETURN n",
        "MATCH (n) RETURN 'CREATE (n)' AS text",
        'MATCH (n {x: "SET n.x = 1"}) RETURN n',
        "MATCH (n) // CREATE (m)\nRETURN n",
        "MATCH (n) /* DELETE n */ RETURN n",
        "MATCH (`CREATE (n)`) RETURN 1",
        "MATCH (set) WHERE set.x = 1 RETURN set",
        "MATCH (create) RETURN create ORDER BY create.x",
        "MATCH (n) RETURN n.x AS set ORDER BY set",
        "MATCH (n) WITH n AS delete RETURN delete",
        "MATCH (n) RETURN {create: 1, set: n.x, delete: [1]} AS m",
        "WITH 1 AS remove RETURN remove + 1",
        "CALL db.indexes() YIELD name RETURN name",
        "RETURN $create, $set",
    ],
)
def test_words_that_only_look_like_writes_are_not(text):
    """B30: a read is never refused for the names in it."""
    assert write_clause(text) is None
