"""`perdure journal salvage`: what is whole in a damaged journal is kept, and the graph gets it exactly once."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from graphs import bytes_of, notes

from perdure import JournalCorruptError, MemoryClient, MemorySettings
from perdure.journal.sqlite import inspection

SALVAGE, DRAIN = ("journal", "salvage"), ("journal", "drain")
PAGE, FRAME_HEADER, LOG_HEADER = 4096, 24, 32
FRAME = FRAME_HEADER + PAGE


def change(path: Path, position: int, count: int = 8) -> None:
    """Turn some bytes of a file over."""
    data = bytearray(path.read_bytes())
    data[position : position + count] = bytes(byte ^ 0xFF for byte in data[position : position + count])
    path.write_bytes(data)


def damage_the_log(journal: Path) -> None:
    """Damage a page in the middle of the log, where SQLite would take it for the end."""
    log = journal / "journal.db-wal"
    frames = log.stat().st_size // FRAME
    change(log, LOG_HEADER + frames // 2 * FRAME + FRAME_HEADER + 100)


def damage_writes(journal: Path, *numbers: int) -> None:
    """Change what some writes say, without their checksums."""
    with closing(sqlite3.connect(journal / "journal.db")) as database, database:
        for number in numbers:
            database.execute("UPDATE entries SET parameters = '{}' WHERE seq = ?", (number,))


def modes_of(directory: Path) -> set[int]:
    """Return who may do what with the files in a directory."""
    return {path.stat().st_mode & 0o777 for path in directory.iterdir()}


def waiting(journal: Path) -> list[int]:
    """Return the numbers of the writes that wait, in order."""
    return sorted(each.row.seq for lane in inspection.lanes(journal, 10_000) for each in lane.first)


async def test_everything_behind_a_damaged_page_of_the_log_is_kept(perdure, killed_agent, main_journal):
    """J6: SQLite would drop it without a word; the graph gets each write exactly once."""
    killed_agent(failing=2, committed=20, pending=100)
    damage_the_log(main_journal)
    with pytest.raises(JournalCorruptError, match="would be lost"):
        await MemoryClient(MemorySettings()).connect()
    found = perdure(*SALVAGE, "--json").document["salvaged"]
    assert (found["kept"], found["damaged"], found["missing"]) == (100, 0, {"at_least": 0, "at_most": 0})
    assert found["dead_letters"] == 2
    perdure(*DRAIN)
    assert await notes() == list(range(120))


async def test_without_salvage_sqlite_drops_it(killed_agent, main_journal):
    """Control: the same files, read as SQLite reads them."""
    killed_agent(pending=100)
    damage_the_log(main_journal)
    with closing(sqlite3.connect(main_journal / "journal.db")) as database:
        (count,) = database.execute("SELECT count(*) FROM entries").fetchone()
    assert 0 < count < 100


async def test_a_damaged_write_is_named_and_the_others_are_kept(look, killed_agent, main_journal):
    """J6: neither a silent prefix nor a silent hole."""
    killed_agent(committed=3, pending=60)
    first, *_, middle, _, _, _, last = waiting(main_journal)
    damage_writes(main_journal, first, middle, last)
    found = look(*SALVAGE, "--json").document["salvaged"]
    assert (found["kept"], found["damaged"]) == (57, 3)
    assert sorted(number for gap in found["gaps"] for number in gap["damaged"]) == [first, middle, last]
    look(*DRAIN)
    assert len(await notes()) == 60


async def test_a_missing_write_is_counted(look, killed_agent, main_journal):
    """J6: each write says which one was before it in its lane."""
    killed_agent(pending=60)
    missing = inspection.lanes(main_journal, 60)[0].first[10].row.seq
    with closing(sqlite3.connect(main_journal / "journal.db")) as database, database:
        database.execute("DELETE FROM entries WHERE seq = ?", (missing,))
    said = look(*SALVAGE)
    assert "writes kept        59" in said.out
    assert "writes missing     1" in said.out
    assert f"Numbers of lane 0: {missing} missing." in said.out


async def test_what_the_graph_has_already_is_not_applied_again(look, killed_agent, main_journal):
    """J3: the new journal has the old one's name, lanes and numbers, so the marks in the graph still hold."""
    killed_agent(pending=50)
    before = {path.name: path.read_bytes() for path in main_journal.iterdir()}
    look(*DRAIN)
    for name, data in before.items():
        (main_journal / name).write_bytes(data)  # the machine had not noted that they are in the graph
    damage_the_log(main_journal)
    assert look(*SALVAGE, "--json").document["salvaged"]["kept"] == 50
    document = look(*DRAIN, "--json").document
    assert (document["committed"], document["already_applied"]) == (0, 50)
    assert await notes() == list(range(50))


async def test_the_damaged_files_are_kept_and_nobody_adopts_them(look, killed_agent, main_journal):
    """J9: they stay as they were, for whoever knows more, and stand in nobody's way."""
    killed_agent(pending=60)
    damage_the_log(main_journal)
    before = bytes_of(main_journal)
    aside = Path(look(*SALVAGE, "--json").document["salvaged"]["kept_aside"])
    assert aside.parent == main_journal.parent
    assert aside.name.startswith("main.damaged-")
    assert bytes_of(aside) == {"damaged.db": before["journal.db"], "damaged.db-wal": before["journal.db-wal"]}
    assert modes_of(aside) == {0o600}
    look(*DRAIN)
    settings = MemorySettings(memory={"write_mode": "buffered", "journal_name": "other"})
    async with MemoryClient(settings) as client:
        assert client.buffered.recovery.adopted == 0
        assert client.buffered.recovery.findings == ()
    assert await notes() == list(range(60))


def test_a_rehearsal_changes_nothing(look, killed_agent, main_journal):
    """--dry-run says what would be kept."""
    killed_agent(pending=60)
    damage_the_log(main_journal)
    before = bytes_of(main_journal) | {"lock": b""}
    found = look(*SALVAGE, "--json", "--dry-run").document["salvaged"]
    assert (found["kept"], found["kept_aside"]) == (60, None)
    assert "Nothing was changed." in look(*SALVAGE, "--dry-run").out
    assert bytes_of(main_journal) | {"lock": b""} == before
    assert [path.name for path in main_journal.parent.iterdir()] == ["main"]


def test_a_journal_that_is_not_damaged_is_left_alone(look, killed_agent, main_journal):
    """Not even its numbers change."""
    killed_agent(failing=1, pending=10)
    before = bytes_of(main_journal) | {"lock": b""}
    assert "is not damaged; nothing was changed" in look(*SALVAGE).out
    assert look(*SALVAGE, "--json").document["salvaged"] is None
    assert bytes_of(main_journal) | {"lock": b""} == before


def test_a_journal_in_use_is_left_to_its_holder(perdure, living_agent):
    """J9: files that change cannot be read."""
    with living_agent(pending=1) as pid:
        assert f"in use by process {pid}" in perdure(*SALVAGE, code=1).err


def test_a_damaged_dead_letter_is_let_go_and_the_others_are_kept(look, killed_agent, main_journal):
    """J11: opening would not notice; the list would show what nobody wrote."""
    killed_agent(failing=3, pending=5)
    with closing(sqlite3.connect(main_journal / "journal.db")) as database, database:
        database.execute("UPDATE dead_letters SET statement = 'MATCH (n) DELETE n' WHERE seq = 2")
    found = look(*SALVAGE, "--json").document["salvaged"]
    assert (found["kept"], found["dead_letters"], found["damaged_dead_letters"]) == (5, 2, 1)
    letters = look("dead-letters", "list", "--json").document["dead_letters"]
    assert sorted(letter["number"] for letter in letters) == [1, 3]


@pytest.mark.parametrize("settled", [0, 1_000_000], ids=["too little", "too much"])
async def test_what_nobody_wrote_about_a_lane_is_not_believed(look, killed_agent, main_journal, settled):
    """J6: a number too high would let go of what was never committed."""
    killed_agent(committed=10, pending=60)
    with closing(sqlite3.connect(main_journal / "journal.db")) as database, database:
        database.execute("UPDATE lanes SET settled = ?, applied = ?", (settled, settled))
    found = look(*SALVAGE, "--json").document["salvaged"]
    assert (found["kept"], found["missing"]["at_most"]) == (60, 0)
    assert "How far lane 0 was settled cannot be read" in str(found["notes"])
    look(*DRAIN)
    assert await notes() == list(range(70))


@pytest.mark.parametrize("page", range(1, 8))
async def test_any_page_of_the_database_may_be_gone(look, killed_agent, main_journal, page):
    """J6: also the one with which SQLite begins, and those that say what the journal is."""
    killed_agent(pending=400)  # more than stay in the log: the database holds a copy
    database, log = main_journal / "journal.db", main_journal / "journal.db-wal"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (name,) = connection.execute("SELECT value FROM about WHERE name = 'identity'").fetchone()
    log.unlink(missing_ok=True)
    change(database, (page - 1) * PAGE, PAGE)
    if page == 3:  # where the journal's own name stands
        said = look(*SALVAGE, code=1)
        assert "MATCH (k:_JournalMark) RETURN k.id" in said.err
        assert "is no journal's name" in look(*SALVAGE, "--identity", "main", code=2).err
    found = look(*SALVAGE, "--json", *(("--identity", name) if page == 3 else ())).document["salvaged"]
    assert found["kept"] + found["missing"]["at_most"] >= 400
    assert found["kept"] >= 380
    look(*DRAIN)
    assert len(await notes()) == found["kept"]


async def test_a_log_without_its_database_is_enough(look, killed_agent, main_journal):
    """J6: as long as nothing was folded in, all of it stands in the log."""
    killed_agent(pending=30)
    (main_journal / "journal.db").unlink()
    found = look(*SALVAGE, "--json").document["salvaged"]
    assert (found["kept"], found["missing"]["at_most"]) == (30, 0)
    look(*DRAIN)
    assert await notes() == list(range(30))


def test_what_is_no_journal_is_refused(look, main_journal):
    """And not replaced by an empty one."""
    main_journal.mkdir(parents=True)
    (main_journal / "journal.db").write_bytes(b"something else " * 5000)
    assert "Nothing that can be read there is a journal's." in look(*SALVAGE, code=1).err
    with closing(sqlite3.connect(main_journal / "other.db")) as database, database:
        database.execute("CREATE TABLE other (name TEXT)")
    shutil.move(main_journal / "other.db", main_journal / "journal.db")
    look(*SALVAGE, code=1)
    assert [path.name for path in main_journal.parent.iterdir()] == ["main"]


async def test_a_salvage_that_was_interrupted_can_be_repeated(look, killed_agent, main_journal):
    """J6: between its last two steps the old database stands without its log."""
    killed_agent(pending=60)
    damage_the_log(main_journal)
    workplace = main_journal / "salvaging"
    workplace.mkdir()
    (workplace / "journal.db").write_bytes(b"the new one, written in full")
    (main_journal / "journal.db-wal").rename(workplace / "old-log")
    assert look(*SALVAGE, "--json").document["salvaged"]["kept"] == 60
    assert not workplace.exists()
    look(*DRAIN)
    assert await notes() == list(range(60))
