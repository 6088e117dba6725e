"""Looks at journals without taking them: who holds them, what is in them, and whether they can be opened.

Nothing here writes to a journal. One that a process holds is read in short steps, since that process cannot fold its
log into the database while somebody reads.
"""

import sqlite3
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from perdure.errors import JournalCorruptError, JournalError, PerdureError
from perdure.journal.letters import existing
from perdure.journal.sqlite import opening, place, table
from perdure.journal.sqlite.record import Row, decode, intact
from perdure.records import DeadLetter

T = TypeVar("T")

Told = Callable[[int, int], None]
"""Told how much of a long work is done, and how much there is."""

ROWS_IN_A_STEP = 500
BYTES_IN_A_STEP = 4 * 1024 * 1024
TRIES = 3
ASIDE = ".damaged-"
"""Stands between a journal's name and a time in the names of directories where salvage keeps damaged files."""
LANES = f"""
WITH RECURSIVE found (lane) AS (
    SELECT min(place) >> {table.LANE_BITS} FROM entries UNION ALL
    SELECT (SELECT min(place) >> {table.LANE_BITS} FROM entries WHERE place >= (found.lane + 1 << {table.LANE_BITS}))
    FROM found WHERE found.lane IS NOT NULL
) SELECT lane FROM found WHERE lane IS NOT NULL"""  # noqa: S608  its own columns
COUNT = f"""
SELECT count(*), coalesce(sum(size), 0), min(accepted_at), max(seq)
FROM (SELECT size, accepted_at, seq FROM entries WHERE {table.PLACES} ORDER BY place LIMIT ?3)"""  # noqa: S608  as above
SEALED = "SELECT seal = crc(checksum, error, code, failed_at) FROM dead_letters WHERE seq = ?"
NUMBERS = "SELECT seq FROM dead_letters WHERE seq > ? ORDER BY seq LIMIT ?"


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a journal."""

    pid: int | None
    host: str
    since: str


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in a journal."""

    format: int = table.FORMAT
    identity: str = ""
    durability: str = ""
    """What its writes survive, as the one who opened it last wanted it."""
    target: str = ""
    """Which graph the writes are for."""
    pending: int = 0
    bytes: int = 0
    oldest: float | None = None
    """Seconds since 1970 when the oldest pending write was accepted."""
    dead_letters: int = 0


@dataclass(frozen=True, slots=True)
class JournalState:
    """A journal, as it can be seen from outside."""

    name: str
    directory: Path
    holder: Holder | None
    """None when nobody holds it."""
    contents: Contents | None
    """None when it cannot be read."""
    file_bytes: int
    log_bytes: int
    """Of the part that is not folded into the database yet."""
    file_system: str
    trouble: PerdureError | None
    """Why it cannot be opened."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A write that waits for its commit."""

    row: Row
    whole: bool
    """Whether it is what was written down."""

    @property
    def parameters(self) -> dict[str, Any]:
        """Its parameters; only those of a whole one mean anything."""
        return decode(self.row.parameters) if self.whole else {}


@dataclass(frozen=True, slots=True)
class LaneView:
    """One lane of a journal: how far it is settled, what waits, and the first of it."""

    lane: int
    settled: int
    pending: int
    bytes: int
    first: Sequence[Pending]


def journals(root: Path) -> list[Path]:
    """Return the directories of all journals in a directory of journals."""
    return sorted({path.parent for name in (place.DATABASE, place.WAL) for path in root.glob(f"*/{name}")})


def kept_aside(root: Path) -> list[Path]:
    """Return the directories in which salvage has kept the files of damaged journals."""
    return sorted({path for path in root.glob(f"*{ASIDE}*") if path.is_dir()} - {*journals(root)})


def holder(directory: Path) -> Holder | None:
    """Return who holds a journal now."""
    if not place.is_locked(directory):
        return None
    who = place.holder(directory / place.LOCK)
    pid = who.get("pid")
    return Holder(pid if isinstance(pid, int) else None, str(who.get("host", "")), str(who.get("since", "")))


def look(directory: Path) -> JournalState:
    """Return what a journal holds, and why it cannot be opened, if that is so; one that is held is not searched."""
    trouble = None if holder(directory) else problem(directory)
    contents = None
    try:
        contents = read_tables(directory, _contents, Contents())
    except PerdureError as error:
        trouble = trouble or error
    by = holder(directory)
    if by and contents:
        trouble = None  # somebody opened it meanwhile, which is the better proof
    return JournalState(
        directory.name,
        directory,
        by,
        contents,
        place.size_of(directory / place.DATABASE),
        place.size_of(directory / place.WAL),
        place.file_system(directory),
        trouble,
    )


def problem(directory: Path) -> PerdureError | None:
    """Return why the journal in a directory that nobody holds cannot be opened, if that is so."""
    found = None
    for _ in range(TRIES):
        before = _stamps(directory)
        found = _problem(directory)
        if found is None or _stamps(directory) == before:
            break  # nobody wrote meanwhile
    return found


def _stamps(directory: Path) -> list[tuple[int, int]]:
    """Return what changes whenever somebody writes to a journal."""
    paths = [directory / name for name in (place.DATABASE, place.WAL, place.LOCK)]
    return [(path.stat().st_mtime_ns, path.stat().st_size) for path in paths if path.exists()]


def _problem(directory: Path) -> PerdureError | None:
    path = directory / place.DATABASE
    try:
        with reading(directory):
            opening.examine(path)
            if place.size_of(path):
                opening.verify(path)
    except PerdureError as error:
        return error
    return None


@contextmanager
def reading(directory: Path) -> Generator[None]:
    """Say what is wrong with a journal that cannot be read."""
    where = repr(str(directory))
    try:
        yield
    except sqlite3.Error as error:
        found = opening.meaning(error, directory)
        if isinstance(found, JournalCorruptError) or not isinstance(found, JournalError):
            raise found from error
        if "BUSY" in opening.name_of(error):
            raise JournalError(f"The journal in {where} is busy.", hint="Try again.") from error
        raise JournalCorruptError(f"The journal in {where} cannot be read.", hint=opening.SALVAGE) from error
    except OSError as error:
        raise place.unusable(directory, error) from error
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise JournalCorruptError(
            f"The journal in {where} is damaged: what stands in it makes no sense.", hint=opening.SALVAGE
        ) from error


def read(directory: Path, work: Callable[[sqlite3.Connection], T]) -> T:
    """Run something on a journal's database that only reads it. Raises PerdureError when it cannot be read."""
    path = directory / place.DATABASE
    if not path.exists():
        raise JournalCorruptError(f"{str(path)!r} is gone.", hint="Restore it from a backup, with its log.")
    for left in reversed(range(TRIES)):
        before = path.with_name(place.WAL).exists()
        try:
            with reading(directory), opening.looking_at(path) as database:
                database.text_factory = _text
                return work(database)
        except PerdureError:
            if not left or path.with_name(place.WAL).exists() == before:
                raise  # nobody has opened or closed it meanwhile
    raise AssertionError


def _text(data: bytes) -> str:
    """Return text that damage may have made unreadable; its checksum tells."""
    return data.decode(errors="replace")


def is_new(database: sqlite3.Connection) -> bool:
    """Return whether a journal has no tables yet; raises JournalError when this version cannot read its format."""
    if opening.is_new(database):
        return True
    opening.check_format(database)
    return False


def read_tables(directory: Path, work: Callable[[sqlite3.Connection], T], nothing: T) -> T:
    """Run something on a journal's tables as `read` does; the result is `nothing` where it has none yet."""
    return read(directory, lambda database: nothing if is_new(database) else work(database))


def _contents(database: sqlite3.Connection) -> Contents:
    facts = table.about(database)
    counts = [count(database, lane) for lane in waiting(database)]
    return Contents(
        database.execute("PRAGMA user_version").fetchone()[0],
        str(facts["identity"]),
        str(facts.get("durability", "")),
        str(facts["target"]),
        sum(number for number, _, _ in counts),
        sum(size for _, size, _ in counts),
        min((oldest for _, _, oldest in counts if oldest is not None), default=None),
        table.count_letters(database),
    )


def waiting(database: sqlite3.Connection) -> list[int]:
    """Return the lanes that have writes."""
    return [lane for (lane,) in database.execute(LANES).fetchall()]


def count(database: sqlite3.Connection, lane: int) -> tuple[int, int, float | None]:
    """Return how many writes a lane has, their size, and when the oldest was accepted."""
    total, size, after = 0, 0, -1
    oldest: float | None = None
    while True:
        number, more, first, last = database.execute(COUNT, (lane, after, ROWS_IN_A_STEP)).fetchone()
        if not number or last <= after:
            return total, size, oldest
        oldest = first if oldest is None else min(oldest, first)
        total, size, after = total + number, size + more, last


def lanes(directory: Path, limit: int) -> list[LaneView]:
    """Return a journal's lanes, each with at most `limit` of its first writes."""
    return read_tables(directory, lambda database: list(_lanes(database, limit)), [])


def _lanes(database: sqlite3.Connection, limit: int) -> Iterator[LaneView]:
    seed = table.about(database)["seed"]
    settled: dict[int, int] = dict(database.execute("SELECT lane, settled FROM lanes").fetchall())
    for lane in sorted({*settled, *waiting(database)}):
        number, size, _ = count(database, lane)
        first = [Pending(row, intact(row, seed)) for row in rows(database, lane, limit)]
        yield LaneView(lane, settled.get(lane, -1), number, size, first)


def rows(database: sqlite3.Connection, lane: int, limit: int | None = None) -> Iterator[Row]:
    """Yield the first rows of a lane, or all of them, in order, from short reads."""
    after, left = -1, limit
    while left is None or left > 0:
        step = _step(database, lane, after, ROWS_IN_A_STEP if left is None else min(left, ROWS_IN_A_STEP))
        last = max((row.seq for row in step), default=after)
        if last <= after:
            return
        yield from step
        after, left = last, None if left is None else left - len(step)


def _step(database: sqlite3.Connection, lane: int, after: int, limit: int) -> list[Row]:
    found: list[Row] = []
    size = 0
    cursor = database.execute(table.ROWS, (lane, after, limit))
    for values in cursor:
        found.append(Row(*values))
        size += found[-1].size
        if size > BYTES_IN_A_STEP:
            break
    cursor.close()
    return found


def letters(directory: Path, limit: int) -> list[DeadLetter]:
    """Return the newest dead letters of a journal, oldest first."""
    return read_tables(directory, lambda database: table.letters(database, limit), [])


def letter(directory: Path, seq: int) -> DeadLetter:
    """Return one dead letter; raises NotFoundError."""
    return existing(seq, read_tables(directory, lambda database: table.letter(database, seq), None))


def count_letters(directory: Path) -> int:
    """Return how many dead letters a journal has."""
    return read_tables(directory, table.count_letters, 0)


def letter_numbers(directory: Path) -> list[int]:
    """Return the numbers of all dead letters, in order."""
    return read_tables(directory, lambda database: list(_letter_numbers(database)), [])


def bad_letters(database: sqlite3.Connection) -> list[int]:
    """Return the dead letters that are not what was written."""
    seed = table.about(database)["seed"]
    return [seq for seq in _letter_numbers(database) if not _is_whole(database, seq, seed)]


def _letter_numbers(database: sqlite3.Connection) -> Iterator[int]:
    after = -1
    while step := database.execute(NUMBERS, (after, ROWS_IN_A_STEP)).fetchall():
        after = cast("int", step[-1][0])
        yield from (seq for (seq,) in step)


def _is_whole(database: sqlite3.Connection, seq: int, seed: int) -> bool:
    values = database.execute(f"{table.LETTER} WHERE seq = ?", (seq,)).fetchone()
    sealed = database.execute(SEALED, (seq,)).fetchone()
    return values is None or (intact(Row(*values[: len(Row._fields)]), seed) and sealed == (1,))
