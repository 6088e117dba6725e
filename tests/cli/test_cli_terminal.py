"""What is seen: on terminals of any width, in a pipe, by a program; and how the program ends when it is not wanted."""

import asyncio
import fcntl
import io
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import unicodedata

import pytest

from perdure import MemoryClient, MemorySettings
from perdure.cli import screen

ADA = ("--user-id", "ada")
EVIL = "\x1b[2J\x1b]0;owned\x07 \x9b31m \u202egnal\u2066 \r\x08\x00 bell\x07"
WIDE = "私はリスボンに引っ越しました。とても美しい街です。川の近くのアパートに住んでいます。" * 3
STEERING = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
COMMANDS = [
    ("search", "Lisbon", *ADA),
    ("search", "Lisbon", *ADA, "--explain"),
    ("messages", *ADA),
    ("messages", "chat-1", *ADA),
    ("doctor",),
]
names = " ".join


async def said(*contents: str) -> None:
    """Have a program keep words wherever they can stand."""
    async with MemoryClient(MemorySettings()) as client:
        mine = client.scope(user_id="ada")
        for each in contents:
            name = each[:40].strip()
            await mine.short_term.add_message("chat-1", "user", each, name=name)
            await mine.short_term.add_message(f"{name} session", "assistant", each, tool_calls=[{"name": each}])
            await mine.long_term.add_fact(name, "lives in", each, source=name)
            await mine.long_term.add_entity(name, "person", description=each)


@pytest.fixture
def stored(data_dir):
    """Memory in which other people's words stand."""
    evil = EVIL.replace("\x00", "")  # which no store takes
    asyncio.run(said(f"Lisbon {evil}", f"Lisbon {WIDE}", "Lisbon, " * 60 + "end"))


def cells(text: str) -> int:
    """Return how many columns a text takes."""
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)


def on_a_terminal(*arguments: str, columns: int = 80, **variables: str) -> str:
    """Run the program on a terminal, and return what it showed there."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", **variables}
    command = [sys.executable, "-m", "perdure", *arguments]
    shown = b""
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment):
        os.close(theirs)
        try:
            while part := os.read(ours, 65536):
                shown += part
        except OSError:  # the program has ended, and its side of the terminal is gone
            pass
    os.close(ours)
    return shown.decode()


def without_colours(shown: str) -> str:
    """Return what a terminal shows, without what the program itself steers it with: colours, and its bar."""
    return re.sub(r"\x1b\[[0-9;?]*[mKAhl]|\r", "", shown)


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("command", COMMANDS, ids=names)
@pytest.mark.parametrize("columns", [80, 40])
def test_everything_fits_and_nothing_steers(look, monkeypatch, command, columns):
    """B34: what is stored is other people's words, of any script and length."""
    monkeypatch.setenv("COLUMNS", str(columns))
    shown = look(*command).out
    assert shown.strip()
    assert not STEERING.search(shown)
    assert max(cells(line) for line in shown.splitlines()) <= columns
    assert all(line == line.rstrip() for line in shown.splitlines()), "nothing stands behind a line"
    printed = look(*command, "--json").out
    assert json.loads(printed)
    assert not STEERING.search(printed)


@pytest.mark.usefixtures("stored")
def test_a_terminal_is_not_steered_either(look):
    """B34: beside the colours that are our own."""
    for command in (("search", "Lisbon", *ADA), ("messages", "chat-1", *ADA), ("messages", "chat-1", *ADA, "--json")):
        shown = on_a_terminal(*command, columns=50)
        assert not STEERING.search(without_colours(shown))
        assert "owned" in shown
    document = look("messages", "chat-1", *ADA, "--json").document
    assert EVIL.replace("\x00", "") in document["messages"][0]["content"], "a program gets the words as they are"


def test_an_error_steers_nothing_either(look, data_dir):
    """B34: what is typed may come from somewhere else, too."""
    for command in (("messages", EVIL, *ADA), ("import", EVIL), ("search", "x", "--user-id", f"{EVIL} "), (EVIL,)):
        for more in ((), ("--json",)):
            ended = look(*command, *more, code=1 if command[0] == "messages" else 2)
            assert not STEERING.search(ended.out + ended.err)


def test_what_belongs_to_a_script_is_left_in_its_words():
    """Joins and wide spaces are no danger, and without them words fall apart."""
    for harmless in ("👩\u200d👩\u200d👧", "نی\u200cنی", "東京\u3000大阪", "1\u00a0000", "two\nlines"):
        assert screen.printable(harmless) == harmless
    assert screen.printable("a\tb\r\nc") == "a   b\nc"
    assert screen.printable("\ud800") == "\\ud800"


@pytest.mark.usefixtures("stored")
def test_colours_are_for_terminals_and_for_those_who_want_them(look):
    """NO_COLOR is heard; a pipe gets none."""
    assert "\x1b[1m" in on_a_terminal("search", "Lisbon", *ADA)
    assert "\x1b[36m" in on_a_terminal("search", "Lisbon", *ADA, "--explain")
    assert not re.search(r"\x1b\[\d*;?3\dm", on_a_terminal("search", "Lisbon", *ADA, "--explain", NO_COLOR="1"))
    assert "\x1b" not in look("search", "Lisbon", *ADA).out


@pytest.mark.usefixtures("stored")
def test_a_reader_that_has_gone_is_no_fault(data_dir):
    """`| head -1` ends the program without a word."""
    command = f"{sys.executable} -m perdure messages chat-1 --user-id ada | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], check=True, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] in ("0", "1")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no disk that is always full")  # noqa: PTH110
@pytest.mark.parametrize(
    "command", [("status",), ("status", "--json"), ("--help",), ("search", "x", "--json")], ids=names
)
def test_output_that_cannot_be_written_is_told_on_standard_error(data_dir, command):
    """In a sentence, also where a program should get a document; the last has an error of its own to tell."""
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(
            [sys.executable, "-m", "perdure", *command],
            check=False,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    if command[0] == "search":
        assert (done.returncode, done.stderr.splitlines()[0]) == (
            2,
            "perdure: Say whose memory it is: --user-id, --agent-id or --run-id.",
        )
    else:
        assert (done.returncode, done.stderr) == (1, "perdure: No space left on device\n")


@pytest.mark.parametrize("command", ["status", "status --json", "--help"])
def test_output_that_is_closed_is_no_fault(data_dir, command):
    """`>&-` wants none."""
    closed = ["bash", "-c", f"{sys.executable} -m perdure {command} >&-"]
    done = subprocess.run(closed, check=True, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""


def test_a_console_that_knows_no_letters_gets_escapes(look, monkeypatch, data_dir):
    """Nothing is lost, and nothing breaks."""
    asyncio.run(said("Lisbon é 東京"))
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    command = [sys.executable, "-m", "perdure", "messages", "chat-1", *ADA]
    plain = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    assert "Lisbon" in plain
    done = subprocess.run([*command, "--json"], check=True, capture_output=True, text=True, timeout=60)
    assert json.loads(done.stdout)["messages"][0]["content"] == "Lisbon é 東京"


def test_interrupting_is_heard_at_once(data_dir):
    """B17: 130, one sentence, no traceback; what is typed at a prompt is nobody's yet."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "perdure", "add", "-", *ADA]
    with subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        asked = io.TextIOWrapper(program.stderr)
        assert "Ctrl-D" in asked.readline()
        program.send_signal(signal.SIGINT)
        code, rest = program.wait(60), asked.read()
    os.close(ours)
    os.close(theirs)
    assert code == 130
    assert rest == "perdure: Interrupted.\n"
    assert not data_dir.exists()
