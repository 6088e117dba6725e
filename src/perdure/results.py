"""What `Memory` gives back: frozen, and readable by name as a map is."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, field_serializer

from perdure.errors import PerdureError, shorten
from perdure.fencing import fence
from perdure.models import MemoryRecord

SideName = Literal["vector", "graph"]
AddEvent = Literal["ADD", "UPDATE", "SUPERSEDE", "NONE"]
LONGEST_IN_PROMPT = 1_000
"""Characters of one memory in a prompt: a page that was pasted once should not fill it for ever."""


class Readable(BaseModel):
    """A model whose fields can also be read as `result["results"]`."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    def __getitem__(self, name: str) -> Any:
        if name not in type(self).model_fields:
            raise KeyError(name)
        return getattr(self, name)

    def get(self, name: str, default: Any = None) -> Any:
        """Return a field by its name, or `default` where there is none of that name."""
        return self[name] if name in type(self).model_fields else default


class Remembered(Readable):
    """What became of one statement.

    ADD: it is a new memory. SUPERSEDE: it is new, and takes the place of `previous`. UPDATE: the memory `id` had the
    text `previous` before. NONE: the memory `id` says it already.
    """

    id: str
    memory: str
    event: AddEvent
    previous: str | None = None


class Relation(Readable):
    """What one entity is to another."""

    source: str
    relation: str
    target: str


class Side(Readable):
    """Whether one side has what was added; `error` is why not, and `retrying` whether it will have it later."""

    stored: bool = True
    error: PerdureError | None = None
    retrying: bool = False

    @field_serializer("error")
    def _error_as_text(self, error: PerdureError | None) -> str | None:
        return None if error is None else str(error)


class AddResult(Readable):
    """What was remembered, and whether each side has it."""

    results: list[Remembered] = []
    relations: list[Relation] = []
    sides: dict[SideName, Side] = {}

    @property
    def complete(self) -> bool:
        """Whether both sides have all of it."""
        return all(side.stored for side in self.sides.values())


class MemoryHit(MemoryRecord, Readable):
    """A memory that was found, how well it fits, and, where it was asked for, why."""

    score: float
    why: dict[str, Any] | None = None


class SearchResult(Readable):
    """The memories that fit best, best first; `rerank_error` says why they are not in the reranker's order."""

    results: list[MemoryHit] = []
    rerank_error: PerdureError | None = None

    def as_prompt(self) -> str:
        """Return the hits as a block for a user's message, which says they are data; an empty text when there are none.

        Each stands in a line, best first, with the day it was said and by whom; of a long one, the first 1,000
        characters. No memory can end the block. `add` leaves it out of a message: what was recalled is not remembered
        anew.
        """
        return fence(f"{_said(hit)}: {shorten(hit.memory, LONGEST_IN_PROMPT)}" for hit in self.results)

    @field_serializer("rerank_error")
    def _error_as_text(self, error: PerdureError | None) -> str | None:
        return None if error is None else str(error)


class MemoryPage(Readable):
    """Memories in the order in which they were made; `cursor` asks for the next ones, None says there are none."""

    results: list[MemoryRecord] = []
    cursor: str | None = None


def _said(hit: MemoryHit) -> str:
    """Return when it was said and, where a memory is in somebody's words, by whom."""
    who = hit.name or hit.role
    return f"{hit.observed_at:%Y-%m-%d}{f', {who}' if who else ''}"
