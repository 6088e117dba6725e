"""What can be remembered of what was said without a language model: all of it, word for word."""

from collections.abc import Sequence

from perdure.pipelines.identity import speaker
from perdure.pipelines.mentions import certain, names
from perdure.pipelines.recalled import said_anew
from perdure.pipelines.slots import slot_of
from perdure.pipelines.statements import Extracted, Statement, Turn


def extract(turns: Sequence[Turn]) -> Extracted:
    """Return each turn as one statement in its own words, with the names in it and, for plain cases, its slot.

    Turns of the system, blank ones, and memories that were recalled for a prompt are left out.
    """
    heard = said_anew(turns)
    known = {word for turn in heard for word in certain(turn.content)}
    known.update(word.casefold() for turn in heard for word in (turn.name or "").split())
    return Extracted(tuple(_statement(turn, known) for turn in heard))


def _statement(turn: Turn, known: set[str]) -> Statement:
    slot = slot_of(turn.content) if turn.role == "user" else None
    return Statement(
        text=turn.content,
        said_at=turn.said_at,
        name=turn.name,
        role=turn.role,
        entities=names(turn.content, known),
        slot=f"{speaker(turn.name) or 'user'}|{slot.attribute}" if slot else None,
        value=slot.value if slot else None,
        metadata=turn.metadata,
    )
