"""Salvage, with damage anywhere: nothing it keeps was never written, and what it does not keep it owns up to."""

import asyncio
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from perdure import BufferedWriter, JournalCorruptError
from perdure.journal.sqlite import SqliteJournal, inspection, pages, remains, table
from perdure.journal.sqlite.record import Row
from perdure.journal.sqlite.salvage import Salvaged, salvage
from perdure.testing import FakeGraphStore

NOTE = "CREATE (:Note {n: $n, text: $text})"
SEEDS = range(10)
LONG = 9000


def nobody(done: int, total: int) -> None:
    """Hear of the progress, and say nothing."""
    assert 0 <= done <= total


@pytest.fixture(scope="session")
def victims(tmp_path_factory) -> dict[str, Path]:
    """Two journals with the same writes: one as a crash leaves it, with a log, and one that was closed."""
    return asyncio.run(left_behind(tmp_path_factory.mktemp("victims")))


async def left_behind(place: Path) -> dict[str, Path]:
    """Have a writer leave them."""
    store = FakeGraphStore()
    store.reject("REFUSED")
    journal = SqliteJournal(place / "closed", target="the fake store")
    writer = await BufferedWriter(store, journal=journal, write_mode="buffered", max_pending=10_000).start()
    for n in range(60):
        await writer.submit("REFUSED" if n % 15 == 0 else NOTE, {"n": n, "text": "settled"}, key=f"k{n % 7}")
    await writer.flush()
    store.hold()
    for n in range(700):
        text = "x" * (LONG if n % 50 == 0 else n % 90)
        await writer.submit(NOTE, {"n": n, "text": text}, key=f"k{n % 5}" if n % 3 else None)
    await journal._call(lambda: shutil.copytree(journal.directory, place / "crashed"))
    await writer.close(0)
    return {"closed": place / "closed", "crashed": place / "crashed"}


def rows_of(directory: Path) -> dict[tuple[int, int], Row]:
    """Return every write that waits, by lane and number."""
    return inspection.read(directory, lambda database: {(row.lane, row.seq): row for row in table.rows(database)})


def flip(data: bytearray, chance: random.Random) -> None:
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def blank(data: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(data) // 512) * 512
    data[start : start + 4096] = bytes(len(data[start : start + 4096]))


def cut(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(len(data)) :]


def owned_up_to(found: Salvaged, lost: int) -> bool:
    """Return whether a salvage says how many writes are lost, or that there may be more than it can tell."""
    at_least, at_most = found.missing
    return found.damaged + at_least <= lost and (lost <= found.damaged + at_most or "leave no gap" in str(found.notes))


@pytest.mark.parametrize("harm", [flip, blank, cut], ids=lambda harm: harm.__name__)
@pytest.mark.parametrize("seed", SEEDS)
async def test_what_is_kept_was_written_and_what_is_lost_is_said(victims, tmp_path, seed, harm: Callable[..., None]):
    """J6: whichever file is damaged, wherever, however."""
    chance = random.Random(seed)
    state = chance.choice(["closed", "crashed"])
    directory = tmp_path / "main"
    shutil.copytree(victims[state], directory)
    (directory / "lock").unlink()
    path = directory / chance.choice(["journal.db", *(["journal.db-wal"] if state == "crashed" else [])])
    data = bytearray(path.read_bytes())
    harm(data, chance)
    path.write_bytes(data)
    try:
        found = salvage(directory, nobody)
    except JournalCorruptError as error:
        refused = error.message
        assert "cannot be read" in refused or "Nothing that can be read" in refused
        return
    if found is not None:
        judge(found, rows_of(victims[state]), rows_of(directory))
    journal = SqliteJournal(directory)
    await journal.open()
    await journal.close()


def judge(found: Salvaged, written: dict[tuple[int, int], Row], kept: dict[tuple[int, int], Row]) -> None:
    """Compare what was written with what was kept."""
    chain = {"previous": 0, "checksum": 0}
    assert {place: row._replace(**chain) for place, row in kept.items()}.items() <= {
        place: row._replace(**chain) for place, row in written.items()
    }.items()
    assert found.kept == len(kept)
    assert owned_up_to(found, len(written) - len(kept)), found


def test_pages_are_read_as_sqlite_reads_them(victims):
    """The control of all of the above: the same rows, without SQLite and with it."""
    left = remains.Remains(victims["crashed"])
    found = {row[:2]: row for image in left.live() for row in rows_on(image)}
    written = rows_of(victims["crashed"])
    assert found == written
    assert len(found) >= 700  # those settled last may be there still
    assert any(len(row.parameters) > LONG for row in found.values())
    assert left.unreadable() == left.damaged == 0


def rows_on(image: remains.Image) -> list[Row]:
    """Return the writes on a page."""
    rows = [cell.values[1:] for cell in pages.cells(image.data, image.others) if len(cell.values) == 11]
    return [Row(*values)._replace(accepted_at=float(values[3])) for values in rows]


def test_tables_begin_where_salvage_looks_for_them(victims):
    """The pages of what has no checksum are known by their numbers."""
    query = "SELECT name, rootpage FROM sqlite_master"
    roots = inspection.read(victims["closed"], lambda database: dict(database.execute(query).fetchall()))
    assert (roots["about"], roots["lanes"]) == (remains.ABOUT, remains.LANES)


def test_a_seed_follows_from_any_row(victims):
    """The checksums can be checked even when nothing says any more how they were seeded."""
    seed = inspection.read(victims["closed"], table.about)["seed"]
    rows = list(rows_of(victims["closed"]).values())
    assert {remains.seed_of(row) for row in rows[::50]} == {seed}
