"""journal.sqlite.record: how a write is written down, and that no other one can pass for it."""

import math
import sqlite3
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from perdure import InputError
from perdure.journal.sqlite import table
from perdure.journal.sqlite.record import Row, intact, row
from perdure.plain import TAG, decode, encode
from perdure.records import JournalEntry
from perdure.values import MAX_DEPTH, MAX_INT, MIN_INT, snapshot

TEXT = st.text(st.characters(codec="utf-8")) | st.sampled_from([TAG, f'"{TAG}"', "\x00", "a\x00b", "\u2028", '\\"'])
KEYS = st.text(st.characters(codec="utf-8"), min_size=1) | st.just(TAG)
OFFSETS = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))
ZONES = st.sampled_from([ZoneInfo(name) for name in ("UTC", "Europe/Lisbon", "America/New_York", "Asia/Kathmandu")])
FOLDS = st.integers(0, 1)
MODERN = datetime(1990, 1, 1)  # noqa: DTZ001  hypothesis adds the zone
DATETIMES = st.builds(
    lambda value, fold: value.replace(fold=fold),
    st.datetimes() | st.datetimes(timezones=OFFSETS) | st.datetimes(MODERN, timezones=ZONES),
    FOLDS,
)
TIMES = st.builds(
    lambda value, fold: value.replace(fold=fold), st.times() | st.times(timezones=OFFSETS | st.just(UTC)), FOLDS
)
SCALARS = st.none() | st.booleans() | st.integers(MIN_INT, MAX_INT) | st.floats() | TEXT
VALUES = st.recursive(
    SCALARS | st.dates() | DATETIMES | TIMES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)
PARAMETERS = st.dictionaries(KEYS, VALUES, max_size=4)
ENTRIES = st.builds(
    JournalEntry,
    seq=st.integers(0, 2**48 - 1), lane=st.integers(0, 64), key=st.none() | TEXT, statement=TEXT, parameters=PARAMETERS,
    size=st.integers(0, 2**40), failures=st.integers(0, 1000),
)  # fmt: skip
SEEDS = st.integers(0, 2**32 - 1)
CLOCKS = st.floats(0, 4e9)


def same(one, other):
    """Return whether two values are equal, with their types, zones and folds, NaN with itself and zeros by sign."""
    if type(one) is not type(other):
        return False
    match one:
        case float():
            return (
                math.isnan(one)
                if math.isnan(other)
                else (one, math.copysign(1, one)) == (other, math.copysign(1, other))
            )
        case list():
            return len(one) == len(other) and all(map(same, one, other))
        case dict():
            return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
        case datetime() | time():
            naive = one.replace(tzinfo=None) == other.replace(tzinfo=None)
            return naive and one.fold == other.fold and same_zone(one, other)
        case _:
            return one == other


def same_zone(one, other):
    """Return whether two times have the same offset, and a zone of the same name where it has one."""
    names = [getattr(value.tzinfo, "key", None) for value in (one, other)]
    return one.utcoffset() == other.utcoffset() and names[0] == names[1]


# -- parameters


@settings(max_examples=300)
@given(PARAMETERS)
@example({TAG: ["datetime", "2026-01-01T00:00:00", None, None, 0]})
@example({"a": [{TAG: {TAG: ["map", []]}}], TAG: date(2026, 1, 1)})
@example({"now": datetime(2026, 1, 1, tzinfo=UTC), "said": "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z": [None]})
@example({"now": [datetime(2026, 1, 1, 0, 0, 0, 10, tzinfo=UTC)] * 2, "day": date(2026, 1, 1)})
@example({"negative zero": -0.0, "not a number": math.nan, "infinities": [math.inf, -math.inf], "least": 5e-324})
@example(
    {
        "first": datetime.min,  # noqa: DTZ901
        "last": datetime.max.replace(tzinfo=UTC),
        "noon": time(12),
        "end": time.max,
    }
)
def test_all_that_snapshot_accepts_comes_back_equal(parameters):
    """J3: what is replayed is what was accepted: types, zones, folds and the order of keys included."""
    try:
        kept, _ = snapshot(parameters)
    except InputError:
        assume(False)  # noqa: FBT003  a zone whose offset then was not in whole minutes
    assert same(decode(encode(kept)), kept)


def test_the_deepest_value_that_may_be_written_comes_back():
    """J3: each level uses the tag as a key of its own, which nests twice as deep when it is written down."""
    value = {"n": 1}
    for _ in range(MAX_DEPTH - 2):
        value = {TAG: value}
    kept, _ = snapshot({"deep": value})
    assert decode(encode(kept)) == kept


@pytest.mark.parametrize("fold", [0, 1])
def test_each_of_the_two_hours_between_summer_and_winter_comes_back(fold):
    """J3: an hour that the clock shows twice stays the one that was meant."""
    moment = datetime(2025, 10, 26, 1, 30, tzinfo=ZoneInfo("Europe/Lisbon"), fold=fold)
    found = decode(encode({"at": moment}))["at"]
    assert found.utcoffset() == timedelta(hours=1 - fold)
    assert found.astimezone(UTC) == moment.astimezone(UTC)


@pytest.mark.parametrize("summer", [True, False])
def test_a_zone_that_knows_no_fold_comes_back_as_the_same_moment(summer):
    """J3: pytz, which the Neo4j driver uses, keeps summer and winter apart by other means than `fold`."""
    pytz = pytest.importorskip("pytz")
    moment = pytz.timezone("Europe/Lisbon").localize(datetime(2025, 10, 26, 1, 30), is_dst=summer)  # noqa: DTZ001
    kept, _ = snapshot({"at": moment})
    found = decode(encode(kept))["at"]
    assert found.astimezone(UTC) == moment.astimezone(UTC)
    assert found.utcoffset() == moment.utcoffset()


class Nameless(tzinfo):
    """A zone that has an offset and no name."""

    def utcoffset(self, moment):
        return timedelta(hours=-3, minutes=-30)

    def dst(self, moment):
        return None

    def tzname(self, moment):
        return "somewhere"


def test_a_zone_without_a_name_keeps_its_offset():
    """J3: the moment is the same."""
    moment = datetime(2026, 3, 1, 12, tzinfo=Nameless())
    kept, _ = snapshot({"at": moment})
    found = decode(encode(kept))["at"]
    assert (found, found.utcoffset()) == (moment, timedelta(hours=-3, minutes=-30))


@pytest.mark.parametrize("name", ["Mars/Olympus", "../etc/passwd", ""])
def test_a_zone_this_machine_does_not_know_keeps_its_offset(name):
    """J3: a journal that was carried to another machine is not lost for the want of a name."""
    text = f'{{"at":{{"{TAG}":["datetime","2026-03-01T12:00:00","{name}",330,0]}}}}'
    assert decode(text)["at"].utcoffset() == timedelta(hours=5, minutes=30)


def test_what_did_not_pass_snapshot_is_refused():
    """J3: nothing is written down in a form that could not be read again."""
    with pytest.raises(TypeError, match="snapshot"):
        encode({"pause": timedelta(1)})


# -- rows and their checksum


@given(ENTRIES, CLOCKS, SEEDS)
def test_a_row_gives_its_entry_back(entry, accepted_at, seed):
    """J3: every field of it, and when it was accepted."""
    try:
        entry = entry._replace(parameters=snapshot(entry.parameters)[0])
    except InputError:
        assume(False)  # noqa: FBT003  as above
    database = table.prepare(sqlite3.connect(":memory:", isolation_level=None))
    database.execute(next(statement for statement in table.SCHEMA.split(";") if "TABLE entries" in statement))
    database.execute(table.INSERT, row(entry, -1, accepted_at, seed))
    (found,) = table.page(database, (entry.lane, -1), 10, 1)
    assert same(found.parameters, entry.parameters)
    assert found._replace(parameters={}) == entry._replace(parameters={}, accepted_at=accepted_at)


ENTRY = JournalEntry(7, 2, "k", "CREATE (:A {n: $n})", {"n": "text"}, 90, failures=1)
ROW = Row(*row(ENTRY, 4, 1700000000.25, 12345))
OTHER = {
    "lane": st.integers(0, 64),
    "seq": st.integers(0, MAX_INT),
    "previous": st.integers(-1, MAX_INT),
    "accepted_at": CLOCKS,
    "key": st.none() | TEXT,
    "statement": TEXT,
    "parameters": TEXT,
    "size": st.integers(0, MAX_INT),
    "failures": st.integers(0, 1000),
    "checksum": SEEDS,
}


def test_every_column_is_watched():
    """J6: no column is left out of the test below."""
    assert set(OTHER) == set(Row._fields)


@pytest.mark.parametrize("column", OTHER)
@given(data=st.data())
def test_any_other_value_in_one_column_is_noticed(column, data):
    """J6: whatever it is."""
    value = data.draw(OTHER[column].filter(lambda value: value != getattr(ROW, column)))
    changed = ROW._replace(**{column: value})
    assert not intact(changed, 12345)


@pytest.mark.parametrize("column", ["key", "statement", "parameters"])
def test_any_single_changed_bit_of_a_text_is_noticed(column):
    """J6: all of them are tried."""
    text = getattr(ROW, column).encode()
    for position in range(8 * len(text)):
        changed = bytearray(text)
        changed[position // 8] ^= 1 << position % 8
        assert not intact(ROW._replace(**{column: changed.decode(errors="surrogateescape")}), 12345)


@pytest.mark.parametrize(
    ("key", "statement", "parameters"),
    [("kC", "REATE (:A {n: $n})", None), (None, "kCREATE (:A {n: $n})", None), ("", "kCREATE (:A {n: $n})", None),
     ("k", "CREATE (:A {n: $n}){", '"n":"text"}')],
)  # fmt: skip
def test_text_that_moved_from_one_column_to_the_next_is_noticed(key, statement, parameters):
    """J6: the texts together are the same."""
    moved = ROW._replace(key=key, statement=statement, parameters=parameters or ROW.parameters)
    assert (moved.key or "") + moved.statement + moved.parameters == ROW.key + ROW.statement + ROW.parameters
    assert not intact(moved, 12345)


@given(SEEDS, SEEDS)
def test_a_row_of_another_journal_does_not_pass(one, other):
    """J6: each journal seeds its checksums, so that a stale page from another one is noticed."""
    assume(one != other)
    found = row(JournalEntry(7, 2, "k", "CREATE (:A)", {}, 90), 4, 1700000000.25, one)
    assert intact(found, one)
    assert not intact(found, other)


@pytest.mark.parametrize("value", [None, b"bytes", 1.5, "text"])
@pytest.mark.parametrize("column", Row._fields)
def test_a_value_of_another_kind_is_noticed(column, value):
    """J6: damage can make any column anything; that is an answer and not an accident."""
    assert getattr(ROW, column) != value
    assert not intact(ROW._replace(**{column: value}), 12345)
