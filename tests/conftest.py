"""What every test stands on: one event loop library, a Neo4j where there is one, and nothing left behind."""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from blockbuster import blockbuster_ctx
from hypothesis import settings

HOW_TO_ENABLE = (
    "Start Docker, or install Maven and Java 17 or newer, or set PERDURE_TEST_NEO4J_URI (and …_USERNAME, …_PASSWORD) "
    "to a running server; `pip install 'perdure[neo4j]'` for the driver."
)
SERVER = pytest.StashKey[str]()
SECONDS_WITH_A_SERVER = 300
WITH_ITS_OWN = {  # files whose tests stop and kill a server, or count on all that is in it
    "tests/conformance/test_typed_schema.py",
    "tests/integration/test_connecting.py",
    "tests/integration/test_outages.py",
    "tests/integration/test_round_trips.py",
}
WITH_THE_SERVER = {  # files with tests on the shared one whose ids do not name it
    "tests/cli/test_cli_server.py",
    "tests/conformance/test_composition.py",
    "tests/conformance/test_differences.py",
    "tests/conformance/test_gone.py",
    "tests/conformance/test_marks.py",
    "tests/conformance/test_typed_plans.py",
    "tests/conformance/test_typed_strangers.py",
    "tests/conformance/test_writing.py",
    "tests/crash/test_zombie.py",
    "tests/integration/test_demo.py",
    "tests/integration/test_endings.py",
    "tests/integration/test_exactly_once.py",
    "tests/integration/test_lanes.py",
}

settings.register_profile("perdure", deadline=None, print_blob=True)
settings.register_profile("quick", settings.get_profile("perdure"), max_examples=15)
settings.load_profile("perdure")


@pytest.fixture(scope="session")
def anyio_backend():
    """Async tests and fixtures run on asyncio."""
    return "asyncio"


# -- nothing left behind


@pytest.fixture(autouse=True)
def _nothing_is_left(request):
    """Look for tasks that outlive an async test, after its other fixtures are torn down."""
    if "anyio_backend" in request.fixturenames:
        request.getfixturevalue("_no_task_is_left")


@pytest.fixture
async def _no_task_is_left() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    left = [task for task in asyncio.all_tasks() - before if not of_the_runner(task)]
    assert not left, f"tasks outlived the test: {', '.join(sorted(map(repr, left)))}"


def of_the_runner(task):
    """Return whether a task is anyio's own, which runs the tests and fixtures."""
    return task.get_coro().__qualname__.startswith("TestRunner.")


@contextmanager
def blocking_calls_raise() -> Iterator[None]:
    """Raise BlockingError where perdure makes a blocking call on the event loop's thread.

    Two are meant: the journal's write of one entry, which waits for no disk (see decision 0008), and the end of its
    thread when the event loop itself is ending. A time zone is read from its file the first time it is met. What was
    not closed is removed where the garbage collector finds it, which may be anywhere.
    """
    ZoneInfo("UTC")
    with blockbuster_ctx("perdure") as blockers:
        blockers.functions["sqlite3.Connection.execute"].can_block_in("journal/sqlite/scribe.py", "_write_at_once")
        blockers.functions["threading.Lock.acquire"].can_block_in("journal/sqlite/scribe.py", "stop")
        for each in blockers.functions.values():
            each.can_block_in("runtime/temporary.py", "_remove")
        yield


@pytest.fixture
def nothing_blocks() -> Iterator[None]:
    """Watch one test."""
    with blocking_calls_raise():
        yield


@pytest.fixture(scope="module")
def nothing_blocks_in_this_file() -> Iterator[None]:
    """Watch the tests of a file: to begin and to end takes longer than most of them."""
    with blocking_calls_raise():
        yield


# -- a real Neo4j


@pytest.fixture(scope="session")
def neo4j_server(pytestconfig, tmp_path_factory):
    """A running Neo4j, the same for all workers of a run; without one the test is skipped, or fails under CI=true."""
    try:
        from shared_server import ServerUnavailable, Share  # noqa: PLC0415  needs the optional driver
    except ModuleNotFoundError as error:
        no_server(f"{error.name} is not installed")
    of_this_process = tmp_path_factory.getbasetemp()
    try:
        share = Share(of_this_process.parent if hasattr(pytestconfig, "workerinput") else of_this_process)
    except ServerUnavailable as error:
        no_server(str(error))
    pytestconfig.add_cleanup(share.leave)  # not within a test's time: the others may need long
    pytestconfig.stash[SERVER] = f"Neo4j {share.server.version} ({share.server.source})"
    return share.server


@pytest.fixture(scope="session")
def own_server() -> Iterator[Any]:
    """A server that asks for a password, for one test at a time: to stop, to kill, to look at all that is in it."""
    try:
        from neo4j_server import ServerUnavailable, start_server  # noqa: PLC0415  needs the optional driver
    except ModuleNotFoundError as error:
        no_server(f"{error.name} is not installed")
    try:
        server = start_server(auth_enabled=True, heap_mb=512)
    except ServerUnavailable as error:
        no_server(f"none of the tests' own: {error}")
    with server:
        yield server


@pytest.fixture(autouse=True)
def _texts_are_composed_at_once(request, monkeypatch):
    """Compose a text from its second coming on: what needs twenty in earnest would make every test long."""
    if "neo4j_server" in request.fixturenames:
        from perdure.stores.neo4j import compose  # noqa: PLC0415  needs the optional driver

        monkeypatch.setattr(compose, "OFTEN", 2)


def no_server(reason):
    """Skip the test on a laptop; fail it where a server was promised."""
    (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"no Neo4j: {reason}")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark what asks for a server, so that `-m "not neo4j"` leaves it out.

    The first of them waits for its start, and the first to write for the schema.
    """
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if "own_server" in fixtures and scope_of(item.nodeid) != "own server":
            raise pytest.UsageError(f"{item.nodeid} asks for a server of its own: add its file to WITH_ITS_OWN.")
        if "neo4j_server" in fixtures and scope_of(item.nodeid) == item.nodeid:
            raise pytest.UsageError(f"{item.nodeid} asks for the server: add its file to WITH_THE_SERVER.")
        if {"neo4j_server", "own_server"} & set(fixtures):
            item.add_marker(pytest.mark.neo4j)
        if item.get_closest_marker("neo4j") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SECONDS_WITH_A_SERVER))


def scope_of(nodeid):
    """Return what a test has to itself while it runs: a server, or nothing that others could want.

    On one server clients see each other: whichever comes first indexes what is not indexed, whosever it is.
    """
    file = nodeid.partition("::")[0]
    if file in WITH_ITS_OWN:
        return "own server"
    return "the server" if file in WITH_THE_SERVER or "neo4j" in nodeid.lower() else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Give workers one test at a time, but the tests of one server to one of them.

    `--dist worksteal` takes xdist's own: many short tests at a time, for a run without a server.
    """
    if config.getoption("dist") == "worksteal":
        return None
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415  only where there are workers

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return scope_of(nodeid)

    return Scheduling(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item):
    """Note on a test's report which server it ran against."""
    if item.get_closest_marker("neo4j") and SERVER in item.config.stash:
        item.user_properties.append(("server", item.config.stash[SERVER]))


def pytest_terminal_summary(terminalreporter):
    """Say how much of the run was proved on a real Neo4j."""
    stats = terminalreporter.stats
    ended = [report for outcome in ("passed", "failed") for report in stats.get(outcome, ())]
    servers = Counter(dict(report.user_properties).get("server") for report in ended if report.when == "call")
    skipped = [report for report in stats.get("skipped", ()) if "neo4j" in report.keywords]
    for server in filter(None, servers):
        terminalreporter.write_line(f"{servers[server]} tests ran against {server}.", green=True)
    if skipped:
        terminalreporter.section("NOT TESTED AGAINST NEO4J", sep="!", yellow=True, bold=True)
        terminalreporter.write_line(f"{len(skipped)} tests were skipped. {HOW_TO_ENABLE}", yellow=True)
