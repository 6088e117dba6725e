"""Two owners with overlapping ids, and many searches made up by chance: none gives what is not the asker's."""

import os
import random

from perdure.filters import matches, parse
from perdure.records import VectorQuery
from perdure.stores.sqlite_vectors import file

COMBINATIONS = int(os.environ.get("PERDURE_TEST_COMBINATIONS", "150"))
"""How many searches each store answers; 10,000 take a few minutes."""
KINDS = ("message", "fact", "trace")
SESSIONS, AGENTS = ("s1", "s2", "s3"), ("a1", "a2")
WORDS = "organ chapel Wales lorry ferry piano harbour".split()


def made_up(chance, number, who):
    """Return what a record of an owner is like; every other id is the owner's alone."""
    return {
        "id": f"m{number}" if number % 2 else f"{who}-m{number}",
        "kind": chance.choice(KINDS),
        "session_id": chance.choice([*SESSIONS, None]),
        "agent_id": chance.choice([*AGENTS, None]),
        "expired": chance.random() < 0.2,
        "metadata": {"who": who, "n": chance.randrange(10), "tag": chance.choice(["x", "y", None])},
    }


def condition(chance, depth=0):
    """Return a filter, which may try to widen what is searched."""
    if depth < 2 and chance.random() < 0.4:
        parts = [condition(chance, depth + 1) for _ in range(chance.randrange(1, 4))]
        return {chance.choice(["AND", "OR", "NOT"]): parts}
    return chance.choice(
        [
            {"who": chance.choice(["ann", "bob", "*", None])},
            {"who": {"ne": chance.choice(["ann", "bob"])}},
            {"who": {"in": ["ann", "bob", None]}},
            {"who": {"contains": ""}},
            {"n": {chance.choice(["gte", "lt", "ne"]): chance.randrange(10)}},
            {"tag": chance.choice(["x", "y", None])},
            {"missing": None},
        ]
    )


def narrowed(chance):
    """Return arguments of a search, some of them none."""
    return {
        "session_id": chance.choice([*SESSIONS, None, None]),
        "agent_id": chance.choice([*AGENTS, None, None]),
        "kinds": tuple(chance.sample(KINDS, chance.randrange(3))),
        "include_expired": chance.random() < 0.5,
        "filters": condition(chance) if chance.random() < 0.7 else None,
    }


def is_due(record, query):
    """Return whether a search may give a record, as the behaviours say it."""
    return (
        (query["session_id"] in (None, record["session_id"]))
        and (query["agent_id"] in (None, record["agent_id"]))
        and (not query["kinds"] or record["kind"] in query["kinds"])
        and (query["include_expired"] or not record["expired"])
        and matches(parse(query["filters"]), record["metadata"])
    )


async def leaks(index):
    """Return how many searches gave a record that was not due, and how many gave any."""
    chance = random.Random(5)
    owners = {who: index.owner(who) for who in ("ann", "bob")}
    kept = {who: [made_up(chance, number, who) for number in range(40)] for who in owners}
    for who, records in kept.items():
        texts = [" ".join(chance.sample(WORDS, 3)) for _ in records]
        await index.store.upsert(
            [await index.record(text, owner=owners[who], **record) for text, record in zip(texts, records, strict=True)]
        )
    leaked = answered = 0
    for _ in range(COMBINATIONS):
        who, query = chance.choice(list(owners)), narrowed(chance)
        due = {record["id"] for record in kept[who] if is_due(record, query)}
        found = await index.ids(" ".join(chance.sample(WORDS, 2)), owner=owners[who], **query)
        leaked += not found <= due
        answered += bool(found)
        assert found == due or leaked, "a limit of 50 leaves out none of 40"
    return leaked, answered


async def test_no_search_gives_what_is_anothers(index):
    """T2, T12: whatever is narrowed and filtered."""
    leaked, answered = await leaks(index)
    assert leaked == 0
    assert answered > COMBINATIONS / 4


async def test_without_the_owner_a_search_would_give_it(index, monkeypatch):
    """Control: the same searches find leaks when the clause is gone."""
    without_owners(index.store, monkeypatch)
    leaked, _ = await leaks(index)
    assert leaked > 0


def without_owners(store, monkeypatch):
    """Take the owner out of what a store asks for."""
    if hasattr(store, "records"):
        search = type(store).search

        async def everybodys(self, query):
            owners = {owner for owner, _ in self.records}
            return [hit for owner in owners for hit in await search(self, of(query, owner))]

        monkeypatch.setattr(type(store), "search", everybodys)
    elif hasattr(store, "_texts"):
        for name in ("exact", "worded"):
            text = getattr(store._texts, name).replace("n.owner = $owner AND", "").replace("{owner: $owner}", "")
            monkeypatch.setattr(store._texts, name, text)
    else:
        monkeypatch.setattr(file, "ROWS", file.ROWS.replace("owner = ?", "? IS NOT NULL"))


def of(query, owner):
    return VectorQuery(
        owner,
        query.vector,
        query.text,
        kinds=query.kinds,
        agent_id=query.agent_id,
        session_id=query.session_id,
        filter=query.filter,
        include_expired=query.include_expired,
    )
