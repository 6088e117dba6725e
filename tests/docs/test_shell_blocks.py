"""The page on the command line runs as it stands: its shell blocks, in order, in one directory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pages import ROOT, blocks

import perdure

PAGE = ROOT / "docs" / "how-to" / "command-line.md"
SOURCE = Path(perdure.__file__).parents[1]


@pytest.fixture
def shell(tmp_path):
    """Run a script as a reader would, who has `perdure` installed; return all that it says."""
    programs, here = tmp_path / "bin", tmp_path / "here"
    programs.mkdir()
    here.mkdir()
    for name, called in {
        "perdure": f'exec {sys.executable} -m perdure "$@"',
        "python3": f'exec {sys.executable} "$@"',
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{called}\n")
        (programs / name).chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PERDURE_")}
    environment |= {"PATH": f"{programs}:{environment['PATH']}", "PYTHONPATH": str(SOURCE), "PYTHONUTF8": "1"}

    def run(script):
        command = ["bash", "-euo", "pipefail", "-c", script]
        both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        done = subprocess.run(command, cwd=here, env=environment, check=False, text=True, timeout=200, **both)
        assert done.returncode == 0, done.stdout
        return done.stdout

    return run


@pytest.mark.timeout(300)
def test_the_page_on_the_command_line_runs_as_it_stands(shell):
    """X10: what it prints, too, where the page promises that."""
    said = promised = None
    for block in blocks(PAGE):
        if block.language == "sh":
            said = shell(block.text)
        elif block.note == "output":
            promised = block.text
            assert said == promised, f"line {block.line} of the page shows something else"
    assert promised


def test_a_block_that_fails_is_heard(shell):
    """The control."""
    with pytest.raises(AssertionError, match="There is no memory"):
        shell("perdure messages | cat")
