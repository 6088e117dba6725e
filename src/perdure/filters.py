"""Filters on metadata: a small typed tree, and what each operator means.

    {"category": "work"}                                  a key, and the value it should have
    {"stars": {"gte": 3, "lt": 5}}                        operators; several on one key must all hold
    {"AND": [{…}, {…}], "OR": [{…}, {…}], "NOT": {…}}     all, at least one, not; keys side by side must all hold

`holds` and `matches` are the meaning. A store may use its own indexes to look at less, never to decide otherwise.

- A value is absent (None, or no such key), a truth value, a number, a text, a list or a map. Values of two kinds are
  never equal and have no order: `True` is not 1. Whole and broken numbers are of one kind, and are compared exactly.
- Dates and times are texts in ISO form (see `iso`): aware ones in UTC, so that their order as texts is that in time.
- `eq` None holds where the value is absent. `ne`, `nin` and NOT hold exactly where `eq`, `in` and the inner condition
  do not, so `ne` holds for an absent value. No order and no `contains` holds for one.
- `contains` asks a text for a part, and a list for a member; `icontains` does so ignoring case, for texts only.
- A list is not searched by `eq` or `in`, and a map by nothing.

A filter speaks of metadata only. Whose memories are searched is an argument, which no filter can name or widen.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any, Literal, cast

from perdure.errors import InputError, shorten
from perdure.values import check_text

Operator = Literal["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "contains", "icontains"]
Scalar = str | int | float | bool | None
OPERATORS: tuple[Operator, ...] = ("eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "contains", "icontains")
ORDER: tuple[Operator, ...] = ("gt", "gte", "lt", "lte")
COMBINATIONS = ("AND", "OR", "NOT")
MISTAKEN = {"$and", "$or", "$not", "$nor"}
SCOPE = {"user_id", "agent_id", "run_id", "session_id", "tenant", "owner"}
MAX_DEPTH = 16
MAX_CONDITIONS = 256
MAX_CHOICES = 1000
MIN_INT, MAX_INT = -(2**63), 2**63 - 1


@dataclass(frozen=True, slots=True)
class Condition:
    """One key, one operator, one value: a tuple for `in` and `nin`."""

    key: str
    operator: Operator
    value: Scalar | tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class All:
    """Holds where every part does; without parts, everywhere."""

    parts: "tuple[Filter, ...]"


@dataclass(frozen=True, slots=True)
class Either:
    """Holds where at least one part does."""

    parts: "tuple[Filter, ...]"


@dataclass(frozen=True, slots=True)
class Not:
    """Holds where its part does not."""

    part: "Filter"


Filter = Condition | All | Either | Not
EVERYTHING = All(())


# -- reading what a caller wrote


def parse(filters: Mapping[str, Any] | None) -> Filter:
    """Return the tree of a caller's filters; None and an empty mapping hold everywhere.

    Raises InputError, naming the place, for an unknown operator, a value its operator cannot use, an empty or
    misshapen AND, OR or NOT, a key that names the scope, and for trees too deep or too large.
    """
    if filters is None or (isinstance(filters, Mapping) and not filters):  # pyright: ignore[reportUnnecessaryIsInstance]
        return EVERYTHING
    tree = _parse_map(filters, "filters", 1)
    conditions = sum(1 for _ in leaves(tree))
    if conditions > MAX_CONDITIONS:
        raise InputError(f"filters has {conditions} conditions, and at most {MAX_CONDITIONS} are taken.")
    return tree


def _parse_map(given: object, where: str, depth: int) -> Filter:
    if not isinstance(given, Mapping):
        raise InputError(f"{where} should be a mapping of keys to conditions, not {type(given).__name__}.")
    if depth > MAX_DEPTH:
        raise InputError(f"filters is nested deeper than {MAX_DEPTH} levels, or contains itself.")
    entries = cast("Mapping[Any, Any]", given)
    if not entries:
        raise InputError(f"{where} is empty.", hint="Leave it out, or say what should hold.")
    return _all([_parse_entry(key, value, where, depth) for key, value in entries.items()])


def _parse_entry(key: object, value: Any, where: str, depth: int) -> Filter:
    if not isinstance(key, str) or not key:
        raise InputError(f"{where} has the key {shorten(repr(key), 40)}, but keys should be text, not empty.")
    key = str.__str__(key)
    place = f"{where}[{shorten(repr(key), 40)}]"
    if key in COMBINATIONS:
        return _parse_combination(key, value, place, depth)
    if key in MISTAKEN:
        raise InputError(f"{place} is not known.", hint="Combine conditions with AND, OR and NOT.")
    if key in SCOPE:
        raise InputError(
            f"{place} names the scope, which a filter cannot.", hint=f"Pass it as an argument: {key}=… beside filters."
        )
    check_text(key, place)
    return _parse_value(key, value, place)


def _parse_combination(key: str, value: Any, place: str, depth: int) -> Filter:
    if key == "NOT" and isinstance(value, Mapping):
        return Not(_parse_map(cast("object", value), place, depth + 1))
    if not isinstance(value, list | tuple):
        raise InputError(f"{place} should be a list of conditions, not {type(value).__name__}.")
    given = cast("Sequence[object]", value)
    if not given:
        raise InputError(f"{place} is empty.", hint="Leave it out, or say what should hold.")
    if len(given) > MAX_CONDITIONS:
        raise InputError(f"{place} has {len(given)} conditions, and at most {MAX_CONDITIONS} are taken.")
    parts = [_parse_map(part, f"{place}[{number}]", depth + 1) for number, part in enumerate(given)]
    if key == "AND":
        return _all(parts)
    either = parts[0] if len(parts) == 1 else Either(tuple(parts))
    return either if key == "OR" else Not(either)


def _parse_value(key: str, value: Any, place: str) -> Filter:
    if not isinstance(value, Mapping):
        return Condition(key, "eq", _scalar(value, place))
    operations = cast("Mapping[Any, Any]", value)
    if not operations:
        raise InputError(f"{place} is empty.", hint=f"Operators are {', '.join(OPERATORS)}.")
    return _all([_parse_operation(key, name, operand, place) for name, operand in operations.items()])


def _parse_operation(key: str, name: object, value: Any, place: str) -> Filter:
    operator: Operator | None = next((known for known in OPERATORS if known == name), None)
    where = f"{place}[{shorten(repr(name), 40)}]"
    if operator is None:
        raise InputError(f"{where} is no operator.", hint=f"Operators are {', '.join(OPERATORS)}.")
    if operator in ("in", "nin"):
        return Condition(key, operator, _choices(value, where))
    operand = _scalar(value, where)
    if operator in ORDER and (operand is None or isinstance(operand, bool)):
        raise InputError(f"{where} is {operand}, which has no order.", hint="Compare with a number, a text or a date.")
    if operator == "contains" and operand is None:
        raise InputError(f"{where} is None, which nothing contains.", hint="Ask for a text or a member of a list.")
    if operator == "icontains" and not isinstance(operand, str):
        raise InputError(f"{where} should be text, not {type(value).__name__}.")
    return Condition(key, operator, operand)


def _choices(value: Any, where: str) -> tuple[Scalar, ...]:
    if not isinstance(value, list | tuple | set | frozenset):
        raise InputError(f"{where} should be a list of values, not {type(value).__name__}.")
    given = list(cast("Sequence[Any]", value))
    if len(given) > MAX_CHOICES:
        raise InputError(f"{where} has {len(given)} values, and at most {MAX_CHOICES} are taken.")
    return tuple(_scalar(item, f"{where}[{number}]") for number, item in enumerate(given))


def _scalar(value: Any, where: str) -> Scalar:
    if isinstance(value, datetime | date | time):
        return iso(value)
    if isinstance(value, str):
        return check_text(str.__str__(value), where)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and MIN_INT <= value <= MAX_INT:
        return int(value)
    if isinstance(value, float) and not math.isnan(value):
        return float(value)
    if isinstance(value, list | tuple):
        raise InputError(f"{where} is a list.", hint="Use {'in': […]}, or {'contains': …} for one member.")
    raise InputError(
        f"{where} is {type(value).__name__}, which cannot be compared.",
        hint="Use text, a number of at most 64 bits, True, False, None, a date, a time or a datetime.",
    )


def _all(parts: Sequence[Filter]) -> Filter:
    return parts[0] if len(parts) == 1 else All(tuple(parts))


# -- what it means


def matches(tree: Filter, metadata: Mapping[str, Any]) -> bool:
    """Return whether a filter holds for a memory's metadata."""
    if isinstance(tree, Condition):
        return holds(tree, metadata.get(tree.key))
    if isinstance(tree, Not):
        return not matches(tree.part, metadata)
    parts = (matches(part, metadata) for part in tree.parts)
    return all(parts) if isinstance(tree, All) else any(parts)


def holds(condition: Condition, value: Any) -> bool:
    """Return whether one condition holds for the value of its key; None stands for an absent one."""
    operand, operator = condition.value, condition.operator
    value = plain(value)
    if operator in ("in", "nin"):
        return any(_equal(value, choice) for choice in cast("tuple[Scalar, ...]", operand)) is (operator == "in")
    if operator in ("eq", "ne"):
        return _equal(value, operand) is (operator == "eq")
    if operator in ORDER:
        return kind_of(value) == kind_of(operand) and _ordered(operator, value, operand)
    if operator == "contains":
        return _contains(value, operand)
    return _contains(_folded(value), cast("str", operand).casefold())


def _equal(value: Any, operand: Any) -> bool:
    kind = kind_of(value)
    return kind == kind_of(operand) and kind not in ("list", "map") and value == operand


def _ordered(operator: Operator, value: Any, operand: Any) -> bool:
    if operator in ("gt", "gte"):
        return value > operand or (operator == "gte" and value == operand)
    return value < operand or (operator == "lte" and value == operand)


def _contains(value: Any, operand: Any) -> bool:
    if isinstance(value, str):
        return isinstance(operand, str) and operand in value
    return isinstance(value, list) and any(_equal(plain(item), operand) for item in cast("list[Any]", value))


def _folded(value: Any) -> Any:
    if isinstance(value, str):
        return value.casefold()
    if isinstance(value, list):
        members = [plain(item) for item in cast("list[Any]", value)]
        return [item.casefold() for item in members if isinstance(item, str)]
    return None


def kind_of(value: object) -> str:
    """Return the kind of a plain value: absent, truth, number, text, list or map."""
    if value is None:
        return "absent"
    if isinstance(value, bool):
        return "truth"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "text"
    return "list" if isinstance(value, list) else "map"


def plain(value: Any) -> Any:
    """Return a metadata value as filters see it and stores keep it: dates and times as texts, tuples as lists."""
    if isinstance(value, datetime | date | time):
        return iso(value)
    return list(cast("tuple[Any, ...]", value)) if isinstance(value, tuple) else value


def iso(value: datetime | date | time) -> str:
    """Return a date or time as the text it is compared as: an aware datetime in UTC, with all six decimals."""
    if isinstance(value, datetime):
        value = value if value.tzinfo is None else value.astimezone(UTC)
        return value.isoformat(timespec="microseconds")
    return value.isoformat() if isinstance(value, date) else value.isoformat(timespec="microseconds")


def leaves(tree: Filter) -> Iterator[Condition]:
    """Yield every condition of a tree."""
    if isinstance(tree, Condition):
        yield tree
    elif isinstance(tree, Not):
        yield from leaves(tree.part)
    else:
        for part in tree.parts:
            yield from leaves(part)
