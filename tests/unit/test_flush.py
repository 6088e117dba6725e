"""Barriers: what a flush waits for, and what it reports."""

import asyncio

import pytest

from perdure import BufferedWriter, FlushSummary
from perdure.testing import wait_until

NOTE = "CREATE (:Note {n: $n})"


async def submit(writer, *values):
    return [await writer.submit(NOTE, {"n": value}) for value in values]


async def test_flush_returns_when_everything_before_it_is_settled(store, buffered):
    """B3: across all keys."""
    store.hold()
    async with buffered() as writer:
        receipts = [await writer.submit(NOTE, {"n": n}, key=key) for n, key in enumerate(["a", "b", None])]
        flushing = asyncio.create_task(writer.flush())
        await store.arrived(3)
        assert not flushing.done()
        store.release()
        assert await flushing == FlushSummary(committed=3, failed=0, unsettled=0)
        assert {receipt.state for receipt in receipts} == {"committed"}


async def test_flush_does_not_wait_for_company(store, buffered):
    """B3: what a flush waits for is sent at once."""
    async with buffered(linger_seconds=10) as writer:
        await submit(writer, 1)
        assert (await writer.flush(timeout=5)).complete
    assert store.values("n") == [1]


async def test_flush_does_not_wait_for_later_writes(store, buffered):
    """B4: what is submitted while a flush waits is not its concern."""
    store.hold()
    async with buffered(max_batch=1) as writer:
        early = await writer.submit("CREATE (:Early)")
        flushing = asyncio.create_task(writer.flush())
        await store.arrived()
        store.hold("Late")
        late = [await writer.submit("CREATE (:Late)", key=key) for key in (None, "k")]
        store.release()
        store.hold("Late")
        assert await flushing == FlushSummary(committed=1, failed=0, unsettled=0)
        assert early.state == "committed"
        assert [receipt.state for receipt in late] == ["accepted", "accepted"]
        store.release()


async def test_a_batch_of_earlier_and_later_writes_counts_the_earlier(store, buffered):
    """B4: they may go into the store together; the flush knows which it waited for."""
    store.hold()
    async with buffered() as writer:
        await submit(writer, 1)
        await store.arrived()
        await submit(writer, 2)
        flushing = asyncio.create_task(writer.flush())
        await asyncio.sleep(0)
        await submit(writer, 3, 4)
        store.release()
        assert await flushing == FlushSummary(committed=2, failed=0, unsettled=0)
        assert [len(transaction) for transaction in store.transactions] == [1, 3]
        assert await writer.flush() == FlushSummary(committed=2, failed=0, unsettled=0)


@pytest.mark.parametrize("seconds", [0, 0.01])
async def test_flush_in_vain_reports_what_is_unsettled(store, buffered, seconds):
    """B5: after the timeout the summary says how many writes are still queued, and none is dropped."""
    store.hold()
    async with buffered() as writer:
        await submit(writer, 1, 2, 3)
        summary = await writer.flush(timeout=seconds)
        assert summary == FlushSummary(committed=0, failed=0, unsettled=3)
        assert not summary.complete
        store.release()
        assert await writer.flush() == FlushSummary(committed=3, failed=0, unsettled=0)
    assert store.values("n") == [1, 2, 3]


async def test_a_flush_that_gives_up_counts_what_was_settled_meanwhile(store, buffered):
    """B5: part of the writes may be through."""
    store.hold("Slow")
    async with buffered() as writer:
        await submit(writer, 1, 2)
        await writer.submit("CREATE (:Slow)", key="slow")
        flushing = asyncio.create_task(writer.flush(timeout=0.05))
        await wait_until(lambda: len(store.committed) == 2)
        assert await flushing == FlushSummary(committed=2, failed=0, unsettled=1)
        store.release()


async def test_the_summary_counts_failures(store, buffered):
    """B6: committed and failed writes are counted apart, and each is reported once."""
    store.reject("BAD")
    async with buffered() as writer:
        await submit(writer, 1, 2)
        await writer.submit("BAD")
        assert await writer.flush() == FlushSummary(committed=2, failed=1, unsettled=0)
        assert await writer.flush() == FlushSummary(committed=0, failed=0, unsettled=0)
        await (await writer.submit(NOTE, {"n": 3}))
        assert await writer.flush() == FlushSummary(committed=1, failed=0, unsettled=0)


async def test_flushes_at_the_same_time_report_what_each_waited_for(store, buffered):
    """B6: a flush that finds another one waiting has its own count."""
    store.hold()
    async with buffered(max_batch=1) as writer:
        await submit(writer, 1, 2)
        first = asyncio.create_task(writer.flush())
        await store.arrived()
        await submit(writer, 3)
        second = asyncio.create_task(writer.flush())
        await asyncio.sleep(0)
        store.release()
        assert [(await flush).committed for flush in (first, second)] == [2, 3]


async def test_the_summary_counts_in_sync_mode_too(store):
    """B6: nothing is pending in sync mode, and the counts are those since the last flush."""
    store.reject("BAD")
    async with BufferedWriter(store) as writer:
        await submit(writer, 1, 2)
        with pytest.raises(Exception, match="refuse"):
            await writer.submit("BAD")
        assert await writer.flush() == FlushSummary(committed=2, failed=1, unsettled=0)


async def test_wait_for_pending_is_flush(store, buffered):
    """B7: another name for the same call."""
    async with buffered() as writer:
        await submit(writer, 1)
        assert await writer.wait_for_pending(timeout=5) == FlushSummary(committed=1, failed=0, unsettled=0)
        assert BufferedWriter.wait_for_pending is BufferedWriter.flush


@pytest.mark.parametrize("mode", ["sync", "buffered"])
async def test_flush_before_any_submit_returns_at_once(buffered, mode):
    """B9: there is nothing to wait for."""
    async with buffered(write_mode=mode) as writer:
        assert await writer.flush() == FlushSummary(0, 0, 0)
        assert await writer.flush(timeout=0) == FlushSummary(0, 0, 0)


async def test_cancelling_flush_loses_nothing(store, buffered):
    """B16: the writes stay queued, and the next flush reports them."""
    store.hold()
    async with buffered() as writer:
        await submit(writer, 1, 2)
        flushing = asyncio.create_task(writer.flush())
        await store.arrived()
        flushing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await flushing
        assert writer.pending == 2
        store.release()
        assert await writer.flush() == FlushSummary(committed=2, failed=0, unsettled=0)
    assert store.values("n") == [1, 2]


async def test_a_cancelled_flush_passes_on_what_it_had_counted(store, buffered):
    """B16: what it saw settled is in the summary after it."""
    store.hold("Slow")
    async with buffered() as writer:
        await writer.submit("CREATE (:Slow)", key="slow")
        await submit(writer, 1)
        flushing = asyncio.create_task(writer.flush())
        await wait_until(lambda: store.values("n") == [1])
        flushing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await flushing
        store.release()
        assert await writer.flush() == FlushSummary(committed=2, failed=0, unsettled=0)
