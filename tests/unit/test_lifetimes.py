"""Loops that end and callers that are cancelled: nothing hangs, and nothing goes unsaid."""

import asyncio
import gc
import subprocess
import sys
import warnings
from contextlib import suppress

import pytest

from perdure import BufferedWriter, ClosedError, CloseReport, MemoryClient, MemorySettings, WriteFailed
from perdure.testing import FakeGraphStore
from perdure.wiring import load

NOTE = "CREATE (:Note {n: $n})"

FORGETFUL = """
import asyncio, logging, sys
from perdure import BufferedWriter
from perdure.testing import FakeGraphStore

async def main():
    store = FakeGraphStore()
    store.hold()
    writer = await BufferedWriter(store, write_mode="buffered").start()
    for n in range(3):
        await writer.submit("CREATE (:Note {n: $n})", {"n": n})
    await store.arrived()

logging.basicConfig(stream=sys.stdout)
asyncio.run(main())
print("ended")
"""


async def leave_open(store, *values):
    """Start a writer, submit, and forget to close it."""
    writer = await BufferedWriter(store, write_mode="buffered").start()
    receipts = [await writer.submit(NOTE, {"n": value}) for value in values]
    if values:
        await store.arrived()
    return writer, receipts


# -- forgotten


def test_a_program_that_forgot_close_ends_and_says_what_it_lost():
    """B14: asyncio.run returns, the log has the number, and Python warns of the open writer."""
    done = subprocess.run(
        [sys.executable, "-W", "always::ResourceWarning", "-c", FORGETFUL],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "ended"
    assert "3 accepted writes not committed" in done.stdout
    assert "ResourceWarning: <BufferedWriter buffered over the fake store" in done.stderr


def test_what_a_forgotten_writer_held_is_failed_and_reported(caplog):
    """B14: receipts and write_errors say what became of each write."""
    store = FakeGraphStore()
    store.hold()
    with pytest.warns(ResourceWarning, match="was not closed"):
        writer, receipts = asyncio.run(leave_open(store, 1, 2))
    assert store.committed == []
    assert [(receipt.state, type(receipt.error)) for receipt in receipts] == [("failed", ClosedError)] * 2
    assert [failure.parameters["n"] for failure in writer.errors] == [1, 2]
    assert "2 accepted writes not committed" in caplog.text
    with pytest.raises(WriteFailed):
        asyncio.run(receipts[0].committed())


def test_the_loss_is_logged_where_warnings_are_errors(caplog):
    """B14: a strict interpreter does not keep the log line from being written."""
    store = FakeGraphStore()
    store.hold()
    with warnings.catch_warnings(), suppress(ResourceWarning):
        warnings.simplefilter("error")
        asyncio.run(leave_open(store, 1, 2))
    assert "2 accepted writes not committed" in caplog.text


def test_a_forgotten_writer_with_nothing_pending_loses_nothing(caplog):
    """B14: control: Python warns of the open writer, and there is no loss to log."""
    with pytest.warns(ResourceWarning, match="was not closed"):
        asyncio.run(leave_open(FakeGraphStore()))
    assert "not committed" not in caplog.text


@pytest.mark.parametrize("mode", ["sync", "buffered"])
def test_a_writer_that_was_closed_or_never_started_warns_of_nothing(mode, caplog):
    """B14: control: filterwarnings makes any ResourceWarning an error."""

    async def main():
        async with BufferedWriter(FakeGraphStore(), write_mode=mode) as writer:
            await writer.submit(NOTE, {"n": 1})
        BufferedWriter(FakeGraphStore(), write_mode=mode)

    asyncio.run(main())
    gc.collect()
    assert caplog.text == ""


def test_someone_who_waits_when_the_loop_ends_is_let_go():
    """B14: flush, an awaited receipt and a submitter waiting for room end with the loop."""

    async def main():
        store = FakeGraphStore()
        store.hold()
        writer = await BufferedWriter(store, write_mode="buffered", max_pending=1).start()
        receipt = await writer.submit(NOTE, {"n": 1})
        waiting = [writer.flush(), receipt.committed(), writer.submit(NOTE, {"n": 2})]
        tasks.extend(asyncio.create_task(wait) for wait in waiting)
        await store.arrived()

    tasks = []
    with pytest.warns(ResourceWarning):
        asyncio.run(main())
    assert all(task.done() for task in tasks)


# -- cancelled


async def test_cancellation_is_never_swallowed(store, buffered):
    """B17: whatever a caller waits for, cancelling it raises CancelledError there, and the write stays whole."""
    store.hold()
    async with buffered(max_pending=1) as writer:
        receipt = await writer.submit(NOTE, {"n": 1})
        await store.arrived()
        waits = [receipt.committed(), writer.flush(), writer.flush(60), writer.submit(NOTE, {"n": 2})]
        tasks = [asyncio.create_task(wait) for wait in waits]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert all(task.cancelled() for task in tasks)
        assert receipt.state == "accepted"
        store.release()
    assert store.values("n") == [1]


async def test_cancelling_a_sync_write_is_not_swallowed(store):
    """B17: the transaction is given up, and the receipt of a repeat says so."""
    store.hold()
    async with BufferedWriter(store) as writer:
        submitting = asyncio.create_task(writer.submit(NOTE, {"n": 1}))
        await store.arrived()
        submitting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await submitting
        store.release()
        assert writer.stats().failed == 1
    assert store.committed == []


async def test_cancelling_close_stops_at_once_and_reports_what_was_left(store, buffered):
    """B17, B11: the drain ends, receipts are failed, and the next close has the report."""
    store.hold()
    writer = await buffered().start()
    receipt = await writer.submit(NOTE, {"n": 1})
    closing = asyncio.create_task(writer.close())
    await store.arrived()
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert receipt.state == "failed"
    assert await writer.close() == CloseReport(committed=0, failed=0, unsettled=1, kept=False)


async def test_cancelling_one_of_two_closers_leaves_the_other_a_report(store, buffered):
    """B8, B17: whoever still waits gets the report of what the cancelled close left."""
    store.hold()
    writer = await buffered().start()
    await writer.submit(NOTE, {"n": 1})
    first, second = (asyncio.create_task(writer.close()) for _ in range(2))
    await store.arrived()
    first.cancel()
    report = await second
    assert first.cancelled()
    assert report.unsettled + report.committed == 1


async def test_a_caller_cancelled_right_after_acceptance_leaves_a_whole_write(store, buffered):
    """B15: cancellation never makes half a write."""
    async with buffered() as writer:
        submits = [asyncio.create_task(writer.submit(NOTE, {"n": n})) for n in range(60)]
        await asyncio.sleep(0)
        accepted = writer.stats().pending
        for submit in submits:
            submit.cancel()
        await asyncio.wait(submits)
        await writer.flush()
        assert len(store.committed) == accepted == writer.stats().committed


@pytest.mark.parametrize("turns", range(6))
async def test_a_connect_that_is_cancelled_leaves_nothing_running(store, turns):
    """B17: whenever it is cancelled; the store is closed, and no task stays behind."""
    client = MemoryClient(MemorySettings(store=store, memory={"write_mode": "buffered", "durability": "memory"}))
    await load(client.settings)  # the turns are those of a client that has nothing to import
    before = asyncio.all_tasks()
    connecting = asyncio.create_task(client.connect())
    for _ in range(turns):
        await asyncio.sleep(0)
    connecting.cancel()
    await asyncio.wait([connecting])
    if not connecting.cancelled():
        await client.close()
    assert asyncio.all_tasks() <= before
    assert turns == 0 or not store.is_open
