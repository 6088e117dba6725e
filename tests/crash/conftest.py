"""Crash tests: what was found in all rounds together, and what could not be tested here."""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import pytest
from rounds import Verdict

from tests.integration.breakable import Graph, looking_at

# A driver that is cancelled while it connects leaves the socket to the garbage collector, which says so.
DRIVERS_SOCKET = "ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning"
HERE = Path(__file__).parent
VERDICTS = pytest.StashKey[dict[str, Verdict]]()
CONTROL = "control"
COUNTS = pytest.StashKey[dict[str, Counter[str]]]()
NOTES = pytest.StashKey[list[str]]()


def pytest_configure(config):
    config.stash[VERDICTS] = defaultdict(Verdict)
    config.stash[COUNTS] = defaultdict(Counter)
    config.stash[NOTES] = []


@pytest.fixture
def tally(pytestconfig) -> Callable[[str, Verdict], Verdict]:
    """Add a verdict to those that are summed up at the end, under a heading."""

    def add(heading: str, verdict: Verdict) -> Verdict:
        pytestconfig.stash[VERDICTS][heading] += verdict
        return verdict

    return add


@pytest.fixture
def counts(pytestconfig) -> dict[str, Counter[str]]:
    """What is counted over all rounds, under a heading."""
    return pytestconfig.stash[COUNTS]


@pytest.fixture
def note(pytestconfig) -> Callable[[str], None]:
    """Have a line printed at the end."""
    return pytestconfig.stash[NOTES].append


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


def pytest_terminal_summary(terminalreporter, config):
    """Say what was found, and what was left out."""
    verdicts, notes = config.stash[VERDICTS], config.stash[NOTES]
    if verdicts or notes:
        terminalreporter.section("crash tests", sep="-")
    for heading, counter in config.stash[COUNTS].items():
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
