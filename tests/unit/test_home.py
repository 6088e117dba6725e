"""A writer belongs to the loop and the process that started it, and says so anywhere else."""

import asyncio
import os
import traceback

import pytest

from perdure import BufferedWriter, ConfigError, MemoryClient, MemorySettings
from perdure.testing import FakeGraphStore

NOTE = "CREATE (:Note {n: $n})"

CALLS = {
    "submit": lambda writer, _: writer.submit(NOTE, {"n": 2}),
    "flush": lambda writer, _: writer.flush(),
    "close": lambda writer, _: writer.close(),
    "receipt": lambda _, receipt: receipt.committed(),
}


@pytest.fixture
def started():
    """Run a loop with a writer that has one write in flight; close both afterwards."""
    store = FakeGraphStore()
    store.hold()
    with asyncio.Runner() as runner:
        writer = runner.run(BufferedWriter(store, write_mode="buffered").start())

        async def submit():
            receipt = await writer.submit(NOTE, {"n": 1})
            await store.arrived()
            return receipt

        yield writer, runner.run(submit())
        store.release()
        report = runner.run(writer.close())
    assert report.committed == 1
    assert store.values("n") == [1]


@pytest.mark.parametrize("call", CALLS)
def test_another_event_loop_is_a_clear_error(started, call):
    """B36: instead of a hang, and the writer itself is none the worse for it."""
    with pytest.raises(ConfigError, match=r"another event loop.*one client per event loop"):
        asyncio.run(CALLS[call](*started))


def test_try_submit_on_another_loop_or_on_none_is_a_clear_error(started):
    """B36: from a plain thread too."""
    writer, _ = started

    async def elsewhere():
        writer.try_submit(NOTE, {"n": 2})

    with pytest.raises(ConfigError, match="event loop"):
        asyncio.run(elsewhere())
    with pytest.raises(ConfigError, match="event loop"):
        writer.try_submit(NOTE, {"n": 2})


def test_gauges_can_be_read_from_anywhere(started):
    """B37: a monitoring thread may look."""
    writer, receipt = started
    assert writer.stats().in_flight == writer.pending == 1
    assert receipt.state == "accepted"
    assert "1 pending" in repr(writer)


def in_a_child(function):
    """Return what a function answers in a forked child, or how it failed there."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            answer = str(function())
        except BaseException:  # noqa: BLE001  whatever it is, it is the parent's to judge
            answer = traceback.format_exc()
        os.write(writing, answer.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return answer


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("call", [*CALLS, "try_submit"])
def test_use_after_a_fork_is_a_clear_error(started, call):
    """B36: in the child, on a loop of its own or on none; the parent goes on."""
    writer, receipt = started

    def use():
        if call == "try_submit":
            writer.try_submit(NOTE, {"n": 2})
        asyncio.run(CALLS[call](writer, receipt))

    answer = in_a_child(use)
    assert "ConfigError" in answer
    assert "before a fork" in answer


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_new_client_works_in_a_child():
    """B36: control: it is the old client that does not cross over, not the library."""

    async def write():
        store = FakeGraphStore()
        async with MemoryClient(
            MemorySettings(store=store, memory={"write_mode": "buffered", "durability": "memory"})
        ) as client:
            await client.buffered.submit(NOTE, {"n": 1})
        return store.values("n")

    assert in_a_child(lambda: asyncio.run(write())) == "[1]"


async def test_a_settled_receipt_can_be_awaited_on_any_loop(buffered):
    """B31: there is nothing left to wait for."""
    async with buffered() as writer:
        receipt = await writer.submit(NOTE, {"n": 1})
        await writer.flush()
    assert await asyncio.to_thread(lambda: asyncio.run(receipt.committed())) is receipt
