"""SqliteJournal by itself: what is appended, read, settled and buried, and what of it is there after a reopening."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from journals import ALL, NOTE, append, begun, crashed, entry, files, filled, left, numbers, opened, until_settled

from perdure.errors import ConfigError, JournalError, NotFoundError
from perdure.journal.sqlite import SqliteJournal, place, scribe
from perdure.journal.sqlite.budget import Budget
from perdure.protocols import Journal, LocalJournal
from perdure.records import Backlog, LaneState
from perdure.testing import wait_until

DURABILITIES = ["os", "disk"]


@pytest.fixture(params=DURABILITIES)
def durability(request):
    return request.param


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "journal" / "main"


# -- appending and reading


def test_it_is_a_journal(directory):
    """J1: of the kind that a client keeps on this machine."""
    journal = SqliteJournal(directory)
    assert isinstance(journal, Journal)
    assert isinstance(journal, LocalJournal)
    assert journal.durable


async def test_what_is_kept_can_be_read_in_order(directory, durability):
    """J1: all fields of it, with the time at which it was accepted."""
    before = datetime.now(UTC).timestamp()
    async with opened(directory, durability=durability) as journal:
        given = [entry(n, key="k", parameters={"n": n, "at": datetime(2026, 1, n + 1, tzinfo=UTC)}) for n in range(9)]
        await append(journal, *given)
        found = await journal.read(0, -1, ALL, ALL)
    assert [each._replace(accepted_at=0.0) for each in found] == given
    assert all(before <= each.accepted_at <= datetime.now(UTC).timestamp() for each in found)


async def test_a_kept_write_is_told_of_on_the_event_loop_in_order(directory, durability):
    """J1, J2: True means it is kept already; of the others it is told, in the order in which they came."""
    told = []
    async with opened(directory, durability=durability) as journal:
        journal.on_kept(lambda entries, error: told.extend((asyncio.get_running_loop(), each.seq) for each in entries))
        awaited = [n for n in range(200) if not journal.append(entry(n))]
        await wait_until(lambda: len(told) == len(awaited))
        assert await numbers(journal) == list(range(200))
    assert told == [(asyncio.get_running_loop(), n) for n in awaited]
    if durability == "disk":
        assert awaited == list(range(200))


async def test_what_came_during_one_commit_is_the_next_one(directory):
    """J2: two hundred writes share a few syncs, and each is told of once it is safe."""
    groups = []
    async with opened(directory, durability="disk") as journal:
        journal.on_kept(lambda entries, error: groups.append([each.seq for each in entries]))
        for n in range(200):
            journal.append(entry(n))
        await wait_until(lambda: sum(map(len, groups)) == 200)
    assert [seq for group in groups for seq in group] == list(range(200))
    assert len(groups) < 20


async def test_a_large_write_goes_through_the_thread(directory):
    """J14: it is not written on the event loop, which would wait for it; order is kept around it."""
    async with opened(directory) as journal:
        await append(journal, entry(0))
        large = entry(1, pad=200_000)
        told = []
        journal.on_kept(lambda entries, error: told.extend(each.seq for each in entries))
        assert not journal.append(large)
        assert not journal.append(entry(2))
        await wait_until(lambda: told == [1, 2])
        assert await left(journal) == [entry(0), large, entry(2)]


async def test_the_log_begins_anew_behind_writes_of_the_event_loop_alone(directory, monkeypatch):
    """J14: each time there are that many; the thread, which folds it, has nothing else to do then."""
    monkeypatch.setattr(scribe, "ENTRIES_BETWEEN_CHECKPOINTS", 20)
    monkeypatch.setattr(Budget, "allows", lambda self: True)

    async def run_of_the_log(journal):
        found = await journal._call(lambda: files(directory)[place.WAL][16:24])
        await wait_until(lambda: not journal._scribe._turn.locked())
        return found

    async with opened(directory) as journal:
        for first in (0, 20):
            before = await run_of_the_log(journal)
            assert all(journal.append(entry(seq)) for seq in range(first, first + 20))
            await wait_until(lambda: not journal._scribe._unchecked)
            assert await run_of_the_log(journal) != before


async def test_a_page_is_bounded_by_count_and_by_bytes_and_never_empty(directory):
    """J3: at least one write, however large; the next page begins behind the last."""
    async with opened(directory) as journal:
        await append(journal, *(entry(n, pad=1000 * (n == 3)) for n in range(6)), entry(6, lane=1))

        async def page(after, count, size):
            return [each.seq for each in await journal.read(0, after, count, size)]

        assert await page(-1, 4, ALL) == [0, 1, 2, 3]
        assert await page(3, 4, ALL) == [4, 5]
        assert await page(5, 4, ALL) == []
        assert await page(-1, ALL, 250) == [0, 1]
        assert await page(2, ALL, 250) == [3]
        assert await page(-1, ALL, 1) == [0]
        assert await page(-1, ALL, 300) == [0, 1, 2]
        assert await journal.read(7, -1, ALL, ALL) == []


async def test_lanes_are_apart(directory):
    """J13: each is read and settled by itself, up to the highest lane and the lowest number."""
    async with opened(directory) as journal:
        await append(journal, entry(0, lane=64), entry(1, lane=0), entry(2, lane=63), entry(3, lane=64))
        assert [[each.seq for each in await journal.read(lane, -1, ALL, ALL)] for lane in (0, 63, 64)] == [
            [1], [2], [0, 3],
        ]  # fmt: skip
        journal.settle(63, 2)
        await until_settled(journal, 63, 2)
        assert await numbers(journal) == [0, 1, 3]


# -- settling, closing and opening again


async def test_what_was_settled_is_gone_and_what_was_not_is_there(directory, durability):
    """J3: after a clean close."""
    journal = await filled(directory, 12, lanes=2, durability=durability)
    journal.settle(0, 4)
    journal.settle(1, 7)
    await journal.close()
    journal = SqliteJournal(directory, durability=durability)
    assert await journal.open() == {0: LaneState(4, 10, 4), 1: LaneState(7, 11, 7)}
    assert await numbers(journal) == [6, 8, 9, 10, 11]
    await journal.close()


async def test_what_is_let_go_of_is_not_written_once_more(directory):
    """J7: on a full disk, the megabyte that was set aside has to do for it."""
    async with opened(directory) as journal:
        await append(journal, *[entry(n, parameters={"text": "x" * 4000}) for n in range(200)])
        before = len((await journal._call(lambda: files(directory)))[place.WAL])
        journal.settle(0, 199)
        await until_settled(journal, 0, 199)
        after = len((await journal._call(lambda: files(directory)))[place.WAL])
        assert after - before < 200 * 1000


async def test_after_a_crash_all_that_was_kept_is_there(directory, tmp_path, durability):
    """J1: without a close, also what was appended a moment before."""
    journal = await filled(directory, 12, lanes=2, durability=durability)
    copy = await crashed(journal, tmp_path / "copy")
    await journal.close()
    async with opened(copy, durability=durability) as journal:
        assert await numbers(journal) == list(range(12))
        assert journal.findings == []


async def test_resume_lets_go_of_what_the_store_has_and_counts_the_rest(directory):
    """J3: by lane and by key, with the time of the oldest."""
    journal = await filled(directory, 12, lanes=3)
    await journal.close()
    journal = SqliteJournal(directory)
    await journal.open()
    oldest = (await journal.read(1, 1, 1, ALL))[0].accepted_at
    backlog = await journal.resume({0: 9, 1: 1, 2: -1})
    assert backlog == Backlog({1: (3, 300), 2: (4, 400)}, {"k1": (1, 3), "k2": (2, 4)}, backlog.oldest)
    assert backlog.oldest <= oldest
    assert (backlog.count, backlog.bytes) == (7, 700)
    await journal.close()
    journal = SqliteJournal(directory)
    assert (await journal.open())[0] == LaneState(9, 9, 9)
    await journal.close()


async def test_a_number_is_never_given_twice(directory):
    """J3: not of settled writes, nor of dropped letters, nor of those that only the store knows."""
    journal = await filled(directory, 4)
    journal.settle(0, 3)
    await journal.close()
    async with opened(directory) as journal:
        assert journal.next_seq == 4
        await append(journal, entry(4), entry(5))
        await journal.bury(entry(4), "no", "statement_rejected")
        await journal.bury(entry(5), "no", "statement_rejected")
        assert await journal.drop_letters([4, 5]) == 2
    async with opened(directory) as journal:
        assert journal.next_seq == 6
        await journal.resume({0: 20, 3: 11})
        assert journal.next_seq == 21
        await append(journal, entry(21))
    async with opened(directory) as journal:
        assert journal.next_seq == 22


async def test_numbers_of_adopted_dead_letters_are_not_given_again(directory, tmp_path):
    """J9: not even when they were dropped since."""
    async with opened(tmp_path / "orphan") as orphan, opened(directory) as journal:
        await append(orphan, entry(0))
        await orphan.bury(entry(0), "no", "statement_rejected")
        await journal.adopt_letters(orphan.identity, await orphan.letters(None), 7)
        assert await journal.drop_letters([7]) == 1
    async with opened(directory) as journal:
        assert journal.next_seq == 8


async def test_epochs_rise_and_the_identity_stays(directory, tmp_path):
    """J5: at each opening, clean or not."""
    epochs, identities = [], set()
    for round_ in range(4):
        journal = await begun(directory)
        epochs.append(journal.epoch)
        identities.add(journal.identity)
        await append(journal, entry(round_))
        if round_ == 1:
            directory = await crashed(journal, tmp_path / "copy")
        await journal.close()
    assert epochs == [1, 2, 3, 4]
    assert len(identities) == 1
    async with opened(tmp_path / "another") as other:
        assert other.identity not in identities


async def test_opening_twice_is_opening_once(directory):
    """J9: a client opens it before its store, and the writer again."""
    async with opened(directory) as journal:
        await append(journal, entry(0))
        epoch = journal.epoch
        await journal.open()
        assert (journal.epoch, await numbers(journal)) == (epoch, [0])


async def test_closing_twice_and_before_opening_is_harmless(directory):
    """J9: it can be closed in every state, and opened again after."""
    journal = SqliteJournal(directory)
    await journal.close()
    journal.abandon()
    await journal.open()
    await asyncio.gather(journal.close(), journal.close())
    await journal.close()
    journal.abandon()
    await journal.open()
    assert journal.epoch == 2
    await journal.close()


@pytest.mark.parametrize("call", ["append", "read", "bury", "letters", "resume", "orphans", "drop_letters"])
async def test_a_journal_that_is_not_open_says_so(directory, call):
    """J9: before and after, with an error of the journal's."""
    arguments = {"append": (entry(0),), "read": (0, -1, 1, 1), "bury": (entry(0), "", ""), "letters": (None,)}
    arguments |= {"resume": ({},), "orphans": (), "drop_letters": ([],)}
    journal = SqliteJournal(directory)
    for _ in range(2):
        with pytest.raises(JournalError, match="not open"):
            await asyncio.ensure_future(maybe(getattr(journal, call), *arguments[call]))
        await journal.open()
        await journal.close()


async def maybe(function, *arguments):
    """Call something that may be async."""
    result = function(*arguments)
    return await result if asyncio.iscoroutine(result) else result


async def test_abandon_writes_what_is_left_and_lets_go(directory, durability):
    """B14: at the end of an event loop, what was accepted and what was settled is written still."""
    journal = await filled(directory, 6, durability=durability)
    journal.settle(0, 2)
    journal.abandon()
    async with opened(directory, durability=durability) as journal:
        assert await numbers(journal) == [3, 4, 5]
        assert journal.findings == []


async def test_a_cancelled_call_is_done_all_the_same(directory):
    """B16, B17: its caller is cancelled once it is done, and the journal goes on."""
    async with opened(directory) as journal:
        await append(journal, entry(0))
        burying = asyncio.create_task(journal.bury(entry(0), "no", "statement_rejected"))
        await asyncio.sleep(0)
        burying.cancel()
        with suppress(asyncio.CancelledError):
            await burying
        assert burying.cancelled()
        assert [letter.seq for letter in await journal.letters(None)] == [0]


# -- whose graph it is for


async def test_writes_for_another_graph_are_refused(directory):
    """J3: it names both, says how many there are, and keeps them for the right one."""
    journal = await filled(directory, 3, target="Neo4j at one:7687")
    await journal.close()
    with pytest.raises(
        ConfigError, match=r"holds 3 writes and 0 dead letters for Neo4j at one:7687.*writes to Neo4j at two:7687"
    ):
        await SqliteJournal(directory, target="Neo4j at two:7687").open()
    async with opened(directory, target="Neo4j at one:7687") as journal:
        assert await numbers(journal) == [0, 1, 2]


async def test_an_empty_journal_begins_anew_for_another_graph(directory):
    """J3: under a name of its own, since the other graph's marks are not in this one; numbers go on."""
    journal = await filled(directory, 3, target="one")
    identity = journal.identity
    journal.settle(0, 2)
    await journal.close()
    journal = SqliteJournal(directory, target="two")
    assert await journal.open() == {}
    assert journal.identity != identity
    assert journal.next_seq == 3
    identity = journal.identity
    await journal.resume({})
    await append(journal, entry(3))
    await journal.close()
    journal = SqliteJournal(directory, target="two")
    assert await journal.open() == {0: LaneState(-1, 3, -1)}
    assert (journal.identity, await numbers(journal)) == (identity, [3])
    await journal.close()


async def test_a_journal_without_a_graph_takes_the_first_one_it_is_given(directory):
    """J3: and keeps it."""
    journal = await filled(directory, 1)
    await journal.close()
    async with opened(directory, target="one") as journal:
        assert await numbers(journal) == [0]
    with pytest.raises(ConfigError):
        await SqliteJournal(directory, target="two").open()
    async with opened(directory) as journal:
        assert await numbers(journal) == [0]


# -- dead letters


async def test_a_buried_write_is_a_dead_letter_and_pending_no_more(directory, durability):
    """J11: also after a crash right behind it."""
    async with opened(directory, durability=durability) as journal:
        given = entry(1, key="k", parameters={"n": 1, "deep": [{"a": None}]}, failures=2)
        await append(journal, entry(0), given, entry(2))
        accepted = (await journal.read(0, 0, 1, ALL))[0].accepted_at
        journal.settle(0, 0)
        await journal.bury(given, "It said no.", "statement_rejected")
        copy = await crashed(journal, directory.with_name("copy"))
    for where in (directory, copy):
        async with opened(where) as journal:
            assert await numbers(journal) == [2]
            letter = await journal.letter(1)
            assert [letter] == await journal.letters(None)
    assert (letter.seq, letter.key, letter.query, letter.parameters) == (1, "k", NOTE, {"n": 1, "deep": [{"a": None}]})
    assert (letter.error, letter.code, letter.attempts) == ("It said no.", "statement_rejected", 3)
    assert letter.accepted_at == datetime.fromtimestamp(accepted, UTC)
    assert letter.accepted_at <= letter.failed_at <= datetime.now(UTC)


async def test_the_newest_letters_are_listed_oldest_first(directory):
    """J11: at most as many as asked for."""
    async with opened(directory) as journal:
        await append(journal, *(entry(n, lane=n % 2) for n in range(6)))
        for n in (1, 3, 0, 5, 2):
            await journal.bury(entry(n, lane=n % 2), "no", "x")
        assert [letter.seq for letter in await journal.letters(None)] == [1, 3, 0, 5, 2]
        assert [letter.seq for letter in await journal.letters(2)] == [5, 2]
        assert [letter.seq for letter in await journal.letters(99)] == [1, 3, 0, 5, 2]


async def test_dropped_letters_are_gone(directory):
    """J11: it says how many there were; one that is not there is no error, except to look at."""
    async with opened(directory) as journal:
        await append(journal, *(entry(n) for n in range(4)))
        for n in range(4):
            await journal.bury(entry(n), "no", "x")
        assert await journal.drop_letters([1, 2, 2, 99]) == 2
        assert await journal.drop_letters([]) == 0
        with pytest.raises(NotFoundError, match="dead letter 1"):
            await journal.letter(1)
    async with opened(directory) as journal:
        assert [letter.seq for letter in await journal.letters(None)] == [0, 3]


async def test_a_letter_sent_again_goes_as_its_write_comes(directory, durability):
    """J11: in one commit: never both, never neither."""
    async with opened(directory, durability=durability) as journal:
        await append(journal, entry(0), entry(1))
        await journal.bury(entry(0), "no", "x")
        await append(journal, entry(2, failures=1), replacing=0)
        copy = await crashed(journal, directory.with_name("copy"))
    async with opened(copy) as journal:
        assert await left(journal) == [entry(1), entry(2, failures=1)]
        assert await journal.letters(None) == []
        await journal.bury(entry(1), "no", "x")
        await journal.bury(entry(2), "no", "x")
        assert [letter.attempts for letter in await journal.letters(None)] == [1, 2]
