"""Pools and threads: each kind of work has its own places and its own deadline (P13, P14)."""

import asyncio
import contextvars
import subprocess
import sys
import threading
from functools import partial
from textwrap import dedent

import pytest

from perdure.errors import ClosedError, ProviderTimeoutError, StoreUnavailableError
from perdure.runtime import threads as threads_module
from perdure.runtime.limits import Limits, Pool
from perdure.runtime.threads import Threads
from perdure.settings import MemorySettings
from perdure.testing import wait_until

VARIABLE = contextvars.ContextVar("VARIABLE", default="unset")


class Gate:
    """Work that goes on until it is let go: `wait` on the event loop, `block` in a thread."""

    def __init__(self):
        self.begun = []
        self.most = 0
        self.inside = 0
        self._opened = asyncio.Event()
        self._unblocked = threading.Event()
        self._lock = threading.Lock()

    async def wait(self, name=None):
        self.begun.append(name)
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            await self._opened.wait()
        finally:
            self.inside -= 1
        return name

    def block(self, name=None):
        with self._lock:
            self.begun.append(name)
            self.inside += 1
            self.most = max(self.most, self.inside)
        self._unblocked.wait(60)
        with self._lock:
            self.inside -= 1
        return name

    def open(self):
        self._opened.set()
        self._unblocked.set()


@pytest.fixture
async def gate():
    gate = Gate()
    yield gate
    gate.open()


@pytest.fixture
async def pair():
    """Two threads, closed in the end."""
    threads = Threads("embedder", 2)
    yield threads
    assert await threads.close(10) == 0
    await wait_until(lambda: threads.alive == 0)


async def test_a_pool_runs_no_more_than_it_may_and_the_rest_in_their_order(gate):
    """P13: bounded, and nobody overtakes."""
    pool = Pool("store", 3, 60)
    async with asyncio.TaskGroup() as tasks:
        calls = [tasks.create_task(pool.run(partial(gate.wait, number))) for number in range(20)]
        await wait_until(lambda: len(gate.begun) == 3)
        assert (pool.running, pool.waiting) == (3, 17)
        gate.open()
    assert gate.most == 3
    assert gate.begun == list(range(20))
    assert [call.result() for call in calls] == list(range(20))
    assert pool.stats() == (3, 0, 0, 20, 0, 0, 0)


async def test_a_hung_call_costs_itself(gate):
    """P14: the error names who, how long and which setting; the next one has the place."""
    pool = Pool("language_model", 1, 0.01)
    with pytest.raises(ProviderTimeoutError) as raised:
        await pool.run(gate.wait, provider="openai:gpt-4o")
    assert str(raised.value) == (
        "The language model openai:gpt-4o did not answer within 0.01 s. "
        "Try again; if it needs longer, raise limits.language_model_seconds."
    )
    assert raised.value.retryable
    assert gate.inside == 0
    assert await pool.run(partial(asyncio.sleep, 0, "next")) == "next"
    assert (pool.running, pool.ended, pool.timed_out) == (0, 2, 1)


async def test_the_deadline_begins_with_the_place(gate):
    """Whoever waits for a place is not late."""
    pool = Pool("embedder", 1, 0.05)

    async def slow():
        await asyncio.sleep(0.03)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(4):
            tasks.create_task(pool.run(slow))
    assert (pool.ended, pool.timed_out) == (4, 0)


async def test_a_store_that_is_late_is_unavailable(gate):
    """A store's error is a store's."""
    pool = Limits(MemorySettings(limits={"store_seconds": 0.01}).limits).store
    with pytest.raises(StoreUnavailableError, match=r"limits\.store_seconds"):
        await pool.run(gate.wait)


async def test_an_error_of_the_call_is_not_the_pools():
    """Also where it is the same type as a passed deadline."""
    pool = Pool("store", 1, 60)

    async def fail():
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        await pool.run(fail)
    assert (pool.running, pool.timed_out) == (0, 0)


async def test_cancelling_gives_places_back(gate):
    """Of the one that runs, and of the one that waits."""
    pool = Pool("store", 1, 60)
    running = asyncio.create_task(pool.run(gate.wait))
    await wait_until(lambda: pool.running)
    waiting = asyncio.create_task(pool.run(gate.wait))
    third = asyncio.create_task(pool.run(partial(asyncio.sleep, 0, "third")))
    await wait_until(lambda: pool.waiting == 2)
    waiting.cancel()
    running.cancel()
    assert await third == "third"
    assert isinstance((await asyncio.gather(running, return_exceptions=True))[0], asyncio.CancelledError)
    assert isinstance((await asyncio.gather(waiting, return_exceptions=True))[0], asyncio.CancelledError)
    assert (pool.running, pool.waiting) == (0, 0)


async def test_threads_are_no_more_than_their_count(pair, gate):
    """P13: 50 calls, two threads, in order."""
    async with asyncio.TaskGroup() as tasks:
        calls = [tasks.create_task(pair.run(gate.block, number)) for number in range(50)]
        await wait_until(lambda: len(gate.begun) == 2)
        assert (pair.running, pair.waiting, pair.alive) == (2, 48, 2)
        gate.open()
    assert gate.most == 2
    assert sorted(gate.begun) == list(range(50))
    assert [call.result() for call in calls] == list(range(50))
    assert (pair.running, pair.waiting) == (0, 0)


async def test_a_thread_is_there_only_when_it_is_needed(pair):
    """One call after the other needs one."""
    await pair.run(len, "a")
    await pair.run(len, "b")
    assert pair.alive <= 2
    names = {thread.name for thread in threading.enumerate()}
    assert "perdure embedder" in names
    assert not any(name.startswith(("asyncio_", "AnyIO")) for name in names)


async def test_idle_threads_end(monkeypatch):
    """Nothing to do, no thread; and one again when there is."""
    monkeypatch.setattr(threads_module, "IDLE_SECONDS", 0.01)
    threads = Threads("embedder", 2)
    assert await threads.run(len, "abc") == 3
    await wait_until(lambda: threads.alive == 0)
    assert await threads.run(len, "abcd") == 4
    await threads.close()


async def test_an_abandoned_call_keeps_its_place(pair, gate):
    """P14: cancelling returns at once, and no third thread is made for it."""
    first = asyncio.create_task(pair.run(gate.block, "first"))
    await wait_until(lambda: gate.begun == ["first"])
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert pair.running == 1
    assert await pair.run(len, "other") == 5
    second = asyncio.create_task(pair.run(gate.block, "second"))
    await wait_until(lambda: pair.running == 2)
    never = asyncio.create_task(pair.run(gate.block, "never"))
    await wait_until(lambda: pair.waiting == 1)
    never.cancel()
    with pytest.raises(asyncio.CancelledError):
        await never
    assert pair.alive == 2
    gate.open()
    assert await second == "second"
    assert await pair.run(len, "other") == 5
    assert "never" not in gate.begun


async def test_a_deadline_over_a_thread_costs_that_call(pair, gate):
    """The pool and the threads together: the caller is told, the loop goes on, the thread is still there."""
    pool = Pool("embedder", 2, 0.2)  # enough for a thread to begin
    with pytest.raises(ProviderTimeoutError):
        await pool.run(lambda: pair.run(gate.block))
    assert (pool.running, pair.running) == (0, 1)
    assert await Pool("embedder", 2, 60).run(lambda: pair.run(len, "abc")) == 3


@pytest.mark.parametrize("error", [ValueError("its own"), KeyboardInterrupt("its own"), StopIteration("its own")])
async def test_what_a_function_raises_is_raised(pair, error):
    """Whatever it is; what a coroutine cannot raise, as the cause of what it can."""

    def fail():
        raise error

    with pytest.raises(BaseException) as raised:
        await pair.run(fail)
    assert error in (raised.value, raised.value.__cause__)
    assert await pair.run(len, "goes on") == 7


async def test_a_function_sees_its_callers_context(pair):
    """So that a trace's span is its parent there, too."""
    VARIABLE.set("here")
    assert await pair.run(VARIABLE.get) == "here"


async def test_close_waits_for_what_runs_and_what_waits(gate):
    """P24: and takes nothing more."""
    threads = Threads("embedder", 1)
    calls = [asyncio.create_task(threads.run(gate.block, number)) for number in range(3)]
    await wait_until(lambda: threads.waiting == 2)
    closing = asyncio.create_task(threads.close())
    await wait_until(lambda: threads._closed)
    with pytest.raises(ClosedError):
        await threads.run(len, "")
    assert not closing.done()
    gate.open()
    assert await closing == 0
    assert await asyncio.gather(*calls) == [0, 1, 2]
    assert await threads.close() == 0


async def test_close_gives_up_on_what_hangs(gate):
    """It says how much that is; whoever waited behind it is told."""
    threads = Threads("embedder", 1)
    hung = asyncio.create_task(threads.run(gate.block))
    behind = asyncio.create_task(threads.run(gate.block))
    await wait_until(lambda: threads.running == 1 and threads.waiting == 1)
    assert await threads.close(0.01) == 1
    with pytest.raises(ClosedError):
        await behind
    gate.open()
    await hung
    await wait_until(lambda: threads.alive == 0)
    assert gate.begun == [None]


def test_a_hung_thread_does_not_keep_the_process():
    """The program below ends, with nothing on its standard error."""
    program = """
        import asyncio, threading
        from perdure.runtime.limits import Pool
        from perdure.runtime.threads import Threads
        from perdure import ProviderTimeoutError

        async def main():
            threads = Threads("embedder", 1)
            try:
                await Pool("embedder", 1, 0.05).run(lambda: threads.run(threading.Event().wait))
            except ProviderTimeoutError:
                print("told", await threads.close(0.05))

        asyncio.run(main())
    """
    done = subprocess.run(
        [sys.executable, "-c", dedent(program)], capture_output=True, text=True, timeout=30, check=True
    )
    assert (done.stdout, done.stderr) == ("told 1\n", "")


async def test_limits_come_from_the_settings(gate):
    """A pool and its threads for each kind, with their gauges."""
    settings = MemorySettings(limits={"embedder_threads": 1, "embedder_concurrency": 7, "reranker_seconds": 3})
    made = Limits(settings.limits)
    assert (made.embedder.concurrency, made.embedder_threads.count, made.reranker.deadline_seconds) == (7, 1, 3)
    assert Limits(settings.limits, embeds_here=True).embedder.concurrency == 1
    assert await made.embedder.run(lambda: made.embedder_threads.run(len, "abc")) == 3
    stats = made.stats()
    assert set(stats) == {"language_model", "embedder", "reranker", "store"}
    assert (stats["embedder"].ended, stats["embedder"].threads, stats["store"].threads) == (1, 1, 0)
    assert await made.close(10) == 0


async def test_each_call_has_its_own_deadline(gate):
    """P14: one that ends in time is not cut off by the alarm of one that does not, nor the other way round."""
    pool = Pool("embedder", 3, 0.05)
    late = [asyncio.create_task(pool.run(gate.wait)) for _ in range(2)]
    assert await pool.run(answer) == "in time"
    for each in late:
        with pytest.raises(ProviderTimeoutError):
            await each
    with pytest.raises(ProviderTimeoutError):
        await pool.run(gate.wait)
    assert (pool.running, pool.ended, pool.timed_out) == (0, 4, 3)


async def test_being_cancelled_is_not_being_late(gate):
    """B17: whoever is asked to stop while a call is late as well is told that."""
    pool = Pool("embedder", 1, 0.01)

    async def stubborn():
        try:
            await gate.wait()
        finally:
            stopped.cancel()

    stopped = asyncio.create_task(pool.run(stubborn))
    with pytest.raises(asyncio.CancelledError):
        await stopped
    assert stopped.cancelled()


async def answer():
    return "in time"
