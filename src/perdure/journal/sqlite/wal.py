"""What lies behind the end of a write-ahead log: the torn tail of a crash, or commits that damage has cut off.

SQLite reads its log up to the first frame whose checksum does not fit, and takes that for the end, without a word.
After a crash that is right. When a frame in the middle was damaged it drops every commit behind it. The frames tell
the two apart: each one's checksum goes on from the one stored in the frame before it, so those behind a damaged frame
still fit each other. The format is described at https://www.sqlite.org/fileformat2.html#walformat.
"""

import struct
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

HEADER, FRAME_HEADER = 32, 24
LITTLE, BIG = b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83"
WORD = 0xFFFFFFFF
FRAMES_TO_TELL = 50


class Frame(NamedTuple):
    """One page in the log."""

    page: int
    pages: int
    """How many pages the database has after it, when it ends a commit; otherwise 0."""
    data: bytes
    current: bool
    """Whether it is of the log's present run, by what it says or by its checksum, and not left from one before."""
    fits: bool
    """Whether moreover its checksum goes on from the one stored in the frame before it."""


class Log(NamedTuple):
    """A log, as SQLite will read it and as it is."""

    used: int
    """Frames that SQLite will read: up to the last whole commit before anything that does not fit."""
    torn: bool
    """Whether a commit that never became whole lies behind them."""
    lost_commits: int
    """Commits that end behind them in a frame that fits: something before those was damaged.

    A crash does not leave such a thing. Pages may reach the disk in any order, but a frame's header shares a page with
    the end of the frame before it, so a frame that did not get there whole leaves none that fits behind it.
    """


def examine(path: Path, page_size: int) -> Log:
    """Return what SQLite will make of a log, and what it would drop."""
    if not path.exists():
        return Log(0, torn=False, lost_commits=0)
    used = lost = last = 0
    chained = not header_is_damaged(path)
    for count, frame in enumerate(frames(path, page_size), 1):
        chained = chained and frame.fits
        last = count if frame.current else last
        if frame.pages and chained:
            used = count
        elif frame.pages and frame.fits:
            lost += 1
    size = path.stat().st_size
    partial = size > 0 and (size - HEADER) % (FRAME_HEADER + page_size) > 0
    return Log(used, torn=last > used or partial, lost_commits=lost)


def frames(path: Path, page_size: int) -> Iterator[Frame]:
    """Yield the frames in a log's file: of its present run, damaged, or left from a run before."""
    reading = _reading(path, page_size)
    seeds, current = reading.seeds, True
    for block in _blocks(path, page_size):
        page, pages = struct.unpack(">II", block[:8])
        stored = struct.unpack(">II", block[16:24])
        salted = block[8:16] == reading.salts
        sums = tuple(_sum(block[:8] + block[FRAME_HEADER:], reading.order, seed) for seed in seeds)
        summed = stored in sums
        current = salted or (summed and current)
        yield Frame(page, pages, block[FRAME_HEADER:], current, salted and summed)
        seeds = (stored,) if summed else (stored, sums[0])


class Reading(NamedTuple):
    """How a log is to be read: what its header says, or what its frames say of a header that is damaged."""

    order: str
    salts: bytes
    seeds: tuple[tuple[int, ...], ...]


def _reading(path: Path, page_size: int) -> Reading:
    with path.open("rb") as log:
        header = log.read(HEADER).ljust(HEADER, b"\0")
    stored = struct.unpack(">II", header[24:])
    order = ">" if header[:4] == BIG else "<"
    if not header_is_damaged(path):
        return Reading(order, header[16:24], (stored,))
    salts = Counter(block[8:16] for block in _blocks(path, page_size)).most_common(1)
    run = salts[0][0] if salts else b""
    likely = max("<>", key=lambda guess: _fitting(path, page_size, guess, run))
    return Reading(likely, run, (stored, _sum(header[:24], likely, (0, 0))))


def _fitting(path: Path, page_size: int, order: str, salts: bytes) -> int:
    """Return how many of the first frames of a run fit each other when read in this order of bytes."""
    seed, fitting = None, 0
    for block in islice(_blocks(path, page_size), FRAMES_TO_TELL):
        stored = struct.unpack(">II", block[16:24])
        if seed is not None and block[8:16] == salts:
            fitting += _sum(block[:8] + block[FRAME_HEADER:], order, seed) == stored
        seed = stored
    return fitting


def _blocks(path: Path, page_size: int) -> Iterator[bytes]:
    """Yield each whole frame's bytes."""
    size = FRAME_HEADER + page_size
    with path.open("rb") as log:
        log.seek(HEADER)
        while len(block := log.read(size)) == size:
            yield block


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
