"""What a writer does with a journal that an earlier process left, over a store that remembers what it applied."""

import asyncio
import shutil
from collections import defaultdict

import pytest

from perdure import BufferedWriter, ConfigError, InputError, JournalCorruptError
from perdure.journal.sqlite import SqliteJournal
from perdure.testing import FakeGraphStore, wait_until

NOTE = "CREATE (:Note {n: $n})"


@pytest.fixture
def opened(store, tmp_path):
    """Make a writer over the store and a journal in a directory; keywords are settings."""

    def make(name="main", *, over=None, target="", **options):
        journal = SqliteJournal(tmp_path / "journal" / name, target=target)
        return BufferedWriter(over or store, journal=journal, **{"write_mode": "buffered", **options})

    return make


async def crash(writer):
    """End a writer as the end of its process would: at once, with nothing told to anybody."""
    writer._runner.cancel()
    with pytest.warns(ResourceWarning):
        await asyncio.wait([writer._runner])


async def left_behind(opened, store, count, *, key=None, **options):
    """Leave some writes in the journal that never reached the store."""
    store.hold()
    writer = await opened(**options).start()
    for n in range(count):
        await writer.submit(NOTE, {"n": n}, key=key)
    await crash(writer)
    store.release()


async def test_what_was_accepted_is_committed_after_a_restart_in_order(opened, store):
    """J1, J3: nothing is lost, nothing comes twice, and the report says how much it was."""
    await left_behind(opened, store, 150)
    async with opened() as writer:
        assert writer.recovery.left == 150
        await writer.submit(NOTE, {"n": 150})
        assert (await writer.flush()).complete
    assert store.values("n") == list(range(151))


async def test_what_the_store_has_already_is_not_applied_again(opened, store):
    """J3, J4: the process ended between the commit and the journal's knowing of it."""
    writer = await opened(linger_seconds=0).start()
    for n in range(5):
        await writer.submit(NOTE, {"n": n})
    await wait_until(lambda: store.values("n") == list(range(5)))
    writer._journal.settle = lambda *_: None
    await crash(writer)
    async with opened() as writer:
        await writer.flush()
    assert store.values("n") == list(range(5))


async def test_without_the_mark_it_would_be(opened, store):
    """J3: control: it is the mark that prevents it."""
    store = FakeGraphStore(exactly_once=False)
    writer = opened(over=store, linger_seconds=0)
    writer._journal.settle = lambda *_: None
    await writer.start()
    for n in range(5):
        await writer.submit(NOTE, {"n": n})
    await wait_until(lambda: len(store.values("n")) == 5)
    await crash(writer)
    async with opened(over=store) as writer:
        await writer.flush()
    assert sorted(store.values("n")) == sorted(2 * list(range(5)))


@pytest.mark.parametrize(("before", "after"), [(8, 1), (1, 8), (4, 3)])
async def test_changing_the_number_of_lanes_keeps_each_keys_order(opened, store, before, after):
    """J13: also between what was left and what comes now."""
    store.hold()
    writer = await opened(lanes=before, max_pending=1000).start()
    for n in range(120):
        await writer.submit("CREATE (:Note {key: $key, n: $n})", {"key": n % 6, "n": n}, key=f"k{n % 6}")
    await crash(writer)
    store.release()
    async with opened(lanes=after, max_batch=7, max_pending=1000) as writer:
        for n in range(120, 240):
            await writer.submit("CREATE (:Note {key: $key, n: $n})", {"key": n % 6, "n": n}, key=f"k{n % 6}")
        await writer.flush()
    by_key = defaultdict(list)
    for write in store.committed:
        by_key[write.parameters["key"]].append(write.parameters["n"])
    assert dict(by_key) == {key: list(range(key, 240, 6)) for key in range(6)}


async def test_new_writes_wait_until_there_is_room_behind_those_left(opened, store):
    """B18: what was left counts among the pending writes, even where it is more than there may be now."""
    await left_behind(opened, store, 20, max_pending=100)
    store.hold()
    async with opened(max_pending=10) as writer:
        assert writer.pending == 20
        submitting = asyncio.create_task(writer.submit(NOTE, {"n": 20}))
        await store.arrived()
        assert not submitting.done()
        store.release()
        await submitting
    assert store.values("n") == list(range(21))


@pytest.mark.slow
async def test_a_long_backlog_is_not_brought_into_memory_at_once(opened, store):
    """J3: of 2,000 writes left, no more than a few batches are held."""
    await left_behind(opened, store, 2000, max_pending=5000)
    store.hold()
    async with opened(max_batch=20) as writer:
        await store.arrived()
        lane = next(iter(writer._acceptance.lanes))
        assert len(lane) == 2000
        assert len(lane.queue) == 80
        store.release()
        await writer.flush()
    assert store.values("n") == list(range(2000))


async def test_a_long_queue_is_left_to_the_journal_and_its_receipts_are_told(opened, store):
    """B31: a receipt that somebody holds is told of its write, however far behind it was."""
    store.hold()
    async with opened(max_batch=10, max_pending=1000) as writer:
        receipts = [await writer.submit(NOTE, {"n": n}) for n in range(900)]
        await store.arrived()
        assert len(next(iter(writer._acceptance.lanes)).queue) == 500
        store.release()
        for receipt in receipts:
            await receipt
    assert store.values("n") == list(range(900))


async def test_a_failed_write_is_a_dead_letter_after_a_restart_too(opened, store):
    """J11: listed, shown, sent again, dropped."""
    store.reject("BAD")
    async with opened() as writer:
        await writer.submit("BAD", {"n": 1}, key="k")
        await writer.submit("BAD AS WELL")
        await writer.flush()
    async with opened() as writer:
        bad, worse = sorted(await writer.dead_letters.list(), key=lambda letter: letter.query)
        assert (bad.query, bad.parameters, bad.key, bad.attempts) == ("BAD", {"n": 1}, "k", 1)
        assert await writer.dead_letters.get(bad.seq) == bad
        assert await writer.dead_letters.drop(worse.seq) == 1
        (receipt,) = await writer.dead_letters.redrive()
        await writer.flush()
        (again,) = await writer.dead_letters.list()
        assert (again.seq, again.attempts) == (receipt.seq, 2)
        store.accept()
        await (await writer.dead_letters.redrive(again.seq))[0]
        assert list(await writer.dead_letters.list()) == []
    assert [write.statement for write in store.committed] == ["BAD"]


async def test_a_dead_letter_that_no_room_can_hold_any_more_is_refused(opened, store):
    """J11: sent again after the limit was lowered it would wait for ever; nor is another one of them sent."""
    store.reject("BAD")
    async with opened() as writer:
        await writer.submit("BAD")
        await writer.submit("BAD", {"text": "x" * 3000})
        await writer.flush()
    async with opened(max_pending_bytes=2000, max_batch_bytes=2000) as writer:
        with pytest.raises(InputError, match="max_pending_bytes is 2000"):
            async with asyncio.timeout(5):
                await writer.dead_letters.redrive()
        assert [letter.attempts for letter in await writer.dead_letters.list()] == [1, 1]


@pytest.mark.parametrize("durable", [True, False], ids=["on disk", "in memory"])
async def test_a_dead_letter_has_the_size_that_it_had_when_it_was_accepted(opened, store, durable):
    """J11, B19: what fitted once fits again; typed calls and `submit` do not measure alike."""
    store.reject("BAD")
    limits = {"write_mode": "buffered", "max_pending_bytes": 1000}
    async with opened(**limits) if durable else BufferedWriter(store, **limits) as writer:
        await writer.submit_own("BAD $numbers", {"numbers": [1] * 300}, "k")
        with pytest.raises(InputError, match="max_pending_bytes is 1000"):
            await writer.submit("BAD $numbers", {"numbers": [1] * 300})
        await writer.flush()
        await writer.dead_letters.redrive()
        await writer.flush()
        [letter] = await writer.dead_letters.list()
        assert (letter.attempts, letter.size) == (2, 64 + len("BAD $numbers") + len('{"numbers":[]}') + 2 * 300 - 1)


async def test_an_orphaned_journal_is_adopted(opened, store):
    """J9: what a process that is gone has accepted is committed by the next one, with its dead letters."""
    store.reject("BAD")
    async with opened("gone") as writer:
        await writer.submit("BAD")
        await writer.flush()
    await left_behind(opened, store, 30, name="gone", key="k")
    async with opened("here") as writer:
        assert (writer.recovery.left, writer.recovery.adopted) == (30, 30)
        await writer.submit(NOTE, {"n": 30}, key="k")
        await writer.flush()
        [letter] = await writer.dead_letters.list()
        assert (letter.query, letter.size) == ("BAD", 64 + len("BAD"))
    assert store.values("n") == list(range(31))
    async with opened("gone") as writer:
        assert writer.recovery.left == 0


async def test_a_journal_that_is_held_or_for_another_graph_is_not_adopted(opened, store):
    """J9: only what nobody else will commit."""
    await left_behind(opened, store, 3, name="elsewhere", target="another graph")
    other = FakeGraphStore()
    async with opened("held", target="this graph", over=other) as held:
        other.hold()
        await held.submit(NOTE, {"n": 7})
        async with opened("here", target="this graph") as writer:
            assert writer.recovery.left == 0
        other.release()
    assert store.values("n") == []
    assert other.values("n") == [7]


async def test_a_journal_does_not_end_in_another_graph(opened, store):
    """J3: refused while writes wait in it; without any it may serve another graph from then on."""
    await left_behind(opened, store, 3, target="one graph")
    with pytest.raises(ConfigError, match="holds 3 writes and 0 dead letters for one graph"):
        await opened(target="another graph").start()
    async with opened(target="one graph") as writer:
        await writer.flush()
    other = FakeGraphStore()
    async with opened(target="another graph", over=other) as writer:
        assert writer.recovery.findings == ()
        await writer.submit(NOTE, {"n": 9})
    assert other.values("n") == [9]


async def test_a_graph_restored_from_a_backup_is_reported(opened, store, caplog):
    """J3: what it lacks is named, and what the journal has is applied."""
    async with opened() as writer:
        await writer.submit(NOTE, {"n": 0})
        await writer.flush()
        backup = dict(store.marks)
        await writer.submit(NOTE, {"n": 1})
        await writer.flush()
    store.marks = backup
    async with opened() as writer:
        assert "The graph is older than the journal" in writer.recovery.findings[0]
        assert "writes 1 to 1" in writer.recovery.findings[0]
        await writer.submit(NOTE, {"n": 2})
    assert "older than the journal" in caplog.text
    assert store.values("n") == [0, 1, 2]


async def test_a_journal_restored_from_a_backup_is_reported_and_loses_nothing_new(opened, store, tmp_path):
    """J3: numbers the graph has seen are not given again, so that new writes are not taken for old ones."""
    async with opened() as writer:
        await writer.submit(NOTE, {"n": 0})
    shutil.copytree(tmp_path / "journal" / "main", tmp_path / "backup")
    async with opened() as writer:
        for n in range(1, 6):
            await writer.submit(NOTE, {"n": n})
    shutil.rmtree(tmp_path / "journal" / "main")
    shutil.copytree(tmp_path / "backup", tmp_path / "journal" / "main")
    async with opened() as writer:
        assert "The journal is older than the graph" in writer.recovery.findings[0]
        for n in range(6, 9):
            await writer.submit(NOTE, {"n": n})
    assert store.values("n") == list(range(9))


async def test_what_is_left_goes_first_in_sync_mode_too(opened, store):
    """J3: whatever the mode of the next process is."""
    await left_behind(opened, store, 10)
    async with opened(write_mode="sync") as writer:
        await writer.submit(NOTE, {"n": 10})
    assert store.values("n") == list(range(11))


async def test_what_close_leaves_is_in_the_journal_and_no_failure(opened, store):
    """B11, J12: the report says that it is kept, receipts say so, and the next start commits it."""
    store.hold()
    writer = await opened().start()
    receipts = [await writer.submit(NOTE, {"n": n}) for n in range(5)]
    report = await writer.close(timeout=0.01)
    store.release()
    assert (report.unsettled, report.failed, report.kept) == (5, 0, True)
    assert len(writer.errors) == 0
    assert "kept in the journal" in str(receipts[0].error)
    async with opened() as writer:
        await writer.flush()
    assert store.values("n") == list(range(5))


async def test_an_owner_that_wakes_up_late_applies_nothing(opened, store):
    """J5: its batch comes after the next owner has begun, and changes nothing."""
    store.hold()
    old = await opened().start()
    await old.submit(NOTE, {"n": 0})
    await store.arrived()
    batch = store.batches[0]
    await crash(old)
    store.release()
    async with opened() as new:
        await new.submit(NOTE, {"n": 1})
        await new.flush()
        with pytest.raises(Exception, match="newer owner"):
            await store.apply(batch)
    assert store.values("n") == [0, 1]


async def test_a_write_that_failed_last_is_no_sign_of_an_older_graph(opened, store):
    """J11: the journal let go of it, and the graph never had it."""
    store.reject("BAD")
    async with opened() as writer:
        await writer.submit(NOTE, {"n": 0})
        await writer.flush()
        await writer.submit("BAD")
    async with opened() as writer:
        assert writer.recovery.findings == ()


async def test_dead_letters_are_not_said_to_be_none_where_nobody_looked(store, buffered):
    """J11: in sync mode there is no journal to look in."""
    async with buffered(write_mode="sync") as writer:
        with pytest.raises(ConfigError, match="No journal is open in sync mode"):
            await writer.dead_letters.list()


@pytest.mark.parametrize("durability", ["os", "disk"])
async def test_a_gap_in_the_log_after_a_power_cut(store, tmp_path, monkeypatch, durability):
    """J2, J6: reported where nothing was promised for that case, refused where it was, or where there was no cut."""
    here, copy = tmp_path / "here" / "main", tmp_path / "copy" / "main"
    store.hold()
    journal = SqliteJournal(here, durability=durability)
    async with BufferedWriter(store, journal=journal, write_mode="buffered", close_timeout_seconds=0) as writer:
        for n in range(20):
            await writer.submit(NOTE, {"n": n})
        shutil.copytree(here, copy)
    store.release()
    log = copy / "journal.db-wal"
    content = bytearray(log.read_bytes())
    content[32 + 10 * 4120 : 32 + 11 * 4120] = bytes(4120)
    log.write_bytes(content)
    with pytest.raises(JournalCorruptError, match="damaged in the middle"):
        await SqliteJournal(copy).open()
    monkeypatch.setattr("perdure.journal.sqlite.place.boot", lambda: "another")
    if durability == "disk":
        with pytest.raises(JournalCorruptError, match="damaged in the middle"):
            await SqliteJournal(copy).open()
        return
    async with BufferedWriter(store, journal=SqliteJournal(copy), write_mode="buffered") as writer:
        assert "did not reach the disk in order" in writer.recovery.findings[0]
        left = writer.recovery.left
    assert 0 < left < 20
    assert store.values("n") == list(range(left))
