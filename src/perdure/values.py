"""Which values a write may carry: checked and copied in the caller, before anything is queued or sent.

The set is what every graph store keeps and gives back equal: None, bool, int (64 bits), float (NaN and infinities
too), str, date, time, datetime (naive, or with a zone the store can name), and lists and string-keyed maps of these.
"""

from collections.abc import Collection, Iterator, Mapping
from copy import copy as duplicate
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any, cast
from zoneinfo import ZoneInfo

from pydantic_core import to_json

from perdure.errors import InputError, StoreError, shorten

MAX_DEPTH = 32
"""Lists and maps within each other; the limit of both stores is above it."""
MIN_INT, MAX_INT = -(2**63), 2**63 - 1
OVERHEAD = 16
"""Bytes counted for each value beside its text."""
_AS_THEY_ARE: Collection[type[object]] = {type(None), bool, float}
_TIMES = (datetime, date, time)
_ZONED = (datetime, time)
SHORTEST_REDACTED = 3
LONGEST_MESSAGE = 400

_ADVICE: dict[type[Any], str] = {
    bytes: "encode them as text, or store them elsewhere and keep the address",
    bytearray: "encode them as text, or store them elsewhere and keep the address",
    timedelta: "pass the number of seconds",
    set: "pass a sorted list",
    frozenset: "pass a sorted list",
}


def snapshot(parameters: Mapping[str, Any] | None) -> tuple[dict[str, Any], int]:
    """Return a copy of a write's parameters that later changes cannot reach, and its size in bytes.

    Raises InputError, naming the parameter's path, for a value no store would give back equal.
    """
    if parameters is None:
        return {}, 0
    if not isinstance(parameters, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(f"parameters should be a mapping of names to values, not {type(parameters).__name__}.")
    copy, size = _copy_map(parameters, (), 0)
    return copy, size - OVERHEAD


def size_of(parameters: dict[str, Any]) -> int:
    """Return the size in bytes of parameters that `snapshot` would take, as JSON.

    Raises ValueError for half of a surrogate pair.
    """
    return len(to_json(parameters))


def _copy(value: Any, path: tuple[str | int, ...], depth: int) -> tuple[Any, int]:  # noqa: PLR0911  one line a kind of value
    kind = cast("type[object]", type(value))
    if kind is str:
        return value, _text_size(value, path)
    if kind is list or kind is tuple:
        return _copy_list(value, path, depth + 1)
    if kind is dict:
        return _copy_map(value, path, depth + 1)
    if kind in _AS_THEY_ARE:
        return value, OVERHEAD
    if kind is int:
        return _check_int(value, path), OVERHEAD
    if kind is datetime and value.tzinfo is UTC:
        return value, OVERHEAD
    if isinstance(value, _TIMES):
        return _check_time(value, path), OVERHEAD
    if isinstance(value, list | tuple):
        return _copy_list(cast("list[Any]", value), path, depth + 1)
    if isinstance(value, Mapping):
        return _copy_map(cast("Mapping[Any, Any]", value), path, depth + 1)
    return _copy_subclass(value, path)


def _copy_list(value: list[Any] | tuple[Any, ...], path: tuple[str | int, ...], depth: int) -> tuple[list[Any], int]:
    _check_depth(path, depth)
    copy: list[Any] = []
    size = OVERHEAD
    for index, item in enumerate(value):
        if type(item) in _AS_THEY_ARE:  # as in a vector
            kept, extra = item, OVERHEAD
        else:
            kept, extra = _copy(item, (*path, index), depth)
        copy.append(kept)
        size += extra
    return copy, size


def _copy_map(value: Mapping[Any, Any], path: tuple[str | int, ...], depth: int) -> tuple[dict[str, Any], int]:
    _check_depth(path, depth)
    copy: dict[str, Any] = {}
    size = OVERHEAD
    for name, item in value.items():
        key = name if type(name) is str and name and name.isascii() else _check_key(name, _shown(path))
        if type(item) is str and item.isascii():
            copy[key], extra = item, len(item) + OVERHEAD
        elif type(item) in _AS_THEY_ARE:
            copy[key], extra = item, OVERHEAD
        else:
            copy[key], extra = _copy(item, (*path, key), depth)
        size += extra + (len(key) if key.isascii() else len(key.encode()))
    return copy, size


def _copy_subclass(value: Any, path: tuple[str | int, ...]) -> tuple[Any, int]:
    """Reduce a str, int or float subclass (an enum, a numpy scalar) to the plain value."""
    if isinstance(value, str):
        plain = str.__str__(value)
        return plain, _text_size(plain, path)
    if isinstance(value, int):
        return _check_int(int(value), path), OVERHEAD
    if isinstance(value, float):
        return float(value), OVERHEAD
    advice = next((text for kind, text in _ADVICE.items() if isinstance(value, kind)), "convert it to one of those")
    raise InputError(
        f"{_shown(path)} is {type(value).__name__}, which a graph cannot hold (it holds None, bool, int, float, str, "
        "date, time, datetime, and lists and maps of these):",
        hint=f"{advice}.",
    )


def _check_key(name: object, where: str) -> str:
    if not isinstance(name, str):
        raise InputError(f"{where} has the key {shorten(repr(name), 40)}, but keys should be text.")
    if not name:
        raise InputError(f"{where} has an empty key.")
    _text_size(name, (where,))
    return str.__str__(name)


def _text_size(value: str, path: tuple[str | int, ...]) -> int:
    if value.isascii():
        return len(value) + OVERHEAD
    try:
        return len(value.encode()) + OVERHEAD
    except UnicodeEncodeError as error:
        raise InputError(
            f"{_shown(path)} holds half of a surrogate pair at position {error.start}, which is not text.",
            hint="Decode the bytes it came from with errors='replace'.",
        ) from None


def check_text(value: object, where: str) -> str:
    """Return a text as it is; raises InputError for what is none, or holds half of a surrogate pair."""
    if not isinstance(value, str):
        raise InputError(f"{where} should be text, not {type(value).__name__}.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InputError(f"{where} holds half of a surrogate pair, which is not text.") from None
    return value


def _check_int(value: int, path: tuple[str | int, ...]) -> int:
    if MIN_INT <= value <= MAX_INT:
        return value
    raise InputError(f"{_shown(path)} is an integer beyond 64 bits.", hint="Pass it as text, or as a float.")


def _check_time(value: datetime | date | time, path: tuple[str | int, ...]) -> datetime | date | time:
    if isinstance(value, _ZONED) and value.tzinfo is not None:
        _check_zone(value, path)
    return value


def _check_zone(value: datetime | time, path: tuple[str | int, ...]) -> None:
    zone = value.tzinfo
    if isinstance(value, time) and not isinstance(zone, timezone):
        raise InputError(f"{_shown(path)} is a time whose zone has no fixed offset.", hint="Pass a datetime.")
    if isinstance(zone, ZoneInfo) and not zone.key:
        raise InputError(f"{_shown(path)} has a zone without a name.", hint="Use ZoneInfo('Area/City').")
    offset = value.utcoffset()
    if offset is None or offset.seconds % 60 or offset.microseconds:
        raise InputError(f"{_shown(path)} has a zone whose offset is not in whole minutes.", hint="Convert it to UTC.")


def _check_depth(path: tuple[str | int, ...], depth: int) -> None:
    if depth > MAX_DEPTH:
        raise InputError(
            f"{_shown(path[:3])}… is nested deeper than {MAX_DEPTH} lists and maps, or contains itself.",
            hint="Store deep structures as JSON text.",
        )


def _shown(path: tuple[str | int, ...]) -> str:
    if len(path) == 1 and str(path[0]).startswith("parameters"):
        return str(path[0])
    return "parameters" + "".join(f"[{shorten(repr(part), 40)}]" for part in path)


def redacted(error: StoreError, parameters: Mapping[str, Any]) -> StoreError:
    """Return the error without the parameter values a database may have quoted in its message, on one short line."""
    message = error.message
    for value in sorted(set(_texts(parameters)), key=len, reverse=True):
        message = message.replace(value, "…") if len(value) >= SHORTEST_REDACTED else _unquote(message, value)
    clone = duplicate(error)
    clone.message = shorten(message, LONGEST_MESSAGE)
    clone.args = (clone.message,)
    return clone


def _unquote(message: str, value: str) -> str:
    for mark in "'\"`":
        message = message.replace(f"{mark}{value}{mark}", "…")
    return message.replace(f"= {value}", "= …")


def _texts(value: Any) -> Iterator[str]:
    """Yield every way in which a message may quote these values."""
    if isinstance(value, Mapping):
        for item in cast("Mapping[str, Any]", value).values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from _texts(item)
    elif value is not None and not isinstance(value, bool) and value != "":
        yield str(value)
        if isinstance(value, str):
            yield repr(value)[1:-1]
        elif isinstance(value, date | time):
            yield value.isoformat()
