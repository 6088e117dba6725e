"""A writer over another journal than its own: *accepted* is what the journal says it is."""

import asyncio

import pytest

from perdure import CloseReport, JournalError
from perdure.journal.memory import MemoryJournal
from perdure.protocols import Journal

NOTE = "CREATE (:Note {n: $n})"


class FakeJournal(MemoryJournal):
    """A durable journal in memory that is slow, or fails, when it is told to."""

    durable = True
    next_seq = 0
    epoch = 7

    def __init__(self):
        super().__init__()
        self.entries = {}
        self.synced = None
        self.trouble = {}

    def append(self, entry):
        self._fail("append")
        self.entries[entry.seq] = entry
        return None if self.synced is None else self.synced.wait()

    def settle(self, entries, error=None):
        self._fail("settle")
        for entry in entries:
            del self.entries[entry.seq]

    def _fail(self, where):
        if where in self.trouble:
            raise self.trouble.pop(where)


@pytest.fixture
def journal():
    return FakeJournal()


async def test_submit_returns_once_the_journal_has_the_write(store, buffered, journal):
    """B2: it waits for the journal and not for the store."""
    assert isinstance(journal, Journal)
    store.hold()
    journal.synced = asyncio.Event()
    async with buffered(journal=journal) as writer:
        submitting = asyncio.create_task(writer.submit(NOTE, {"n": 1}))
        await store.arrived()
        assert not submitting.done()
        journal.synced.set()
        assert (await submitting).state == "accepted"
        store.release()
        await writer.flush()
        assert journal.entries == {}
    assert store.batches[0].epoch == 7


async def test_a_caller_cancelled_while_the_journal_writes_leaves_a_whole_write(store, buffered, journal):
    """B15, B17: the write has its place in the order already."""
    journal.synced = asyncio.Event()
    store.hold()
    async with buffered(journal=journal) as writer:
        submitting = asyncio.create_task(writer.submit(NOTE, {"n": 1}))
        await store.arrived()
        submitting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await submitting
        assert writer.pending == 1
        store.release()
    assert store.values("n") == [1]
    assert journal.entries == {}


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
    assert "JournalError" in caplog.text
