"""What somebody plainly says of themselves that has one answer at a time, found by rules: where they live, and so on.

A later answer lets the earlier one expire, so the rules would rather find nothing than too much. A text has a slot
only where all of it is one such statement, in the present, with nothing else that would expire with it; greetings and
questions beside it do no harm. A denial, a wish, a plan or a memory of how it was has none, because no pattern has
room for its words.
"""

import re
from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

LONGEST = 400
"""Characters of a text that is looked at at all: what is longer says more than one thing."""


class Slot(NamedTuple):
    """What is answered, and the answer in small letters."""

    attribute: str
    value: str


class Pattern:
    """How something is said. The group `value` is the answer; `{what}` in the attribute stands for the group `what`.

    `tidy` makes a value comparable, however it was said. The expressions for names take long to compile, so that is
    done when first a sentence comes that says as much of anything.
    """

    def __init__(self, attribute: str, said: str, tidy: Callable[[str], str] = str) -> None:
        self.attribute = attribute
        self.tidy = tidy
        self._said = said
        self._of_anything = re.compile(said.replace(_PLACES, ".+").replace(_WORDS, ".+"), re.IGNORECASE)

    @cached_property
    def _exact(self) -> re.Pattern[str]:
        return re.compile(self._said, re.IGNORECASE)

    def match(self, sentence: str) -> re.Match[str] | None:
        """Return what says it, if the whole sentence does."""
        return self._exact.fullmatch(sentence) if self._of_anything.fullmatch(sentence) else None


def _day(text: str) -> str:
    """Return a day without what it can be said with or without: "the 3rd of May" is "3 may"."""
    return re.sub(r"(?<=\d)(?:st|nd|rd|th)\b|\b(?:the|of)\b|,", " ", text)


def _number(text: str) -> str:
    return re.sub(r"[^+\d]", "", text)


def _without_spaces(text: str) -> str:
    return text.replace(" ", "")


# -- parts of patterns

_SMALL = "a-z" + "".join(filter(str.islower, map(chr, range(0x80, 0x530))))
_PROPER = rf"(?-i:[^\W_{_SMALL}][\w'&.+-]*)"
"""A word with a capital, or of a script without capitals, or a number."""
_WORDS = rf"(?-i:the )?{_PROPER}(?:(?:-| | & | (?:de|of|da|do|du|del|van|von|der|the|la) ){_PROPER}){{0,4}}"
_PLACES = rf"{_WORDS}(?:, {_WORDS}){{0,2}}"
_NAME, _PLACE = rf"(?P<value>{_WORDS})", rf"(?P<value>{_PLACES})"
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_ORDINAL = r"(?:the )?\d{1,2}(?:st|nd|rd|th)?"
_DAY = (
    rf"(?P<value>{_ORDINAL}(?: of)? {_MONTH}(?:,? \d{{4}})?|{_MONTH} {_ORDINAL}(?:,? \d{{4}})?"
    r"|\d{4}-\d\d-\d\d|\d{1,2}[/.]\d{1,2}(?:[/.]\d{2,4})?)"
)
_NO_ANSWER = (
    r"not|no|none|never|nothing|probably|maybe|perhaps|still|either|between|hard|unknown|different|changing|going|about"
    r"|when|what|how|that|because|you|here|there|this|it|one|any|all|always|definitely"
)
_GOES_ON = r"and|but|or|because|since|when|if|although|though|unless|with|until|which|who|not|than|now"
_WORD = r"[^\s,;:()]+"
_THING = rf"(?P<value>(?!(?:{_NO_ANSWER})\b){_WORD}(?: (?!(?:{_GOES_ON})\b){_WORD}){{0,7}})"
_JOB = r"(?P<value>[\w-]+(?: (?!(?:and|at|for|in|with|or|now|currently|but)\b)[\w-]+){0,3})"
_STATUS = rf"(?P<value>single|married|engaged|divorced|widowed|separated|in a relationship)(?: to {_WORDS})?"
_TELEPHONE = r"(?:(?:phone|mobile|cell|telephone)(?: number)?)"
_DIGITS = r"(?P<value>\+?\(?\d[\d ()./-]{5,20}\d)"
_PRONOUNS = r"(?P<value>[a-z]{2,5}(?: ?/ ?[a-z]{2,6}){1,3})"
_I_AM, _I_HAVE, _NOW = r"(?:i'm|i am|im|we're|we are)", r"(?:i|we)(?:'ve| have)?", r"(?: now| currently)?"
_JUST = r"(?: just| recently| finally| now)?"
_AT_PRESENT = r"(?: now| currently| at the moment| at present| these days| nowadays)?"
_SPAN = r"(?:week|weekend|month|year|spring|summer|autumn|fall|winter)"
_LATELY = (
    rf"(?:,? (?:now|today|yesterday|recently|again|for good|this {_SPAN}|last (?:night|{_SPAN}|\w+day)|on \w+day"
    r"|(?:a|an|one|two|three|four|five|six|\d+|a few|a couple of|some) (?:day|week|month)s? ago))?"
)

_ENGLISH = (
    Pattern("lives in", rf"(?:i|we){_NOW} live in {_PLACE}{_AT_PRESENT}"),
    Pattern("lives in", rf"{_I_AM}{_NOW} (?:living|based) in {_PLACE}{_AT_PRESENT}"),
    Pattern("lives in", rf"{_I_HAVE}{_JUST} (?:moved|relocated)(?: back)?(?: from {_PLACES})? to {_PLACE}{_LATELY}"),
    Pattern("address", rf"my(?: new| home| current| postal)* address is{_NOW} (?P<value>[^\s;:()][^;:()]{{3,120}})"),
    Pattern("works at", rf"i{_NOW} work (?:at|for) {_NAME}{_AT_PRESENT}"),
    Pattern("works at", rf"{_I_AM}{_NOW} (?:working (?:at|for)|employed (?:at|by)) {_NAME}{_AT_PRESENT}"),
    Pattern("works at", rf"{_I_HAVE}{_JUST} started(?: working| (?:a|my) new job) (?:at|for|with) {_NAME}{_LATELY}"),
    Pattern("works as", rf"i{_NOW} work as an? {_JOB}{_AT_PRESENT}"),
    Pattern("name", rf"my (?:full |real |new )?name(?:'s| is){_NOW} {_NAME}"),
    Pattern("name", rf"{_I_AM} called {_NAME}"),
    Pattern("goes by", rf"(?:please |just |you can |you may |people )?call me {_NAME}(?:,? please)?"),
    Pattern("goes by", rf"(?:i go by|i prefer to be called) {_NAME}"),
    Pattern(
        "favourite {what}",
        r"my(?: new| current| all-time| absolute)? favou?rite (?P<what>(?!(?:one|part|thing|bit|moment)\b)[\w'-]+"
        rf"(?: (?!is\b|are\b)[\w'-]+){{0,2}}) is{_NOW} (?:the )?{_THING}",
    ),
    Pattern("marital status", rf"i(?:'m| am)(?: now| newly| recently| happily| currently)? {_STATUS}{_AT_PRESENT}"),
    Pattern("marital status", rf"{_I_HAVE}{_JUST} (?:got|gotten) {_STATUS}{_LATELY}"),
    Pattern("birthday", rf"my birthday(?:'s| is)(?: on)? {_DAY}", _day),
    Pattern("birthday", rf"i was born on {_DAY}", _day),
    Pattern("age", rf"i(?:'m| am){_NOW} (?P<value>\d{{1,3}}) (?:years? old|years? of age|yo)"),
    Pattern("age", rf"i(?:'m| am){_NOW} (?P<value>[1-9]\d)"),
    Pattern("age", rf"{_I_HAVE}{_JUST} turned (?P<value>\d{{1,3}}){_LATELY}"),
    Pattern(
        "{what}phone number", rf"my(?: new)? (?P<what>work |home |office )?{_TELEPHONE} is{_NOW} {_DIGITS}", _number
    ),
    Pattern("phone number", rf"my(?: new)? number is{_NOW} {_DIGITS}", _number),
    Pattern(
        "{what}e-mail address",
        rf"my(?: new)? (?P<what>work |personal |private |home )?e-?mail(?: address)? is{_NOW} "
        r"(?P<value>[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+)",
    ),
    Pattern("pronouns", rf"my pronouns are{_NOW} {_PRONOUNS}", _without_spaces),
    Pattern("pronouns", rf"i use(?: the pronouns)? {_PRONOUNS}(?: pronouns)?", _without_spaces),
    Pattern("time zone", rf"my time ?zone is{_NOW} (?P<value>[\w/+-]{{2,40}})"),
)
_FRENCH = (
    Pattern("lives in", rf"(?:j'habite|je vis)(?: maintenant)? (?:à|au|en) {_PLACE}"),
    Pattern("lives in", rf"(?:j'ai déménagé|je viens de déménager) (?:à|au|en) {_PLACE}"),
    Pattern("name", rf"(?:je m'appelle|mon nom est) {_NAME}"),
)
_GERMAN = (  # where every noun has a capital, "ich lebe in …" says nothing about where
    Pattern("lives in", rf"(?:ich bin|wir sind) nach (?!Hause\b){_PLACE} (?:um)?gezogen"),
    Pattern("name", rf"(?:ich heiße|mein name ist) {_NAME}"),
)
_ITALIAN = (
    Pattern("lives in", rf"(?:io )?(?:adesso |ora )?(?:abito|vivo) a {_PLACE}"),
    Pattern("lives in", rf"mi sono (?:appena )?trasferit[oa] a {_PLACE}"),
    Pattern("name", rf"(?:mi chiamo|il mio nome è) {_NAME}"),
)
_PORTUGUESE = (
    Pattern("lives in", rf"(?:eu )?(?:agora )?(?:moro|vivo) (?:em|no|na|nos|nas) {_PLACE}(?: agora)?"),
    Pattern("lives in", rf"(?:eu )?(?:mudei-me|me mudei|mudei) para (?:o |a )?{_PLACE}"),
    Pattern("name", rf"(?:chamo-me|(?:eu )?me chamo|(?:o )?meu nome é) {_NAME}"),
)
_SPANISH = (
    Pattern("lives in", rf"(?:yo )?(?:ahora )?vivo en {_PLACE}(?: ahora)?"),
    Pattern("lives in", rf"(?:yo )?me (?:he mudado|mudé) a {_PLACE}"),
    Pattern("name", rf"(?:me llamo|mi nombre es) {_NAME}"),
)

# -- what may stand around them

_OPENING = re.compile(
    r"(?:(?:(?:hi|hello|hey)(?: there)?|well|so|oh|actually|ok|okay|yes|yeah|no|fyi|btw|by the way|update|and|good news"
    r"|just so you know|for the record|as of (?:today|now)|(?:please )?(?:note|remember)(?: that)?|now|currently"
    rf"|i(?: just)? wanted to (?:say|tell you|let you know)(?: that)?|last {_SPAN})[,:!]? )*",
    re.IGNORECASE,
)
"""What may open a sentence in English; in Spanish, "no" denies it."""
_PLEASANTRY = re.compile(
    r"(?:hi|hello|hey|good (?:morning|afternoon|evening|day)|thanks|thank you|cheers|great|wow|yay|ok|okay|yes|no|well"
    r"|olá|oi|obrigad[oa]|hola|gracias|hallo|danke|bonjour|salut|merci|ciao|grazie"
    r"|nice to (?:meet|see) you|pleased to meet you|please remember (?:that|this|it)|just so you know|how exciting)"
    r"(?: (?:there|all|everyone|everybody|so much|a lot|again|too))*",
    re.IGNORECASE,
)
_NO_NAME = re.compile(
    r"(?:tomorrow|later|back|anytime|today|tonight|maybe|now|when|if|\w+day|crazy|old|i)\b", re.IGNORECASE
)
_ELSEWHERE = (*_FRENCH, *_GERMAN, *_ITALIAN, *_PORTUGUESE, *_SPANISH)
"""Attributes are the same in all languages, so that an answer in one takes the place of one in another."""
_BETWEEN_SENTENCES = re.compile(r"(?<=[.!?…])\s+|\n+")
_QUESTION = re.compile(r"\?[!?\s]*\Z")
_AROUND = re.compile(r"\A[^\w\"'>«“`]+|\W+\Z")
"""What is no word at the ends of a sentence, such as an emoji; a quotation mark in front of it stays."""


def slot_of(text: str) -> Slot | None:
    """Return what a text answers about whoever says it, or None, which it is for most texts."""
    if len(text) > LONGEST:
        return None
    sentences = _BETWEEN_SENTENCES.split(text.replace("\u2019", "'"))
    said = [sentence for sentence in sentences if not _QUESTION.search(sentence)]
    bare = [" ".join(_AROUND.sub("", sentence).split()) for sentence in said]
    telling = [sentence for sentence in bare if sentence and not _PLEASANTRY.fullmatch(sentence)]
    return _said_in(telling[0]) if len(telling) == 1 else None


def _said_in(sentence: str) -> Slot | None:
    opened = _OPENING.sub("", sentence, count=1)
    tried = [*((pattern, opened) for pattern in _ENGLISH), *((pattern, sentence) for pattern in _ELSEWHERE)]
    for pattern, said in tried:
        match = pattern.match(said)
        if match and not _NO_NAME.match(match["value"]):
            what = (match.groupdict().get("what") or "").casefold().replace("color", "colour")
            value = pattern.tidy(match["value"].casefold())
            return Slot(pattern.attribute.format(what=what), " ".join(value.split()))
    return None
