"""Questions, answered from the memory that the conversation has left."""

from collections import Counter
from collections.abc import Sequence
from time import perf_counter
from typing import NamedTuple

from perdure.demo.turns import Turn
from perdure.errors import shorten
from perdure.graph.typed import TypedMemory

SHIPPED = (
    "When is the concert?",
    "What should be kept in mind about driving after dark?",
    "Find a place to sleep near Bethesda.",
)
"""What may be asked of the conversation shipped with the demo."""
QUESTIONS = 3
LONGEST_QUESTION = 200
MOST_ITEMS = 3


class Answer(NamedTuple):
    """A question, and what `get_context` gave for the prompt."""

    question: str
    context: str
    seconds: float


def questions_about(turns: Sequence[Turn]) -> list[str]:
    """Return questions for any conversation: about what it mentions most, else about what was said first."""
    messages = [message for turn in turns for message in turn]
    names = Counter(mention.name for message in messages for mention in message.mentions)
    said = [shorten(message.content, LONGEST_QUESTION) for message in messages if message.content.strip()]
    asked = [f"What do we know about {name}?" for name, _ in names.most_common(QUESTIONS)]
    return [*asked, *said][:QUESTIONS]


async def answer(memory: TypedMemory, question: str) -> Answer:
    """Ask a memory, and return what it knows."""
    started = perf_counter()
    context = await memory.get_context(question, max_items=MOST_ITEMS)
    return Answer(question, context, perf_counter() - started)
