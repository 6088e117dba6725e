"""The gauges and counters of a writer, and what clients say of their health."""

import asyncio

import pytest

from perdure import BufferedWriter, Latency
from perdure.writes.ledger import latency

NOTE = "CREATE (:Note {n: $n})"


async def test_stats_follow_a_write_from_acceptance_to_commit(store, buffered):
    """B37: pending counts what is in flight; both are zero at the end, and the counters have it all."""
    store.hold()
    store.reject("BAD")
    async with buffered(max_batch=2) as writer:
        assert writer.stats().oldest_pending_seconds is None
        for n in range(3):
            await writer.submit(NOTE, {"n": n})
        await writer.submit("BAD", key="k")
        await store.arrived(2)
        stats = writer.stats()
        assert (stats.pending, stats.in_flight, stats.committed, stats.failed) == (4, 3, 0, 0)
        assert stats.pending_bytes > 0
        assert stats.oldest_pending_seconds > 0
        store.fail(2)
        store.release()
        await writer.flush()
    stats = writer.stats()
    assert (stats.pending, stats.in_flight, stats.committed, stats.failed) == (0, 0, 3, 1)
    assert (stats.retried, stats.batches, stats.high_water) == (2, 2, 4)
    assert (stats.pending_bytes, stats.oldest_pending_seconds) == (0, None)
    assert writer.pending == 0


async def test_latencies_are_measured(store, buffered):
    """B37: acceptance is told apart from commit, which includes the time in the queue."""
    async with buffered() as writer:
        assert writer.stats().accept_latency == writer.stats().commit_latency == Latency(None, None, None)
        for n in range(10):
            await writer.submit(NOTE, {"n": n})
        accept = writer.stats().accept_latency
        assert 0 <= accept.p50 <= accept.p99 <= accept.maximum
        store.hold()
        await writer.submit(NOTE, {"n": 10})
        await store.arrived()
        waited = writer.stats().oldest_pending_seconds
        store.release()
        await writer.flush()
        commit = writer.stats().commit_latency
        assert 0 < commit.p50 <= commit.p99 <= commit.maximum
        assert commit.maximum >= waited


async def test_sync_mode_has_stats_too(store):
    """B37: nothing is ever pending, and commits are counted and timed."""
    store.reject("BAD")
    async with BufferedWriter(store) as writer:
        await writer.submit(NOTE, {"n": 1})
        with pytest.raises(Exception, match="refuse"):
            await writer.submit("BAD")
        stats = writer.stats()
        assert (stats.pending, stats.in_flight, stats.committed, stats.failed) == (0, 0, 1, 1)
        assert stats.commit_latency.maximum > 0


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([], Latency(None, None, None)),
        ([3.0], Latency(3.0, 3.0, 3.0)),
        ([5.0, 1.0, 3.0], Latency(3.0, 5.0, 5.0)),
        ([float(n) for n in range(1, 1001)], Latency(501.0, 991.0, 1000.0)),
    ],
)
def test_percentiles_are_of_values_that_were_measured(samples, expected):
    """B37: the middle, the one in a hundred, and the longest."""
    assert latency(samples) == expected


@pytest.mark.parametrize("mode", ["sync", "buffered", "deferred"])
async def test_a_writer_says_what_it_is(store, buffered, mode):
    """B37: its mode, its store, whether it is open, and how much is pending."""
    writer = buffered(write_mode=mode)
    assert repr(writer) == f"<BufferedWriter {mode} over the fake store, not started, 0 pending>"
    assert writer.is_buffered is (mode != "sync")
    async with writer:
        assert "open" in repr(writer)
    assert "closed" in repr(writer)


async def test_what_is_retried_is_counted_by_every_lane(store, buffered):
    """B37: the counters are of the writer, not of a lane."""
    store.fail(4)
    async with buffered() as writer:
        await asyncio.gather(*(writer.submit(NOTE, {"n": n}, key=str(n)) for n in range(4)))
        await writer.flush()
        assert (writer.stats().retried, writer.stats().batches) == (4, 4)
