"""Values as JSON text and back, equal: what JSON does not have is marked by a tag."""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from typing import Any, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic_core import to_json

TAG = "$perdure"
"""The one key of a JSON object that stands for a value JSON does not have."""
_MARKED = f'"{TAG}"'
_UTC_TIME = re.compile(r'"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{6})?)Z"')
"""As `to_json` writes a time in UTC: most are, and all that typed memory makes."""
_JSON: Collection[type] = {int, float, bool, type(None)}


def encode(value: Any) -> str:
    """Return values that passed `snapshot` as JSON; a tag marks what JSON does not have."""
    text = to_json(value).decode()
    times: list[object] = []
    _gather([value], times)
    parts = _UTC_TIME.split(text) if times else [text]
    alike = len(parts) == 1 + 2 * len(times) and all(map(_is_plain_utc, times))  # or a text looks like a time
    if _MARKED in text or not alike:
        return _ENCODER.encode(_escaped(value))
    parts[1::2] = [f'{{{_MARKED}:["datetime","{moment}",null,0,0]}}' for moment in parts[1::2]]
    return "".join(parts)


def _gather(values: Iterable[Any], times: list[object]) -> None:
    """Add what JSON does not have."""
    for item in values:
        kind = item.__class__
        if kind is str:
            continue
        if kind is dict:
            _gather(item.values(), times)
        elif kind is list:
            _gather(item, times)
        elif kind not in _JSON:
            times.append(item)


def _is_plain_utc(item: object) -> bool:
    return type(item) is datetime and item.tzinfo is UTC and not item.fold


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
