"""The project's Markdown pages, and what the tests look at in them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]

_FENCE = re.compile(
    r"^(?P<fence>`{3,})(?P<language>\w*)[^\n]*\n(?P<text>.*?)^(?P=fence)[ \t]*$", re.MULTILINE | re.DOTALL
)
_NOTE = re.compile(r"<!-- (?P<note>[^\n]*) -->\n+\Z")


class Block(NamedTuple):
    """A fenced block: its language, its text, its first line's number, and the comment that stands right before it."""

    language: str
    text: str
    line: int
    note: str


def pages() -> list[Path]:
    """Return every page a reader may open."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def name_of(page: Path) -> str:
    """Return a page's path as people say it."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> Iterator[Block]:
    """Yield a page's fenced blocks in order."""
    text = page.read_text(encoding="utf-8")
    for fence in _FENCE.finditer(text):
        note = _NOTE.search(text, max(0, fence.start() - 400), fence.start())
        line = text.count("\n", 0, fence.start("text")) + 1
        yield Block(fence["language"], fence["text"], line, note["note"] if note else "")


def prose(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))
