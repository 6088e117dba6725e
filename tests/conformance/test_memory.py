"""What `Memory` promises, on each store."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from perdure import InputError, NotFoundError
from perdure.pipelines.planning import STATEMENTS_AT_A_TIME

MONDAY = datetime(2024, 5, 6, 9, tzinfo=UTC)


def events(result):
    return [(each.event, each.memory) for each in result.results]


@pytest.mark.parametrize(
    "said",
    ["I like tea.", {"role": "user", "content": "I like tea."}, [{"role": "user", "content": "I like tea."}]],
    ids=["text", "message", "list"],
)
async def test_add_takes_text_a_message_or_a_list(kept, said):
    """P1: and what is remembered is found."""
    result = await kept.memory.add(said, **kept.ada)
    assert events(result) == [("ADD", "I like tea.")]
    assert result.complete
    assert await kept.texts() == await kept.found("tea") == ["I like tea."]
    assert result["results"][0]["memory"] == "I like tea."


async def test_what_is_not_inferred_is_kept_word_for_word(kept):
    """P3: but for the system's; each is embedded once."""
    said = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "I live in Porto."},
        {"role": "assistant", "content": "Noted. ", "name": "bot"},
        {"role": "user", "content": "I live in Lisbon."},
    ]
    before = len(kept.embedder.texts)
    result = await kept.memory.add(said, infer=False, metadata={"n": 1}, **kept.ada)
    assert [text for _, text in events(result)] == ["I live in Porto.", "Noted. ", "I live in Lisbon."]
    assert {event for event, _ in events(result)} == {"ADD"}
    await kept.memory.client.flush()
    assert kept.embedder.texts[before:] == [
        "I live in Porto.", "bot: Noted. ", "I live in Lisbon.",
    ]  # fmt: skip
    assert [each.metadata for each in (await kept.memory.get_all(**kept.ada)).results] == [{"n": 1}] * 3


async def test_identical_memories_are_one_also_when_added_at_the_same_time(kept):
    """P6: one is added, the others say so."""
    results = await asyncio.gather(*(kept.memory.add("  I like   TEA", **kept.ada) for _ in range(20)))
    assert sorted(result.results[0].event for result in results) == ["ADD"] + ["NONE"] * 19
    assert len({result.results[0].id for result in results}) == 1
    assert all(result.complete for result in results)
    assert len(await kept.texts()) == len(await kept.found("tea")) == 1
    assert events(await kept.memory.add("I like tea.", **kept.ada))[0][0] == "NONE"
    assert events(await kept.memory.add("I like tea.", agent_id="other", **kept.ada))[0][0] == "ADD"


async def test_a_contradiction_takes_the_place_of_what_was_true_before(kept):
    """P7: with history, and without a language model for plain cases."""
    first = await kept.memory.add("I live in Porto", observed_at=MONDAY, **kept.ada)
    second = await kept.memory.add("I moved to Lisbon", observed_at=MONDAY + timedelta(days=1), **kept.ada)
    [old], [new] = first.results, second.results
    assert (new.event, new.previous) == ("SUPERSEDE", "I live in Porto")
    assert await kept.texts() == await kept.found("Porto Lisbon") == ["I moved to Lisbon"]
    gone = await kept.memory.get(old.id, **kept.ada)
    assert gone.expired_at is not None
    assert gone.valid_until == MONDAY + timedelta(days=1)
    assert gone.replaced_by == new.id
    told = [(each.event, each.memory, each.previous) for each in await kept.memory.history(old.id, **kept.ada)]
    assert told == [("ADD", "I live in Porto", None), ("SUPERSEDE", "I moved to Lisbon", "I live in Porto")]
    assert await kept.texts(include_expired=True) == ["I live in Porto", "I moved to Lisbon"]


async def test_what_is_told_late_does_not_take_the_place_of_what_was_said_later(kept):
    """P19: when it was observed is what counts."""
    await kept.memory.add("I live in Lisbon", observed_at=MONDAY, **kept.ada)
    await kept.memory.add("I live in Porto", observed_at=MONDAY - timedelta(days=99), **kept.ada)
    assert await kept.texts() == ["I live in Lisbon"]
    assert len(await kept.texts(include_expired=True)) == 2


async def test_one_that_was_true_before_is_valid_again(kept):
    """P7: the same words come back."""
    for day, city in enumerate(["Porto", "Lisbon", "Porto"]):
        await kept.memory.add(f"I live in {city}", observed_at=MONDAY + timedelta(days=day), **kept.ada)
    assert await kept.texts() == ["I live in Porto"]
    await asyncio.wait_for(kept.memory.client.graph.index.caught_up(owner(kept)), 10)
    assert await kept.found("live Porto") == ["I live in Porto"]


def owner(kept):
    return f'["{kept.tenant}","ada"]'


async def test_contradictions_at_the_same_time_leave_one(kept):
    """P7: the one said last."""
    said = [f"I live in City{n}" for n in range(12)]
    await asyncio.gather(
        *(kept.memory.add(text, observed_at=MONDAY + timedelta(days=n), **kept.ada) for n, text in enumerate(said))
    )
    assert await kept.texts() == [said[-1]]
    assert sorted(await kept.texts(include_expired=True)) == sorted(said)


async def test_update_merges_metadata_and_keeps_when_it_was_made(kept):
    """P18: and what was said before is found no more."""
    result = await kept.memory.add("I like tea", metadata={"a": 1, "b": 1}, **kept.ada)
    [made] = result.results
    before = await kept.memory.get(made.id, **kept.ada)
    after = await kept.memory.update(made.id, "I like coffee", metadata={"b": 2, "c": [3]}, **kept.ada)
    assert after == await kept.memory.get(made.id, **kept.ada)
    assert (after.memory, after.metadata) == ("I like coffee", {"a": 1, "b": 2, "c": [3]})
    assert after.created_at == before.created_at < after.updated_at
    assert await kept.found("coffee") == ["I like coffee"]
    told = await kept.memory.history(made.id, **kept.ada)
    assert [(each.event, each.memory, each.previous) for each in told] == [
        ("ADD", "I like tea", None), ("UPDATE", "I like coffee", "I like tea"),
    ]  # fmt: skip
    assert events(await kept.memory.add("I like tea", **kept.ada))[0][0] == "ADD"
    with pytest.raises(NotFoundError):
        await kept.memory.update(made.id, "mine", **kept.bob)


async def test_an_updated_memory_mentions_whom_its_new_words_name(kept):
    """P18: and nobody else any more."""
    mentioned = "MATCH (m:Memory {id: $id})-[:MENTIONS]->(w:EntityName) RETURN w.id AS name ORDER BY name"
    result = await kept.memory.add("We saw Rita and Anna in Porto", **kept.ada)
    [made] = result.results
    given = {"id": owner(kept) + made.id}
    assert len(await kept.graph.store.read(mentioned, given)) == 3
    await kept.memory.update(made.id, "We saw Rita and Ben in Porto", **kept.ada)
    names = [owner(kept) + name for name in ("ben", "porto", "rita")]
    assert [row["name"] for row in await kept.graph.store.read(mentioned, given)] == names
    await kept.memory.update(made.id, "We saw nobody", **kept.ada)
    assert await kept.graph.store.read(mentioned, given) == []


async def test_updates_at_the_same_time_lose_no_metadata(kept):
    """P18: each is laid over the one before."""
    [made] = (await kept.memory.add("I like tea", **kept.ada)).results
    await asyncio.gather(*(kept.memory.update(made.id, f"tea {n}", metadata={str(n): n}, **kept.ada) for n in range(8)))
    after = await kept.memory.get(made.id, **kept.ada)
    assert after.metadata == {str(n): n for n in range(8)}
    assert len(await kept.memory.history(made.id, **kept.ada)) == 9


async def test_delete_forgets_one_and_its_history_says_so(kept):
    """P18: absent is False or None, never an error."""
    [made] = (await kept.memory.add("I like tea", **kept.ada)).results
    assert not await kept.memory.delete(made.id, **kept.bob)
    assert await kept.memory.delete(made.id, **kept.ada)
    assert not await kept.memory.delete(made.id, **kept.ada)
    assert await kept.memory.get(made.id, **kept.ada) is None
    assert await kept.found("tea") == []
    assert [each.event for each in await kept.memory.history(made.id, **kept.ada)] == ["ADD", "DELETE"]
    [again] = (await kept.memory.add("I like tea", **kept.ada)).results
    assert (again.event, again.id) == ("ADD", made.id)
    told = [each.event for each in await kept.memory.history(made.id, **kept.ada)]
    assert told == ["ADD", "DELETE", "ADD"]


async def test_delete_all_reports_exactly_what_is_gone_and_leaves_others(kept):
    """P18: memories, their history, and what was noted with them."""
    said = [{"role": "user", "content": f"Rex met Ana {n} times", "name": "Ada"} for n in range(5)]
    await kept.memory.add(said, agent_id="one", **kept.ada)
    await kept.memory.add("I like tea", agent_id="two", **kept.ada)
    await kept.memory.add("I like tea", **kept.bob)
    report = await kept.memory.delete_all(agent_id="one", **kept.ada)
    assert (report.memories, report.history) == (5, 5)
    assert await kept.texts() == await kept.found("tea Rex") == ["I like tea"]
    assert (await kept.memory.delete_all(**kept.ada)).memories == 1
    assert (await kept.memory.delete_all(**kept.ada)).total == 0
    assert await kept.found("tea", user_id="bob") == ["I like tea"]


async def test_pages_hold_everything_once(kept):
    """P18: in the order in which it was made."""
    said = [{"role": "user", "content": f"number {n}", "metadata": {"odd": n % 2}} for n in range(7)]
    await kept.memory.add(said, **kept.ada)
    seen, cursor = [], None
    while True:
        page = await kept.memory.get_all(limit=3, cursor=cursor, **kept.ada)
        seen += [each.memory for each in page.results]
        if page.cursor is None:
            break
        cursor = page.cursor
    assert seen == [each["content"] for each in said]
    assert await kept.texts(filters={"odd": 1}, limit=2) == ["number 1", "number 3"]


async def test_what_is_only_accepted_is_remembered_in_the_background(kept):
    """P9: and nothing is known of it yet."""
    said = {"role": "user", "content": "I like tea"}
    result = await kept.memory.add(said, wait="accepted", **kept.ada)
    assert (result.results, result.complete) == ([], False)
    assert said == {"role": "user", "content": "I like tea"}
    assert await kept.memory.flush(20)
    assert await kept.texts() == await kept.found("tea") == ["I like tea"]
    rows = await kept.graph.store.read("MATCH (t:ToRemember {owner: $o}) RETURN count(t) AS n", {"o": owner(kept)})
    assert rows == [{"n": 0}]


@pytest.mark.parametrize("wait", ["committed", "accepted"])
async def test_a_long_list_is_one_conversation_in_which_each_thing_is_known_once(kept, wait):
    """P6, P7: whatever number of statements is dealt with at a time."""
    said = ["I live in Porto.", *[f"number {n}" for n in range(2 * STATEMENTS_AT_A_TIME)], "i live in porto"]
    messages = [{"role": "user", "content": text} for text in [*said, "I live in Lisbon."]]
    result = await kept.memory.add(messages, wait=wait, **kept.ada)
    assert await kept.memory.flush(60)
    if wait == "committed":
        assert [event for event, _ in events(result)] == ["ADD"] * (len(said) - 1) + ["NONE", "SUPERSEDE"]
    assert await kept.texts(limit=1000) == [*said[1:-1], "I live in Lisbon."]
    places = await kept.graph.store.read(
        "MATCH (m:Memory {owner: $o}) RETURN count(DISTINCT m.place) AS places", {"o": owner(kept)}
    )
    assert places == [{"places": len(said)}]
    left = await kept.graph.store.read("MATCH (t:ToRemember {owner: $o}) RETURN count(t) AS n", {"o": owner(kept)})
    assert left == [{"n": 0}]


async def test_searching_narrows_by_filters_threshold_and_limit(kept):
    """P15, P16: and says why where it is asked."""
    said = [{"role": "user", "content": f"tea number {n}", "metadata": {"n": n}} for n in range(5)]
    await kept.memory.add(said, **kept.ada)
    assert len(await kept.found("tea", limit=2)) == 2
    assert await kept.found("tea", filters={"n": {"gte": 4}}) == ["tea number 4"]
    assert await kept.found("tea number 3", threshold=0.999) == ["tea number 3"]
    [hit] = (await kept.memory.search("tea", limit=1, explain=True, **kept.ada)).results
    assert hit.why
    assert (await kept.memory.search("tea", limit=1, **kept.ada)).results[0].why is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"query": " "}, {"limit": 0}, {"limit": True}, {"threshold": 1.5}, {"threshold": -0.1},
        {"filters": {"a": {"like": 1}}}, {"filters": {"user_id": "bob"}}, {"user_id": " "}, {"user_id": ""},
    ],
    ids=repr,
)  # fmt: skip
async def test_a_search_that_cannot_be_is_refused(kept, wrong):
    """P16, P2: before anything is done."""
    with pytest.raises(InputError):
        await kept.memory.search(**{"query": "tea", **kept.ada, **wrong})


async def test_the_same_ids_of_two_users_are_two(kept):
    """P2, P6: and ids are trimmed."""
    await kept.memory.add("I like tea", tenant=kept.tenant, user_id=" ada ", agent_id="a", run_id="r")
    await kept.memory.add("I like tea", **kept.bob)
    assert len(await kept.texts()) == len(await kept.found("tea")) == 1
    assert await kept.found("tea", agent_id="other") == []
    assert await kept.found("tea", agent_id="a", run_id="r") == ["I like tea"]


async def seen(kept, whose):
    """Return all that a caller sees of what somebody's memory holds."""
    page = await kept.memory.get_all(include_expired=True, **whose)
    told = [await kept.memory.history(each.id, **whose) for each in page.results]
    found = await kept.memory.search("Rex Porto Lisbon", **whose)
    without = {"tenant", "user_id"}
    return (
        [each.model_dump(exclude=without) for each in page.results],
        [[each.model_dump(exclude=without) for each in one] for one in told],
        {hit.id: round(hit.score, 3) for hit in found.results},
    )


async def test_memories_are_exported_and_imported_as_they_are(kept, tmp_path):
    """T10, P18: with their history, what they mention, and what takes whose place."""
    said = [
        {"role": "user", "content": "Rex is my dog", "name": "Ana", "metadata": {"n": 1}},
        {"role": "assistant", "content": "Is Rex old?", "name": "bot"},
    ]
    await kept.memory.add(said, agent_id="a", **kept.ada)
    for day, city in enumerate(["Porto", "Lisbon"]):
        await kept.memory.add(f"I live in {city}", observed_at=MONDAY + timedelta(days=day), **kept.ada)
    client, path = kept.memory.client, tmp_path / "memory.jsonl"
    count = await client.export(path, **kept.ada)
    assert await client.import_(path, **kept.bob) == count
    await client.import_(path, **kept.bob)
    await asyncio.wait_for(client.graph.index.caught_up(owner(kept).replace("ada", "bob")), 20)
    assert await seen(kept, kept.bob) == await seen(kept, kept.ada)
    again = await kept.memory.add("I moved to Faro", observed_at=MONDAY + timedelta(days=5), **kept.bob)
    assert again.results[0].previous == "I live in Lisbon"


async def test_a_user_is_forgotten_with_what_was_remembered(kept):
    """T9: memories, their history and what was only accepted."""
    await kept.memory.add([{"role": "user", "content": "My dog is Rex", "name": "Ana"}], **kept.ada)
    await kept.memory.add("I like tea", **kept.bob)
    report = await kept.memory.client.users.delete("ada", tenant=kept.tenant)
    assert (report.memories, report.history, report.speakers, report.names) == (1, 1, 1, 1)
    assert await kept.texts() == await kept.found("Rex") == []
    assert await kept.found("tea", user_id="bob") == ["I like tea"]
