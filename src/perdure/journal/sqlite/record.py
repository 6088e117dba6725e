"""How one accepted write is written down: plain values as JSON, and a checksum over all of it."""

import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from itertools import starmap
from operator import lt
from time import time as time_now
from typing import Any, NamedTuple, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from perdure.errors import JournalCorruptError
from perdure.records import JournalEntry

TAG = "$perdure"
"""The one key of a JSON object that stands for a value JSON does not have."""
_MARKED = f'"{TAG}"'


class Row(NamedTuple):
    """One row of the table of entries."""

    lane: int
    seq: int
    previous: int
    accepted_at: float
    key: str | None
    statement: str
    parameters: str
    size: int
    failures: int
    checksum: int


def row(entry: JournalEntry, previous: int, accepted_at: float, seed: int) -> tuple[Any, ...]:
    """Return an entry as the values of a Row; `previous` is the number before it in its lane, `seed` the journal's."""
    seq, lane, key, statement, parameters, size, _, failures = entry
    values = (lane, seq, previous, accepted_at, key, statement, encode(parameters), size, failures)
    return *values, checksum(values, seed)


def rows(entries: Iterable[JournalEntry], last: dict[int, int], seed: int) -> list[tuple[Any, ...]]:
    """Return the rows for entries in order; `last` is each lane's last number, and is brought up to date."""
    now = time_now()
    made: list[tuple[Any, ...]] = []
    for new in entries:
        made.append(row(new, last.get(new.lane, -1), new.accepted_at or now, seed))
        last[new.lane] = new.seq
    return made


def checksum(values: Sequence[Any], seed: int) -> int:
    """Return the CRC-32 of a row's other values, so seeded that a row of another journal does not pass."""
    lane, seq, previous, accepted_at, key, statement, parameters, size, failures = values[:9]
    head = f"{lane} {seq} {previous} {accepted_at!r} {size} {failures} {key is None} {len(key or '')} {len(statement)} "
    return zlib.crc32(f"{head}{key or ''}{statement}{parameters}".encode(), seed)


def entries_in(text: str) -> list[JournalEntry]:
    """Return the entries in a JSON array of arrays; raises JournalCorruptError when it is not one, or out of order."""
    try:
        found = list(starmap(JournalEntry, decode(text)))
    except (ValueError, TypeError) as error:
        raise JournalCorruptError("Writes in the journal are not what was written.") from error
    numbers = [entry.seq for entry in found]
    if not all(map(lt, numbers, numbers[1:])):
        raise JournalCorruptError("Writes in the journal are not in order.")
    return found


def intact(values: Sequence[Any], seed: int) -> bool:
    """Return whether a row is what was written."""
    try:
        return checksum(values, seed) == values[9]
    except (TypeError, ValueError):
        return False


def encode(parameters: Mapping[str, Any]) -> str:
    """Return values that passed `snapshot` as JSON; a tag marks what JSON does not have."""
    text = _ENCODER.encode(parameters)
    return _ENCODER.encode(_escaped(parameters)) if _MARKED in text else text


def decode(text: str) -> Any:
    """Return the values that `encode` was given, equal to them."""
    return json.loads(text, object_hook=_untagged if _MARKED in text else None)


def _tagged(value: object) -> dict[str, list[Any]]:
    match value:
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
