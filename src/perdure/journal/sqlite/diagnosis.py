"""Everything that can be wrong with a journal, looked at without changing it, and what to do about it."""

import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from perdure.errors import PerdureError
from perdure.journal.sqlite import inspection, opening, place, table, wal
from perdure.journal.sqlite.inspection import Holder, Told
from perdure.journal.sqlite.record import intact

Level = Literal["good", "warning", "bad"]

LITTLE_SPACE = 100 * 1024 * 1024
LONG_AGO = 3600.0
NEARLY_FULL = 0.8
SALVAGE = "perdure journal salvage"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    check: str
    level: Level
    text: str
    todo: str = ""
    """What to do about it, or an empty text."""


def diagnose(directory: Path, max_bytes: int, told: Told) -> list[Finding]:
    """Look at everything that can be wrong with a journal; `max_bytes` is the size its writes may have."""
    by = inspection.holder(directory)
    findings = [lock(by), file_system(directory), permissions(directory), space(directory), reserve(directory)]
    if by is None:
        findings.append(log(directory))
    found: list[Finding] = []

    def look(database: sqlite3.Connection) -> None:
        found.clear()  # it may be read again, and then from the beginning
        for finding in inside(database, by is not None, max_bytes, told):
            found.append(finding)  # noqa: PERF402  those before an error stay

    try:
        inspection.read(directory, look)
    except PerdureError as error:
        if error.message not in [finding.text for finding in findings]:
            found.append(Finding("database", "bad", error.message, todo(error)))
    return findings + found


def todo(error: PerdureError) -> str:
    """Return what to type next after an error."""
    return SALVAGE if error.hint == opening.SALVAGE else error.hint or ""


def lock(by: Holder | None) -> Finding:
    """Look at who holds the journal."""
    if by is None:
        return Finding("lock", "good", "Nobody holds the journal.")
    who = "a process" if by.pid is None else f"process {by.pid}"
    return Finding("lock", "good", f"In use by {who} since {by.since or 'some time'}.")


def file_system(directory: Path) -> Finding:
    """Look at what the journal lies on."""
    kind = place.file_system(directory)
    if kind in place.NETWORK:
        text = f"On a network file system ({kind}), where no journal is safe."
        return Finding("file system", "bad", text, place.ELSEWHERE)
    if kind in place.VOLATILE:
        text = f"On {kind}, which is kept in memory: what is accepted does not survive the machine."
        return Finding("file system", "warning", text, place.ELSEWHERE)
    return Finding("file system", "good", f"On a local disk{f' ({kind})' if kind else ''}.")


def permissions(directory: Path) -> Finding:
    """Look at who may read and write the files."""
    files = [directory, *(path for path in directory.iterdir() if path.is_file())]
    shut = [path.name for path in files if not os.access(path, os.R_OK | os.W_OK)]
    shared = [path.name for path in files if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)]
    if shut:
        return Finding("permissions", "bad", f"This user may not write {', '.join(shut)}.", "Run as their owner.")
    if shared:
        text = f"Others may use {', '.join(shared)}, and parameters stand in a journal as they are."
        return Finding("permissions", "warning", text, f"chmod -R go= {directory}")
    return Finding("permissions", "good", "The files are for their owner alone.")


def space(directory: Path) -> Finding:
    """Look at what is left on the disk."""
    left = place.free(directory)
    text = f"{left // 2**20:,} MiB are left on the disk."
    if left < LITTLE_SPACE:
        return Finding("space", "warning", text, "Free some space, before writes are refused.")
    return Finding("space", "good", text)


def reserve(directory: Path) -> Finding:
    """Look at the space that is set aside."""
    if place.size_of(directory / place.BALLAST) < place.BALLAST_BYTES:
        text = "The space set aside for a full disk is used up."
        return Finding("reserve", "warning", text, "Free some space; it is set aside again by itself.")
    return Finding("reserve", "good", "Space is set aside, so that a full disk can still drain.")


def log(directory: Path) -> Finding:
    """Look at the files as they are, before SQLite reads past what it takes for the end of its log."""
    path = directory / place.DATABASE
    try:
        with inspection.reading(directory):
            torn = opening.examine(path)
            used = wal.examine(path.with_name(place.WAL), opening.PAGE_SIZE).used
    except PerdureError as error:
        return Finding("log", "bad", error.message, todo(error))
    if torn:
        return Finding("log", "warning", f"{torn[0]} This is how the next start reports it.")
    if used:
        return Finding("log", "good", f"{used} pages, all whole: the journal was not closed.")
    return Finding("log", "good", "Nothing is left in it.")


def inside(database: sqlite3.Connection, held: bool, max_bytes: int, told: Told) -> Iterator[Finding]:  # noqa: FBT001
    """Look at what SQLite reads."""
    if inspection.is_new(database):
        yield Finding("format", "good", "The journal was never used.")
        return
    facts = table.about(database)
    damaged = table.unsealed(database)
    if damaged not in ("", "dead_letters"):
        yield Finding("facts", "bad", f"A row of its table {damaged!r} is not what was written.", SALVAGE)
    yield Finding("format", "good", f"Format {table.FORMAT}, for {facts['target'] or 'any graph'}.")
    yield pages(database, held)
    yield from writes(database, facts["seed"], max_bytes, told)
    yield dead_letters(database)


def pages(database: sqlite3.Connection, held: bool) -> Finding:  # noqa: FBT001  as inside
    """Have SQLite look at its tree; not while a process uses it, which would have to wait."""
    if held:
        return Finding("pages", "good", "Not searched while they are in use; they were at the start.")
    (said,) = database.execute("PRAGMA quick_check(1)").fetchone()
    if said == "ok":
        return Finding("pages", "good", "SQLite finds them in order.")
    return Finding("pages", "bad", f"SQLite finds: {said}.", SALVAGE)


def writes(database: sqlite3.Connection, seed: int, max_bytes: int, told: Told) -> Iterator[Finding]:
    """Look at every write that waits: whether it is what was written, and whether one is missing before it."""
    damage: list[str] = []
    count = size = 0
    oldest = time.time()
    lanes = inspection.waiting(database)
    total = sum(inspection.count(database, lane)[0] for lane in lanes)
    for lane in lanes:
        last = settled(database, lane)
        for row in inspection.rows(database, lane):
            count, size, oldest = count + 1, size + row.size, min(oldest, row.accepted_at)
            told(count, max(total, count))
            if not intact(row, seed):
                damage.append(f"Write {row.seq} of lane {lane} is not what was written")
            elif row.previous != last and row.previous > settled(database, lane):
                damage.append(f"The write before number {row.seq} in lane {lane} is missing")
            last = row.seq
    if damage:
        more = f", and there are {len(damage) - 1} more like this" if len(damage) > 1 else ""
        yield Finding("writes", "bad", f"{damage[0]}{more}.", SALVAGE)
    else:
        yield Finding("writes", "good", "Each is what was written, and none is missing between them.")
    yield pending(count, size, time.time() - oldest)
    if size > NEARLY_FULL * max_bytes:
        text = f"They take {100 * size // max_bytes} % of max_journal_bytes."
        yield Finding("size", "warning", text, "Let it drain, or raise PERDURE_MEMORY__MAX_JOURNAL_BYTES.")


def settled(database: sqlite3.Connection, lane: int) -> int:
    """Return up to which number a lane is settled now."""
    found = database.execute("SELECT settled FROM lanes WHERE lane = ?", (lane,)).fetchone()
    return found[0] if found else -1


def pending(count: int, size: int, age: float) -> Finding:
    """Look at how much waits, and for how long."""
    if not count:
        return Finding("pending", "good", "No writes wait for their commit.")
    text = f"{count:,} writes ({size:,} bytes) wait for their commit, the oldest for {age:,.0f} s."
    if age < LONG_AGO:
        return Finding("pending", "good", text)
    return Finding("pending", "warning", text, "Start the program that wrote them, or: perdure journal drain")


def dead_letters(database: sqlite3.Connection) -> Finding:
    """Look at the writes that failed for good."""
    bad = inspection.bad_letters(database)
    if bad:
        numbers = ", ".join(map(str, bad))
        return Finding("dead letters", "bad", f"Not what was written: {numbers}.", SALVAGE)
    count = table.count_letters(database)
    if not count:
        return Finding("dead letters", "good", "There are none.")
    return Finding("dead letters", "warning", f"{count:,} writes failed for good.", "perdure dead-letters list")
