"""Opening a journal: what is whole is taken over, a torn tail is mended and reported, everything else is refused."""

import os
import random
import shutil
import sqlite3
import stat
import subprocess
from contextlib import closing, contextmanager

import pytest
from anyio import to_thread
from journals import NOTE, as_sqlite_reads, begun, crashed, entry, files, filled, flipped, lay, numbers, opened
from journals import append as keep

from perdure.errors import ConfigError, JournalCorruptError, JournalError, JournalFullError
from perdure.journal.sqlite import SqliteJournal, opening, place, table, wal

SEED = 20260101


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "journal" / "main"


@pytest.fixture
async def torn_off(tmp_path):
    """A journal of eight writes as a crash left it: half of them in the database, and half in its log."""
    journal = await filled(tmp_path / "before", 4, pad=50)
    await journal.close()
    journal = await begun(tmp_path / "before")
    for seq in range(4, 8):
        await keep(journal, entry(seq, pad=50))
    copy = await crashed(journal, tmp_path / "crashed")
    await journal.close()
    return copy


@pytest.fixture
async def closed(directory):
    """A journal that was closed cleanly with writes and dead letters in it."""
    journal = await filled(directory, 24, lanes=3, pad=300)
    for seq in range(6):
        await journal.bury(entry(seq, seq % 3), "It said no.", "statement_rejected")
    await journal.close()
    return directory


async def refuse(directory, kind=JournalCorruptError):
    """Open a journal that cannot be opened, see that its files stay as they were, and return the error."""
    before = files(directory)
    with pytest.raises(kind) as caught:
        await SqliteJournal(directory).open()
    assert files(directory) == before
    with pytest.raises(kind):
        await SqliteJournal(directory).open()
    return caught.value


# -- where it is


async def test_a_missing_directory_is_made_with_its_parents(tmp_path):
    """J9: the first start finds nothing, and needs nothing."""
    async with opened(tmp_path / "a" / "b" / "journal" / "main") as journal:
        assert journal.findings == []
        assert (journal.epoch, journal.next_seq) == (1, 0)


async def test_the_files_are_for_their_owner_alone(directory):
    """J9: parameters stand in them; whatever the umask allows, nobody else reads them."""
    before = os.umask(0)
    try:
        async with opened(directory) as journal:
            await keep(journal, entry(0))
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}
    finally:
        os.umask(before)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {"journal.db", "journal.db-wal", "journal.db-shm", "lock", "ballast"} == set(modes)
    assert set(modes.values()) == {0o600}


@pytest.mark.parametrize("which", ["the journal's own", "the one above", "data_dir"])
async def test_a_directory_that_is_a_file_is_refused(tmp_path, which):
    """J9: a typed error that names it and says what to do."""
    directory = tmp_path / "data" / "journal" / "main"
    file = {"the journal's own": directory, "the one above": directory.parent, "data_dir": tmp_path / "data"}[which]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("notes")
    with pytest.raises(ConfigError, match=r"main.*data_dir"):
        await SqliteJournal(directory).open()
    assert file.read_text() == "notes"


@contextmanager
def mounted(directory, *options):
    """Mount a file system in memory on a directory; skip the test where that is not allowed."""
    directory.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", ",".join(("mode=0700", *options)), "tmpfs", str(directory)]
    if (
        os.geteuid()
        or shutil.which("mount") is None
        or subprocess.run(command, capture_output=True, check=False).returncode
    ):
        pytest.skip("only root may mount a file system")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "-l", str(directory)], check=True)


def remount(directory, options):
    """Change a mounted file system."""
    subprocess.run(["mount", "-o", f"remount,{options}", str(directory)], check=True)


@pytest.mark.parametrize("there", [True, False])
async def test_a_read_only_directory_is_refused(closed, tmp_path, there):
    """J9: whether there is a journal in it or not; it is said, and nothing waits or breaks later."""
    with mounted(tmp_path / "mounted") as data:
        if there:
            shutil.copytree(closed, data / "main")
        remount(data, "ro")
        error = await refuse(data / "main", ConfigError) if there else None
        if error is None:
            with pytest.raises(ConfigError) as caught:
                await SqliteJournal(data / "main").open()
            error = caught.value
    assert "data_dir" in str(error)
    assert "ead-only" in str(error) or "readonly" in str(error)


async def test_a_disk_without_room_is_refused_as_full(tmp_path):
    """J7: it is not called damaged, and there is no half of a journal that would be, once there is room."""
    with mounted(tmp_path / "mounted", "size=16k") as data:
        with pytest.raises(JournalFullError, match="full"):
            await SqliteJournal(data / "main").open()
        remount(data, "size=16m")
        async with opened(data / "main") as journal:
            await keep(journal, entry(0))
            assert await numbers(journal) == [0]


@pytest.mark.parametrize("system", ["nfs4", "cifs", "fuse.sshfs", "9p"])
async def test_a_network_file_system_is_refused_by_name(directory, monkeypatch, system):
    """J9: its locks and syncs cannot be relied on."""
    monkeypatch.setattr(place, "file_system", lambda path: system)
    with pytest.raises(ConfigError, match=rf"network file system \({system}\).*data_dir"):
        await SqliteJournal(directory).open()


@pytest.mark.parametrize(("durability", "told"), [("disk", 1), ("os", 0)])
async def test_a_disk_in_memory_is_reported_where_power_loss_is_promised(directory, monkeypatch, durability, told):
    """J2: "disk" cannot hold there; for "os" it is as good as any."""
    monkeypatch.setattr(place, "file_system", lambda path: "tmpfs")
    async with opened(directory, durability=durability) as journal:
        assert len([finding for finding in journal.findings if "kept in memory" in finding]) == told


def test_the_file_system_of_a_path_is_the_one_it_is_mounted_on(tmp_path):
    """J9: of the deepest mount above it, also for a path that is not there yet."""
    assert place.file_system(tmp_path.__class__("/proc/self/not/there")) == "proc"
    with mounted(tmp_path / "with space"):
        assert place.file_system(tmp_path / "with space" / "journal" / "main") == "tmpfs"
    assert place.file_system(tmp_path / "with space") == place.file_system(tmp_path)


# -- what is not a journal of ours


async def test_a_journal_of_a_newer_version_is_refused(closed):
    """J10: it says which it is and what to do; a newer version may still drain it."""
    with closing(sqlite3.connect(closed / place.DATABASE)) as database:
        database.execute(f"PRAGMA user_version = {table.FORMAT + 1}")
    error = await refuse(closed, JournalError)
    assert f"format {table.FORMAT + 1}" in str(error)
    assert "Upgrade Perdure" in str(error)
    with closing(sqlite3.connect(closed / place.DATABASE)) as database:
        database.execute(f"PRAGMA user_version = {table.FORMAT}")
    async with opened(closed) as journal:
        assert await numbers(journal) == list(range(6, 24))


async def test_a_database_of_somebody_else_is_refused(directory):
    """J6: and stays as it is."""
    directory.mkdir(parents=True)
    with closing(sqlite3.connect(directory / place.DATABASE)) as database:
        database.execute("CREATE TABLE entries (seq)")
    error = await refuse(directory)
    assert "not one of Perdure's" in str(error)


@pytest.mark.parametrize(
    "content", [b"notes", b"SQLite format 2\x00" + bytes(4080), bytes(4096), b"SQLite format 3\x00"]
)
async def test_a_file_that_is_no_database_is_refused(directory, content):
    """J6: and stays as it is."""
    lay(directory, {place.DATABASE: content})
    await refuse(directory)


async def test_an_empty_database_file_is_a_journal_not_begun(directory):
    """J6: as a process leaves it that is killed right after it made the file."""
    lay(directory, {place.DATABASE: b""})
    async with opened(directory) as journal:
        await keep(journal, entry(0))
        assert await numbers(journal) == [0]


# -- what is missing


async def test_a_missing_log_is_noticed(torn_off):
    """J6: SQLite would open the database without it, and the writes in it would be gone without a word."""
    assert as_sqlite_reads(torn_off) == list(range(8))
    (torn_off / place.WAL).unlink()
    error = await refuse(torn_off)
    assert place.WAL in str(error)
    assert as_sqlite_reads(torn_off) == list(range(4))


async def test_a_missing_database_is_noticed(torn_off):
    """J6: SQLite would remove the log and begin anew."""
    (torn_off / place.DATABASE).unlink()
    log = files(torn_off)
    with pytest.raises(JournalCorruptError, match=r"journal\.db"):
        await SqliteJournal(torn_off).open()
    assert files(torn_off) == log


async def test_a_database_that_was_emptied_is_noticed(torn_off):
    """J6: its log is still there, which SQLite would remove."""
    (torn_off / place.DATABASE).write_bytes(b"")
    await refuse(torn_off)


async def test_a_log_without_its_last_commits_is_shorter_and_no_damage(torn_off):
    """J6: cut off behind a whole commit, nothing tells that more was there; what is before it is intact."""
    log = torn_off / place.WAL
    log.write_bytes(log.read_bytes()[: -(wal.FRAME_HEADER + opening.PAGE_SIZE)])
    async with opened(torn_off) as journal:
        assert await numbers(journal) == list(range(7))


@pytest.mark.parametrize("name", [place.DATABASE, place.WAL])
async def test_a_file_that_lost_its_end_is_noticed(closed, torn_off, name):
    """J6: the database at any page; the log within a commit, which is a torn tail and reported as one."""
    directory = closed if name == place.DATABASE else torn_off
    data = (directory / name).read_bytes()
    if name == place.DATABASE:
        for length in range(opening.PAGE_SIZE, len(data), opening.PAGE_SIZE):
            lay(directory, {name: data[:length]})
            await refuse(directory)
            lay(directory, {name: data[: length + 100]})
            await refuse(directory)
    else:
        (directory / name).write_bytes(data[:-100])
        async with opened(directory) as journal:
            assert "was not whole" in journal.findings[0]


# -- torn tails


@pytest.mark.parametrize("cut", [1, 500, 4096, 4119])
async def test_a_torn_tail_is_mended_and_reported(torn_off, cut):
    """J6: all that was whole is there, and the next opening has nothing to report."""
    log = torn_off / place.WAL
    log.write_bytes(log.read_bytes()[:-cut])
    async with opened(torn_off) as journal:
        assert [finding for finding in journal.findings if "last commit" in finding and "let go" in finding]
        assert await numbers(journal) == list(range(7))
        await keep(journal, entry(7))
    async with opened(torn_off) as journal:
        assert journal.findings == []
        assert await numbers(journal) == list(range(8))


# -- damage


def harm(directory, good):
    """Open damaged files, and return what is wrong about that: nothing when they are refused, or all is there."""
    before = files(directory)
    try:
        found = opening.open_database(directory, "os", 2**30).database
    except JournalCorruptError:
        return "" if files(directory) == before else "refused and changed"
    except Exception as error:  # noqa: BLE001  each of them is a finding
        newer = isinstance(error, JournalError) and "has format" in str(error) and files(directory) == before
        return "" if newer else type(error).__name__
    with closing(found):
        return "" if contents(found) == good else "accepted and changed"


def contents(database):
    """Return all that a journal must not lose or change; what a store said of a dead letter is not among it."""
    database.text_factory = bytes
    queries = ("name, value FROM about WHERE name IN ('identity', 'target')", "* FROM lanes", "* FROM adopted")
    rows = (f"{table.COLUMNS} FROM {name}" for name in ("entries", "dead_letters"))
    return [database.execute(f"SELECT {query}").fetchall() for query in (*queries, *rows)]


def expected(directory):
    """Return the contents of a journal that is as it should be."""
    with closing(sqlite3.connect(f"{(directory / place.DATABASE).as_uri()}?mode=ro", uri=True)) as database:
        return contents(database)


@pytest.fixture
async def plain(tmp_path):
    """The database of a journal that was closed with eight writes in it."""
    journal = await filled(tmp_path / "plain", 8, pad=50)
    await journal.close()
    return (tmp_path / "plain" / place.DATABASE).read_bytes()


async def test_a_flipped_bit_anywhere_in_the_database_is_refused_or_does_no_harm(closed, tmp_path):
    """J6: in each of its first 100 bytes, and in 200 more: never a changed or missing write, never another error."""
    data, good = (closed / place.DATABASE).read_bytes(), expected(closed)
    chance = random.Random(SEED)
    flips = [(position, bit) for position in range(100) for bit in chance.sample(range(8), 1)]
    flips += [(chance.randrange(100, len(data)), chance.randrange(8)) for _ in range(200)]

    def harms():
        for flip in flips:
            what = harm(lay(tmp_path / "flipped", {place.DATABASE: flipped(data, *flip)}), good)
            if what:
                yield (*flip, what)

    found = await to_thread.run_sync(lambda: list(harms()))
    assert not found, "\n".join(map(str, found))


async def test_a_flipped_bit_anywhere_in_the_log_is_refused_or_reported(torn_off, tmp_path):
    """J6: where whole commits stand behind it, it is refused; in the last one it is a torn tail, and reported."""
    whole, good = files(torn_off), as_sqlite_reads(torn_off)
    frame = wal.FRAME_HEADER + opening.PAGE_SIZE
    chance = random.Random(SEED)
    last = len(whole[place.WAL]) - frame
    for position in [3, 9, 28, *(chance.randrange(last) for _ in range(40)), last + 10, *range(last, last + 8)]:
        log = flipped(whole[place.WAL], position, chance.randrange(8))
        damaged = lay(tmp_path / "flipped", {**whole, place.WAL: log})
        if position < last:
            error = await refuse(damaged)
            assert "damaged" in str(error)
        else:
            async with opened(damaged) as journal:
                assert "was not whole" in journal.findings[0]
                assert await numbers(journal) == good[:-1]


async def test_sqlite_by_itself_would_not_notice(plain, torn_off, tmp_path):
    """J6: control: it calls a changed write well, and drops half a log, without a word."""
    changed = lay(tmp_path / "changed", {place.DATABASE: flipped(plain, plain.index(NOTE.encode()) + 9)})
    assert as_sqlite_reads(changed, "PRAGMA integrity_check") == ["ok"]
    assert as_sqlite_reads(changed) == list(range(8))
    await refuse(changed)
    whole = files(torn_off)
    log = flipped(whole[place.WAL], len(whole[place.WAL]) - 2 * 4120 + 500)
    damaged = lay(tmp_path / "damaged", {**whole, place.WAL: log})
    assert as_sqlite_reads(damaged, "PRAGMA integrity_check") == ["ok"]
    assert as_sqlite_reads(damaged) == list(range(6))
    await refuse(damaged)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM entries WHERE seq = 13",
        "DELETE FROM entries WHERE seq IN (8, 11, 14, 17, 20)",
        "UPDATE entries SET previous = 7 WHERE seq = 13",
        "UPDATE entries SET seq = 100 WHERE seq = 23",
        "UPDATE entries SET key = NULL WHERE seq = 13",
        "UPDATE about SET value = value + 1 WHERE name = 'seed'",
    ],
)
async def test_a_missing_or_changed_row_is_noticed(closed, statement):
    """J6: the pages are well and a row is not: each names the one before it in its lane."""
    with closing(sqlite3.connect(closed / place.DATABASE, isolation_level=None)) as database:
        assert database.execute(statement).rowcount
    await refuse(closed)


async def test_an_error_about_damage_shows_no_parameter(plain, directory):
    """B34, J6: damage may sit in the midst of a text, and SQLite would quote all of it."""
    lay(directory, {place.DATABASE: flipped(plain, plain.index(b"xxxxxxxx") + 4, 7)})
    error = await refuse(directory)
    assert "xxxx" not in str(error)
