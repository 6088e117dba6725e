"""The SQLite file behind the vectors: derived data, made anew when it is damaged or of another format."""

import sqlite3
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from perdure.errors import ClosedError, ConfigError, StoreUnavailableError, shorten
from perdure.records import Revision, VectorRecord
from perdure.runtime.filelock import FileLock
from perdure.stores.sqlite_vectors.analysis import Hashes
from perdure.stores.sqlite_vectors.corpus import Row
from perdure.telemetry import STORES
from perdure.vectors import as_json, check_index

FORMAT = "1"
PAGE = 5000
BUSY_SECONDS = 10.0
PRIMARY_CODE = 0xFF
DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
SCHEMA = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE records (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    owner TEXT NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    agent_id TEXT,
    run_id TEXT,
    session_id TEXT,
    expired INTEGER NOT NULL,
    created_at REAL NOT NULL,
    revision TEXT NOT NULL,
    metadata TEXT NOT NULL,
    vector BLOB NOT NULL,
    words BLOB NOT NULL,
    UNIQUE (owner, id)
);
CREATE INDEX records_of_owner ON records (owner, place);
"""
ABOUT = "SELECT name, value FROM about"
SET_ABOUT = "INSERT INTO about (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
UPSERT = "INSERT OR REPLACE INTO records VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
DELETE = "DELETE FROM records WHERE owner = ? AND id = ?"
FORGET = (
    "DELETE FROM records WHERE owner = :owner AND (:kinds = '' OR instr(:kinds, ' ' || kind || ' ')) "
    "AND (:agent_id IS NULL OR agent_id = :agent_id) AND (:run_id IS NULL OR run_id = :run_id) "
    "AND (:session_id IS NULL OR session_id = :session_id) RETURNING id"
)
ROWS = (
    "SELECT id, kind, agent_id, run_id, session_id, expired, metadata, vector, words FROM records "
    "WHERE owner = ? ORDER BY place"
)
COUNT = "SELECT count(*) FROM records WHERE :owner IS NULL OR owner = :owner"
COUNT_OF = "SELECT count(*) FROM records WHERE owner = :owner"
REVISIONS = "SELECT owner, id, revision FROM records WHERE (owner, id) > (?, ?) ORDER BY owner, id LIMIT ?"


def take(path: Path) -> FileLock:
    """Hold a file of vectors for one client, whose memory is the only one that follows what is written to it.

    Raises StoreUnavailableError when another has it, here or in another process.
    """
    lock = FileLock()
    try:
        lock.hold(path.with_name(path.name + ".lock"))
    except BlockingIOError:
        raise StoreUnavailableError(
            f"{str(path)!r} is in use, and takes one client at a time.",
            hint="Close that one, choose another data_dir, or let several processes share a Neo4j (neo4j.uri).",
        ) from None
    return lock


class File:
    """A file of records, open for one writer; each reader opens it for itself."""

    def __init__(self, path: Path, lock: FileLock, connection: sqlite3.Connection) -> None:
        self._path = path
        self._lock = lock
        self._connection = connection
        self._damaged = False

    @classmethod
    def opened(cls, path: Path, embedder: str, dimension: int, *, anew: bool) -> "File":
        """Open or make the file; one that is damaged is made anew, and is then empty.

        Raises ConfigError when it was made for another embedder, unless it may be made `anew`, or cannot be there at
        all, and StoreUnavailableError while somebody else has it open.
        """
        with ExitStack() as stack:
            try:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                lock = take(path)
                stack.callback(lock.release)
                connection = mended(path)
                if anew and maker(connection) not in (None, (embedder, dimension)):
                    connection.close()
                    drop(path)
                    connection = prepared(path)
            except (OSError, sqlite3.Error) as error:
                raise ConfigError(
                    f"{str(path)!r} cannot hold the vectors: {shorten(str(error), 200)}",
                    hint="Choose a directory this process may write to: data_dir (PERDURE_DATA_DIR).",
                ) from error
            stack.callback(connection.close)
            claim(connection, path, embedder, dimension)
            stack.pop_all()
        return cls(path, lock, connection)

    def close(self) -> None:
        """Close it; one that was found damaged meanwhile goes, to be made anew at the next opening."""
        with suppress(sqlite3.Error), self._connection:
            self._connection.execute(SET_ABOUT, ("closed", "yes"))
        self._connection.close()
        if self._damaged:
            drop(self._path)
        self._lock.release()

    # -- writing, on one thread

    def upsert(self, records: Sequence[VectorRecord], rows: Sequence[Row], mark: str | None) -> None:
        """Keep records, and a mark with them, in one transaction."""
        with self._answered(), self._connection as work:
            work.executemany(UPSERT, (columns(*pair) for pair in zip(records, rows, strict=True)))
            if mark is not None:
                work.execute(SET_ABOUT, ("mark", mark))

    def delete(self, owner: str, ids: Sequence[str]) -> None:
        """Remove records of an owner."""
        with self._answered(), self._connection as work:
            work.executemany(DELETE, ((owner, each) for each in ids))

    def forget(self, owner: str, kinds: Sequence[str], narrowing: dict[str, str | None]) -> list[str]:
        """Remove an owner's records, all or some, and return their ids."""
        listed = f" {' '.join(kinds)} " if kinds else ""
        with self._answered(), self._connection as work:
            return [row[0] for row in work.execute(FORGET, {"owner": owner, "kinds": listed, **narrowing})]

    # -- reading, on any thread

    def rows(self, owner: str) -> Iterator[list[Row]]:
        """Yield an owner's records, oldest first, in pages."""
        with self._reading() as connection:
            found = connection.execute(ROWS, (owner,))
            while page := found.fetchmany(PAGE):
                yield [Row(*values) for values in page]

    def count(self, owner: str | None) -> int:
        """Return how many records there are."""
        with self._reading() as connection:
            return connection.execute(COUNT if owner is None else COUNT_OF, {"owner": owner}).fetchone()[0]

    def mark(self) -> str | None:
        """Return the newest mark."""
        with self._reading() as connection:
            return dict(connection.execute(ABOUT).fetchall()).get("mark")

    def revisions(self, after: Revision | None, limit: int) -> list[Revision]:
        """Return a page of what is there."""
        owner, name = ("", "") if after is None else (after.owner, after.id)
        with self._reading() as connection:
            return [Revision(*row) for row in connection.execute(REVISIONS, (owner, name, limit))]

    @contextmanager
    def _reading(self) -> Generator[sqlite3.Connection]:
        with self._answered(), closing(connected(self._path, "ro")) as connection:
            yield connection

    @contextmanager
    def _answered(self) -> Generator[None]:
        """Turn SQLite's errors into ours, and remember when the file is at fault."""
        try:
            yield
        except sqlite3.ProgrammingError as error:
            raise ClosedError("The vectors were closed meanwhile.") from error
        except sqlite3.Error as error:
            if is_damage(error):
                self._damaged = True
                raise StoreUnavailableError(
                    f"{str(self._path)!r} is damaged: {shorten(str(error), 200)}",
                    hint="Close the client and connect again; the index is then made anew from the graph.",
                ) from error
            raise StoreUnavailableError(f"{str(self._path)!r} cannot be used: {shorten(str(error), 200)}") from error


def connected(path: Path, mode: str) -> sqlite3.Connection:
    """Open a connection that any one thread at a time may use."""
    return sqlite3.connect(
        f"file:{quote(str(path))}?mode={mode}", uri=True, timeout=BUSY_SECONDS, check_same_thread=False
    )


def mended(path: Path) -> sqlite3.Connection:
    """Open a file for writing, and make it anew where it is damaged."""
    try:
        return prepared(path)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        STORES.warning("%s is damaged (%s); it is made anew, from the graph.", path, error)
        drop(path)
        return prepared(path)


def prepared(path: Path) -> sqlite3.Connection:
    """Open a file for writing, look whether it is whole where it was not closed, and make its tables."""
    connection = connected(path, "rwc")
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        if about(connection).get("format", FORMAT) != FORMAT:
            connection.close()
            STORES.warning("%s is of another format; it is made anew, from the graph.", path)
            drop(path)
            return prepared(path)
        if not has_tables(connection):
            connection.executescript(SCHEMA)
        elif "closed" not in about(connection):
            check_whole(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether the file is at fault: what is in it is not what SQLite wrote."""
    return getattr(error, "sqlite_errorcode", 0) & PRIMARY_CODE in DAMAGED


def has_tables(connection: sqlite3.Connection) -> bool:
    """Return whether the file is one of ours already."""
    found = connection.execute("SELECT count(*) FROM sqlite_schema WHERE name IN ('about', 'records')").fetchone()
    return found[0] == 2


def about(connection: sqlite3.Connection) -> dict[str, str]:
    """Return what is noted about the file."""
    return dict(connection.execute(ABOUT).fetchall()) if has_tables(connection) else {}


def check_whole(connection: sqlite3.Connection) -> None:
    """Raise the error that SQLite has for a damaged file when this one is."""
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        error = sqlite3.DatabaseError(shorten(found, 200))
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error


def maker(connection: sqlite3.Connection) -> tuple[str, int] | None:
    """Return the embedder and the dimension that the file was made for, if that is noted."""
    known = about(connection)
    return (known["embedder"], int(known["dimension"])) if "embedder" in known else None


def claim(connection: sqlite3.Connection, path: Path, embedder: str, dimension: int) -> None:
    """Note whose vectors these are; raises ConfigError when they are another embedder's."""
    made_for = maker(connection)
    if made_for is not None:
        check_index(made_for, (embedder, dimension), str(path))
    with connection as work:
        for pair in (("format", FORMAT), ("embedder", embedder), ("dimension", str(dimension))):
            work.execute(SET_ABOUT, pair)
        work.execute("DELETE FROM about WHERE name = 'closed'")


def columns(record: VectorRecord, row: Row) -> tuple[Any, ...]:
    """Return the values of a record's columns."""
    return (
        record.owner,
        *row[:6],
        record.created_at,
        record.revision,
        *row[6:],
    )


def row_of(record: VectorRecord, words: Hashes) -> Row:
    """Return a record as it is kept."""
    return Row(
        record.id,
        record.kind,
        record.agent_id,
        record.run_id,
        record.session_id,
        record.expired,
        as_json(record.metadata),
        record.vector.astype("<f4").tobytes(),
        words.astype("<u8").tobytes(),
    )


def drop(path: Path) -> None:
    """Remove a file and what SQLite keeps beside it."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
