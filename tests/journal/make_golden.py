"""Make the golden journals of a format: `python tests/journal/make_golden.py`, once, before that format is released.

Afterwards they stay as they are: a later version must read them, whatever it writes itself. What is in them is said
here and nowhere else; the test reads it from here too.

    closed     closed cleanly, with writes and dead letters left in it
    crashed    as kill -9 leaves it: some of the same in the database, the rest in its log
"""

import asyncio
import shutil
import time
from datetime import UTC, date, datetime, timedelta, timezone
from datetime import time as clock
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from perdure.journal.sqlite import SqliteJournal, opening, place
from perdure.records import JournalEntry

GOLDEN = Path(__file__).parent / "golden"
TARGET = "Neo4j at golden:7687"
IDENTITY, SEED = "journal-00000000golden00", 20260101
BEGAN = datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp()
LISBON = ZoneInfo("Europe/Lisbon")
STATEMENT = "MERGE (n:Note {id: $id}) SET n += $p"
PARAMETERS = [
    {},
    {"none": None, "yes": True, "int": -(2**63), "float": -0.1, "inf": float("inf"), "text": "Olá\x00 \u2028 🌍"},
    {"list": [1, [2.5, "three"], {"four": None}], "map": {"$perdure": ["datetime", "no"], "deep": {"$perdure": 1}}},
    {"naive": datetime(2026, 1, 2, 3, 4, 5, 678901), "utc": datetime(2026, 1, 2, tzinfo=UTC)},  # noqa: DTZ001
    {
        "zone": datetime(2025, 10, 26, 1, 30, tzinfo=LISBON),
        "again": datetime(2025, 10, 26, 1, 30, tzinfo=LISBON, fold=1),
    },
    {"offset": datetime(2026, 7, 1, tzinfo=timezone(timedelta(hours=-3, minutes=-30))), "day": date(2024, 2, 29)},
    {"time": clock(23, 59, 59, 999999), "there": clock(12, tzinfo=timezone(timedelta(hours=5, minutes=45)))},
]
LANES = 3
ENTRIES = [
    JournalEntry(
        seq=n, lane=n % LANES, key=f"key {n % LANES}" if n % LANES else None, statement=f"{STATEMENT} // {n}",
        parameters={"id": n, **parameters}, size=100 + n, failures=n % 2,
    )
    for n, parameters in enumerate(PARAMETERS * 2)
]  # fmt: skip
ORPHAN = "journal-000000000orphan0"
"""The one of the entries numbered 9 was taken over from there, where it was number 40 of lane 5."""
SETTLED = {0: 0, 1: 1}
BURIED = (3, 4)
KEPT = [each for each in ENTRIES if each.seq > max(BURIED) or each.lane not in {3 % LANES, 4 % LANES}]
ERROR, CODE = "Expected a node, found nothing.", "statement_rejected"


async def write(journal: SqliteJournal, entries: list[JournalEntry]) -> None:
    """Append entries and wait for each."""
    kept = asyncio.Event()
    journal.on_kept(lambda _entries, _error: kept.set())
    for entry in entries:
        kept.clear()
        if not journal.append(entry):
            await kept.wait()


async def fill(directory: Path) -> dict[str, bytes]:
    """Fill a journal and close it; return its files as they were before the close."""
    journal = SqliteJournal(directory, target=TARGET)
    await journal.open()
    await journal.resume({})
    await write(journal, ENTRIES[:9])
    await journal.adopt(ORPHAN, [(ENTRIES[9]._replace(seq=40, lane=5), ENTRIES[9])])
    await journal.resume(SETTLED)
    for seq in BURIED:
        await journal.bury(ENTRIES[seq], ERROR, CODE)
    await journal.close()
    await journal.open()
    await journal.resume({})
    await write(journal, ENTRIES[10:])
    left = {name: (directory / name).read_bytes() for name in (place.DATABASE, place.WAL)}
    await journal.close()
    return left


def make(directory: Path, *, crashed: bool) -> None:
    """Leave a journal's files as the one kind of end or the other does."""
    shutil.rmtree(directory, ignore_errors=True)
    left = asyncio.run(fill(directory))
    if not crashed:
        left = {place.DATABASE: (directory / place.DATABASE).read_bytes()}
    shutil.rmtree(directory)
    directory.mkdir()
    for name, data in left.items():
        (directory / name).write_bytes(data)


def main() -> None:
    """Make both, with a clock, a name and a seed that are the same each time."""
    ticks = iter(range(10**9))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: BEGAN + next(ticks))
        patch.setattr(opening, "new_identity", lambda: IDENTITY)
        patch.setattr(opening, "randbits", lambda _bits: SEED)
        for name in ("closed", "crashed"):
            make(GOLDEN / name, crashed=name == "crashed")
    for path in sorted(GOLDEN.glob("*/*")):
        print(f"{path.relative_to(GOLDEN)}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
