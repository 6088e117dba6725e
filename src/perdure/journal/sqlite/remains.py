"""What is left in the files of a damaged journal: pages of its database, and of its log in front of and behind damage.

Every row carries a checksum of its own, so that a whole one is known for that wherever it is found.
"""

import mmap
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from perdure.journal.sqlite import place, table, wal
from perdure.journal.sqlite.pages import (
    TABLE_LEAF,
    Cell,
    Pages,
    cells,
    children,
    expected,
    free,
    is_map,
    is_of_tree,
)
from perdure.journal.sqlite.record import Row, checksum
from perdure.journal.sqlite.table import PAGE_SIZE

FRAME = wal.FRAME_HEADER + PAGE_SIZE
ABOUT, LANES = 3, 4
"""Where these two tables begin, in every journal; neither ever needs a second page."""
IDENTITY = re.compile(r"journal-[0-9a-f]{16}")
COLUMNS = len(Row._fields)
ENOUGH_TO_TELL = 64
MOST_PAGES_GONE = 1_000_000
"""Believed of a file that says it should have more."""
FACTS = ("identity", "seed", "epoch", "target", "highest", "clean", "durability")


class Progress(NamedTuple):
    """How far a lane has come."""

    settled: int
    """The last number that was let go of: it was applied, or is a dead letter."""
    applied: int
    """The last number that was applied."""


class Lanes(NamedTuple):
    """How far the lanes have come."""

    known: dict[int, Progress]
    sure: set[int]
    """Those of which the newest is known."""
    complete: bool
    """Whether there are no others."""


class Commit(NamedTuple):
    """Pages that were written together: where in the log each of them is."""

    pages: dict[int, int]
    damaged: dict[int, int]
    """Those that are not what was written; there may be whole rows on them."""


class Image(NamedTuple):
    """A page as it was at some time."""

    data: bytes
    others: Pages
    """All the other pages at that time."""
    live: bool
    """Whether it is the newest there is of this page, and the page is in use."""


class View:
    """The pages of the database with some of the log laid over them."""

    def __init__(self, database: bytes | mmap.mmap, log: bytes | mmap.mmap) -> None:
        self.over: dict[int, int] = {}
        self._database = database
        self._log = log
        self.last = len(database) // PAGE_SIZE

    def lay(self, pages: Mapping[int, int]) -> None:
        """Lay pages of the log over what is there."""
        self.over.update(pages)
        self.last = max(self.last, *pages, 0)

    def __call__(self, number: int) -> bytes:
        """Return a page, or an empty text when there is no such page."""
        if number in self.over:
            offset = self.over[number]
            return self._log[offset : offset + PAGE_SIZE]
        return self._database[(number - 1) * PAGE_SIZE : number * PAGE_SIZE] if number > 0 else b""


class Remains:
    """The files of a journal that nobody holds."""

    def __init__(self, directory: Path) -> None:
        self.has_log = place.size_of(directory / place.WAL) > 0
        self._database = mapped(directory / place.DATABASE)
        self._log = mapped(directory / place.WAL)
        self._earlier, self._commits = commits(directory / place.WAL) if self.has_log else ([], [])
        self.damaged = sum(len(commit.damaged) for commit in self._commits)
        """Pages in the log that are not what was written."""
        self.newest = self._view(self._commits)
        self._free = free(self.newest)

    def __len__(self) -> int:
        """Count the images."""
        logged = sum(len(commit.pages) + len(commit.damaged) for commit in (*self._earlier, *self._commits))
        return self.newest.last + logged

    def _view(self, laid: list[Commit] | None = None) -> View:
        view = View(self._database, self._log)
        for commit in laid or ():
            view.lay(commit.pages)
        return view

    def images(self) -> Iterator[Image]:
        """Yield every page at every time of which something is left: the live ones last, and otherwise oldest first."""
        yield from self._written(self._earlier)
        old = self._view()
        for number in range(2, old.last + 1):
            if number in self.newest.over or number in self._free:
                yield Image(old(number), old, live=False)
        yield from self._written(self._commits)
        yield from self.live()

    def live(self) -> Iterator[Image]:
        """Yield every page that is in use, at its newest: whole, and as damage has left it since."""
        for number in self._in_use():
            yield Image(self.newest(number), self.newest, live=True)
        since: dict[int, int] = {}
        for commit in self._commits:
            since = {number: offset for number, offset in since.items() if number not in commit.pages}
            since.update(commit.damaged)
        for offset in since.values():
            yield Image(self._log[offset : offset + PAGE_SIZE], self.newest, live=True)

    def _in_use(self) -> Iterator[int]:
        return (number for number in range(2, self.newest.last + 1) if not (number in self._free or is_map(number)))

    def _written(self, commits: list[Commit]) -> Iterator[Image]:
        view = self._view()
        for commit in commits:
            view.lay(commit.pages)
            for number in commit.pages:
                yield Image(view(number), view, live=False)
            for offset in commit.damaged.values():
                yield Image(self._log[offset : offset + PAGE_SIZE], view, live=False)

    def _versions(self, number: int) -> list[bytes]:
        """Return a page as it was at several times, oldest first."""
        found = [self._view(self._earlier)(number), self._view()(number)]
        for commit in self._commits:
            offset = commit.pages.get(number, commit.damaged.get(number))
            found += [] if offset is None else [self._log[offset : offset + PAGE_SIZE]]
        return found

    def facts(self) -> dict[str, Any]:
        """Return what the journal says of itself, as far as it can be read."""
        found: dict[str, Any] = {}
        for page in self._versions(ABOUT):
            for cell in cells(page, self.newest):
                match cell.values:
                    case (str(name), value, seal) if name in FACTS and seal == table.crc(name, value):
                        found[name] = value
                    case _:
                        continue
        return found

    def seed(self) -> int | None:
        """Return the seed that most of the first writes were given, if there are enough to tell."""
        seeds: Counter[int] = Counter()
        for row in islice((row for image in self.live() for row in entries(image)), ENOUGH_TO_TELL):
            with suppress(TypeError, ValueError):
                seeds[seed_of(row)] += 1
        for seed, times in seeds.most_common(1):
            return seed if times > 1 else None
        return None

    def lanes(self) -> Lanes:
        """Return how far each lane has come, as far as that can be read."""
        versions = self._versions(LANES)
        newest = list(lanes(versions[-1]))
        sure = dict(each for each in newest if each is not None)
        if versions[-1][:1] == bytes([TABLE_LEAF]) and None not in newest:
            return Lanes(sure, {*sure}, complete=True)
        known: dict[int, Progress] = {}
        for page in versions:
            known.update(each for each in lanes(page) if each is not None)
        return Lanes(known, {*sure}, complete=False)

    def unreadable(self) -> int:
        """Return how many pages of the database are known to be gone."""
        last = self.newest.last
        gone = {*range(last + 1, min(expected(self.newest), MOST_PAGES_GONE + last) + 1)}
        for number in self._in_use():
            gone.update(child for child in children(self.newest(number)) if not is_of_tree(self.newest(child)))
        return len(gone)


def lanes(page: bytes) -> Iterator[tuple[int, Progress] | None]:
    """Yield the lanes on a page, and how far they have come; None for a row that is not whole."""
    for cell in cells(page, lambda _: b""):
        match cell:
            case (int(lane), (None, settled, applied, seal)) if seal == table.crc(lane, settled, applied):
                yield lane, Progress(settled, applied)
            case _:
                yield None


def commits(log: Path) -> tuple[list[Commit], list[Commit]]:
    """Return the commits of earlier runs of a log, of which something is left behind the present one, and its own.

    What was never committed is in none of them. A page whose checksum does not fit is left out of its commit.
    """
    frames = [frame._replace(data=b"") for frame in wal.frames(log, PAGE_SIZE)]
    length = max((count for count, frame in enumerate(frames, 1) if frame.current), default=0)
    return (
        list(_grouped(frames[length:], length, checked=False)),
        list(_grouped(frames[:length], 0, checked=True)),
    )


def _grouped(frames: list[wal.Frame], before: int, *, checked: bool) -> Iterator[Commit]:
    pages: dict[int, int] = {}
    damaged: dict[int, int] = {}
    for count, frame in enumerate(frames, before):
        kind = pages if frame.fits or not checked else damaged
        kind[frame.page] = wal.HEADER + count * FRAME + wal.FRAME_HEADER
        if frame.pages:
            yield Commit(pages, damaged)
            pages, damaged = {}, {}


def mapped(path: Path) -> bytes | mmap.mmap:
    """Return a file's contents, which need not fit into memory; nothing when there is none."""
    if not place.size_of(path):
        return b""
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def entries(image: Image) -> Iterator[Row]:
    """Yield the writes on a page."""
    return (row for cell in cells(image.data, image.others) if (row := entry(cell)) is not None)


def entry(cell: Cell) -> Row | None:
    """Return the write in a row of the table of entries, and None for other rows."""
    if len(cell.values) != COLUMNS + 1 or [type(value) for value in cell.values[:3]] != [type(None), int, int]:
        return None
    found = Row(*cell.values[1:])
    if cell.rowid != (found.lane << table.LANE_BITS) + found.seq:
        return None
    return found._replace(accepted_at=real(found.accepted_at))


def dead_letter(cell: Cell) -> tuple[Any, ...] | None:
    """Return the values of a dead letter, the last of which is their seal, and None for other rows."""
    if len(cell.values) != COLUMNS + 4 or cell.rowid is None or cell.values[1] is not None:
        return None
    lane, _, previous, accepted_at, *others, failed_at, seal = cell.values
    return (lane, cell.rowid, previous, real(accepted_at), *others, real(failed_at), seal)


def is_sealed(letter: tuple[Any, ...]) -> bool:
    """Return whether what became of a dead letter is as it was written."""
    *_, kept, error, code, failed_at, seal = letter
    return table.crc(kept, error, code, failed_at) == seal


def real(value: Any) -> Any:
    """Return a number as SQLite reads it from a column of real numbers, which it stores as integers where it can."""
    return float(value) if isinstance(value, int) else value


def seed_of(row: Row) -> int:
    """Return the seed with which a row's checksum is right.

    A CRC is linear in its seed, bit by bit: which bits have to be set follows from what each of them changes.
    """
    without = checksum(row, 0)
    changes: dict[int, tuple[int, int]] = {}
    for bit in (1 << position for position in range(32)):
        change, bits = _reduced(checksum(row, bit) ^ without, bit, changes)
        changes[change.bit_length()] = (change, bits)
    return _reduced(row.checksum ^ without, 0, changes)[1]


def _reduced(change: int, bits: int, changes: Mapping[int, tuple[int, int]]) -> tuple[int, int]:
    """Take known changes away from a change, as long as one has the same highest bit; return what is left of it."""
    while change and change.bit_length() in changes:
        known, with_bits = changes[change.bit_length()]
        change, bits = change ^ known, bits ^ with_bits
    return change, bits
