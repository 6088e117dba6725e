"""A disk that takes its time to sync, or fails to, as the programs on it see it: by a shim between them and the system.

The shim needs a C compiler, and Linux.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest
from agent_process import Options
from rounds import Agent, judge, recover

pytestmark = pytest.mark.slow

SHIM = Path(__file__).with_name("slow_sync.c")
MILLISECONDS = 20
DATABASE, LOG = "journal.db", "journal.db-wal"

LOOP_WATCHER = """
import asyncio, ctypes, json, os, sys, time
from collections import Counter
from perdure import BufferedWriter
from perdure.journal.sqlite import SqliteJournal
from perdure.testing import FakeGraphStore

syncs = ctypes.c_int.in_dll(ctypes.CDLL(None), "perdure_syncs")  # odd while one is under way
directory, how, writes = sys.argv[1], sys.argv[2], int(sys.argv[3])
turns, longest = Counter(), 0.0

async def watch():
    global longest
    before = time.perf_counter()
    while True:
        turns[syncs.value] += 1
        await asyncio.sleep(0)
        before, gap = time.perf_counter(), time.perf_counter() - before
        longest = max(longest, gap)

async def write():
    journal = SqliteJournal(directory, durability=how)
    async with BufferedWriter(FakeGraphStore(), journal=journal, write_mode="buffered") as writer:
        async def produce():
            for n in range(writes // 8):
                await writer.submit("CREATE (:N {v: $v})", {"v": n})
        await asyncio.gather(*(produce() for _ in range(8)))

async def sync_on_the_loop():
    file = os.open(directory + "/journal.db", os.O_RDWR | os.O_CREAT)
    for n in range(writes):
        os.fsync(file)
        await asyncio.sleep(0)

async def main():
    os.makedirs(directory, exist_ok=True)
    watcher = asyncio.create_task(watch())
    await (sync_on_the_loop() if how == "on the loop" else write())
    watcher.cancel()
    print(json.dumps({"turns": [turns[n] for n in range(1, syncs.value, 2)], "longest": longest}))

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def shim(tmp_path_factory) -> Path:
    """The shim, compiled."""
    if not sys.platform.startswith("linux"):
        pytest.skip("no slow disk: the shim is for Linux")
    library = tmp_path_factory.mktemp("shim") / "slow_sync.so"
    try:
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, SHIM, "-ldl"], check=True)
    except FileNotFoundError:
        pytest.skip("no slow disk: there is no C compiler (cc)")
    return library


def watched(shim, directory, how, writes):
    """Run the program above; return how often the loop turned during each sync, and its longest stall in seconds."""
    slow = {"PERDURE_TEST_SYNC_OF": DATABASE, "PERDURE_TEST_SYNC_MILLISECONDS": str(MILLISECONDS)}
    command = [sys.executable, "-c", LOOP_WATCHER, str(directory), how, str(writes)]
    environment = os.environ | slow | {"LD_PRELOAD": str(shim)}
    if how == "disk":
        environment["PERDURE_TEST_SYNC_OF"] = LOG
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment)
    said = json.loads(done.stdout)
    assert said["turns"], "the shim saw no sync"
    return said["turns"], said["longest"]


@pytest.mark.parametrize(("durability", "writes"), [("os", 1600), ("disk", 160)])
def test_the_event_loop_goes_on_while_the_disk_syncs(shim, tmp_path, note, durability, writes):
    """J14: the loop turns many times while the journal waits for the disk."""
    turns, longest = watched(shim, tmp_path / "journal", durability, writes)
    note(f'syncs of {MILLISECONDS} ms, durability "{durability}": {len(turns)}, with {median(turns):.0f} turns of the '
         f"event loop during each; its longest stall was {longest * 1000:.1f} ms")  # fmt: skip
    assert median(turns) > 10


def test_a_sync_on_the_event_loop_would_stop_it(shim, tmp_path):
    """The control of J14."""
    turns, longest = watched(shim, tmp_path / "journal", "on the loop", 5)
    assert max(turns) == 0
    assert longest * 1000 >= MILLISECONDS


def accepted_after_a_refusal(said):
    """Return the keys in which a write was accepted after one was refused."""
    refused = set()
    found = []
    for word, key, _ in (line.split() for line in said.lines if line.startswith(("kept", "refused"))):
        if word == "refused":
            refused.add(key)
        elif key in refused:
            found.append(key)
    return found


@pytest.mark.parametrize("file", [DATABASE, LOG])
@pytest.mark.parametrize("durability", ["os", "disk"])
async def test_a_failed_sync_breaks_the_journal_until_it_is_opened_anew(shim, tmp_path, durability, file):
    """J8: after one failed sync nothing more is accepted, though the next would succeed; what was accepted is kept."""
    failing = tmp_path / "failing"
    options = Options(tmp_path / "data", durability=durability, tries=3, until=5000)
    environment = {
        "LD_PRELOAD": str(shim),
        "PERDURE_TEST_SYNC_OF": file,
        "PERDURE_TEST_SYNC_FAILS_IF": str(failing),
    }
    with Agent(options, **environment) as agent:
        agent.hear_until("kept", 50)
        failing.touch()
        agent.hear_until("refused")
        agent.hear_to_the_end()
    assert {error for _, error in agent.said.refused} == {"JournalError"}
    assert not accepted_after_a_refusal(agent.said)
    log, letters = await recover(options)
    verdict = judge(agent.said, log, letters)
    assert verdict.faultless, verdict
