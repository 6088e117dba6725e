"""From candidates to a ranking."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.pipelines.fuse import MANY, Candidate, Weights, around, content, rank
from perdure.pipelines.question import Question, understood

MOMENT = datetime(2024, 5, 15, 12, tzinfo=UTC)
FULL = "The heron stood on the old jetty until the last boat had left for the islands."
ASKED = Question("what stood on the jetty")


def one(id, dense=0.0, words=0.0, **more):  # noqa: A002
    return Candidate(id, **{"text": FULL, "said_at": MOMENT, "dense": dense, "words": words} | more)


def many(count=MANY, **more):
    return [one(f"other {number:02}", number / count / 2, number % 3, **more) for number in range(count)]


def order(candidates, question=ASKED):
    return [ranked.candidate.id for ranked in rank(question, candidates)]


def best(candidates, question=ASKED):
    return rank(question, candidates)[0].candidate.id


def test_what_fits_by_meaning_and_words_comes_first():
    """And what fits neither way last."""
    assert order([one("c", 0.1, 0), one("a", 0.9, 7), one("b", 0.5, 3)]) == ["a", "b", "c"]


def test_a_rare_word_is_enough():
    """A number that nothing else has, whatever it means."""
    assert best([*many(), one("the number", -0.1, 30.0)]) == "the number"


def test_meaning_is_enough():
    """No word in common."""
    assert best([*many(), one("the meaning", 0.95, 0.0)]) == "the meaning"


def test_nobody_and_one_alone():
    """No division by nothing."""
    assert rank(ASKED, []) == []
    [alone] = rank(ASKED, [one("a", 0.4, 2)])
    assert alone.score == 0.5


def test_words_of_whom_the_question_names_come_first():
    """Of two that say the same."""
    question = understood("What did Ada see?", ["Ada", "Bob"], MOMENT)
    said = [one("a", 0.5, 1, name="Bob"), one("b", 0.5, 1, name="Ada")]
    assert best([*said, *many()], question) == "b"


def test_who_asks_about_themselves_is_the_user():
    """Where no names are known."""
    question = understood("Where do I live?", [], MOMENT)
    said = [one("a", 0.9, 1, role="assistant"), one("b", 0.9, 1, role="user")]
    assert best([*many(), *said], question) == "b"
    assert best([*many(), *said]) == "a"


def test_what_was_said_then_or_is_about_then_comes_first():
    """A day that the question names."""
    question = understood("What happened on 9 March 2024?", [], MOMENT)
    then = datetime(2024, 3, 9, 20, tzinfo=UTC)
    said, told, other = (one("said", 0.9, 1, said_at=then), one("told", 0.9, 1), one("a", 0.9, 1))
    told = replace(told, text="I remember 9 March 2024 as a day of rain, and of nothing else that I could tell.")
    ranked = order([*many(), other, said, told], question)
    assert set(ranked[:2]) == {"said", "told"}


def test_what_tells_a_time_comes_first_where_one_is_asked_for():
    """Of two that say the same."""
    question = understood("When did the heron come?", [], MOMENT)
    said = [one("a", 0.9, 1), one("b", 0.9, 1, text=f"{FULL} That was last Friday.")]
    assert best([*many(), *said], question) == "b"


def test_a_turn_without_scores_answers_the_question_before_it():
    """Between people who talk to each other: and not in a list of notes."""
    turns = [
        one("question", 0.9, 9, name="Ada", place=("chat", 4)),
        one("answer", None, 0, name="Bob", place=("chat", 5)),
    ]
    ranked = order([*turns, *many()])
    assert ranked[:2] == ["question", "answer"]
    notes = [replace(turn, name=None) for turn in turns]
    assert order([*notes, *many()]).index("answer") > 2


def test_a_turn_that_only_asks_stands_behind_one_that_says():
    """Their words being as good."""
    said = [one("a", 0.9, 1, text="And what stood on the jetty?", role="user"), one("b", 0.9, 1, role="user")]
    assert best([*many(), *said]) == "b"


def test_where_hits_are_few_no_cue_outweighs_what_was_said():
    """Two memories: one is about it, the other is longer and by whom the question names."""
    question = understood("Where does Ada live?", ["Ada", "Bob"], MOMENT)
    found = [
        one("b", 0.7, 2.0, text="She lives in Porto.", name="Bob", role="user"),
        one("a", 0.1, 0.0, name="Ada", role="user"),
    ]
    assert best(found, question) == "b"


def test_around_gives_the_places_beside_the_best_hits():
    """Those of hits themselves, and of memories that nobody said, are not among them."""
    hits = [
        one("a", 0.9, 1, name="Ada", place=("chat", 0)),
        one("b", 0.8, 1, name="Bob", place=("chat", 1)),
        one("c", 0.7, 1, place=("notes", 5)),
        one("d", 0.7, 1),
    ]
    assert around(ASKED, hits) == [("chat", 2), ("chat", 3)]


@pytest.mark.parametrize(
    ("text", "share"),
    [("", 0), ("Really?", 0), ("¿Y tú? ", 0), ("真的吗\uff1f", 0), (FULL, 1), (FULL * 1000, 1), ("Yes.", 4 / 75)],
)
def test_how_much_a_text_says(text, share):
    """Questions say nothing."""
    assert content(text) == pytest.approx(share)
    assert content(f"Really? {FULL}") == 1


TEXTS = st.sampled_from([FULL, "Why?", "On 9 March 2024.", "", "はい"])
CANDIDATES = st.builds(
    Candidate,
    id=st.uuids().map(str),
    text=TEXTS,
    said_at=st.integers(0, 90).map(lambda days: MOMENT - timedelta(days=days)),
    dense=st.none() | st.floats(-1, 1),
    words=st.floats(0, 50),
    name=st.sampled_from([None, "Ada", "Bob"]),
    role=st.sampled_from([None, "user", "assistant"]),
    place=st.none() | st.tuples(st.sampled_from(["one", "two"]), st.integers(0, 9)),
    mentioned=st.booleans(),
)
LISTS = st.lists(CANDIDATES, max_size=12, unique_by=lambda each: each.place or each.id)
QUESTION = understood("When did I see Ada in March 2024?", ["Ada", "Bob"], MOMENT)


@given(LISTS, st.randoms())
def test_the_order_of_candidates_makes_no_difference(candidates, chance):
    """Nor do those that come twice."""
    mixed = [*candidates, *candidates]
    chance.shuffle(mixed)
    assert rank(QUESTION, mixed) == rank(QUESTION, candidates)
    assert around(QUESTION, mixed) == around(QUESTION, candidates)


@given(LISTS)
def test_a_score_is_made_of_the_reasons_it_gives(candidates):
    """P15: and it is between 0 and 1, highest first."""
    ranked = rank(QUESTION, candidates)
    assert {each.candidate for each in ranked} == set(candidates)
    assert [each.score for each in ranked] == sorted((each.score for each in ranked), reverse=True)
    for each in ranked:
        assert 0 <= each.score <= 1
        assert each.total == pytest.approx(sum(each.why.values()))


@given(LISTS, st.floats(0.1, 10))
def test_the_scale_of_the_words_does_not_matter(candidates, factor):
    """One store's scores of words may be larger than another's."""
    candidates = [replace(each, words=round(each.words, 1)) for each in candidates]
    scaled = {each.candidate.id: each.total for each in rank(ASKED, [_scaled(each, factor) for each in candidates])}
    for each in rank(ASKED, candidates):
        assert scaled[each.candidate.id] == pytest.approx(each.total, abs=1e-6)


def _scaled(candidate, factor):
    return replace(candidate, words=candidate.words * factor)


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(0, 50)), min_size=1, max_size=30))
def test_what_fits_at_least_as_well_both_ways_never_stands_behind(scores):
    """Whatever else was found."""
    totals = {
        each.candidate.id: each.total for each in rank(ASKED, [one(str(n), *pair) for n, pair in enumerate(scores)])
    }
    for better, high in enumerate(scores):
        for worse, low in enumerate(scores):
            if high[0] >= low[0] and high[1] >= low[1]:
                assert totals[str(better)] >= totals[str(worse)] - 1e-9


def test_weights_of_nothing_leave_the_order_of_ids():
    """The recipe is all there is."""
    nothing = Weights(0, 0, (), (), 0, 0, 0, 0, 0)
    assert [each.candidate.id for each in rank(QUESTION, [one("b", 0.9), one("a", 0.1)], nothing)] == ["a", "b"]
