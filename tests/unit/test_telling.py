"""How the application hears of writes that failed: the list it reads, and the callback it is told by."""

import asyncio
import threading
from collections.abc import Sequence
from functools import partial

import pytest

from perdure import BufferedWriter, ConfigError, WriteError
from perdure.testing import wait_until
from perdure.writes.failures import WriteErrors

NOTE = "CREATE (:Note {n: $n})"


async def bad(writer, *values):
    return [await writer.submit(f"BAD {value}", {"n": value}) for value in values]


@pytest.fixture(autouse=True)
def _refuse_what_is_bad(store):
    store.reject("BAD")


# -- write_errors


async def test_the_newest_errors_are_kept_and_the_others_counted(buffered):
    """B33: the list is bounded, newest last, with a count of those let go."""
    async with buffered(max_write_errors=3) as writer:
        await bad(writer, *range(5))
        await writer.flush()
        errors = writer.errors
        assert [error.query for error in errors] == ["BAD 2", "BAD 3", "BAD 4"]
        assert (len(errors), errors.dropped) == (3, 2)
        assert repr(errors) == "<WriteErrors 3 kept, 2 dropped>"
        errors.clear()
        assert (len(errors), errors.dropped, list(errors)) == (0, 0, [])
        await bad(writer, 5)
    assert [error.query for error in writer.errors] == ["BAD 5"]


def error(n):
    return WriteError(f"BAD {n}", {}, ValueError(), None, n, None)


def test_errors_are_a_sequence():
    """B33: read by index, by slice, backwards; and safe to walk while more come."""
    errors = WriteErrors(10)
    assert not errors
    for n in range(4):
        errors.add(error(n))
    assert isinstance(errors, Sequence)
    assert (errors[0].seq, errors[-1].seq, [e.seq for e in errors[1:3]]) == (0, 3, [1, 2])
    assert [e.seq for e in reversed(errors)] == [3, 2, 1, 0]
    for kept in errors:
        errors.add(error(kept.seq + 10))
    assert len(errors) == 8


# -- on_error


class Listener:
    """Remembers what it was told, and may wait, or raise."""

    def __init__(self, raises=None):
        self.heard = []
        self.open = asyncio.Event()
        self.open.set()
        self.raises = raises

    async def __call__(self, error):
        await self.open.wait()
        self.heard.append(error.query)
        if self.raises is not None:
            raise self.raises


def plain(heard, error):
    heard.append(error.query)


async def awaited(heard, error):
    await asyncio.sleep(0)
    heard.append(error.query)


def returns_an_awaitable(heard, error):
    return awaited(heard, error)


@pytest.mark.parametrize("function", [plain, awaited, returns_an_awaitable])
async def test_on_error_takes_plain_and_async_callables(buffered, function):
    """B32: it is told of every failed write, in order, before close returns."""
    heard = []
    async with buffered(on_error=partial(function, heard)) as writer:
        await bad(writer, 1, 2, 3)
    assert heard == ["BAD 1", "BAD 2", "BAD 3"]


async def test_on_error_takes_an_object_with_an_async_call(buffered):
    """B32: an async __call__ is awaited as an async function is."""
    listener = Listener()
    async with buffered(on_error=listener) as writer:
        await bad(writer, 1)
    assert listener.heard == ["BAD 1"]


async def test_a_slow_async_on_error_does_not_delay_the_drain(store, buffered):
    """B32: writes of the same key go on while the callback waits."""
    listener = Listener()
    listener.open.clear()
    async with buffered(on_error=listener) as writer:
        await bad(writer, 1)
        for n in range(5):
            await (await writer.submit(NOTE, {"n": n}))
        assert listener.heard == []
        listener.open.set()
    assert store.values("n") == list(range(5))
    assert listener.heard == ["BAD 1"]


async def test_a_slow_plain_on_error_does_not_block_the_loop(store, buffered):
    """B32: it runs in a thread of its own."""
    gate, heard = threading.Event(), []

    def wait(error):
        gate.wait(10)
        heard.append((error.query, threading.current_thread() is threading.main_thread()))

    async with buffered(on_error=wait) as writer:
        await bad(writer, 1)
        for n in range(5):
            await (await writer.submit(NOTE, {"n": n}))
        assert heard == []
        gate.set()
    assert store.values("n") == list(range(5))
    assert heard == [("BAD 1", False)]


@pytest.mark.parametrize(
    "raised", [ValueError("Mine."), TimeoutError(), asyncio.CancelledError()], ids=lambda error: type(error).__name__
)
async def test_an_on_error_that_fails_is_logged_and_asked_again(store, buffered, caplog, raised):
    """B32: its own failure neither stops the drain, nor close, nor the next call."""
    listener = Listener(raises=raised)
    async with buffered(on_error=listener, close_timeout_seconds=2) as writer:
        await bad(writer, 1, 2)
        await writer.submit(NOTE, {"n": 3})
    assert listener.heard == ["BAD 1", "BAD 2"]
    assert store.values("n") == [3]
    assert f"on_error raised {type(raised).__name__} for write 0" in caplog.text
    assert "close stopped" not in caplog.text


async def test_close_waits_for_on_error_only_so_long(buffered):
    """B11: a callback that hangs does not keep the program from ending."""
    listener = Listener()
    listener.open.clear()
    writer = await buffered(on_error=listener).start()
    await bad(writer, 1)
    await writer.flush()
    assert (await writer.close(timeout=0.05)).failed == 1
    assert listener.heard == []


async def test_an_on_error_that_closes_the_writer_does_not_hang(buffered, caplog):
    """B32: giving up at the first failed write is what some applications will do."""

    async def give_up(_):
        await writer.close()

    writer = await buffered(on_error=give_up, close_timeout_seconds=1).start()
    await bad(writer, 1)
    await wait_until(writer._runner.done)
    assert (await writer.close()).failed == 1
    assert "close stopped" not in caplog.text


async def test_a_plain_on_error_that_submits_is_told_that_it_is_on_another_thread(buffered):
    """B36: the writer belongs to its loop; a callback in a thread gets a clear error."""
    told = []

    def submit_again(error):
        try:
            writer.try_submit(error.query, error.parameters)
        except ConfigError as refused:
            told.append(str(refused))

    async with buffered(on_error=submit_again) as writer:
        await bad(writer, 1)
        await wait_until(lambda: told)
    assert "event loop" in told[0]


async def test_an_async_on_error_may_submit(store, buffered):
    """B32: on the writer's own loop it may write what happened to the same store."""

    async def note_it(error):
        await writer.submit(NOTE, {"n": error.query})

    async with buffered(on_error=note_it) as writer:
        await bad(writer, 1)
        await writer.flush()
        await wait_until(lambda: store.values("n") == ["BAD 1"])


async def test_on_error_falls_behind_only_so_far(buffered):
    """B33: what is queued for a slow callback is bounded as write_errors is."""
    listener = Listener()
    listener.open.clear()
    async with buffered(on_error=listener, max_write_errors=2) as writer:
        await bad(writer, *range(6))
        await writer.flush()
        listener.open.set()
    assert listener.heard[-2:] == ["BAD 4", "BAD 5"]
    assert len(listener.heard) <= 3


async def test_in_sync_mode_the_caller_is_told_by_the_exception(store):
    """B32: what is raised is not told a second time."""
    listener = Listener()
    async with BufferedWriter(store, on_error=listener) as writer:
        with pytest.raises(Exception, match="refuse"):
            await bad(writer, 1)
    assert listener.heard == []
    assert len(writer.errors) == 0
