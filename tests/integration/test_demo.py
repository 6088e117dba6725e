"""The demo as a new user runs it, and the proof it ends with."""

import asyncio
import json

import pytest


def run_demo(python, *arguments):
    """Run the demo and return its figures."""
    code = "import sys; from perdure.demo.__main__ import main; sys.exit(main(sys.argv[1:]))"
    return json.loads(python(code, "--json", "--limit", "5", *arguments).stdout)


def test_the_demo_proves_what_it_says(python):
    """J1, J3: both graphs are equal, and a killed agent's accepted writes are all there, once and in order."""
    figures = run_demo(python)
    assert figures["problems"] == []
    assert figures["read_back"]["equal"]
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
    assert await graph.run("MATCH (n) WHERE any(l IN labels(n) WHERE l STARTS WITH 'Demo') RETURN n.id AS id") == []
