"""Settings: validated however they come, with messages that say what would be right."""

import ast
import inspect
import math
from pathlib import Path
from typing import get_type_hints

import pytest

from perdure import BufferedWriter, ConfigError, MemorySettings, settings
from perdure.settings import (
    Explained,
    LimitsSection,
    Neo4jSection,
    OpenAISection,
    WriteOptions,
    WriteSection,
    setting_names,
)
from perdure.testing import FakeGraphStore

SOURCES = Path(inspect.getfile(settings)).parent
NAMES = list(setting_names(MemorySettings))

WRONG = [
    ("memory.write_mode", "bufered", "buffered"),
    ("memory.durability", "ram", "memory"),
    ("memory.on_full", "drop", "block"),
    ("memory.max_pending", 0, "greater than or equal to 1"),
    ("memory.max_pending", "many", "integer"),
    ("memory.max_pending_bytes", -1, "greater"),
    ("memory.max_batch", 0, "greater"),
    ("memory.max_batch", 10_001, "less than or equal to 10000"),
    ("memory.max_batch_bytes", 0, "greater"),
    ("memory.linger_seconds", -0.1, "greater"),
    ("memory.linger_seconds", 11, "less"),
    ("memory.linger_seconds", math.nan, ""),
    ("memory.lanes", 0, "greater"),
    ("memory.lanes", 65, "less"),
    ("memory.max_write_errors", 0, "greater"),
    ("memory.on_error", "print", "callable"),
    ("memory.close_timeout_seconds", -1, "greater"),
    ("memory.close_timeout_seconds", math.inf, "finite"),
    ("neo4j.uri", "localhost:7687", "neo4j://host:7687"),
    ("neo4j.uri", "http://localhost:7474", "neo4j://host:7687"),
    ("neo4j.connect_timeout_seconds", 0, "greater than 0"),
    ("neo4j.transaction_timeout_seconds", math.inf, "finite"),
    ("neo4j.max_connections", 0, "greater"),
    ("store", "redis://localhost", "neo4j://host:7687"),
    ("store", "", "directory"),
    ("store", 7, ""),
]


def nested(name, value):
    """Return the keywords that set a dotted name."""
    *sections, leaf = name.split(".")
    keywords = {leaf: value}
    for section in reversed(sections):
        keywords = {section: keywords}
    return keywords


def assign(made, name, value):
    *sections, leaf = name.split(".")
    for section in sections:
        made = getattr(made, section)
    setattr(made, leaf, value)


def read(made, name):
    for part in name.split("."):
        made = getattr(made, part)
    return made


@pytest.mark.parametrize(("name", "value", "right"), WRONG)
def test_a_wrong_value_is_refused_at_birth_and_on_assignment(name, value, right):
    """B39: with the setting's name and what would be right; an assignment that is refused changes nothing."""
    with pytest.raises(ConfigError, match=name) as born:
        MemorySettings(**nested(name, value))
    made = MemorySettings()
    before = read(made, name)
    with pytest.raises(ConfigError, match=name.rpartition(".")[2]) as assigned:
        assign(made, name, value)
    assert read(made, name) == before
    for caught in (born, assigned):
        assert right in str(caught.value)
        assert caught.value.__cause__ is None
        assert "pydantic" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "close"),
    [
        ("memory.max_pendng", "max_pending"),
        ("memory.writemode", "write_mode"),
        ("neo4j.user_name", "username"),
        ("data_dirs", "data_dir"),
        ("max_pending", "memory.max_pending"),
    ],
)
def test_an_unknown_name_is_refused_with_the_closest_one(name, close):
    """B39: at birth and on assignment; a typo does not stand there unread."""
    with pytest.raises(ConfigError, match=f"no setting .*{close}"):
        MemorySettings(**nested(name, 1))
    with pytest.raises(ConfigError, match=f"no setting .*{close}"):
        assign(MemorySettings(), name, 1)


def test_a_writers_keywords_are_validated_alike():
    """B39: a BufferedWriter by itself takes the same settings under the same names."""
    with pytest.raises(ConfigError, match="did you mean 'max_pending'"):
        BufferedWriter(FakeGraphStore(), max_pendng=3)
    with pytest.raises(ConfigError, match="write_mode"):
        BufferedWriter(FakeGraphStore(), write_mode="fast")
    assert WriteOptions.__optional_keys__ == WriteSection.model_fields.keys()
    plain = {name: hint for name, hint in get_type_hints(WriteSection).items() if name in WriteSection.model_fields}
    assert get_type_hints(WriteOptions) == plain


def test_the_environment_sets_what_code_does_not(monkeypatch):
    """B39: one variable for each setting; code wins."""
    monkeypatch.setenv("PERDURE_MEMORY__WRITE_MODE", "buffered")
    monkeypatch.setenv("PERDURE_MEMORY__MAX_PENDING", "17")
    monkeypatch.setenv("PERDURE_NEO4J__PASSWORD", "secret")
    monkeypatch.setenv("PERDURE_STORE", "memory://")
    made = MemorySettings(memory={"max_pending": 18})
    assert (made.memory.write_mode, made.memory.max_pending, made.store) == ("buffered", 18, "memory://")
    assert made.neo4j.password.get_secret_value() == "secret"


def test_a_section_may_come_from_one_variable_as_json(monkeypatch):
    """B39: as pydantic-settings has it."""
    monkeypatch.setenv("PERDURE_MEMORY", '{"write_mode": "deferred", "lanes": 3}')
    assert (MemorySettings().memory.write_mode, MemorySettings().memory.lanes) == ("deferred", 3)


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("PERDURE_MEMORY__WRITE_MODE", "bufered", "write_mode.*buffered"),
        ("PERDURE_MEMORY__MAX_PENDNG", "3", "PERDURE_MEMORY__MAX_PENDNG.*Did you mean PERDURE_MEMORY__MAX_PENDING"),
        ("PERDURE_LIMITS__STORE_CONCURRENCY", "abc", r"^limits\.store_concurrency = 'abc'"),
        ("PERDURE_COLOUR", "red", "PERDURE_COLOUR, which nothing reads"),
        ("perdure_memori__lanes", "3", "which nothing reads"),
        ("PERDURE_MEMORY", "{not json", "memory"),
        ("PERDURE_MEMORY", '{"lane": 3}', "lanes"),
    ],
)
def test_a_wrong_variable_is_refused(monkeypatch, variable, value, says):
    """B39: a variable under our prefix is right, or an error."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError, match=says):
        MemorySettings()


@pytest.mark.parametrize("variable", ["PERDURE_TEST_NEO4J_URI", "PERDURE_BENCH_WRITES", "OTHER_PERDURE_X"])
def test_variables_of_tests_and_of_others_are_left_alone(monkeypatch, variable):
    """B39: control: only names under our prefix are ours."""
    monkeypatch.setenv(variable, "1")
    assert MemorySettings().memory.write_mode == "sync"


@pytest.mark.parametrize(
    "keywords",
    [
        {"neo4j": {"uri": "neo4j://me:hunter2@host:7687"}},
        {"store": "bolt://me:hunter2@host"},
        {"neo4j": {"password": ["hunter2"]}},
        {"neo4j": {"password": "hunter2", "usrname": "me"}},
        {"neo4j": "neo4j://me:hunter2@host:7687"},
        {"openai": "hunter2"},
        {"store": "neo4j://host", "neo4j": {"uri": "bolt://host", "password": "hunter2"}},
    ],
)
def test_no_message_shows_a_password(keywords):
    """B34: nor is a password part of an address."""
    with pytest.raises(ConfigError) as caught:
        MemorySettings(**keywords)
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(caught.value)


def test_settings_do_not_show_the_password():
    """B34: in their repr and text."""
    made = MemorySettings(neo4j={"uri": "neo4j://host", "password": "hunter2"})
    assert "hunter2" not in f"{made!r} {made}"
    made.neo4j.password = "hunter3"
    assert "hunter3" not in f"{made!r} {made}"
    assert made.neo4j.password.get_secret_value() == "hunter3"


def test_two_stores_are_a_contradiction():
    """B39: whichever is given first, and on assignment too."""
    with pytest.raises(ConfigError, match=r"contradicts neo4j\.uri"):
        MemorySettings(store="memory://", neo4j={"uri": "neo4j://host"})
    made = MemorySettings(neo4j={"uri": "neo4j://host"})
    with pytest.raises(ConfigError, match=r"contradicts neo4j\.uri"):
        made.store = "memory://"
    assert made.store is None
    assert MemorySettings(store="neo4j://host", neo4j={"uri": "neo4j://host"}).store == "neo4j://host"


@pytest.mark.parametrize("store", ["memory://", "some/directory", "neo4j+s://host", FakeGraphStore()])
def test_a_store_is_an_address_a_directory_or_an_object(store):
    """B39: the object is taken as it is."""
    assert MemorySettings(store=store).store is store


def test_an_object_that_is_no_store_is_refused():
    """B39: when it is given, not when it is first used."""
    with pytest.raises(ConfigError, match="store"):
        MemorySettings(store=object())


@pytest.mark.parametrize("section", [MemorySettings, Neo4jSection, WriteSection, LimitsSection, OpenAISection])
def test_every_setting_has_a_docstring(section):
    """B39: what it means stands below it, for editors and for the reference."""
    source = ast.parse(inspect.getsource(section)).body[0]
    explained = {
        field.target.id
        for field, below in zip(source.body, source.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
    }
    of_sections = {name for name, info in section.model_fields.items() if is_section(info.annotation)}
    assert section.model_fields.keys() - of_sections == explained


def is_section(annotation):
    return isinstance(annotation, type) and issubclass(annotation, Explained)


def test_every_setting_is_read_by_some_code():
    """B39: outside of the module that declares it."""
    leaves = {name.rpartition(".")[2] for name in NAMES}
    for path in SOURCES.rglob("*.py"):
        text = path.read_text()
        if path.name != "settings.py" and any(f".{leaf}" in text for leaf in leaves):
            leaves -= attributes_read(text)
    assert leaves == set()


def attributes_read(text):
    return {node.attr for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Attribute)}


def test_a_file_of_variables_is_not_read(tmp_path, monkeypatch):
    """What a program does should not depend on what lies in the directory it is started in."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("PERDURE_DATA_DIR=elsewhere\nPERDURE_MEMORY__LANES=many\n")
    assert MemorySettings().data_dir == Path(".perdure")
