"""What a query asks for."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.pipelines.dates import Span
from perdure.pipelines.question import understood

NOW = datetime(2024, 5, 15, 12, tzinfo=UTC)
PEOPLE = ("Ada", "Grace Hopper", "dmitri_k", "Will")


def asked(query, speakers=PEOPLE):
    return understood(query, speakers, NOW)


@pytest.mark.parametrize(
    ("query", "text", "speakers"),
    [
        ("Where does Ada keep her bees?", "Where does keep her bees?", {"ada"}),
        ("What is Ada's dog called?", "What is dog called?", {"ada"}),
        ("What is ADA\u2019s dog called?", "What is dog called?", {"ada"}),
        ("Did Ada meet Grace?", "Did meet ?", {"ada", "grace hopper"}),
        ("When did Grace Hopper sail?", "When did sail?", {"grace hopper"}),
        ("what does dmitri cook", "what does cook", {"dmitri_k"}),
        ("what does ada cook", "what does cook", {"ada"}),
        ("Who is Adaline?", "Who is Adaline?", set()),
        ("Is Canada cold?", "Is Canada cold?", set()),
        ("Where does Bob live?", "Where does Bob live?", set()),
    ],
)
def test_names_of_speakers_are_taken_out_and_kept_as_a_cue(query, text, speakers):
    """By the whole name or its first part, as a word; other names stay."""
    question = asked(query)
    assert (question.text, question.speakers) == (text, speakers)


@pytest.mark.parametrize(
    ("query", "named"),
    [("Will it rain?", False), ("will it rain?", False), ("What did Will say?", True), ("What will Ada do?", False)],
)
def test_a_name_that_is_a_word_is_a_name_where_it_is_written_as_one(query, named):
    """Not where a sentence begins, and not in small letters."""
    assert ("will" in asked(query).speakers) is named


def test_a_query_of_names_alone_stays_as_it_is():
    """There must be something to look for."""
    assert asked("Ada?").text == "Ada?"
    assert asked("Ada?").speakers == {"ada"}


def test_names_in_scripts_without_spaces_are_found():
    """No word ends there where the name does."""
    question = asked("佐藤さんの犬の名前は?", ["佐藤"])
    assert (question.text, question.speakers) == ("さんの犬の名前は?", {"佐藤"})


@pytest.mark.parametrize(
    ("query", "asker"),
    [
        ("Where do I live?", True),
        ("what\u2019s my dog called", True),
        ("I\u2019ve lost what?", True),
        ("What did you tell me?", False),
        ("Where does Ada live?", False),
    ],
)
def test_who_asks_about_themselves_is_known(query, asker):
    """Unless they ask about an answer that they got."""
    assert asked(query).asker is asker


@pytest.mark.parametrize(
    ("query", "when"),
    [
        ("When did Ada sail?", True),
        ("since when is it open?", True),
        ("What year was that?", True),
        ("How long did it take?", True),
        ("What did she say when it rained?", False),
        ("Whenever", False),
    ],
)
def test_a_question_for_a_time_is_known(query, when):
    """By how it begins."""
    assert asked(query).when is when


def test_days_that_it_names_are_known():
    """Counted from when it is asked; a month without a year may be years ago."""
    assert asked("What did Ada cook last week?").dates == (Span(date(2024, 5, 6), date(2024, 5, 12)),)
    assert Span(date(2022, 6, 1), date(2022, 6, 30)) in asked("What did Ada cook in June?").dates


NAMES = st.lists(st.text(max_size=12), max_size=6)


@given(st.text(max_size=200), NAMES)
def test_no_query_and_no_names_make_it_fail(query, names):
    """In any language; and something is left of a query that had something."""
    question = understood(query, names, NOW)
    assert bool(question.text.strip()) == bool(query.strip())
    assert question.speakers <= {name.casefold() for name in names}


@given(st.sampled_from(["Where is Ada?", "Did Grace see Ada with Will?"]), st.permutations(PEOPLE))
def test_the_order_of_names_makes_no_difference(query, names):
    """They are a set."""
    assert understood(query, names, NOW) == understood(query, PEOPLE, NOW)
