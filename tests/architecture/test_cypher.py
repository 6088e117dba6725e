"""The Cypher of typed memory: every statement is used, asks for its owner, and stands nowhere but in its file."""

import ast
import re
from pathlib import Path

import pytest

import perdure
from perdure.cypher import parse
from perdure.graph.statements import load

PACKAGE = Path(perdure.__file__).parent
FILES = sorted(path.stem for path in (PACKAGE / "graph" / "cypher").glob("*.cypher"))
STATEMENTS = [(file, name) for file in FILES for name in load(file)]
CYPHER = re.compile(r"\b(MATCH|MERGE|CREATE) \(")


@pytest.mark.parametrize(("file", "name"), STATEMENTS)
def test_a_statement_asks_for_its_owner(file, name):
    """T2, T4: but for those of the schema, which are about nobody."""
    if file != "schema":
        assert "owner" in parse(load(file)[name]).parameters


@pytest.mark.parametrize("file", FILES)
def test_every_statement_is_used_and_every_use_has_one(file):
    """A name in the module of the file's name stands for a statement in the file."""
    used = set(re.findall(r'TEXTS\["(\w+)"\]', (PACKAGE / "graph" / f"{file}.py").read_text()))
    used |= set(re.findall(r'"(\w+)" if .* else "\w+"\]', (PACKAGE / "graph" / f"{file}.py").read_text()))
    used |= set(re.findall(r'"\w+" if .* else "(\w+)"\]', (PACKAGE / "graph" / f"{file}.py").read_text()))
    made = {name for name, text in load(file).items() if file == "schema" and text.startswith("CREATE ")}
    assert used == set(load(file)) - made


@pytest.mark.parametrize("path", sorted((PACKAGE / "graph").glob("*.py")), ids=lambda path: path.stem)
def test_no_cypher_stands_in_python(path):
    """T13: texts come from files, so no caller's text can become a part of one."""
    strings = [node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)]
    assert not [text for text in strings if isinstance(text, str) and CYPHER.search(text)]


def test_what_is_sent_has_no_comments_and_one_line():
    """The journal keeps each write's text."""
    texts = [load(file)[name] for file, name in STATEMENTS]
    assert len(texts) > 20
    assert not [text for text in texts if "\n" in text or "//" in text or "  " in text or text != text.strip()]
