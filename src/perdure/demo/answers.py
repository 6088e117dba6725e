"""The conversation remembered by `Memory`, without a language model, and questions answered from that."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, NamedTuple

from perdure import Memory, MemoryHit, MemorySettings
from perdure.demo.turns import Message, Turn
from perdure.errors import StoreUnavailableError, shorten
from perdure.graph.scope import Scope

SHIPPED = (
    "Are the keys ivory?",
    "Will the fiddles play with the organ?",
    "What did Gwilym play on the organ?",
)
"""What may be asked of the conversation shipped with the demo."""
QUESTIONS = 3
LONGEST_QUESTION = 200
HITS = 2
FLUSH_SECONDS = 60.0
MOST = 1000
"""How many memories are counted at a time."""


class Answer(NamedTuple):
    """A question, and the best that memory has for it."""

    question: str
    hits: list[MemoryHit]
    seconds: float


class Remembering(NamedTuple):
    """How long a turn took: seconds until it was accepted, which the agent waits, and from then until remembered."""

    wait: float
    behind: float


@dataclass(frozen=True, slots=True)
class Recall:
    """What remembering the conversation cost the agent, and what memory knows of it afterwards."""

    turns: list[Remembering]
    memories: int
    answers: list[Answer]
    rehearsal_seconds: float
    """What the first turn took before, when all of it was new: the embedder's loading, a server's planning."""


def questions_about(turns: Sequence[Turn]) -> list[str]:
    """Return questions for any conversation: about what it mentions most, else about what was said first."""
    messages = [message for turn in turns for message in turn]
    names = Counter(mention.name for message in messages for mention in message.mentions)
    said = [shorten(message.content, LONGEST_QUESTION) for message in messages if message.content.strip()]
    asked = [f"What do we know about {name}?" for name, _ in names.most_common(QUESTIONS)]
    return [*asked, *said][:QUESTIONS]


async def recall(settings: MemorySettings, turns: Sequence[Turn], questions: Sequence[str], whose: Scope) -> Recall:
    """Remember every turn, timed, and ask; raises StoreUnavailableError.

    The first turn is rehearsed before, as the user of `rehearsing`.
    """
    async with Memory(settings) as memory:
        rehearsed = await remember(memory, turns[0], rehearsing(whose))
        tried = await answer(memory, questions[0], rehearsing(whose)) if questions else None
        rehearsal = sum(rehearsed) + (tried.seconds if tried else 0.0)
        remembered = [await remember(memory, turn, whose) for turn in turns]
        answers = [await answer(memory, question, whose) for question in questions]
        return Recall(remembered, await count(memory, whose), answers, rehearsal)


def rehearsing(whose: Scope) -> Scope:
    """Return the scope in which the first turn is rehearsed."""
    return replace(whose, user_id=f"{whose.user_id}-rehearsal")


async def remember(memory: Memory, turn: Turn, whose: Scope) -> Remembering:
    """Remember what was said in one turn; the next one comes when it is, as an agent's comes after its model.

    Raises StoreUnavailableError.
    """
    messages = [message_of(each) for each in turn]
    started = perf_counter()
    await memory.add(messages, wait="accepted", **whose.ids())
    accepted = perf_counter()
    if not await memory.flush(FLUSH_SECONDS):
        raise StoreUnavailableError(
            f"A turn was not remembered within {FLUSH_SECONDS:.0f} s.",
            hint="Check that the database answers, and run the demo again.",
        )
    return Remembering(accepted - started, perf_counter() - accepted)


def message_of(said: Message) -> dict[str, Any]:
    """Return a message as `Memory.add` takes it; who is called by a role only has no name."""
    name = said.name if said.name != said.role else None
    return {"role": said.role, "content": said.content, "name": name, "created_at": said.moment}


async def answer(memory: Memory, question: str, whose: Scope) -> Answer:
    """Ask a memory, and return what fits best."""
    started = perf_counter()
    found = await memory.search(question, limit=HITS, **whose.ids())
    return Answer(question, found.results, perf_counter() - started)


async def count(memory: Memory, whose: Scope) -> int:
    """Return how many memories there are."""
    page = await memory.get_all(limit=MOST, **whose.ids())
    total = len(page.results)
    while page.cursor is not None:
        page = await memory.get_all(limit=MOST, cursor=page.cursor, **whose.ids())
        total += len(page.results)
    return total
