"""How the source hangs together: no cycles, nothing too large, and an import that costs nothing."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import perdure

PACKAGE = Path(perdure.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
MOST_LINES_IN_A_FILE = 400
MOST_LINES_IN_A_FUNCTION = 50
LONG_FILES: set[str] = set()
LONG_FUNCTIONS: set[str] = set()
HEAVY = tuple("anyio kglite neo4j numpy onnxruntime openai pydantic pydantic_settings tokenizers".split())


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules() -> dict[str, ast.Module]:
    return {name_of(path): ast.parse(path.read_text()) for path in FILES}


def is_for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


def below(node: ast.AST, *, for_type_checkers: bool = True) -> Iterator[ast.AST]:
    """Yield every statement below a node, inside of functions too. An expression has none, and is not looked into."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.expr) and (for_type_checkers or not is_for_type_checkers(child)):
            yield child
            yield from below(child, for_type_checkers=for_type_checkers)


def imports(module: ast.Module, *, for_type_checkers: bool) -> Iterator[str]:
    for node in below(module, for_type_checkers=for_type_checkers):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports inside of perdure are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def module_of(name: str) -> str | None:
    """Return the module of ours that an import loads: the longest dotted name that is one."""
    while name and name not in modules():
        name = name.rpartition(".")[0]
    return name or None


@cache
def graph() -> dict[str, set[str]]:
    """Return which modules each one imports; the package itself loads late what it declares to type checkers."""
    return {
        name: {module_of(found) for found in imports(tree, for_type_checkers=name == "perdure")} - {None, name}
        for name, tree in modules().items()
    }


def test_no_import_goes_in_a_circle() -> None:
    """Late imports count: they hide a circle, and do not remove it."""
    try:
        TopologicalSorter(graph()).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_the_walk_sees_late_imports_and_the_packages_names() -> None:
    """Control: a graph without edges has no circles either."""
    edges = graph()
    assert "perdure.stores.embedded" in edges["perdure.wiring"]
    assert "perdure.client" in edges["perdure"]
    assert len(edges) == len(FILES) > 20


def test_files_stay_small() -> None:
    """At most 400 lines; the list of exceptions may only shrink."""
    long = {name_of(path) for path in FILES if len(path.read_text().splitlines()) > MOST_LINES_IN_A_FILE}
    assert long == LONG_FILES


def test_functions_stay_small() -> None:
    """At most 50 lines, docstring included; the list of exceptions may only shrink."""
    functions = {
        f"{name}:{node.name}": node.end_lineno - node.lineno + 1
        for name, tree in modules().items()
        for node in below(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name for name, lines in functions.items() if lines > MOST_LINES_IN_A_FUNCTION} == LONG_FUNCTIONS
    assert len(functions) > 100


def loaded_by(statement: str) -> set[str]:
    """Return which heavy packages a fresh interpreter has loaded after a statement."""
    program = f"import sys\n{statement}\nprint(*(name for name in {HEAVY!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import perdure",
        "from perdure import InputError, WriteFailed",
        "from perdure import FlushSummary",
        "from perdure.testing import FakeGraphStore, FakeLanguageModel, wait_until",
    ],
)
def test_importing_perdure_loads_nothing_heavy(statement: str) -> None:
    """A command line that only prints its help should be quick."""
    assert loaded_by(statement) == set()


def test_using_a_name_loads_what_it_needs() -> None:
    """Control: the interpreter would have told."""
    loaded = loaded_by("from perdure import MemorySettings")
    assert "pydantic" in loaded
    assert not loaded & {"kglite", "neo4j"}


IMPORTING = """
import asyncio, sys, threading
from perdure import MemoryClient, MemorySettings
MemoryClient  # what it stands on is loaded by now
settings = MemorySettings(data_dir=sys.argv[1], llm="openai:m", openai={"api_key": "k"})
seen = []
def look(event, arguments):
    if event == "import":
        seen.append((arguments[0], threading.current_thread() is threading.main_thread()))
async def main():
    sys.addaudithook(look)
    async with MemoryClient(settings):
        pass
asyncio.run(main())
print(*(name for name, on_the_loop in seen if on_the_loop))
print(*(name for name, on_the_loop in seen if not on_the_loop))
"""


def test_connecting_imports_nothing_on_the_event_loop(tmp_path: Path) -> None:
    """It would stand still for 40 ms, with OpenAI's client for 600, and may serve others."""
    command = [sys.executable, "-c", IMPORTING, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    on_the_loop, beside = (line.split() for line in done.stdout.splitlines())
    assert on_the_loop == []
    assert {"kglite", "numpy", "openai", "perdure.journal.sqlite.scribe", "tokenizers"} <= set(beside)
