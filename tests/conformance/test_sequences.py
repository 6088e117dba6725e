"""Any sequence of writes leaves the graph that its statements leave one after the other, however it is sent."""

from typing import Any, NamedTuple

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from perdure import BufferedWriter
from perdure.errors import StatementRejectedError

IDS = st.integers(0, 4)
VALUES = st.integers(0, 99) | st.sampled_from(["", "a", "'", "\\", "😀", "$v"]) | st.none()


class Write(NamedTuple):
    statement: str
    parameters: dict[str, Any]


def shape(statement: str, **parameters: st.SearchStrategy) -> st.SearchStrategy[Write]:
    return st.builds(Write, st.just(statement), st.fixed_dictionaries(parameters))


SHAPES = {
    "create": shape("MERGE (n:Thing {id: $id}) SET n.v = $v", id=IDS, v=VALUES),
    "create from a map": shape(
        "MERGE (n:Thing {id: $id}) SET n += $map", id=IDS, map=st.dictionaries(st.sampled_from("abc"), VALUES)
    ),
    "create strictly": shape(
        "OPTIONAL MATCH (n:Thing {id: $id}) WITH n WHERE n IS NULL CREATE (:Thing {id: $id, v: $v})", id=IDS, v=VALUES
    ),
    "link": shape(
        "MATCH (a:Thing {id: $a}), (b:Thing {id: $b}) MERGE (a)-[r:NEXT]->(b) SET r.v = $v", a=IDS, b=IDS, v=VALUES
    ),
    "link anew": shape(
        "MATCH (a:Thing {id: $a}), (b:Thing {id: $b}) CREATE (a)-[:ALSO {v: $v}]->(b)",
        a=IDS,
        b=IDS,
        v=st.integers(0, 9),
    ),
    "unlink": shape("MATCH (:Thing {id: $a})-[r:NEXT]->(:Thing {id: $b}) DELETE r", a=IDS, b=IDS),
    "append": shape("MATCH (n:Thing {id: $id}) SET n.log = coalesce(n.log, []) + $v", id=IDS, v=st.integers(0, 99)),
    "count": shape("MATCH (n:Thing) WHERE n.id <= $id SET n.count = coalesce(n.count, 0) + 1", id=IDS),
    "look at what is there": shape(
        "MATCH (n:Thing) WITH count(n) AS c, sum(n.count) AS s MATCH (m:Thing {id: $id}) SET m.seen = c * 1000 + s",
        id=IDS,
    ),
    "copy": shape("MATCH (a:Thing {id: $a}), (b:Thing {id: $b}) SET b.v = a.v, b.copied = true", a=IDS, b=IDS),
    "remove": shape("MATCH (n:Thing {id: $id}) REMOVE n.v", id=IDS),
    "delete": shape("MATCH (n:Thing {id: $id}) DETACH DELETE n", id=IDS),
    "for each": shape(
        "MATCH (n:Thing {id: $id}) FOREACH (x IN $list | SET n.last = x)",
        id=IDS,
        list=st.lists(st.integers(0, 9), max_size=3),
    ),
    "rows": shape(
        "UNWIND $ids AS id MERGE (n:Thing {id: id}) ON MATCH SET n.rows = coalesce(n.rows, 0) + 1",
        ids=st.lists(IDS, max_size=4),
    ),
    "with a semicolon": shape("MERGE (n:Thing {id: $id}) SET n.semi = $v;", id=IDS, v=VALUES),
    "with a limit": shape(
        "MATCH (n:Thing) WITH n ORDER BY n.id LIMIT $n SET n.top = $v", n=st.integers(0, 3), v=VALUES
    ),
    "answering": shape("MATCH (n:Thing) RETURN n"),
    "not Cypher": shape("MERGE (n:Thing {id: $id}) RETRUN n", id=IDS),
    "bad where it meets a node": shape("MATCH (n:Thing {id: $id}) SET n.x = $id / 0", id=IDS),
    "bad for null": shape("MERGE (n:Thing {id: $id}) SET n.v = 1", id=st.none()),
    "bad where it is linked": shape("MATCH (n:Thing {id: $id}) DELETE n", id=IDS),
}
SEQUENCES = st.lists(st.one_of(*SHAPES.values()), max_size=30)
WAYS = {
    "one batch": {"write_mode": "buffered", "linger_seconds": 10.0},
    "batches of three": {"write_mode": "buffered", "linger_seconds": 10.0, "max_batch": 3},
    "batches of one": {"write_mode": "buffered", "max_batch": 1},
    "sync": {"write_mode": "sync"},
}


async def run(graph, writes, **options):
    """Write a sequence into an empty corner; return the graph it leaves and the places of what failed."""
    await graph.write("MATCH (n:Thing) DETACH DELETE n")
    failed = set()
    async with BufferedWriter(graph.store, **options) as writer:
        for place, write in enumerate(writes):
            try:
                await writer.submit(graph.text(write.statement), write.parameters)
            except StatementRejectedError:
                failed.add(place)
        await writer.flush()
    failed |= {error.seq for error in writer.errors}
    nodes, links = await graph.snapshot()
    return nodes, sorted(links, key=repr), failed


def examples(count):
    """Try a number of sequences, without the search for a smaller one where each try takes long."""
    phases = [phase for phase in Phase if phase is not Phase.explain]
    quiet = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=count, phases=phases, suppress_health_check=quiet)


@examples(40)
@given(writes=SEQUENCES)
async def test_on_the_embedded_store_every_way_leaves_the_same(embedded_graph, writes):
    """B40, B25: composed, cut up, one by one and awaited; also which of them fail."""
    outcomes = {way: await run(embedded_graph, writes, **options) for way, options in WAYS.items()}
    for way, outcome in outcomes.items():
        assert outcome == outcomes["sync"], way


@examples(12)
@given(writes=SEQUENCES)
async def test_on_neo4j_every_way_leaves_what_the_embedded_store_has(neo4j_graph, memory_graph, writes):
    """B40, B25: the two stores agree, and each with itself."""
    expected = await run(memory_graph, writes, **WAYS["sync"])
    for way, options in WAYS.items():
        assert await run(neo4j_graph, writes, **options) == expected, way


async def test_the_sequences_cover_what_they_promise(memory_graph):
    """Each shape does what it is there for at least once, so that agreeing means something."""
    writes = [
        Write("MERGE (n:Thing {id: $id}) SET n.v = $v", {"id": 1, "v": 1}),
        Write("MATCH (n:Thing {id: $id}) SET n.x = $id / 0", {"id": 1}),
        Write("MATCH (a:Thing {id: $a}), (b:Thing {id: $b}) CREATE (a)-[:ALSO {v: $v}]->(b)", {"a": 1, "b": 1, "v": 2}),
        Write("MATCH (n:Thing {id: $id}) DELETE n", {"id": 1}),
    ]
    nodes, links, failed = await run(memory_graph, writes, **WAYS["one batch"])
    assert (nodes, links, failed) == ({1: {"id": 1, "v": 1}}, [(1, "ALSO", 1, {"v": 2})], {1, 3})
