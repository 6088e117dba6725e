"""The blocking chat client in threads, in forked and ending processes, and where an event loop runs or stands still."""

import asyncio
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from chat_api import run_program
from doors import BlockingDoor, Rig, at, settings

from perdure import MemorySettings, SyncMemory
from perdure.openai import OpenAI


def test_without_the_official_package_the_import_says_what_to_install():
    program = "import sys; sys.modules['openai'] = None\nimport perdure.openai"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert "ConfigError" in done.stderr.splitlines()[-1]
    assert "pip install 'perdure[openai]'" in done.stderr.splitlines()[-1]


def test_one_blocking_client_serves_many_threads(api):
    """X3: no turn is lost or mixed up."""
    with at(BlockingDoor()) as blocking_door, ThreadPoolExecutor(8) as pool:
        rig = Rig(blocking_door, api, settings())
        answers = list(pool.map(lambda n: rig.chat(f"This is number {n}.", user_id=f"u{n % 4}"), range(24)))
        assert {one.memory.remembered for one in answers} <= {"accepted", "pending"}
        for user in range(4):
            said = {text for role, text in rig.remembered(f"u{user}") if role == "user"}
            assert said == {f"This is number {n}." for n in range(user, 24, 4)}


async def test_the_blocking_client_works_where_an_event_loop_runs(api):
    """X4: it stands still for the answer anyway."""
    memory = SyncMemory(settings())
    client = OpenAI(api_key="k", base_url=api.url, memory=memory, recall_timeout=30)
    said = [{"role": "user", "content": "I live in Lisbon."}]
    answer = client.chat.completions.create(model="m", messages=said, user_id="u1")
    assert answer.memory.status == "miss"
    client.close()
    await asyncio.to_thread(memory.close)
    assert answer.memory.remembered == "accepted"


UNCLOSED = """
from perdure.openai import OpenAI
client = OpenAI()
said = [{"role": "user", "content": "Where is my home?"}]
stream = client.chat.completions.create(model="m", messages=said, user_id="u1", stream=True)
next(stream), next(stream)
import signal
assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL, "nobody waits for SIGTERM"
"""


LET_GO = """
import gc
from perdure import SyncMemory
from perdure.openai import OpenAI
memory = SyncMemory()

def ask():
    said = [{"role": "user", "content": "Where is my home?"}]
    stream = OpenAI(memory=memory).chat.completions.create(model="m", messages=said, user_id="u1", stream=True)
    next(stream), next(stream)

ask()
gc.collect()
"""


@pytest.mark.parametrize("program", [UNCLOSED, LET_GO], ids=["left open", "let go of"])
def test_a_blocking_client_that_nobody_closed_is_at_the_end_of_the_process(program, api, tmp_path):
    """X3, J12: of a stream that was left half-read, what came is remembered; SIGTERM would close the memory."""
    run_program(program, api, tmp_path)
    with SyncMemory(MemorySettings(store=str(tmp_path / ".perdure"))) as memory:
        assert memory.flush(30)
        found = [one.memory for one in memory.get_all(user_id="u1").results]
    assert found == ["Where is my home?", "Lis"]


FORKED = """
import os, sys
from perdure.openai import OpenAI
client = OpenAI()
said = [{"role": "user", "content": "I moved to Lisbon."}]
client.chat.completions.create(model="m", messages=said, user_id="u1")
child = os.fork()
if child == 0:
    try:
        client.close()
    except Exception as error:
        print(type(error).__name__, flush=True)
    sys.exit(5)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_does_not_wait_for_its_parents_client(api, tmp_path):
    """B36: when it closes it, and when it ends."""
    assert run_program(FORKED, api, tmp_path).stdout.split() == ["ConfigError", "5"]


STANDING_STILL = """
import threading
from perdure.openai import OpenAI
from perdure.sync import ending
ending.SECONDS_AT_EXIT = 0.1
client = OpenAI()
said = [{"role": "user", "content": "I moved to Lisbon."}]
client.chat.completions.create(model="m", messages=said, user_id="u1")
client.remembering._memory.connection.loop.begin(threading.Event().wait)
hurried = client.with_options(recall_timeout=0)
print(hurried.chat.completions.create(model="m", messages=said, user_id="u1").memory.status)
"""


def test_a_process_ends_also_when_the_event_loop_stands_still(api, tmp_path):
    """B14: nobody closed the client, and what is on the loop never ends."""
    assert run_program(STANDING_STILL, api, tmp_path).stdout.split() == ["timeout"]


LATE = """
import threading
from perdure.openai import OpenAI
client = OpenAI()
main = threading.main_thread()
said = [{"role": "user", "content": "I moved to Lisbon."}]

def work():
    main.join()
    try:
        client.chat.completions.create(model="m", messages=said, user_id="u1")
    except BaseException as error:
        print(repr(error), flush=True)
    else:
        print("answered", flush=True)

threading.Thread(target=work).start()
"""


def test_a_thread_may_complete_first_when_the_main_one_has_ended(api, tmp_path):
    """X3, X4: no thread pool takes work then."""
    assert run_program(LATE, api, tmp_path).stdout.split() == ["answered"]
    with SyncMemory(MemorySettings(store=str(tmp_path / ".perdure"))) as memory:
        assert memory.flush(30)
        assert [one.memory for one in memory.get_all(user_id="u1").results] == ["I moved to Lisbon.", "Lisbon."]


def test_a_completion_on_the_memory_s_own_loop_does_not_wait_for_itself(api):
    """X4, B36: such as in a callback of the application's."""
    with SyncMemory(settings()) as memory, OpenAI(api_key="k", base_url=api.url, memory=memory) as client:
        said = [{"role": "user", "content": "I live in Lisbon."}]

        async def on_the_loop():
            answer = client.chat.completions.create(model="m", messages=said, user_id="u1")
            return answer, answer.memory.remembered

        answer, remembered = memory.connection.loop.run(on_the_loop)
    assert (answer.memory.status, remembered) == ("failed", "pending")
    assert "own event loop" in str(answer.memory.error)
    assert answer.memory.remembered == "accepted"
    assert answer.choices[0].message.content == "Lisbon."


def test_a_blocked_event_loop_holds_up_no_completion(api):
    """X4: of a blocking client, whose memory's loop stands still; what is said is remembered when that goes on."""
    with SyncMemory(settings()) as memory, OpenAI(api_key="k", base_url=api.url, memory=memory) as client:
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hello"}], user_id="u2")
        gone_on = threading.Event()
        memory.connection.loop.begin(lambda: gone_on.wait(30) and None)
        hurried = client.with_options(recall_timeout=0.05)
        said = [{"role": "user", "content": "I live in Lisbon."}]
        answer = hurried.chat.completions.create(model="m", messages=said, user_id="u1")
        assert not gone_on.is_set()
        assert (answer.memory.status, answer.memory.remembered) == ("timeout", "pending")
        gone_on.set()
        client.close()
        assert (answer.memory.status, answer.memory.remembered) == ("timeout", "accepted")
        assert memory.flush(30)
        assert [one.memory for one in memory.get_all(user_id="u1").results] == ["I live in Lisbon.", "Lisbon."]


def test_the_time_for_memories_may_have_no_end(api):
    """X4: it is a number, so it is taken, and waits for a memory that is still to be opened."""
    said = [{"role": "user", "content": "I live in Lisbon."}]
    with (
        closing(SyncMemory(settings())) as memory,
        OpenAI(api_key="k", base_url=api.url, memory=memory, recall_timeout=float("inf")) as client,
    ):
        assert client.chat.completions.create(model="m", messages=said, user_id="u1").memory.status == "miss"
