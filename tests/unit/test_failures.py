"""What goes wrong on the way to the store, and what the drain does about it."""

import asyncio
import logging

import pytest

from perdure import (
    BufferedWriter,
    ConflictError,
    FlushSummary,
    StatementRejectedError,
    StoreUnavailableError,
    WriteFailed,
)
from perdure.testing import FakeGraphStore, Mark, wait_until
from perdure.writes import batch

NOTE = "CREATE (:Note {n: $n})"
UNAVAILABLE = StoreUnavailableError("The server is restarting.")


async def submit(writer, *values, key=None):
    return [await writer.submit(NOTE, {"n": value}, key=key) for value in values]


# -- transient


async def test_transient_errors_are_tried_again_and_counted(store, buffered, caplog):
    """B27: the same batch goes again until the store takes it; retries are counted and the wait is said once."""
    store.fail(3, UNAVAILABLE)
    async with buffered() as writer:
        (receipt,) = await submit(writer, 1)
        await receipt
        assert (writer.stats().retried, writer.stats().batches, writer.stats().failed) == (3, 1, 0)
    assert store.values("n") == [1]
    assert len(writer.errors) == 0
    waits = [record for record in caplog.records if "waits for the fake store" in record.message]
    assert [record.levelno for record in waits] == [logging.WARNING]


def test_the_wait_between_tries_grows_to_a_bound_and_is_jittered(monkeypatch):
    """B27: a store that is away is not hammered, and one that is back is not waited for long."""
    monkeypatch.undo()
    waits = [[batch.pause(attempt, "wait") for _ in range(50)] for attempt in range(1, 200)]
    for attempt, drawn in enumerate(waits, 1):
        longest = min(batch.FIRST_WAIT * 2 ** min(attempt - 1, 16), batch.LONGEST_WAIT)
        assert longest / 2 <= min(drawn) < max(drawn) <= longest
    assert max(waits[0]) < min(waits[3])
    quick = [batch.pause(attempt, "again") for attempt in range(1, 200)]
    assert 0 <= min(quick) <= max(quick) <= batch.LONGEST_QUICK


async def test_permanent_errors_are_not_tried_again(store, buffered):
    """B28: a refused statement is sent once."""
    store.reject("Note")
    async with buffered() as writer:
        (receipt,) = await submit(writer, 1)
        with pytest.raises(WriteFailed):
            await receipt
        assert (len(store.batches), writer.stats().retried) == (1, 0)


async def test_an_outage_drops_nothing_and_keeps_the_order(store, buffered):
    """B29: however often the store says that it is away, everything arrives, in order."""
    store.down()
    async with buffered(max_pending=20) as writer:
        producer = asyncio.create_task(submit(writer, *range(50)))
        await wait_until(lambda: writer.stats().retried > 200)
        assert (writer.pending, store.committed, len(writer.errors)) == (20, [], 0)
        store.up()
        receipts = await producer
        await writer.flush()
        assert {receipt.state for receipt in receipts} == {"committed"}
    assert store.values("n") == list(range(50))


async def test_a_store_that_asks_for_less_gets_less(store, buffered):
    """B27: batches shrink until the store takes them, and grow again afterwards."""
    store.hold()
    async with buffered(max_batch=8) as writer:
        await submit(writer, *range(32))
        await store.arrived()
        store.fail(3, StoreUnavailableError("Too much at once.", relief="smaller"))
        store.release()
    assert store.values("n") == list(range(32))
    assert [len(sent.entries) for sent in store.batches] == [8, 4, 2, 1, 2, 4, 8, 8, 8, 1]


async def test_a_write_that_is_too_much_even_alone_fails(store, buffered):
    """B28: a store that can never take a write does not hold up those behind it for ever."""
    store.fail(40, StoreUnavailableError("Too much at once.", relief="smaller"))
    async with buffered() as writer:
        receipts = await submit(writer, *range(8))
        await writer.flush()
        assert {receipt.state for receipt in receipts} == {"failed", "committed"}
    failed = [error.parameters["n"] for error in writer.errors]
    assert failed + store.values("n") == list(range(8))


# -- exactly once


async def test_a_lost_answer_applies_nothing_twice(store, buffered):
    """B29: the batch is sent again, and the store's mark says that it is there."""
    store.lose_answers(3)
    async with buffered(max_batch=2) as writer:
        await submit(writer, *range(5))
        await writer.flush()
        assert writer.stats().retried == 3
        assert writer.stats().committed == 5
    assert store.values("n") == list(range(5))


async def test_without_the_mark_a_lost_answer_applies_twice():
    """B29: control: it is the mark that keeps a batch from being applied again."""
    store = FakeGraphStore(exactly_once=False)
    store.lose_answers(1)
    async with BufferedWriter(store, write_mode="buffered") as writer:
        await submit(writer, 1, 2)
    assert store.values("n") == [1, 2, 1, 2]


async def test_an_answer_lost_before_a_refusal_fails_only_the_bad_one(store, buffered):
    """B25: what was committed without our knowing counts as committed when the batch is split."""
    store.commit_at_most(3)
    store.lose_answers(1)
    store.reject(lambda _, parameters: parameters["n"] == 4)
    async with buffered() as writer:
        await submit(writer, *range(6))
        assert await writer.flush() == FlushSummary(committed=5, failed=1, unsettled=0)
    assert store.values("n") == [0, 1, 2, 3, 5]


async def test_a_writer_whose_lane_was_taken_over_fails_its_writes(store, buffered):
    """B28: a newer owner's epoch is final: nothing more is applied, and every write says why."""
    store.hold()
    async with buffered() as writer:
        receipts = await submit(writer, 1, 2)
        await store.arrived()
        store.marks[store.batches[0].lane] = Mark(seq=0, epoch=store.batches[0].epoch + 1)
        store.release()
        await writer.flush()
        assert [type(receipt.error) for receipt in receipts] == [ConflictError] * 2
    assert store.committed == []


async def test_a_store_may_commit_a_batch_piece_by_piece(store, buffered):
    """B21: what a store leaves of a batch goes next, before anything else."""
    store.commit_at_most(2)
    async with buffered(max_batch=5) as writer:
        await submit(writer, *range(11))
    assert store.values("n") == list(range(11))
    assert max(len(transaction) for transaction in store.transactions) == 2


# -- crashes


async def test_a_crashed_drain_is_reported_and_restarted(store, buffered, caplog):
    """B35: an error that no store should raise is logged, counted and survived."""
    store.break_adapter(2)
    async with buffered() as writer:
        receipts = await submit(writer, 1, 2)
        await writer.flush()
        assert {receipt.state for receipt in receipts} == {"committed"}
        assert writer.stats().retried == 2
    crashes = [record for record in caplog.records if "crashed" in record.message]
    assert [record.levelno for record in crashes] == [logging.ERROR] * 2
    assert "RuntimeError" in crashes[0].message


class BrittleStore(FakeGraphStore):
    """A store whose adapter chokes on some statements."""

    def __init__(self, error):
        super().__init__()
        self._error = error

    async def apply(self, batch):
        if any("POISON" in entry.statement for entry in batch.entries):
            raise self._error
        return await super().apply(batch)


@pytest.mark.parametrize(
    "error",
    [RuntimeError("Broken."), TimeoutError(), ExceptionGroup("Two.", [OSError()]), asyncio.CancelledError()],
    ids=lambda error: type(error).__name__,
)
async def test_a_statement_that_breaks_its_adapter_ends_alone(error):
    """B35: its neighbours are committed, other keys go on, and the error names the adapter's."""
    store = BrittleStore(error)
    async with BufferedWriter(store, write_mode="buffered", close_timeout_seconds=0.1) as writer:
        await submit(writer, 1, 2)
        poison = await writer.submit("POISON")
        await submit(writer, 3, 4)
        await submit(writer, 5, key="other")
        assert await writer.flush(timeout=2) == FlushSummary(committed=5, failed=1, unsettled=0)
        assert type(error).__name__ in str(poison.error)
    assert sorted(store.values("n")) == [1, 2, 3, 4, 5]
    assert [failure.query for failure in writer.errors] == ["POISON"]


# -- one bad statement


@pytest.mark.parametrize("position", [True, False])
async def test_a_bad_statement_fails_alone(store, buffered, position):
    """B25: its neighbours in the batch commit, in order, whether or not the store says which one it was."""
    store.reject("BAD", position=position)
    async with buffered() as writer:
        receipts = [await writer.submit("BAD" if n == 5 else NOTE, {"n": n}) for n in range(11)]
        assert await writer.flush() == FlushSummary(committed=10, failed=1, unsettled=0)
    assert [receipt.seq for receipt in receipts if receipt.state == "failed"] == [5]
    assert store.values("n") == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10]


async def test_each_error_names_its_own_statement(store, buffered):
    """B26: in write_errors and on the receipt: the text, the parameters, the key, the place and the time."""
    store.reject("BAD")
    async with buffered() as writer:
        await submit(writer, 0)
        bad = [await writer.submit(f"BAD {n}", {"n": n}, key=f"key {n}") for n in (1, 2, 3)]
        await submit(writer, 4)
    for n, receipt in enumerate(bad, 1):
        (failure,) = [failure for failure in writer.errors if failure.query == f"BAD {n}"]
        assert (failure.parameters, failure.key, failure.seq) == ({"n": n}, f"key {n}", receipt.seq)
        assert failure.error is receipt.error
        assert isinstance(failure.error, StatementRejectedError)
        assert failure.when.utcoffset() is not None
    assert len(writer.errors) == 3
