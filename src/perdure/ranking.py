"""From two scores to one: how well a memory fits by meaning and by words, seen among those found with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev

from perdure.records import VectorHit

DENSE_WEIGHT = 0.7
WORDS_WEIGHT = 0.3


@dataclass(frozen=True, slots=True)
class Ranked:
    """A hit in its place, and why it stands there: `score` is the sum of the two shares."""

    hit: VectorHit
    score: float
    dense_share: float
    """What its meaning adds: the weight times how many standard deviations it is above the others."""
    words_share: float
    """What its words add, in the same way."""


def fuse(
    hits: Sequence[VectorHit], *, dense_weight: float = DENSE_WEIGHT, words_weight: float = WORDS_WEIGHT
) -> list[Ranked]:
    """Return the hits of one search, best first.

    The scores of each way are put on one scale by their mean and standard deviation among these hits, so that a
    score says nothing about those of another search. Equal ones stand in order of their ids.
    """
    dense = _standardised([hit.dense for hit in hits])
    words = _standardised([hit.words for hit in hits])
    ranked = [
        Ranked(hit, dense_weight * d + words_weight * w, dense_weight * d, words_weight * w)
        for hit, d, w in zip(hits, dense, words, strict=True)
    ]
    return sorted(ranked, key=lambda one: (-one.score, -one.hit.dense, one.hit.id))


def _standardised(values: Sequence[float]) -> list[float]:
    """Return how many standard deviations each value is above the mean; all zero where they do not differ."""
    if not values:
        return []
    mean, deviation = fmean(values), pstdev(values)
    return [(value - mean) / deviation if deviation > 1e-12 else 0.0 for value in values]
