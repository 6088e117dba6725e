"""The journal's tables, and every statement that is run on them. All of it runs on the journal's one thread."""

import sqlite3
import zlib
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from perdure.journal.sqlite.record import Row, decode, entries_in, row
from perdure.records import Backlog, DeadLetter, JournalEntry, LaneState

FORMAT = 1
PAGE_SIZE = 4096
APPLICATION = 0x50455244
COLUMNS = "lane, seq, previous, accepted_at, key, statement, parameters, size, failures, checksum"
SCHEMA = f"""
CREATE TABLE about (name TEXT PRIMARY KEY, value, seal INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE lanes (
    lane INTEGER PRIMARY KEY, settled INTEGER NOT NULL, applied INTEGER NOT NULL, seal INTEGER NOT NULL
);
CREATE TABLE entries (
    place INTEGER PRIMARY KEY, lane INTEGER NOT NULL, seq INTEGER NOT NULL, previous INTEGER NOT NULL,
    accepted_at REAL NOT NULL, key TEXT, statement TEXT NOT NULL, parameters TEXT NOT NULL, size INTEGER NOT NULL,
    failures INTEGER NOT NULL, checksum INTEGER NOT NULL
);
CREATE TABLE dead_letters (
    lane INTEGER NOT NULL, seq INTEGER PRIMARY KEY, previous INTEGER NOT NULL, accepted_at REAL NOT NULL, key TEXT,
    statement TEXT NOT NULL, parameters TEXT NOT NULL, size INTEGER NOT NULL, failures INTEGER NOT NULL,
    checksum INTEGER NOT NULL, error TEXT NOT NULL, code TEXT NOT NULL, failed_at REAL NOT NULL,
    seal INTEGER NOT NULL
);
CREATE TABLE adopted (
    journal TEXT NOT NULL, lane INTEGER NOT NULL, seq INTEGER NOT NULL, seal INTEGER NOT NULL,
    PRIMARY KEY (journal, lane)
) WITHOUT ROWID;
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {FORMAT};
"""
LANE_BITS = 48
"""An entry's place is its lane and its number, in this many bits, so that each lane's entries are together."""
PLACES = f"place > (?1 << {LANE_BITS}) + ?2 AND place < (?1 + 1 << {LANE_BITS})"
INSERT = f"""
INSERT INTO entries (place, {COLUMNS})
VALUES ((?1 << {LANE_BITS}) + ?2, {", ".join(f"?{number}" for number in range(1, 11))})"""
NOTE = "INSERT OR REPLACE INTO about (name, value, seal) VALUES (?1, ?2, crc(?1, ?2))"
SETTLED = """
INSERT INTO lanes (lane, settled, applied, seal) VALUES (?1, ?2, -1, crc(?1, ?2, -1))
ON CONFLICT (lane) DO UPDATE
SET settled = max(settled, ?2), seal = crc(lane, max(settled, ?2), applied)"""
APPLIED = """
INSERT INTO lanes (lane, settled, applied, seal) VALUES (?1, ?2, ?2, crc(?1, ?2, ?2))
ON CONFLICT (lane) DO UPDATE
SET settled = max(settled, ?2), applied = max(applied, ?2), seal = crc(lane, max(settled, ?2), max(applied, ?2))"""
ADOPTED = "INSERT OR REPLACE INTO adopted (journal, lane, seq, seal) VALUES (?1, ?2, ?3, crc(?1, ?2, ?3))"
UNSEALED = """
SELECT 'about' FROM about WHERE seal <> crc(name, value)
UNION ALL SELECT 'lanes' FROM lanes WHERE seal <> crc(lane, settled, applied)
UNION ALL SELECT 'adopted' FROM adopted WHERE seal <> crc(journal, lane, seq)
UNION ALL SELECT 'dead_letters' FROM dead_letters WHERE seal <> crc(checksum, error, code, failed_at)
LIMIT 1"""
"""The tables with a row that is not as it was sealed; the entries have checksums of their own."""
TRIM = f"DELETE FROM entries WHERE place BETWEEN (?1 << {LANE_BITS}) AND (?1 << {LANE_BITS}) + ?2"
ROWS = f"SELECT {COLUMNS} FROM entries WHERE {PLACES} ORDER BY place LIMIT ?3"
FITTING = f"""
SELECT max(1, count(*) FILTER (WHERE upto <= ?4))
FROM (SELECT sum(size) OVER (ORDER BY place) AS upto FROM entries WHERE {PLACES} ORDER BY place LIMIT ?3)"""
PAGE = f"""
SELECT '[' || group_concat(printf('[%d,%d,%s,%s,%s,%d,%!.17g,%d]',
    seq, lane, json_quote(key), json_quote(statement), parameters, size, accepted_at, failures)) || ']'
FROM (SELECT * FROM entries WHERE {PLACES} ORDER BY place LIMIT ?3)"""
"""A page of entries as one JSON text, since a thread that steps from row to row asks for the interpreter at each."""
BURY = f"""
INSERT OR REPLACE INTO dead_letters ({COLUMNS}, error, code, failed_at, seal)
SELECT {COLUMNS}, ?3, ?4, ?5, crc(checksum, ?3, ?4, ?5) FROM entries WHERE place = (?1 << {LANE_BITS}) + ?2"""
LETTER = f"SELECT {COLUMNS}, error, code, failed_at FROM dead_letters"
INSERT_LETTER = f"""
INSERT INTO dead_letters ({COLUMNS}, error, code, failed_at, seal)
VALUES ({", ".join(f"?{number}" for number in range(1, 14))}, crc(?10, ?11, ?12, ?13))"""

HIGHEST = """
SELECT coalesce(max(seq), -1) FROM (
    SELECT seq FROM entries UNION ALL SELECT seq FROM dead_letters UNION ALL SELECT settled FROM lanes
    UNION ALL SELECT value FROM about WHERE name = 'highest'
)"""


@contextmanager
def transaction(database: sqlite3.Connection) -> Generator[None]:
    """Commit what the body did, or none of it."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def prepare(database: sqlite3.Connection) -> sqlite3.Connection:
    """Teach a connection what the statements here need, and to read text that is damaged; return it."""
    database.create_function("crc", -1, crc, deterministic=True)
    database.text_factory = text_of
    return database


def text_of(content: bytes) -> str:
    """Return a text, also one that is damaged: its checksum will say so."""
    return content.decode("utf-8", "surrogateescape")


def crc(*values: object) -> int:
    """Return a checksum of a row's values."""
    text = "\0".join(value if isinstance(value, str) else repr(value) for value in values)
    return zlib.crc32(text.encode("utf-8", "surrogateescape"))


def unsealed(database: sqlite3.Connection) -> str:
    """Return the name of a table with a row that is not as it was written, or an empty text."""
    found = database.execute(UNSEALED).fetchone()
    return found[0] if found else ""


def letter_rows(database: sqlite3.Connection) -> Iterator[Row]:
    """Yield every dead letter's row, as it stands."""
    return (Row(*values) for values in database.execute(f"SELECT {COLUMNS} FROM dead_letters ORDER BY seq"))


def about(database: sqlite3.Connection) -> dict[str, Any]:
    """Return what the journal says of itself."""
    return dict(database.execute("SELECT name, value FROM about"))


def note(database: sqlite3.Connection, facts: Mapping[str, Any]) -> None:
    """Write down what the journal says of itself."""
    database.executemany(NOTE, facts.items())


def states(database: sqlite3.Connection) -> dict[int, LaneState]:
    """Return how far each lane is settled, and its last number."""
    found = {
        lane: LaneState(settled, settled, applied)
        for lane, settled, applied in database.execute("SELECT lane, settled, applied FROM lanes")
    }
    for lane, last in database.execute("SELECT lane, max(seq) FROM entries GROUP BY lane"):
        known = found.get(lane, LaneState(-1, -1, -1))
        found[lane] = known._replace(last=max(known.settled, last))
    return found


def highest(database: sqlite3.Connection) -> int:
    """Return the highest number any write was ever given, or -1."""
    return database.execute(HIGHEST).fetchone()[0]


def settle(database: sqlite3.Connection, up_to: Mapping[int, int]) -> int:
    """Let go of the writes of some lanes, each up to a number: they are in the store. Return how many that was."""
    trimmed = database.executemany(TRIM, up_to.items()).rowcount
    database.executemany(APPLIED, up_to.items())
    return max(0, trimmed)


def forget_lanes(database: sqlite3.Connection) -> None:
    """Forget how far the lanes of another graph are settled; their numbers are not given again."""
    note(database, {"highest": highest(database)})
    database.execute("DELETE FROM lanes")


def backlog(database: sqlite3.Connection) -> Backlog:
    """Count what is not settled, by lane and by key."""
    lanes = {
        lane: (count, size)
        for lane, count, size in database.execute("SELECT lane, count(*), sum(size) FROM entries GROUP BY lane")
    }
    keys = {
        key: (lane, count)
        for key, lane, count in database.execute(
            "SELECT key, lane, count(*) FROM entries WHERE key IS NOT NULL GROUP BY key, lane"
        )
    }
    (oldest,) = database.execute("SELECT min(accepted_at) FROM entries").fetchone()
    return Backlog(lanes, keys, oldest)


def has_entries(database: sqlite3.Connection) -> bool:
    """Return whether anything is not settled."""
    return bool(database.execute("SELECT EXISTS (SELECT 1 FROM entries)").fetchone()[0])


def page(database: sqlite3.Connection, place: tuple[int, int], max_count: int, max_bytes: int) -> list[JournalEntry]:
    """Return the entries behind a place (lane and number) that fit into both limits: at least one if there are any.

    Their checksums were looked at when the journal was opened, and those written since are this process's own.
    """
    (count,) = database.execute(FITTING, (*place, max_count, max_bytes)).fetchone()
    (text,) = database.execute(PAGE, (*place, count)).fetchone()
    return [] if text is None else entries_in(text)


def rows(database: sqlite3.Connection) -> Iterator[Row]:
    """Yield every row of the entries, lane by lane, in order, as it stands."""
    return (Row(*values) for values in database.execute(f"SELECT {COLUMNS} FROM entries ORDER BY place"))


def bury(database: sqlite3.Connection, entry: JournalEntry, error: str, code: str, failed_at: float) -> None:
    """Move an entry to the dead letters."""
    database.execute(BURY, (entry.lane, entry.seq, error, code, failed_at))
    database.execute(TRIM, (entry.lane, entry.seq))
    database.execute(SETTLED, (entry.lane, entry.seq))


def letters(database: sqlite3.Connection, limit: int | None = None) -> list[DeadLetter]:
    """Return the newest dead letters, oldest first."""
    newest = database.execute(f"{LETTER} ORDER BY failed_at DESC, seq DESC LIMIT ?", (-1 if limit is None else limit,))
    return [_letter(values) for values in newest][::-1]


def letter(database: sqlite3.Connection, seq: int) -> DeadLetter | None:
    """Return one dead letter."""
    values = database.execute(f"{LETTER} WHERE seq = ?", (seq,)).fetchone()
    return _letter(values) if values else None


def count_letters(database: sqlite3.Connection) -> int:
    """Return how many dead letters there are."""
    return database.execute("SELECT count(*) FROM dead_letters").fetchone()[0]


def drop_letters(database: sqlite3.Connection, seqs: Iterable[int]) -> int:
    """Remove dead letters, and return how many there were."""
    before = count_letters(database)
    database.executemany("DELETE FROM dead_letters WHERE seq = ?", ((seq,) for seq in seqs))
    return before - count_letters(database)


def insert_letter(database: sqlite3.Connection, letter: DeadLetter, seq: int, seed: int) -> None:
    """Add a dead letter of another journal under a number of this one."""
    found = JournalEntry(seq, 0, letter.key, letter.query, letter.parameters, letter.size, failures=letter.attempts - 1)
    kept = row(found, -1, letter.accepted_at.timestamp(), seed)
    database.execute(INSERT_LETTER, (*kept, letter.error, letter.code, letter.failed_at.timestamp()))


def _letter(values: Sequence[Any]) -> DeadLetter:
    kept = Row(*values[:10])
    error, code, failed_at = values[10:]
    return DeadLetter(
        kept.seq, kept.key, kept.statement, decode(kept.parameters), error, code, kept.failures + 1,
        moment(kept.accepted_at), moment(failed_at), kept.size,
    )  # fmt: skip


def moment(seconds: float) -> datetime:
    """Return seconds since 1970 as a datetime in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def adopted_up_to(database: sqlite3.Connection, journal: str) -> dict[int, int]:
    """Return how much of another journal was taken over already, by lane."""
    return dict(database.execute("SELECT lane, seq FROM adopted WHERE journal = ?", (journal,)))


def note_adopted(database: sqlite3.Connection, journal: str, lane: int, seq: int) -> None:
    """Write down how much of another journal's lane is taken over."""
    database.execute(ADOPTED, (journal, lane, seq))
