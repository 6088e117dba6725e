"""Crash tests: what was found in all rounds together, and what could not be tested here."""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from rounds import Verdict

from tests.integration.breakable import Graph, looking_at

# A driver that is cancelled while it connects leaves the socket to the garbage collector, which says so.
DRIVERS_SOCKET = "ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning"
HERE = Path(__file__).parent
CONTROL = "control"


@pytest.fixture
def tally(request) -> Callable[[str, Verdict], Verdict]:
    """Add a verdict to those that are summed up at the end, under a heading."""

    def add(heading: str, verdict: Verdict) -> Verdict:
        tell(request, VERDICT, [heading, asdict(verdict)])
        return verdict

    return add


@pytest.fixture
def count(request) -> Callable[..., None]:
    """Add to what is counted over all rounds, under a heading: `count("flipped bits", refused=1)`."""
    return lambda heading, **counts: tell(request, COUNTS, [heading, counts])


@pytest.fixture
def note(request) -> Callable[[str], None]:
    """Have a line printed at the end."""
    return lambda line: tell(request, NOTE, line)


VERDICT, COUNTS, NOTE = "crash verdict", "crash counts", "crash note"


def tell(request, what, value):
    """Put something onto the test's report, which comes to the summary from whichever process ran the test."""
    request.node.user_properties.append((what, value))


def told(terminalreporter, what) -> Iterator[Any]:
    """Return what all tests have told."""
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        if report.when == "call":
            yield from (value for name, value in report.user_properties if name == what)


@pytest.fixture
async def graph(neo4j_server, tmp_path) -> AsyncIterator[Graph]:
    """A corner of the tests' server, and of `tmp_path` the journals, whose marks are removed afterwards."""
    async with looking_at(neo4j_server) as mine:
        yield mine
        for path in tmp_path.rglob("journal.db"):
            await mine.run("MATCH (k:_JournalMark) WHERE k.id STARTS WITH $of DELETE k", of=identity(path))


def pytest_collection_modifyitems(items):
    """Excuse the driver, as the integration tests do."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.filterwarnings(DRIVERS_SOCKET))


def identity(path):
    """Return the name that the marks of a journal begin with."""
    with closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT value FROM about WHERE name = 'identity'").fetchone()[0]


def pytest_terminal_summary(terminalreporter):
    """Say what was found, and what was left out."""
    verdicts, counts = defaultdict(Verdict), defaultdict(Counter)
    for heading, fields in told(terminalreporter, VERDICT):
        verdicts[heading] += Verdict(**fields)
    for heading, numbers in told(terminalreporter, COUNTS):
        counts[heading].update(numbers)
    notes = list(told(terminalreporter, NOTE))
    if verdicts or notes:
        terminalreporter.section("crash tests", sep="-")
    for heading, counter in counts.items():
        terminalreporter.write_line(f"{heading}: {', '.join(f'{count} {what}' for what, count in counter.items())}")
    for line in notes:
        terminalreporter.write_line(line)
    for heading, verdict in sorted(verdicts.items()):
        terminalreporter.write_line(f"{heading}: {verdict}")
    protected = sum((verdict for heading, verdict in verdicts.items() if not heading.startswith(CONTROL)), Verdict())
    if protected.rounds:
        terminalreporter.write_line(f"all but the controls: {protected}", green=protected.faultless, bold=True)
    skipped = [report for report in terminalreporter.stats.get("skipped", ()) if is_ours(report)]
    if skipped:
        terminalreporter.section("CRASHES NOT TESTED", sep="!", yellow=True, bold=True)
    for report in skipped:
        terminalreporter.write_line(f"{report.nodeid}: {report.longrepr[-1]}", yellow=True)


def is_ours(report):
    """Return whether a report is of a test here, and not one that tests/conftest.py speaks of."""
    return report.nodeid.startswith("tests/crash/") and "neo4j" not in report.keywords
