"""Loads the Cypher of typed memory: named statements in files, one set for every store.

A file holds statements, each below a line `// -- its_name --` and a comment that says what it does. What is sent is
the statement without its comments, on one line: a journal keeps the text of each write.
"""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from perdure.cypher import tokens

_HEADER = re.compile(r"^// -- (\w+) --$", re.MULTILINE)


@cache
def load(file: str) -> Mapping[str, str]:
    """Return the statements of `cypher/<file>.cypher` by their names."""
    text = (files("perdure.graph") / "cypher" / f"{file}.cypher").read_text(encoding="utf-8")
    parts = _HEADER.split(text)[1:]
    return MappingProxyType({name: _plain(body) for name, body in zip(parts[::2], parts[1::2], strict=True)})


def _plain(body: str) -> str:
    pieces = ("" if piece.kind == "comment" else " " if piece.kind == "space" else piece.text for piece in tokens(body))
    return re.sub(" +", " ", "".join(pieces)).strip().removesuffix(";")
