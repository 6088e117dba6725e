"""Values as JSON text and back, equal: what JSON does not have is marked by a tag."""

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from typing import Any, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

TAG = "$perdure"
"""The one key of a JSON object that stands for a value JSON does not have."""
_MARKED = f'"{TAG}"'
_NESTING = (dict, list)


def encode(value: Any) -> str:
    """Return values that passed `snapshot` as JSON; a tag marks what JSON does not have."""
    text = _ENCODER.encode(value)
    return _ENCODER.encode(_escaped(value)) if _MARKED in text and _uses_tag([value]) else text


def decode(text: str) -> Any:
    """Return the value that `encode` was given, equal to them."""
    return json.loads(text, object_hook=_untagged if _MARKED in text else None)


def _tagged(value: object) -> dict[str, list[Any]]:
    match value:
        case datetime(tzinfo=zone) if zone is UTC:
            return {TAG: ["datetime", value.isoformat().removesuffix("+00:00"), None, 0, value.fold]}
        case datetime():
            return {TAG: ["datetime", value.replace(tzinfo=None).isoformat(), *_zone(value), value.fold]}
        case date():
            return {TAG: ["date", value.isoformat()]}
        case time():
            return {TAG: ["time", value.replace(tzinfo=None).isoformat(), *_zone(value), value.fold]}
        case _:
            raise TypeError(f"{type(value).__name__} did not pass snapshot")


_ENCODER = json.JSONEncoder(default=_tagged, ensure_ascii=False, separators=(",", ":"), check_circular=False)


def _zone(value: datetime | time) -> tuple[str | None, int | None]:
    """Return a zone's name, where it has one, and its offset in minutes."""
    if value.tzinfo is None:
        return None, None
    if value.tzinfo is UTC:
        return None, 0
    name = getattr(value.tzinfo, "key", None) or getattr(value.tzinfo, "zone", None)
    return name, int(cast("timedelta", value.utcoffset()).total_seconds() // 60)


def _uses_tag(value: Any) -> bool:
    """Return whether a map among these uses the tag as a key of its own."""
    if isinstance(value, dict):
        if TAG in value:
            return True
        value = cast("dict[str, Any]", value).values()
    for item in value:  # noqa: SIM110  any() takes twice as long, and each write with a time in it comes here
        if isinstance(item, _NESTING) and _uses_tag(item):
            return True
    return False


def _escaped(value: Any) -> Any:
    """Wrap maps that use the tag as a key of their own."""
    if isinstance(value, Mapping):
        copy = {name: _escaped(item) for name, item in cast("Mapping[str, Any]", value).items()}
        return {TAG: ["map", list(copy.items())]} if TAG in copy else copy
    return [_escaped(item) for item in cast("list[Any]", value)] if isinstance(value, list) else value


def _untagged(found: dict[str, Any]) -> Any:
    match found.get(TAG):
        case ["datetime", str(text), name, minutes, fold]:
            return _placed(datetime.fromisoformat(text), name, minutes, fold)
        case ["date", str(text)]:
            return date.fromisoformat(text)
        case ["time", str(text), name, minutes, fold]:
            return time.fromisoformat(text).replace(tzinfo=_fixed(minutes), fold=fold)
        case ["map", items]:
            return dict(cast("list[tuple[str, Any]]", items))
        case _:
            return found


def _placed(local: datetime, name: str | None, minutes: int | None, fold: int) -> datetime:
    """Return a datetime in the zone of that name, or where that does not give the offset it had, at that offset."""
    if minutes is None or not name:
        return local.replace(tzinfo=_fixed(minutes), fold=fold)
    with suppress(ZoneInfoNotFoundError, ValueError):
        for guess in (fold, 1 - fold):  # zones of pytz tell the two hours apart without a fold
            placed = local.replace(tzinfo=ZoneInfo(name), fold=guess)
            if placed.utcoffset() == timedelta(minutes=minutes):
                return placed
    return local.replace(tzinfo=_fixed(minutes), fold=fold)


def _fixed(minutes: int | None) -> tzinfo | None:
    return None if minutes is None else timezone(timedelta(minutes=minutes))
