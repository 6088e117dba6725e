"""The conversation remembered by `Memory`, without a language model, and questions answered from that."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import NamedTuple

from perdure import Memory, MemoryHit, MemorySettings
from perdure.demo.turns import Turn
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
FLUSH_SECONDS = 120.0
MOST = 1000
"""How many memories are counted at a time."""


class Answer(NamedTuple):
    """A question, and the best that memory has for it."""

    question: str
    hits: list[MemoryHit]
    seconds: float


@dataclass(frozen=True, slots=True)
class Recall:
    """What remembering the conversation cost the agent, and what memory knows of it afterwards."""

    waits: list[float]
    """Seconds until each turn was accepted."""
    flush_seconds: float
    """From the last of these until all was remembered."""
    memories: int
    answers: list[Answer]


def questions_about(turns: Sequence[Turn]) -> list[str]:
    """Return questions for any conversation: about what it mentions most, else about what was said first."""
    messages = [message for turn in turns for message in turn]
    names = Counter(mention.name for message in messages for mention in message.mentions)
    said = [shorten(message.content, LONGEST_QUESTION) for message in messages if message.content.strip()]
    asked = [f"What do we know about {name}?" for name, _ in names.most_common(QUESTIONS)]
    return [*asked, *said][:QUESTIONS]


async def recall(settings: MemorySettings, turns: Sequence[Turn], questions: Sequence[str], whose: Scope) -> Recall:
    """Remember every turn, timed, wait until all of it is found, and ask; raises StoreUnavailableError."""
    async with Memory(settings) as memory:
        waits = [await wait_of_turn(memory, turn, whose) for turn in turns]
        started = perf_counter()
        if not await memory.flush(FLUSH_SECONDS):
            raise StoreUnavailableError(
                f"The conversation was not remembered within {FLUSH_SECONDS:.0f} s.",
                hint="Check that the database answers, and run the demo again.",
            )
        seconds = perf_counter() - started
        answers = [await answer(memory, question, whose) for question in questions]
        return Recall(waits, seconds, await count(memory, whose), answers)


async def wait_of_turn(memory: Memory, turn: Turn, whose: Scope) -> float:
    """Remember what was said in one turn, and return the seconds until that was accepted."""
    messages = [
        {
            "role": message.role,
            "content": message.content,
            "name": message.name if message.name != message.role else None,
            "created_at": message.moment,
        }
        for message in turn
    ]
    started = perf_counter()
    await memory.add(messages, wait="accepted", **whose.ids())
    return perf_counter() - started


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
