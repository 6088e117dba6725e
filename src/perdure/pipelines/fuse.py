"""From candidates to a ranking: each part of a score says one thing, and adds so many standard deviations.

What each part is worth was measured; decision 0017 has the figures, and `Weights` the recipe.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from heapq import nlargest
from math import exp, fsum, sqrt

from perdure.pipelines.dates import dates
from perdure.pipelines.question import Question

_SENTENCES = re.compile(r"(?<=[.!?\u3002\uff01\uff1f\u061f\n])")
_ASKING = ("?", "\uff1f", "\u061f")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A memory that may answer: a hit of the vector store, or one that stands beside a hit in its chat."""

    id: str
    text: str
    said_at: datetime
    dense: float | None = None
    """The cosine to the question; None where the store did not say, because only its neighbour was a hit."""
    words: float = 0.0
    """How well its words fit, as the store says it; 0 where they do not, or where others fit better."""
    name: str | None = None
    role: str | None = None
    place: tuple[str, int] | None = None
    """The chat it was said in, and its number there."""
    mentioned: bool = False
    """Whether it mentions somebody or something that the question names."""
    content: float = field(init=False, repr=False, compare=False)
    """How much its text says; see `content`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "content", content(self.text))


@dataclass(frozen=True, slots=True)
class Weights:
    """The recipe. Scores by meaning and by words are counted in standard deviations among the hits."""

    dense: float = 0.5
    words: float = 0.5
    before: tuple[float, ...] = (0.4, 0.3)
    """What it gets of the dense and words parts of the turn before it, and of the one before that."""
    after: tuple[float, ...] = (0.2, 0.2)
    """The same of the turns after it."""
    speaker: float = 1.5
    """It was said by somebody whom the question names, or by the asker where they ask about themselves."""
    date: float = 1.5
    """It was said on a day that the question names, or is about that day."""
    time: float = 0.5
    """It tells of a time, and a time is asked for."""
    mention: float = 0.5
    """It mentions a name of the question."""
    empty: float = 1.0
    """It is taken off words that say nothing, such as a question; of `FULL` bytes that do say something, nothing."""


FULL = 75
READ = 25
"""Of how many of the best the text is searched for dates."""
AROUND = 25
"""Of how many of the best hits it is worth reading what stands around them."""
MANY = 26
"""From so many hits on, one may stand out by five standard deviations; cues count less where there are fewer."""
WEIGHTS = Weights()


@dataclass(frozen=True, slots=True)
class Ranked:
    """A candidate in its place, and why it stands there.

    `score` is from 0 to 1, and 0.5 says that nothing sets it off from the average of the hits. It is comparable within
    one search. The parts of `why` add up to what it is made of (`total`).
    """

    candidate: Candidate
    why: Mapping[str, float]
    total: float

    @property
    def score(self) -> float:
        """The total, between 0 and 1."""
        return 1 / (1 + exp(-max(-700.0, min(700.0, self.total / 2))))


def rank(question: Question, candidates: Iterable[Candidate], weights: Weights = WEIGHTS) -> list[Ranked]:
    """Return candidates, best first; equal ones stand in order of their ids.

    The order in which they are given makes no difference; of two with one id, the one that is a hit counts. Pure;
    about 1 ms for 150 candidates.
    """
    given = _each_once(candidates)
    parts = _parts(question, given, weights)
    _add_nearby(given, parts, weights)
    _add_read(question, given, parts, weights)
    ranked = [Ranked(one, why, sum(why.values())) for one, why in zip(given, parts, strict=True)]
    return sorted(ranked, key=lambda one: (-one.total, one.candidate.id))


def around(question: Question, hits: Iterable[Candidate], weights: Weights = WEIGHTS) -> list[tuple[str, int]]:
    """Return the places that are worth reading before `rank`: those around the best hits, without the hits' own.

    A turn that says neither the words nor the meaning of a question may answer it, because the turn before it does.
    """
    given = _each_once(hits)
    parts = _parts(question, given, weights)
    best = nlargest(AROUND, range(len(given)), key=lambda place: sum(parts[place].values()))
    there = {one.place for one in given}
    steps = [*range(-len(weights.after), 0), *range(1, len(weights.before) + 1)]
    named = [one.place for one in (given[place] for place in best) if one.name and one.place is not None]
    wanted = {(chat, number + step) for chat, number in named for step in steps}
    return sorted(place for place in wanted - there if place[1] >= 0)


def content(text: str) -> float:
    """Return how much a text says, from 0 to 1: how many bytes of it are no question, up to `FULL`.

    Bytes, since they are about equally many for the same in scripts with long and with short words.
    """
    said = text[: 20 * FULL]
    if any(mark in said for mark in _ASKING):
        said = "".join(part for part in _SENTENCES.split(said) if not part.endswith(_ASKING))
    return min(1.0, len(said.strip().encode(errors="replace")) / FULL)


def _each_once(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Return candidates in order of their ids; of several of one id, one that is a hit."""
    known: dict[str, Candidate] = {}
    for one in candidates:
        if one.id not in known or known[one.id].dense is None:
            known[one.id] = one
    return [known[name] for name in sorted(known)]


def _parts(question: Question, given: Sequence[Candidate], weights: Weights) -> list[dict[str, float]]:
    """Return what each candidate gets for itself; a meaning that is unknown counts as average."""
    hits = [one for one in given if one.dense is not None]
    dense = _Scale.of([one.dense or 0.0 for one in hits])
    words = _Scale.of([one.words for one in hits])
    share = share_of_cues(len(hits))
    parts: list[dict[str, float]] = []
    for one in given:
        why = {
            "meaning": 0.0 if one.dense is None else weights.dense * dense.standardised(one.dense),
            "words": weights.words * words.standardised(one.words),
        }
        if one.role is not None:
            why["empty"] = share * weights.empty * (one.content - 1)
        if one.mentioned:
            why["mention"] = share * weights.mention
        if _is_asked_for(question, one):
            why["speaker"] = share * weights.speaker
        if question.dates and _was_said_then(question, one):
            why["date"] = share * weights.date
        parts.append(why)
    return parts


def share_of_cues(hits: int) -> float:
    """Return how much of a cue counts: of n hits, none can be more than sqrt(n - 1) deviations above their mean."""
    return min(1.0, sqrt(max(0, hits - 1) / (MANY - 1)))


def _talks(given: Sequence[Candidate]) -> set[str]:
    """Return the chats in which people talk to each other: where names of two at least are known."""
    names: dict[str, set[str]] = {}
    for one in given:
        if one.place is not None and one.name:
            names.setdefault(one.place[0], set()).add(one.name)
    return {chat for chat, speakers in names.items() if len(speakers) > 1}


def _add_nearby(given: Sequence[Candidate], parts: Sequence[dict[str, float]], weights: Weights) -> None:
    """Add what turns get from those around them, where people talk to each other: an answer follows its question."""
    talks = _talks(given)
    own = {
        one.place: why["meaning"] + why["words"]
        for one, why in zip(given, parts, strict=True)
        if one.place is not None and one.place[0] in talks
    }
    steps = [(-away, share) for away, share in enumerate(weights.before, 1)]
    steps += list(enumerate(weights.after, 1))
    for one, why in zip(given, parts, strict=True):
        if one.place in own:
            chat, number = one.place
            around = [share * own.get((chat, number + step), 0.0) for step, share in steps]
            why["nearby"] = sum(around)


def _is_asked_for(question: Question, one: Candidate) -> bool:
    if one.name:
        return one.name.casefold() in question.speakers
    return question.asker and one.role == "user"


def _was_said_then(question: Question, one: Candidate) -> bool:
    day = one.said_at.toordinal()
    return any(
        span.first.toordinal() - (span.first == span.last) <= day <= span.last.toordinal() + (span.first == span.last)
        for span in question.dates
    )


def _add_read(
    question: Question, given: Sequence[Candidate], parts: Sequence[dict[str, float]], weights: Weights
) -> None:
    """Add what only the text tells, for those that stand best so far: days it names, counted from when it was said."""
    if not (question.dates or question.when):
        return
    share = share_of_cues(sum(one.dense is not None for one in given))
    for place in nlargest(READ, range(len(given)), key=lambda place: sum(parts[place].values())):
        one, why = given[place], parts[place]
        named = dates(one.text, one.said_at)
        if "date" not in why and any(span.meets(asked) for span in named for asked in question.dates):
            why["date"] = share * weights.date
        if question.when and named:
            why["time"] = share * weights.time


@dataclass(frozen=True, slots=True)
class _Scale:
    mean: float
    deviation: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "_Scale":
        if not values:
            return cls(0.0, 0.0)
        mean = fsum(values) / len(values)
        return cls(mean, sqrt(fsum((value - mean) ** 2 for value in values) / len(values)))

    def standardised(self, value: float) -> float:
        """Return how many standard deviations a value is above the mean; 0 where values do not differ."""
        return (value - self.mean) / self.deviation if self.deviation > 1e-12 else 0.0
