"""A bounded queue: who gets in, who waits, and in which order."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure import BufferedWriter, InputError, QueueFullError
from perdure.testing import FakeGraphStore

NOTE = "CREATE (:Note {n: $n})"


async def fill(writer, *values):
    return [await writer.submit(NOTE, {"n": value}) for value in values]


def start_waiting(writer, *values):
    return [asyncio.create_task(writer.submit(NOTE, {"n": value})) for value in values]


async def until_they_wait(writer, tasks):
    """Give submitters the turns they need to reach the queue."""
    for _ in range(3):
        await asyncio.sleep(0)
    assert not any(task.done() for task in tasks)
    assert writer.pending == writer.stats().high_water


@pytest.mark.slow
@given(
    max_pending=st.integers(1, 6),
    producers=st.integers(1, 8),
    max_batch=st.integers(1, 4),
    refused=st.sets(st.integers(0, 79)),
)
async def test_pending_never_exceeds_its_bound(max_pending, producers, max_batch, refused):
    """B18: the high-water mark of accepted and unsettled writes stays at or below max_pending."""
    store = FakeGraphStore()
    store.reject(lambda _, parameters: parameters["n"] in refused)
    seen = []

    async def produce(producer):
        for n in range(10):
            await writer.submit(NOTE, {"n": producer * 10 + n}, key=str(producer % 3))
            seen.append(writer.pending)

    options = {"max_pending": max_pending, "max_batch": max_batch, "linger_seconds": 0}
    async with BufferedWriter(store, write_mode="buffered", **options) as writer, asyncio.TaskGroup() as tasks:
        for producer in range(producers):
            tasks.create_task(produce(producer))
    assert max(seen) <= writer.stats().high_water <= max_pending
    assert writer.stats().pending_bytes == 0
    assert sorted(store.values("n")) == [n for n in range(producers * 10) if n not in refused]


async def test_the_bound_is_reached_before_anyone_waits(store, buffered):
    """B18: control: all of max_pending can be used."""
    store.hold()
    async with buffered(max_pending=5) as writer:
        await fill(writer, *range(5))
        assert writer.stats().high_water == writer.pending == 5
        store.release()


async def test_pending_bytes_never_exceed_their_bound(store, buffered):
    """B19: large writes wait although there are places left; small ones do not overtake them."""
    store.hold()
    async with buffered(max_pending_bytes=10_000) as writer:
        await fill(writer, "x" * 4000, "x" * 4000)
        assert 8000 < writer.stats().pending_bytes <= 10_000
        waiting = start_waiting(writer, "x" * 4000, "small")
        await until_they_wait(writer, waiting)
        assert writer.pending == 2
        store.release()
        await asyncio.gather(*waiting)
    assert [len(value) for value in store.values("n")] == [4000, 4000, 4000, 5]
    assert writer.stats().pending_bytes == 0


@pytest.mark.parametrize("mode", ["sync", "buffered"])
async def test_a_write_larger_than_the_bound_is_refused(store, buffered, mode):
    """B19: it would wait for ever."""
    async with buffered(max_pending_bytes=1000, write_mode=mode) as writer:
        with pytest.raises(InputError, match="max_pending_bytes is 1000"):
            await fill(writer, "x" * 1000)
    assert store.committed == []


async def test_a_full_queue_blocks_by_default(store, buffered):
    """B20: submit waits for room, and goes on when there is some."""
    store.hold()
    async with buffered(max_pending=2) as writer:
        await fill(writer, 1, 2)
        waiting = start_waiting(writer, 3)
        await until_they_wait(writer, waiting)
        store.release()
        assert (await waiting[0]).state == "accepted"
    assert store.values("n") == [1, 2, 3]


async def test_a_full_queue_is_drained_without_delay(store, buffered):
    """B20: whoever waits for room does not wait for the linger."""
    async with buffered(max_pending=2, linger_seconds=10) as writer:
        async with asyncio.timeout(5):
            await fill(writer, *range(20))
    assert store.values("n") == list(range(20))


async def test_a_full_queue_raises_by_policy(store, buffered):
    """B20: on_full="raise" never waits, and nothing is accepted."""
    store.hold()
    async with buffered(max_pending=2, on_full="raise") as writer:
        await fill(writer, 1, 2)
        with pytest.raises(QueueFullError, match="2 of 2 writes") as caught:
            await fill(writer, 3)
        assert caught.value.retryable
        assert writer.pending == 2
        store.release()
        await writer.flush()
        await fill(writer, 4)
    assert store.values("n") == [1, 2, 4]


async def test_try_submit_never_waits(store, buffered):
    """B20: it takes a place or says that there is none, without giving way to the event loop."""
    store.hold()
    async with buffered(max_pending=2) as writer:
        receipts = [writer.try_submit(NOTE, {"n": n}, key="k") for n in (1, 2)]
        with pytest.raises(QueueFullError):
            writer.try_submit(NOTE, {"n": 3})
        store.release()
        await writer.flush()
        assert [receipt.state for receipt in receipts] == ["committed", "committed"]
    assert store.values("n") == [1, 2]


@pytest.mark.parametrize("policy", ["block", "raise"])
async def test_submit_waits_at_most_its_timeout(store, buffered, policy):
    """B20: a timeout bounds the wait for room, whatever the policy; nothing is accepted."""
    store.hold()
    async with buffered(max_pending=1, on_full=policy) as writer:
        await fill(writer, 1)
        with pytest.raises(QueueFullError, match=r"after 0\.01 s"):
            await writer.submit(NOTE, {"n": 2}, timeout=0.01)
        assert writer.pending == 1
        store.release()
        await writer.submit(NOTE, {"n": 3}, timeout=10)
    assert store.values("n") == [1, 3]


async def test_those_who_wait_are_served_in_turn(store, buffered):
    """B20: first come, first served; try_submit does not overtake them."""
    store.hold()
    async with buffered(max_pending=1, max_batch=1) as writer:
        await fill(writer, 0)
        waiting = start_waiting(writer, *range(1, 10))
        await until_they_wait(writer, waiting)
        store.release()
        overtaken = 0
        while not waiting[-1].done():
            with pytest.raises(QueueFullError):
                writer.try_submit(NOTE, {"n": "overtaker"})
            overtaken += 1
            await asyncio.sleep(0)
        assert overtaken > 0
    assert store.values("n") == list(range(10))


async def test_cancelling_who_waits_for_room_leaves_no_half_accepted_write(store, buffered):
    """B15: the cancelled write is nowhere, its place goes to the next, and cancellation is not swallowed."""
    store.hold()
    async with buffered(max_pending=1) as writer:
        await fill(writer, 1)
        waiting = start_waiting(writer, 2, 3)
        await until_they_wait(writer, waiting)
        waiting[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting[0]
        assert (writer.pending, writer.stats().pending) == (1, 1)
        store.release()
        await waiting[1]
        assert (await writer.flush()).unsettled == 0
    assert store.values("n") == [1, 3]


async def test_a_caller_cancelled_once_its_write_is_accepted_leaves_it_whole(store, buffered):
    """B15: cancellation may come in the moment the place was given; then the write is in, and its place comes back."""
    store.hold()
    async with buffered(max_pending=1) as writer:
        first = await fill(writer, 1)
        waiting = start_waiting(writer, 2)
        await until_they_wait(writer, waiting)
        store.release()
        await first[0]  # whoever waits for the receipt is woken in the same turn as who waits for the place
        waiting[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting[0]
        await writer.submit(NOTE, {"n": 3}, timeout=10)
    assert store.values("n") == [1, 2, 3]
    assert writer.stats().pending_bytes == 0
