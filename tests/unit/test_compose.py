"""Many writes in one statement: the text of it. What a server makes of it is proved on a server."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.cypher import parse, tokens
from perdure.records import JournalEntry

pytest.importorskip("neo4j", reason="the optional driver is not installed")

from perdure.stores.neo4j import compose

TEXTS = [
    "CREATE (:Note {n: $n})",
    "MATCH (a {id: $a}), (b {id: $`b c`}) CREATE (a)-[:NEXT]->(b) // $not 'one",
    "MERGE (x:X {id: '$not', v: $v}) SET x += {`$not`: \"{row}\", m: {k: $m}}",
]


def parameters(text):
    return parse(text).parameters


@pytest.mark.parametrize("with_mark", [True, False])
@given(texts=st.lists(st.sampled_from(TEXTS), min_size=1, unique=True))
def test_a_composed_statement_asks_only_for_rows_and_its_mark(texts, with_mark):
    """B24: every parameter of the users' texts is read from the row."""
    composed = compose.compose(texts, with_mark=with_mark)
    assert parameters(composed) == ({"lane", "epoch", "last", "rows"} if with_mark else {"rows"})


@given(texts=st.lists(st.sampled_from(TEXTS), min_size=1, unique=True))
def test_a_users_text_stands_in_it_unchanged_but_for_its_parameters(texts):
    """B24: strings, comments and quoted names that look like parameters or braces included."""
    composed = compose.compose(texts)
    for index, text in enumerate(texts):
        changed = "".join(
            f"__row.p.`{piece.name}`" if piece.kind == "parameter" else piece.text for piece in tokens(text)
        )
        assert f"WHERE __row.q = {index} CALL (__row) {{ {changed}\n }}" in composed


def test_the_composed_statement_for_one_text():
    """B24: in full, so that a change of it is a decision."""
    assert compose.compose(["CREATE (:Note {n: $n})"]) == (
        "MERGE (k:_JournalMark {id: $lane}) ON CREATE SET k.perdure_seq = -1, k.perdure_epoch = $epoch\n"
        "SET k.perdure_epoch = CASE WHEN k.perdure_epoch > $epoch THEN k.perdure_epoch ELSE $epoch END\n"
        "WITH k WHERE k.perdure_epoch = $epoch\n"
        "WITH k, k.perdure_seq AS done SET k.perdure_seq = CASE WHEN $last > done THEN $last ELSE done END\n"
        "WITH done\n"
        "CALL (done) {\n"
        "  UNWIND $rows AS __row WITH __row, done WHERE __row.s > done WITH __row ORDER BY __row.s\n"
        "  CALL (__row) { WITH * WHERE __row.q = 0 CALL (__row) { CREATE (:Note {n: __row.p.`n`})\n"
        " } RETURN 1 AS `_` }\n"
        "  RETURN count(*) AS n }\n"
        "RETURN done, n"
    )


def test_rows_carry_the_order_the_text_and_the_parameters():
    """B21: in the order of the batch."""
    entries = [JournalEntry(seq, 0, None, TEXTS[seq % 2], {"n": seq}, 1) for seq in (4, 5, 6)]
    assert compose.rows(entries, TEXTS[:2]) == [
        {"s": 4, "q": 0, "p": {"n": 4}},
        {"s": 5, "q": 1, "p": {"n": 5}},
        {"s": 6, "q": 0, "p": {"n": 6}},
    ]


@pytest.mark.parametrize("text", [r"RETURN '\u0027'", r"CREATE (\u0060)", "MATCH (__row) RETURN 1", "RETURN `__row`"])
def test_what_could_break_out_of_a_composed_statement_is_not_composed(text):
    """B25: it runs by itself, in the same transaction."""
    assert not compose.may_compose(text)


@pytest.mark.parametrize("text", [*TEXTS, "RETURN 'x __row x'", "RETURN $__row"])
def test_what_cannot_break_out_may_be_composed(text):
    """B24: control: the planner has the last word on these."""
    assert compose.may_compose(text)


def test_a_palette_reuses_the_statement_it_has():
    """B24: a batch whose texts are among those of an earlier one is planned already."""
    palette = compose.Palette()
    first = palette.choose(TEXTS[:2])
    assert palette.choose([TEXTS[1]]) == palette.choose(TEXTS[:2]) == first == tuple(TEXTS[:2])
    assert palette.choose([TEXTS[2]]) == tuple(TEXTS)
    assert palette.choose([TEXTS[0], TEXTS[2]]) == tuple(TEXTS)


@given(wanted=st.lists(st.lists(st.integers(0, 200), min_size=1, max_size=compose.MAX_TEXTS, unique=True), max_size=30))
def test_a_palette_always_serves_what_is_wanted_and_stays_small(wanted):
    """B24: never more texts in a statement than it can plan, never more statements than it keeps."""
    palette = compose.Palette()
    for numbers in wanted:
        texts = [f"CREATE (:L{number})" for number in numbers]
        chosen = palette.choose(texts)
        assert set(texts) <= set(chosen)
        assert len(chosen) == len(set(chosen)) <= compose.MAX_TEXTS
    assert len(palette._sets) <= 8


def test_verdicts_are_bounded(monkeypatch):
    """B24: an application that writes values into its texts does not fill the memory."""
    monkeypatch.setattr(compose, "REMEMBERED", 3)
    verdicts = compose.Verdicts()
    verdicts.put("kept", composes=True)
    for n in range(10):
        assert verdicts.seen(f"CREATE (:N {{n: {n}}})", times=2) == 2
    assert verdicts.get("kept") is None
    assert verdicts.seen("CREATE (:N {n: 9})", times=1) == 3
    assert len(verdicts._known) == 3
