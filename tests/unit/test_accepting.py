"""What `submit` promises when it returns, and what it refuses before anything is sent."""

import asyncio

import pytest

from perdure import (
    BufferedWriter,
    ClosedError,
    ConfigError,
    InputError,
    StatementRejectedError,
    StoreUnavailableError,
    WriteFailed,
)

NOTE = "CREATE (:Note {n: $n})"


def runs_without_waiting(coroutine):
    """Return a coroutine's result if it has one without ever giving way to the event loop."""
    try:
        coroutine.send(None)
    except StopIteration as finished:
        return finished.value
    coroutine.close()
    pytest.fail("it waited")


async def test_sync_submit_returns_only_after_the_commit(store):
    """B1: in sync mode a write that is not committed has not returned."""
    store.hold()
    async with BufferedWriter(store) as writer:
        submitting = asyncio.create_task(writer.submit(NOTE, {"n": 1}))
        await store.arrived()
        assert not submitting.done()
        assert store.committed == []
        store.release()
        receipt = await submitting
        assert receipt.state == "committed"
        assert store.values("n") == [1]
        assert await receipt is receipt


@pytest.mark.parametrize("error", [StoreUnavailableError("Away."), StatementRejectedError("Bad."), OSError("Broken.")])
async def test_sync_submit_raises_what_the_store_says(store, error):
    """B1: in sync mode the store's error is the caller's, once, and is not tried again."""
    store.fail(1, error)
    async with BufferedWriter(store) as writer:
        with pytest.raises(type(error), match=str(error)):
            await writer.submit(NOTE, {"n": 1})
        assert store.committed == []
        await writer.submit(NOTE, {"n": 2})
    assert store.values("n") == [2]


async def test_sync_mode_has_no_try_submit(store):
    """B1: what cannot wait cannot promise a commit."""
    async with BufferedWriter(store) as writer:
        with pytest.raises(ConfigError, match="await submit"):
            writer.try_submit(NOTE, {"n": 1})
    assert store.committed == []


@pytest.mark.parametrize("mode", ["buffered", "deferred"])
async def test_buffered_submit_returns_without_awaiting_the_store(store, buffered, mode):
    """B2: while there is room, submit does not even give way to the event loop."""
    store.hold()
    async with buffered(write_mode=mode) as writer:
        receipts = []
        for n in range(10):
            receipts.append(runs_without_waiting(writer.submit(NOTE, {"n": n})))
            await asyncio.sleep(0)  # in one turn of the loop they would share its millisecond
        await store.arrived()
        assert {receipt.state for receipt in receipts} == {"accepted"}
        assert store.committed == []
        store.release()
    assert store.values("n") == list(range(10))


async def test_an_endless_producer_leaves_the_loop_to_others(store, buffered):
    """B2: submit that never waits for the store still lets other tasks run now and then."""
    ran = asyncio.Event()
    async with buffered(max_pending=10_000) as writer:
        other = asyncio.create_task(asyncio.sleep(0))
        other.add_done_callback(lambda _: ran.set())
        for n in range(10_000):
            await writer.submit(NOTE, {"n": n})
            if ran.is_set():
                break
        assert ran.is_set()


def turns_given(coroutine):
    """Run a coroutine that gives way and waits for nothing else, and return how often it gave way."""
    return sum(1 for _ in coroutine.__await__())


async def test_a_long_turn_of_submits_ends_for_as_long_as_the_store_needs(store, buffered, monkeypatch):
    """B2: others get one turn of the loop, and four while a batch is under way: its driver needs many."""
    monkeypatch.setattr("perdure.writes.turn.SECONDS", 0.0)
    store.hold()
    async with buffered(linger_seconds=10.0, max_batch=2) as writer:
        assert turns_given(writer.submit(NOTE, {"n": 1})) == 1
        await writer.submit(NOTE, {"n": 2})
        await store.arrived()
        assert turns_given(writer.submit(NOTE, {"n": 3})) == 4
        store.release()


async def test_parameters_are_those_at_submit(store, buffered):
    """B30: what the caller changes after submit does not reach the store."""
    parameters = {"n": 1, "tags": ["a", {"deep": ["b"]}]}
    store.hold()
    async with buffered() as writer:
        await writer.submit(NOTE, parameters)
        parameters["n"] = 2
        parameters["tags"][1]["deep"].append("c")
        parameters["late"] = True
        store.release()
    assert store.committed == [(NOTE, {"n": 1, "tags": ["a", {"deep": ["b"]}]})]


@pytest.mark.parametrize("mode", ["sync", "buffered"])
@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"n": object()}, r"parameters\['n'\] is object"),
        ({"n": {"a": [1, {2, 3}]}}, r"parameters\['n'\]\['a'\]\[1\] is set"),
        ({"n": b"raw"}, r"parameters\['n'\] is bytes"),
        ({"n": 2**63}, r"parameters\['n'\] is an integer beyond 64 bits"),
        ({"n": "\ud800"}, r"parameters\['n'\] holds half of a surrogate pair"),
        ({3: "x"}, r"parameters has the key 3"),
        ({"m": 1}, r"names \$n, which parameters does not have"),
        (None, r"names \$n"),
        ([("n", 1)], r"should be a mapping"),
    ],
)
async def test_what_cannot_be_encoded_raises_at_submit(store, buffered, mode, parameters, named):
    """B30: an impossible parameter raises in the caller, by its name, and nothing is accepted."""
    async with buffered(write_mode=mode) as writer:
        with pytest.raises(InputError, match=named):
            await writer.submit(NOTE, parameters)
        assert (writer.pending, writer.stats().high_water) == (0, 0)
    assert store.batches == store.committed == []


@pytest.mark.parametrize("statement", ["", "  \n // nothing\n", None, 7, "CREATE (:A {n: 'open})", "CREATE /* open"])
async def test_what_is_no_statement_raises_at_submit(buffered, statement):
    """B30: text that no store could run raises in the caller."""
    async with buffered() as writer:
        with pytest.raises(InputError, match="statement"):
            await writer.submit(statement)
        with pytest.raises(InputError, match="statement"):
            writer.try_submit(statement)


@pytest.mark.parametrize("key", ["", "  ", 7, b"k"])
async def test_a_key_is_text_or_none(buffered, key):
    """B30: an ordering key that would be mistaken for another is refused."""
    async with buffered() as writer:
        with pytest.raises(InputError, match="key"):
            await writer.submit(NOTE, {"n": 1}, key=key)


async def test_a_receipt_can_be_awaited(store, buffered):
    """B31: awaiting gives the receipt once the write is in the store, to any number of waiters."""
    store.hold()
    async with buffered() as writer:
        receipt = await writer.submit(NOTE, {"n": 1}, key="k")
        assert (receipt.seq, receipt.key, receipt.state) == (0, "k", "accepted")
        waiters = [asyncio.create_task(receipt.committed()) for _ in range(3)]
        await store.arrived()
        assert not any(waiter.done() for waiter in waiters)
        store.release()
        assert await asyncio.gather(*waiters) == [receipt] * 3
        assert receipt.state == "committed"
        assert store.values("n") == [1]


async def test_awaiting_the_receipt_of_a_failed_write_raises(store, buffered):
    """B31: a failed write says why and which it was, each time it is asked."""
    store.reject("BAD")
    async with buffered() as writer:
        receipt = await writer.submit("BAD statement")
        for _ in range(2):
            with pytest.raises(WriteFailed, match="BAD statement") as caught:
                await receipt
            assert caught.value.query == "BAD statement"
            assert isinstance(caught.value.error, StatementRejectedError)
    assert receipt.state == "failed"


async def test_waiting_for_a_receipt_in_vain_leaves_the_write_queued(store, buffered):
    """B31: neither a timeout nor a cancelled await takes the write back."""
    store.hold()
    async with buffered() as writer:
        receipt = await writer.submit(NOTE, {"n": 1})
        with pytest.raises(TimeoutError):
            await receipt.committed(timeout=0.01)
        awaiting = asyncio.create_task(receipt.committed())
        await store.arrived()
        awaiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await awaiting
        assert receipt.state == "accepted"
        store.release()
        await receipt
    assert store.values("n") == [1]


async def test_awaiting_a_receipt_does_not_wait_for_company(store, buffered):
    """B31: the linger is for writes that nobody is waiting for."""
    async with buffered(linger_seconds=10) as writer:
        receipt = await writer.submit(NOTE, {"n": 1}, key="k")
        assert (await receipt.committed(timeout=5)).state == "committed"


async def test_a_writer_that_is_not_started_says_so(buffered):
    """B36: use before start is a clear error."""
    writer = buffered()
    with pytest.raises(ClosedError, match="not started"):
        await writer.submit(NOTE, {"n": 1})
    async with writer:
        with pytest.raises(ConfigError, match="started already"):
            await writer.start()
