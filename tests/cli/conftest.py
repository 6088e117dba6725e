"""The real program in a process of its own, on journals that real clients left."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from perdure.cli.app import run

AGENT = """
import asyncio, os, signal, sys
from perdure import MemoryClient, MemorySettings
from perdure.journal.sqlite.inspection import journals, look
from perdure.testing import wait_until

NOTE = "CREATE (:Note {id: $n, n: $n, text: $text})"
REFUSED = NOTE + " WITH 1 AS one MATCH (b:Broken) SET b.x = substring(1, 2, 3, 4, 5)"

async def main(failing, committed, pending, doomed, kill):
    settings = MemorySettings()
    for name, value in {"write_mode": "buffered", "linger_seconds": 10, "max_batch": 10_000}.items():
        setattr(settings.memory, name, value)
    settings.memory.max_pending = 100_000
    client = await MemoryClient(settings).connect()
    submit = client.buffered.submit
    await (await submit("MERGE (:Broken {id: 1})"))
    for n in range(failing):
        await submit(REFUSED, {"n": -1 - n, "text": "secret"}, key=f"user-{n}")
    for n in range(committed):
        await submit(NOTE, {"n": n, "text": "secret"})
    await client.flush()
    root = settings.data_dir / "journal"
    await wait_until(lambda: not any(look(path).contents.pending for path in journals(root)))
    for n in range(committed, committed + pending):
        await submit(NOTE, {"n": n, "text": "secret"}, key=f"user-{n % 3}" if n % 2 else None)
    for n in range(doomed):
        await submit(REFUSED, {"n": -101 - n, "text": "secret"})
    print("accepted", flush=True)
    if kill:
        os.kill(os.getpid(), signal.SIGKILL)
    await asyncio.to_thread(sys.stdin.read)
    await client.close(0)

asyncio.run(main(*map(int, sys.argv[1:])))
"""
"""An agent some of whose writes fail, some are committed, some wait, and some wait and will fail; then it is killed."""


class Said(NamedTuple):
    """What the program said."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The JSON document it printed."""
        return json.loads(self.out)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch):
    """Take the settings of whoever runs the tests out of the environment, and what decides on colours."""
    for name in list(os.environ):
        if name.upper().startswith("PERDURE_") or name in ("FORCE_COLOR", "NO_COLOR", "COLUMNS", "TTY_COMPATIBLE"):
            monkeypatch.delenv(name)


@pytest.fixture
def data_dir(tmp_path, monkeypatch) -> Path:
    """Where the agent and the program find each other: both read it from the environment."""
    path = tmp_path / "data"
    monkeypatch.setenv("PERDURE_DATA_DIR", str(path))
    return path


@pytest.fixture
def main_journal(data_dir) -> Path:
    """The directory of the journal."""
    return data_dir / "journal" / "main"


def checked(said: Said, code: int) -> Said:
    """Return what was said, if it ended as it should."""
    assert said.code == code, said
    assert "Traceback" not in said.err, said
    return said


@pytest.fixture
def perdure(data_dir) -> Callable[..., Said]:
    """Run the program in a process of its own: `perdure("status", "--json")`; it should end with `code`."""

    def run_it(*arguments: str, code: int = 0) -> Said:
        command = [sys.executable, "-m", "perdure.cli", *arguments]
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=90, stdin=subprocess.DEVNULL
        )
        return checked(Said(done.returncode, done.stdout, done.stderr), code)

    return run_it


@pytest.fixture
def look(data_dir, capsys) -> Callable[..., Said]:
    """Do the same in this process, which is much faster: for all that does not depend on whose process it is."""

    def run_it(*arguments: str, code: int = 0) -> Said:
        capsys.readouterr()
        with ThreadPoolExecutor(1) as elsewhere:  # the program runs an event loop, as the test may
            ended = elsewhere.submit(run, arguments).result()
        return checked(Said(ended, *capsys.readouterr()), code)

    return run_it


def agent(failing: int, committed: int, pending: int, doomed: int, *, kill: bool) -> list[str]:
    """Return the command that starts an agent."""
    return [sys.executable, "-c", AGENT, *map(str, (failing, committed, pending, doomed, int(kill)))]


@pytest.fixture(scope="session")
def left_by_agents(tmp_path_factory) -> Callable[[list[str]], Path]:
    """Have an agent killed, once for each that is asked for, and return what it left."""
    made: dict[tuple[Any, ...], Path] = {}

    def leave(command: list[str]) -> Path:
        settings = sorted(each for each in os.environ.items() if each[0].startswith("PERDURE_MEMORY_"))
        key = (*command, *settings)
        if key not in made:
            data_dir = tmp_path_factory.mktemp("agent") / "data"
            die(command, data_dir)
            made[key] = data_dir
        return made[key]

    return leave


def die(command: list[str], data_dir: Path) -> None:
    """Run an agent until it is killed."""
    environment = os.environ | {"PERDURE_DATA_DIR": str(data_dir)}
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=90, env=environment)
    assert done.stdout == "accepted\n", done.stderr


@pytest.fixture
def killed_agent(data_dir, left_by_agents) -> Callable[..., None]:
    """Have an agent leave a journal: `killed_agent(failing=2, committed=3, pending=100)`."""

    def leave(failing: int = 0, committed: int = 0, pending: int = 0, doomed: int = 0) -> None:
        command = agent(failing, committed, pending, doomed, kill=True)
        if data_dir.exists():
            die(command, data_dir)
        else:
            shutil.copytree(left_by_agents(command), data_dir)

    return leave


@pytest.fixture
def living_agent(data_dir):
    """Have an agent hold the journal for as long as a block lasts, and yield its pid."""

    @contextmanager
    def hold(failing: int = 0, committed: int = 0, pending: int = 0) -> Iterator[int]:
        command = agent(failing, committed, pending, 0, kill=False)
        pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=nowhere, text=True) as process:
            assert process.stdout.readline() == "accepted\n"
            try:
                yield process.pid
            finally:
                process.kill()

    return hold
