"""Values: what a write carries comes back equal from every store, or is refused before anything is sent."""

import math
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perdure.errors import InputError
from perdure.values import MAX_DEPTH

BERLIN = ZoneInfo("Europe/Berlin")
INDIA = timezone(timedelta(hours=5, minutes=30))
NEWFOUNDLAND = timezone(-timedelta(hours=3, minutes=30))

NUMBERS = [0, 1, -1, 2**53 + 1, 2**63 - 1, -(2**63), 1.0, -1.5, 0.0, -0.0, 5e-324, 1.7976931348623157e308]
ODD_NUMBERS = [math.nan, math.inf, -math.inf, True, False]
TEXTS = {
    "empty": "",
    "a letter": "a",
    "a megabyte": "Leib und Seele " * 70_000,
    "emoji": "😀 🏳️‍🌈 👩🏽‍🚀",
    "NUL": "a\0b\0",
    "right to left": "שלום مرحبا \u202eabc",
    "quotes": 'it\'s "said" `so`',
    "backslashes": r"C:\new\table \u0041 \\ \' ",
    "Cypher": "'}) DETACH DELETE n //",
    "a parameter": "$id ${id} {id}",
    "white space": "\n\r\t\x0b\x7f\x85\u2028\ufeff",
    "the last code point": "\U0010ffff\uffff",
    "a combining mark": "e\u0301 é",
}
TIMES = [
    date(2024, 2, 29),
    date.min,
    date.max,
    time(0, 0),
    time(23, 59, 59, 999_999),
    time(1, 2, tzinfo=UTC),
    time(1, 2, 3, 4, tzinfo=INDIA),
    datetime(2024, 1, 1, 1, 2, 3, 456_789),  # noqa: DTZ001  naive on purpose
    datetime.min,  # noqa: DTZ901
    datetime.max,  # noqa: DTZ901
    datetime(2024, 1, 1, tzinfo=UTC),
    datetime(1850, 6, 1, 12, 0, 0, 1, tzinfo=UTC),
    datetime.max.replace(tzinfo=UTC),
    datetime(2024, 1, 1, 1, 2, 3, 4, tzinfo=INDIA),
    datetime(2024, 1, 1, 1, 2, 3, 4, tzinfo=NEWFOUNDLAND),
    datetime(2024, 1, 1, tzinfo=ZoneInfo("UTC")),
    datetime(2024, 7, 1, 12, 30, tzinfo=BERLIN),
    datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN),
    datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=BERLIN),
    datetime(1900, 1, 1, tzinfo=BERLIN),
    datetime(2060, 7, 1, tzinfo=BERLIN),
]
LISTS = {
    "none in it": [],
    "integers": [1, 2, 2**63 - 1],
    "floats": [1.5, -0.0, math.inf, math.nan],
    "texts": ["", "a", "😀"],
    "booleans": [True, False],
    "dates": [date(2024, 1, 1), date.max],
    "times": [time(1, 2), time(23, 59)],
    "naive datetimes": [datetime(2024, 1, 1), datetime(2024, 1, 2)],  # noqa: DTZ001
    "datetimes in UTC": [datetime(2024, 1, 1, tzinfo=UTC)],
    "datetimes in a zone": [datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN)],
    "many": list(range(10_000)),
}
STORABLE = [
    *(pytest.param(value, id=repr(value)) for value in NUMBERS + ODD_NUMBERS),
    *(pytest.param(text, id=f"text with {name}") for name, text in TEXTS.items()),
    *(pytest.param(value, id=f"{type(value).__name__} {value} fold={getattr(value, 'fold', 0)}") for value in TIMES),
    *(pytest.param(value, id=f"list: {name}") for name, value in LISTS.items()),
]
NESTED = {
    "a map": {"a": 1, "b": "two"},
    "an empty map": {},
    "an empty list in a list": [[], [[]]],
    "maps in lists in maps": {"a": [1, {"b": [[None, 2.5], {"c": "x"}]}]},
    "a list of many kinds": [1, 2.5, "three", None, True, date(2024, 1, 1), [4], {"five": 5}],
    "names that kglite keeps for itself": {"type": 1, "name": "n", "title": None, "id": 5, "labels": [], "__x": 3},
    "keys like a node's": {"id": 1, "labels": ["A"], "properties": {"a": 1}},
    "keys like a relationship's": {"id": 1, "start": 1, "end": 2, "type": "R", "properties": {"a": 1}},
    "keys like a path's": {"nodes": [1], "relationships": [2]},
    "odd keys": {"a b": 1, "`": 2, "$x": 3, "é": 4, "a.b": 5, "1": 6, "'": 7},
    "integers and floats": [1, 2.0, 2**53 + 1],
}
REFUSED = {
    "bytes": b"x",
    "a set": {1},
    "a duration": timedelta(1),
    "a decimal": Decimal(1),
    "a UUID": UUID(int=1),
    "a complex number": 1j,
    "an object": object(),
    "an integer beyond 64 bits": 2**63,
    "half a surrogate pair": "\ud83d",
    "a key that is no text": {1: 2},
    "an empty key": {"": 1},
    "a time in a named zone": time(1, 2, tzinfo=BERLIN),
    "an offset in seconds": datetime(2024, 1, 1, tzinfo=timezone(timedelta(seconds=30))),
}


def exact(value: Any) -> Any:
    """Return what must be equal for two values to be the same: kind, sign of zero, instant, local time and zone."""
    match value:
        case float():
            return repr(value)
        case datetime():
            return value.isoformat(), getattr(value.tzinfo, "key", None) if value.utcoffset() else value.utcoffset()
        case list():
            return [exact(item) for item in value]
        case dict():
            return {key: exact(item) for key, item in value.items()}
        case _:
            return type(value), value


@pytest.mark.parametrize("value", STORABLE)
async def test_a_stored_value_is_read_back_equal(graph, value):
    """M14, B30: the property is what the parameter was, in kind and in content."""
    await graph.write("CREATE (n:Thing {id: 1}) SET n.value = $value", {"value": value})
    stored = await graph.value("MATCH (n:Thing {id: 1}) RETURN n.value")
    assert exact(stored) == exact(value)


async def test_the_values_of_a_batch_are_read_back_equal(graph):
    """As alone, so among others, where a row carries the parameters of its statement."""
    values = [parameter.values[0] for parameter in STORABLE]
    create = "CREATE (n:Thing {id: $id, value: $value})"
    await graph.apply(*((create, {"id": place, "value": value}) for place, value in enumerate(values)))
    rows = await graph.read("MATCH (n:Thing) RETURN n.value AS value ORDER BY n.id")
    assert [exact(row["value"]) for row in rows] == [exact(value) for value in values]


@pytest.mark.parametrize("value", [pytest.param(value, id=name) for name, value in NESTED.items()])
async def test_a_nested_parameter_arrives_as_it_was_sent(graph, value):
    """Lists and maps of any shape are parameters, also where no property can hold them."""
    assert exact(await graph.value("RETURN $value", {"value": value})) == exact(value)
    assert exact(await graph.value("UNWIND $rows AS row RETURN row.v", {"rows": [{"v": value}]})) == exact(value)


async def test_rows_are_unwound_into_nodes(graph):
    """A list of maps is the way to make many nodes in one statement."""
    rows = [{"id": number, "at": date(2024, 1, number + 1), "deep": {"tags": ["a", "b"]}} for number in range(5)]
    await graph.write(
        "UNWIND $rows AS row CREATE (n:Thing {id: row.id, at: row.at, tags: row.deep.tags})", {"rows": rows}
    )
    found = await graph.read("MATCH (n:Thing) RETURN n.id AS id, n.at AS at, n.tags AS tags ORDER BY id")
    assert found == [{"id": row["id"], "at": row["at"], "tags": ["a", "b"]} for row in rows]


async def test_none_removes_a_property(graph):
    """Null is not a value that a graph holds: setting it is removing."""
    await graph.write("CREATE (n:Thing {id: 1, kept: 1, gone: $gone})", {"gone": None})
    await graph.write("MATCH (n:Thing) SET n.kept = $kept, n.never = $kept", {"kept": None})
    assert await graph.read("MATCH (n:Thing) RETURN n, n.kept AS kept, n.gone AS gone") == [
        {"n": {"id": 1}, "kept": None, "gone": None}
    ]


@pytest.mark.parametrize("kind", ["naive", "aware"])
async def test_a_time_that_the_clock_skipped_is_the_same_instant_everywhere(graph, kind):
    """02:30 did not happen in Berlin on 31 March 2024; whatever a store makes of it, the instant stays."""
    skipped = datetime(2024, 3, 31, 2, 30, tzinfo=None if kind == "naive" else BERLIN)
    await graph.write("CREATE (n:Thing {id: 1, at: $at})", {"at": skipped})
    stored = await graph.value("MATCH (n:Thing) RETURN n.at")
    assert stored.timestamp() == skipped.timestamp()


@pytest.mark.parametrize("value", [pytest.param(value, id=name) for name, value in REFUSED.items()])
async def test_a_value_no_store_could_give_back_is_refused_before_it_is_sent(graph, value):
    """B30: the refusal names the parameter, and nothing is in the store."""
    with pytest.raises(InputError, match="'value'"):
        await graph.write("CREATE (n:Thing {id: 1, value: $value})", {"value": value})
    assert await graph.read("MATCH (n:Thing) RETURN n") == []


async def test_what_is_nested_deeper_than_the_limit_is_refused_and_the_limit_itself_is_not(graph):
    """The limit of both stores is above Perdure's, so that both refuse alike."""
    deepest: list[Any] = []
    for _ in range(MAX_DEPTH - 1):
        deepest = [deepest]
    assert await graph.value("RETURN $value", {"value": deepest}) == deepest
    with pytest.raises(InputError, match="nested"):
        await graph.read("RETURN $value", {"value": [deepest]})


ZONES = [
    ZoneInfo(key)
    for key in (
        "UTC",
        "Europe/Berlin",
        "America/St_Johns",
        "Asia/Kathmandu",
        "Australia/Lord_Howe",
        "Africa/Casablanca",
    )
]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)
ZONED = st.datetimes(
    min_value=datetime(1910, 1, 1),  # noqa: DTZ001  hypothesis adds the zone
    max_value=datetime(2037, 1, 1),  # noqa: DTZ001
    timezones=st.sampled_from(ZONES),
    allow_imaginary=False,
).filter(lambda value: value.utcoffset().seconds % 60 == 0)
SCALARS = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | TEXT
    | st.dates()
    | st.datetimes()
    | st.times()
    | ZONED
)
ANY = st.recursive(
    SCALARS | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT.filter(bool), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(SCALARS, min_size=1, max_size=40), echoed=ANY)
async def test_any_value_is_read_back_equal(graph, values, echoed):
    """M14: forty properties of one node at a time, and one parameter of any shape."""
    properties = {f"p{place}": value for place, value in enumerate(values)}
    await graph.write("MERGE (n:Thing {id: 1}) SET n = $properties, n.id = 1", {"properties": properties})
    assert exact(await graph.value("MATCH (n:Thing {id: 1}) RETURN n")) == exact({**properties, "id": 1})
    assert exact(await graph.value("RETURN $value", {"value": echoed})) == exact(echoed)
