"""Every example runs as it stands, without a server and in any directory."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from pages import ROOT

import perdure
from tests.integration import chat_api

EXAMPLES = ROOT / "examples"
CHAT = EXAMPLES / "chat.py"
"""It asks a model, and keeps what it is told."""
RUNNER = Path(__file__).with_name("run_blocks.py")
SOURCE = Path(perdure.__file__).parents[1]
SAID = {
    "agent_loop.py": "Find me a flat, please. - 2 flats in Lisbon ['known: 2', 'about Lisbon']\n",
    "buffered_writes.py": "Now 7 are committed and 1 failed.",
    "chat_service.py": "You told me: I moved to Lisbon last month.\n{'forgotten': 4} {'reachable': True, 'pending': 0,",
    "conversation.py": "Where does she live?\n  I moved to Lisbon last month.\n",
    "knowledge.py": "Now she lives in Ockham.\nIn 1836 she lives in London, until 30 June 1838.\n",
    "notes.py": "> Which guest may not eat walnuts?\nRita is allergic to nuts. (",
    "reasoning.py": "find a flat in Lisbon: done, 980 euro\n",
    "synchronous.py": "4 memories of 2 users.\nada: I moved to Lisbon last month.\nbob: I live in Porto.\n",
    "remembering.py": "- 2026-09-14, Ada: I moved to Lisbon last month.\n</recalled-memories-",
}
"""A part of what each prints."""
NEEDED = {"chat_service.py": ("fastapi", "httpx2", "uvicorn")}
"""What an example imports besides Perdure."""


def variables():
    """Return this process's environment without settings of Perdure's."""
    rest = {name: value for name, value in os.environ.items() if not name.startswith("PERDURE_")}
    return rest | {"PYTHONPATH": str(SOURCE), "PYTHONWARNINGS": "default", "PYTHONUTF8": "1"}


def need(name):
    if None in map(find_spec, NEEDED.get(name, ())):
        pytest.skip(f"{name} needs {', '.join(NEEDED[name])}")


@pytest.mark.parametrize("path", sorted({*EXAMPLES.glob("*.py")} - {CHAT}), ids=lambda path: path.name)
def test_an_example_runs_as_it_stands(path, tmp_path):
    need(path.name)
    done = subprocess.run(
        [sys.executable, path], cwd=tmp_path, env=variables(), capture_output=True, text=True, encoding="utf-8",
        check=False, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    assert SAID[path.name] in done.stdout
    assert list(tmp_path.iterdir()) == [], "it should leave nothing behind"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_an_example_can_be_read_at_once(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 80


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.[pi]*")), ids=lambda path: path.name)
def test_an_example_stands_in_their_list(path):
    assert f"\n| [{path.name}]({path.name}) | " in (EXAMPLES / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.ipynb")), ids=lambda path: path.name)
def test_a_notebook_prints_what_it_shows(path, tmp_path):
    cells = [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    asked = {"page": path.name, "blocks": [{"text": "".join(cell["source"]), "line": 1} for cell in cells]}
    done = subprocess.run(
        [sys.executable, RUNNER], input=json.dumps(asked), cwd=tmp_path, env=variables(), capture_output=True,
        text=True, encoding="utf-8", check=False, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    shown = ["".join(line for output in cell["outputs"] for line in output["text"]) for cell in cells]
    assert json.loads(done.stdout) == shown
    assert list(tmp_path.iterdir()) == [], "it should leave nothing behind"


@contextlib.contextmanager
def serving(directory):
    """Run the chat service with files in a directory; yield a client of it, then SIGTERM it and wait for its end."""
    import httpx2  # noqa: PLC0415  only where the example can run

    with socket.create_server(("127.0.0.1", 0)) as listening, contextlib.ExitStack() as stack:
        command = [sys.executable, "-m", "uvicorn", "--app-dir", EXAMPLES, "--fd", str(listening.fileno())]
        service = subprocess.Popen(
            [*command, "chat_service:app"], cwd=directory, env=variables(), pass_fds=[listening.fileno()],
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        stack.callback(service.kill)
        port = listening.getsockname()[1]
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            yield client
        service.send_signal(signal.SIGTERM)
        _, said = service.communicate(timeout=30)
        assert service.returncode in (0, -signal.SIGTERM), said
        assert "Application shutdown complete." in said


def test_the_chat_service_remembers_across_a_sigterm(tmp_path):
    """P24: what a request was answered for is remembered, though the service ends right behind the answer."""
    need("chat_service.py")
    with serving(tmp_path) as client:
        client.post("/chat", json={"user_id": "ada", "text": "I moved to Lisbon last month."}).raise_for_status()
    with serving(tmp_path) as client:
        assert client.get("/memories/ada").json() == ["I moved to Lisbon last month."]
        assert client.get("/memories/ben").json() == []


def test_the_chat_knows_who_it_talks_to_the_next_time(tmp_path):
    """X3: what was said is kept in the directory that it runs in."""

    def talk(typed):
        with chat_api.serving(CHAT.read_text(encoding="utf-8")) as server:
            done = subprocess.run(
                [sys.executable, CHAT], cwd=tmp_path, env=variables() | server, input=typed, capture_output=True,
                text=True, encoding="utf-8", check=False, timeout=100,
            )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "Warning" not in done.stderr
        return done.stdout

    assert talk("I moved to Lisbon last month.\n\n") == "> Lisbon.   [miss: 0 memories; accepted]\n> "
    assert talk("Which museums are near my home?\n\n").startswith("> Lisbon.   [hit: ")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".perdure"]
