"""Lines to a server that break, a server of OpenAI's API, and programs that run in a Python of their own."""

import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from breakable import Graph, Network, looking_at, network_to
from chat_api import ChatAPI
from doors import DOORS, PATIENCE, Rig, at, settings

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
    """Excuse the driver."""
    for item in items:
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


@pytest.fixture
def rig(door: Any, api: ChatAPI) -> Rig:
    """A client of either kind, and the memory that it was lent."""
    return Rig(door, api, settings())
