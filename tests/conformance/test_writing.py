"""Buffered writes on real stores: whichever way a script is written, the graph it leaves is the same."""

import asyncio
import logging

import pytest

from perdure import BufferedWriter
from perdure.errors import ConflictError, InputError, StatementRejectedError, WriteFailed
from perdure.testing import wait_until

MODES = ["sync", "buffered", "deferred"]
SECRET = "the launch code is 4711"


def script(graph):
    """Write a short conversation as an agent would: nodes, links, changes, and things taken back."""
    say = graph.text("MERGE (m:Thing {id: $id}) SET m.role = $role, m.content = $content")
    link = graph.text("MATCH (a:Thing {id: $a}), (b:Thing {id: $b}) MERGE (a)-[r:NEXT]->(b) SET r.n = $n")
    entity = graph.text("CREATE (e:Thing $props)")
    mention = graph.text(
        "MATCH (m:Thing {id: $m}), (e:Thing {id: $e}) MERGE (m)-[:MENTIONS]->(e) SET e.n = coalesce(e.n, 0) + 1"
    )
    for number in range(30):
        yield say, {"id": f"m{number}", "role": "user" if number % 2 else "assistant", "content": f"line {number}"}
        if number:
            yield link, {"a": f"m{number - 1}", "b": f"m{number}", "n": number}
        if number % 10 == 0:
            yield entity, {"props": {"id": f"e{number}", "name": "Ana", "tags": ["a", "b"], "type": "PERSON"}}
        yield mention, {"m": f"m{number}", "e": f"e{number - number % 10}"}
    yield graph.text("MATCH (m:Thing {id: $id}) DETACH DELETE m"), {"id": "m7"}
    yield graph.text("MATCH (e:Thing {id: $id}) SET e.tags = e.tags + $tag REMOVE e.name"), {"id": "e10", "tag": "c"}


@pytest.mark.parametrize("write_mode", MODES)
async def test_every_mode_leaves_the_same_graph(graph, client_of, write_mode):
    """B40: what is read afterwards does not tell how it was written, nor into which store."""
    async with client_of(graph, write_mode=write_mode) as client:
        for statement, parameters in script(graph):
            await client.buffered.submit(statement, parameters)
        summary = await client.flush()
    nodes, links = await graph.snapshot()
    assert (summary.committed, summary.failed, summary.unsettled, len(client.write_errors)) == (94, 0, 0, 0)
    assert nodes == {message: {"id": message, **said} for message, said in messages()} | {
        "e0": {"id": "e0", "n": 10, "name": "Ana", "tags": ["a", "b"], "type": "PERSON"},
        "e10": {"id": "e10", "n": 10, "tags": ["a", "b", "c"], "type": "PERSON"},
        "e20": {"id": "e20", "n": 10, "name": "Ana", "tags": ["a", "b"], "type": "PERSON"},
    }
    steps = [(f"m{n - 1}", "NEXT", f"m{n}", {"n": n}) for n in range(1, 30) if n not in (7, 8)]
    mentions = [(f"m{n}", "MENTIONS", f"e{n - n % 10}", {}) for n in range(30) if n != 7]
    assert sorted(links, key=repr) == sorted(steps + mentions, key=repr)


def messages():
    """Return the messages that the script leaves: all but the one it takes back."""
    roles = ("assistant", "user")
    return [(f"m{n}", {"role": roles[n % 2], "content": f"line {n}"}) for n in range(30) if n != 7]


APPEND = "MERGE (n:Thing {id: $id}) SET n.log = coalesce(n.log, []) + $v"
APPEND_ALONE = f"{APPEND} RETURN n AS __row"  # a name that Neo4j's store keeps for itself when it composes


async def logs(graph):
    return {row["id"]: row["log"] for row in await graph.read("MATCH (n:Thing) RETURN n.id AS id, n.log AS log")}


async def test_sync_mode_returns_after_the_commit_and_raises_the_stores_error(graph):
    """B1: also what the store says no to."""
    async with BufferedWriter(graph.store) as writer:
        receipt = await writer.submit(graph.text(APPEND), {"id": 1, "v": 1})
        assert receipt.state == "committed"
        assert await logs(graph) == {1: [1]}
        with pytest.raises(StatementRejectedError):
            await writer.submit("NOT CYPHER")
        assert (writer.stats().committed, writer.stats().failed, list(writer.errors)) == (1, 1, [])


async def test_writes_without_a_key_are_committed_in_the_order_of_submission(graph):
    """B21: under back-pressure, and with a text that changes all the time."""
    texts = [APPEND, f"{APPEND};", APPEND_ALONE, f"/* other */ {APPEND}"]
    async with BufferedWriter(graph.store, write_mode="buffered", max_pending=20, max_batch=7) as writer:
        for value in range(200):
            await writer.submit(graph.text(texts[value % 4]), {"id": 1, "v": value})
        await writer.flush()
        assert writer.stats().high_water <= 20
    assert await logs(graph) == {1: list(range(200))}


async def test_each_key_keeps_its_order_with_many_producers(graph):
    """B21: twelve keys over four lanes, fed by as many tasks, through a small buffer."""
    async with BufferedWriter(graph.store, write_mode="buffered", max_pending=16, lanes=4) as writer:

        async def produce(key):
            for value in range(25):
                await writer.submit(graph.text(APPEND), {"id": key, "v": value}, key=key)

        await asyncio.gather(*(produce(f"key {number}") for number in range(12)))
        summary = await writer.flush()
    assert summary.committed == 300
    assert await logs(graph) == {f"key {number}": list(range(25)) for number in range(12)}


async def test_create_then_link_is_never_split_wrongly(graph):
    """B23: batches of seven cut the pairs anywhere."""
    create = graph.text("CREATE (n:Thing {id: $id})")
    link = graph.text("MATCH (a:Thing {id: $a}), (b:Thing {id: $id}) CREATE (a)-[:NEXT]->(b)")
    async with BufferedWriter(graph.store, write_mode="buffered", max_batch=7) as writer:
        for number in range(60):
            await writer.submit(create, {"id": number})
            await writer.submit(link, {"a": number - 1, "id": number})
    _, links = await graph.snapshot()
    assert links == [(number - 1, "NEXT", number, {}) for number in range(1, 60)]


async def test_a_burst_takes_far_fewer_transactions_than_writes(graph):
    """B24: a thousand writes of one shape."""
    create = graph.text("CREATE (n:Thing {id: $id})")
    async with BufferedWriter(graph.store, write_mode="buffered", max_pending=1000) as writer:
        for number in range(1000):
            await writer.submit(create, {"id": number})
        await writer.flush()
        stats = writer.stats()
    assert (stats.committed, stats.failed) == (1000, 0)
    assert stats.batches <= 40
    assert await graph.value("MATCH (n:Thing) RETURN count(n)") == 1000


BAD = {
    "no Cypher": ("MERGE (n:Thing {id: $id}) RETRUN n", {"id": 1}),
    "what fails as it runs": ("MATCH (n:Thing {id: $id}) SET n.x = 1 / $zero", {"id": 1, "zero": 0}),
    "a value that cannot be": ("MATCH (n:Thing {id: $id}) SET n.x = date($text)", {"id": 1, "text": "yesterday"}),
    "a row of the common text": (APPEND, {"id": None, "v": 1}),
}


@pytest.mark.parametrize("bad", [pytest.param(bad, id=name) for name, bad in BAD.items()])
@pytest.mark.parametrize("place", [0, 33, 99])
async def test_a_bad_statement_fails_alone_and_is_named(graph, place, bad):
    """B25, B26: its ninety-nine neighbours are committed in order, and the one error is its own."""
    statement, parameters = graph.text(bad[0]), bad[1]
    await graph.write("CREATE (n:Thing {id: 1, log: []})")
    async with BufferedWriter(graph.store, write_mode="buffered", linger_seconds=1) as writer:
        receipts = []
        for value in range(100):
            if value == place:
                receipts.append(await writer.submit(statement, parameters))
            else:
                receipts.append(await writer.submit(graph.text(APPEND), {"id": 1, "v": value}))
        summary = await writer.flush()
    assert (summary.committed, summary.failed) == (99, 1)
    assert await logs(graph) == {1: [value for value in range(100) if value != place]}
    [error] = writer.errors
    assert (error.query, error.seq, dict(error.parameters)) == (statement, place, parameters)
    assert isinstance(error.error, StatementRejectedError)
    with pytest.raises(WriteFailed) as failed:
        await receipts[place]
    assert failed.value.query == statement
    assert [receipt.state for receipt in receipts].count("committed") == 99


async def test_several_bad_statements_each_fail_alone(graph):
    """B25, B26: at the ends, side by side and in the middle."""
    places = {0, 1, 20, 40, 41, 42, 59}
    async with BufferedWriter(graph.store, write_mode="buffered", linger_seconds=1) as writer:
        for value in range(60):
            text = f"NONSENSE {value}" if value in places else graph.text(APPEND)
            await writer.submit(text, {"id": 1, "v": value})
        summary = await writer.flush()
    assert (summary.committed, summary.failed) == (53, 7)
    assert await logs(graph) == {1: [value for value in range(60) if value not in places]}
    assert [(error.seq, error.query) for error in writer.errors] == [
        (place, f"NONSENSE {place}") for place in sorted(places)
    ]


@pytest.mark.parametrize("write_mode", ["sync", "buffered"])
async def test_what_a_store_says_names_no_parameter_values(graph, client_of, caplog, write_mode):
    """B34: databases quote what violates a constraint; errors and logs do not pass it on."""
    name = f"perdure_test_{graph.lane().partition('/')[0]}"
    create = graph.text("CREATE (n:Thing {id: $id, code: $code})")
    await graph.write(f"CREATE CONSTRAINT {name} IF NOT EXISTS FOR (n:Thing) REQUIRE n.code IS UNIQUE")
    caplog.set_level(logging.DEBUG, "perdure")
    try:
        async with client_of(graph, write_mode=write_mode) as client:
            await client.buffered.submit(create, {"id": 1, "code": SECRET})
            if write_mode == "sync":
                with pytest.raises(StatementRejectedError) as refused:
                    await client.buffered.submit(create, {"id": 2, "code": SECRET})
                said = f"{refused.value} {refused.value!r} {refused.value.__cause__}"
            else:
                receipt = await client.buffered.submit(create, {"id": 2, "code": SECRET})
                with pytest.raises(WriteFailed) as failed:
                    await receipt
                said = f"{failed.value} {failed.value!r} {client.write_errors} {client.write_errors[0]}"
                said += f"{client.write_errors[0]!r} {failed.value.error} {failed.value.error.__cause__}"
    finally:
        await graph.write(f"DROP CONSTRAINT {name} IF EXISTS")
    assert "already exists" in said
    assert SECRET not in said
    assert SECRET not in caplog.text


async def test_what_a_store_says_stays_readable(graph):
    """A value as short as a word of the message does not turn it into dots."""
    async with BufferedWriter(graph.store, write_mode="buffered") as writer:
        await writer.submit(graph.text("MATCH (n:Thing) WHERE n.a = $a AND n.b = $b RETRUN n"), {"a": "e", "b": "I"})
        await writer.flush()
    assert writer.errors[0].error.message.count("…") <= 2


async def test_schema_statements_take_their_place_in_the_order(graph):
    """Neo4j runs them in transactions of their own; what comes before is there, what comes after comes after."""
    name = f"perdure_test_{graph.lane().partition('/')[0]}"
    append = graph.text(APPEND)
    async with BufferedWriter(graph.store, write_mode="buffered", linger_seconds=1) as writer:
        for value in range(5):
            await writer.submit(append, {"id": 1, "v": value})
        await writer.submit(
            graph.text(f"CREATE CONSTRAINT {name} IF NOT EXISTS FOR (n:Thing) REQUIRE n.code IS UNIQUE")
        )
        await writer.submit(graph.text("CREATE (n:Thing {id: 2, log: [], code: 'a'})"))
        await writer.submit(graph.text("CREATE (n:Thing {id: 3, log: [], code: 'a'})"))  # refused from here on
        await writer.submit(append, {"id": 1, "v": 5})
        await writer.submit(f"DROP CONSTRAINT {name}")
        await writer.submit(graph.text("CREATE (n:Thing {id: 4, log: [], code: 'a'})"))  # allowed again
        await writer.submit(append, {"id": 1, "v": 6})
        summary = await writer.flush()
    assert (summary.committed, summary.failed) == (11, 1)
    assert await logs(graph) == {1: list(range(7)), 2: [], 4: []}
    assert [error.seq for error in writer.errors] == [7]


async def test_statements_that_neo4j_runs_only_by_themselves_take_their_place(neo4j_graph):
    """Own transactions, statements that stand in no other, and those that do, mixed in one run."""
    graph = neo4j_graph
    shapes = [
        (APPEND, lambda value: {"id": 1, "v": value}),
        (
            "UNWIND [$v] AS v CALL (v) { MERGE (n:Thing {id: 1}) SET n.log = coalesce(n.log, []) + v } IN TRANSACTIONS",
            lambda value: {"v": value},
        ),
        (APPEND_ALONE, lambda value: {"id": 1, "v": value}),
        ("MATCH (n:Thing {id: 1}) WITH n LIMIT $n SET n.log = n.log + $v", lambda value: {"n": 1, "v": value}),
        ("MATCH (n:Thing {id: 1}) CALL (n) { SET n.log = n.log + $v }", lambda value: {"v": value}),
        ("MERGE (n:Thing {id: 1}) SET n += {last: $v}, n.log = n.log + $v", lambda value: {"v": value}),
    ]
    async with BufferedWriter(graph.store, write_mode="buffered", linger_seconds=1) as writer:
        for value in range(60):
            statement, parameters = shapes[value % len(shapes)]
            await writer.submit(graph.text(statement), parameters(value))
        summary = await writer.flush()
    assert (summary.committed, summary.failed) == (60, 0)
    assert await logs(graph) == {1: list(range(60))}


async def test_a_bad_statement_among_those_run_by_themselves_fails_alone(neo4j_graph):
    """B25: also where it needs a transaction of its own."""
    graph = neo4j_graph
    alone = "UNWIND [1] AS x CALL (x) { MATCH (n:Thing {id: 1}) SET n.x = 1 / $zero } IN TRANSACTIONS"
    async with BufferedWriter(graph.store, write_mode="buffered", linger_seconds=1) as writer:
        for value in range(10):
            await writer.submit(graph.text(APPEND), {"id": 1, "v": value})
            await writer.submit(graph.text(alone), {"zero": value % 2})
        summary = await writer.flush()
    assert (summary.committed, summary.failed) == (15, 5)
    assert await logs(graph) == {1: list(range(10))}
    assert [error.parameters for error in writer.errors] == [{"zero": 0}] * 5


async def test_a_slow_statement_does_not_stall_other_keys(neo4j_graph, neo4j_driver):
    """B22, B38: one lane waits for a lock that another transaction holds; the others go on."""
    graph = neo4j_graph
    await graph.write("CREATE (:Thing {id: 'held', log: []}), (:Thing {id: 'free', log: []})")
    async with (
        BufferedWriter(graph.store, write_mode="buffered", linger_seconds=0) as writer,
        neo4j_driver.session() as session,
    ):
        transaction = await session.begin_transaction()
        await (await transaction.run(graph.text("MATCH (n:Thing {id: 'held'}) SET n.locked = true"))).consume()
        held = [await writer.submit(graph.text(APPEND), {"id": "held", "v": v}, key="held") for v in range(3)]
        for value in range(20):
            free = await writer.submit(graph.text(APPEND), {"id": "free", "v": value}, key="free")
        await free
        assert {receipt.state for receipt in held} == {"accepted"}
        await transaction.rollback()
        await asyncio.gather(*held)
    assert await logs(graph) == {"held": [0, 1, 2], "free": list(range(20))}


async def test_an_idempotency_key_makes_one_write_of_two(graph):
    """The second submission gets the first one's receipt; another write under the same key is refused."""
    async with BufferedWriter(graph.store, write_mode="buffered") as writer:
        first = await writer.submit(graph.text(APPEND), {"id": 1, "v": 1}, idempotency_key="once")
        again = await writer.submit(graph.text(APPEND), {"id": 1, "v": 1}, idempotency_key="once")
        with pytest.raises(ConflictError):
            await writer.submit(graph.text(APPEND), {"id": 1, "v": 2}, idempotency_key="once")
        await writer.flush()
    assert first is again
    assert await logs(graph) == {1: [1]}


async def test_two_writers_on_one_store_do_not_disturb_each_other(graph):
    """Each has lanes of its own in the store."""
    async with (
        BufferedWriter(graph.store, write_mode="buffered") as one,
        BufferedWriter(graph.store, write_mode="buffered") as other,
    ):
        for value in range(50):
            await one.submit(graph.text(APPEND), {"id": "one", "v": value})
            await other.submit(graph.text(APPEND), {"id": "other", "v": value})
    assert await logs(graph) == {"one": list(range(50)), "other": list(range(50))}


async def test_close_leaves_no_marks_behind(graph):
    """A graph that Perdure wrote into holds what was written, and nothing else."""
    writer = BufferedWriter(graph.store, write_mode="buffered")
    async with writer:
        await writer.submit(graph.text(APPEND), {"id": 1, "v": 1})
        await writer.submit(graph.text(APPEND), {"id": 1, "v": 2}, key="a")
        await writer.flush()
        prefix = writer._journal.identity
        question = "MATCH (k:_JournalMark) WHERE k.id STARTS WITH $prefix RETURN count(k)"
        assert await graph.value(question, {"prefix": prefix}) == 2
    assert await graph.value(question, {"prefix": prefix}) == 0


async def test_a_write_as_large_as_allowed_is_committed_and_a_larger_one_refused(graph):
    """B19, B30: a megabyte travels alone; what can never fit is said at once."""
    async with BufferedWriter(graph.store, write_mode="buffered", max_pending_bytes=3_000_000) as writer:
        for value in range(5):
            await writer.submit(graph.text(APPEND), {"id": value, "v": "x" * 1_200_000})
        with pytest.raises(InputError, match="max_pending_bytes"):
            await writer.submit(graph.text(APPEND), {"id": 9, "v": "x" * 3_000_000})
        await writer.flush()
    assert {key: len(log[0]) for key, log in (await logs(graph)).items()} == dict.fromkeys(range(5), 1_200_000)


async def test_awaiting_a_receipt_hurries_its_write(graph):
    """B31: with a linger longer than the test it would not return otherwise."""
    async with BufferedWriter(graph.store, write_mode="buffered", linger_seconds=10) as writer:
        receipts = [await writer.submit(graph.text(APPEND), {"id": 1, "v": value}) for value in range(3)]
        assert await receipts[1] is receipts[1]
        await wait_until(lambda: receipts[0].state == "committed")
    assert await logs(graph) == {1: [0, 1, 2]}


async def test_a_write_returns_its_rows(graph):
    """B1: what the statement returned in the transaction that is now committed, as a read would give it."""
    rows = await graph.write("CREATE (n:Thing {id: $id, title: 't', name: 'n'}) RETURN n, n.title AS title", {"id": 1})
    assert rows == [{"n": {"id": 1, "title": "t", "name": "n"}, "title": "t"}]
    assert await graph.write("MATCH (n:Thing) SET n.x = 1") == []
    assert await graph.write("MATCH (n:Thing {id: 2}) SET n.x = 1 RETURN n.x AS x") == []
