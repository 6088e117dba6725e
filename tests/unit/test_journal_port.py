"""A writer over another journal than its own: *accepted* is what the journal says it is."""

import asyncio

import pytest

from perdure import CloseReport, FlushSummary, JournalError, JournalFullError
from perdure.journal.memory import MemoryJournal
from perdure.protocols import Journal
from perdure.testing import wait_until

NOTE = "CREATE (:Note {n: $n})"


class FakeJournal(MemoryJournal):
    """A durable journal in memory that is slow, or fails, when it is told to."""

    durable = True
    next_seq = 0
    epoch = 7

    def __init__(self):
        super().__init__()
        self.entries = {}
        self.slow = False
        self.trouble = {}
        self._told = None
        self._waiting = []

    def on_kept(self, told):
        self._told = told

    def append(self, entry, replacing=None):
        self._fail("append")
        if self.slow:
            self._waiting.append(entry)
            return False
        self.entries[entry.seq] = entry
        return super().append(entry, replacing)

    def sync(self, error=None):
        """Keep what was submitted, or say why not."""
        waiting, self._waiting = self._waiting, []
        if error is None:
            self.entries.update({entry.seq: entry for entry in waiting})
        self._told(waiting, error)

    def settle(self, lane, up_to):
        self._fail("settle")
        for seq in [seq for seq, entry in self.entries.items() if entry.lane == lane and seq <= up_to]:
            del self.entries[seq]

    async def bury(self, entry, error, code):
        self._fail("bury")
        await super().bury(entry, error, code)
        self.settle(entry.lane, entry.seq)

    def _fail(self, where):
        if where in self.trouble:
            raise self.trouble.pop(where)


@pytest.fixture
def journal():
    return FakeJournal()


async def test_submit_returns_once_the_journal_has_the_write(store, buffered, journal):
    """B2: it waits for the journal and not for the store, and nothing goes to the store before."""
    assert isinstance(journal, Journal)
    store.hold()
    journal.slow = True
    async with buffered(journal=journal) as writer:
        submitting = asyncio.create_task(writer.submit(NOTE, {"n": 1}))
        await wait_until(lambda: writer.pending)
        assert not submitting.done()
        assert store.batches == []
        journal.sync()
        assert (await submitting).state == "accepted"
        await store.arrived()
        store.release()
        await writer.flush()
        assert journal.entries == {}
    assert store.batches[0].epoch == 7


async def test_a_caller_cancelled_while_the_journal_writes_leaves_a_whole_write(store, buffered, journal):
    """B15, B17: the write has its place in the order already."""
    journal.slow = True
    async with buffered(journal=journal) as writer:
        submitting = asyncio.create_task(writer.submit(NOTE, {"n": 1}))
        await wait_until(lambda: writer.pending)
        submitting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await submitting
        assert writer.pending == 1
        journal.sync()
    assert store.values("n") == [1]
    assert journal.entries == {}


async def test_try_submit_is_accepted_when_the_journal_has_it(store, buffered, journal):
    """B20: it does not wait, and does not say *accepted* before that is true."""
    journal.slow = True
    async with buffered(journal=journal) as writer:
        receipt = writer.try_submit(NOTE, {"n": 1})
        assert receipt.state == "submitted"
        with pytest.raises(TimeoutError):
            await receipt.accepted(timeout=0)
        journal.sync()
        assert (await receipt.accepted()).state == "accepted"
    assert store.values("n") == [1]


async def test_a_write_the_journal_loses_was_never_accepted(store, buffered, journal):
    """B15: submit raises the journal's error, a flush does not wait for it, and its place is free."""
    journal.slow = True
    async with buffered(journal=journal, max_pending=1) as writer:
        submitting = asyncio.create_task(writer.submit(NOTE, {"n": 1}, key="k", idempotency_key="once"))
        await wait_until(lambda: writer.pending)
        flushing = asyncio.create_task(writer.flush())
        await asyncio.sleep(0)
        journal.sync(JournalFullError("The disk is full."))
        with pytest.raises(JournalFullError):
            await submitting
        assert await flushing == FlushSummary(committed=0, failed=0, unsettled=0)
        assert (writer.pending, len(writer.errors)) == (0, 0)
        journal.slow = False
        await writer.submit(NOTE, {"n": 1}, key="k", idempotency_key="once")
    assert store.values("n") == [1]


async def test_a_failed_write_is_buried_before_the_next_is_sent(store, buffered, journal):
    """J11: the lane's mark never passes a write that is neither in the store nor a dead letter."""
    store.reject("BAD")
    journal.trouble["bury"] = JournalError("The disk is slow.")
    async with buffered(journal=journal) as writer:
        await writer.submit("BAD")
        await writer.submit(NOTE, {"n": 1})
        await writer.flush()
        assert [letter.query for letter in await writer.dead_letters.list()] == ["BAD"]
    assert store.values("n") == [1]


async def test_what_a_durable_journal_holds_is_kept(store, buffered, journal):
    """B11: the report says so, the entries stay, and so do the lanes' marks."""
    store.hold("LATE")
    writer = await buffered(journal=journal).start()
    await writer.submit(NOTE, {"n": 1})
    await writer.flush()
    await writer.submit("LATE")
    report = await writer.close(timeout=0.01)
    assert report == CloseReport(committed=1, failed=0, unsettled=1, kept=True)
    assert [entry.statement for entry in journal.entries.values()] == ["LATE"]
    assert len(store.marks) == 1


@pytest.mark.parametrize("idempotency_key", [None, "once"])
async def test_a_write_the_journal_refuses_is_not_accepted(store, buffered, journal, idempotency_key):
    """B15: the caller gets the journal's error, and neither a place nor a key is taken."""
    journal.trouble["append"] = JournalError("The disk is full.")
    async with buffered(journal=journal, max_pending=1) as writer:
        with pytest.raises(JournalError, match="disk is full"):
            await writer.submit(NOTE, {"n": 1}, key="k", idempotency_key=idempotency_key)
        assert (writer.pending, writer.stats().pending_bytes) == (0, 0)
        receipt = await writer.submit(NOTE, {"n": 1}, key="k", idempotency_key=idempotency_key)
        assert (await receipt.committed(timeout=2)).state == "committed"
    assert store.values("n") == [1]


async def test_a_journal_that_fails_to_settle_leaves_nobody_waiting(store, buffered, journal, caplog):
    """B35: what is in the store is committed, whatever the journal says; its trouble is logged."""
    journal.trouble["settle"] = JournalError("The disk is gone.")
    async with buffered(journal=journal, close_timeout_seconds=0.1) as writer:
        receipt = await writer.submit(NOTE, {"n": 1})
        assert (await receipt.committed(timeout=2)).state == "committed"
        assert (await writer.flush(timeout=2)).unsettled == 0
        assert writer.stats().pending_bytes == 0
    assert store.values("n") == [1]
    assert "The disk is gone" in caplog.text
