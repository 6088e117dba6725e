"""What a user may import, and that it is all there and explained."""

import ast
import inspect
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

import perdure
from perdure import errors, protocols, records, testing

ROOT = Path(perdure.__file__).parents[2]
HIDDEN_RECORDS = {
    *("Backlog", "Batch", "JournalEntry", "LaneMark", "LaneState"),
    *("Revision", "VectorHit", "VectorQuery", "VectorRecord"),
}
"""Nouns between the layers, which a user does not meet."""


def classes_of(module):
    """Return the names of the classes a module defines."""
    members = inspect.getmembers(module, inspect.isclass)
    return {name for name, value in members if value.__module__ == module.__name__ and not name.startswith("_")}


def test_the_public_names_are_sorted_and_unique():
    """The list reads as an index does."""
    assert perdure.__all__ == sorted(set(perdure.__all__))


@pytest.mark.parametrize("name", perdure.__all__)
def test_every_public_name_can_be_imported_and_is_explained(name):
    """Names load when they are used, and say what they are."""
    value = getattr(perdure, name)
    assert value.__name__ == name
    assert inspect.getdoc(value)
    assert name in dir(perdure)


def test_type_checkers_see_the_same_names():
    """What is loaded late is declared for editors as well."""
    tree = ast.parse(Path(perdure.__file__).read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module != "importlib"]
    declared = {alias.name for node in imports if node.module.startswith("perdure.") for alias in node.names}
    assert declared == set(perdure.__all__)


def test_every_error_and_every_record_a_user_meets_is_public():
    """What is raised or returned can be named."""
    assert classes_of(errors) <= set(perdure.__all__)
    assert classes_of(records) - HIDDEN_RECORDS <= set(perdure.__all__)
    assert {"MemoryClient", "MemorySettings", "BufferedWriter", "Receipt"} <= set(perdure.__all__)


def test_an_unknown_name_is_an_attribute_error():
    """As of any module."""
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        _ = perdure.Nonsense


def test_the_version_is_that_of_the_package():
    """One number, in two places."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert perdure.__version__ == project["version"]


@pytest.mark.parametrize("error", sorted(classes_of(errors) - {"DurabilityWarning"}))
def test_every_error_has_a_code_and_stands_in_the_tree(error):
    """Programs go by the code, people by the tree in the module's docstring."""
    kind = getattr(errors, error)
    assert issubclass(kind, errors.PerdureError)
    assert error in errors.__doc__
    assert kind.code
    assert isinstance(kind.retryable, bool)


def test_codes_are_unique():
    """A code means one thing."""
    kinds = [getattr(errors, name) for name in classes_of(errors) - {"DurabilityWarning"}]
    assert len({kind.code for kind in kinds}) == len(kinds)


def test_an_error_without_a_message_says_what_its_class_says():
    """And a hint follows the message."""
    assert str(errors.QueueFullError()) == "There is no room among the pending writes; nothing was accepted."
    assert str(errors.InputError("No.", hint="Do this.")) == "No. Do this."


@pytest.mark.parametrize(
    ("name", "attribute"),
    [
        (name, attribute)
        for name in perdure.__all__
        for attribute, value in vars(getattr(perdure, name)).items()
        if not attribute.startswith("_") and (inspect.isfunction(value) or isinstance(value, property))
    ],
)
def test_every_public_method_is_explained(name, attribute):
    """By a first line that says what it does for the caller."""
    assert inspect.getdoc(getattr(getattr(perdure, name), attribute))


def test_the_fake_store_is_a_graph_store():
    """Its methods have the names and parameters of the protocol."""
    assert isinstance(testing.FakeGraphStore(), protocols.GraphStore)
    for name, method in inspect.getmembers(protocols.GraphStore, inspect.isfunction):
        if not name.startswith("_"):
            fake = getattr(testing.FakeGraphStore, name)
            assert inspect.signature(fake).parameters.keys() == inspect.signature(method).parameters.keys()
            assert inspect.iscoroutinefunction(fake) == inspect.iscoroutinefunction(method)


def test_the_fakes_are_in_one_place():
    """Also those that load numpy, and only when they are used."""
    assert testing.__all__ == sorted(testing.__all__)
    assert all(inspect.getdoc(getattr(testing, name)) for name in testing.__all__)
    with pytest.raises(AttributeError, match="no attribute 'FakeNonsense'"):
        _ = testing.FakeNonsense


@pytest.mark.parametrize("module", ["perdure.testing", "perdure.protocols", "perdure.records", "perdure.errors"])
def test_modules_that_users_import_from_are_explained(module):
    """A module's docstring says what it is for."""
    assert len(import_module(module).__doc__.splitlines()[0]) > 20
