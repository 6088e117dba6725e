"""Every promise about buffered writes has a test that cites it."""

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PROMISES = range(1, 40)
CITATION = re.compile(r"(B\d+(?:, B\d+)*): \S")


def citations() -> dict[int, list[str]]:
    """Return the names of the tests that cite each promise at the beginning of their docstring."""
    found = defaultdict(list)
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                match = CITATION.match(ast.get_docstring(node) or "")
                for promise in re.findall(r"\d+", match[1]) if match else ():
                    found[int(promise)].append(node.name)
    return found


CITED = citations()


@pytest.mark.parametrize("promise", PROMISES, ids="B{}".format)
def test_every_promise_is_tested(promise: int) -> None:
    """A promise without a test is a wish."""
    assert CITED.get(promise)


def test_no_test_cites_a_promise_that_was_never_made() -> None:
    """B40 and B41 are about typed writes."""
    assert set(CITED) <= {*PROMISES, 40, 41}
