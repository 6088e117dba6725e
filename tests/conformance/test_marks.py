"""The mark: each lane's progress is part of the transaction, so that a batch has its effect exactly once."""

import asyncio

import pytest

from perdure.errors import ConflictError, StatementRejectedError

APPEND = "MERGE (n:Thing {id: 1}) SET n.log = coalesce(n.log, []) + $v"
APPEND_ALONE = f"{APPEND} RETURN n AS __row"  # a name that Neo4j's store keeps for itself when it composes
OTHER_APPEND = "MERGE (n:Thing {id: 1}) ON CREATE SET n.log = [$v] ON MATCH SET n.log = coalesce(n.log, []) + [$v]"
CREATE = "CREATE (n:Thing {v: $v})"
FROM_A_MAP = "CREATE (n:Other $props)"
BAD = "MATCH (n:Thing) SET n.x = 1 / 0 "


def appends(*values, text=APPEND):
    return [(text, {"v": value}) for value in values]


async def log(graph):
    rows = await graph.read("MATCH (n:Thing {id: 1}) RETURN n.log AS log")
    return rows[0]["log"] if rows else []


@pytest.fixture(params=["composed", "one by one", "mixed"])
def batch(request):
    """Writes that append 0, 1, 2 … in the ways a store may send them: together, each by itself, and both."""

    def make(*values):
        if request.param == "composed":
            return appends(*values)
        if request.param == "one by one":
            return [(f"{APPEND} // {value}", {"v": value}) for value in values]
        return [(APPEND_ALONE if value % 3 == 2 else APPEND, {"v": value}) for value in values]

    return make


async def test_the_batches_of_these_tests_go_the_ways_they_are_called_after(neo4j_graph):
    """A white-box look, without which the tests below might all go one way."""
    graph = neo4j_graph
    for text in (APPEND, APPEND_ALONE, f"{APPEND} // 1"):
        await graph.apply(*[(text, {"v": 0})] * (1 if "//" in text else 3), lane=text)
    verdicts = [graph.store._verdicts.get(graph.text(text)) for text in (APPEND, APPEND_ALONE, f"{APPEND} // 1")]
    assert verdicts == [True, False, None]


async def test_a_batch_sent_twice_is_applied_once(graph, batch):
    """J4: a lost answer makes the drain send the same batch again."""
    assert await graph.apply(*batch(0, 1, 2, 3)) == 4
    assert await graph.apply(*batch(0, 1, 2, 3)) == 4
    assert await log(graph) == [0, 1, 2, 3]


@pytest.mark.parametrize("count", [1, 3])
async def test_a_statement_about_all_nodes_leaves_the_marks_as_they_are(graph, count):
    """J3: what comes after it would count as applied, in its own lane and in others."""
    await graph.apply(*appends(0), lane="other")
    each = ("MATCH (n:_JournalMark) SET n.seq = 1000, n.epoch = 1000", {})
    await graph.apply(*[each] * count)
    await graph.apply(*appends(1), first=count)
    await graph.apply(*appends(2), first=1, lane="other")
    assert await log(graph) == [0, 1, 2]


@pytest.mark.parametrize("count", [1, 3])
async def test_so_is_one_whose_statement_goes_on_from_nothing(graph, count):
    """J4: what counts has a row, also of nothing, so a condition in front of it would not keep it from going on."""
    each = ("MATCH (n:Other) WITH count(n) AS others CREATE (t:Thing {v: $v, others: others})", {"v": 1})
    for _ in range(2):
        assert await graph.apply(*[each] * count) == count
    assert await graph.read("MATCH (n:Thing) RETURN count(n) AS count") == [{"count": count}]


async def test_a_batch_that_is_partly_applied_is_completed(graph, batch):
    """J3: after a crash the batches may be cut differently."""
    await graph.apply(*batch(0, 1, 2))
    assert await graph.apply(*batch(0, 1, 2, 3, 4)) == 5
    assert await graph.apply(*batch(2, 3, 4, 5), first=2) == 4
    assert await log(graph) == [0, 1, 2, 3, 4, 5]


async def test_an_older_batch_does_not_move_the_mark_back(graph, batch):
    """A late copy of something long done changes nothing, then or later."""
    await graph.apply(*batch(0, 1, 2, 3))
    await graph.apply(*batch(0, 1))
    await graph.apply(*batch(2, 3), first=2)
    assert await log(graph) == [0, 1, 2, 3]


async def test_without_the_mark_the_same_batch_is_applied_twice(graph, batch):
    """The control: it is the mark that prevents it."""
    await graph.apply(*batch(0, 1, 2))
    await graph.store.forget_lanes([graph.lane()])
    await graph.apply(*batch(0, 1, 2))
    assert await log(graph) == [0, 1, 2, 0, 1, 2]


async def test_lanes_have_marks_of_their_own(graph, batch):
    """What one lane has applied says nothing of another."""
    await graph.apply(*batch(0, 1, 2), lane="one")
    await graph.apply(*batch(3, 4, 5), lane="another")
    await graph.apply(*batch(3, 4, 5), lane="another")
    assert await log(graph) == [0, 1, 2, 3, 4, 5]


async def test_forgetting_a_lane_leaves_the_others(graph):
    """And what was never there is no error."""
    await graph.apply(*appends(0), lane="one")
    await graph.apply(*appends(1), lane="another")
    await graph.store.forget_lanes([graph.lane("one"), graph.lane("never")])
    await graph.store.forget_lanes([])
    await graph.apply(*appends(0), lane="one")
    await graph.apply(*appends(1), lane="another")
    assert await log(graph) == [0, 1, 0]


async def test_a_forgotten_lane_leaves_nothing_in_the_graph(graph):
    """The marks are the only nodes that Perdure adds."""
    await graph.apply(*appends(0, 1))
    question = "MATCH (k:_JournalMark {id: $lane}) RETURN count(k)"
    assert await graph.value(question, {"lane": graph.lane()}) == 1
    await graph.store.forget_lanes([graph.lane()])
    assert await graph.value(question, {"lane": graph.lane()}) == 0


async def test_an_older_owner_is_refused(graph, batch):
    """J5: one that wakes up late applies nothing, even what nobody has applied."""
    await graph.apply(*batch(0, 1), epoch=2)
    for late in (batch(0, 1), batch(0, 1, 2, 3)):
        with pytest.raises(ConflictError):
            await graph.apply(*late, epoch=1)
    with pytest.raises(ConflictError):
        await graph.apply(*batch(2), first=2, epoch=1)
    assert await log(graph) == [0, 1]


async def test_a_newer_owner_takes_over_where_the_older_left_off(graph, batch):
    """It applies what the older one did not, and the older one applies nothing after that."""
    await graph.apply(*batch(0, 1), epoch=1)
    await graph.apply(*batch(0, 1, 2), epoch=2)
    with pytest.raises(ConflictError):
        await graph.apply(*batch(2, 3), first=2, epoch=1)
    await graph.apply(*batch(3), first=3, epoch=3)
    assert await log(graph) == [0, 1, 2, 3]


async def test_a_newer_owner_with_nothing_new_still_takes_over(graph, batch):
    """The replay of what is done is what an owner may begin with."""
    await graph.apply(*batch(0, 1), epoch=1)
    await graph.apply(*batch(0, 1), epoch=2)
    with pytest.raises(ConflictError):
        await graph.apply(*batch(2), first=2, epoch=1)
    assert await log(graph) == [0, 1]


async def test_taking_over_fences_the_older_owner(graph, batch):
    """J5: from the moment of taking over, not only from the new owner's first batch."""
    await graph.apply(*batch(0, 1), epoch=1)
    (mark,) = await graph.store.take_over(graph.owner, [graph.lane()], 1)
    assert mark == (graph.lane(), 1, 2)
    with pytest.raises(ConflictError):
        await graph.apply(*batch(2), first=2, epoch=1)
    await graph.apply(*batch(2), first=2, epoch=mark.epoch)
    assert await log(graph) == [0, 1, 2]


async def test_taking_over_finds_every_lane_of_an_owner_and_no_others(graph):
    """Those that are asked for, made where they are not there, and those that nobody remembers."""
    await graph.apply(*appends(0), lane="forgotten", epoch=7)
    await graph.apply(*appends(0, 1, 2), lane="known", epoch=3)
    marks = await graph.store.take_over(graph.owner, [graph.lane("known"), graph.lane("new")], 5)
    found = {mark.lane: (mark.seq, mark.epoch) for mark in marks}
    assert found == {graph.lane("forgotten"): (0, 8), graph.lane("known"): (2, 5), graph.lane("new"): (-1, 5)}
    assert await graph.store.take_over(f"{graph.owner}-nobody", [], 1) == []


async def test_taking_over_again_raises_the_epoch_again(graph):
    """J5: whoever comes last is the owner, also of a journal that was copied."""
    epochs = [(await graph.store.take_over(graph.owner, [graph.lane()], 1))[0].epoch for _ in range(3)]
    assert epochs == [1, 2, 3]


async def test_a_rejected_batch_leaves_nothing(graph, batch):
    """Neither its writes nor the mark: the good ones can be sent again."""
    await graph.apply(*batch(0))
    with pytest.raises(StatementRejectedError):
        await graph.apply(*batch(1, 2), BAD, *batch(3), first=1)
    assert await log(graph) == [0]
    await graph.apply(*batch(1, 2), first=1)
    await graph.apply(*batch(3), first=4)
    assert await log(graph) == [0, 1, 2, 3]


async def test_a_rejected_first_batch_leaves_no_mark(graph, batch):
    """Also where the lane was never seen before."""
    with pytest.raises(StatementRejectedError):
        await graph.apply(*batch(0, 1), BAD)
    assert await graph.value("MATCH (k:_JournalMark {id: $lane}) RETURN count(k)", {"lane": graph.lane()}) == 0
    await graph.apply(*batch(0, 1))
    assert await log(graph) == [0, 1]


async def test_a_bad_statement_that_is_applied_already_is_not_run_again(graph):
    """A replay does not even look at what is below the mark."""
    await graph.apply(*appends(0), "CREATE (n:Other {id: 1}) ", *appends(2))
    await graph.write("CREATE (n:Other {id: 2, blocks: true})")
    await graph.apply(*appends(0), "MATCH (n:Other {blocks: true}) SET n.x = 1 / 0", *appends(2, 3))
    assert await log(graph) == [0, 2, 3]


@pytest.mark.parametrize("place", [0, 3, 7])
async def test_a_statement_run_by_itself_is_named_by_its_place(graph, place):
    """B26: where the store can tell which one it was, it says so."""
    writes = [(f"{APPEND} // {value}", {"v": value}) for value in range(8)]
    writes[place] = ("MAKE ME A SANDWICH", {})
    with pytest.raises(StatementRejectedError) as refused:
        await graph.apply(*writes)
    assert refused.value.position == place


async def test_the_place_is_that_in_the_batch_not_among_what_is_new(graph):
    """After a replay too."""
    await graph.apply(*[(f"{APPEND} // {value}", {"v": value}) for value in range(3)])
    replay = [(f"{APPEND} // {value}", {"v": value}) for value in range(6)]
    replay[4] = (BAD, {})
    with pytest.raises(StatementRejectedError) as refused:
        await graph.apply(*replay)
    assert refused.value.position == 4
    assert await log(graph) == [0, 1, 2]


async def test_order_holds_across_alternating_texts(graph):
    """B21, B23: three texts that append to one list, some sent together and some not."""
    texts = [APPEND, OTHER_APPEND, APPEND_ALONE]
    writes = [(texts[value % 3], {"v": value}) for value in range(60)]
    await graph.apply(*writes[:30])
    await graph.apply(*writes[30:], first=30)
    assert await log(graph) == list(range(60))


async def test_create_then_link_then_change_is_never_reordered(graph):
    """B23: each statement finds what the one before it made."""
    create = "CREATE (n:Thing {id: $id, hops: 0})"
    link = "MATCH (a:Thing {id: $before}), (b:Thing {id: $id}) CREATE (a)-[:NEXT]->(b)"
    count = "MATCH (a:Thing {id: $before})-[:NEXT]->(b:Thing {id: $id}) SET b.hops = a.hops + 1"
    writes = []
    for number in range(40):
        ends = {"before": number - 1, "id": number}
        writes += [(create, {"id": number}), (link, ends), (count, ends)]
    await graph.apply_all(*writes)
    rows = await graph.read("MATCH (n:Thing) RETURN n.hops AS hops ORDER BY n.id")
    assert [row["hops"] for row in rows] == list(range(40))


async def test_a_statement_may_match_nothing_return_nothing_or_return_many_rows(graph):
    """The mark is right after each of them."""
    writes = [
        ("MATCH (n:Thing {id: $v}) SET n.x = 1", {"v": 404}),
        ("UNWIND range(1, $v) AS x RETURN x", {"v": 50}),
        ("MATCH (n:Thing {id: $v}) DETACH DELETE n", {"v": 404}),
        ("UNWIND [] AS x CREATE (:Other {v: $v})", {"v": 1}),
        *appends(4),
    ]
    for _ in range(2):
        assert await graph.apply(*writes, *writes[:-1], first=0) == 9
    assert await log(graph) == [4]


STEPWISE = {
    "from a map": ("CREATE (n:Other $props)", {"props": {"v": 1}}),
    "a limit": ("UNWIND [1, 2, 3] AS x WITH x LIMIT $n CREATE (:Other {v: x})", {"n": 1}),
    "a semicolon": ("CREATE (n:Other {v: $v});", {"v": 1}),
    "a row variable of ours": ("WITH $v AS __row CREATE (n:Other {v: __row})", {"v": 1}),
    "a comment at the end": ("CREATE (n:Other {v: $v}) //", {"v": 1}),
    "a union": ("CREATE (n:Other {v: $v}) RETURN 1 AS x UNION RETURN 2 AS x", {"v": 1}),
    "a variable called like the mark's": ("WITH $v AS done, 1 AS k, 2 AS n CREATE (:Other {v: done})", {"v": 1}),
}


@pytest.mark.parametrize("write", [pytest.param(write, id=name) for name, write in STEPWISE.items()])
async def test_a_statement_that_stands_in_no_other_keeps_its_place(graph, write):
    """Whatever a store can put together and whatever it cannot, the order is that of the batch."""
    look = "MATCH (n:Other) WITH count(n) AS c MERGE (n:Thing {id: 1}) SET n.log = coalesce(n.log, []) + (c + $v)"
    writes = [(look, {"v": 0}), write, (look, {"v": 0}), write, write, (look, {"v": 0})] * 2
    await graph.apply_all(*writes)
    await graph.apply_all(*writes)
    assert await log(graph) == [0, 1, 3, 3, 4, 6]


async def test_a_backslash_and_a_quote_do_not_break_out(graph):
    """T13: values are values, also where texts are put together."""
    nasty = "\\'\"`}) } UNION MATCH (n:Thing) DETACH DELETE n //\\u0027"
    await graph.apply(
        *appends(*[nasty] * 3), (f"{APPEND} // \\u0041", {"v": "a"}), (f"{APPEND} // \\u0041", {"v": "b"})
    )
    assert await log(graph) == [nasty, nasty, nasty, "a", "b"]


async def test_a_unicode_escape_in_a_text_is_taken_as_neo4j_takes_it(graph):
    r"""In a string `\u0041` is A, alone and in a batch."""
    statement = "MERGE (n:Thing {id: 1}) SET n.log = coalesce(n.log, []) + '\\u0041\\n'"
    await graph.write(statement)
    await graph.apply(statement, statement)
    assert await log(graph) == ["A\n"] * 3


async def test_a_batch_of_many_texts_is_applied_in_order(graph):
    """More distinct texts than go together."""
    await graph.apply_all(*[(f"{APPEND} /* {value % 40} */", {"v": value}) for value in range(120)])
    assert await log(graph) == list(range(120))


async def test_a_batch_sent_by_two_owners_at_once_is_applied_once(graph):
    """J5: the newer one, or both in turn; never twice and never not."""
    writes = appends(*range(20))
    outcomes = await asyncio.gather(
        *(graph.apply(*writes, epoch=epoch) for epoch in (1, 2, 1, 2)), return_exceptions=True
    )
    assert all(outcome == 20 or isinstance(outcome, ConflictError) for outcome in outcomes)
    assert await log(graph) == list(range(20))


async def test_a_constraint_violation_is_a_rejection(graph):
    """B28: trying again would change nothing."""
    name = f"perdure_test_{graph.lane().partition('/')[0]}"
    await graph.write(f"CREATE CONSTRAINT {name} IF NOT EXISTS FOR (n:Thing) REQUIRE n.code IS UNIQUE")
    try:
        await graph.apply(("CREATE (n:Thing {id: 1, code: $code})", {"code": "a"}))
        for again in (2, 3):
            with pytest.raises(StatementRejectedError):
                await graph.apply(("CREATE (n:Thing {id: $id, code: $code})", {"id": again, "code": "a"}), first=1)
        assert await graph.read("MATCH (n:Thing) RETURN n.id AS id") == [{"id": 1}]
    finally:
        await graph.write(f"DROP CONSTRAINT {name} IF EXISTS")


async def test_parameters_that_a_text_does_not_name_do_no_harm(graph):
    """Alone and put together."""
    await graph.apply(*[(APPEND, {"v": value, "unused": {"a": [1]}}) for value in range(3)])
    assert await log(graph) == [0, 1, 2]
