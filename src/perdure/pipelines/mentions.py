"""Names in a text, found by rules: few and sure, rather than many.

What counts: quoted titles, @handles, addresses, acronyms, words with a capital inside, and capitalised words that are
capitalised not only because a sentence begins with them. In a script without capitals there are none of the last.
"""

import re
from collections.abc import Iterable, Iterator
from unicodedata import category

MOST_NAMES = 32
LOOKED_AT = 20_000
"""Characters of a text that are looked at."""
_MOST_WORDS = 6

_TITLES = re.compile(
    r"“([^“”\n]{2,80})”|«([^«»\n]{2,80})»|《([^《》\n]{1,40})》|『([^『』\n]{1,40})』|\"([^\"\n]{2,80})\""
)
_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}")
_URL = re.compile(
    r"(?:https?://(?:www\.)?|\bwww\.)([\w-]{1,63}(?:\.[\w-]{1,63}){1,6})(?::\d+)?[^\s<>\"'”»]*", re.IGNORECASE
)
_HANDLE = re.compile(r"(?<![\w@./])@\w[\w.-]{0,38}\w")
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`", re.DOTALL)
_WORD = re.compile(r"[^\W\d_][\w]*(?:['.&+-][^\W_]+)*\+{0,2}")
_SENTENCE_ENDS = re.compile(r"[.!?…。\uff01\uff1f:;\n\"“”«»()\[\]*#>|•\u2013—]")
_ACRONYM = re.compile(r"[A-Z](?=\w*[A-Z])[A-Z0-9]{1,7}(?:-\d{1,3})?")
_INNER_CAPITAL = re.compile(r"\w*[^\W\d_A-Z]\w*[A-Z]\w*")
_INITIALS = re.compile(r"[^\W\d_](?:\.[^\W\d_])*")
_ADVERB_OR_VERB = re.compile(r"\w+ly|\w{3,}ing")
_POSSESSIVE = re.compile(r"'s?\Z")

_BETWEEN = frozenset("of de da do dos das del di du van von der den ter bin ibn al el la le".split())
"""What may stand, in small letters, between two words of one name."""
_SHORT = frozenset("Mr Mrs Ms Dr Prof St Mt Ft".split())
"""What is written with a full stop that ends no sentence."""
_DAYS = frozenset(
    """monday tuesday wednesday thursday friday saturday sunday mon tue tues wed thu thur thurs fri sat sun""".split()
)
_CALENDAR = _DAYS | frozenset(
    """january february march april may june july august september october november december jan feb mar apr jun jul aug
    sep sept oct nov dec christmas easter thanksgiving halloween""".split()
)
_NEVER = frozenset(
    """i i'm i've i'd i'll ok okay tv lol omg asap fyi btw imo imho am pm id diy faq eta tbd tba ps mr mrs ms dr
    prof""".split()
)
_OPENERS = frozenset(
    """a an the this that these those there here it its it's that's there's here's what's who's let's he she we they
    you he's she's we're they're you're we've they've you've my your his her our their mine and but or so nor for yet
    if when while where why what who whom whose which how because since although though unless until before after
    as at by from in into of off on onto over to under up with without within about above across against along among
    around behind below beside between beyond during except inside near outside past through toward towards upon
    yes yeah yep no nope not never maybe perhaps please thanks thank hi hello hey dear oh ah wow well now then today
    tomorrow yesterday tonight later soon again also too just even still already only once twice first second third
    last next finally meanwhile otherwise however therefore besides instead anyway indeed sure great good nice cool
    awesome sorry congrats congratulations happy can could will would shall should may might must do does did don't
    doesn't didn't is are was were am isn't aren't wasn't weren't have has had haven't hasn't be been being let make
    get got go going come take took give tell ask call send show see look say said think know want need like love
    hope wish feel found find met went saw made bought every each all any some many most both few several other
    another such meet visit read watch try check remember note imagine one two three four five six seven eight nine
    ten more less much very really bye goodbye woah whoa woohoo aww aw haha hmm yay glad anytime cheers welcome
    el los las un una unos unas lo mi mis tu tus su sus yo ella ellos nosotros me se que no sí pero hoy ayer mañana
    o os as um uma eu ele ela nós meu minha seu sua não sim mas hoje ontem amanhã ontem
    le les des une je il elle nous vous ils mon ma mes son sa ses ce cette c'est j'ai oui non mais hier demain
    aujourd'hui der die das den dem ein eine einen ich du er sie es wir ihr mein meine dein sein und aber oder heute
    gestern morgen ja nein nicht il gli uno io lui lei noi ieri oggi domani sì het een ik jij hij zij wij
    mijn""".split()
)
"""Words that begin a sentence, and so have a capital, without being names."""
_ALSO_NAMES = frozenset(["will", "hope"])
_GERMAN = frozenset("ich und der die das nicht ist ein eine mit auf für habe wir auch dass zu den dem".split())
_NO_BEGINNING = _NEVER | _CALENDAR | _BETWEEN | {"the", "a", "an"}
_NO_END = _NEVER | _DAYS | _BETWEEN


def names(text: str, known: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the names in a text, each once ignoring case, in the order of their first mention; at most `MOST_NAMES`.

    `known` are words in case-folded form that are names also where they begin a sentence. Only the first `LOOKED_AT`
    characters are looked at.
    """
    found: dict[str, tuple[int, str]] = {}
    for place, name in sorted(_mentions(_plain(text), frozenset(known))):
        found.setdefault(name.casefold(), (place, name))
    return tuple(name for _, name in found.values())[:MOST_NAMES]


def _plain(text: str) -> str:
    """Return what is looked at: without code, and with one kind of apostrophe."""
    return _CODE.sub("\n", text[:LOOKED_AT].replace("\u2019", "'"))


def _mentions(text: str, known: frozenset[str]) -> Iterator[tuple[int, str]]:
    """Yield names with their places: first those with a form of their own, then words in what is left."""
    for pattern in (_URL, _EMAIL, _HANDLE, _TITLES):
        found = list(pattern.finditer(text))
        for match in found:
            name = next((group for group in match.groups() if group), match[0]).strip()
            if pattern is not _TITLES or _is_title(name):
                yield match.start(), name.rstrip(".,!-")
                text = f"{text[: match.start()]}{'|' * len(match[0])}{text[match.end() :]}"
    yield from _capitalised(text, known)


def _is_title(quoted: str) -> bool:
    """Return whether something in quotation marks is a title and not speech: short, and each long word a capital."""
    words = quoted.split()
    if not words or len(words) > _MOST_WORDS or words[0][0].islower():
        return False
    speech = len(words) == 1 and (quoted[-1] in ".,!?" or words[0].casefold() in _OPENERS | _NEVER)
    return not speech and all(len(word) <= 4 or not word[0].islower() for word in words)


def _capitalised(text: str, known: frozenset[str]) -> Iterator[tuple[int, str]]:
    words = list(_WORD.finditer(text))
    if _shouts(words):
        return
    single = not _is_german(words)
    for run in _runs(text, words):
        name = _trimmed(run, text, known)
        if name and (single or len(name) > 1 or _has_form(name[0][0])):
            yield name[0].start(), _joined(text, name)


def _shouts(words: list[re.Match[str]]) -> bool:
    """Return whether capitals say nothing here: all is in capitals, or nearly each word begins with one."""
    long = [word[0] for word in words if len(word[0]) > 1]
    upper = sum(word.isupper() for word in long)
    initial = sum(word[0][0].isupper() for word in words)
    return (len(long) >= 4 and upper > 0.6 * len(long)) or (len(words) >= 6 and initial > 0.8 * len(words))


def _is_german(words: list[re.Match[str]]) -> bool:
    """Return whether nouns have capitals here: then a single capitalised word is no name."""
    return len({word[0] for word in words} & _GERMAN) >= 2


def _has_form(word: str) -> bool:
    """Return whether a word is written as only names are; one that is shouted is not."""
    if word.islower():
        return False
    return bool((_ACRONYM.fullmatch(word) and word.casefold() not in _OPENERS) or _INNER_CAPITAL.fullmatch(word))


def _runs(text: str, words: list[re.Match[str]]) -> Iterator[list[re.Match[str]]]:
    """Yield capitalised words that follow each other, with nothing between but spaces and a word such as "of"."""
    run: list[re.Match[str]] = []
    between: list[re.Match[str]] = []
    for word in words:
        last = (between or run or [word])[-1]
        gap = text[last.end() : word.start()]
        goes_on = gap == " " or (gap == ". " and (_INITIALS.fullmatch(last[0]) or last[0] in _SHORT))
        if run and (len(run) >= _MOST_WORDS or not goes_on):
            yield run
            run, between = [], []
        if word[0][0].isupper() or _has_form(word[0]):
            run += [*between, word]
            between = []
        elif run and len(between) < 2 and (word[0] in _BETWEEN or (word[0] == "the" and last[0] == "of")):
            between.append(word)
        elif run:
            yield run
            run, between = [], []
    if run:
        yield run


def _trimmed(run: list[re.Match[str]], text: str, known: frozenset[str]) -> list[re.Match[str]]:
    """Return a run without the words at its ends that are no part of a name."""
    if _begins_sentence(text, run[0].start()) and not _may_open(run, known):
        run = run[1:]
        while run and _bare(run[0]) in _OPENERS and not _has_form(run[0][0]):
            run = run[1:]
    while run and _bare(run[0]) in _NO_BEGINNING:
        run = run[1:]
    while run and _bare(run[-1]) in _NO_END:
        run = run[:-1]
    if len(run) == 1 and _bare(run[0]) in _OPENERS - _ALSO_NAMES:
        return []
    shouted = len(run) > 1 and all(word[0].isupper() for word in run)
    return run if run and not shouted and len(_joined(text, run)) > 1 else []


def _may_open(run: list[re.Match[str]], known: frozenset[str]) -> bool:
    """Return whether the word that begins a sentence is a name for more than that."""
    first = _bare(run[0])
    if first in known or _has_form(run[0][0]):
        return True
    followed = len(run) > 1 and run[1][0][0].isupper() and _bare(run[1]) not in _NEVER
    return followed and first not in _OPENERS and not _ADVERB_OR_VERB.fullmatch(first)


def _begins_sentence(text: str, place: int) -> bool:
    before = text[max(0, place - 8) : place].rstrip(" \t'-")
    return not before.strip() or bool(_SENTENCE_ENDS.fullmatch(before[-1])) or category(before[-1]) == "So"


def _bare(word: re.Match[str]) -> str:
    folded = word[0].casefold()
    return folded if folded in _NEVER or folded in _OPENERS else _POSSESSIVE.sub("", folded)


def _joined(text: str, run: list[re.Match[str]]) -> str:
    return _POSSESSIVE.sub("", text[run[0].start() : run[-1].end()])
