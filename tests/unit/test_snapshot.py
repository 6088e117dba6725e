"""values.snapshot: what a write may carry, copied so that the caller's later changes do not reach it."""

import copy
import enum
import math
from datetime import UTC, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from types import MappingProxyType
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perdure import InputError
from perdure.values import MAX_DEPTH, MAX_INT, MIN_INT, OVERHEAD, size_of, snapshot

TEXT = st.text(st.characters(codec="utf-8"))
KEYS = st.text(st.characters(codec="utf-8"), min_size=1)
ZONES = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45)), ZoneInfo("Europe/Lisbon")])
TIMES = st.one_of(
    st.dates(),
    st.times(),
    st.times(timezones=st.just(UTC)),
    st.datetimes(),
    st.datetimes(min_value=datetime(1971, 1, 1), timezones=ZONES),  # noqa: DTZ001  hypothesis adds the zone
)
SCALARS = st.none() | st.booleans() | st.integers(MIN_INT, MAX_INT) | st.floats() | TEXT | TIMES
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=8)
PARAMETERS = st.dictionaries(KEYS, VALUES, max_size=4)


def same(one, other):
    """Return whether two values are equal and of the same types, NaN with itself included."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return one == other or (math.isnan(one) and math.isnan(other))
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return one == other


def texts(value):
    """Yield every text in a value, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, dict):
        yield from value
        for item in value.values():
            yield from texts(item)


def spoil(value):
    """Change everything in a value that can be changed."""
    if isinstance(value, list):
        for item in value:
            spoil(item)
        value.append("spoilt")
    elif isinstance(value, dict):
        for item in value.values():
            spoil(item)
        value.clear()


@pytest.mark.slow
@settings(max_examples=50)
@given(PARAMETERS)
def test_a_snapshot_equals_what_was_given(parameters):
    """B30: for everything that may be written, types included; and it is itself such a value."""
    kept, size = snapshot(parameters)
    assert same(kept, parameters)
    assert list(kept) == list(parameters)
    again, size_again = snapshot(kept)
    assert same(again, kept)
    assert size_again == size


@pytest.mark.slow
@settings(max_examples=50)
@given(PARAMETERS)
def test_later_changes_do_not_reach_a_snapshot(parameters):
    """B30: however deep they are made."""
    before = copy.deepcopy(parameters)
    kept, _ = snapshot(parameters)
    spoil(parameters)
    assert same(kept, before)


@pytest.mark.slow
@settings(max_examples=50)
@given(PARAMETERS)
def test_the_size_counts_every_text_and_value(parameters):
    """B19: it is no less than the text in it takes, so that max_pending_bytes bounds memory."""
    _, size = snapshot(parameters)
    assert size >= sum(len(text) for text in texts(parameters))
    assert size >= OVERHEAD * len(parameters)


@pytest.mark.slow
@settings(max_examples=50)
@given(PARAMETERS)
def test_what_is_measured_without_a_copy_counts_every_text(parameters):
    """B19: typed memory's own values are bounded as anybody's."""
    copy, _ = snapshot(parameters)
    assert size_of(copy) >= sum(len(text.encode()) for text in texts(copy))


def test_half_a_surrogate_pair_cannot_be_measured():
    """B30: however deep it is; the caller then says where."""
    with pytest.raises(ValueError, match="surrogates"):
        size_of({"rows": [{"text": "\ud800"}]})


@given(PARAMETERS, KEYS, VALUES)
def test_the_size_grows_with_what_is_added(parameters, key, value):
    """B19: nothing is free."""
    parameters.pop(key, None)
    _, before = snapshot(parameters)
    _, after = snapshot({**parameters, key: value})
    assert after >= before + OVERHEAD


class Colour(enum.StrEnum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Metres(float):
    pass


@pytest.mark.parametrize(
    ("given_", "kept"),
    [
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        (Metres(1.5), 1.5),
        ((1, (2, 3)), [1, [2, 3]]),
        (MappingProxyType({"a": (1,)}), {"a": [1]}),
        ({Colour.RED: 1}, {"red": 1}),
        (True, True),
    ],
)
def test_near_relatives_are_reduced_to_plain_values(given_, kept):
    """B30: an enum is its value, a tuple a list, any mapping a dict."""
    assert same(snapshot({"x": given_})[0]["x"], kept)


class OddZone(tzinfo):
    def utcoffset(self, _):
        return timedelta(minutes=1, seconds=30)

    def dst(self, _):
        return None

    def tzname(self, _):
        return "odd"


NOON = datetime(2024, 5, 6, 12)  # noqa: DTZ001  zones are added below


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (object(), "object.*convert it"),
        (b"x", "bytes.*encode them as text"),
        (bytearray(b"x"), "bytearray.*encode them as text"),
        ({1}, "set.*sorted list"),
        (frozenset(), "frozenset.*sorted list"),
        (timedelta(1), "timedelta.*number of seconds"),
        (Decimal(1), "Decimal"),
        (1j, "complex"),
        (MAX_INT + 1, "beyond 64 bits.*as text"),
        (MIN_INT - 1, "beyond 64 bits"),
        ("\udc80", "half of a surrogate pair at position 0"),
        ("a\ud800", "position 1"),
        ({"": 1}, "empty key"),
        ({1: 1}, "key 1, but keys should be text"),
        ({"\ud800": 1}, "surrogate"),
        (time(12, tzinfo=ZoneInfo("Europe/Lisbon")), "no fixed offset"),
        (NOON.replace(tzinfo=OddZone()), "whole minutes"),
        (NOON.replace(tzinfo=timezone(timedelta(seconds=1))), "whole minutes"),
    ],
)
@pytest.mark.parametrize(
    ("wrap", "path"),
    [
        (lambda v: {"x": v}, r"parameters\['x'\]"),
        (lambda v: {"x": [0, {"deep": [v]}]}, r"parameters\['x'\]\[1\]\['deep'\]\[0\]"),
    ],
    ids=["top", "deep"],
)
def test_what_no_store_gives_back_equal_is_refused_by_its_path(value, says, wrap, path):
    """B30: the message names the parameter, the reason, and what to do."""
    with pytest.raises(InputError, match=f"{path}.*{says}"):
        snapshot(wrap(value))


@pytest.mark.parametrize("parameters", [[], "text", 7, [("a", 1)]])
def test_parameters_are_a_mapping(parameters):
    """B30: anything else is refused, also when it is empty."""
    with pytest.raises(InputError, match="should be a mapping"):
        snapshot(parameters)


def test_no_parameters_are_no_parameters():
    """B30: None and an empty mapping are the same."""
    assert snapshot(None) == snapshot({}) == ({}, 0)


@pytest.mark.parametrize("wrap", [lambda v: [v], lambda v: {"k": v}])
def test_depth_is_bounded(wrap):
    """B30: as deep as both stores go, and no deeper."""
    value = "x"
    for _ in range(MAX_DEPTH):
        value = wrap(value)
    assert same(snapshot({"p": value})[0]["p"], value)
    with pytest.raises(InputError, match=f"deeper than {MAX_DEPTH}"):
        snapshot({"p": wrap(value)})


def test_what_contains_itself_is_refused():
    """B30: instead of being copied for ever."""
    loop = []
    loop.append(loop)
    with pytest.raises(InputError, match="contains itself"):
        snapshot({"p": loop})
