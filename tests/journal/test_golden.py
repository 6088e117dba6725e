"""Journals of earlier formats, kept in the repository: whatever is written today, these are read as they are."""

import shutil
from datetime import UTC, datetime

import make_golden as golden
import pytest
from journals import append, as_sqlite_reads, entry, left, opened
from test_records import same

from perdure.journal.sqlite import SqliteJournal, place, table, wal
from perdure.journal.sqlite.opening import PAGE_SIZE
from perdure.records import LaneState


@pytest.fixture(params=["closed", "crashed"])
def directory(request, tmp_path):
    """A copy of a golden journal."""
    return shutil.copytree(golden.GOLDEN / request.param, tmp_path / request.param)


async def test_every_entry_of_a_golden_journal_is_read(directory):
    """J10: with every field; none more, none less, in order."""
    async with opened(directory, target=golden.TARGET) as journal:
        found = await left(journal)
        assert journal.findings == []
    expected = sorted(golden.KEPT, key=lambda each: (each.lane, each.seq))
    assert [each._replace(parameters={}) for each in found] == [each._replace(parameters={}) for each in expected]
    for one, other in zip(found, expected, strict=True):
        assert same(one.parameters, other.parameters)


async def test_every_dead_letter_of_a_golden_journal_is_read(directory):
    """J10, J11: with its error and its times."""
    async with opened(directory, target=golden.TARGET) as journal:
        letters = await journal.letters(None)
    assert [letter.seq for letter in letters] == list(golden.BURIED)
    for letter in letters:
        given = golden.ENTRIES[letter.seq]
        assert (letter.query, letter.key, letter.attempts) == (given.statement, given.key, given.failures + 1)
        assert same(letter.parameters, given.parameters)
        assert (letter.error, letter.code) == (golden.ERROR, golden.CODE)
        assert datetime.fromtimestamp(golden.BEGAN, UTC) <= letter.accepted_at < letter.failed_at


async def test_what_a_golden_journal_says_of_itself_is_read(directory):
    """J10: its name, its owner's number, the next write's, how far each lane is, and what it took over."""
    journal = SqliteJournal(directory, target=golden.TARGET)
    states = await journal.open()
    assert {lane: (state.settled, state.last) for lane, state in states.items()} == {
        0: (3, 12),
        1: (4, 13),
        2: (-1, 11),
    }
    assert isinstance(states[0], LaneState)
    assert (journal.identity, journal.epoch, journal.next_seq) == (golden.IDENTITY, 3, len(golden.ENTRIES))
    assert await journal.adopted(golden.ORPHAN) == {5: 40}
    await journal.close()


async def test_a_golden_journal_can_be_gone_on_with(directory):
    """J10: it is written to, drained and closed like one of today."""
    async with opened(directory, target=golden.TARGET) as journal:
        seq = journal.next_seq
        await append(journal, entry(seq, lane=1))
        await journal.resume({0: 12, 1: 13, 2: 11})
        assert await journal.drop_letters(golden.BURIED) == len(golden.BURIED)
    async with opened(directory, target=golden.TARGET) as journal:
        assert await left(journal) == [entry(seq, lane=1)]
        assert await journal.letters(None) == []


def test_a_golden_journal_is_what_it_is_called(directory):
    """J10: of format 1; one closed, one with writes that are in its log alone."""
    assert as_sqlite_reads(directory, "PRAGMA user_version") == [1]
    assert as_sqlite_reads(directory, "PRAGMA application_id") == [table.APPLICATION]
    crashed = directory.name == "crashed"
    assert (wal.examine(golden.GOLDEN / directory.name / place.WAL, PAGE_SIZE).used >= 4) == crashed


def test_the_golden_journals_are_small():
    """J10: they are in the repository, and nothing else is there."""
    there = {str(path.relative_to(golden.GOLDEN)): path.stat().st_size for path in golden.GOLDEN.glob("*/*")}
    assert set(there) == {"closed/journal.db", "crashed/journal.db", "crashed/journal.db-wal"}
    assert sum(there.values()) < 100_000
