"""One call of the chat client: whose it is, what is asked, what is answered, and what memory did for it."""

import asyncio
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from perdure import ids
from perdure.graph.scope import ScopeIds
from perdure.openai.answered import Answer
from perdure.openai.asked import Asked
from perdure.results import MemoryHit, SearchResult

Status = Literal["hit", "miss", "timeout", "off", "failed"]
Kept = Literal["off", "waiting", "pending", "accepted", "nothing", "failed"]


@dataclass
class TurnMemory:
    """What memory did for one completion: what was found for it, and what became of what was said in it.

    `status` is "hit" when memories are in the prompt and "miss" when none fits; after "timeout" and "failed", the
    completion was asked for without them. `remembered` is "waiting" until the answer is complete, "accepted" once the
    turn is in the journal, "pending" when that takes longer than the answer may be held up, and "nothing" when nothing
    was said in words. It is "off" for a call without an id.
    """

    status: Status = "off"
    hits: tuple[MemoryHit, ...] = ()
    """The memories in the prompt, best first."""
    error: BaseException | None = None
    """Why nothing could be looked for."""
    remembered: Kept = "off"
    reason: str | None = None
    """Why nothing is remembered."""

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the memories in the prompt."""
        return tuple(hit.id for hit in self.hits)


class Recalling(NamedTuple):
    """How a client looks for memories."""

    seconds: float
    """How long a completion waits for them at most."""
    limit: int
    """How many it gets at most; 0 recalls none."""


class Recalled(NamedTuple):
    """What came of looking for memories: the fields of TurnMemory that say so."""

    status: Status
    hits: tuple[MemoryHit, ...] = ()
    error: BaseException | None = None


@dataclass(eq=False)
class Turn:
    """One call, from what is asked to what is answered."""

    whose: ScopeIds
    asked: Asked
    answer: Answer
    memory: TurnMemory
    recalling: Recalling
    ended: bool = False
    """Whether it is known what is to be remembered of it."""
    failed: bool = False
    """Whether the API failed while it answered."""
    dropped: bool = False
    """Whether its stream was let go of without being closed."""
    kept: asyncio.Task[Any] | None = None

    def __post_init__(self) -> None:
        self._asked_at = ids.now()

    def take(self, recalled: Recalled) -> None:
        """Take the memories that were found for it."""
        self.memory.status, self.memory.hits, self.memory.error = recalled

    def messages(self) -> list[dict[str, Any]]:
        """Return what was said in it, by both; what is left of an answer that was cut off says so in its metadata.

        Nothing, where the API failed before it said anything: it will be asked again.
        """
        if self.failed and not self.answer.text:
            return []
        said = [{**message, "created_at": self._asked_at} for message in self.asked.new()]
        if not self.answer.text.strip():
            return said
        answer: dict[str, Any] = {"role": "assistant", "content": self.answer.text}
        return [*said, answer if self.answer.finished else answer | {"metadata": {"incomplete": True}}]

    def body(self, given: object) -> object:
        """Return what is to be sent: the body that was given, with the memories that were found."""
        hits = self.memory.hits
        return self.asked.with_memories(SearchResult(results=list(hits)).as_prompt()) if hits else given
