"""The Cypher of typed memory: every statement is used, asks for its owner, and stands nowhere but in its file."""

import ast
import re
from pathlib import Path

import pytest

import perdure
from perdure.cypher import parse
from perdure.graph.searchable import EFFECTS, KINDS
from perdure.graph.statements import load

PACKAGE = Path(perdure.__file__).parent
FILES = sorted(path.stem for path in (PACKAGE / "graph" / "cypher").glob("*.cypher"))
STATEMENTS = [(file, name) for file in FILES for name in load(file)]
ON_NOBODYS_BEHALF = {"schema", "index", "everybody"}
USERS_OF = {"index": ("index", "making", "searchable")}
"""Modules that use a file's statements, where these are not the one of its name."""
SEARCHED = {kind.model.__name__.removesuffix("Record") for kind in KINDS.values()}
"""Labels of what can be found."""
CYPHER = re.compile(r"\b(MATCH|MERGE|CREATE) \(")


@pytest.mark.parametrize(("file", "name"), STATEMENTS)
def test_a_statement_asks_for_its_owner(file, name):
    """T2, T4: but for those that run on nobody's behalf, the schema's and the index's."""
    if file not in ON_NOBODYS_BEHALF:
        assert "owner" in parse(load(file)[name]).parameters


@pytest.mark.parametrize("file", FILES)
def test_every_statement_is_used_and_every_use_has_one(file):
    """A name in the module of the file's name, or in those that share it, stands for a statement in the file."""
    modules = [PACKAGE / "graph" / f"{module}.py" for module in USERS_OF.get(file, (file,))]
    code = "\n".join(module.read_text() for module in modules)
    used = set(re.findall(r'TEXTS\["(\w+)"\]', code))
    used |= set(re.findall(r'"(\w+)" if .* else "\w+"\]', code))
    used |= set(re.findall(r'"\w+" if .* else "(\w+)"\]', code))
    made = {name for name, text in load(file).items() if file == "schema" and text.startswith("CREATE ")}
    assert used == set(load(file)) - made


@pytest.mark.parametrize("path", sorted((PACKAGE / "graph").glob("*.py")), ids=lambda path: path.stem)
def test_no_cypher_stands_in_python(path):
    """T13: texts come from files, so no caller's text can become a part of one."""
    strings = [node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)]
    assert not [text for text in strings if isinstance(text, str) and CYPHER.search(text)]


def test_the_index_hears_of_every_statement_that_changes_what_can_be_searched():
    """M5: what sets a mark, and what deletes a record that can be found; and of no other."""
    changing = {load(file)[name] for file, name in STATEMENTS if changes_what_is_searched(load(file)[name])}
    portions = {load("short_term")["clear_oldest"], *load("users").values()}  # what follows them clears the rest
    portions |= {load("memories")[name] for name in ("forget_memories", "forget_facts")}  # they say what they removed
    assert changing - portions == EFFECTS.keys() - portions
    assert len(EFFECTS) > 15


@pytest.mark.parametrize("statement", EFFECTS)
def test_the_index_is_told_where_the_keys_stand_and_whether_a_mark_is_left(statement):
    """M5: a parameter of the statement's own; a removal leaves no mark."""
    effects, parameters = EFFECTS[statement], parse(statement).parameters
    for effect in effects:
        assert effect.parameter in parameters if effect.parameter else effect.kind is None
    assert ("revision" in parameters) is not all(effect.removes for effect in effects)


def changes_what_is_searched(statement):
    """Return whether a statement marks a record, or deletes nodes of a kind that can be found."""
    labels = dict(re.findall(r"\((\w+):(\w+)", statement))
    labels |= {many: labels.get(one, "") for one, many in re.findall(r"collect\((\w+)\) AS (\w+)", statement)}
    gone = set(re.findall(r"DELETE (\w+)", statement))
    for many in re.findall(r"\(\w+ IN ([\w +]+?) \| DETACH DELETE", statement):
        gone |= set(many.split(" + "))
    return "$revision" in statement or bool({labels.get(name) for name in gone} & SEARCHED)


def test_what_is_sent_has_no_comments_and_one_line():
    """The journal keeps each write's text."""
    texts = [load(file)[name] for file, name in STATEMENTS]
    assert len(texts) > 20
    assert not [text for text in texts if "\n" in text or "//" in text or "  " in text or text != text.strip()]
