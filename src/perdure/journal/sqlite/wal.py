"""What lies behind the end of a write-ahead log: the torn tail of a crash, or commits that damage has cut off.

SQLite reads its log up to the first frame whose checksum does not fit, and takes that for the end, without a word.
After a crash that is right. When a frame in the middle was damaged it drops every commit behind it. The frames tell
the two apart: each one's checksum goes on from the one stored in the frame before it, so those behind a damaged frame
still fit each other. The format is described at https://www.sqlite.org/fileformat2.html#walformat.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

HEADER, FRAME_HEADER = 32, 24
LITTLE, BIG = b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83"
WORD = 0xFFFFFFFF


class Frame(NamedTuple):
    """One page in the log."""

    page: int
    pages: int
    """How many pages the database has after it, when it ends a commit; otherwise 0."""
    data: bytes
    current: bool
    """Whether it says that it is of the log's present run, and not left from one before."""
    fits: bool
    """Whether moreover its checksum goes on from the one stored in the frame before it."""


class Log(NamedTuple):
    """A log, as SQLite will read it and as it is."""

    used: int
    """Frames that SQLite will read: up to the last whole commit before anything that does not fit."""
    torn: bool
    """Whether a commit that never became whole lies behind them."""
    lost_commits: int
    """Whole commits behind them: something before those was damaged."""


def examine(path: Path, page_size: int) -> Log:
    """Return what SQLite will make of a log, and what it would drop."""
    if not path.exists():
        return Log(0, torn=False, lost_commits=0)
    used = lost = last = 0
    chained = not header_is_damaged(path)
    whole = True
    for count, frame in enumerate(frames(path, page_size), 1):
        chained = chained and frame.fits
        whole = whole and frame.fits
        last = count if frame.current else last
        if not frame.pages:
            continue
        if chained:
            used = count
        elif whole:
            lost += 1
        whole = True
    size = path.stat().st_size
    partial = size > 0 and (size - HEADER) % (FRAME_HEADER + page_size) > 0
    return Log(used, torn=last > used or partial, lost_commits=lost)


def frames(path: Path, page_size: int) -> Iterator[Frame]:
    """Yield the frames in a log's file: of its present run, damaged, or left from a run before."""
    with path.open("rb") as log:
        header, first = log.read(HEADER), log.read(FRAME_HEADER)
        if len(first) < FRAME_HEADER:
            return
        order = ">" if header[:4] == BIG else "<"
        salts = first[8:16] if header_is_damaged(path) else header[16:24]
        seed = struct.unpack(">II", header[24:32])
        log.seek(HEADER)
        while len(block := log.read(FRAME_HEADER + page_size)) == FRAME_HEADER + page_size:
            page, pages = struct.unpack(">II", block[:8])
            stored = struct.unpack(">II", block[16:24])
            data = block[FRAME_HEADER:]
            current = block[8:16] == salts
            yield Frame(page, pages, data, current, current and _sum(block[:8] + data, order, seed) == stored)
            seed = stored


def header_is_damaged(path: Path) -> bool:
    """Return whether a log begins with something else than SQLite wrote; an empty one does not."""
    with path.open("rb") as log:
        header = log.read(HEADER)
    if not header:
        return False
    if len(header) < HEADER or header[:4] not in (LITTLE, BIG):
        return True
    return _sum(header[:24], ">" if header[:4] == BIG else "<", (0, 0)) != struct.unpack(">II", header[24:])


def _sum(data: bytes, order: str, seed: tuple[int, ...]) -> tuple[int, int]:
    one, two = seed
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        one = (one + even + two) & WORD
        two = (two + odd + one) & WORD
    return one, two
