"""Many writes in one Cypher statement: plain text in, plain text out, no I/O.

A batch of writes with few distinct texts becomes one statement that takes the rows as a parameter, applies each row
in order with its own text inside a CALL subquery, and keeps the lane's mark in the same breath:

* the mark is written before it is read, so two owners of one lane take turns;
* a row at or below the mark is skipped, so a batch sent twice applies once;
* an owner with an older epoch finds no row to go on with, and changes nothing.

A user's text stands in it unchanged but for its parameters, which are read from the row.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from functools import lru_cache

from perdure.cypher import quote, rewrite_parameters, tokens
from perdure.records import JournalEntry
from perdure.stores.neo4j.convert import sendable

ROW = "__row"
MAX_TEXTS = 32
"""Distinct texts in one composed statement: planning costs more with each, running hardly does."""
OFTEN = 20
"""How often a text comes before it is composed: planning costs as much as running it that often by itself."""
REMEMBERED = 2048

LOCK_MARK = """\
MERGE (k:_JournalMark {id: $lane}) ON CREATE SET k.perdure_seq = -1, k.perdure_epoch = $epoch
SET k.perdure_epoch = CASE WHEN k.perdure_epoch > $epoch THEN k.perdure_epoch ELSE $epoch END
WITH k WHERE k.perdure_epoch = $epoch
RETURN k.perdure_seq AS done"""

MOVE_MARK = "MATCH (k:_JournalMark {id: $lane}) SET k.perdure_seq = $last"

NEW_MARKS = """\
UNWIND $lanes AS lane
MERGE (k:_JournalMark {id: lane}) ON CREATE SET k.perdure_seq = -1, k.perdure_epoch = 0"""

TAKE_OVER = """\
MATCH (k:_JournalMark) WHERE k.id STARTS WITH $mine
SET k.taken = $epoch
WITH k SET k.perdure_epoch = CASE WHEN k.perdure_epoch >= $epoch THEN k.perdure_epoch + 1 ELSE $epoch END
RETURN k.id AS lane, k.perdure_seq AS seq, k.perdure_epoch AS epoch"""
"""Writes before it reads, as above: whoever holds the mark is waited for."""

_WITH_MARK = """\
MERGE (k:_JournalMark {{id: $lane}}) ON CREATE SET k.perdure_seq = -1, k.perdure_epoch = $epoch
SET k.perdure_epoch = CASE WHEN k.perdure_epoch > $epoch THEN k.perdure_epoch ELSE $epoch END
WITH k WHERE k.perdure_epoch = $epoch
WITH k, k.perdure_seq AS done SET k.perdure_seq = CASE WHEN $last > done THEN $last ELSE done END
WITH done
CALL (done) {{
  UNWIND $rows AS {row} WITH {row}, done WHERE {row}.s > done WITH {row} ORDER BY {row}.s
  CALL ({row}) {{ {arms} }}
  RETURN count(*) AS n }}
RETURN done, n"""

_ROWS_ONLY = """\
UNWIND $rows AS {row} WITH {row} ORDER BY {row}.s
CALL ({row}) {{ {arms} }}
RETURN count(*) AS n"""


@lru_cache(maxsize=256)
def arm(index: int, text: str) -> str:
    """Return the part of a composed statement that runs `text` for the rows that ask for it."""
    inner = rewrite_parameters(text, lambda name: f"{ROW}.p.{quote(name)}")
    return f"WITH * WHERE {ROW}.q = {index} CALL ({ROW}) {{ {inner}\n }} RETURN 1 AS `_`"


def compose(texts: Sequence[str], *, with_mark: bool = True) -> str:
    """Return the one statement that applies rows of these texts: `{s: seq, q: index of the text, p: parameters}`."""
    arms = "\n  UNION ALL ".join(arm(index, text) for index, text in enumerate(texts))
    return (_WITH_MARK if with_mark else _ROWS_ONLY).format(row=ROW, arms=arms)


def rows(entries: Iterable[JournalEntry], texts: Sequence[str]) -> list[dict[str, object]]:
    """Return the rows for entries whose texts are among `texts`."""
    index = {text: position for position, text in enumerate(texts)}
    return [{"s": entry.seq, "q": index[entry.statement], "p": sendable(entry.parameters)} for entry in entries]


def may_compose(text: str) -> bool:
    """Return whether a text can at all stand inside another one; the server's planner decides the rest.

    Not when it uses our row variable, or unicode escapes, which the server resolves before it looks for quotes.
    """
    if "\\u" in text or "\\U" in text:
        return False
    return all(not piece.name.startswith(ROW) for piece in tokens(text) if piece.kind in ("word", "quoted"))


class Palette:
    """The texts that are composed together, kept stable so that the server can keep the plan.

    Each set of texts makes a statement the server must plan anew. Batches differ in which texts they hold, so a
    composed statement is reused by every batch whose texts are among its own, and grows until it is full.
    """

    def __init__(self) -> None:
        self._sets: list[tuple[str, ...]] = []

    def choose(self, wanted: Sequence[str]) -> tuple[str, ...]:
        """Return the texts to compose for a batch that needs `wanted`, at most MAX_TEXTS of them."""
        needed = set(wanted)
        for texts in self._sets:
            if needed.issubset(texts):
                return texts
        newest = self._sets[-1] if self._sets else ()
        grown = newest + tuple(text for text in wanted if text not in newest)
        if self._sets and len(grown) <= MAX_TEXTS:
            self._sets[-1] = grown
        else:
            grown = tuple(wanted)
            self._sets = [*self._sets[-7:], grown]
        return grown

    def drop(self, wanted: Iterable[str]) -> set[str]:
        """Forget every set that holds one of these texts, and return all that were in those sets."""
        dropped = [texts for texts in self._sets if not set(wanted).isdisjoint(texts)]
        self._sets = [texts for texts in self._sets if texts not in dropped]
        return {text for texts in dropped for text in texts}


class Verdicts:
    """How often each text came, and what the planner said of it: bounded, oldest forgotten first."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[int, bool | None]] = OrderedDict()

    def seen(self, text: str, times: int) -> int:
        """Count a text, and return how often it came by now."""
        before, verdict = self._known.get(text, (0, None))
        self._keep(text, before + times, verdict)
        return before + times

    def get(self, text: str) -> bool | None:
        """Return whether a text composes, or None when it was not judged yet."""
        return self._known.get(text, (0, None))[1]

    def forget(self, text: str) -> None:
        """Begin to count a text anew."""
        self._known.pop(text, None)

    def put(self, text: str, composes: bool | None) -> None:  # noqa: FBT001  the verdict itself
        """Remember what the planner said of a text."""
        self._keep(text, self._known.get(text, (0, None))[0], composes)

    def _keep(self, text: str, times: int, verdict: bool | None) -> None:  # noqa: FBT001  the verdict itself
        self._known[text] = (times, verdict)
        self._known.move_to_end(text)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
