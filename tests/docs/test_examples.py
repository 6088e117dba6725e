"""Every example runs as it stands, without a server and in any directory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pages import ROOT

import perdure

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
SOURCE = Path(perdure.__file__).parents[1]
SAID = {
    "buffered_writes.py": "Now 7 are committed and 1 failed.",
    "conversation.py": "Where does she live?\n  I moved to Lisbon last month.\n",
    "knowledge.py": "Now she lives in Ockham.\nIn 1836 she lives in London, until 30 June 1838.\n",
    "reasoning.py": "find a flat in Lisbon: done, 980 euro\n",
    "remembering.py": "- September 2026, Ada: I moved to Lisbon last month.\n</recalled-memories>\nIn which city do I",
}
"""A part of what each prints."""


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_runs_as_it_stands(path, tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PERDURE_")}
    environment |= {"PYTHONPATH": str(SOURCE), "PYTHONWARNINGS": "default", "PYTHONUTF8": "1"}
    done = subprocess.run(
        [sys.executable, path], cwd=tmp_path, env=environment, capture_output=True, text=True, encoding="utf-8",
        check=False, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "ResourceWarning" not in done.stderr
    assert SAID[path.name] in done.stdout
    assert list(tmp_path.iterdir()) == [], "it should leave nothing behind"
