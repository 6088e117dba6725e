"""What typed calls take: each argument is checked before anything is sent, and made to what the graph keeps."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast, get_args

from perdure.errors import InputError, shorten
from perdure.models import Role
from perdure.plain import TAG, decode, encode
from perdure.values import snapshot

ROLES: tuple[str, ...] = get_args(Role)
MAX_LIMIT = 2**31 - 1


def text(name: str, value: object) -> str:
    """Return a text, which may be empty."""
    if not isinstance(value, str):
        raise InputError(f"{name} should be text, not {type(value).__name__}.")
    return str.__str__(value)


def filled(name: str, value: object) -> str:
    """Return a text that is not blank."""
    if not text(name, value).strip():
        raise InputError(f"{name} is blank.")
    return text(name, value)


def within(name: str, value: str, most: int) -> str:
    """Return a text of at most so many characters."""
    if len(value) > most:
        raise InputError(f"{name} has {len(value)} characters, and at most {most} are taken.")
    return value


def optional(name: str, value: object) -> str | None:
    """Return a text or None."""
    return None if value is None else text(name, value)


def role(value: object) -> Role:
    """Return one of the four roles."""
    if value not in ROLES:
        raise InputError(f"role = {shorten(repr(value), 60)} should be one of {', '.join(ROLES)}.")
    return cast("Role", value)


def moment(name: str, value: object) -> datetime | None:
    """Return a datetime in UTC, or None. A naive one is refused: nobody could tell which moment it means."""
    if value is None:
        return None
    if not isinstance(value, datetime):
        raise InputError(f"{name} should be a datetime, not {type(value).__name__}.")
    if value.tzinfo is None:
        raise InputError(f"{name} = {value} has no time zone.", hint="Add one, as in datetime.now(UTC).")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise InputError(f"{name} = {value} has no equal in UTC.") from None


def limit(value: object, name: str = "limit", least: int = 1, most: int = MAX_LIMIT) -> int:
    """Return a whole number of at least `least`, and at most `most`."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        bounds = f"of at least {least}" if most == MAX_LIMIT else f"from {least} to {most}"
        raise InputError(f"{name} = {shorten(repr(value), 40)} should be a whole number {bounds}.")
    return value


def seconds(name: str, value: object) -> float | None:
    """Return a duration in seconds, or None."""
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < float("inf"):
        raise InputError(f"{name} = {shorten(repr(value), 40)} should be a number of seconds.")
    return float(value)


def share(name: str, value: object) -> float:
    """Return a number from 0 to 1."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        raise InputError(f"{name} = {shorten(repr(value), 40)} should be a number from 0 to 1.")
    return float(value)


def plain_map(name: str, value: object) -> dict[str, Any]:
    """Return a copy of a map of JSON-like values and datetimes; None is an empty one."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InputError(f"{name} should be a map, not {type(value).__name__}.")
    return plain(name, cast("Mapping[str, Any]", value))


def plain_list(name: str, value: object) -> list[Any]:
    """Return a copy of a list of JSON-like values and datetimes; None is an empty one."""
    if value is None:
        return []
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise InputError(f"{name} should be a list, not {type(value).__name__}.")
    return plain(name, list(cast("Sequence[Any]", value)))


def plain(name: str, value: Any) -> Any:
    """Return a copy of a JSON-like value or datetime as it will be read back; raises InputError for anything else."""
    return plain_texts(**{name: value})[0][name]


def plain_texts(**values: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """Return copies of several values as `plain` does, and those that are not None as the JSON that is kept of them."""
    copies = snapshot(values)[0]
    texts = {name: encode(value) for name, value in copies.items() if value is not None}
    return {name: decode(texts[name]) if TAG in texts.get(name, "") else copy for name, copy in copies.items()}, texts


def flag(name: str, value: object) -> bool | None:
    """Return True, False or None."""
    if value is not None and not isinstance(value, bool):
        raise InputError(f"{name} = {shorten(repr(value), 40)} should be True, False or None.")
    return value
