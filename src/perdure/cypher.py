"""Just enough of Cypher's surface to know what stands outside strings and comments.

A statement's grammar is the database's business. What Perdure needs before it sends one is: which parameters it
names, whether it plainly writes, and where words and parameters stand so that a store may rewrite them.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from perdure.errors import InputError, shorten
from perdure.values import check_text, snapshot

Kind = Literal["space", "comment", "string", "quoted", "parameter", "word", "number", "symbol"]

_TOKEN = re.compile(
    r"""
      (?P<space>\s+)
    | (?P<comment>//[^\n]*|/\*.*?\*/)
    | (?P<string>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    | (?P<quoted>`(?:[^`]|``)*`)
    | (?P<parameter>\$(?:`(?:[^`]|``)+`|\w+))
    | (?P<word>[^\W\d]\w*)
    | (?P<number>\d+(?:\.\d+)?\w*)
    | (?P<symbol>\.\.|\+=|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_OPENERS = {"'": "string", '"': "string", "`": "name in backticks", "/*": "comment"}
_LONGEST_CACHED = 16_384


class Token(NamedTuple):
    """A piece of a statement; pieces joined give the statement back."""

    kind: Kind
    text: str

    @property
    def name(self) -> str:
        """The identifier this token stands for: unquoted, and without the `$` of a parameter."""
        text = self.text.removeprefix("$") if self.kind == "parameter" else self.text
        return text[1:-1].replace("``", "`") if text.startswith("`") else text


class Statement(NamedTuple):
    """A statement's text and the parameters it names."""

    text: str
    parameters: frozenset[str]


def parse(text: object) -> Statement:
    """Return what must be known of a statement before it is accepted, without the semicolon at its end.

    Raises InputError when it is not text, is empty, is more than one, or ends inside a string, comment or quoted name.
    """
    if not isinstance(text, str):
        raise InputError(f"statement should be Cypher text, not {type(text).__name__}.")
    return _parse_cached(text) if len(text) <= _LONGEST_CACHED else _parse(text)


def bind(statement: object, parameters: Mapping[str, Any] | None) -> tuple[str, dict[str, Any], int]:
    """Return a statement's text, a snapshot of its parameters, and the size of both in bytes.

    Raises InputError for what `parse` and `values.snapshot` refuse, and for a parameter that is named but not given.
    """
    text, wanted = parse(statement)
    copy, size = snapshot(parameters)
    if not wanted <= copy.keys():
        missing = ", ".join(f"${name}" for name in sorted(wanted - copy.keys()))
        raise InputError(f"The statement names {missing}, which parameters does not have: {shorten(text)!r}.")
    return text, copy, size + len(text)


def _parse(text: str) -> Statement:
    pieces = tokens(text)
    said = [index for index, piece in enumerate(pieces) if piece.kind not in ("space", "comment")]
    ends = [index for index in said if pieces[index].text == ";"]
    if len(said) == len(ends):
        raise InputError("statement is empty.", hint="Pass Cypher such as 'MERGE (n:Note {id: $id})'.")
    if ends[:1] not in ([], said[-1:]):
        raise InputError("statement holds more than one statement.", hint="Submit them one by one.")
    check_text(text, "statement")
    text = "".join(piece.text for index, piece in enumerate(pieces) if index not in ends)
    return Statement(text, frozenset(piece.name for piece in pieces if piece.kind == "parameter"))


_parse_cached = lru_cache(maxsize=1024)(_parse)


def tokens(text: str) -> list[Token]:
    """Cut a statement into tokens; raise InputError where a string, comment or quoted name never ends."""
    pieces: list[Token] = []
    for match in _TOKEN.finditer(text):
        kind: Kind = match.lastgroup  # pyright: ignore[reportAssignmentType]
        piece = match.group()
        if kind == "symbol":
            opener = "/*" if text.startswith("/*", match.start()) else piece
            if opener in _OPENERS:
                raise InputError(
                    f"statement has a {_OPENERS[opener]} that never ends: {shorten(text[match.start() :], 40)!r}."
                )
        pieces.append(Token(kind, piece))
    return pieces


def rewrite_parameters(text: str, replace: Callable[[str], str]) -> str:
    """Return the statement with each parameter replaced by what `replace` makes of its name."""
    return "".join(replace(piece.name) if piece.kind == "parameter" else piece.text for piece in tokens(text))


def quote(name: str) -> str:
    """Return a name in backticks, safe to stand in a statement."""
    return f"`{name.replace('`', '``')}`"


_SCHEMA_OBJECTS = frozenset(
    "INDEX CONSTRAINT OR RANGE TEXT POINT VECTOR FULLTEXT LOOKUP DATABASE COMPOSITE USER ROLE ALIAS".split()
)
_AFTER_A_NAME = frozenset(
    "AND AS ASC ASCENDING CALL CONTAINS CREATE DESC DESCENDING ELSE END ENDS IN IS LIMIT MATCH MERGE OFFSET OPTIONAL "
    "OR ORDER RETURN SKIP STARTS THEN UNION UNWIND WHEN WHERE WITH XOR".split()
)
_BEFORE_A_NAME = frozenset([".", ":", "|", "&", "AS"])


def write_clause(text: str) -> str | None:
    """Return the first clause that plainly writes, or None; the store remains the judge of the rest.

    It errs on the side of None: names such as `n.set` or `:Create` are not taken for clauses.
    """
    pieces = [piece for piece in tokens(text) if piece.kind not in ("space", "comment")]
    for index, piece in enumerate(pieces):
        if piece.kind == "word" and (index == 0 or pieces[index - 1].text.upper() not in _BEFORE_A_NAME):
            word, first, second = (pieces[i].text.upper() if i < len(pieces) else "" for i in range(index, index + 3))
            named = index + 1 < len(pieces) and pieces[index + 1].kind in ("word", "quoted")
            if _writes(word, first, second, named=named and first not in _AFTER_A_NAME):
                return word
    return None


def _writes(word: str, first: str, second: str, *, named: bool) -> bool:
    """Return whether `word` opens a writing clause, by the two tokens after it; `named`: the first is a name."""
    makes = first == "(" or (named and second == "=")
    changes = named and second in (".", "=", ":", "+=", "[", "IS")
    return {
        "CREATE": makes or first in _SCHEMA_OBJECTS,
        "MERGE": makes,
        "INSERT": makes,
        "SET": changes or first == "(",
        "REMOVE": changes,
        "DELETE": named,
        "DROP": first in _SCHEMA_OBJECTS,
        "FOREACH": first == "(",
    }.get(word, False)
