"""What kglite says differently from Neo4j, and how one text serves both.

kglite answers some property names itself (`n.name` of a node without a name is its title) and keeps others for its
bookkeeping, so a user's properties of those names are stored under a prefix and come back without it. It knows no
block comments, no quoted parameter names, no letters beyond ASCII outside backticks, and no
`CREATE (n:Label $properties)`.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from perdure.cypher import Token, quote, tokens

PREFIX = "__"
TAKEN = frozenset("title name type label node_type updated_at modified_by git_sha start end properties nodes".split())
"""Names that kglite 0.21 answers by itself, keeps for itself, or describes a node, relationship or path with."""

_NODE = {"id", "labels", "properties"}
_RELATIONSHIP = {"id", "start", "end", "type", "properties"}
_PATH = {"nodes", "relationships"}
_ENCODED_NAME = re.compile(rf"(?<!\w){PREFIX}(?=\w)")
_QUOTED_WORD = re.compile(r"`(\w*[^\W\x00-\x7f]\w*)`")
_CREATE_WITH_MAP = re.compile(
    r"^(?P<create>\s*CREATE\s*\(\s*(?P<variable>\w+|`[^`]+`)?\s*(?P<labels>(?::\s*(?:\w+|`[^`]+`)\s*)*))"
    r"(?P<map>\$\w+)\s*\)(?P<rest>\s*(?:RETURN\b.*|WITH\b.*|SET\b.*)?)$",
    re.IGNORECASE | re.DOTALL,
)


class Translated(NamedTuple):
    """A statement as kglite takes it, and where parameters with quoted names went."""

    text: str
    renamed: Mapping[str, str]


def encode_name(name: str) -> str:
    """Return the name a property is stored under."""
    return PREFIX + name if name in TAKEN or name.startswith(PREFIX) else name


def decode_name(name: str) -> str:
    """Return the name a property was given."""
    return name.removeprefix(PREFIX)


@lru_cache(maxsize=1024)
def translate(text: str) -> Translated:
    """Return a statement in kglite's dialect."""
    pieces = [Token("space", " ") if piece.kind == "comment" else piece for piece in tokens(text)]
    meaningful = [index for index, piece in enumerate(pieces) if piece.kind != "space"]
    renamed: dict[str, str] = {}
    out = [piece.text for piece in pieces]
    braces: list[str] = []
    for place, index in enumerate(meaningful):
        piece = pieces[index]
        before = pieces[meaningful[place - 1]].text if place else ""
        after = pieces[meaningful[place + 1]].text if place + 1 < len(meaningful) else ""
        _track(braces, piece)
        if piece.kind == "parameter" and (piece.text.startswith("$`") or not piece.text.isascii()):
            out[index] = "$" + renamed.setdefault(piece.name, f"quoted_{len(renamed)}")
        elif _is_property(piece, before, after, braces):
            out[index] = _encoded(piece)
        elif piece.kind == "word" and not piece.text.isascii():
            out[index] = quote(piece.text)
    return Translated(_spread_map("".join(out)), renamed)


def _track(braces: list[str], piece: Token) -> None:
    if piece.kind != "symbol":
        return
    if piece.text in "([{":
        braces.append(piece.text)
    elif piece.text in ")]}" and braces:
        braces.pop()


def _is_property(piece: Token, before: str, after: str, braces: list[str]) -> bool:
    if piece.kind == "string":
        return before == "[" and after == "]" and encode_name(piece.text[1:-1]) != piece.text[1:-1]
    if piece.kind not in ("word", "quoted") or encode_name(piece.name) == piece.name:
        return False
    in_map = bool(braces) and braces[-1] == "{" and before in ("{", ",") and after == ":"
    return in_map or (before == "." and after != "(")


def _encoded(piece: Token) -> str:
    if piece.kind == "string":
        return f"{piece.text[0]}{PREFIX}{piece.text[1:]}"
    name = encode_name(piece.name)
    return quote(name) if piece.kind == "quoted" or not name.isascii() else name


def _spread_map(text: str) -> str:
    """Turn `CREATE (n:Label $map) …` into `CREATE (n:Label) SET n = $map …`."""
    match = _CREATE_WITH_MAP.match(text)
    if match is None:
        return text
    variable = match["variable"] or "created"
    return f"CREATE ({variable} {match['labels']}) SET {variable} = {match['map']} {match['rest']}"


def encode(parameters: Mapping[str, Any], renamed: Mapping[str, str]) -> dict[str, Any]:
    """Return parameters as kglite takes them: property names inside maps encoded."""
    return {renamed.get(name, name): _encode_value(value) for name, value in parameters.items()}


def _encode_value(value: Any) -> Any:
    if isinstance(value, dict):
        return {encode_name(key): _encode_value(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if isinstance(value, list):
        return [_encode_value(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
    return value


def decode_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a result row with the names its statement used."""
    return {_column(name): decode(value) for name, value in row.items()}


def _column(name: str) -> str:
    """Return a column's name: an alias as it is, an expression with the names its statement used."""
    return name if name.replace("_", "").isalnum() else _QUOTED_WORD.sub(r"\1", _ENCODED_NAME.sub("", name))


def decode(value: Any) -> Any:
    """Return a result value without what kglite adds to it; a node or relationship is the map of its properties."""
    if isinstance(value, list):
        return [decode(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
    if not isinstance(value, dict):
        return value
    keys = value.keys()  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    if keys in (_NODE, _RELATIONSHIP):
        return decode(value["properties"])
    if keys == _PATH:
        return {"nodes": decode(value["nodes"]), "relationships": decode(value["relationships"])}
    return {decode_name(key): decode(item) for key, item in value.items() if key not in TAKEN}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
