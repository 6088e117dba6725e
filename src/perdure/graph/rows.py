"""From records to the properties of nodes, and back."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from perdure.errors import StoreUnavailableError
from perdure.models import ToolCall, Trace
from perdure.plain import decode, encode
from perdure.runtime.tries import soon

R = TypeVar("R", bound=BaseModel)
T = TypeVar("T")
TRIES = 10

ENCODED: Mapping[str, Any] = {"metadata": {}, "tool_calls": [], "attributes": {}, "arguments": None, "result": None}
"""Kept as JSON text, unless they are as given here: a graph's properties are single values and lists of one kind."""


class IncompleteError(StoreUnavailableError):
    """A node is not all of a record: it is being deleted, and Neo4j shows what is left, or others changed it."""


async def whole(read: Callable[[], Awaitable[T]]) -> T:
    """Return what `read` makes of nodes, reading again while it raises IncompleteError: soon they are gone."""
    return await soon(read, lambda error: isinstance(error, IncompleteError), tries=TRIES)


def properties(record: BaseModel, *without: str) -> dict[str, Any]:
    """Return a record as a node's properties."""
    return kept({name: value for name, value in vars(record).items() if name not in without})


def kept(parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of a record as properties that share nothing with it.

    `id` becomes `public_id`: the node's own is its owner's as well.
    """
    found: dict[str, Any] = {}
    for name, value in parts.items():
        if name in ENCODED:
            if value != ENCODED[name]:
                found[name] = encode(value)
        elif value is not None:
            found["public_id" if name == "id" else name] = [*value] if isinstance(value, list) else value
    return found


def record(kind: type[R], node: dict[str, Any], **more: Any) -> R:
    """Return the record that a node's properties hold; raises IncompleteError when they do not."""
    values = {name: _value(name, node[name]) for name in kind.model_fields if name in node and name != "id"}
    try:
        return kind(**{**values, **more, "id": node["public_id"]} if "public_id" in node else {**values, **more})
    except ValidationError as error:
        wrong = ", ".join(sorted({str(part) for each in error.errors() for part in each["loc"][:1]}))
        raise IncompleteError(f"A node in the graph is no {kind.__name__}: look at its {wrong}.") from None


def trace_of(node: dict[str, Any], **more: Any) -> Trace:
    """Return a trace, with the metadata of its end laid over those of its beginning."""
    trace = record(Trace, node, **more)
    added = node.get("completed_metadata")
    return trace.model_copy(update={"metadata": {**trace.metadata, **decode(added)}}) if added else trace


def call_of(node: dict[str, Any]) -> ToolCall:
    """Return a tool call, with each entity it touched once."""
    return record(ToolCall, node, touched=sorted(set(node.get("touched", []))))


def _value(name: str, value: Any) -> Any:
    if name in ENCODED:
        return decode(value)
    return value.astimezone(UTC) if isinstance(value, datetime) else value
