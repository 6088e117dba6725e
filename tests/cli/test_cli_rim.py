"""What every command has in common: how it is asked, how it ends, and what it looks like."""

import json
import os
import pty
import subprocess
import sys
from importlib.metadata import entry_points

import pytest

from perdure.cli import main, screen
from perdure.cli.app import program

COMMANDS = [
    ("demo",),
    ("add",),
    ("search",),
    ("messages",),
    ("export",),
    ("import",),
    ("doctor",),
    ("status",),
    ("reindex",),
    ("completion",),
    ("dead-letters", "list"),
    ("dead-letters", "show"),
    ("dead-letters", "redrive"),
    ("dead-letters", "drop"),
    ("journal", "inspect"),
    ("journal", "drain"),
    ("journal", "doctor"),
    ("journal", "salvage"),
]
COMMANDS_OF_THE_PROGRAM = list(program().commands)
LOOKING = [
    ("status",),
    ("dead-letters", "list"),
    ("dead-letters", "show", "1"),
    ("journal", "inspect"),
    ("journal", "inspect", "--parameters"),
    ("journal", "doctor"),
]
ids = " ".join


@pytest.mark.parametrize("command", COMMANDS, ids=ids)
def test_every_command_explains_itself_and_speaks_json(look, command):
    """X10: one vocabulary, and nothing wider than a terminal."""
    said = look(*command, "--help")
    assert "--json" in said.out
    assert ("--data-dir" in said.out) is (command not in (("demo",), ("completion",)))
    assert max(len(line) for line in said.out.splitlines()) <= 80


def test_wrong_use_ends_with_two(perdure, look):
    """And says what would be right."""
    assert "No such command 'statsu'" in perdure("statsu", code=2).err
    assert "No such option: --jsno" in look("status", "--jsno", code=2).err
    assert "Usage: perdure" in look(code=2).err
    assert look("--version").out.startswith("perdure ")


def test_settings_that_cannot_work_end_with_two(look, monkeypatch):
    """B39: as they would in the program."""
    monkeypatch.setenv("PERDURE_MEMORY__LANES", "many")
    assert "lanes = 'many'" in look("status", code=2).err
    assert look("status", "--json", code=2).document["error"]["code"] == "config"


def test_an_error_is_a_sentence_on_standard_error_or_a_document(look):
    """With --json, standard output is always one JSON document."""
    said = look("journal", "inspect", code=1)
    assert said.out == ""
    assert said.err.startswith("perdure: There is no journal 'main'")
    said = look("journal", "inspect", "--json", code=1)
    assert said.err == ""
    assert said.document["error"].keys() == {"code", "message", "hint"}


def test_a_journal_is_not_drained_into_another_graph(perdure, look, killed_agent):
    """J9: --uri names the graph, and the journal knows which one it is for."""
    killed_agent(pending=5)
    said = perdure("journal", "drain", "--uri", "bolt://127.0.0.1:1", code=2)
    assert "dead letters for the embedded store" in said.err
    assert look("status", "--json").document["journals"][0]["pending"] == 5


@pytest.mark.parametrize("command", LOOKING, ids=ids)
def test_what_is_printed_is_plain_and_fits(look, killed_agent, command):
    """No colours where nobody sees them, and at most 80 columns."""
    killed_agent(failing=2, pending=8)
    said = look(*command)
    assert "\x1b" not in said.out
    assert max(len(line) for line in said.out.splitlines()) <= 80
    assert json.loads(look(*command, "--json").out)


def on_a_terminal(*arguments: str) -> tuple[int, str]:
    """Run the program on a terminal of 80 columns; return its exit code and what it showed."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80"}
    command = [sys.executable, "-m", "perdure.cli", *arguments]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as program:
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 65536):
                shown += part
        except OSError:  # the program has ended, and its side of the terminal is gone
            pass
    os.close(ours)
    return program.returncode, shown.decode()


def test_on_a_terminal_there_are_colours_and_progress(perdure, killed_agent):
    """Control: the plain output above is plain for a reason."""
    killed_agent(pending=300)
    code, shown = on_a_terminal("journal", "drain")
    assert code == 0
    assert "committing" in shown
    assert "\x1b[" in shown
    assert "Committed 300 writes." in shown
    assert "committing" not in perdure("journal", "drain").err


def test_what_a_write_says_cannot_steer_a_terminal(look, killed_agent, main_journal):
    """B34: parameters are other people's words."""
    killed_agent(pending=1)
    inspect = look("journal", "inspect", "--parameters").out
    assert "\x1b" not in inspect
    assert screen.printable("\x1b[2Jhello\x9b\n") == "\\x1b[2Jhello\\x9b\n"
    assert "\x9b" not in screen.pretty({"text": "\x9b1A"})


@pytest.mark.parametrize("name", COMMANDS_OF_THE_PROGRAM)
def test_what_the_program_says_of_a_command_is_what_that_says_of_itself(name):
    """The program knows it without loading the command."""
    known = program().commands[name]
    assert known.loaded().help.splitlines()[0] == known.help


def loaded_by(*arguments: str, **variables: str) -> set[str]:
    """Return what a command loads of what takes long to load."""
    heavy = ("pydantic", "rich", "numpy", "kglite", "sqlite3", "asyncio", "perdure.client")
    code = (
        "import sys; from perdure.cli.app import run; "
        f"run({list(arguments)!r}); print(*(n for n in {heavy!r} if n in sys.modules), file=sys.stderr)"
    )
    environment = {**os.environ, **variables}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment, timeout=60)
    assert done.stdout
    return set(done.stderr.split())


def test_help_and_completion_load_nothing_that_takes_long(data_dir):
    """A person waits for both. Control: a command that looks loads what it needs."""
    assert loaded_by("--help") == loaded_by("--version") == set()
    completing = {"_PERDURE_COMPLETE": "complete_bash", "COMP_WORDS": "perdure s", "COMP_CWORD": "1"}
    assert loaded_by("status", **completing) <= {"pydantic"}, "what typer loads itself"
    assert {"sqlite3", "rich"} <= loaded_by("status")


def test_a_shell_completes_commands_and_options(perdure, monkeypatch):
    """For each shell there is a script, and what it asks is answered."""
    for shell, mark in {"bash": "complete -o", "zsh": "compdef", "fish": "complete --command perdure"}.items():
        assert mark in perdure("completion", shell).out
    monkeypatch.setenv("SHELL", "/usr/bin/fish")
    assert perdure("completion", "--json").document["shell"] == "fish"
    monkeypatch.setenv("SHELL", "/bin/sh")
    assert "bash|zsh|fish" in perdure("completion", code=2).err
    monkeypatch.setenv("_PERDURE_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "perdure dead-letters re")
    monkeypatch.setenv("COMP_CWORD", "2")
    assert perdure().out.split() == ["redrive"]


def test_importing_the_library_loads_none_of_it():
    """An agent does not pay for the command line."""
    program = (
        "import sys, perdure, perdure.client; print([n for n in ('typer', 'rich', 'perdure.cli') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"


def test_wrong_use_is_a_document_too(look):
    """With --json, whoever reads standard output finds why there is nothing else."""
    said = look("status", "--jsno", "--json", code=2)
    assert said.err == ""
    assert said.document["error"]["message"].startswith("No such option: --jsno")
    assert said.document["error"]["hint"] == "perdure status --help"
    assert (
        look("search", "x", "--user-id", "ada", "--limit", "0", "--json", code=2).document["error"]["code"] == "input"
    )
    assert "No such command" in look("statsu", "--json", code=2).document["error"]["message"]


def test_the_program_is_installed_by_its_name():
    """`perdure` is `python -m perdure`, and `python -m perdure.cli`."""
    for module in ("perdure", "perdure.cli"):
        done = subprocess.run([sys.executable, "-m", module, "--version"], capture_output=True, text=True, check=True)
        assert done.stdout.startswith("perdure ")
    scripts = [script for script in entry_points(group="console_scripts") if script.name == "perdure"]
    assert all(script.load() is main for script in scripts)
