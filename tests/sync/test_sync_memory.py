"""What is synchronous does the same work, from any thread, and leaves nothing behind."""

import asyncio
import threading
from threading import Event
from time import monotonic

import pytest

from perdure import ClosedError, ConfigError, InputError, MemorySettings, SyncMemory, SyncMemoryClient


def wait_until(predicate, timeout=10.0):
    """Return whether something becomes true; threads that were told to end need a moment."""
    deadline = monotonic() + timeout
    while not predicate() and monotonic() < deadline:
        Event().wait(0.001)
    return predicate()


@pytest.fixture
def settings():
    """Nothing on disk."""
    return MemorySettings(store="memory://")


def test_what_is_added_is_found(settings):
    """P22: the snippet of the front page, without a line of setting up."""
    memory = SyncMemory(settings)
    memory.add("Tell me a joke", user_id="u42")
    assert [hit.memory for hit in memory.search("a joke", user_id="u42").results] == ["Tell me a joke"]
    memory.close()


def test_a_with_block_closes(settings):
    with SyncMemory(settings) as memory:
        memory.add("I moved to Lisbon", user_id="u42")
    with pytest.raises(ClosedError, match="closed"):
        memory.get_all(user_id="u42")


def test_a_memory_can_borrow_a_client():
    client = SyncMemoryClient(MemorySettings(store="memory://", memory={"write_mode": "buffered"}))
    memory = SyncMemory(client=client)
    memory.add("I moved to Lisbon", user_id="u42")
    assert memory.close() is None
    assert client.stats(user_id="u42")["memories"] == 1
    client.close()


def test_no_thread_is_left_when_it_is_closed(settings):
    before = set(threading.enumerate())
    with SyncMemory(settings) as memory:
        memory.add("I moved to Lisbon", user_id="u42")
        assert set(threading.enumerate()) > before
    assert wait_until(lambda: set(threading.enumerate()) == before)


def test_bad_input_is_the_same_error(settings):
    with SyncMemory(settings) as memory, pytest.raises(InputError, match="whose memory"):
        memory.add("I moved to Lisbon")


def test_a_running_event_loop_is_not_stopped(settings):
    memory = SyncMemory(settings)

    async def serve():
        memory.add("I moved to Lisbon", user_id="u42")

    with pytest.raises(ConfigError, match=r"event loop.*Await Memory"):
        asyncio.run(serve())
    memory.close()
