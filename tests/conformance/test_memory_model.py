"""What `Memory` promises with a language model, on each store."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from perdure import ProviderError, ProviderOutputError, ProviderTimeoutError, RateLimitError
from perdure.testing import FakeLanguageModel

MONDAY = datetime(2024, 5, 6, 9, tzinfo=UTC)


def stated(text, **more):
    return {"text": text, "turn": 1, **more}


def answer(*statements, relations=()):
    return {"statements": list(statements), "relations": list(relations)}


def lives_in(city):
    return answer(stated(f"The user lives in {city}.", subject="user", attribute="lives in", value=city))


def answering(*answers):
    return FakeLanguageModel(answers)


async def test_an_add_asks_the_model_once_and_embeds_once(memory_with):
    """P4: all that was found in one batch, relations among it."""
    said = "I moved to Lisbon with Ana; she works at Acme."
    found = answer(
        stated("The user moved to Lisbon.", entities=["Lisbon"]),
        stated("Ana works at Acme.", entities=["Ana", "Acme"]),
        relations=[{"source": "Ana", "relation": "works at", "target": "Acme"}],
    )
    async with memory_with(llm=answering(found)) as kept:
        batches = []
        embed = kept.embedder.embed
        kept.embedder.embed = lambda texts: batches.append(list(texts)) or embed(texts)
        result = await kept.memory.add(said, **kept.ada)
        assert [each.memory for each in result.results] == ["The user moved to Lisbon.", "Ana works at Acme."]
        assert [(r.source, r.relation, r.target) for r in result.relations] == [("Ana", "works at", "Acme")]
        assert batches[0] == ["The user moved to Lisbon.", "Ana works at Acme."]
        assert {text for batch in batches[1:] for text in batch} <= {"Ana works at Acme"}  # the fact, by the index
        facts = await kept.memory.client.long_term.get_facts_about("Ana", **kept.ada)
        assert [(fact.subject, fact.predicate, fact.object) for fact in facts] == [("Ana", "works at", "Acme")]


async def test_a_model_says_what_takes_the_place_of_what(memory_with):
    """P7: the words differ, the attribute is the same."""
    model = answering(lives_in("Porto"), lives_in("Lisbon"), lives_in("Lisbon"))
    async with memory_with(llm=model) as kept:
        events = []
        for day, said in enumerate(["I live in Porto", "Lisbon is home now", "still in Lisbon"]):
            result = await kept.memory.add(said, observed_at=MONDAY + timedelta(days=day), **kept.ada)
            events += [(each.event, each.previous) for each in result.results]
        assert events == [("ADD", None), ("SUPERSEDE", "The user lives in Porto."), ("NONE", None)]
        assert await kept.texts() == ["The user lives in Lisbon."]


async def test_the_same_found_twice_at_the_same_time_is_one(memory_with):
    """P6: twenty callers, one memory."""
    model = answering(*[lives_in("Porto")] * 20)
    async with memory_with(llm=model) as kept:
        results = await asyncio.gather(*(kept.memory.add(f"I live in Porto {n}", **kept.ada) for n in range(20)))
        assert sorted(each.event for result in results for each in result.results) == ["ADD"] + ["NONE"] * 19
        assert await kept.texts() == ["The user lives in Porto."]


@pytest.mark.parametrize(
    "wrong",
    [
        "Sure! I'd be happy to help.", '{"statements": [{"text": "cut of', "", RateLimitError("Slow down."),
        ProviderTimeoutError("Too slow."), ProviderError("No."),
    ],
    ids=repr,
)  # fmt: skip
async def test_a_model_that_fails_is_an_error_and_nothing_is_kept(memory_with, wrong):
    """P5: it is told from "nothing to remember"."""
    async with memory_with(llm=answering(wrong, answer())) as kept:
        expected = ProviderOutputError if isinstance(wrong, str) else type(wrong)
        with pytest.raises(expected):
            await kept.memory.add("I like tea", **kept.ada)
        assert await kept.nodes() == 0
        result = await kept.memory.add("hello", **kept.ada)
        assert (result.results, result.complete) == ([], True)
        assert await kept.nodes() == 0


async def test_what_was_accepted_is_kept_word_for_word_where_the_model_fails_for_good(memory_with, monkeypatch):
    """P9: nothing of it is lost."""
    monkeypatch.setattr("perdure.pipelines.inbox.FIRST_PAUSE", 0.001)
    async with memory_with(llm=answering()) as kept:
        await kept.memory.add("I like tea", wait="accepted", **kept.ada)
        assert await kept.memory.flush(20)
        assert await kept.texts() == ["I like tea"]


async def test_what_is_not_inferred_does_not_ask_the_model(memory_with):
    """P3: word for word."""
    model = answering()
    async with memory_with(llm=model) as kept:
        await kept.memory.add("I like tea", infer=False, **kept.ada)
        assert await kept.texts() == ["I like tea"]
        assert model.asked == []
