"""The same write submitted twice under one idempotency key is one write."""

import asyncio

import pytest

from perdure import BufferedWriter, ConflictError, InputError

NOTE = "CREATE (:Note {n: $n})"


@pytest.mark.parametrize("mode", ["sync", "buffered"])
async def test_the_same_key_again_returns_the_first_receipt(store, buffered, mode):
    """B31: a repeated submit is answered by the receipt of the first."""
    async with buffered(write_mode=mode) as writer:
        first = await writer.submit(NOTE, {"n": 1}, idempotency_key="once")
        again = await writer.submit(NOTE, {"n": 1}, idempotency_key="once")
        assert again is first
        await writer.submit(NOTE, {"n": 1}, idempotency_key="another")
        await writer.submit(NOTE, {"n": 1})
    assert len(store.committed) == 3


async def test_without_keys_the_same_write_is_written_again(store, buffered):
    """B31: control: it is the key that makes two submits one."""
    async with buffered() as writer:
        assert await writer.submit(NOTE, {"n": 1}) is not await writer.submit(NOTE, {"n": 1})
    assert store.values("n") == [1, 1]


@pytest.mark.parametrize("mode", ["sync", "buffered"])
async def test_a_key_belongs_to_one_write(store, buffered, mode):
    """B31: another write under a used key is a conflict, and is not accepted."""
    async with buffered(write_mode=mode) as writer:
        await writer.submit(NOTE, {"n": 1}, idempotency_key="once")
        for statement, parameters in ((NOTE, {"n": 2}), ("MERGE (:Note {n: $n})", {"n": 1})):
            with pytest.raises(ConflictError, match="'once'"):
                await writer.submit(statement, parameters, idempotency_key="once")
    assert store.values("n") == [1]


async def test_two_tasks_in_sync_mode_write_once(store):
    """B31: a repeat that comes while the first is on its way waits for its commit."""
    store.hold()
    async with BufferedWriter(store) as writer:
        submits = [asyncio.create_task(writer.submit(NOTE, {"n": 1}, idempotency_key="once")) for _ in range(3)]
        await store.arrived()
        assert not any(submit.done() for submit in submits)
        store.release()
        first, second, third = await asyncio.gather(*submits)
        assert first is second is third
    assert store.values("n") == [1]


async def test_repeats_that_wait_for_room_together_write_once(store, buffered):
    """B31: the key is looked up again after the wait, and the place of the repeat is free again."""
    store.hold()
    async with buffered(max_pending=1) as writer:
        await writer.submit(NOTE, {"n": 0})
        await store.arrived()
        repeats = [asyncio.create_task(writer.submit(NOTE, {"n": 1}, idempotency_key="once")) for _ in range(3)]
        store.release()
        first, second, third = await asyncio.gather(*repeats)
        assert first is second is third
        await writer.flush()
        assert writer.try_submit(NOTE, {"n": 2}).state == "accepted"
    assert store.values("n") == [0, 1, 2]


async def test_a_failed_write_may_be_submitted_again_under_its_key(store, buffered):
    """B31: a key does not keep a failure for ever."""
    store.reject("Note")
    async with buffered() as writer:
        first = await writer.submit(NOTE, {"n": 1}, idempotency_key="once")
        await writer.flush()
        assert first.state == "failed"
        store.accept()
        again = await writer.submit(NOTE, {"n": 1}, idempotency_key="once")
        assert again is not first
        await again
    assert store.values("n") == [1]


@pytest.mark.parametrize("key", ["", " ", 7])
async def test_a_blank_key_is_refused(store, buffered, key):
    """B31: a key that would stand for every write is refused."""
    async with buffered() as writer:
        with pytest.raises(InputError, match="idempotency_key"):
            await writer.submit(NOTE, {"n": 1}, idempotency_key=key)
        with pytest.raises(InputError, match="idempotency_key"):
            writer.try_submit(NOTE, {"n": 1}, idempotency_key=key)
    assert store.committed == []


async def test_the_newest_keys_are_remembered(store, buffered, monkeypatch):
    """B31: memory for keys is bounded; the oldest are forgotten first."""
    monkeypatch.setattr("perdure.writes.intake.REMEMBERED", 3)
    async with buffered() as writer:
        receipts = [await writer.submit(NOTE, {"n": n}, idempotency_key=str(n)) for n in range(4)]
        assert await writer.submit(NOTE, {"n": 1}, idempotency_key="1") is receipts[1]
        assert await writer.submit(NOTE, {"n": 0}, idempotency_key="0") is not receipts[0]
    assert store.values("n") == [0, 1, 2, 3, 0]
