"""Opening a journal's database: what is whole is used, a torn tail is mended and reported, damage is refused."""

import contextlib
import ctypes
import sqlite3
from collections.abc import Generator
from pathlib import Path
from secrets import randbits, token_hex
from typing import Any, NamedTuple

from perdure.errors import ConfigError, JournalCorruptError, JournalError, JournalFullError
from perdure.journal.sqlite import place, table, wal
from perdure.journal.sqlite.record import intact
from perdure.journal.sqlite.table import PAGE_SIZE
from perdure.records import Durability
from perdure.telemetry import WRITES

PAGES_TO_SPARE = 256
PAGES_FREED_AT_ONCE = 1024
SHORT_LOG = 64 * 1024
BUSY_SECONDS = 5.0
AUTO = "auto"
"""The name that means: the first free one of `auto-1`, `auto-2` and so on."""
SALVAGE = "Nothing was changed. `perdure journal salvage` writes what can be read into a new journal."
HEADER_BYTES = 100
MAGIC = b"SQLite format 3\x00"
VERSIONS = (b"\x01\x01", b"\x02\x02")
"""Of the file format, without and with a write-ahead log."""
TROUBLE_ELSEWHERE = ("SQLITE_BUSY", "SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_NOMEM", "SQLITE_FULL", "SQLITE_PERM")


class Opened(NamedTuple):
    """A journal's database, ready to be written."""

    database: sqlite3.Connection
    identity: str
    seed: int
    epoch: int
    target: str
    """Which graph the entries are for, as the settings named it when they were written."""
    findings: list[str]


def open_database(directory: Path, durability: Durability, max_bytes: int) -> Opened:
    """Open or make the database in a journal's directory, which the caller holds.

    Raises JournalCorruptError for damage, with the files as they were, and for a format this version cannot read;
    JournalFullError when its disk is full; ConfigError when the files cannot be used.
    """
    path = directory / place.DATABASE
    findings = examine(path)
    with explained(directory):
        try:
            return begin(path, durability, max_bytes, findings)
        except sqlite3.OperationalError as error:
            if not isinstance(meaning(error, directory), JournalFullError) or not place.drop_ballast(directory):
                raise
        return begin(path, durability, max_bytes, findings)


def begin(path: Path, durability: Durability, max_bytes: int, findings: list[str]) -> Opened:
    """Open a database that has been examined, write down who uses it from now on, and begin a new log."""
    if place.size_of(path):
        with damage_named(path.parent):
            verify(path)
    database = connect(path)
    facts = prepare(database, durability, max_bytes)
    epoch = facts["epoch"] + 1
    with table.transaction(database):
        table.note(database, {"epoch": epoch, "clean": 0, "durability": durability, "boot": place.boot()})
    fold_log(database, path.parent)
    return Opened(database, facts["identity"], facts["seed"], epoch, facts["target"], findings)


def examine(path: Path) -> list[str]:
    """Look at the files before SQLite does, since it would mend them without a word; return what it will mend."""
    if path.exists() and not is_database(beginning(path)):
        raise JournalCorruptError(f"{str(path)!r} is not a journal, or its beginning is damaged.", hint=SALVAGE)
    log_path = path.with_name(place.WAL)
    if not place.size_of(path) and place.size_of(log_path):
        raise JournalCorruptError(f"{str(path)!r} is gone, and its log is still there.", hint=SALVAGE)
    log = wal.examine(log_path, PAGE_SIZE)
    if log.lost_commits and went_down_unsynced(path):
        where = repr(str(path.parent))
        gone = f"the last {log.lost_commits} commits did not reach the disk in order, and are gone"
        return [f"The system went down while the journal in {where} was in use with durability 'os': {gone}."]
    if log.lost_commits:
        raise JournalCorruptError(
            f"{str(log_path)!r} is damaged in the middle: {log.lost_commits} commits behind the damage would be lost.",
            hint=SALVAGE,
        )
    if log.torn:
        return [f"The journal's last commit in {str(path.parent)!r} was not whole, as after a crash; it was let go."]
    return []


def beginning(path: Path) -> bytes:
    """Return the first bytes of a file."""
    with path.open("rb") as file:
        return file.read(HEADER_BYTES)


def is_database(header: bytes) -> bool:
    """Return whether a file begins as one of our databases does, or is empty."""
    return not header or (header.startswith(MAGIC) and header[18:20] in VERSIONS)


def went_down_unsynced(path: Path) -> bool:
    """Return whether the system has started anew since a journal that need not survive that was in use.

    What had not reached the disk by then may be missing anywhere in the log.
    """
    try:
        with looking_at(path, with_log=False) as database:  # the log is in doubt
            facts = table.about(database)
    except sqlite3.Error:
        return False
    then = facts.get("boot")
    return facts.get("durability") == "os" and bool(then) and then != place.boot()


def connect(path: Path) -> sqlite3.Connection:
    """Open the database file to write, made readable for its owner alone when it is new.

    The connection ends only by `shut`: left to the garbage collector, at exit or in a forked child, SQLite would fold
    its log into the database and remove it under whoever uses it then.
    """
    path.touch(mode=0o600)
    database = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode=rw",
        uri=True,
        isolation_level=None,
        timeout=BUSY_SECONDS,
        check_same_thread=False,
    )
    table.prepare(database)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(database))
    return database


@contextlib.contextmanager
def looking_at(path: Path, *, with_log: bool = True) -> Generator[sqlite3.Connection]:
    """Open the database to read, with its log if there is one, without touching its files."""
    logged = with_log and path.with_name(place.WAL).exists()
    uri = f"{path.resolve().as_uri()}?mode=ro{'' if logged else '&immutable=1'}"
    with contextlib.closing(sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_SECONDS)) as database:
        yield table.prepare(database)


def prepare(database: sqlite3.Connection, durability: Durability, max_bytes: int) -> dict[str, Any]:
    """Set the database up, make its tables when it is new, and return what it says of itself."""
    database.execute("PRAGMA wal_autocheckpoint = 0")  # first: others may commit, and a checkpoint takes room
    new = is_new(database)
    for pragma in (
        *((f"page_size = {PAGE_SIZE}", "auto_vacuum = INCREMENTAL") if new else ()),
        "journal_mode = WAL",
        "secure_delete = FAST",  # builds of SQLite with ON write each page that is let go of into the log once more
        f"synchronous = {'FULL' if durability == 'disk' else 'NORMAL'}",
        f"max_page_count = {2 * max_bytes // PAGE_SIZE + PAGES_TO_SPARE}",
    ):
        database.execute(f"PRAGMA {pragma}")
    if new:
        facts = {"identity": new_identity(), "seed": randbits(32), "epoch": 0, "target": "", "clean": 1}
        with table.transaction(database):
            for statement in table.SCHEMA.split(";"):
                database.execute(statement)
            table.note(database, facts)
    return table.about(database)


def fold_log(database: sqlite3.Connection, directory: Path, *, shrink: bool = False) -> None:
    """Fold the log into the database and begin it anew: a database in use has a log that is not empty, always.

    Where the disk has no room for the whole of it, the log goes on as it is: half of it would only take the rest of
    the room.
    """
    (pages,) = database.execute("PRAGMA page_count").fetchone()
    growth = pages * PAGE_SIZE - place.size_of(directory / place.DATABASE)
    if growth > 0 and place.free(directory) < growth + place.LEAST_BYTES:
        return
    if shrink:
        database.execute(f"PRAGMA journal_size_limit = {SHORT_LOG}").fetchall()
    database.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
    table.note(database, {"clean": 0})
    database.execute("PRAGMA journal_size_limit = -1").fetchall()


def give_back(database: sqlite3.Connection, least: int) -> bool:
    """Move some pages that are no longer used to the end of the database, and off it, when they are that many."""
    (free,) = database.execute("PRAGMA freelist_count").fetchone()
    if free >= least:
        database.executescript(f"PRAGMA incremental_vacuum({PAGES_FREED_AT_ONCE})")
    return free >= least


def widen(database: sqlite3.Connection) -> None:
    """Let the database grow a little more than it may, for what makes room again or must not be lost."""
    (pages,) = database.execute("PRAGMA max_page_count").fetchone()
    database.execute(f"PRAGMA max_page_count = {pages + PAGES_TO_SPARE}")


def is_new(database: sqlite3.Connection) -> bool:
    """Return whether a database has no tables yet."""
    return not database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]


def check_format(database: sqlite3.Connection) -> None:
    """Refuse what is no journal, or is one of a newer version. There is no older version to migrate from yet."""
    (application,) = database.execute("PRAGMA application_id").fetchone()
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if application != table.APPLICATION:
        raise JournalCorruptError("This SQLite file is not one of Perdure's journals.")
    if version > table.FORMAT:
        raise JournalError(
            f"The journal has format {version}, and this version of Perdure reads up to {table.FORMAT}.",
            hint="Upgrade Perdure, or let the newer version drain it first.",
        )


def verify(path: Path) -> None:
    """Refuse a database in which something is missing or changed."""
    has_log = place.size_of(path.with_name(place.WAL)) > 0
    with looking_at(path) as database:
        if is_new(database):
            return
        check_format(database)
        facts = table.about(database)
        if not (facts.get("clean") or has_log):
            raise JournalCorruptError(
                f"{place.WAL} is missing from {str(path.parent)!r}, or empty: what was in it is not known.",
                hint=f"Restore it. {SALVAGE}",
            )
        (said,) = database.execute("PRAGMA quick_check(1)").fetchone()
        problem = said.splitlines()[-1] if said != "ok" else first_problem(database, facts["seed"])
        if problem:
            raise JournalCorruptError(f"The journal in {str(path.parent)!r} is damaged: {problem}.", hint=SALVAGE)


@contextlib.contextmanager
def damage_named(directory: Path) -> Generator[None]:
    """Call damage what SQLite cannot make sense of, whatever SQLite calls it."""
    try:
        yield
    except sqlite3.Error as error:
        if name_of(error).startswith(TROUBLE_ELSEWHERE):
            raise
        raise damaged(directory, error) from error


def damaged(directory: Path, error: sqlite3.Error) -> JournalCorruptError:
    """Return the error for a database that SQLite cannot read."""
    return JournalCorruptError(f"The journal in {str(directory)!r} is damaged: {error}.", hint=SALVAGE)


def first_problem(database: sqlite3.Connection, seed: int) -> str:
    """Return what is wrong with the first row that is not as it was written, or an empty text."""
    if place_of_damage := table.unsealed(database):
        return f"a row of its table {place_of_damage!r} is not what was written"
    for letter in table.letter_rows(database):
        if not intact(letter, seed):
            return f"dead letter {letter.seq!r} is not what was written"
    last = {lane: state.settled for lane, state in table.states(database).items()}
    for row in table.rows(database):
        if not intact(row, seed):
            return f"write {row.seq!r} of lane {row.lane!r} is not what was written"
        if row.previous != last.get(row.lane, -1):
            return f"the write before number {row.seq} in lane {row.lane} is missing"
        last[row.lane] = row.seq
    return ""


def new_identity() -> str:
    """Return a name that no other journal has."""
    return f"journal-{token_hex(8)}"


def orphaned(directory: Path) -> list[Path]:
    """Return the journals beside this one that nobody holds and that have writes left, or cannot be read."""
    return [path for path in place.siblings(directory) if not place.is_locked(path) and has_entries(path)]


def has_entries_for(directory: Path, target: str) -> bool:
    """Return whether a journal that nobody holds has writes left for a graph; those for another one are logged."""
    if directory.name == AUTO:
        return any(has_entries_for(path, target) for path in directory.parent.glob(f"{AUTO}-*"))
    if not (directory / place.DATABASE).exists() or place.is_locked(directory) or not has_entries(directory):
        return False
    with contextlib.suppress(sqlite3.Error), looking_at(directory / place.DATABASE) as database:
        meant = table.about(database).get("target", "")
        if target and meant not in ("", target):
            WRITES.warning("the journal in %r holds writes for %s, which stay there", str(directory), meant)
            return False
    return True


def has_entries(directory: Path) -> bool:
    """Return whether a journal has writes left, as far as can be told without opening it."""
    try:
        with looking_at(directory / place.DATABASE) as database:
            return table.has_entries(database)
    except sqlite3.Error:
        return True


def shut(database: sqlite3.Connection) -> None:
    """Close a database so that the next owner sees that it was closed.

    Raises sqlite3.Error when that cannot be written; its files then stay as a crash would leave them.
    """
    with table.transaction(database):
        table.note(database, {"clean": 1})
    database.close()


class explained(contextlib.AbstractContextManager[None]):  # noqa: N801  reads as a statement
    """Turn SQLite's errors into the journal's."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, sqlite3.Error):
            raise meaning(error, self._directory) from error
        if isinstance(error, OSError):
            raise place.unusable(self._directory, error) from error


def meaning(error: sqlite3.Error, directory: Path) -> JournalError | ConfigError:
    """Return what an error of SQLite means for the journal."""
    name = name_of(error)
    where = repr(str(directory))
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR_SHM")) and (name == "SQLITE_FULL" or place.is_full(directory)):
        return JournalFullError(
            f"The disk of {where} is full, or the journal has reached max_journal_bytes; this write was not accepted.",
            hint="Free some space, or let it drain: committed writes make room by themselves.",
        )
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return damaged(directory, error)
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM", "SQLITE_AUTH")):
        return ConfigError(f"{where} cannot hold the journal: {error}.", hint=place.ELSEWHERE)
    return JournalError(
        f"The journal in {where} cannot be written ({name or type(error).__name__}: {error}); what was being written "
        "may or may not be kept.",
        hint="Look at the disk, then make a new client: it replays what was accepted.",
    )


def failed_on_disk(error: sqlite3.Error) -> bool:
    """Return whether a read, a write or a sync of the file failed."""
    return name_of(error).startswith("SQLITE_IOERR")


def name_of(error: sqlite3.Error) -> str:
    """Return SQLite's own name for an error, or an empty text where it has none."""
    return getattr(error, "sqlite_errorname", None) or ""
