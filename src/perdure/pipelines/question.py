"""What a query asks for: what it means without names, whose words it asks for, and which days it names."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from perdure.pipelines.dates import Span, dates

MOST_SPEAKERS = 1000
LOOKED_AT = 4000
"""Characters of a query in which names, days and the rest are looked for."""

YEARS = 5
"""Of so many years a month without a year may be."""

_FIRST_PERSON = frozenset("i i'm i've i'd i'll me my mine myself".split())
_SECOND_PERSON = frozenset("you you're you've you'd you'll your yours yourself".split())
_ALSO_WORDS = frozenset("will may can an do so so he hope joy grace mark art bill sue rob don rose summer dawn".split())
"""Names that are words as well: in small letters, and where a sentence begins, they are taken for the word."""
_WHEN = re.compile(
    r"\W*(?:(?:since|until|till|from|by)\s+)?(?:when|(?:what|which)\s+(?:exact\s+)?(?:day|date|month|year|time|weekend|"
    r"week)|how\s+long)\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"[\w'\u2019]+")
_SPACES = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Question:
    """A query as search looks at it."""

    text: str
    """What is embedded, and whose words are looked for: the query without the names of speakers."""
    speakers: frozenset[str] = frozenset()
    """Whose words are asked for: names as they were given, case folded."""
    asker: bool = False
    """Whether whoever asks asks about themselves ("where do I live?")."""
    dates: tuple[Span, ...] = ()
    """Days that it names."""
    when: bool = False
    """Whether it asks for a time."""


def understood(query: str, speakers: Collection[str], moment: datetime) -> Question:
    """Return what a query asks for; `speakers` are the names of those whose words are remembered.

    A speaker may be called by the full name or by its first part. Names say nothing about what was said, since nearly
    every memory has one of them: they are taken out of the text, unless nothing else is there, and their owner's words
    rank higher. `moment` is what "last week" is counted from; "in June" may be any June of the last years. Pure, and
    never fails.
    """
    head = query[:LOOKED_AT]
    named, left = _without(head, speakers)
    words = {word.casefold().replace("\u2019", "'") for word in _WORD.findall(head)}
    return Question(
        text=_SPACES.sub(" ", f"{left}{query[LOOKED_AT:]}").strip() if _WORD.search(left) else query,
        speakers=frozenset(named),
        asker=not words.isdisjoint(_FIRST_PERSON) and words.isdisjoint(_SECOND_PERSON),
        dates=dates(head, moment, years=YEARS),
        when=_WHEN.match(head) is not None,
    )


def _without(query: str, speakers: Collection[str]) -> tuple[set[str], str]:
    """Return which speakers a query names, and what is left of it without their names."""
    called: dict[str, set[str]] = {}
    for name in sorted(speakers)[:MOST_SPEAKERS]:
        for form in _forms(name):
            called.setdefault(form, set()).add(name.casefold())
    if not called:
        return set(), query
    small = query == query.lower()
    named: set[str] = set()

    def replaced(match: re.Match[str]) -> str:
        if not _is_name(match, small=small):
            return match[0]
        named.update(called.get(match["name"].casefold(), ()))
        return " "

    return named, _pattern(called).sub(replaced, query)


def _forms(name: str) -> Iterable[str]:
    """Yield what somebody may be called, case folded."""
    whole = _SPACES.sub(" ", name.strip()).casefold()
    if whole:
        yield whole
    parts = [part for part in re.split(r"[\s_.-]+", whole) if part]
    if len(parts) > 1:
        yield " ".join(parts)
        if len(parts[0]) > 1:
            yield parts[0]


def _pattern(called: Iterable[str]) -> re.Pattern[str]:
    """Return what finds the longest of some names, as words where their script has spaces between words."""
    names = "|".join(_bounded(form) for form in sorted(called, key=lambda form: (-len(form), form)))
    return re.compile(rf"(?P<name>{names})(?:['\u2019]s(?!\w))?", re.IGNORECASE)


def _bounded(form: str) -> str:
    begin = r"(?<!\w)" if _spaced(form[0]) else ""
    end = r"(?!\w)" if _spaced(form[-1]) else ""
    return f"{begin}{re.escape(form)}{end}"


def _spaced(letter: str) -> bool:
    return letter.isascii() or letter.lower() != letter.upper()


def _is_name(match: re.Match[str], *, small: bool) -> bool:
    """Return whether a match is written as a name: with a capital, or in a query that has none, or without case."""
    name = match["name"]
    if name.casefold() in _ALSO_WORDS and (match.start() == 0 or name == name.lower()):
        return False
    return small or name != name.lower() or name == name.upper()
