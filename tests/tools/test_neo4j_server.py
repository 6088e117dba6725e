"""Where a Neo4j server comes from, and that it never outlives its owner. Small programs stand in for the real ones."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("neo4j", reason="the tool talks to servers through the driver")
import neo4j_server as tool

Programs = Callable[..., None]
HOME = Path("/home-of-the-server")


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing installed, nothing said in the environment, an empty cache."""
    for name in [name for name in os.environ if name.startswith("PERDURE_TEST_NEO4J")] + ["JAVA_HOME"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


@pytest.fixture
def install(tmp_path: Path) -> Programs:
    """Put programs on the PATH, each a line of shell."""

    def install(**scripts: str) -> None:
        (tmp_path / "bin").mkdir(exist_ok=True)
        for name, script in scripts.items():
            program = tmp_path / "bin" / name
            program.write_text(f"#!/bin/sh\n{script}\n")
            program.chmod(0o755)

    return install


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers that are recipes only: nothing is run."""

    def launch(recipe: Callable[..., tool.Recipe], **_: object) -> tool.Neo4jServer:
        return tool.Neo4jServer("bolt://fake", source=recipe(HOME, tool.settings_for("127.0.0.1:1")).source)

    monkeypatch.setattr(tool, "_launch", launch)


JAVA = """echo 'openjdk version "17.0.15" 2025-04-15' >&2"""
MAVEN = """
echo run >> "$0.runs"
for part; do case $part in -DoutputDirectory=*) : > "${part#*=}/server.jar";; esac; done
"""


def test_a_given_server_comes_first(monkeypatch: pytest.MonkeyPatch, install: Programs) -> None:
    install(docker="echo 29.0", java=JAVA, mvn=MAVEN)
    monkeypatch.setenv("PERDURE_TEST_NEO4J_URI", "bolt://given:7687")
    monkeypatch.setenv("PERDURE_TEST_NEO4J_PASSWORD", "told")
    monkeypatch.setattr(tool, "_ask", lambda *_: "5.26.1")

    server = tool.find_server()

    assert (server.uri, server.auth) == ("bolt://given:7687", ("neo4j", "told"))
    assert (server.source, server.version) == ("given", "5.26.1")
    assert "told" not in repr(server)


def test_a_given_server_is_not_ours_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERDURE_TEST_NEO4J_URI", "bolt://given:7687")
    monkeypatch.setattr(tool, "_ask", lambda *_: "5.26.1")
    with tool.find_server() as server:
        assert server.auth is None
        for act in (server.start, server.stop, server.kill):
            with pytest.raises(RuntimeError, match="'bolt://given:7687' is not"):
                act()


def test_a_given_server_that_does_not_answer_is_an_error_and_not_replaced(
    monkeypatch: pytest.MonkeyPatch, launched: None, install: Programs
) -> None:
    install(docker="echo 29.0")
    monkeypatch.setenv("PERDURE_TEST_NEO4J_URI", "bolt://127.0.0.1:1")
    with pytest.raises(tool.ServerUnavailable, match=r"PERDURE_TEST_NEO4J_URI is 'bolt://127\.0\.0\.1:1'"):
        tool.find_server()


def test_docker_comes_second(launched: None, install: Programs) -> None:
    install(docker="echo 29.0", java=JAVA, mvn=MAVEN)
    assert tool.find_server().source == "docker"


@pytest.mark.parametrize(
    "docker",
    [
        pytest.param("exit 127", id="broken"),
        pytest.param('echo "cannot connect to the daemon" >&2; exit 1', id="a client without a daemon"),
        pytest.param("[ $1 = info ] || exit 1", id="an image that cannot be pulled"),
    ],
)
def test_maven_comes_third(docker: str, launched: None, install: Programs) -> None:
    install(docker=docker, java=JAVA, mvn=MAVEN)
    assert tool.find_server().source == "maven"


def test_without_anything_the_error_says_what_was_tried_and_what_to_install() -> None:
    with pytest.raises(tool.ServerUnavailable) as caught:
        tool.find_server()
    for word in ("docker is not installed", "java is not installed", "Maven", "PERDURE_TEST_NEO4J_URI"):
        assert word in str(caught.value)


def test_a_server_that_dies_while_starting_is_reported_with_its_log(
    monkeypatch: pytest.MonkeyPatch, install: Programs, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", os.pathsep.join((str(tmp_path / "bin"), os.defpath)))
    java = f"""case "$1" in -version) {JAVA};; *) echo "no room for the heap"; exit 3;; esac"""
    install(docker="exit 1", java=java, mvn=MAVEN)
    with pytest.raises(tool.ServerUnavailable, match=r"(?s)ended with status 3 .*no room for the heap"):
        tool.start_server()


@pytest.mark.parametrize(
    ("said", "enough"), [("1.8.0_392", False), ("11.0.2", False), ("17.0.15", True), ("25-ea", True)]
)
def test_java_must_be_new_enough(said: str, *, enough: bool, install: Programs) -> None:
    install(java=f"""echo 'openjdk version "{said}"' >&2""")
    if enough:
        assert tool.find_java(17) == "java"
    else:
        with pytest.raises(tool.ServerUnavailable, match=r"Java 17 or newer is needed") as caught:
            tool.find_java(17)
        assert said in str(caught.value)


def test_calendar_versions_have_another_entry_point_and_need_java_21(
    monkeypatch: pytest.MonkeyPatch, install: Programs
) -> None:
    install(java=JAVA, mvn=MAVEN)
    assert "org.neo4j.server.CommunityEntryPoint" in tool.maven_recipe(HOME, tool.settings_for("127.0.0.1:1")).command
    monkeypatch.setenv("PERDURE_TEST_NEO4J_VERSION", "2025.10.1")
    with pytest.raises(tool.ServerUnavailable, match="Java 21 or newer"):
        tool.maven_recipe(HOME, tool.settings_for("127.0.0.1:1"))
    install(java=JAVA.replace("17", "21"))
    assert "org.neo4j.server.Neo4jCommunity" in tool.maven_recipe(HOME, tool.settings_for("127.0.0.1:1")).command


def test_the_jars_are_fetched_once(install: Programs, tmp_path: Path) -> None:
    install(mvn=MAVEN)
    assert (tool.fetch("5.26.12") / "server.jar").exists()
    assert tool.fetch("5.26.12") == tmp_path / "cache" / "perdure" / "neo4j-5.26.12"
    assert (tmp_path / "bin" / "mvn.runs").read_text() == "run\n"


def test_an_interrupted_fetch_leaves_nothing_that_looks_complete(install: Programs) -> None:
    install(mvn=f"{MAVEN.replace('server.jar', 'half.jar')}\nexit 1")
    with pytest.raises(tool.ServerUnavailable, match="cannot be fetched"):
        tool.fetch("5.26.12")
    install(mvn=MAVEN)
    assert sorted(path.name for path in tool.fetch("5.26.12").iterdir()) == ["pom.xml", "server.jar"]


def test_the_pom_asks_for_the_server_and_leaves_its_source_to_the_user() -> None:
    pom = tool.POM.format(version="5.26.99")
    assert pom.count("<version>5.26.99</version>") == 2
    assert "<artifactId>neo4j-server</artifactId>" in pom
    assert "repositor" not in pom


def test_a_server_listens_on_the_loopback_address_only(install: Programs, tmp_path: Path) -> None:
    settings = tool.settings_for("127.0.0.1:4711", auth_enabled=True, heap_mb=512)
    assert settings["server.bolt.listen_address"] == "127.0.0.1:4711"
    assert settings["server.http.enabled"] == "false"
    assert settings["dbms.security.auth_enabled"] == "true"

    install(docker=f'echo "$*" >> {tmp_path}/said; echo 29.0', java=JAVA, mvn=MAVEN)
    recipe = tool.docker_recipe(HOME, settings)
    said = (tmp_path / "said").read_text()
    assert "--publish=127.0.0.1:4711:7687" in said
    assert "--env=NEO4J_server_bolt_advertised__address=127.0.0.1:4711" in said
    assert "--env=NEO4J_server_memory_heap_max__size=512m" in said
    assert said.endswith("neo4j:5.26-community\n")
    assert recipe.command[-1] in recipe.remove
    assert "-Xmx512m" in tool.maven_recipe(HOME, settings).command


OWNER = """
import sys, neo4j_server as tool
from pathlib import Path
if sys.argv[3] == "unguarded":
    tool.GUARD = 'shift 2; exec "$@" </dev/null'
run = [sys.executable, "-c", sys.argv[4], sys.argv[1]]
tool.Neo4jServer("bolt://127.0.0.1:1", _recipe=tool.Recipe("maven", run), _home=Path(sys.argv[2])).start()
"""


SERVER = """
import fcntl, os, sys, time
lock = open(sys.argv[1], "w")
fcntl.flock(lock, fcntl.LOCK_EX)
print(os.getpid(), file=lock, flush=True)
time.sleep(600)
"""


@pytest.fixture
def owner(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[SimpleNamespace]:
    """A process that owns a "server", which holds a lock as long as it lives and does nothing else."""
    monkeypatch.setenv("PATH", os.defpath)
    monkeypatch.setenv("PYTHONPATH", str(Path(tool.__file__).parent))
    home, lock = tmp_path / "home", tmp_path / "lock"
    home.mkdir()
    lock.touch()
    with subprocess.Popen([sys.executable, "-c", OWNER, lock, home, request.param, SERVER]) as process:
        wait_until(lambda: lock.read_text().endswith("\n"))
        yield SimpleNamespace(process=process, home=home, alive=lambda: is_locked(lock))
        process.kill()
        if is_locked(lock):
            os.kill(int(lock.read_text()), signal.SIGKILL)


@pytest.mark.parametrize("owner", ["guarded"], indirect=True)
def test_a_server_and_its_files_are_gone_when_its_owner_is_killed(owner: SimpleNamespace) -> None:
    assert owner.alive()
    owner.process.kill()
    wait_until(lambda: not owner.alive() and not owner.home.exists())


@pytest.mark.parametrize("owner", ["unguarded"], indirect=True)
def test_without_the_guard_a_server_outlives_its_owner(owner: SimpleNamespace) -> None:
    owner.process.kill()
    owner.process.wait()
    assert owner.alive()
    assert owner.home.exists()


def is_locked(path: Path) -> bool:
    with path.open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def wait_until(predicate: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not predicate():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
