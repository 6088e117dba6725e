"""How programs end: interrupted, exiting, forgetful; on real stores, in processes of their own."""

import asyncio
import os
import signal
import subprocess
import sys

import pytest

from perdure import JournalLockedError, MemoryClient, MemorySettings

WRITER = """
import asyncio, sys
from perdure import MemoryClient, MemorySettings

async def main():
    settings = MemorySettings(data_dir=sys.argv[1], memory={"write_mode": "buffered", "linger_seconds": 10.0})
    async with MemoryClient(settings) as client:
        for n in range(100):
            await client.buffered.submit("CREATE (:Note {id: $id})", {"id": n})
        THEN

asyncio.run(main())
"""
WAIT = 'print("ready", flush=True); await asyncio.Event().wait()'
IN_AN_OUTAGE = """
import asyncio, logging, sys
from perdure import MemoryClient, MemorySettings

logging.basicConfig(stream=sys.stdout)

async def main():
    neo4j = {"uri": sys.argv[1], "password": sys.argv[2] or None}
    memory = {"write_mode": "buffered", "close_timeout_seconds": 1.0}
    settings = MemorySettings(neo4j=neo4j, memory=memory, data_dir=sys.argv[3])
    async with MemoryClient(settings) as client:
        print("connected", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        for n in range(3):
            await client.buffered.submit("CREATE (:Note {id: $id})", {"id": n})
        print("ready", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""
FORGETFUL = """
import asyncio, logging, sys
from perdure import MemoryClient, MemorySettings

logging.basicConfig(stream=sys.stdout)

async def main():
    settings = MemorySettings(data_dir=sys.argv[1], memory={"write_mode": "buffered", "linger_seconds": 10.0})
    client = await MemoryClient(settings).connect()
    for n in range(3):
        await client.buffered.submit("CREATE (:Note {id: $id})", {"id": n})
    await client.flush()
    for n in range(3, 5):
        await client.buffered.submit("CREATE (:Note {id: $id})", {"id": n})

asyncio.run(main())
print("ended")
"""
FORKING = """
import asyncio, gc, os, signal, sys, warnings
from perdure import MemoryClient, MemorySettings

warnings.simplefilter("ignore", DeprecationWarning)

async def child(client):
    try:
        await client.buffered.submit("CREATE (:Note {id: 99})")
    except Exception as error:
        print(type(error).__name__, flush=True)

async def main():
    settings = MemorySettings(data_dir=sys.argv[1], memory={"write_mode": "buffered", "linger_seconds": 10.0})
    client = await MemoryClient(settings).connect()
    for n in range(10):
        await client.buffered.submit("CREATE (:Note {id: $id})", {"id": n})
    tidy = os.fork()
    if not tidy:
        await child(client)
        del client
        gc.collect()
        sys.exit(0)
    os.waitpid(tidy, 0)
    for n in range(10, 20):
        await client.buffered.submit("CREATE (:Note {id: $id})", {"id": n})
    if not os.fork():
        await asyncio.Event().wait()
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


def ended(directory, how, *, writer=WRITER):
    """Run a writer over a directory until it waits, send it a signal, and return its status and what it said."""
    command = [sys.executable, "-c", writer.replace("THEN", WAIT), str(directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(how)
        _, said = process.communicate(timeout=60)
    return process.returncode, said


async def notes(directory):
    """Return the ids of what a directory holds, opened anew, with what was left in its journal."""
    async with MemoryClient(MemorySettings(data_dir=directory)) as client:
        await client.flush()
        return [row["id"] for row in await client.query.cypher("MATCH (n:Note) RETURN n.id AS id ORDER BY id")]


async def test_an_interrupted_program_commits_what_was_accepted(tmp_path):
    """B13, B17: Ctrl-C leaves the block, the block drains, and the interruption goes on to end the program."""
    status, said = await asyncio.to_thread(ended, tmp_path, signal.SIGINT)
    assert status == -signal.SIGINT
    assert said.rstrip().endswith("KeyboardInterrupt")
    assert await notes(tmp_path) == list(range(100))


async def test_a_killed_program_loses_nothing(tmp_path):
    """J1: what it accepted is in its journal, and committed by the next."""
    status, _ = await asyncio.to_thread(ended, tmp_path, signal.SIGKILL)
    assert status == -signal.SIGKILL
    assert await notes(tmp_path) == list(range(100))


async def test_a_killed_program_that_kept_its_writes_in_memory_loses_them(tmp_path):
    """J1: control: it is the journal that keeps them."""
    writer = WRITER.replace('"linger_seconds"', '"durability": "memory", "linger_seconds"')
    await asyncio.to_thread(ended, tmp_path, signal.SIGKILL, writer=writer)
    assert await notes(tmp_path) == []


async def test_a_terminated_program_commits_what_was_accepted(tmp_path):
    """J12: SIGTERM closes the client first, and then ends the program as it would have."""
    writer = WRITER.replace('"linger_seconds"', '"durability": "memory", "linger_seconds"')
    status, _ = await asyncio.to_thread(ended, tmp_path, signal.SIGTERM, writer=writer)
    assert status == -signal.SIGTERM
    assert await notes(tmp_path) == list(range(100))


async def test_a_program_may_keep_sigterm_as_it_is(tmp_path):
    """J12: control: with `close_on_sigterm` off it ends at once; what was in memory only is lost."""
    writer = WRITER.replace('"linger_seconds"', '"durability": "memory", "close_on_sigterm": False, "linger_seconds"')
    status, _ = await asyncio.to_thread(ended, tmp_path, signal.SIGTERM, writer=writer)
    assert status == -signal.SIGTERM
    assert await notes(tmp_path) == []


def test_a_program_that_handles_sigterm_itself_is_left_alone(tmp_path):
    """J12: a server closes its clients in its own time."""
    mine = "import signal; signal.signal(signal.SIGTERM, lambda *_: print('mine', flush=True))\nimport asyncio, sys"
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER.replace("import asyncio, sys", mine).replace("THEN", WAIT), str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "mine\n"
        process.kill()


@pytest.mark.parametrize(
    ("then", "status"),
    [("sys.exit(3)", 3), ("raise KeyboardInterrupt", -signal.SIGINT), ("raise RuntimeError('mine')", 1)],
    ids=["sys.exit", "KeyboardInterrupt", "an error"],
)
async def test_a_program_that_leaves_by_an_exception_commits_what_was_accepted(tmp_path, python, then, status):
    """B13, B17: and ends the way the exception says."""
    done = await asyncio.to_thread(python, WRITER.replace("THEN", then), str(tmp_path), check=False)
    assert done.returncode == status
    assert await notes(tmp_path) == list(range(100))


async def test_a_program_that_forgot_close_ends_and_loses_nothing(tmp_path, python):
    """B14: it ends promptly and says what it left; that is in the journal, and committed by the next."""
    done = await asyncio.to_thread(python, FORGETFUL, str(tmp_path))
    assert done.stdout.splitlines()[-1] == "ended"
    assert "2 accepted writes not committed: it is kept in the journal" in done.stdout
    assert await notes(tmp_path) == [0, 1, 2, 3, 4]


async def test_a_second_process_is_told_who_holds_the_journal(tmp_path):
    """J9: before it touches anything."""
    arguments = ["-c", WRITER.replace("THEN", WAIT), str(tmp_path)]
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=subprocess.PIPE)
    assert await process.stdout.readline() == b"ready\n"
    settings = MemorySettings(data_dir=tmp_path, memory={"write_mode": "buffered"})
    with pytest.raises(JournalLockedError, match=f"process {process.pid} since"):
        await MemoryClient(settings).connect()
    process.kill()
    await process.wait()
    assert await notes(tmp_path) == list(range(100))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
async def test_a_forked_child_leaves_the_journal_alone(tmp_path, python):
    """B36, J1: it ends, tidily or not, and its parent's journal is whole; it does not hold it after the parent."""
    done = await asyncio.to_thread(python, FORKING, str(tmp_path), check=False)
    assert done.returncode == -signal.SIGKILL
    assert "ConfigError" in done.stdout
    assert await notes(tmp_path) == list(range(20))


async def test_an_interrupted_program_ends_during_an_outage(neo4j_server, network, tmp_path):
    """B11, B17: within `close_timeout_seconds`, and it says how much was left."""
    arguments = [network.uri, neo4j_server.password or "", str(tmp_path)]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", IN_AN_OUTAGE, *arguments, **pipes)
    assert await process.stdout.readline() == b"connected\n"
    await network.cut()
    process.stdin.write(b"cut\n")
    assert await process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGINT)
    out, said = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == -signal.SIGINT
    assert said.decode().rstrip().endswith("KeyboardInterrupt")
    assert b"close stopped after" in out
