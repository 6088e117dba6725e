"""The demo as a new user runs it, and the proof it ends with."""

import asyncio
import json

import pytest

from perdure.demo.remembering import BAD_STATEMENT

SECONDS = 240
"""A server that has just started plans each statement of every kind of memory for the first time."""
SAID = "We met Ana Lima in São Paulo.\x9b"
LEFT = "MATCH (n) WHERE n.owner STARTS WITH '[\"perdure-demo-' OR n:DemoLog RETURN labels(n) AS labels, n.id AS id"


def run_demo(python, *arguments):
    """Run the demo and return its figures."""
    code = "import sys; from perdure.cli.app import run; sys.exit(run(['demo', *sys.argv[1:]]))"
    return json.loads(python(code, "--json", "--limit", "5", *arguments, timeout=SECONDS).stdout)


def test_the_demo_proves_what_it_says(python):
    """J1, J3: both graphs are equal, memory answers, and what a killed agent was told is there once, in order."""
    figures = run_demo(python)
    assert figures["problems"] == []
    assert figures["read_back"]["equal"]
    counts = figures["read_back"]["counts"]
    assert counts["Message"] == {"expected": 10, "sync": 10, "deferred": 10}
    assert all(len(set(count.values())) == 1 for count in counts.values())
    assert [error["query"] for error in figures["write_errors"]] == [BAD_STATEMENT]
    remembered = figures["remembered"]
    assert remembered["memories"] == 10
    assert [len(answer["hits"]) for answer in remembered["answers"]] == [2, 2, 2]
    proof = figures["proof"]
    assert proof["accepted"] <= proof["in_graph"] <= proof["accepted"] + 1
    assert (proof["missing"], proof["repeated"], proof["in_order"]) == (0, 0, True)


@pytest.mark.slow
async def test_the_demo_leaves_nothing_on_a_server(neo4j_server, graph, python, monkeypatch):
    """Neither nodes nor marks of its own."""
    if neo4j_server.password:
        monkeypatch.setenv("PERDURE_NEO4J__PASSWORD", neo4j_server.password)
    figures = await asyncio.to_thread(run_demo, python, "--neo4j", neo4j_server.uri)
    assert figures["problems"] == []
    assert await graph.run(LEFT) == []


def test_a_conversation_of_ones_own_is_kept_and_asked(python, tmp_path, monkeypatch):
    """A plain list without times, names or tools will do; what it mentions most is asked for.

    Its words steer no terminal, and a console that knows no letters gets JSON, too.
    """
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    path = tmp_path / "talk.json"
    said = [("user", SAID), ("assistant", "Noted."), ("user", "It was Ana Lima who sang.")]
    path.write_text(json.dumps([{"role": role, "content": content} for role, content in said]))
    figures = run_demo(python, "--input", str(path))
    assert figures["problems"] == []
    answer = figures["remembered"]["answers"][0]
    assert answer["question"] == "What do we know about Ana Lima?"
    assert SAID in [hit["memory"] for hit in answer["hits"]]
