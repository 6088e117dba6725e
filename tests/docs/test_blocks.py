"""What the pages show runs as it stands, and prints what they say it prints.

A page's Python blocks run in order in one namespace, in a process and a directory of their own. A comment right before
a fence makes an exception: `<!-- needs: neo4j -->` runs the block only where a server is, which it finds through the
environment; `<!-- not run: why -->` leaves it out, though it must still compile. `<!-- output -->` before a text block
promises that the Python block before it prints exactly that. A page that chats finds a server that answers it.
"""

import ast
import contextlib
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from pages import ROOT, blocks, name_of, pages

import perdure
from tests.integration.chat_api import serving

RUNNER = Path(__file__).with_name("run_blocks.py")
SOURCE = Path(perdure.__file__).parents[1]
NOTES = ("", "needs: neo4j", "not run: ", "output")


def python_blocks(page):
    return [block for block in blocks(page) if block.language == "python"]


def runs_without_server(block):
    return not block.note.startswith(("not run:", "needs:"))


def needs_server(block):
    return block.note == "needs: neo4j"


PLAIN = [page for page in pages() if any(map(runs_without_server, python_blocks(page)))]
WITH_SERVER = [page for page in pages() if any(map(needs_server, python_blocks(page)))]


def run(page, chosen, directory, variables=None):
    """Run blocks of a page in a fresh process; return what each printed, by its line."""
    asked = {"page": name_of(page), "blocks": [{"text": block.text, "line": block.line} for block in chosen]}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PERDURE_")}
    environment |= {"PYTHONPATH": str(SOURCE), "PYTHONWARNINGS": "default", **(variables or {})}
    done = subprocess.run(
        [sys.executable, RUNNER], input=json.dumps(asked), cwd=directory, env=environment,
        capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, f"{name_of(page)} does not run:\n{done.stderr}"
    assert "ResourceWarning" not in done.stderr, f"{name_of(page)} leaves something open:\n{done.stderr}"
    return {block.line: text for block, text in zip(chosen, json.loads(done.stdout), strict=True)}


def promised_outputs(page):
    """Yield the line of each Python block whose output the page shows, and that output."""
    latest = None
    for block in blocks(page):
        if block.language == "python":
            latest = block
        elif block.note == "output":
            assert latest is not None, f"{name_of(page)}:{block.line} shows the output of nothing"
            yield latest.line, block.text


def check_outputs(page, printed):
    for line, promised in promised_outputs(page):
        if line in printed:
            assert printed[line] == promised, f"{name_of(page)}:{line} prints something else than the page shows"


@pytest.mark.parametrize("page", PLAIN, ids=name_of)
def test_a_page_runs_as_it_stands(page, tmp_path):
    chosen = [block for block in python_blocks(page) if runs_without_server(block)]
    with serving("\n".join(block.text for block in chosen)) as variables:
        check_outputs(page, run(page, chosen, tmp_path, variables))


@pytest.mark.parametrize("page", WITH_SERVER, ids=name_of)
def test_a_page_runs_on_neo4j(page, tmp_path, neo4j_server):
    variables = {"PERDURE_NEO4J__URI": neo4j_server.uri, "PERDURE_NEO4J__USERNAME": neo4j_server.username}
    if neo4j_server.password is not None:
        variables["PERDURE_NEO4J__PASSWORD"] = neo4j_server.password
    chosen = [block for block in python_blocks(page) if runs_without_server(block) or needs_server(block)]
    try:
        check_outputs(page, run(page, chosen, tmp_path, variables))
    finally:
        remove_marks(neo4j_server, tmp_path)


def remove_marks(server, directory):
    """Remove what the journals in a directory have left in the graph; their directories go with the test."""
    from neo4j import GraphDatabase  # noqa: PLC0415  an optional extra

    with GraphDatabase.driver(server.uri, auth=server.auth) as driver:
        for path in directory.rglob("journal.db"):
            with contextlib.closing(sqlite3.connect(path)) as database:
                (identity,) = database.execute("SELECT value FROM about WHERE name = 'identity'").fetchone()
            driver.execute_query("MATCH (k:_JournalMark) WHERE k.id STARTS WITH $of DELETE k", of=identity)


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_a_block_that_is_not_run_compiles_at_least(page):
    for block in python_blocks(page):
        compile(block.text, f"{name_of(page)}:{block.line}", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_every_comment_before_a_block_is_one_we_know(page):
    """A misspelt marker would leave a block, or its output, unchecked."""
    for block in blocks(page):
        known = block.note in NOTES or block.note.startswith("not run: ")
        assert known, f"{name_of(page)}:{block.line} has the comment {block.note!r}"


def test_the_readme_shows_code_before_it_explains():
    first = next(block for block in blocks(ROOT / "README.md") if block.language == "python")
    assert first.line - 1 <= 13


def test_a_block_that_raises_fails_its_page(tmp_path):
    """The control: were the runner deaf to errors, every test above would pass."""
    page = ROOT / "CONTROL.md"
    block = python_blocks_of("```python\nraise LookupError('heard')\n```\n", tmp_path)
    with pytest.raises(AssertionError, match=r"CONTROL\.md.*LookupError: heard"):
        run(page, block, tmp_path)


def test_output_that_differs_fails_its_page(tmp_path):
    """The control for the outputs."""
    page = ROOT / "CONTROL.md"
    text = "```python\nprint(1)\n```\n\n<!-- output -->\n```text\n2\n```\n"
    written = tmp_path / "page.md"
    written.write_text(text, encoding="utf-8")
    printed = run(page, python_blocks(written), tmp_path)
    assert list(promised_outputs(written)) == [(2, "2\n")]
    assert printed == {2: "1\n"}


def python_blocks_of(text, directory):
    written = directory / "page.md"
    written.write_text(text, encoding="utf-8")
    return python_blocks(written)
