"""A journal in trouble: full, on a disk that fails, or asked for what cannot be; nothing accepted is lost by it."""

import asyncio
import resource
import sqlite3
import traceback
from contextlib import closing, contextmanager

import pytest
from journals import append, as_sqlite_reads, begun, crashed, entry, filled, left, numbers, opened, until_settled

from perdure.errors import JournalError, JournalFullError
from perdure.journal.sqlite import place, scribe, table
from perdure.journal.sqlite.diagnosis import diagnose
from perdure.testing import wait_until

SMALLEST = 1
"""Bytes that such a journal may hold: what is left is the room its file has to spare, a megabyte."""
LARGE = 50_000


@pytest.fixture(params=["os", "disk"])
def durability(request):
    return request.param


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "journal" / "main"


async def fill(journal, first=0, **fields):
    """Append until there is no room, and return the number that was refused."""
    for seq in range(first, 1000):
        try:
            await append(journal, entry(seq, **fields))
        except JournalFullError:
            return seq
    raise AssertionError("It never became full.")


async def when_there_is_room(journal, seq):
    """Append again and again, each time under a new number, until there is room; return the number that was kept."""
    async with asyncio.timeout(5):
        while True:
            try:
                await append(journal, entry(seq, pad=LARGE))
            except JournalFullError:
                seq += 1
            else:
                return seq


# -- full


@pytest.mark.parametrize("pad", [LARGE, 1000])
async def test_a_full_journal_refuses_what_it_cannot_keep_and_keeps_the_rest(directory, durability, pad):
    """J7: a clear error; it is not broken, and what was accepted is there, also after a reopening."""
    journal = await begun(directory, durability=durability, max_bytes=SMALLEST)
    refused = await fill(journal, pad=pad)
    assert refused > 5
    assert journal.trouble == ""
    with pytest.raises(JournalFullError, match="max_journal_bytes") as caught:
        await append(journal, entry(refused, pad=pad))
    assert caught.value.retryable
    assert await numbers(journal) == list(range(refused))
    await journal.close()
    async with opened(directory, durability=durability, max_bytes=SMALLEST) as journal:
        assert await numbers(journal) == list(range(refused))
        assert journal.findings == []


async def test_settling_makes_room_in_a_full_journal(directory, durability):
    """J7: by itself, and as much as was settled; the chain of numbers has no gap for what was refused."""
    async with opened(directory, durability=durability, max_bytes=SMALLEST) as journal:
        refused = await fill(journal, pad=LARGE)
        for round_ in range(3):
            journal.settle(0, refused - 2)
            again = await when_there_is_room(journal, refused + 1)
            assert await numbers(journal) == [refused - 1, again]
            refused = await fill(journal, again + 1, pad=LARGE)
            assert refused > again + 5, round_
        kept = await numbers(journal)
    async with opened(directory, durability=durability, max_bytes=SMALLEST) as journal:
        assert await numbers(journal) == kept


class FullWhenTrimmed:
    """An open database that has no room for letting go of writes, a few times."""

    def __init__(self, database, times):
        self._database = database
        self.times = times

    def __getattr__(self, name):
        return getattr(self._database, name)

    def executemany(self, sql, rows):
        if sql == table.TRIM and rows and self.times:
            self.times -= 1
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_FULL, "SQLITE_FULL"
            raise error
        return self._database.executemany(sql, rows)


async def test_what_could_not_be_let_go_of_goes_a_little_later_unasked(directory, durability, monkeypatch):
    """J7: on a full disk, with nobody who writes or asks for anything any more."""
    monkeypatch.setattr(scribe, "SECONDS_TO_TRY_AGAIN", 0.01)
    async with opened(directory, durability=durability) as journal:
        await append(journal, entry(0), entry(1), entry(2))
        full = FullWhenTrimmed(journal._opened.database, 5)
        journal._opened = journal._scribe._opened = journal._opened._replace(database=full)
        journal.settle(0, 1)
        await wait_until(lambda: not full.times and not journal._scribe._owed)
        assert as_sqlite_reads(directory) == [2]
        assert journal.trouble == ""


async def test_a_write_can_be_buried_in_a_full_journal(directory):
    """J7: a poisonous write must not keep a full journal from draining."""
    async with opened(directory, max_bytes=SMALLEST) as journal:
        refused = await fill(journal, pad=LARGE)
        await journal.bury(entry(0), "It said no.", "statement_rejected")
        assert [letter.seq for letter in await journal.letters(None)] == [0]
        assert await numbers(journal) == list(range(1, refused))


async def test_a_refused_redrive_keeps_its_dead_letter(directory, durability):
    """J7, J11: the letter goes only with the commit that brings its write back."""
    async with opened(directory, durability=durability, max_bytes=SMALLEST) as journal:
        await append(journal, entry(0))
        await journal.bury(entry(0), "no", "x")
        refused = await fill(journal, 1, pad=LARGE)
        with pytest.raises(JournalFullError):
            await append(journal, entry(refused, pad=LARGE, failures=1), replacing=0)
        assert [letter.seq for letter in await journal.letters(None)] == [0]
        journal.settle(0, refused - 1)
        await until_settled(journal, 0, refused - 1)
        await append(journal, entry(refused + 1, failures=1), replacing=0)
        assert await journal.letters(None) == []


async def test_a_limit_below_what_is_there_refuses_more_and_loses_nothing(directory):
    """J7: the setting was lowered between two runs."""
    async with opened(directory) as journal:
        await append(journal, *(entry(n, pad=LARGE) for n in range(60)))
    async with opened(directory, max_bytes=SMALLEST) as journal:
        with pytest.raises(JournalFullError):
            await append(journal, entry(60, pad=4 * LARGE))
        assert await numbers(journal) == list(range(60))


# -- a disk that fails


@contextmanager
def no_file_may_grow_beyond(size):
    """Have the system refuse to write behind that place of any file: an I/O error, and no lack of space."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_an_io_error_breaks_the_journal_until_it_is_opened_anew(directory, durability):
    """J8: loudly: the write is refused, so is every one after it, and what was accepted is there afterwards."""
    journal = await begun(directory, durability=durability)
    for seq in range(40):
        await append(journal, entry(seq, pad=LARGE))
    with no_file_may_grow_beyond((directory / place.WAL).stat().st_size):
        with pytest.raises(JournalError, match="cannot be written"):
            await append(journal, entry(40, pad=LARGE))
        assert "cannot be written" in journal.trouble
    with pytest.raises(JournalError, match="cannot be written"):
        journal.append(entry(41))
    with pytest.raises(JournalError, match="cannot be written"):
        await journal.bury(entry(0), "no", "x")
    journal.settle(0, 3)
    await journal.close()
    async with opened(directory, durability=durability) as journal:
        assert journal.trouble == ""
        assert await numbers(journal) == list(range(40))
        await append(journal, entry(42))
        assert await numbers(journal) == [*range(40), 42]


class FailingDatabase:
    """An open database whose disk fails to sync at a certain statement, once."""

    def __init__(self, database, statement):
        self._database = database
        self._statement = statement
        self.failed = False

    def __getattr__(self, name):
        return getattr(self._database, name)

    def execute(self, sql, *arguments):
        if sql.startswith(self._statement) and not self.failed:
            self.failed = True
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_IOERR_FSYNC, "SQLITE_IOERR_FSYNC"
            raise error
        return self._database.execute(sql, *arguments)


def fail_at(journal, statement):
    """Have the disk under an open journal fail to sync, the next time it runs that statement."""
    failing = FailingDatabase(journal._opened.database, statement)
    journal._opened = journal._scribe._opened = journal._opened._replace(database=failing)
    return failing


async def test_a_failed_sync_of_a_group_breaks_the_journal(directory):
    """J8: the system forgets what it could not write, so that a second sync would lie; none is tried."""
    journal = await begun(directory, durability="disk")
    await append(journal, entry(0))
    fail_at(journal, "COMMIT")
    with pytest.raises(JournalError, match="SQLITE_IOERR_FSYNC"):
        await append(journal, entry(1), entry(2))
    assert "SQLITE_IOERR_FSYNC" in journal.trouble
    with pytest.raises(JournalError, match="SQLITE_IOERR_FSYNC"):
        journal.append(entry(3))
    await journal.close()
    async with opened(directory, durability="disk") as journal:
        assert await numbers(journal) == [0]


async def test_a_failed_sync_of_a_checkpoint_breaks_the_journal(directory, durability):
    """J8: what was to be folded into the database may not be there, and the log behind it is about to begin anew."""
    journal = await begun(directory, durability=durability)
    failing = fail_at(journal, "PRAGMA wal_checkpoint")
    kept = []
    journal.on_kept(lambda entries, error: kept.extend(() if error else entries))
    for seq in range(2000):
        try:
            journal.append(entry(seq))
        except JournalError:
            break
        if not seq % 100:
            await asyncio.sleep(0)
    await wait_until(lambda: failing.failed, 2)
    await wait_until(lambda: journal.trouble, 2)
    assert "SQLITE_IOERR_FSYNC" in journal.trouble
    with pytest.raises(JournalError):
        journal.append(entry(3000))
    await journal.close()


@pytest.mark.parametrize("call", ["bury", "drop_letters", "adopt", "resume"])
async def test_a_failed_sync_of_anything_else_breaks_the_journal(directory, call):
    """J8: whatever it was that could not be written down."""
    journal = await begun(directory, durability="disk")
    await append(journal, entry(0), entry(1))
    await journal.bury(entry(0), "no", "x")
    fail_at(journal, "COMMIT")
    arguments = {"bury": (entry(1), "no", "x"), "drop_letters": ([0],), "resume": ({0: 1},)}
    arguments |= {"adopt": ("other", [(entry(0), entry(9))])}
    with pytest.raises(JournalError, match="SQLITE_IOERR_FSYNC"):
        await getattr(journal, call)(*arguments[call])
    assert "SQLITE_IOERR_FSYNC" in journal.trouble
    with pytest.raises(JournalError):
        journal.append(entry(2))
    await journal.close()


async def test_an_error_raised_a_thousand_times_does_not_grow(directory):
    """J8: every write that a broken journal refuses raises it, for as long as nobody opens a new one."""
    journal = await begun(directory, durability="disk")
    fail_at(journal, "COMMIT")
    depths = set()
    for seq in range(20):
        try:
            await append(journal, entry(seq))
        except JournalError as error:
            depths.add(len(traceback.extract_tb(error.__traceback__)))
    assert len(depths) <= 2
    await journal.close()


async def test_another_writer_at_the_file_is_waited_for(directory, durability):
    """J11, J14: somebody looks at it with SQLite's shell; the write and the letter it replaces go together."""
    async with opened(directory, durability=durability) as journal:
        await append(journal, entry(0), entry(1))
        await journal.bury(entry(0), "no", "x")
        with closing(sqlite3.connect(directory / place.DATABASE, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            redriving = asyncio.create_task(append(journal, entry(2, failures=1), replacing=0))
            await wait_until(lambda: journal._scribe._patient)
            other.execute("COMMIT")
        await redriving
        assert await numbers(journal) == [1, 2]
        assert await journal.letters(None) == []
        assert journal.trouble == ""


# -- what cannot be written


async def test_a_write_that_cannot_be_encoded_is_refused_alone(directory, durability):
    """B30: half of a surrogate pair is no text; the journal and everybody else's writes go on."""
    async with opened(directory, durability=durability) as journal:
        async with asyncio.timeout(2):
            with pytest.raises(JournalError, match="cannot be written down"):
                await append(journal, entry(0, key="\ud800"))
        await append(journal, entry(1))
        assert journal.trouble == ""
        assert await left(journal) == [entry(1)]


async def test_a_thread_that_ends_unexpectedly_leaves_nobody_waiting(directory, monkeypatch):
    """B35: whoever was in its group, behind it, or comes later, gets an error."""
    monkeypatch.setattr("threading.excepthook", lambda arguments: None)
    monkeypatch.setattr(scribe, "uninterrupted", lambda work: work)  # so that a wait in vain can be ended
    journal = await begun(directory, durability="disk")
    refused = []
    journal.on_kept(lambda entries, error: refused.append((len(entries), type(error))))

    def no_more(entries):
        raise MemoryError

    journal._scribe._commit = no_more
    thread = journal._scribe._thread
    journal.append(entry(0))
    for _ in range(2):
        async with asyncio.timeout(2):
            with pytest.raises(JournalError):
                await journal.letters(None)
    with pytest.raises(JournalError):
        journal.append(entry(1))
    await wait_until(lambda: refused, 2)
    assert refused == [(1, JournalError)]
    assert "ended unexpectedly" in journal.trouble
    await asyncio.to_thread(thread.join)
    await journal.close()


async def test_what_a_crash_in_a_full_moment_leaves_can_be_opened(directory, tmp_path):
    """J7: the copy is taken right behind a refusal."""
    async with opened(directory, max_bytes=SMALLEST) as journal:
        refused = await fill(journal, pad=LARGE)
        copy = await crashed(journal, tmp_path / "copy")
    async with opened(copy) as journal:
        assert await numbers(journal) == list(range(refused))
        assert journal.findings == []


async def test_a_journal_that_is_opened_while_it_is_looked_at_is_described_once(directory):
    """J11: it is read again from the beginning then, and what the first look found is not said twice."""
    await (await filled(directory, 3)).close()
    looks = []

    def told(done, _total):
        looks.append(done)
        if len(looks) == 1:
            (directory / place.WAL).touch()
            raise sqlite3.OperationalError("database is locked")

    findings = await asyncio.to_thread(diagnose, directory, 2**30, told)
    assert looks == [1, 1, 2, 3]
    checks = [finding.check for finding in findings]
    assert {"format", "pages", "writes", "pending"} < set(checks)
    assert len(set(checks)) == len(checks)
