"""How a process ends that has something synchronous open: closed first, without a hang and without a word."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import perdure
from perdure import ConfigError, MemorySettings, SyncMemory, SyncMemoryClient

SOURCE = Path(perdure.__file__).parents[1]
BEGIN = """
import os, signal, sys, threading
from perdure import Memory, MemorySettings, SyncMemory, SyncMemoryClient

memory = SyncMemory()
memory.add("I moved to Lisbon", user_id="u42", wait="accepted")
"""
POSIX = pytest.mark.skipif(os.name != "posix", reason="there are no such signals here")
FORKS = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


@pytest.fixture
def run(tmp_path):
    """Run a program in a directory of its own; it must end."""

    def run(program, begin=BEGIN):
        variables = {name: value for name, value in os.environ.items() if not name.startswith("PERDURE_")}
        return subprocess.run(
            [sys.executable, "-c", begin + textwrap.dedent(program)], cwd=tmp_path, capture_output=True, text=True,
            timeout=60, check=False, env={**variables, "PYTHONPATH": str(SOURCE), "PYTHONWARNINGS": "default"},
        )  # fmt: skip

    return run


def kept(directory):
    """Return what the next process finds."""
    with SyncMemory(MemorySettings(data_dir=directory / ".perdure")) as memory:
        memory.flush(30)
        return sorted(each.memory for each in memory.get_all(user_id="u42").results)


def silent(done, code=0):
    """Assert that a program ended as it meant to, and that nobody complained."""
    assert (done.returncode, done.stderr) == (code, "")


def test_a_forgotten_close_is_made_up_for(run, tmp_path):
    """B14: the end of the program closes; what was accepted is remembered."""
    silent(run(""))
    assert kept(tmp_path) == ["I moved to Lisbon"]


def test_an_error_that_ends_the_program_loses_nothing(run, tmp_path):
    done = run("raise SystemExit(7)")
    silent(done, 7)
    assert kept(tmp_path) == ["I moved to Lisbon"]


def test_threads_that_still_call_do_not_keep_the_program(run, tmp_path):
    """Those that Python waits for end their work; those it does not are left where they are."""
    done = run(
        """
        busy = threading.Event()

        def work():
            busy.wait()
            memory.add("My sister Rita keeps the dog", user_id="u42")

        def chatter():
            while True:
                memory.search("Lisbon", user_id="u42")
                busy.set()

        threading.Thread(target=work).start()
        threading.Thread(target=chatter, daemon=True).start()
        """
    )
    silent(done)
    assert kept(tmp_path) == ["I moved to Lisbon", "My sister Rita keeps the dog"]


def test_a_thread_may_call_first_when_the_main_one_has_ended(run, tmp_path):
    """As in a program whose last line starts its workers."""
    done = run(
        """
        def work():
            threading.main_thread().join()
            memory.add("My sister Rita keeps the dog", user_id="u42")

        threading.Thread(target=work).start()
        """,
        begin=BEGIN.rsplit("memory.add", 1)[0],
    )
    silent(done)
    assert kept(tmp_path) == ["My sister Rita keeps the dog"]


def test_what_nobody_can_close_any_more_warns(run):
    """And is closed at the end all the same."""
    done = run(
        """
        import weakref

        left = weakref.ref(memory.client)
        del memory
        while left() is not None:  # the loop may not have let go of the call yet
            threading.Event().wait(0.001)
        """
    )
    assert done.returncode == 0
    assert "ResourceWarning: a client was not closed" in done.stderr


LINGERS = """
import os, signal, threading
from perdure import MemorySettings, SyncMemoryClient

memory = {"write_mode": "buffered", "linger_seconds": 10.0, "close_on_sigterm": %s}
client = SyncMemoryClient(MemorySettings(memory=memory))
client.buffered.submit("CREATE (:Note {n: 1})")
"""
"""A program whose write is not committed before it is closed, for ten seconds."""
SIGTERM = "threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start(); threading.Event().wait()"


def pending(directory):
    """Return how many writes a program has left in its journal."""
    with SyncMemoryClient(MemorySettings(data_dir=directory / ".perdure", memory={"write_mode": "buffered"})) as client:
        return client.buffered.recovery.left


@POSIX
@pytest.mark.parametrize(("closes", "left"), [(True, 0), (False, 1)])
def test_sigterm_closes_first(run, tmp_path, closes, left):
    """J12: also while the main thread waits, though the event loop runs in another; control: unless told not to."""
    silent(run(SIGTERM, begin=LINGERS % closes), -signal.SIGTERM)
    assert pending(tmp_path) == left


@pytest.mark.parametrize(("ending", "left"), [("", 0), ("os._exit(0)", 1)])
def test_the_end_commits_what_was_accepted(run, tmp_path, ending, left):
    """B14: control: an exit that asks nobody leaves it to the next start."""
    silent(run(ending, begin=LINGERS % True))
    assert pending(tmp_path) == left


@POSIX
def test_a_handler_of_the_program_s_own_stays(run):
    """J12: where somebody else handles SIGTERM, we do not; and after close it is as it was."""
    done = run(
        """
        assert callable(signal.getsignal(signal.SIGTERM))
        memory.close()
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        mine = lambda *_: None
        signal.signal(signal.SIGTERM, mine)
        with SyncMemory() as memory:
            assert signal.getsignal(signal.SIGTERM) is mine
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with SyncMemory(MemorySettings(memory={"close_on_sigterm": False})):
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        """
    )
    silent(done)


@FORKS
def test_a_forked_child_hears_a_clear_error_and_ends(run, tmp_path):
    """B36: whatever it calls, also as it ends; the parent goes on."""
    done = run(
        """
        client = SyncMemoryClient(MemorySettings(store="memory://", memory={"write_mode": "buffered"}))
        receipt = client.buffered.submit("CREATE (:N)")
        child = os.fork()
        if child == 0:
            calls = [
                lambda: memory.add("I am a child", user_id="u42"), memory.close, memory.connect,
                lambda: client.short_term.add_message("s", "user", "hi", user_id="u42"), client.flush,
            ]
            for call in calls:
                try:
                    call()
                except Exception as error:
                    print(type(error).__name__, error)
            sys.exit(5)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5
        memory.add("My sister Rita keeps the dog", user_id="u42")
        receipt.committed()
        client.close()
        """
    )
    silent(without_warnings_about_forks(done))
    assert done.stdout.splitlines() == [f"ConfigError {before_a_fork()}"] * 5
    assert kept(tmp_path) == ["I moved to Lisbon", "My sister Rita keeps the dog"]


def before_a_fork():
    return ConfigError("This client was connected before a fork.", hint="Make a new client in the child process.")


def without_warnings_about_forks(done):
    """Take out what Python itself says of forking with threads."""
    lines = [line for line in done.stderr.splitlines(keepends=True) if "fork()" not in line and "os.fork" not in line]
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout, "".join(lines))


@FORKS
def test_what_was_made_before_a_fork_and_not_used_works_in_the_child(run, tmp_path):
    """B36: control; as under a server that loads the application and then forks its workers."""
    done = run(
        """
        child = os.fork()
        if child == 0:
            memory.add("I am a child", user_id="u42")
            sys.exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        """,
        begin=BEGIN.rsplit("memory.add", 1)[0],
    )
    silent(done)
    assert kept(tmp_path) == ["I am a child"]
