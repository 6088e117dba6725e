"""Salvage: a journal that refuses to open is read page by page, and what is whole goes into a new one in its place.

The damaged files are kept beside it. The new journal has the old one's name in the graph, its lanes and its numbers,
so that what the graph has already is not applied again.
"""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from perdure.errors import InputError, JournalCorruptError, PerdureError
from perdure.journal.sqlite import inspection, opening, place, table
from perdure.journal.sqlite.inspection import Told
from perdure.journal.sqlite.pages import Cell, cells
from perdure.journal.sqlite.record import Row, checksum, intact
from perdure.journal.sqlite.remains import COLUMNS, IDENTITY, Progress, Remains, dead_letter, entry, is_sealed

WORKPLACE, OLD_LOG = "salvaging", "old-log"
DAMAGED = "damaged.db"
"""The database among the files kept aside: not the name of a journal's, so that nobody adopts it."""
BEHIND = ("-wal", "-shm")
KEEP = table.INSERT.replace("INSERT", "INSERT OR REPLACE", 1)
KEEP_LETTER = table.INSERT_LETTER.replace("INSERT", "INSERT OR REPLACE", 1)
KEEP_LANE = "INSERT OR REPLACE INTO lanes (lane, settled, applied, seal) VALUES (?1, ?2, ?3, crc(?1, ?2, ?3))"
NUMBERS = """
CREATE TEMP TABLE numbers (seq INTEGER PRIMARY KEY);
INSERT OR IGNORE INTO numbers SELECT seq FROM entries UNION ALL SELECT seq FROM dead_letters;
"""
BETWEEN = "SELECT count(*) FROM numbers WHERE seq BETWEEN ? AND ?"
KNOWN = "INSERT OR IGNORE INTO numbers VALUES (?)"
COUNTS = "SELECT (SELECT count(*) FROM entries), (SELECT count(*) FROM dead_letters)"


@dataclass(frozen=True, slots=True)
class Gap:
    """Numbers between two writes of a lane that followed each other once not directly: what stood there is lost."""

    lane: int
    first: int
    last: int
    damaged: Sequence[int]
    """Those of which something was found that is not what was written."""
    at_least: int
    """How many others are missing; with several lanes, some of the numbers may have been in another one."""
    at_most: int


@dataclass(frozen=True, slots=True)
class Salvaged:
    """What came of it."""

    directory: Path
    reason: str
    """Why the journal could not be opened."""
    kept: int
    gaps: Sequence[Gap]
    missing: tuple[int, int]
    """How many more are missing, at least and at most."""
    dead_letters: int
    damaged_letters: int
    notes: Sequence[str]
    kept_aside: Path | None
    """Where the damaged files are; None when nothing was changed."""

    @property
    def damaged(self) -> int:
        """How many writes were found that are not what was written."""
        return sum(len(gap.damaged) for gap in self.gaps)


@dataclass(slots=True)
class Found:
    """What was met on the way."""

    damaged: set[tuple[int, int]] = field(default_factory=set[tuple[int, int]])
    damaged_letters: int = 0
    in_pieces: int = 0
    """Rows that cannot be taken apart."""
    first_live: dict[int, Row] = field(default_factory=dict[int, Row])
    """The first write of each lane on a page in use."""


def salvage(directory: Path, told: Told, *, identity: str = "", dry_run: bool = False) -> Salvaged | None:
    """Replace a damaged journal by one with all that is whole in it; None when it is not damaged.

    `identity` is the journal's name in the graph, for when it cannot be read any more. `dry_run` only reports.

    Raises JournalLockedError when somebody holds it, JournalCorruptError when nothing of it can be read, JournalError
    when its format is newer than this version, and JournalFullError when there is no room for the new one.
    """
    if identity and not IDENTITY.fullmatch(identity):
        raise InputError(
            f"{identity!r} is no journal's name in a graph.", hint="It looks like 'journal-' and 16 digits."
        )
    lock = place.Lock()
    lock.take(directory)
    try:
        restore_log(directory)
        reason = inspection.problem(directory)
        if reason is None:
            return None
        if not isinstance(reason, JournalCorruptError):
            raise reason
        with opening.explained(directory), workplace(directory, dry_run=dry_run) as path:
            return replaced(directory, path, reason, told, identity, dry_run=dry_run)
    finally:
        lock.release()


def replaced(  # noqa: PLR0913  what salvage was asked, and where it stands
    directory: Path, path: Path, reason: PerdureError, told: Told, identity: str, *, dry_run: bool
) -> Salvaged:
    """Write the new journal to `path`, and put it in the old one's place unless this is a rehearsal."""
    remains = Remains(directory)
    facts, notes = facts_of(remains, identity)
    with new_journal(path, remains) as new, table.transaction(new):
        table.note(new, facts)
        found = fill(new, remains, facts["seed"], told)
        notes += settle(new, remains, found, facts["highest"])
        gaps = list(chained(new, found, facts["seed"]))
        missing = missing_from(new, gaps)
        kept, letters = new.execute(COUNTS).fetchone()
    opening.verify(path)
    notes += lost_from_view(remains, found, facts)
    aside = None if dry_run else put_in_place(directory, path)
    return Salvaged(directory, reason.message, kept, gaps, missing, letters, found.damaged_letters, notes, aside)


@contextmanager
def new_journal(path: Path, remains: Remains) -> Generator[sqlite3.Connection]:
    """Yield a new database to fill, and close it so that everything is in one file."""
    database = opening.connect(path)
    try:
        opening.prepare(database, "disk", max(remains.newest.last * table.PAGE_SIZE, 2**30))
        yield database
    except BaseException:
        database.close()
        raise
    opening.shut(database)


# -- reading


def facts_of(remains: Remains, identity: str) -> tuple[dict[str, Any], list[str]]:
    """Return what the journal said of itself, made good where it can be, and what was made good."""
    facts: dict[str, Any] = {"epoch": 0, "target": "", "highest": -1, **remains.facts()}
    notes: list[str] = []
    name = facts.setdefault("identity", identity)
    seed = remains.seed()
    if not name and seed is None and "seed" not in facts:
        raise JournalCorruptError("Nothing that can be read there is a journal's.", hint="Restore it from a backup.")
    if not name:
        raise JournalCorruptError(
            f"The journal's name in the graph cannot be read any more from {place.DATABASE}.",
            hint="It is in the graph: run MATCH (k:_JournalMark) RETURN k.id there, and give what stands in front of "
            "the slash as --identity. Without it, writes that the graph has would be applied again.",
        )
    if identity and name != identity:
        notes.append(f"The journal calls itself {name!r}, and was kept so.")
    if seed is not None and facts.get("seed") != seed:
        facts["seed"] = seed
        notes.append("The seed of the checksums was damaged; it was computed anew from the writes.")
    facts.setdefault("seed", 0)
    return facts, notes


# -- writing


def fill(new: sqlite3.Connection, remains: Remains, seed: int, told: Told) -> Found:
    """Write every whole row into the new journal, settled or not."""
    found = Found()
    total = len(remains)
    for done, image in enumerate(remains.images(), 1):
        told(min(done, total), total)
        for cell in cells(image.data, image.others):
            row = entry(cell)
            if row is not None:
                keep(new, row, seed, found, live=image.live)
            elif image.live and cell.values:
                keep_other(new, cell, seed, found)
            elif image.live:
                found.in_pieces += 1
    told(total, total)
    return found


def keep(new: sqlite3.Connection, row: Row, seed: int, found: Found, *, live: bool) -> None:
    """Write a write down if it is whole."""
    if intact(row, seed):
        new.execute(KEEP, row)
        first = found.first_live.get(row.lane)
        if live and (first is None or row.seq < first.seq):
            found.first_live[row.lane] = row
    elif live:
        found.damaged.add((row.lane, row.seq))


def keep_other(new: sqlite3.Connection, cell: Cell, seed: int, found: Found) -> None:
    """Write a dead letter down, or how far another journal was adopted."""
    letter = dead_letter(cell)
    if letter is not None:
        if intact(Row(*letter[:COLUMNS]), seed) and is_sealed(letter):
            new.execute(KEEP_LETTER, letter[:-1])
        else:
            found.damaged_letters += 1
        return
    match cell.values:
        case (str(journal), int(lane), int(seq)):
            new.execute(table.ADOPTED, (journal, lane, seq))
        case _:
            return


def settle(new: sqlite3.Connection, remains: Remains, found: Found, highest: int) -> list[str]:
    """Remove what was settled already, or belonged to another graph; return what was doubtful about that."""
    lanes = remains.lanes()
    progress = dict(lanes.known)
    notes: list[str] = []
    for lane, first in found.first_live.items():
        if not lanes.complete and lane not in lanes.sure:
            before = progress.get(lane, Progress(-1, -1))
            progress[lane] = Progress(first.previous, min(before.applied, first.previous))
            notes.append(f"How far lane {lane} was settled cannot be read; its first write that is left says it.")
    new.executemany(KEEP_LANE, [(lane, *each) for lane, each in progress.items()])
    new.executemany(table.TRIM, [(lane, each.settled) for lane, each in progress.items()])
    new.execute("DELETE FROM entries WHERE seq <= ?", (highest,))
    new.execute("DELETE FROM entries WHERE seq IN (SELECT seq FROM dead_letters)")
    return notes


def chained(new: sqlite3.Connection, found: Found, seed: int) -> Iterator[Gap]:
    """Have every write follow the one before it, and yield where one did not."""
    for statement in NUMBERS.split(";"):
        new.execute(statement)
    new.executemany(KNOWN, [(seq,) for _, seq in found.damaged])
    settled: Mapping[int, int] = dict(new.execute("SELECT lane, settled FROM lanes").fetchall())
    lanes = sorted({*settled, *inspection.waiting(new), *(lane for lane, _ in found.damaged)})
    mended: list[Row] = []
    for lane in lanes:
        last = settled.get(lane, -1)
        for values in new.execute(table.ROWS, (lane, -1, -1)):
            row = Row(*values)
            if row.previous > last:
                yield gap(new, found, (lane, last + 1, row.previous), alone=len(lanes) == 1)
            if row.previous != last:
                mended.append(row._replace(previous=last))
            last = row.seq
        behind = max((seq for of, seq in found.damaged if of == lane), default=-1)
        if behind > last:
            yield gap(new, found, (lane, last + 1, behind), alone=len(lanes) == 1)
    for row in mended:
        new.execute(KEEP, row._replace(checksum=checksum(row, seed)))


def gap(new: sqlite3.Connection, found: Found, numbers: tuple[int, int, int], *, alone: bool) -> Gap:
    """Return what is lost between two writes of a lane."""
    lane, first, last = numbers
    (others,) = new.execute(BETWEEN, (first, last)).fetchone()
    damaged = sorted(seq for of, seq in found.damaged if of == lane and first <= seq <= last)
    at_most = last - first + 1 - others
    return Gap(lane, first, last, damaged, at_most if alone else int(last not in damaged), at_most)


def missing_from(new: sqlite3.Connection, gaps: Sequence[Gap]) -> tuple[int, int]:
    """Return how many writes are missing in all, at least and at most: one number is in one lane."""
    numbers, behind = 0, -1
    for one in sorted(gaps, key=lambda gap: gap.first):
        first, behind = max(one.first, behind + 1), max(one.last, behind)
        if first <= one.last:
            (known,) = new.execute(BETWEEN, (first, one.last)).fetchone()
            numbers += one.last - first + 1 - known
    return sum(one.at_least for one in gaps), numbers


def lost_from_view(remains: Remains, found: Found, facts: Mapping[str, Any]) -> list[str]:
    """Return what may be lost without leaving a gap, a sentence each."""
    lost = [
        (remains.damaged, "page", "of the log"),
        (remains.unreadable(), "page", "of the database"),
        (found.in_pieces, "row", "in it"),
    ]
    notes = [
        f"{number} {what}{'' if number == 1 else 's'} {where} cannot be read." for number, what, where in lost if number
    ]
    if not remains.has_log and not facts.get("clean"):
        notes.append("The log is gone, and what stood only there is lost.")
    if notes:
        notes.append("Dead letters, and the last writes of a lane, leave no gap where they are lost.")
    if remains.damaged:
        notes.append("A dead letter may be back that was dropped, or sent again, in a damaged part of the log.")
    return notes


# -- the place


@contextmanager
def workplace(directory: Path, *, dry_run: bool) -> Generator[Path]:
    """Yield where the new database is to be written, and leave nothing there."""
    if dry_run:
        with tempfile.TemporaryDirectory(prefix="perdure-") as temporary:
            yield Path(temporary) / place.DATABASE
        return
    made = directory / WORKPLACE
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(mode=0o700)
    try:
        yield made / place.DATABASE
    finally:
        restore_log(directory)
        shutil.rmtree(made, ignore_errors=True)


def restore_log(directory: Path) -> None:
    """Give the old database its log back, where a salvage was interrupted after taking it away."""
    old = directory / WORKPLACE / OLD_LOG
    if old.exists() and old.with_name(place.DATABASE).exists():
        old.replace(directory / place.WAL)


def put_in_place(directory: Path, path: Path) -> Path:
    """Keep the damaged files aside, and put the new database where the old one was; return where those are."""
    aside = keep_aside(directory)
    log = directory / place.WAL
    if log.exists():
        log.replace(path.with_name(OLD_LOG))  # never beside a database it does not belong to
    path.replace(directory / place.DATABASE)
    for name in BEHIND:
        (directory / f"{place.DATABASE}{name}").unlink(missing_ok=True)
    place.sync_directories(directory)
    return aside


def keep_aside(directory: Path) -> Path:
    """Give the damaged files a second name, in a directory of their own."""
    now = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    for number in count(1):
        aside = directory.with_name(f"{directory.name}{inspection.ASIDE}{now}{f'-{number}' if number > 1 else ''}")
        with suppress(FileExistsError):
            aside.mkdir(mode=0o700)
            break
    else:
        raise AssertionError
    for old, new in ((place.DATABASE, DAMAGED), (place.WAL, f"{DAMAGED}-wal")):
        if (directory / old).exists():
            link_or_copy(directory / old, aside / new)
    place.sync_directories(aside)
    return aside


def link_or_copy(old: Path, new: Path) -> None:
    """Give a file a second name, or where the file system has no such thing, copy it."""
    try:
        os.link(old, new)
    except OSError:
        shutil.copy2(old, new)
