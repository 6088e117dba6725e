"""The first lines of code that a user sees run as they stand, on both stores."""

import ast
import inspect

import pytest
from breakable import settings_for

from perdure import DurabilityWarning, FlushSummary, MemoryClient, MemorySettings

SNIPPET = """
settings.memory.write_mode = "buffered"              # "sync" (default) | "buffered" | "deferred"
settings.memory.max_pending = 200
settings.memory.durability = "os"                    # "memory" | "os" | "disk": what *accepted* means

async with MemoryClient(settings) as client:
    receipt = await client.buffered.submit(
        "MERGE (m:Message {id: $id}) SET m.content = $content", {"id": "m1", "content": "Hello"}
    )
    await receipt                                    # optional: waits until committed, raises WriteFailed
    summary = await client.flush(timeout=10)         # FlushSummary(committed, failed, unsettled)
    rows = await client.query.cypher("MATCH (m:Message) RETURN m.id AS id", {})    # read-only; list[dict]
for err in client.write_errors:                      # also after close
    print(err.query[:32], err.error)
"""


async def run(snippet, **names):
    """Run code with `await` at its top level, and return the names it leaves."""
    code = compile(snippet, "<snippet>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    outcome = eval(code, names)
    if inspect.isawaitable(outcome):
        await outcome
    return names


async def runs_as_it_stands(settings, capsys, label="Message"):
    """Run it and look at what it leaves; it warns of nothing."""
    left = await run(SNIPPET.replace("Message", label), settings=settings, MemoryClient=MemoryClient)
    assert left["receipt"].state == "committed"
    assert left["summary"] == FlushSummary(committed=1, failed=0, unsettled=0)
    assert left["rows"] == [{"id": "m1"}]
    assert not capsys.readouterr().out


async def test_the_first_snippet_runs_on_files(tmp_path, monkeypatch, capsys):
    """Without a server, with the settings as they come."""
    monkeypatch.chdir(tmp_path)
    await runs_as_it_stands(MemorySettings(), capsys)


async def test_the_first_snippet_runs_in_memory(capsys):
    """With nothing on disk; its one warning is that nothing there survives, whatever `durability` says."""
    with pytest.warns(DurabilityWarning, match="durability='os' keeps nothing") as warned:
        await runs_as_it_stands(MemorySettings(store="memory://"), capsys)
    assert len(warned) == 1


async def test_the_first_snippet_runs_on_neo4j(neo4j_server, graph, capsys, tmp_path, monkeypatch):
    """With a server; the label is this test's own."""
    monkeypatch.chdir(tmp_path)
    await runs_as_it_stands(settings_for(neo4j_server), capsys, graph.label)


async def test_the_default_settings_keep_their_files_where_they_say(tmp_path, monkeypatch):
    """Under `.perdure`, which can be deleted."""
    monkeypatch.chdir(tmp_path)
    async with MemoryClient() as client:
        await client.buffered.submit("CREATE (:Message {id: 'm1'})")
    assert [path.name for path in tmp_path.iterdir()] == [".perdure"]
    async with MemoryClient() as client:
        assert await client.query.cypher("MATCH (m:Message) RETURN m.id AS id") == [{"id": "m1"}]


async def test_a_store_in_memory_leaves_no_files(tmp_path, monkeypatch):
    """Neither in the working directory nor in the temporary one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    async with MemoryClient(MemorySettings(store="memory://")) as client:
        await client.buffered.submit("CREATE (:Message {id: 'm1'})")
        assert list(tmp_path.iterdir())
    assert list(tmp_path.iterdir()) == []
