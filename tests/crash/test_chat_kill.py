"""Kill -9 in the middle of a stream: after a restart every turn that was answered is remembered."""

import random
import subprocess
import sys
from pathlib import Path

import pytest
from chat_process import settings_of
from rounds import repeated

from perdure import SyncMemory
from tests.integration.chat_api import ChatAPI

pytestmark = pytest.mark.slow
PROGRAM = Path(__file__).with_name("chat_process.py")
LIVES = 2


def lived(which, directory, life, durability="os"):
    """Run the program, kill it in the middle of a stream, and return what was answered before."""
    few = random.randrange(1, 6)
    with ChatAPI().running() as api:
        for number in range(2 * few):
            held = {"held_at": 2} if number == 2 * few - 1 else {}
            api.reply(f"Noted {life}/{number}: ", "he is fine.", **held)
        command = [sys.executable, PROGRAM, which, directory, durability, api.url, str(life)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            begun, answered = 0, []
            while begun < few and (line := process.stdout.readline()):
                begun += line == "streaming\n"
                answered += [line.strip().partition(" ")[2]] if line.startswith("answered") else []
            process.kill()
        api.default.released.set()
    assert len(answered) == 2 * few - 1
    return {text: f"Noted {life}/{number}: he is fine." for number, text in enumerate(answered)}


def remembered(directory, durability="os"):
    """Return what is remembered after a restart, with the role that said it."""
    with SyncMemory(settings_of(directory, durability)) as memory:
        assert memory.flush(60)
        return [(one.role, one.memory) for one in memory.get_all(user_id="u1", limit=1000).results]


@pytest.mark.parametrize("which", ["OpenAI", "AsyncOpenAI"])
@repeated(few=1)
def test_turns_that_were_answered_outlive_kill_nine_in_mid_stream(number, which, tmp_path, count):
    """X3, J1: both sides of each, once; the stream that was cut off was never answered."""
    answered = {}
    for life in range(LIVES):
        answered |= lived(which, tmp_path, life)
    kept = remembered(tmp_path)
    assert len(kept) == len(set(kept))
    assert set(kept) == {("user", text) for text in answered} | {("assistant", text) for text in answered.values()}
    count("kill -9 in the middle of a stream", kills=LIVES, answered=len(answered), lost=0)


def test_in_memory_what_was_answered_would_be_lost(tmp_path):
    """The control: durability "memory"."""
    answered = lived("OpenAI", tmp_path, 0, "memory")
    assert answered
    assert remembered(tmp_path, "memory") == []
