"""Values on their way to the driver, and back from it."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, time, timezone
from typing import Any, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytz
from neo4j._codec import packstream  # pyright: ignore[reportPrivateUsage]  see _moment
from neo4j.graph import Node, Path, Relationship
from neo4j.spatial import Point
from neo4j.time import Date, DateTime, Duration, Time

GEOGRAPHIC = (4326, 4979)
UNCHANGED = frozenset({str, int, float, bool, type(None)})
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Structure = cast("Callable[..., object]", packstream.Structure)  # pyright: ignore[reportUnknownMemberType]


def sendable(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return parameters in types that the driver sends right, and soon."""
    if UNCHANGED.issuperset(map(type, parameters.values())):
        return parameters
    return {name: _sendable(value) for name, value in parameters.items()}


def _sendable(value: Any) -> Any:
    match value:
        case datetime():
            return _moment(value)
        case time(tzinfo=zone) if zone is not None:
            nanoseconds = value.microsecond * 1000
            return Time(value.hour, value.minute, value.second, nanoseconds, pytz.FixedOffset(_minutes(value)))
        case list():
            items = cast("list[Any]", value)  # a vector has hundreds
            return items if UNCHANGED.issuperset(map(type, items)) else [_sendable(item) for item in items]
        case dict():
            return sendable(cast("dict[str, Any]", value))
        case _:
            return value


def _moment(value: datetime) -> object:
    """Return a datetime as Bolt 5 carries it.

    The driver would do so itself, in fifty times the time, which is a tenth of what a write takes. And it asks a zone
    for its offset with a datetime of its own, which a ZoneInfo answers wrongly or not at all.
    """
    since = value.replace(tzinfo=value.tzinfo or UTC) - EPOCH
    count = (since.days * 86_400 + since.seconds, since.microseconds * 1000)
    if value.tzinfo is None:
        return Structure(b"d", *count)
    name = _zone_name(value)
    return Structure(b"I", *count, 60 * _minutes(value)) if name is None else Structure(b"i", *count, name)


def _zone_name(value: datetime) -> str | None:
    """Return the name of a zone that the server will know; None for one that is an offset."""
    name = getattr(value.tzinfo, "key", None)
    if not name:
        return None if _minutes(value) else "UTC"
    try:
        return pytz.timezone(name).zone
    except pytz.UnknownTimeZoneError:
        return None


def _minutes(value: datetime | time) -> int:
    offset = value.utcoffset()
    return 0 if offset is None else int(offset.total_seconds()) // 60


def _standard_zone(value: Any) -> Any:
    """Return a datetime or time with the standard library's zone in place of the driver's."""
    if value.tzinfo is None:
        return value
    fixed = timezone(value.utcoffset())
    name = getattr(value.tzinfo, "zone", None)
    if isinstance(value, time) or name is None:
        return value.replace(tzinfo=fixed)
    try:
        return value.astimezone(ZoneInfo(name))
    except ZoneInfoNotFoundError:
        return value.replace(tzinfo=fixed)


def plain(value: Any) -> Any:  # noqa: C901, PLR0911  one line a kind of value
    """Return a result value as the types a write may carry.

    A node or relationship becomes the map of its properties, a path `{"nodes": […], "relationships": […]}`, a
    duration `{"months", "days", "seconds"}` (and "nanoseconds" unless none), a point the map of its coordinates.
    """
    if type(value) in UNCHANGED:
        return value
    match value:
        case list():
            return [plain(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
        case dict():
            return {key: plain(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
        case Node() | Relationship():
            return {key: plain(item) for key, item in value.items()}
        case Path():
            return {
                "nodes": [plain(node) for node in value.nodes],
                "relationships": [plain(r) for r in value.relationships],
            }
        case DateTime() | Time():
            return _standard_zone(value.to_native())
        case Date():
            return value.to_native()
        case Duration():
            parts = {"months": value.months, "days": value.days, "seconds": value.seconds}
            return parts | ({"nanoseconds": value.nanoseconds} if value.nanoseconds else {})
        case Point() if value.srid in GEOGRAPHIC:
            return dict(zip(("longitude", "latitude", "height"), value, strict=False))
        case Point():
            return dict(zip("xyz", value, strict=False))
        case _:
            return value
