"""Servers of these tests' own, and programs that run in a Python of their own."""

import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from breakable import Graph, Network, looking_at, network_to
from chat_api import ChatAPI
from doors import DOORS, PATIENCE, at

from perdure.openai import blocking, remembering

HERE = Path(__file__).parent


@pytest.fixture
async def graph(neo4j_server) -> AsyncIterator[Graph]:
    """A corner of the tests' server."""
    async with looking_at(neo4j_server) as mine:
        yield mine


@pytest.fixture
async def network(neo4j_server) -> AsyncIterator[Network]:
    """A breakable line to the tests' server."""
    async with network_to(neo4j_server) as line:
        yield line


def started(**options: Any) -> Iterator[Any]:
    """Start a server that a test may stop and kill; without the means, skip the test, or fail it under CI=true."""
    refuse = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
    try:
        from neo4j_server import ServerUnavailable, start_server  # noqa: PLC0415  needs the optional driver
    except ModuleNotFoundError as error:
        refuse(f"no Neo4j: {error.name} is not installed")
    try:
        server = start_server(heap_mb=512, **options)
    except ServerUnavailable as error:
        refuse(f"no Neo4j of one's own: {error}")
    with server:
        yield server


@pytest.fixture(scope="module")
def own_server() -> Iterator[Any]:
    """A server for one module, to stop and to kill."""
    yield from started()


@pytest.fixture(scope="module")
def guarded_server() -> Iterator[Any]:
    """A server that asks for a password."""
    yield from started(auth_enabled=True)


@pytest.fixture
def closed_port() -> int:
    """A port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


@pytest.fixture
def python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a program in a Python of its own: `python(text, *arguments)`."""

    def run(program: str, *arguments: str, check: bool = True, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", program, *arguments]
        return subprocess.run(command, check=check, capture_output=True, text=True, timeout=timeout)

    return run


# A driver that is cancelled while it connects leaves the socket to the garbage collector, which says so.
DRIVERS_SOCKET = "ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a server of its own as needing Neo4j, and excuse the driver."""
    for item in items:
        if {"own_server", "guarded_server"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.neo4j)
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.filterwarnings(DRIVERS_SOCKET))


@pytest.fixture
def api() -> Iterator[ChatAPI]:
    """A server that speaks OpenAI's API."""
    with ChatAPI().running() as running:
        yield running


@pytest.fixture(params=DOORS, ids=lambda door: door.name)
def door(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The blocking chat client, and the asynchronous one, with time for their journal."""
    for module in (blocking, remembering):
        monkeypatch.setattr(module, "SECONDS_FOR_ACCEPTING", PATIENCE)
    with at(request.param()) as one:
        yield one
