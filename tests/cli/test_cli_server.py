"""The command line beside a program that works with the same Neo4j and has the journal."""

import asyncio
import contextlib

import pytest

from perdure import Memory, MemoryClient, MemorySettings

pytestmark = [pytest.mark.neo4j, pytest.mark.timeout(300)]
USER = "cli-ada"
ADA = ("--user-id", USER)


@pytest.fixture
def settings(data_dir, neo4j_server, monkeypatch):
    """What the program and the command line both read from the environment."""
    monkeypatch.setenv("PERDURE_NEO4J__URI", neo4j_server.uri)
    monkeypatch.setenv("PERDURE_NEO4J__USERNAME", neo4j_server.username)
    if neo4j_server.password is not None:
        monkeypatch.setenv("PERDURE_NEO4J__PASSWORD", neo4j_server.password)
    yield MemorySettings(memory={"write_mode": "buffered"})
    with contextlib.suppress(FileNotFoundError):
        asyncio.run(forget())


async def forget():
    """Remove what the test has kept."""
    async with MemoryClient(MemorySettings()) as client:
        await client.users.delete(USER)


async def test_a_program_at_work_is_not_in_the_way(settings, perdure):
    """J9: what is added beside it takes a journal of its own; what is read takes none."""

    async def typed(*arguments):
        return await asyncio.get_running_loop().run_in_executor(None, lambda: perdure(*arguments))

    async with Memory(settings) as memory:
        await memory.add("I live in Lisbon.", user_id=USER)
        await memory.client.short_term.add_message("chat-1", "user", "hello", user_id=USER)
        said = await typed("add", "My sister is called Maria.", *ADA)
        assert said.out == "added  My sister is called Maria.\n"
        found = await typed("search", "where does she live", *ADA, "--kind", "memory", "--json")
        assert {hit["text"] for hit in found.document["results"]} == {"I live in Lisbon.", "My sister is called Maria."}
        assert "chat-1" in (await typed("messages", *ADA)).out
        hits = (await memory.search("sister", user_id=USER)).results
        assert hits[0].memory == "My sister is called Maria."
        findings = (await typed("doctor", "--json")).document["findings"]
        assert {each["check"]: each["level"] for each in findings}["graph"] == "good"
