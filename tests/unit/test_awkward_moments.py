"""Awkward moments: what comes together that seldom does, each of which once went wrong."""

import asyncio
import contextlib

import pytest

from perdure import (
    BufferedWriter,
    ClosedError,
    ConflictError,
    MemoryClient,
    MemorySettings,
    StatementRejectedError,
    StoreUnavailableError,
)
from perdure.testing import FakeGraphStore, wait_until

NOTE = "CREATE (:Note {n: $n})"


async def waiting_for_room(writer, count, **options):
    """Return submissions of different writes that wait because the room is full."""
    tasks = [asyncio.create_task(writer.submit(NOTE, {"n": n + 1}, **options)) for n in range(count)]
    await wait_until(lambda: len(writer._acceptance.room._waiting) == count)
    return tasks


async def test_a_conflict_found_when_there_is_room_takes_no_place(store, buffered):
    """B18, B20: the second of two different writes with one idempotency key is refused, and its place is free."""
    store.hold()
    async with buffered(max_pending=1) as writer:
        await writer.submit(NOTE, {"n": 0})
        tasks = await waiting_for_room(writer, 2, idempotency_key="k")
        store.release()
        first, second = await asyncio.gather(*tasks, return_exceptions=True)
        assert first.state in ("accepted", "committed")
        assert isinstance(second, ConflictError)
        await writer.flush()
        assert (await writer.submit(NOTE, {"n": 9}, timeout=10)).seq > first.seq
    assert store.values("n") == [0, 1, 9]


async def test_many_who_wait_with_one_idempotency_key_get_one_receipt(store, buffered):
    """B20: however many they are."""
    store.hold()
    async with buffered(max_pending=1) as writer:
        await writer.submit(NOTE, {"n": 0})
        tasks = [asyncio.create_task(writer.submit(NOTE, {"n": 1}, idempotency_key="k")) for _ in range(2000)]
        await wait_until(lambda: len(writer._acceptance.room._waiting) == len(tasks))
        store.release()
        receipts = await asyncio.gather(*tasks)
        assert len(set(map(id, receipts))) == 1
    assert store.values("n") == [0, 1]


async def test_true_and_one_are_different_writes(buffered):
    """Though Python thinks them equal."""
    async with buffered() as writer:
        await writer.submit(NOTE, {"n": True}, idempotency_key="k")
        with pytest.raises(ConflictError):
            await writer.submit(NOTE, {"n": 1}, idempotency_key="k")


async def test_an_error_of_the_stores_own_kind_settles_its_write(store, buffered):
    """B25, B34: also when its constructor is not like ours."""

    class NumberedError(StatementRejectedError):
        def __init__(self, number):
            super().__init__(f"No. {number}")

    store.fail(1, NumberedError(3))
    async with buffered() as writer:
        await writer.submit(NOTE, {"n": 1})
        assert (await writer.flush(timeout=10)).failed == 1
    assert isinstance(writer.errors[0].error, NumberedError)


async def test_a_store_short_of_memory_after_an_outage_loses_nothing(store, buffered):
    """B29: tries in an outage do not count against a write that is too large for a moment."""
    store.fail(15, StoreUnavailableError("Later.", relief="again"))
    store.fail(3, StoreUnavailableError("No memory.", relief="smaller"))
    async with buffered() as writer:
        await writer.submit(NOTE, {"n": 1})
    assert (store.values("n"), list(writer.errors)) == ([1], [])


async def test_an_adapter_that_panics_does_not_end_the_drain(store, buffered):
    """B35: an extension module's panic is no Exception, and no reason to stop."""

    class Panic(BaseException):
        pass

    store.break_adapter(1, Panic())
    async with buffered() as writer:
        await (await writer.submit(NOTE, {"n": 1}))
        await writer.submit(NOTE, {"n": 2})
    assert store.values("n") == [1, 2]


async def test_close_is_bounded_by_an_on_error_that_will_not_be_cancelled(store, buffered):
    """B11: swallowing the cancellation does not help it."""
    started = asyncio.Event()

    async def stubborn(_):
        started.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    store.reject("Note")
    writer = await buffered(on_error=stubborn).start()
    await writer.submit(NOTE, {"n": 1})
    await started.wait()
    async with asyncio.timeout(10):
        assert (await writer.close(timeout=0.05)).failed == 1


def test_the_loop_ends_promptly_though_a_task_was_using_the_client():
    """B14: what leaves `async with` because the loop ends does not wait for a store that is held."""
    store = FakeGraphStore()
    store.hold()

    async def background():
        async with BufferedWriter(store, write_mode="buffered", on_error=print, close_timeout_seconds=None) as writer:
            await writer.submit(NOTE, {"n": 1})
            await asyncio.Event().wait()

    async def main():
        task = asyncio.create_task(background())
        await store.arrived()
        assert not task.done()

    asyncio.run(asyncio.wait_for(main(), 10))


async def test_closing_again_after_a_cancelled_close_reports(store, buffered):
    """B8, B11: the first close was cut off while on_error was busy."""
    held = asyncio.Event()

    async def slow(_):
        await held.wait()

    store.reject("BAD")
    client = MemoryClient(
        MemorySettings(store=store, memory={"write_mode": "buffered", "durability": "memory"}), on_error=slow
    )
    await client.connect()
    await (await client.buffered.submit(NOTE, {"n": 1}))
    await client.buffered.submit("BAD")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.close(), 0.05)
    report = await client.close()
    assert (report.committed, report.failed, report.unsettled) == (1, 1, 0)


async def test_closing_while_it_connects_leaves_nothing_open():
    """B10: connect says that it came too late."""
    store, gate = FakeGraphStore(), asyncio.Event()
    connect = store.connect

    async def slowly():
        await gate.wait()
        await connect()

    store.connect = slowly
    client = MemoryClient(MemorySettings(store=store, memory={"write_mode": "buffered", "durability": "memory"}))
    connecting = asyncio.create_task(client.connect())
    await asyncio.sleep(0)
    await client.close()
    gate.set()
    with pytest.raises(ClosedError):
        await connecting
    assert not store.is_open


async def test_a_cancelled_write_leaves_its_neighbour_alone():
    """B15, B38: the embedded store's only writer is busy until the cancelled transaction is over."""
    async with MemoryClient(MemorySettings(store="memory://")) as client:
        for number in range(20):
            write = asyncio.create_task(client.buffered.submit("CREATE (:Note {id: $n})", {"n": number}))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            write.cancel()
            await client.buffered.submit("CREATE (:Other {id: $n})", {"n": number})
            await asyncio.gather(write, return_exceptions=True)
        [row] = await client.query.cypher("MATCH (n:Other) RETURN count(n) AS n")
    assert row == {"n": 20}
