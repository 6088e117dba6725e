"""A call blocks its thread: where that stops an event loop it is refused, but for a notebook's."""

import asyncio
import signal
import sys
import threading
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from waiting import wait_until

from perdure import ClosedError, ConfigError, SyncMemory

NOTE = "CREATE (:Note {n: $n})"


async def add(memory):
    return memory.add("I moved to Lisbon", user_id="u42")


def test_a_running_event_loop_is_not_stopped(settings):
    """P22: the error says what to do instead; the same object works on another thread."""
    memory = SyncMemory(settings)
    with pytest.raises(ConfigError, match=r"runs an event loop.*Await Memory here.*asyncio\.to_thread"):
        asyncio.run(add(memory))

    async def beside():
        return await asyncio.to_thread(memory.add, "I moved to Lisbon", user_id="u42")

    assert asyncio.run(beside()).results
    memory.close()


@pytest.fixture
def kernel(monkeypatch):
    """Let it look as in a notebook: IPython's shell is one with a kernel."""
    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "ipykernel", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    return shell


def test_a_notebooks_cell_may_call(settings, kernel):
    """P22: a cell runs inside the kernel's own loop, which stands still while a cell runs, whatever it does."""
    with_loop = SyncMemory(settings)
    assert asyncio.run(add(with_loop)).results
    with_loop.close()


def test_a_server_in_a_notebook_may_not(settings, kernel):
    """Its loop runs in another thread than the cells."""
    memory, heard = SyncMemory(settings), []

    def serve():
        try:
            asyncio.run(add(memory))
        except ConfigError as error:
            heard.append(error)

    thread = threading.Thread(target=serve)
    thread.start()
    thread.join()
    assert heard
    memory.close()


def test_ipython_in_a_terminal_is_no_notebook(settings, kernel):
    """There, code that awaits nothing runs outside the loop anyway."""
    del kernel.kernel
    memory = SyncMemory(settings)
    with pytest.raises(ConfigError):
        asyncio.run(add(memory))
    memory.close()


def test_an_application_s_callback_on_the_loop_is_refused(client):
    """It would wait for the loop that it runs on."""
    with pytest.raises(ConfigError, match="event loop"):
        client.connection.run(lambda: client.buffered.submit(NOTE, {"n": 1}))


@contextmanager
def signalled(client, number, handler):
    """Have a signal come once a write is pending; a program in the background ignores some without a handler."""

    def send():
        wait_until(lambda: client.buffered.pending == 1)
        signal.pthread_kill(threading.main_thread().ident, number)

    before = signal.signal(number, handler)
    thread = threading.Thread(target=send)
    try:
        thread.start()
        yield
        thread.join()
    finally:
        signal.signal(number, before)


@pytest.mark.skipif(threading.current_thread() is not threading.main_thread(), reason="signals come to the main thread")
def test_an_interrupted_call_is_cancelled_and_the_next_one_works(client, store):
    """B17: Ctrl-C leaves the call, not the memory."""
    store.hold()
    with signalled(client, signal.SIGINT, signal.default_int_handler), pytest.raises(KeyboardInterrupt):
        client.buffered.submit(NOTE, {"n": 1})
    assert wait_until(lambda: client.buffered.pending == 0)
    client.connection.run(store.release)
    client.buffered.submit(NOTE, {"n": 2})
    assert store.values("n") == [2]


@pytest.mark.skipif(threading.current_thread() is not threading.main_thread(), reason="signals come to the main thread")
def test_a_signals_handler_may_close_what_it_interrupts(client, store, monkeypatch):
    """As many programs do at SIGTERM."""
    store.hold()

    with signalled(client, signal.SIGUSR1, lambda *_: client.close(timeout=0)), pytest.raises(ClosedError):
        client.buffered.submit(NOTE, {"n": 1})
