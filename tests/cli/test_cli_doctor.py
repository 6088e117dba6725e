"""`perdure doctor` says what is to be done, and `perdure demo` needs nothing."""

import asyncio
import json
import os
import shutil
import tomllib
from pathlib import Path

import pytest
from graphs import lived

from perdure.cli import checks
from perdure.graph import schema
from perdure.stores.embedded import EmbeddedGraphStore

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def levels(said):
    """Return how each thing is that was looked at."""
    return {finding["check"]: finding["level"] for finding in said.document["findings"]}


def todo(said):
    """Return what is to be done, by what it is about."""
    return {finding["check"]: finding["todo"] for finding in said.document["findings"] if finding["todo"]}


def test_in_an_empty_place_nothing_is_to_be_done(look, data_dir):
    """And nothing is made by looking."""
    assert "Nothing needs to be done." in look("doctor").out
    document = look("doctor", "--json").document
    assert document["needs_attention"] is False
    assert not data_dir.exists()


def test_where_memory_is_the_doctor_finds_it(look, data_dir):
    """M26: the graph answers, has its schema, and all of it can be searched."""
    asyncio.run(lived())
    said = look("doctor", "--json")
    assert {"graph", "schema", "index", "embedder", "journal main"} <= levels(said).keys()
    assert set(levels(said).values()) == {"good"}


def test_what_a_killed_agent_left_is_to_be_seen_to(look, killed_agent):
    """J11: the first thing to type; done, nothing is."""
    killed_agent(pending=5)
    assert todo(look("doctor", "--json", code=1)) == {
        "journal main": "Start the program that wrote them, or: perdure journal drain"
    }
    look("journal", "drain")
    look("doctor")
    killed_agent(failing=2)
    said = look("doctor", code=1)
    assert "2 writes failed for good" in " ".join(said.out.split())
    assert "perdure dead-letters list" in said.out


def test_a_program_at_work_is_no_fault(look, living_agent):
    """J9: who has the journal and the store is said, and nothing is to be done about it."""
    with living_agent(committed=1) as pid:
        said = look("doctor").out
        assert said.count(f"process {pid}") == 2
        assert "That is as it should be while a program runs" in " ".join(said.split())


def test_damage_and_the_way_out_of_it_are_named(look, killed_agent, main_journal):
    """J6: the journal's own doctor has the rest."""
    killed_agent(pending=30)
    database = main_journal / "journal.db"
    database.write_bytes(b"nothing" + database.read_bytes()[7:])
    assert todo(look("doctor", "--json", code=1))["journal main"] == "perdure journal doctor"


def test_a_graph_that_cannot_be_read_is_bad(look, data_dir):
    """M25: with what the program would say."""
    asyncio.run(lived())
    for path in data_dir.glob("graph.kgl*"):
        path.write_bytes(b"nonsense" * 100)
    said = look("doctor", "--json", code=1)
    assert levels(said)["graph"] == "bad"
    assert "backup" in todo(said)["graph"]


@pytest.mark.parametrize(
    ("name", "value", "check", "what"),
    [
        ("PERDURE_MEMORY__LANES", "many", "settings", "lanes = 'many'"),
        ("PERDURE_MEMORY__LANE", "8", "settings", "PERDURE_MEMORY__LANE"),
        ("PERDURE_NEO4J__URI", "bolt://127.0.0.1:1", "graph", "127.0.0.1:1"),
        ("PERDURE_EMBEDDER", "fastembed:x", "providers", "needs the package 'fastembed'"),
        ("PERDURE_EMBEDDER", "minilm:/no/where", "embedder", "/no/where"),
        ("PERDURE_VECTOR_STORE", "neo4j", "index", "vector_store='neo4j' needs a graph on Neo4j"),
    ],
)
def test_settings_that_cannot_work_are_bad(look, data_dir, monkeypatch, name, value, check, what):  # noqa: PLR0917
    """B39: each is looked at by itself, and told as the program would tell it."""
    asyncio.run(lived())
    monkeypatch.setenv(name, value)
    said = look("doctor", "--json", code=1)
    [found] = [each for each in said.document["findings"] if each["check"] == check]
    assert (found["level"], bool(found["todo"])) == ("bad", True)
    assert what in found["text"] + found["todo"]


def test_a_server_that_does_not_answer_is_told_of_once(perdure, data_dir):
    """T1: in our words; what the driver logs of it beside them says the same again."""
    said = perdure("doctor", "--uri", "neo4j://127.0.0.1:1", code=1)
    assert "No Neo4j answers at neo4j://127.0.0.1:1" in " ".join(said.out.split())
    assert said.err == ""
    assert perdure("demo", "--uri", "neo4j://127.0.0.1:1", code=1).err.startswith("perdure: No Neo4j answers")


def test_another_embedder_than_the_indexs_is_found_out(look, data_dir, monkeypatch):
    """M27: before a program that uses it refuses to start."""
    asyncio.run(lived())
    monkeypatch.setenv("PERDURE_EMBEDDER", "minilm")
    said = look("doctor", "--json", code=1)
    assert levels(said)["embedder"] == "good"
    assert "perdure reindex" in todo(said)["index"]


def test_reindexing_is_what_another_embedder_needs(look, data_dir, monkeypatch):
    """M27: what the doctor says, done, leaves nothing to do; and back."""
    asyncio.run(lived())
    for embedder in ("none", "static"):
        monkeypatch.setenv("PERDURE_EMBEDDER", embedder)
        assert "perdure reindex" in todo(look("doctor", "--json", code=1))["index"]
        assert look("reindex", "--json").document["indexed"] > 0
        assert "Nothing needs to be done." in look("doctor").out


def test_an_index_that_is_not_made_yet_is_to_be_made(look, data_dir):
    """M5: nothing in the graph is marked for it, and nothing of it is found."""
    asyncio.run(lived())
    shutil.rmtree(data_dir / "vectors")
    assert todo(look("doctor", "--json", code=1)) == {"index": "perdure reindex"}
    look("reindex")
    look("doctor")


def test_that_nothing_is_embedded_is_said(look, data_dir, monkeypatch):
    """And is no fault."""
    monkeypatch.setenv("PERDURE_EMBEDDER", "none")
    asyncio.run(lived())
    said = look("doctor", "--json")
    assert set(levels(said).values()) == {"good"}
    [embedder] = [each["text"] for each in said.document["findings"] if each["check"] == "embedder"]
    assert "by their words" in embedder


def test_what_is_behind_and_what_is_ahead_is_told(look, data_dir):
    """M26: a mark that a crash left, and a graph that a newer Perdure has had."""
    asyncio.run(lived())

    async def write(statement):
        store = EmbeddedGraphStore(data_dir)
        await store.connect()
        await store.write(statement, {})
        await store.close()

    asyncio.run(write("MATCH (m:Message) SET m.unindexed = 'x'"))
    assert todo(look("doctor", "--json", code=1)) == {"index": "perdure reindex"}
    look("reindex")
    look("doctor")
    asyncio.run(write(f"MATCH (s:_PerdureSchema) SET s.version = {schema.VERSION + 1}"))
    assert "upgrade" in todo(look("doctor", "--json", code=1))["schema"]


def test_a_directory_that_nobody_may_write_to_is_bad(look, data_dir, monkeypatch):
    """J7: the answer does not depend on being root, who may write anywhere."""
    data_dir.write_text("a file, not a directory")
    assert todo(look("doctor", "--json", code=1)).keys() == {"directory"}
    data_dir.unlink()
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "cannot make it" in " ".join(look("doctor", code=1).out.split())


def test_every_extra_of_the_package_is_looked_for():
    """An extra that is new is one more to tell of."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    assert set(project["optional-dependencies"]) == set(checks.EXTRAS)


def test_the_demo_runs_from_the_command_line(perdure, tmp_path, monkeypatch):
    """With what is installed, and nothing else."""
    conversation = [{"role": "user", "content": "I moved to Lisbon."}, {"role": "assistant", "content": "How nice."}]
    (tmp_path / "chat.json").write_text(json.dumps(conversation))
    document = perdure("demo", "--input", str(tmp_path / "chat.json"), "--json").document
    assert document["problems"] == []


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("--input", "absent.json"), "absent.json"),
        (("--uri", "http://localhost"), "--uri 'http://localhost' should look like neo4j://host:7687"),
        (("--limit", "0"), "--limit should be a whole number from 1 on"),
    ],
)
def test_a_demo_that_cannot_be_is_refused(look, arguments, what):
    """Wrong use ends with 2."""
    assert what in look("demo", *arguments, code=2).err
    assert what in look("demo", *arguments, "--json", code=2).document["error"]["message"]
