"""What a statement does to what can be searched, as the index hears of it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

from perdure.graph.searchable import Effect
from perdure.records import VectorKind


class Changed(NamedTuple):
    """A record that was written or removed, which the graph says when it is looked at; its key is that of its node."""

    owner: str
    kind: VectorKind
    key: str
    marked: bool
    """Whether the graph says so as well, should this be forgotten."""


class Cleared(NamedTuple):
    """Records of an owner that are gone: all of a session, or all."""

    owner: str
    session_id: str | None


Change = Changed | Cleared


def changes_of(owner: str, effects: Sequence[Effect], parameters: Mapping[str, Any]) -> Iterator[Change]:
    """Yield the changes that a statement makes, or will have made, with these parameters."""
    for effect in effects:
        given = parameters.get(effect.parameter)
        if effect.kind is None:
            yield Cleared(owner, given and given.removeprefix(owner))
            continue
        for each in cast("list[Any]", given if isinstance(given, list) else [given]):
            yield Changed(owner, effect.kind, _key(each), marked=not effect.removes)


def _key(given: Any) -> str:
    return given if isinstance(given, str) else given["id"]
