"""The one place that gives tests, benchmarks and ``make neo4j`` a real Neo4j server.

What Perdure promises about Neo4j is proved on Neo4j itself, and people differ in what they have. The first that works:

1. ``PERDURE_TEST_NEO4J_URI`` (``…_USERNAME``, ``…_PASSWORD``): a running server, never started or stopped from here;
2. Docker, with the official image;
3. Maven and Java: the jars are fetched once into the user's cache, from wherever the user's Maven settings say.

A server started here listens on a free loopback port, keeps its files in a temporary home, and is gone with them when
this process ends, however it ends. ``PERDURE_TEST_NEO4J_VERSION`` asks for another version than the default.
"""

import argparse
import atexit
import contextlib
import os
import re
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import PIPE, STDOUT, CalledProcessError, Popen, TimeoutExpired, run
from typing import Literal, Self

from neo4j import Driver, GraphDatabase
from neo4j.exceptions import DriverError, Neo4jError

if sys.platform != "win32":
    import fcntl

READY_SECONDS, STOP_SECONDS, POLL_SECONDS = 90.0, 60.0, 0.05
INITIAL_PASSWORD = "neo4j"  # noqa: S105  every new server's, which lets in only to be changed

# A shell that becomes the server, leaving behind a guard that reads a pipe which only this process can write to. A line
# says that all is well. The end of the pipe says that this process is gone, even by kill -9: the guard ends the server
# ($$) and cleans up. PR_SET_PDEATHSIG is of Linux only, and would end the server with the thread that started it.
GUARD = """
exec 3<&0 </dev/null; cleanup=$1 home=$2; shift 2
{ read -r _ <&3 || { kill -KILL $$; eval "$cleanup"; rm -rf "$home"; }; } >/dev/null 2>&1 &
exec "$@" 3<&-
"""

POM = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>perdure</groupId><artifactId>test-server</artifactId><version>1</version><dependencies>
<dependency><groupId>org.neo4j.app</groupId><artifactId>neo4j-server</artifactId><version>{version}</version></dependency>
<dependency><groupId>org.neo4j</groupId><artifactId>neo4j</artifactId><version>{version}</version></dependency>
</dependencies></project>
"""


class ServerUnavailable(RuntimeError):  # noqa: N818  what happened, not that it is an error
    """No Neo4j server can be had, or the one at hand does not answer; the message says what was tried."""


@dataclass(frozen=True)
class Recipe:
    """How to run a server: a command that stays in the foreground, and shell lines for what no signal to it can do."""

    source: Literal["docker", "maven"]
    command: Sequence[str]
    kill: str = ""
    remove: str = ""


@dataclass(eq=False)
class Neo4jServer:
    """A Neo4j server that answers; a context manager that closes it.

    ``password`` is None where authentication is off; ``version`` is what the server reports. A server whose source is
    "given" is not ours: ``start``, ``stop`` and ``kill`` raise RuntimeError, ``close`` leaves it alone.
    """

    uri: str
    username: str = "neo4j"
    password: str | None = field(default=None, repr=False)
    version: str = ""
    source: Literal["given", "docker", "maven"] = "given"
    _recipe: Recipe | None = field(default=None, repr=False)
    _home: Path = field(default=Path(), repr=False)
    _process: Popen[bytes] | None = field(default=None, repr=False)
    _owner: int = field(default_factory=os.getpid, repr=False)

    @property
    def auth(self) -> tuple[str, str] | None:
        """What the driver wants as ``auth``."""
        return None if self.password is None else (self.username, self.password)

    def start(self) -> None:
        """Start again, with the same port and data, and wait for an answer; raises ServerUnavailable if none comes."""
        recipe = self._ours()
        if self._process is not None and self._process.poll() is None:
            return
        self._end(signal.SIGTERM)
        command = ["sh", "-c", GUARD, "sh", recipe.remove, str(self._home), *recipe.command]
        with (self._home / "server.log").open("ab") as log:  # a session of its own: Ctrl-C is for us
            self._process = Popen(command, stdin=PIPE, stdout=log, stderr=log, start_new_session=True)
        try:
            if self.password == INITIAL_PASSWORD:
                self.password = self._when_ready(self._process, _replace_initial_password)
            self.version = self._when_ready(self._process, _version)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Shut down gracefully, keeping the data; raises TimeoutExpired when the server hangs."""
        self._ours()
        self._end(signal.SIGTERM)  # a Docker client passes it on to its container

    def kill(self) -> None:
        """End the server at once, as a crash would, keeping the data."""
        run(["sh", "-c", self._ours().kill], check=False, capture_output=True)
        self._end(signal.SIGKILL)

    def close(self) -> None:
        """End the server and remove its files; nothing for a given server, the second time, and in a forked child."""
        if self._recipe is not None and self._owner == os.getpid():
            self.kill()
            run(["sh", "-c", self._recipe.remove], check=False, capture_output=True)
            shutil.rmtree(self._home, ignore_errors=True)
            self._recipe = None
            atexit.unregister(self.close)

    def wait(self) -> None:
        """Wait until the server ends by itself."""
        if self._process is not None:
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _ours(self) -> Recipe:
        if self._recipe is None:
            raise RuntimeError(f"the server at {self.uri!r} is not, or no longer, ours to start or stop")
        return self._recipe

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(STOP_SECONDS)
            self._process.communicate(b"all is well\n")
            self._process = None

    def _when_ready(self, process: Popen[bytes], question: Callable[[Driver], str]) -> str:
        """Ask until the server answers, ends, or has had time enough."""
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                return _ask(self, question)
            except (DriverError, Neo4jError) as error:
                problem = f"the server did not answer within {READY_SECONDS:.0f} s: {error}"
            with contextlib.suppress(TimeoutExpired):
                problem = f"the server ended with status {process.wait(POLL_SECONDS)} before it was ready"
                deadline = 0.0
            if time.monotonic() > deadline:
                log = (self._home / "server.log").read_text(errors="replace")
                raise ServerUnavailable(f"{problem}; its log ends:\n{_tail(log)}")


def find_server() -> Neo4jServer:
    """Return the server that the environment names (ServerUnavailable when it does not answer), else a new one."""
    uri = os.environ.get("PERDURE_TEST_NEO4J_URI")
    if not uri:
        return start_server()
    username = os.environ.get("PERDURE_TEST_NEO4J_USERNAME") or "neo4j"
    server = Neo4jServer(uri, username, os.environ.get("PERDURE_TEST_NEO4J_PASSWORD") or None)
    try:
        server.version = _ask(server, _version)
    except (DriverError, Neo4jError) as error:
        raise ServerUnavailable(f"PERDURE_TEST_NEO4J_URI is {uri!r}, which does not answer: {error}") from error
    return server


def start_server(*, auth_enabled: bool = False, heap_mb: int = 768) -> Neo4jServer:
    """Start a new, empty server and wait until it answers; raises ServerUnavailable where that cannot be done."""
    if os.name != "posix":
        raise ServerUnavailable("servers start on Linux and macOS only; set PERDURE_TEST_NEO4J_URI to a running one")
    tried: list[str] = []
    for way, recipe in {"Docker": docker_recipe, "Maven": maven_recipe}.items():
        try:
            return _launch(recipe, auth_enabled=auth_enabled, heap_mb=heap_mb)
        except ServerUnavailable as error:
            tried.append(f"{way}: {error}")
            _say(tried[-1])
    advice = "start Docker, or install Maven and Java 17 or newer, or set PERDURE_TEST_NEO4J_URI to a running server"
    raise ServerUnavailable(f"no Neo4j server: {advice} ({'; '.join(tried)})")


def _launch(recipe: Callable[[Path, dict[str, str]], Recipe], *, auth_enabled: bool, heap_mb: int) -> Neo4jServer:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    settings = settings_for(address, auth_enabled=auth_enabled, heap_mb=heap_mb)
    home = Path(tempfile.gettempdir()) / f"perdure-neo4j-{secrets.token_hex(8)}"
    chosen = recipe(home, settings)
    server = Neo4jServer(f"bolt://{address}", source=chosen.source, _recipe=chosen, _home=home)
    server.password = INITIAL_PASSWORD if auth_enabled else None
    with contextlib.ExitStack() as undo:
        undo.callback(server.close)
        home.mkdir(mode=0o700)
        (home / "neo4j.conf").write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        server.start()
        undo.pop_all()
    atexit.register(server.close)
    return server


def _ask(server: Neo4jServer, question: Callable[[Driver], str]) -> str:
    with GraphDatabase.driver(server.uri, auth=server.auth, max_transaction_retry_time=0) as driver:  # pyright: ignore[reportUnknownMemberType]
        return question(driver)


def _version(driver: Driver) -> str:  # of the default database: it is online then, not only the Bolt port
    records = driver.execute_query("CALL dbms.components() YIELD versions RETURN versions[0] AS version").records
    return str(records[0]["version"])


def _replace_initial_password(driver: Driver) -> str:
    password = secrets.token_urlsafe(16)
    change = "ALTER CURRENT USER SET PASSWORD FROM $old TO $new"
    driver.execute_query(change, old=INITIAL_PASSWORD, new=password, database_="system")
    return password


def settings_for(address: str, *, auth_enabled: bool = False, heap_mb: int = 768) -> dict[str, str]:
    """Return the settings of a server reached at an address: small, quick to stop, as durable as any other Neo4j."""
    return {
        "server.bolt.listen_address": address,
        "server.bolt.advertised_address": address,
        "server.http.enabled": "false",
        "dbms.usage_report.enabled": "false",
        "dbms.security.auth_enabled": str(auth_enabled).lower(),
        "server.memory.heap.max_size": f"{heap_mb}m",
        "server.memory.pagecache.size": "128m",
        "db.tx_log.rotation.size": "64m",
        "db.tx_log.rotation.retention_policy": "keep_none",
        "db.tx_log.preallocate": "false",  # else 512 MB of disk before the first write
        "internal.dbms.bolt.netty_server_shutdown_quiet_period": "0",  # else every graceful stop takes 10 s
    }


def docker_recipe(_home: Path, settings: dict[str, str]) -> Recipe:
    """Create a container of the official image; raises ServerUnavailable without a Docker daemon or the image."""
    _check("docker", "info", "--format", "{{.ServerVersion}}", failure="no daemon answers", timeout=5)
    image = f"neo4j:{os.environ.get('PERDURE_TEST_NEO4J_VERSION') or '5.26'}-community"
    name = f"perdure-neo4j-{secrets.token_hex(4)}"
    inside = settings | {"server.bolt.listen_address": "0.0.0.0:7687"}
    options = [f"--name={name}", f"--publish={settings['server.bolt.listen_address']}:7687"]
    options += [f"--env=NEO4J_{key.replace('_', '__').replace('.', '_')}={value}" for key, value in inside.items()]
    _say(f"creating a container from {image} (the image is pulled once)…")
    _check("docker", "create", *options, image, failure=f"no container from {image}")
    return Recipe("docker", ["docker", "start", "--attach", name], f"docker kill {name}", f"docker rm -f -v {name}")


def maven_recipe(home: Path, settings: dict[str, str]) -> Recipe:
    """Prepare a Java process, fetching the jars if need be; raises ServerUnavailable without Java or Maven."""
    version = os.environ.get("PERDURE_TEST_NEO4J_VERSION") or "5.26.12"
    main, needed = ("CommunityEntryPoint", 17) if version.startswith("5.") else ("Neo4jCommunity", 21)
    packages = ("java.nio", "java.io", "sun.nio.ch", "java.util.concurrent")
    options = [f"-Xmx{settings['server.memory.heap.max_size']}", "-XX:-UsePerfData"]
    options += [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in packages]
    server = [f"org.neo4j.server.{main}", f"--home-dir={home}", f"--config-dir={home}"]
    return Recipe("maven", [find_java(needed), *options, "-cp", f"{fetch(version)}/*", *server])


def find_java(needed: int) -> str:
    """Return the java of JAVA_HOME, else of the PATH; raises ServerUnavailable when there is none or it is too old."""
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else "java"
    answer = _check(java, "-version", failure=f"{java} -version says nothing", timeout=30)
    version = re.search(r'version "(\d+)[^"]*"', answer)
    if version is None or int(version[1]) < needed:
        raise ServerUnavailable(f"Java {needed} or newer is needed; {java} -version says {_tail(answer)}")
    return java


def fetch(version: str) -> Path:
    """Return the directory of the server's jars, fetched with Maven the first time; it appears only when complete."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "perdure"
    jars = cache / f"neo4j-{version}"
    partial = cache / f"neo4j-{version}.partial"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"neo4j-{version}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # until all who have it open are gone, a Maven that outlives us included
        if not jars.is_dir():
            _say(f"fetching Neo4j {version} with Maven (about 120 MB, once)…")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            (partial / "pom.xml").write_text(POM.format(version=version))
            goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={partial}"]
            mvn = ["mvn", "-q", "-B", "-Dstyle.color=never", "-f", f"{partial}/pom.xml", *goal]
            _check(*mvn, failure="the server cannot be fetched", keep_open=[lock.fileno()])
            partial.rename(jars)
    return jars


def _check(*command: str, failure: str, timeout: float | None = None, keep_open: Sequence[int] = ()) -> str:
    """Return what a command says; raises ServerUnavailable where it is missing, fails, or takes too long."""
    try:
        done = run(command, check=True, text=True, timeout=timeout, pass_fds=keep_open, stdout=PIPE, stderr=STDOUT)
    except OSError as error:
        raise ServerUnavailable(f"{command[0]} is not installed ({error.strerror})") from None
    except TimeoutExpired:
        raise ServerUnavailable(f"{failure} within {timeout} s") from None
    except CalledProcessError as error:
        raise ServerUnavailable(f"{failure}: {_tail(error.stdout)}") from None
    return done.stdout


def _tail(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-15:])


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Start a server, print its URI, and stay until Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(description="A real Neo4j server until Ctrl-C; its URI is printed on stdout.")
    parser.add_argument("--auth", action="store_true", help="turn authentication on, with a new password")
    parser.add_argument("--heap", type=int, default=768, metavar="MB", help="the server's heap (default: %(default)s)")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with start_server(auth_enabled=options.auth, heap_mb=options.heap) as server:
            print(server.uri, flush=True)
            password = f" PERDURE_TEST_NEO4J_PASSWORD={server.password}" if server.password else ""
            _say(f"Neo4j {server.version} ({server.source}) until Ctrl-C; the tests and benchmarks use it after")
            _say(f"  export PERDURE_TEST_NEO4J_URI={server.uri}{password}")
            server.wait()
            _say("the server has ended by itself")
    except ServerUnavailable as error:
        _say(str(error))
    except KeyboardInterrupt:
        _say("stopped, and its data removed")
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
