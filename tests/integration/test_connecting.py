"""Connecting where it cannot be done: a typed error within seconds that says what to do, and another try after it."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from breakable import settings_for

from perdure import ConfigError, MemoryClient, MemorySettings, StoreUnavailableError
from perdure.wiring import graph_store

GREETING = "RETURN 1 AS one"
BOLT_MAGIC = bytes.fromhex("6060B017")
SUCCESS = bytes([0xB1, 0x70, 0xA2])
GOODBYE = bytes([0xB0, 0x02])

HOLDER = """
import asyncio, sys
from perdure import MemoryClient, MemorySettings

async def main():
    async with MemoryClient(MemorySettings(data_dir=sys.argv[1])):
        print("open", flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(main())
"""
WITHOUT_DRIVER = """
import asyncio, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "neo4j":
            raise ModuleNotFoundError("No module named 'neo4j'", name="neo4j")

sys.meta_path.insert(0, Blocker())
from perdure import ConfigError, MemoryClient, MemorySettings

async def main():
    client = MemoryClient(MemorySettings(neo4j={"uri": "bolt://127.0.0.1:1"}))
    try:
        await client.connect()
    except ConfigError as error:
        print(error)
    async with MemoryClient(MemorySettings(store="memory://")) as embedded:
        print(await embedded.query.cypher("RETURN 1 AS one"))

asyncio.run(main())
"""


def at(uri, **options):
    """Return a client for an address, which waits for a second at most."""
    return MemoryClient(MemorySettings(neo4j={"uri": uri, "connect_timeout_seconds": 1.0, **options}))


async def refusal(client, kind):
    """Return what a client says that cannot connect; within seconds, and once more when asked again."""
    for _ in range(2):
        async with asyncio.timeout(30):
            with pytest.raises(kind) as refused:
                await client.connect()
    report = await client.close()
    assert (report.committed, report.failed, report.unsettled) == (0, 0, 0)
    return str(refused.value)


@contextlib.asynccontextmanager
async def listening(talk) -> AsyncIterator[str]:
    """Serve an address where connections are answered by `talk(reader, writer)`."""

    async def serve(reader, writer):
        try:
            await talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"bolt://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


# -- nobody, or somebody else


async def test_nobody_listens(closed_port):
    """The port is closed: start it, or check the address."""
    said = await refusal(at(f"bolt://127.0.0.1:{closed_port}"), StoreUnavailableError)
    assert f"127.0.0.1:{closed_port}" in said
    assert "PERDURE_NEO4J__URI" in said


async def test_nobody_listens_at_a_routing_address(closed_port):
    """`neo4j://` asks for a routing table first."""
    said = await refusal(at(f"neo4j://127.0.0.1:{closed_port}"), StoreUnavailableError)
    assert f"127.0.0.1:{closed_port}" in said


async def test_somebody_accepts_and_never_answers():
    """A port forwarded to nowhere: connecting ends all the same."""

    async def say_nothing(reader, _writer):
        await reader.read(-1)

    async with listening(say_nothing) as uri:
        assert uri in await refusal(at(uri), StoreUnavailableError)


async def test_somebody_accepts_and_hangs_up():
    """A load balancer without a server behind it."""

    async def hang_up(reader, _writer):
        await reader.readexactly(4)

    async with listening(hang_up) as uri:
        assert uri in await refusal(at(uri), StoreUnavailableError)


async def test_a_web_server_answers():
    """7474 instead of 7687 is the classic."""

    async def talk_http(reader, writer):
        await reader.readexactly(4)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        await reader.read(-1)

    async with listening(talk_http) as uri:
        said = await refusal(at(uri), StoreUnavailableError)
    assert "HTTP" in said


async def test_the_host_is_unknown():
    """A name that can never be resolved."""
    said = await refusal(at("bolt://no-such-host.invalid:7687"), StoreUnavailableError)
    assert "no-such-host.invalid" in said


@pytest.mark.parametrize(
    "uri", ["http://localhost:7474", "https://localhost", "postgres://localhost", "localhost:7687", "bolt://"]
)
def test_the_address_is_not_bolts(uri):
    """Said before anything is opened, with what would be right."""
    for wrong in ({"neo4j": {"uri": uri}}, {"store": uri}):
        if "://" in uri or "neo4j" in wrong:
            with pytest.raises(ConfigError, match="neo4j://host:7687"):
                MemorySettings(**wrong)


# -- a server that will not do


def old_server(agent, version):
    """Talk as much Bolt as it takes to be asked which server this is."""

    def text(value):
        return bytes([0x80 + len(value)]) + value.encode()

    message = SUCCESS + text("server") + text(agent) + text("connection_id") + text("bolt-1")
    answer = len(message).to_bytes(2) + message + bytes(2)

    async def talk(reader, writer):
        assert (await reader.readexactly(20))[:4] == BOLT_MAGIC
        writer.write(bytes([0, 0, *reversed(version)]))
        request = b""
        while request != GOODBYE:
            request = b""
            while size := int.from_bytes(await reader.readexactly(2)):
                request += await reader.readexactly(size)
            writer.write(answer)
            await writer.drain()

    return talk


@pytest.mark.parametrize("version", [(4, 4), (5, 4)], ids=["Bolt 4.4", "Bolt 5.4"])
@pytest.mark.parametrize("agent", ["Neo4j/4.4.30", "Neo4j/5.13.0"])
async def test_the_server_is_too_old(agent, version):
    """Which it is, and which is needed."""
    async with listening(old_server(agent, version)) as uri:
        said = await refusal(at(uri), ConfigError)
    assert "5.26" in said
    assert "debug log" not in said
    assert agent in said or version == (4, 4)


async def test_the_password_is_wrong(own_server):
    """Which name was refused, where to set the password, and not the password."""
    said = await refusal(at(own_server.uri, username="neo4j", password="sesame"), ConfigError)
    assert "'neo4j'" in said
    assert "PERDURE_NEO4J__PASSWORD" in said
    assert "sesame" not in said


async def test_the_password_is_missing(own_server):
    """As a fresh installation's settings have it."""
    said = await refusal(at(own_server.uri), ConfigError)
    assert "neo4j.password" in said


async def test_the_password_has_expired(own_server):
    """A new account has to change it first; how is said."""
    from neo4j import AsyncGraphDatabase  # noqa: PLC0415  an optional package

    name, password = "newcomer", "first-password"
    async with AsyncGraphDatabase.driver(own_server.uri, auth=own_server.auth) as driver:
        await driver.execute_query(
            "CREATE USER newcomer IF NOT EXISTS SET PASSWORD $password", password=password, database_="system"
        )
        try:
            said = await refusal(at(own_server.uri, username=name, password=password), ConfigError)
        finally:
            await driver.execute_query("DROP USER newcomer", database_="system")
    assert "ALTER CURRENT USER SET PASSWORD" in said
    assert password not in said


async def test_the_database_is_unknown(neo4j_server):
    """And which setting names it."""
    client = MemoryClient(settings_for(neo4j_server))
    client.settings.neo4j.database = "nosuchdatabase"
    said = await refusal(client, ConfigError)
    assert "nosuchdatabase" in said
    assert "neo4j.database" in said


async def test_the_right_password_is_let_in(own_server):
    """The control: the same server, the same way."""
    async with MemoryClient(settings_for(own_server)) as client:
        assert await client.query.cypher(GREETING) == [{"one": 1}]


async def test_clients_connect_at_once_to_a_new_database(own_server):
    """M26: Neo4j ends one of two transactions that make the same constraint, and those that make it meanwhile."""
    async with MemoryClient(settings_for(own_server)) as client:
        for _ in range(5):
            await client.buffered.submit("DROP CONSTRAINT perdure_journal_mark IF EXISTS")
            await client.flush()
            stores = [graph_store(settings_for(own_server)) for _ in range(8)]
            await asyncio.gather(*(store.connect() for store in stores))
            await asyncio.gather(*(store.close() for store in stores))


async def test_a_client_that_could_not_connect_connects_when_it_can(neo4j_server, network):
    """After refusals and after silence."""
    client = MemoryClient(settings_for(neo4j_server, network.uri, connect_timeout_seconds=0.5))
    await network.cut()
    with pytest.raises(StoreUnavailableError):
        await client.connect()
    await network.restore()
    network.silence()
    with pytest.raises(StoreUnavailableError):
        await client.connect()
    await network.restore()
    client.settings.neo4j.connect_timeout_seconds = 30.0
    await client.connect()
    assert await client.query.cypher(GREETING) == [{"one": 1}]
    await client.close()


async def test_a_cancelled_connect_leaves_nothing_open(neo4j_server, network):
    """And may be tried again."""
    client = MemoryClient(settings_for(neo4j_server, network.uri))
    network.silence()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await client.connect()
    await network.restore()
    async with client:
        assert await client.query.cypher(GREETING) == [{"one": 1}]


def test_the_driver_is_not_installed(python):
    """Which extra to install; and nothing else needs it."""
    said = python(WITHOUT_DRIVER).stdout
    assert "pip install 'perdure[neo4j]'" in said
    assert "[{'one': 1}]" in said


# -- files


def in_directory(path):
    return MemoryClient(MemorySettings(data_dir=path))


@contextlib.contextmanager
def held_by_another_process(directory):
    """Keep a directory open in a process of its own, which is killed in the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout.readline() == b"open\n"
        try:
            yield process
        finally:
            process.kill()


async def test_another_process_holds_the_directory(tmp_path):
    """Which one; and once it is gone, killed even, the directory opens."""
    with held_by_another_process(tmp_path) as process:
        client = in_directory(tmp_path)
        with pytest.raises(StoreUnavailableError) as refused:
            await client.connect()
    assert f"process {process.pid}" in str(refused.value)
    assert "data_dir" in str(refused.value)
    await client.connect()
    assert await client.query.cypher(GREETING) == [{"one": 1}]
    await client.close()


async def test_another_client_of_this_process_holds_the_directory(tmp_path):
    """It is named as such, and after it is closed the directory opens."""
    client = in_directory(tmp_path)
    async with in_directory(tmp_path):
        with pytest.raises(StoreUnavailableError, match="client of this process"):
            await client.connect()
    async with client:
        assert await client.query.cypher(GREETING) == [{"one": 1}]


async def test_the_directory_is_a_file(tmp_path):
    """It cannot hold the store; which one would is for the user to say."""
    (tmp_path / "file").write_text("mine")
    said = await refusal(in_directory(tmp_path / "file"), ConfigError)
    assert str(tmp_path / "file") in said
    assert "data_dir" in said
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(not Path("/proc/version").exists(), reason="needs a directory that nobody can write to")
async def test_the_directory_cannot_be_made():
    """Not even by root, who ignores permissions."""
    said = await refusal(in_directory("/proc/perdure"), ConfigError)
    assert "/proc/perdure" in said


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
async def test_the_directory_is_read_only(tmp_path):
    """For everybody else."""
    tmp_path.chmod(0o500)
    try:
        said = await refusal(in_directory(tmp_path), ConfigError)
    finally:
        tmp_path.chmod(0o700)
    assert str(tmp_path) in said


@pytest.mark.parametrize(
    "content", [b"", b"garbage\n" * 1000, bytes(4096), b"\xff" * 64], ids=["empty", "text", "zeros", "short"]
)
async def test_the_file_is_no_graph(tmp_path, content):
    """It is left as it is, and said to be unreadable."""
    path = tmp_path / "graph.kgl"
    path.write_bytes(content)
    said = await refusal(in_directory(tmp_path), ConfigError)
    assert str(path) in said
    assert "backup" in said
    assert path.read_bytes() == content


async def test_the_file_is_a_directory(tmp_path):
    """As odd as it is, it is said."""
    (tmp_path / "graph.kgl").mkdir()
    assert str(tmp_path) in await refusal(in_directory(tmp_path), ConfigError)


async def test_a_client_connects_after_the_garbage_is_gone(tmp_path):
    """Nothing of the failed attempt stands in the way."""
    path = tmp_path / "graph.kgl"
    path.write_bytes(b"garbage")
    client = in_directory(tmp_path)
    with pytest.raises(ConfigError):
        await client.connect()
    path.unlink()
    async with client:
        assert await client.query.cypher(GREETING) == [{"one": 1}]


async def test_what_a_killed_process_had_committed_is_there(tmp_path):
    """kill -9 between two commits: the directory opens with what was committed."""
    async with in_directory(tmp_path) as client:
        await client.buffered.submit("CREATE (:Note {id: 1})")
    with held_by_another_process(tmp_path) as process:
        process.send_signal(signal.SIGKILL)
    async with in_directory(tmp_path) as client:
        assert await client.query.cypher("MATCH (n:Note) RETURN n.id AS id") == [{"id": 1}]
