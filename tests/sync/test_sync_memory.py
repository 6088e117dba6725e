"""What is synchronous does the same work, is connected when it is needed, and leaves nothing behind."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar

import pytest
from waiting import wait_until

from perdure import (
    ClosedError,
    ConfigError,
    MemorySettings,
    StoreUnavailableError,
    SyncMemory,
    SyncMemoryClient,
    WriteFailed,
)
from perdure.testing import FakeGraphStore

NOTE = "CREATE (:Note {n: $n})"


def test_what_is_added_is_found(settings):
    """P22: as on the front page, without a line of setting up."""
    memory = SyncMemory(settings)
    memory.add("Tell me a joke", user_id="u42")
    assert [hit.memory for hit in memory.search("a joke", user_id="u42").results] == ["Tell me a joke"]
    assert memory.close().committed == 1


def test_a_with_block_closes(settings):
    with SyncMemory(settings) as memory:
        memory.add("I moved to Lisbon", user_id="u42")
    with pytest.raises(ClosedError, match="This memory is closed"):
        memory.get_all(user_id="u42")


def test_close_can_be_called_again_and_before_anything(settings):
    memory = SyncMemory(settings)
    assert memory.close() is memory.close()
    assert threading.active_count() == 1 or not loops()
    with pytest.raises(ClosedError):
        memory.connect()


def test_a_memory_can_borrow_a_client():
    """It shares the client's loop, and leaves both to the client."""
    client = SyncMemoryClient(MemorySettings(store="memory://", memory={"write_mode": "buffered"}))
    memory = SyncMemory(client=client)
    memory.add("I moved to Lisbon", user_id="u42")
    assert len(loops()) == 1
    assert memory.close() is None
    assert client.stats(user_id="u42")["memories"] == 1
    client.close()
    with pytest.raises(ClosedError):
        memory.add("I moved on", user_id="u42")


def test_settings_and_a_client_are_too_much(settings):
    with pytest.raises(ConfigError, match="not both"):
        SyncMemory(settings, client=SyncMemoryClient(settings))


def test_a_borrowed_client_that_does_not_queue_is_refused(settings):
    with SyncMemoryClient(settings) as client, pytest.raises(ConfigError, match="does not queue"):
        SyncMemory(client=client).connect()


def loops():
    return [thread for thread in threading.enumerate() if thread.name == "perdure loop"]


def test_no_thread_is_left_when_it_is_closed(settings):
    """P24: the loop's, and those of what runs on it."""
    before = set(threading.enumerate())
    with SyncMemory(settings) as memory:
        memory.add("I moved to Lisbon", user_id="u42")
        assert set(threading.enumerate()) > before
    assert wait_until(lambda: set(threading.enumerate()) <= before)


def test_nothing_is_connected_before_it_is_used(settings):
    """So that a module can make one, and a server fork afterwards."""
    memory = SyncMemory(settings)
    assert not loops()
    memory.close()
    assert not loops()


def test_threads_that_come_at_once_connect_once(settings):
    with SyncMemory(settings) as memory, ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: memory.add(f"note {n}", user_id="u42", infer=False), range(8)))
        assert len(loops()) == 1
        assert len(memory.get_all(user_id="u42").results) == 8


def test_thirty_two_threads_lose_nothing(settings):
    """P22: what each was told is stored, is stored, and each reads its own."""
    with SyncMemory(settings) as memory, ThreadPoolExecutor(32) as threads:

        def work(thread):
            for n in range(4):
                result = memory.add(f"thread {thread} notes {n}", user_id=f"u{thread % 4}", infer=False)
                assert result.results[0].event == "ADD"
            assert memory.search(f"thread {thread} notes 3", user_id=f"u{thread % 4}", limit=1).results
            return 4

        told = sum(threads.map(work, range(32)))
        kept = [hit.memory for n in range(4) for hit in memory.get_all(user_id=f"u{n}", limit=1000).results]
        assert len(set(kept)) == told == 128


def test_a_failed_connection_leaves_no_thread_and_can_be_tried_again():
    store = Unreachable()
    client = SyncMemoryClient(MemorySettings(store=store))
    for _ in range(2):
        with pytest.raises(StoreUnavailableError):
            client.connect()
        assert not loops()
    store.answers = True
    client.buffered.submit(NOTE, {"n": 1})
    client.close()


class Unreachable(FakeGraphStore):
    """A store that answers nobody at first."""

    answers = False

    async def connect(self):
        if not self.answers:
            raise StoreUnavailableError("Nobody answers.")
        await super().connect()


def test_receipts_wait_and_can_be_asked_after_close():
    """B31: in the words of the asynchronous ones."""
    client = SyncMemoryClient(MemorySettings(store="memory://", memory={"write_mode": "buffered"}))
    receipt = client.buffered.submit(NOTE, {"n": 1}, idempotency_key="one")
    assert client.buffered.submit(NOTE, {"n": 1}, idempotency_key="one") == receipt
    assert receipt.accepted().committed(timeout=30).state == "committed"
    failing = client.buffered.try_submit("CREATE (:Note {n: 1})-[:X]->(", {})
    assert client.flush().failed == 1
    client.close()
    assert receipt.outcome() is receipt
    with pytest.raises(WriteFailed):
        failing.committed()
    assert len(client.write_errors) == client.buffered.stats().failed == 1


def test_dead_letters_can_be_sent_again():
    """J11: and the receipts are synchronous too."""
    settings = MemorySettings(store="memory://", memory={"write_mode": "buffered"})
    with SyncMemoryClient(settings) as client:
        client.buffered.submit("CREATE (:Note {n: 1})-[:X]->(", {})
        client.flush()
        [letter] = client.buffered.dead_letters.list()
        [receipt] = client.buffered.dead_letters.redrive(letter.seq)
        with pytest.raises(WriteFailed):
            receipt.committed()
        assert client.buffered.dead_letters.drop() == 1


def test_a_view_knows_whose_memory_it_is_about(settings):
    with SyncMemoryClient(settings) as client:
        view = client.scope(user_id="u42")
        view.short_term.add_message("s", "user", "I moved to Lisbon")
        assert view.stats()["messages"] == client.stats(user_id="u42")["messages"] == 1


def test_a_traced_block_records_how_it_ended(settings):
    """In one task for both ends of it, though the block runs on a thread of its own."""
    with SyncMemoryClient(settings) as client:
        with client.reasoning.trace("s", "find a flat", user_id="u42") as trace:
            client.reasoning.add_step(trace.id, thought="look", user_id="u42")
        with pytest.raises(LookupError, match="no flat"), client.reasoning.trace("s", "find another", user_id="u42"):
            raise LookupError("no flat")
        ends = [(trace.task, trace.success) for trace in client.reasoning.list_traces(user_id="u42")]
        assert ends == [("find another", False), ("find a flat", True)]


def test_closing_inside_a_traced_block_is_an_error_and_no_deadlock(settings):
    client = SyncMemoryClient(settings)
    with pytest.raises(ClosedError), client.reasoning.trace("s", "find a flat", user_id="u42"):
        client.close()


def test_what_runs_sees_the_context_of_its_caller(client, store):
    """A request's identifier is in the log lines of what it caused."""
    request = ContextVar("request", default="none")
    request.set("seven")
    assert client.connection.run(request.get) == "seven"


def test_a_call_that_close_overtakes_is_told(client, store):
    """Instead of waiting for ever for what nobody does any more."""
    store.hold()
    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(client.buffered.submit, NOTE, {"n": 1})
        assert wait_until(lambda: client.buffered.pending == 1)
        client.close(timeout=0)
        with pytest.raises(ClosedError):
            call.result(30)


@pytest.mark.filterwarnings("ignore:Exception in thread perdure loop:pytest.PytestUnhandledThreadExceptionWarning")
def test_a_loop_that_ends_by_itself_leaves_nobody_waiting(client, store):
    """Whatever a callback on it has raised: those that wait are told, and so is whoever calls then."""

    def bring_down():
        raise SystemExit

    store.hold()
    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(client.buffered.submit, NOTE, {"n": 1})
        assert wait_until(lambda: client.buffered.pending == 1)
        client.connection.run(lambda: asyncio.get_running_loop().call_soon(bring_down) and None)
        with pytest.raises(ClosedError):
            call.result(30)
    assert wait_until(lambda: not loops())
    with pytest.raises(ClosedError):
        client.stats(user_id="u42")
