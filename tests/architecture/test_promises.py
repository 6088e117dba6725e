"""Every promise about buffered writes and the journal has a test that cites it."""

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PROMISES = [f"B{number}" for number in range(1, 40)] + [f"J{number}" for number in range(1, 15)]
CITATION = re.compile(r"([BJ]\d+(?:, [BJ]\d+)*): \S")


def citations() -> dict[str, list[str]]:
    """Return the names of the tests that cite each promise at the beginning of their docstring."""
    found = defaultdict(list)
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                match = CITATION.match(ast.get_docstring(node) or "")
                for promise in match[1].split(", ") if match else ():
                    found[promise].append(node.name)
    return found


CITED = citations()


@pytest.mark.parametrize("promise", PROMISES)
def test_every_promise_is_tested(promise: str) -> None:
    """A promise without a test is a wish."""
    assert CITED.get(promise)


def test_no_test_cites_a_promise_that_was_never_made() -> None:
    """B40 and B41 are about typed writes."""
    assert set(CITED) <= {*PROMISES, "B40", "B41"}
