"""What is to be done about each statement, given what is remembered already."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.pipelines.identity import memory_id, normalised
from perdure.pipelines.resolve import id_of, resolve
from perdure.pipelines.statements import Existing, Statement

START = datetime(2026, 3, 1, tzinfo=UTC)
LIVES = "user|lives in"


def day(number):
    return START + timedelta(days=number)


def said(text, on=0, value=None, *, role="user", **more):
    return Statement(text, day(on), role=role, slot=LIVES if value else None, value=value, **more)


def told(*calls, known=()):
    """Return what is remembered after these calls, by id, and the last one's decisions."""
    memories = {memory.id: memory for memory in known}
    decisions = []
    for call in calls:
        decisions = resolve(call, memories.values(), scope_key="s")
        for decision in decisions:
            for replaced in decision.replaces:
                memories[replaced.id] = replace(memories[replaced.id], expired=True)
            memories[decision.id] = decision.memory
    return memories, decisions


def events(decisions):
    return [decision.event for decision in decisions]


def valid(memories):
    return {memory.text for memory in memories.values() if not memory.expired}


# -- which texts are one


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("I live in Porto", "i  live\tin PORTO."),
        ("I live in Porto", "\n I live in Porto!! "),
        ("Straße", "STRASSE"),
        ("café", "cafe\u0301"),
        ("ﬁne…", "fine"),
        ("東京です。", "東京です"),
    ],
)
def test_texts_that_differ_in_form_only_are_one(one, other):
    """P6: case, spacing, the way letters are encoded, and the full stop make no other memory."""
    assert normalised(one) == normalised(other)
    assert memory_id("s", one) == memory_id("s", other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("You live in Porto", "You live in Porto?"), ("...", "!"), ("a b", "ab"), ("😀", "😁"), ("\0", "")],
)
def test_texts_that_say_something_else_are_two(one, other):
    assert normalised(one) != normalised(other)
    assert memory_id("s", one) != memory_id("s", other)


@given(st.text(st.characters()), st.text())
def test_the_normalised_form_is_its_own_normalised_form(text, scope_key):
    """Also for halves of surrogate pairs, which nothing else here accepts."""
    assert normalised(normalised(text)) == normalised(text)
    assert memory_id(scope_key, normalised(text)) == memory_id(scope_key, text)


def test_ids_are_uuids_of_version_8():
    """RFC 9562; the same in every process and every release, since stored memories are found by it."""
    made = memory_id('["acme","u1"]', "I live in Porto.")
    assert made == "561e9a59-3e1f-8815-b611-5833df2e37f3"
    parsed = uuid.UUID(made)
    assert (parsed.version, parsed.variant, str(parsed)) == (8, uuid.RFC_4122, made)


def test_ids_tell_scopes_and_speakers_apart():
    """P6: one memory a scope; two people who say the same are two memories. Nothing slips from one part to the next."""
    ids = {
        memory_id("s", "I like tea"),
        memory_id("t", "I like tea"),
        memory_id("s", "I like tea", name="Ana"),
        memory_id("s", "I like tea", name="Rui"),
        memory_id("sAna", "I like tea"),
        memory_id("", "s I like tea"),
    }
    assert len(ids) == 6
    assert memory_id("s", "I like tea", name="Ana") == memory_id("s", "i like tea.", name=" ANA ")


# -- plain decisions


def test_something_new_is_added():
    (decision,) = resolve([said("I like tea")], [], scope_key="s")
    assert decision.event == "ADD"
    assert decision.id == memory_id("s", "I like tea") == id_of(decision.statement, "s")
    assert decision.memory == Existing(decision.id, "I like tea", day(0))
    assert decision.changes


def test_what_is_there_is_not_added_again():
    """P6, in one call and in the next."""
    memories, decisions = told([said("I like tea"), said("i like  TEA!")])
    assert events(decisions) == ["ADD", "NONE"]
    assert decisions[1].existing == decisions[0].memory
    memories, decisions = told([said("I like tea", on=9)], known=memories.values())
    assert events(decisions) == ["NONE"]
    assert not decisions[0].changes
    assert len(memories) == 1


def test_the_same_words_of_two_people_are_two_memories():
    _, decisions = told(
        [said("I like tea", name="Ana"), said("I like tea", name="Rui"), said("I like tea", name="ana")]
    )
    assert events(decisions) == ["ADD", "ADD", "NONE"]


def test_a_later_answer_supersedes():
    """P7: "I live in Porto", then "I moved to Lisbon"."""
    porto, lisbon = said("I live in Porto", 0, "porto"), said("I moved to Lisbon last month.", 30, "lisbon")
    memories, decisions = told([porto], [lisbon])
    assert events(decisions) == ["SUPERSEDE"]
    assert [old.text for old in decisions[0].replaces] == ["I live in Porto"]
    assert valid(memories) == {"I moved to Lisbon last month."}
    assert len(memories) == 2


def test_every_earlier_answer_is_superseded_and_no_other_slot():
    known, _ = told(
        [said("I live in Porto", 0, "porto"), said("Porto is my home", 1, "porto")],
        [replace(said("Ana lives in Porto", 0, "porto"), slot="ana|lives in")],
    )
    memories, decisions = told([said("I live in Faro", 2, "faro")], known=known.values())
    assert len(decisions[0].replaces) == 2
    assert valid(memories) == {"I live in Faro", "Ana lives in Porto"}


def test_an_answer_from_before_is_kept_as_outdated():
    """P19: an import of old messages does not undo what is known since."""
    memories, decisions = told([said("I live in Lisbon", 30, "lisbon")], [said("I live in Porto", 0, "porto")])
    assert events(decisions) == ["ADD"]
    assert decisions[0].outdated is not None
    assert decisions[0].outdated.text == "I live in Lisbon"
    assert decisions[0].memory.expired
    assert valid(memories) == {"I live in Lisbon"}


def test_contradictions_in_one_call_are_settled_by_when_they_were_said_then_by_place():
    memories, decisions = told(
        [said("I live in Faro", 2, "faro"), said("I live in Porto", 1, "porto"), said("I live in Lagos", 2, "lagos")]
    )
    assert [decision.statement.value for decision in decisions] == ["porto", "faro", "lagos"]
    assert events(decisions) == ["ADD", "SUPERSEDE", "SUPERSEDE"]
    assert decisions[1].replaces == (decisions[0].memory,)
    assert valid(memories) == {"I live in Lagos"}


def test_who_moves_back_lives_there_again():
    """The words are there already, expired: that memory is valid again."""
    porto = said("I live in Porto", 0, "porto")
    memories, _ = told([porto], [said("I live in Lisbon", 1, "lisbon")], [replace(porto, said_at=day(2))])
    assert valid(memories) == {"I live in Porto"}
    assert len(memories) == 2
    memories, decisions = told([said("I live in Faro", 1, "faro")], known=memories.values())
    assert decisions[0].outdated is not None
    assert valid(memories) == {"I live in Porto"}


def test_a_fuller_answer_contradicts_nothing():
    """Both are kept: nobody can tell by rules whether York is New York."""
    memories, decisions = told(
        [said("I live in Lisbon", 0, "lisbon")], [said("I live in Lisbon, Portugal", 1, "lisbon, portugal")]
    )
    assert events(decisions) == ["ADD"]
    assert len(valid(memories)) == 2


def test_own_words_are_never_dropped_for_saying_what_is_known():
    _, decisions = told([said("I live in Porto", 0, "porto")], [said("Porto is where I live", 1, "porto")])
    assert events(decisions) == ["ADD"]


def test_a_models_words_are_merged_the_longer_stay():
    short, long = "Ana lives in Porto.", "Ana has lived in Porto since May 2024."
    memories, decisions = told([said(short, 0, "porto", role=None)], [said(long, 1, "porto", role=None)])
    assert events(decisions) == ["UPDATE"]
    assert valid(memories) == {long}
    assert decisions[0].id == memory_id("s", short)
    memories, decisions = told([said("Ana lives at Porto", 2, "porto", role=None)], known=memories.values())
    assert events(decisions) == ["NONE"]
    assert decisions[0].memory.said_at == day(2)
    assert valid(memories) == {long}


def test_a_models_words_never_change_somebodys_own():
    memories, decisions = told([said("Porto!", 0, "porto")], [said("Ana lives in Porto.", 1, "porto", role=None)])
    assert events(decisions) == ["NONE"]
    assert valid(memories) == {"Porto!"}


def test_a_models_words_of_one_length_do_not_take_turns():
    """The first stay: else each telling would write."""
    one, other = "Ana lives in Porto.", "Ana dwells in Porto"
    assert len(one) == len(other)
    memories, decisions = told([said(one, 0, "porto", role=None)], [said(other, 1, "porto", role=None)])
    assert events(decisions) == ["NONE"]
    assert valid(memories) == {one}


def test_words_that_a_fuller_text_has_replaced_are_nobodys_any_more():
    """Said in the same call by somebody, they are that somebody's own, and kept."""
    short, long = "Ana lives in Porto.", "Ana has lived in Porto since May 2024."
    memories, _ = told([said(short, 0, role=None, value="porto")])
    call = [said(long, 1, "porto", role=None), said(short, 2, role="user", name="")]
    memories, decisions = told(call, known=memories.values())
    assert events(decisions) == ["UPDATE", "ADD"]
    assert valid(memories) == {short, long}


def test_an_answer_that_comes_back_has_the_slot_it_is_told_with():
    """It was kept before anybody knew what it answers."""
    words = "I live in Porto"
    plain = Existing(memory_id("s", words, name=None), words, day(0), in_own_words=True, expired=True)
    _, [decision] = told([said(words, 1, "porto")], known=[plain])
    assert (decision.memory.slot, decision.memory.value, decision.memory.expired) == (LIVES, "porto", False)


def test_an_id_that_a_memory_of_other_words_has_is_not_given_twice():
    """A memory keeps its id when its text is changed; the old text, told again, is a memory of its own."""
    changed = Existing(memory_id("s", "I like tea"), "I like coffee", day(0))
    memories, decisions = told([said("I like tea", 1)], known=[changed])
    assert events(decisions) == ["ADD"]
    assert decisions[0].id != changed.id
    assert valid(memories) == {"I like tea", "I like coffee"}
    assert told([said("I like tea", 1)], known=[changed])[1][0].id == decisions[0].id


def test_what_was_said_again_counts_as_said_then():
    """ "Porto", "Lisbon" and "Porto" again, told in another order, leave Porto."""
    porto, lisbon = said("I live in Porto", 0, "porto"), said("I live in Lisbon", 1, "lisbon")
    memories, _ = told([porto], [replace(porto, said_at=day(2))], [lisbon])
    assert valid(memories) == {"I live in Porto"}


# -- what holds for all

WORDS = st.sampled_from("Porto Lisbon Faro Lagos".split())
TEXTS = st.sampled_from(["I live in {}", "{} is home", "I moved to {}!"])


@st.composite
def calls(draw, roles=("user",)):
    """Make statements with times of their own, some without a slot."""
    statements = []
    for on in draw(st.lists(st.integers(0, 30), max_size=8, unique=True)):
        value = draw(WORDS)
        text = draw(TEXTS).format(value)
        statements.append(
            said(text, on, value.lower() if draw(st.booleans()) else None, role=draw(st.sampled_from(roles)))
        )
    return statements


def consistent(statements):
    """Let one text have one slot, as extraction does."""
    first = {}
    for statement in statements:
        first.setdefault(normalised(statement.text), statement)
    return [
        replace(one, slot=first[normalised(one.text)].slot, value=first[normalised(one.text)].value)
        for one in statements
    ]


def cut(statements, places):
    """Return the statements as several calls."""
    edges = [0, *sorted(places), len(statements)]
    return [statements[start:end] for start, end in pairwise(edges)]


@given(calls().map(consistent), st.randoms(use_true_random=False), st.sets(st.integers(0, 8)))
def test_the_order_of_telling_does_not_matter(statements, random, places):
    """Own words: however they are told, and in how many calls, the same memories are there, and the same are valid."""
    together, _ = told(statements)
    shuffled = random.sample(statements, len(statements))
    apart, _ = told(*cut(shuffled, places))
    assert valid(together) == valid(apart)
    assert together.keys() == apart.keys()


@given(calls(("user", None)).map(consistent), st.sets(st.integers(0, 8)))
def test_nothing_is_lost_without_naming_what_says_it(statements, places):
    """P7: after any calls, each statement's memory holds its words, or its answer where a model's words were merged."""
    memories, _ = told(*cut(statements, places))
    for call in cut(statements, places):
        for decision in told(call)[1]:
            assert decision.event != "NONE" or decision.existing is not None
    for statement in statements:
        texts = {normalised(memory.text) for memory in memories.values()}
        answers = {memory.value for memory in memories.values() if memory.slot == statement.slot}
        assert normalised(statement.text) in texts or (statement.role is None and statement.value in answers)


@given(calls(("user", None)).map(consistent), st.sets(st.integers(0, 8)))
def test_resolving_again_adds_nothing(statements, places):
    """P6: every decision is NONE, and names the memory."""
    memories, _ = told(*cut(statements, places))
    _, decisions = told(statements, known=memories.values())
    assert set(events(decisions)) <= {"NONE"}


@given(st.sampled_from(["user", None]).flatmap(lambda role: calls((role,))).map(consistent), st.sets(st.integers(0, 8)))
def test_resolving_again_writes_nothing(statements, places):
    """P6: where all are somebody's own words, or all a model's, there is nothing to note either."""
    memories, _ = told(*cut(statements, places))
    again, decisions = told(statements, known=memories.values())
    assert again == memories
    assert not any(decision.changes for decision in decisions)


@given(calls().map(consistent))
def test_an_answer_is_valid_until_another_is_given(statements):
    """P7: what is valid is what nobody has contradicted later."""
    memories, _ = told(statements)
    last = {}
    for statement in sorted(statements, key=lambda one: one.said_at):
        last[normalised(statement.text)] = statement
    rivals = [one for one in statements if one.slot]
    expected = {
        one.text
        for one in last.values()
        if not one.slot or not any(other.value != one.value and other.said_at > one.said_at for other in rivals)
    }
    assert {normalised(text) for text in valid(memories)} == {normalised(text) for text in expected}
