"""Times on their way to Neo4j: what Perdure makes of them is what the driver would."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytz = pytest.importorskip("pytz")
temporal = pytest.importorskip("neo4j._codec.hydration.bolt.v2.temporal")

from perdure.stores.neo4j.convert import sendable  # noqa: E402  an optional extra

NAMED = st.sampled_from(["Europe/Lisbon", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "UTC"])
OFFSETS = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
ZONES = st.none() | st.just(UTC) | OFFSETS | NAMED.map(ZoneInfo)
MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(2199, 1, 1), timezones=ZONES)  # noqa: DTZ001  hypothesis adds it


def as_the_driver_takes_it(moment):
    """Return the moment in a zone of pytz, which tells the driver its offset right."""
    if moment.tzinfo is None:
        return moment
    name = getattr(moment.tzinfo, "key", None)
    minutes = int(moment.utcoffset().total_seconds()) // 60
    return moment.astimezone(pytz.timezone(name) if name else pytz.FixedOffset(minutes))


@pytest.mark.slow
@settings(max_examples=300)
@given(MOMENTS)
def test_a_datetime_is_sent_as_the_driver_would_send_it(moment):
    """M10: the same moment in the same zone, both hours of autumn included."""
    sent = sendable({"x": moment})["x"]
    driver_s = temporal.dehydrate_datetime(as_the_driver_takes_it(moment))
    assert (sent.tag, sent.fields) == (driver_s.tag, driver_s.fields)


def test_a_zone_the_server_cannot_know_is_sent_as_its_offset():
    """M10: the moment stays, and the offset."""
    with_name = datetime(2025, 5, 1, 12, tzinfo=ZoneInfo("Factory"))
    sent = sendable({"x": with_name})["x"]
    assert (sent.tag, sent.fields[2]) == (b"I", 0)


def test_values_within_others_are_sent_alike():
    """M10: in lists, in maps, and in maps within lists."""
    moment = datetime(2025, 5, 1, 12, tzinfo=UTC)
    [first], second, [third] = sendable(
        {"a": [moment], "b": {"c": moment, "d": [1.5, "x"]}, "e": [{"f": moment}]}
    ).values()
    assert first == second["c"] == third["f"]
    assert first.tag == b"i"
    assert second["d"] == [1.5, "x"]
