"""What journal tests are made of: entries, journals on disk, and copies of their files as a crash would leave them."""

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

from perdure.journal.sqlite import SqliteJournal, place
from perdure.records import JournalEntry
from perdure.testing import wait_until

NOTE = "CREATE (:Note {n: $n})"
ALL = 2**40


def entry(seq: int, lane: int = 0, key: str | None = None, *, pad: int = 0, **fields: Any) -> JournalEntry:
    """Return a write; `pad` is how many bytes of text it carries beside its number."""
    parameters: Mapping[str, Any] = {"n": seq, "pad": "x" * pad} if pad else {"n": seq}
    made = JournalEntry(seq, lane, key, NOTE, parameters, 100 + pad)
    return made._replace(**fields)


async def begun(directory: Path, **options: Any) -> SqliteJournal:
    """Return a journal that can be written to."""
    journal = SqliteJournal(directory, **options)
    await journal.open()
    await journal.resume({})
    return journal


@asynccontextmanager
async def opened(directory: Path, **options: Any) -> AsyncGenerator[SqliteJournal]:
    """Have a journal that can be written to, and close it afterwards."""
    journal = await begun(directory, **options)
    try:
        yield journal
    finally:
        await journal.close()


async def append(journal: SqliteJournal, *entries: JournalEntry, replacing: int | None = None) -> None:
    """Append writes, and return when all of them are kept; raise when one could not be."""
    told: list[int] = []
    errors: list[Exception] = []

    def on_kept(kept: Sequence[JournalEntry], error: Exception | None) -> None:
        told.extend(each.seq for each in kept)
        errors.extend([error] if error else [])

    journal.on_kept(on_kept)
    expected = [each.seq for each in entries if not journal.append(each, replacing)]
    await wait_until(lambda: len(told) == len(expected))
    assert told == expected
    if errors:
        raise errors[0]


async def filled(directory: Path, count: int, *, lanes: int = 1, pad: int = 0, **options: Any) -> SqliteJournal:
    """Return an open journal with that many writes, each in a commit of its own, the lanes in turn."""
    journal = await begun(directory, **options)
    for seq in range(count):
        await append(journal, entry(seq, seq % lanes, f"k{seq % lanes}", pad=pad))
    return journal


async def left(journal: SqliteJournal) -> list[JournalEntry]:
    """Return every write that is not settled, lane by lane, without the time at which it was accepted."""
    backlog = await journal.resume({})
    found = [each for lane in sorted(backlog.lanes) for each in await journal.read(lane, -1, ALL, ALL)]
    return [each._replace(accepted_at=0.0) for each in found]


async def numbers(journal: SqliteJournal) -> list[int]:
    """Return the numbers of the writes that are not settled, in order."""
    return sorted(each.seq for each in await left(journal))


async def until_settled(journal: SqliteJournal, lane: int, up_to: int) -> None:
    """Return when a lane's writes up to a number, which were settled, are gone."""
    async with asyncio.timeout(5):
        while [each for each in await journal.read(lane, -1, 1, ALL) if each.seq <= up_to]:
            pass


def files(directory: Path) -> dict[str, bytes]:
    """Return the database and its log, byte by byte."""
    return {
        name: (directory / name).read_bytes() for name in (place.DATABASE, place.WAL) if (directory / name).exists()
    }


def lay(directory: Path, contents: Mapping[str, bytes]) -> Path:
    """Make a directory that holds these files and nothing else."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    for name, data in contents.items():
        (directory / name).write_bytes(data)
    return directory


async def crashed(journal: SqliteJournal, to: Path) -> Path:
    """Copy an open journal's files as a crash would leave them now, between two of its commits."""
    contents = await journal._call(lambda: files(journal.directory))
    return lay(to, contents)


def flipped(data: bytes, position: int, bit: int = 0) -> bytes:
    """Return data with one bit changed."""
    changed = bytearray(data)
    changed[position] ^= 1 << bit
    return bytes(changed)


def as_sqlite_reads(directory: Path, query: str = "SELECT seq FROM entries ORDER BY seq") -> list[Any]:
    """Return one column as SQLite by itself, without us, would give it to anybody who opened these files."""
    with closing(sqlite3.connect(f"{(directory / place.DATABASE).as_uri()}?mode=ro", uri=True)) as database:
        return [value for (value,) in database.execute(query)]
