"""Days that a text names, absolute ("7 May 2023") or counted from when it was said ("last Friday"); English and ISO.

What could be many things is passed over: "may" and "march" in small letters, a number that might be a year, 5/7/2023.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta
from itertools import islice
from typing import NamedTuple

LOOKED_AT = 4000
"""Characters of a text that are looked at."""
MOST_SPANS = 16

_MONTHS: Sequence[str] = "january february march april may june july august september october november december".split()
_DAYS: Sequence[str] = "monday tuesday wednesday thursday friday saturday sunday".split()
_COUNTS = {
    word: number
    for number, words in enumerate(
        "a an one|two couple|three few|four|five|six|seven|eight|nine|ten|eleven|twelve".split("|"), 1
    )
    for word in words.split()
}
_NUMBER = {**{name: number for number, name in enumerate(_MONTHS, 1)}, **{n[:3]: i for i, n in enumerate(_MONTHS, 1)}}
_NUMBER["sept"] = 9
_MONTH = rf"(?:{'|'.join(_MONTHS)}|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\b\.?"
_DAY = r"(?:3[01]|[12][0-9]|0?[1-9])(?:st|nd|rd|th)?"
_YEAR = r"(?:19|20)[0-9]{2}"
_COUNT = rf"(?:[0-9]{{1,3}}|(?:a\s+)?(?:couple|few)(?:\s+of)?|{'|'.join(_COUNTS)})"
_UNIT = r"(?:day|night|week|month|year)"
_NAMED = rf"(?:{'|'.join(_DAYS)}|week\s?end|week|month|year|night|{'|'.join(_MONTHS)})"
_BEFORE_A_MONTH = r"(?:in|of|since|until|till|by|during|early|mid|late|from|around|before|after|between|and)"
_BEFORE_A_YEAR = r"(?:in|of|since|until|till|by|during|from|around|before|after|year|back\s+to)"

_AFTER_A_WORD_OF_TIME = re.compile(rf"\b{_BEFORE_A_MONTH}\s+\Z", re.IGNORECASE)
_PATTERN = re.compile(
    rf"""(?<![\w/.-])(?:
      (?P<iso>{_YEAR}-(?:1[0-2]|0[1-9])(?:-(?:3[01]|[12][0-9]|0[1-9]))?)(?![\w/-])
    | (?P<day>{_DAY})\s+(?:of\s+)?(?P<month>{_MONTH})(?:,?\s+(?P<year>{_YEAR}))?(?!\w)
    | (?P<month2>{_MONTH})\s+(?P<day2>{_DAY})(?!\w)(?:,?\s+(?P<year2>{_YEAR})(?!\w))?
    | (?P<month3>{_MONTH}),?\s+(?:of\s+)?(?P<year3>{_YEAR})(?!\w)
    | (?P<month4>{_MONTH})(?!\w)
    | {_BEFORE_A_YEAR}\s+(?P<year4>{_YEAR})(?![\w-])
    | (?P<near>the\s+day\s+before\s+yesterday|the\s+day\s+after\s+tomorrow|yesterday|today|tonight|tomorrow)(?!\w)
    | (?P<which>last|past|previous|next|coming|this)\s+(?P<named>{_NAMED})(?!\w)
    | (?P<ago>{_COUNT})\s+(?P<unit>{_UNIT})s?\s+ago(?!\w)
    | in\s+(?P<ahead>{_COUNT})\s+(?P<unit2>{_UNIT})s?(?!\w)
    | on\s+(?P<weekday>{"|".join(_DAYS)})(?!\w)
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_WORD = re.compile(r"[^\W\d_]+|[0-9]+")
_SHORT_MONTHS = "jan feb mar apr jun jul aug sep sept oct nov dec".split()
_UNITS = "day days night week weeks weekend month months year years".split()
_NEAR_DAYS = "yesterday today tonight tomorrow".split()
_TELLING = frozenset([*_MONTHS, *_SHORT_MONTHS, *_DAYS, *_UNITS, *_NEAR_DAYS])
"""Of these one must be there, or a year: all else is not looked at any closer."""
_LEADING = """the last past previous next coming this in on of since until till by during early mid late from around
    before after between and year back""".split()
_OPENING = frozenset([*_MONTHS, *_SHORT_MONTHS, *_NEAR_DAYS, *_COUNTS, *_LEADING])
_NEAR = {"yesterday": -1, "today": 0, "tonight": 0, "tomorrow": 1}
_LATER = ("next", "coming")


class Span(NamedTuple):
    """Days that follow each other, both ends among them."""

    first: date
    last: date

    def meets(self, other: "Span", slack: int = 0) -> bool:
        """Tell whether both have a day in common, or are at most `slack` days apart."""
        apart = max((self.first - other.last).days, (other.first - self.last).days)
        return apart <= slack


def dates(text: str, moment: datetime | date, *, years: int = 1) -> tuple[Span, ...]:
    """Return the spans of days that a text names, in the order in which it does, each once; at most `MOST_SPANS`.

    `moment` is when it was said: "in June" is the last June that had begun by then, "on Friday" the last Friday. With
    `years`, a month without a year is that of each of so many years, the last first. A date that is none (30
    February), and one outside the years 1 to 9999, is passed over.
    """
    looked_at = text[:LOOKED_AT]
    words = _WORD.findall(looked_at.lower())
    if _TELLING.isdisjoint(words) and not any(len(word) == 4 and word.isdecimal() for word in words):
        return ()
    today = moment.date() if isinstance(moment, datetime) else moment
    return tuple(islice(dict.fromkeys(_spans(looked_at, today, years)), MOST_SPANS))


def _spans(text: str, today: date, years: int) -> Iterator[Span]:
    for match in _matches(text):
        read = _READERS[match.lastgroup or ""]
        for back in range(years if match.lastgroup in _WITHOUT_A_YEAR else 1):
            try:
                found = read(
                    match, today if not back else today.replace(year=today.year - back, day=min(today.day, 28))
                )
            except (ValueError, OverflowError):
                continue
            if found is not None:
                yield found


def _matches(text: str) -> Iterator[re.Match[str]]:
    """Try the pattern only where a word can begin it, which is many times faster than at each letter."""
    end = 0
    for word in _WORD.finditer(text):
        if word.start() >= end and (word[0][0].isdecimal() or word[0].lower() in _OPENING):
            match = _PATTERN.match(text, word.start())
            if match:
                yield match
                end = match.end()


def _iso(match: re.Match[str], _: date) -> Span | None:
    year, month, *day = map(int, match["iso"].split("-"))
    return _day(date(year, month, *day)) if day else _month(year, month)


def _dated(match: re.Match[str], today: date) -> Span | None:
    """Read a day of a month, with or without its year."""
    name, day = match["month"] or match["month2"], match["day"] or match["day2"]
    year = match["year"] or match["year2"]
    month = _number(name, sure=bool(year))
    if month is None:
        return None
    number = int(re.sub(r"\D", "", day))
    return _day(date(int(year), month, number) if year else _latest(today, month, number))


def _month_of(match: re.Match[str], today: date) -> Span | None:
    """Read a month with its year, or behind a word such as "in"."""
    month = _number(match["month3"] or match["month4"], sure=bool(match["year3"]))
    before = match.string[max(0, match.start() - 12) : match.start()]
    if month is None or not (match["year3"] or _AFTER_A_WORD_OF_TIME.search(before)):
        return None
    return _month(int(match["year3"] or _latest(today, month, 1).year), month)


def _year(match: re.Match[str], _: date) -> Span:
    return _whole(int(match["year4"]))


def _near(match: re.Match[str], today: date) -> Span:
    words = " ".join(match["near"].casefold().split())
    offset = _NEAR.get(words) if words in _NEAR else 2 if words.endswith("tomorrow") else -2
    return _day(today + timedelta(days=offset or 0))


def _counted(match: re.Match[str], today: date) -> Span:
    """Read "two weeks ago" and "in three days": as exact as its unit is."""
    back = match["ago"] is not None
    count = _count(match["ago"] or match["ahead"]) * (-1 if back else 1)
    unit = (match["unit"] or match["unit2"]).casefold()
    vague = 1 if re.search(r"few|couple", match[0], re.IGNORECASE) else 0
    if unit in ("day", "night"):
        there = today + timedelta(days=count)
        return Span(there - timedelta(days=vague), there + timedelta(days=vague))
    if unit == "week":
        there = today + timedelta(weeks=count)
        return Span(there - timedelta(days=3 + 4 * vague), there + timedelta(days=3 + 4 * vague))
    if unit == "month":
        return Span(_shifted(today, count - vague).first, _shifted(today, count + vague).last)
    return Span(_whole(today.year + count - vague).first, _whole(today.year + count + vague).last)


def _next_to(match: re.Match[str], today: date) -> Span | None:
    """Read "last Friday", "next week", "this month"."""
    which, named = match["which"].casefold(), re.sub(r"\s", "", match["named"].casefold())
    step = 1 if which in _LATER else 0 if which == "this" else -1
    monday = today - timedelta(days=today.weekday())
    if named in _DAYS:
        return _day(_weekday(today, _DAYS.index(named), step))
    if named in _MONTHS:
        return _named_month(today, _MONTHS.index(named) + 1, step)
    if named == "night":
        return _day(today + timedelta(days=step))
    if named == "week":
        first = monday + timedelta(weeks=step)
        return Span(first, first + timedelta(days=6))
    if named == "weekend":
        saturday = monday + timedelta(days=5, weeks=step)
        return Span(saturday - timedelta(days=1), saturday + timedelta(days=1))
    return _shifted(today, step) if named == "month" else _whole(today.year + step)


def _on_weekday(match: re.Match[str], today: date) -> Span:
    return _day(_weekday(today, _DAYS.index(match["weekday"].casefold()), -1))


_WITHOUT_A_YEAR = ("month", "day2", "month4")
_READERS: dict[str, Callable[[re.Match[str], date], Span | None]] = {
    "iso": _iso, "month": _dated, "year": _dated, "day2": _dated, "year2": _dated,
    "year3": _month_of, "month4": _month_of, "year4": _year, "near": _near, "named": _next_to,
    "unit": _counted, "unit2": _counted, "weekday": _on_weekday,
}  # fmt: skip
"""By the last part that matched."""


def _number(name: str, *, sure: bool = True) -> int | None:
    """Return a month's number, or None for a word in small letters that may be another one."""
    if not sure and name in ("may", "march", "mar"):
        return None
    return _NUMBER[name.casefold().rstrip(".")]


def _count(words: str) -> int:
    last = [word for word in words.casefold().split() if word != "of"][-1]
    return int(last) if last.isdecimal() else _COUNTS[last]


def _latest(today: date, month: int, day: int) -> date:
    """Return the day of a month in the last year in which it was not to come."""
    return date(today.year - ((month, day) > (today.month, today.day)), month, day)


def _weekday(today: date, weekday: int, step: int) -> date:
    """Return the one before today (-1), of this week (0), or after today (1)."""
    if step == 0:
        return today + timedelta(days=weekday - today.weekday())
    away = (today.weekday() - weekday) % 7 if step < 0 else (weekday - today.weekday()) % 7
    return today + timedelta(days=step * (away or 7))


def _named_month(today: date, month: int, step: int) -> Span:
    if step == 0:
        return _month(today.year, month)
    passed = month < today.month if step < 0 else month <= today.month
    return _month(today.year + (0 if passed else -1) if step < 0 else today.year + (1 if passed else 0), month)


def _day(there: date) -> Span:
    return Span(there, there)


def _month(year: int, month: int) -> Span:
    after = date(year + month // 12, month % 12 + 1, 1)
    return Span(date(year, month, 1), after - timedelta(days=1))


def _shifted(today: date, months: int) -> Span:
    year, month = divmod(today.year * 12 + today.month - 1 + months, 12)
    return _month(year, month + 1)


def _whole(year: int) -> Span:
    return Span(date(year, 1, 1), date(year, 12, 31))
