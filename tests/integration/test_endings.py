"""How programs end: interrupted, exiting, forgetful; on real stores, in processes of their own."""

import asyncio
import signal
import subprocess
import sys

import pytest

from perdure import MemoryClient, MemorySettings

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
    async with MemoryClient(MemorySettings(neo4j=neo4j, memory=memory)) as client:
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


def ended(directory, how):
    """Run a writer over a directory until it waits, send it a signal, and return its status and what it said."""
    command = [sys.executable, "-c", WRITER.replace("THEN", WAIT), str(directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(how)
        _, said = process.communicate(timeout=60)
    return process.returncode, said


async def notes(directory):
    """Return the ids of what a directory holds, opened anew."""
    async with MemoryClient(MemorySettings(data_dir=directory)) as client:
        return [row["id"] for row in await client.query.cypher("MATCH (n:Note) RETURN n.id AS id ORDER BY id")]


async def test_an_interrupted_program_commits_what_was_accepted(tmp_path):
    """B13, B17: Ctrl-C leaves the block, the block drains, and the interruption goes on to end the program."""
    status, said = await asyncio.to_thread(ended, tmp_path, signal.SIGINT)
    assert status == -signal.SIGINT
    assert said.rstrip().endswith("KeyboardInterrupt")
    assert await notes(tmp_path) == list(range(100))


async def test_a_killed_program_had_committed_nothing_yet(tmp_path):
    """The control: it is the closing that committed."""
    status, _ = await asyncio.to_thread(ended, tmp_path, signal.SIGKILL)
    assert status == -signal.SIGKILL
    assert await notes(tmp_path) == []


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


async def test_a_program_that_forgot_close_ends_and_says_what_it_lost(tmp_path, python):
    """B14: with a real store; what was flushed is there, what was not is announced, and the files open again."""
    done = await asyncio.to_thread(python, FORGETFUL, str(tmp_path))
    assert done.stdout.splitlines()[-1] == "ended"
    assert "2 accepted writes not committed" in done.stdout
    assert await notes(tmp_path) == [0, 1, 2]


async def test_an_interrupted_program_ends_during_an_outage(neo4j_server, network):
    """B11, B17: within `close_timeout_seconds`, and it says how much was left."""
    arguments = [network.uri, neo4j_server.password or ""]
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
