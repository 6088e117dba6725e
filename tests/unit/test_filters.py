"""Filters: what may be written, and what each operator means."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.errors import InputError
from perdure.filters import EVERYTHING, All, Condition, Either, Not, matches, parse


def test_a_filter_is_read_into_a_tree():
    """P16: keys side by side must all hold, a plain value is equality, operators on one key must all hold."""
    tree = parse({"category": "work", "AND": [{"n": {"gte": 3, "lt": 5}}], "OR": [{"a": 1}, {"b": None}]})
    assert tree == All(
        (
            Condition("category", "eq", "work"),
            All((Condition("n", "gte", 3), Condition("n", "lt", 5))),
            Either((Condition("a", "eq", 1), Condition("b", "eq", None))),
        )
    )
    assert parse({"NOT": [{"a": 1}, {"b": 2}]}) == Not(Either((Condition("a", "eq", 1), Condition("b", "eq", 2))))
    assert parse({"NOT": {"a": 1}}) == Not(Condition("a", "eq", 1))


@pytest.mark.parametrize("nothing", [None, {}])
def test_no_filter_holds_everywhere(nothing):
    """Leaving it out and giving an empty one are the same."""
    assert parse(nothing) == EVERYTHING
    assert matches(parse(nothing), {})


def test_a_filter_is_not_changed_by_reading_it():
    """P21."""
    given_filters = {"a": {"in": [1, 2]}, "OR": [{"b": 1}]}
    tree = parse(given_filters)
    assert given_filters == {"a": {"in": [1, 2]}, "OR": [{"b": 1}]}
    given_filters["a"]["in"].append(3)
    assert matches(tree, {"a": 3, "b": 1}) is False
    assert hash(tree) == hash(parse({"a": {"in": [1, 2]}, "OR": [{"b": 1}]}))


def nested(depth):
    return {"a": 1} if depth == 0 else {"NOT": nested(depth - 1)}


REFUSED = {
    "a list": ([{"a": 1}], "filters should be a mapping"),
    "text": ("a = 1", "filters should be a mapping"),
    "an unknown operator": ({"n": {"gte": 1, "like": "x"}}, r"filters\['n'\]\['like'\] is no operator"),
    "an operator of other systems": ({"n": {"$gte": 1}}, r"filters\['n'\]\['\$gte'\] is no operator"),
    "a combination of other systems": ({"$or": [{"a": 1}]}, r"filters\['\$or'\]"),
    "an empty AND": ({"AND": []}, r"filters\['AND'\] is empty"),
    "an empty part": ({"OR": [{"a": 1}, {}]}, r"filters\['OR'\]\[1\] is empty"),
    "an AND of a mapping": ({"AND": {"a": 1}}, r"filters\['AND'\] should be a list"),
    "a part that is none": ({"OR": [{"a": 1}, "b"]}, r"filters\['OR'\]\[1\] should be a mapping"),
    "no operators": ({"n": {}}, r"filters\['n'\] is empty"),
    "a list without operator": ({"n": [1, 2]}, r"filters\['n'\] is a list"),
    "in without a list": ({"n": {"in": "ab"}}, r"filters\['n'\]\['in'\] should be a list"),
    "a list in a list": ({"n": {"in": [1, [2]]}}, r"filters\['n'\]\['in'\]\[1\] is a list"),
    "an order of None": ({"n": {"lt": None}}, "no order"),
    "an order of truth": ({"n": {"lt": True}}, "no order"),
    "contains None": ({"n": {"contains": None}}, "which nothing contains"),
    "icontains of a number": ({"n": {"icontains": 1}}, "should be text"),
    "not a number": ({"n": float("nan")}, "cannot be compared"),
    "a number too large": ({"n": 2**64}, "cannot be compared"),
    "bytes": ({"n": b"x"}, "cannot be compared"),
    "half a character": ({"n": "\ud800"}, "surrogate"),
    "a key with half a character": ({"\ud800": 1}, "surrogate"),
    "an empty key": ({"": 1}, "not empty"),
    "a key that is no text": ({1: 1}, "keys should be text"),
    "too deep": (nested(17), "deeper than 16"),
    "too many": ({"OR": [{"a": 1, "b": 2}] * 200}, "400 conditions"),
    "too many parts": ({"OR": [{"a": 1}] * 1000}, "1000 conditions"),
    "too many choices": ({"a": {"in": list(range(2000))}}, "2000 values"),
    "the scope": ({"AND": [{"NOT": {"user_id": "bob"}}]}, r"\['user_id'\] names the scope"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_filter_is_refused_with_its_place(what):
    """P16, T12."""
    filters, message = REFUSED[what]
    with pytest.raises(InputError, match=message):
        parse(filters)


def test_a_filter_that_contains_itself_is_refused():
    """It has no end to read to."""
    filters = {}
    filters["NOT"] = filters
    with pytest.raises(InputError, match="contains itself"):
        parse(filters)


WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ELSEWHERE = WHEN.astimezone(timezone(timedelta(hours=9)))
HOLDS = [
    ({"n": 1}, {"n": 1.0}, True),
    ({"n": 1}, {"n": True}, False),
    ({"n": 1}, {"n": "1"}, False),
    ({"n": 2**53}, {"n": 2**53 + 1}, False),
    ({"n": {"gt": float(2**53)}}, {"n": 2**53 + 1}, True),
    ({"n": None}, {}, True),
    ({"n": None}, {"n": None}, True),
    ({"n": None}, {"n": 0}, False),
    ({"n": {"ne": None}}, {}, False),
    ({"n": {"ne": 1}}, {}, True),
    ({"n": {"ne": 1}}, {"n": 2}, True),
    ({"n": {"gt": 1}}, {}, False),
    ({"n": {"lte": 1}}, {}, False),
    ({"NOT": {"n": {"gt": 1}}}, {}, True),
    ({"n": {"gt": 1}}, {"n": "2"}, False),
    ({"n": {"gte": "b"}}, {"n": "b"}, True),
    ({"n": {"lt": "b"}}, {"n": "a"}, True),
    ({"n": {"lt": 1}}, {"n": True}, False),
    ({"n": {"in": [1, "a"]}}, {"n": "a"}, True),
    ({"n": {"in": []}}, {"n": "a"}, False),
    ({"n": {"in": [None]}}, {}, True),
    ({"n": {"nin": [1]}}, {}, True),
    ({"n": {"nin": []}}, {"n": 1}, True),
    ({"n": {"contains": "b"}}, {"n": "abc"}, True),
    ({"n": {"contains": "B"}}, {"n": "abc"}, False),
    ({"n": {"icontains": "B"}}, {"n": "abc"}, True),
    ({"n": {"icontains": "strasse"}}, {"n": "Straße"}, True),
    ({"n": {"contains": "a"}}, {"n": ["a", "b"]}, True),
    ({"n": {"contains": 1}}, {"n": [1.0]}, True),
    ({"n": {"contains": 1}}, {"n": [True]}, False),
    ({"n": {"contains": 1}}, {"n": "1"}, False),
    ({"n": {"icontains": "A"}}, {"n": [1, "a"]}, True),
    ({"n": {"icontains": "a"}}, {"n": ["A"]}, True),
    ({"n": {"icontains": "A"}}, {"n": ["ab"]}, False),
    ({"n": {"contains": ""}}, {"n": ""}, True),
    ({"n": {"contains": "a"}}, {}, False),
    ({"n": "a"}, {"n": ["a"]}, False),
    ({"n": {"ne": "a"}}, {"n": ["a"]}, True),
    ({"n": {"contains": "a"}}, {"n": {"a": 1}}, False),
    ({"a.b": 1}, {"a": {"b": 1}}, False),
    ({"a.b": 1}, {"a.b": 1}, True),
    ({"when": WHEN}, {"when": ELSEWHERE}, True),
    ({"when": {"lt": WHEN + timedelta(microseconds=1)}}, {"when": ELSEWHERE}, True),
    ({"when": {"gte": WHEN}}, {"when": "2026-01-02T03:04:05.000000+00:00"}, True),
    ({"day": {"gt": date(2026, 1, 1)}}, {"day": "2026-01-02"}, True),
    ({"n": {"gt": float("-inf")}}, {"n": -(10**18)}, True),
    ({"n": {"gt": 0}}, {"n": float("nan")}, False),
    ({"n": "*"}, {"n": "anything"}, False),
]


@pytest.mark.parametrize(("filters", "metadata", "expected"), HOLDS)
def test_each_operator_means_what_it_says(filters, metadata, expected):
    """P16: kinds, absent values, lists, dates."""
    assert matches(parse(filters), metadata) is expected


JSON = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.floats(-3, 3), st.text("abA1", max_size=2))
OPERAND = JSON.filter(lambda value: value is not None and not isinstance(value, bool))


@given(JSON, JSON, st.lists(JSON, max_size=3))
def test_a_negation_holds_exactly_where_the_other_does_not(value, operand, choices):
    """So that nothing falls between, absent values neither."""
    for metadata in ({"n": value}, {}):
        assert matches(parse({"n": {"ne": operand}}), metadata) != matches(parse({"n": {"eq": operand}}), metadata)
        assert matches(parse({"n": {"nin": choices}}), metadata) != matches(parse({"n": {"in": choices}}), metadata)
        assert matches(parse({"NOT": {"n": operand}}), metadata) != matches(parse({"n": operand}), metadata)


@given(OPERAND, OPERAND)
def test_of_two_values_of_a_kind_one_order_holds(value, operand):
    """Less, equal or greater; of two kinds none."""
    held = [op for op in ("lt", "eq", "gt") if matches(parse({"n": {op: operand}}), {"n": value})]
    assert len(held) == (isinstance(value, str) == isinstance(operand, str))
