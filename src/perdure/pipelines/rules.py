"""What can be remembered of what was said without a language model: all of it, word for word."""

import re
from collections.abc import Iterable, Iterator, Sequence

from perdure.pipelines.identity import speaker
from perdure.pipelines.mentions import LOOKED_AT, names
from perdure.pipelines.messages import said_anew
from perdure.pipelines.slots import slot_of
from perdure.pipelines.statements import Extracted, Statement, Turn

_WORD = re.compile(r"\w+")


def extract(turns: Sequence[Turn]) -> Extracted:
    """Return each turn as one statement in its own words, with the names in it and, for plain cases, its slot.

    Turns of the system, blank ones, and memories that were recalled for a prompt are left out.
    """
    *_, found = extracting(turns)
    return found


def extracting(turns: Sequence[Turn]) -> Iterator[Extracted]:
    """Do that in steps of a turn each, between which others may compute; the last yields all that was found."""
    heard = said_anew(turns)
    mentioned: list[tuple[str, ...]] = []
    for turn in heard:
        mentioned.append(names(turn.content))
        yield Extracted()
    known = _words([*(turn.name or "" for turn in heard), *(name for found in mentioned for name in found)])
    statements: list[Statement] = []
    for turn, found in zip(heard, mentioned, strict=True):
        statements.append(_statement(turn, found, known))
        yield Extracted()
    yield Extracted(tuple(statements))


def _words(names: Iterable[str]) -> set[str]:
    return {word for name in names for word in name.casefold().split()}


def _statement(turn: Turn, mentioned: tuple[str, ...], known: set[str]) -> Statement:
    """Make a statement of a turn; a name that only begins a sentence in it counts where it is known from elsewhere."""
    if not (known - _words(mentioned)).isdisjoint(_WORD.findall(turn.content[:LOOKED_AT].casefold())):
        mentioned = names(turn.content, known)
    slot = slot_of(turn.content) if turn.role == "user" else None
    return Statement(
        text=turn.content,
        said_at=turn.said_at,
        name=turn.name,
        role=turn.role,
        entities=mentioned,
        slot=f"{speaker(turn.name) or 'user'}|{slot.attribute}" if slot else None,
        value=slot.value if slot else None,
        metadata=turn.metadata,
    )
