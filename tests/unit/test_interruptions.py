"""Programs that are interrupted end: with their own cleanup, and with a word about what was left."""

import asyncio
import signal
import subprocess
import sys

import pytest

from perdure import BufferedWriter
from perdure.testing import FakeGraphStore

NOTE = "CREATE (:Note {n: $n})"
INTERRUPTIONS = [KeyboardInterrupt(), SystemExit(3)]

WAITER = """
import asyncio
from perdure import BufferedWriter
from perdure.testing import FakeGraphStore

async def main():
    store = FakeGraphStore()
    try:
        async with BufferedWriter(store, write_mode="buffered", linger_seconds=10) as writer:
            await writer.submit("CREATE (:Note)")
            print("ready", flush=True)
            await asyncio.Event().wait()
    finally:
        print(len(store.committed), "committed")

asyncio.run(main())
"""
QUITTER = """
import asyncio, sys
from perdure import BufferedWriter
from perdure.testing import FakeGraphStore

def quit(error):
    sys.exit(3)

async def main():
    store = FakeGraphStore()
    store.reject("Note")
    try:
        async with BufferedWriter(store, write_mode="buffered", on_error=quit) as writer:
            await writer.submit("CREATE (:Note)")
    finally:
        print("cleaned up")

asyncio.run(main())
"""


def name_of(error):
    return type(error).__name__


class InterruptedStore(FakeGraphStore):
    """A store during whose commit the program is interrupted."""

    def __init__(self, error):
        super().__init__()
        self._error = error

    async def apply(self, batch):
        raise self._error


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is another thing there")
def test_ctrl_c_drains_and_ends_the_program():
    """B13, B17: what was accepted is committed, and Python reports the KeyboardInterrupt as ever."""
    with subprocess.Popen([sys.executable, "-c", WAITER], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        assert program.stdout.readline() == b"ready\n"
        program.send_signal(signal.SIGINT)
        said, complained = program.communicate(timeout=60)
    assert said == b"1 committed\n"
    assert b"KeyboardInterrupt" in complained


@pytest.mark.parametrize("error", INTERRUPTIONS, ids=name_of)
def test_an_interruption_in_the_drain_is_never_swallowed(error):
    """B17: one that hits a background task ends the program; its cleanup runs, and what was left is reported."""

    async def main():
        try:
            async with BufferedWriter(InterruptedStore(error), write_mode="buffered") as writer:
                writers.append(writer)
                await writer.submit(NOTE, {"n": 1})
                await writer.flush()
        finally:
            cleaned.append(True)

    writers, cleaned = [], []
    with pytest.raises(type(error)):
        asyncio.run(main())
    assert cleaned
    assert [failure.parameters["n"] for failure in writers[0].errors] == [1]


@pytest.mark.parametrize("error", INTERRUPTIONS, ids=name_of)
def test_an_interruption_in_on_error_is_never_swallowed(error):
    """B17: only ordinary exceptions of a callback are logged away; the program's own cleanup runs."""

    async def interrupted(_):
        raise error

    async def main():
        store = FakeGraphStore()
        store.reject("Note")
        try:
            async with BufferedWriter(store, write_mode="buffered", on_error=interrupted) as writer:
                await writer.submit(NOTE, {"n": 1})
        finally:
            cleaned.append(True)

    cleaned = []
    with pytest.raises(type(error)):
        asyncio.run(main())
    assert cleaned


def test_a_plain_on_error_may_end_the_program():
    """B17: sys.exit in it ends the process, with its status, and after its cleanup."""
    done = subprocess.run([sys.executable, "-c", QUITTER], capture_output=True, text=True, timeout=15, check=False)
    assert done.returncode == 3
    assert "cleaned up" in done.stdout


@pytest.mark.parametrize("error", INTERRUPTIONS, ids=name_of)
def test_an_interruption_in_the_block_drains_and_goes_on(error):
    """B13, B17: leaving the block commits what was accepted, and the program still ends."""

    async def main():
        async with BufferedWriter(store, write_mode="buffered", linger_seconds=10) as writer:
            await writer.submit(NOTE, {"n": 1})
            raise error

    store = FakeGraphStore()
    with pytest.raises(type(error)):
        asyncio.run(main())
    assert store.values("n") == [1]
