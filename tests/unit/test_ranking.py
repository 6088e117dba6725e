"""From two scores to one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.ranking import fuse
from perdure.records import VectorHit


def hit(name, dense=0.0, words=0.0):
    return VectorHit(name, "memory", dense, words)


def order(hits, **weights):
    return [ranked.hit.id for ranked in fuse(hits, **weights)]


def test_a_hit_that_is_best_both_ways_comes_first():
    """And one that is best neither way last."""
    assert order([hit("c", 0.1, 0), hit("a", 0.9, 7), hit("b", 0.5, 3)]) == ["a", "b", "c"]


def test_the_weights_decide_between_meaning_and_words():
    """Meaning counts more, unless it is told otherwise."""
    hits = [hit("meant", 0.9, 0), hit("said", 0.1, 9)]
    assert order(hits) == ["meant", "said"]
    assert order(hits, dense_weight=0.2, words_weight=0.8) == ["said", "meant"]


def test_a_way_in_which_all_are_alike_says_nothing():
    """No words at all, or one hit alone: no division by nothing."""
    assert fuse([]) == []
    [alone] = fuse([hit("a", 0.4, 2)])
    assert (alone.score, alone.dense_share, alone.words_share) == (0, 0, 0)
    assert order([hit("b", 0.5), hit("a", 0.5), hit("c", 0.6)]) == ["c", "a", "b"]


SCORES = st.lists(st.tuples(st.floats(-1, 1), st.floats(0, 50)), min_size=1, max_size=30)


@given(SCORES)
def test_a_score_is_the_sum_of_its_shares(scores):
    """P15: the reason given is the reason."""
    hits = [hit(str(number), *pair) for number, pair in enumerate(scores)]
    ranked = fuse(hits)
    assert {one.hit for one in ranked} == set(hits)
    assert [one.score for one in ranked] == sorted((one.score for one in ranked), reverse=True)
    for one in ranked:
        assert one.score == pytest.approx(one.dense_share + one.words_share)


@given(SCORES, st.floats(0.1, 10))
def test_the_scale_of_the_words_does_not_matter(scores, factor):
    """One store's scores of words may be larger than another's."""
    scores = [(round(dense, 2), round(words, 1)) for dense, words in scores]
    plain = fuse([hit(str(number), *pair) for number, pair in enumerate(scores)])
    scaled = fuse([hit(str(number), dense, words * factor) for number, (dense, words) in enumerate(scores)])
    by_id = {one.hit.id: one.score for one in scaled}
    assert all(by_id[one.hit.id] == pytest.approx(one.score, abs=1e-6) for one in plain)
