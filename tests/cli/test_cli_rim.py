"""What every command has in common: how it is asked, how it ends, and what it looks like."""

import json
import os
import pty
import re
import subprocess
import sys
from importlib.metadata import entry_points
from typing import Any

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
WRONG = [
    (("journal", "inspct"), "There is no command 'inspct'.", "Did you mean perdure journal inspect?"),
    (("status", "--jsno"), "There is no option --jsno.", "Did you mean --json?"),
    (("status", "--colour"), "There is no option --colour.", "See perdure status --help"),
    (("--jsno", "status"), "There is no option --jsno.", "Options stand behind a command: perdure COMMAND --jsno"),
    (("status", "now"), "'now' is too much here.", "See perdure status --help"),
    (("search", "--user-id", "ada"), "QUERY is missing.", "See perdure search --help"),
    (("search", "x", "--limit"), "--limit wants a value.", "See perdure search --help"),
    (("search", "x", "--limit", "0"), "--limit should be a whole number from 1 to 1,000, not '0'.", None),
    (("search", "x", "--limit", "many"), "--limit should be a whole number from 1 to 1,000, not 'many'.", None),
    (("search", "x", "--threshold", "nan"), "--threshold should be a number from 0 to 1, not 'nan'.", None),
    (("journal", "drain", "--timeout", "-1"), "--timeout should be a number from 0 on, not '-1'.", None),
    (("dead-letters", "show", "x"), "NUMBER should be a whole number from 0 on, not 'x'.", None),
    (("completion", "tcsh"), "SHELL should be bash, zsh or fish, not 'tcsh'.", None),
    (("status", "--json=3"), "--json takes no value.", "See perdure status --help"),
    (("status", "--data-dir", "-h"), "--data-dir wants a value, and -h is an option.", "See perdure status --help"),
    (
        ("add", "- dash", "--user-id", "ada"),
        "There is no option '- dash'.",
        "A text that begins with a dash stands behind --, at the end: perdure add … -- '- dash'",
    ),
]


@pytest.mark.parametrize("command", COMMANDS, ids=ids)
def test_every_command_explains_itself_and_speaks_json(look, command):
    """X10: one vocabulary, and nothing wider than a terminal."""
    said = look(*command, "--help")
    assert "--json" in said.out
    assert ("--data-dir" in said.out) is (command not in (("demo",), ("completion",)))
    assert max(len(line) for line in said.out.splitlines()) <= 80


@pytest.mark.parametrize("columns", [80, 50, 40])
def test_help_fits_any_terminal_and_breaks_no_name(look, monkeypatch, columns):
    """Nothing is left out, either: what a list cuts off is what one wants to know."""
    monkeypatch.setenv("COLUMNS", str(columns))
    known = {word for command in COMMANDS for word in re.findall(r"PERDURE_\w+|--[a-z-]+", source_of(command))}
    listed, seen = look("--help").out, set()
    for command in COMMANDS:
        shown = look(*command, "--help").out
        assert max(map(len, shown.splitlines())) <= columns
        seen |= set(re.findall(r"PERDURE_\w+|--[a-z-]+", shown))
    assert known <= seen
    assert " ".join(listed.split()).endswith("Print what makes a shell complete these commands.")
    assert "..." not in listed.partition("Commands")[2]


def source_of(command: tuple[str, ...]) -> str:
    """Return what the options of a command are called, and what is said of them, as it stands in the code."""
    found: Any = program().commands[command[0]].loaded()
    found = found.commands[command[1]] if command[1:] else found
    return " ".join(f"{' '.join(param.opts)} {param.help or ''}" for param in found.params)


def test_wrong_use_ends_with_two(perdure, look):
    """And says what would be right."""
    assert perdure("statsu", code=2).err == "perdure: There is no command 'statsu'.\nDid you mean perdure status?\n"
    assert "Usage: perdure" in look(code=2).err
    assert look("--version").out.startswith("perdure ")


@pytest.mark.parametrize(("typed", "message", "hint"), WRONG, ids=[" ".join(typed) for typed, *_ in WRONG])
def test_wrong_use_is_told_in_one_voice(look, typed, message, hint):
    """As every error: what is wrong, and what to do; on standard error, or as a document with --json."""
    said = look(*typed, code=2)
    assert said.out == ""
    assert said.err.splitlines() == [f"perdure: {message}", *filter(None, [hint])]
    if typed[-1] == "--limit":  # whose value the next word would be
        return
    said = look(*typed, "--json", code=2)
    assert said.err == ""
    assert said.document == {"error": {"code": "input", "message": message, "hint": hint}}


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


def test_the_program_is_installed_by_its_name():
    """`perdure` is `python -m perdure`, and `python -m perdure.cli`."""
    for module in ("perdure", "perdure.cli"):
        done = subprocess.run([sys.executable, "-m", module, "--version"], capture_output=True, text=True, check=True)
        assert done.stdout.startswith("perdure ")
    scripts = [script for script in entry_points(group="console_scripts") if script.name == "perdure"]
    assert all(script.load() is main for script in scripts)
