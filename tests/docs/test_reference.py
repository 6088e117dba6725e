"""The reference pages are complete: every setting, error, command and field has its place, and every link leads on."""

import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import get_args
from urllib.parse import unquote

import pytest
from pages import ROOT, name_of, pages, prose
from pydantic import BaseModel

import perdure
from perdure import errors
from perdure.cli.app import program
from perdure.openai import TurnMemory
from perdure.openai.turns import Kept, Status
from perdure.settings import MemorySettings, setting_names

SETTINGS = ROOT / "docs" / "reference" / "settings.md"
ERRORS = ROOT / "docs" / "reference" / "errors.md"
COMMANDS = ROOT / "docs" / "reference" / "cli.md"
WRITES = ROOT / "docs" / "reference" / "writes.md"
MEMORY = ROOT / "docs" / "reference" / "memory.md"
CHAT = ROOT / "docs" / "reference" / "chat-client.md"
ONLY_IN_CODE = {"memory.on_error", "memory.on_record"}
"""A function cannot stand in an environment variable."""

_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(?P<text>.+?) *$", re.MULTILINE)
_CODE = re.compile(r"`([^`]*)`")


def rows(page):
    """Return a page's table rows by the code in their first cell: the code in each cell."""
    table = [
        line.strip("| ").split(" | ")
        for line in page.read_text(encoding="utf-8").splitlines()
        if line.startswith("| `")
    ]
    return {_CODE.findall(cells[0])[0]: [_CODE.findall(cell) for cell in cells] for cells in table}


def sections(page):
    """Return a page's text below each heading, by the heading without its backquotes."""
    text = page.read_text(encoding="utf-8")
    parts = re.split(r"^#+ +(.+?) *$", text, flags=re.MULTILINE)
    return {heading.replace("`", ""): below for heading, below in zip(parts[1::2], parts[2::2], strict=True)}


def default_of(name):
    settings: BaseModel | object = MemorySettings.model_construct()
    for part in name.split("."):
        settings = getattr(settings, part)
    return settings


@pytest.mark.parametrize("name", list(setting_names(MemorySettings)))
def test_a_setting_stands_in_the_reference_with_its_variable_and_default(name):
    row = rows(SETTINGS).get(name)
    assert row is not None, f"{name} is missing in {name_of(SETTINGS)}"
    variable = [] if name in ONLY_IN_CODE else ["PERDURE_" + name.replace(".", "__").upper()]
    assert row[1] == variable
    assert row[2][0] == str(default_of(name))


def test_the_reference_has_no_setting_that_does_not_exist():
    assert set(rows(SETTINGS)) == set(setting_names(MemorySettings))


@pytest.mark.parametrize(
    "error",
    [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.PerdureError)],
)
def test_an_error_stands_in_the_reference_with_its_code(error):
    row = rows(ERRORS).get(error.__name__)
    assert row is not None, f"{error.__name__} is missing in {name_of(ERRORS)}"
    assert row[1] == [error.code]
    assert row[2] == (["True"] if error.retryable else ["False"])


def test_the_warning_stands_in_the_reference():
    assert "`DurabilityWarning`" in ERRORS.read_text(encoding="utf-8")


def commands(group=None, name="perdure"):
    """Yield every command of the program by what is typed, with the names of its own options."""
    group = group or program()
    for word, known in group.commands.items():
        command = known.loaded() if hasattr(known, "loaded") else known
        if hasattr(command, "commands"):
            yield from commands(command, f"{name} {word}")
        else:
            yield f"{name} {word}", [each for option in command.params for each in option.opts if each[0] == "-"]


@pytest.mark.parametrize(
    ("command", "options"), list(commands()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_command_stands_in_the_reference_with_its_options_and_an_example(command, options):
    """J11: what the program can do can be looked up."""
    found = sections(COMMANDS)
    assert command in found, f"{command} has no heading in {name_of(COMMANDS)}"
    missing = [option for option in options if f"`{option}" not in found[command] + found["In common"]]
    assert not missing, f"{name_of(COMMANDS)} does not say what {missing} of {command} are"
    assert f"\n{command}" in found[command], f"{name_of(COMMANDS)} has no example of {command}"


def test_the_reference_has_no_command_that_does_not_exist():
    assert {heading for heading in sections(COMMANDS) if heading.startswith("perdure ")} == {
        command for command, _ in commands()
    }


@pytest.mark.parametrize("record", [kind for name in perdure.__all__ if is_dataclass(kind := getattr(perdure, name))])
def test_a_record_stands_in_the_reference_with_its_fields(record):
    below = sections(WRITES).get(record.__name__)
    assert below is not None, f"{record.__name__} is missing in {name_of(WRITES)}"
    listed = [name for line in below.splitlines() if line.startswith("|") for name in _CODE.findall(line.split("|")[1])]
    assert {name for name in listed if name.isidentifier()} == {field.name for field in fields(record)}


RESULTS = (
    "AddResult", "DeletionReport", "MemoryEvent", "MemoryHit", "MemoryPage", "MemoryRecord", "Relation", "Remembered",
    "SearchResult", "Side",
)  # fmt: skip


@pytest.mark.parametrize("name", RESULTS)
def test_what_memory_returns_stands_in_the_reference_with_its_fields(name):
    """J11: fields and properties are all there, and none that is not; a hit's are those of a memory, and more."""
    record = getattr(perdure, name)
    below = sections(MEMORY)[name]
    listed = [word for line in below.splitlines() if line.startswith("|") for word in _CODE.findall(line.split("|")[1])]
    inherited = set(perdure.MemoryRecord.model_fields) if name == "MemoryHit" else set()
    assert {word for word in listed if word.isidentifier()} == set(record.model_fields) - inherited
    own = [each for each, value in vars(record).items() if isinstance(value, property)]
    assert [each for each in own if f"`{each}` is" not in below] == []


@pytest.mark.parametrize("name", [name for name in vars(perdure.Memory) if not name.startswith("_")])
def test_what_memory_does_stands_in_the_reference(name):
    text = MEMORY.read_text(encoding="utf-8")
    assert re.search(rf"`(await )?{name}[(`]", text), f"{name} is missing in {name_of(MEMORY)}"


def test_what_the_chat_client_tells_stands_in_the_reference_with_its_fields():
    below = sections(CHAT)["TurnMemory"]
    listed = [word for line in below.splitlines() if line.startswith("|") for word in _CODE.findall(line.split("|")[1])]
    assert {word for word in listed if word.isidentifier()} == {field.name for field in fields(TurnMemory)}
    values = [value for each in (Status, Kept) for value in get_args(each)]
    assert [value for value in values if f'`"{value}"`' not in below] == []


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_every_relative_link_leads_somewhere(page):
    text = prose(page)
    for target in _LINK.findall(text) + re.findall(r'(?:src|href)="([^"]+)"', text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = unquote(target).partition("#")
        goal = (page.parent / path).resolve() if path else page
        assert goal.exists(), f"{name_of(page)} links to {target}, which is not there"
        if anchor:
            assert anchor in anchors(goal), f"{name_of(page)} links to {target}, which has no such heading"


@pytest.mark.parametrize("page", [page for page in pages() if "docs" in page.parts], ids=name_of)
def test_every_page_can_be_reached_from_the_readme(page):
    seen, ahead = set(), [ROOT / "README.md"]
    while ahead:
        here = ahead.pop()
        if here not in seen:
            seen.add(here)
            links = (
                target.partition("#")[0] for target in _LINK.findall(prose(here)) if not re.match(r"[a-z]+:", target)
            )
            ahead += [
                goal
                for goal in ((here.parent / link).resolve() for link in links)
                if goal.suffix == ".md" and goal.exists()
            ]
    assert page.resolve() in seen, f"no page leads to {name_of(page)}"


def anchors(page: Path) -> set[str]:
    """Return the names under which a page's headings can be linked to."""
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in _HEADING.findall(prose(page)))
    return {heading.replace(" ", "-") for heading in plain}
