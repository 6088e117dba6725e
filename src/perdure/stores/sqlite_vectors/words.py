"""One owner's words in memory, scored by BM25 with that owner's own statistics.

Nothing here is ever changed: `extended` returns a new index that shares what was there, so that searches go on with
the one they have.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perdure.stores.sqlite_vectors.analysis import Hashes

SATURATION, LENGTH = 1.2, 0.75
SHORTEST_TAIL, LARGEST_SHARE = 1000, 8


@dataclass(frozen=True, slots=True)
class Texts:
    """The words of consecutive records: all in a row, and how many each record has."""

    hashes: Hashes
    lengths: NDArray[np.int64]

    @classmethod
    def of(cls, texts: Sequence[Hashes]) -> "Texts":
        """Put the words of several records together."""
        hashes = np.concatenate(texts) if texts else np.empty(0, np.uint64)
        return cls(hashes, np.array([len(text) for text in texts], dtype=np.int64))

    def __len__(self) -> int:
        return len(self.lengths)

    @classmethod
    def joined(cls, parts: Sequence["Texts"]) -> "Texts":
        """Put the words of consecutive parts together."""
        return cls(
            np.concatenate([np.empty(0, np.uint64), *(part.hashes for part in parts)]),
            np.concatenate([np.empty(0, np.int64), *(part.lengths for part in parts)]),
        )

    def __add__(self, other: "Texts") -> "Texts":
        return Texts.joined([self, other])

    def chosen(self, keep: NDArray[np.bool_]) -> "Texts":
        """Return those of some records only."""
        return Texts(self.hashes[np.repeat(keep, self.lengths)], self.lengths[keep])


class Postings:
    """Which records have a word, and how much it weighs in each."""

    def __init__(self, texts: Texts, first: int, average: float) -> None:
        places = np.repeat(np.arange(len(texts), dtype=np.int64), texts.lengths)
        order = np.argsort(texts.hashes, kind="stable")
        hashes, places = texts.hashes[order], places[order]
        new = np.ones(len(hashes), dtype=np.bool_)
        new[1:] = (hashes[1:] != hashes[:-1]) | (places[1:] != places[:-1])
        starts = np.flatnonzero(new)
        times = np.diff(np.append(starts, len(hashes))).astype(np.float32)
        hashes, places = hashes[starts], places[starts]
        length = 1 - LENGTH + LENGTH * texts.lengths[places] / max(average, 1.0)
        self.weights = (times * (SATURATION + 1) / (times + SATURATION * length)).astype(np.float32)
        self.places = places + first
        self._starts = np.flatnonzero(np.diff(hashes, prepend=~hashes[:1]))
        self._words = hashes[self._starts]
        self._ends = np.append(self._starts[1:], len(hashes))

    def of(self, word: np.uint64) -> slice:
        """Return where a word's records stand."""
        at = int(np.searchsorted(self._words, word))
        if at == len(self._words) or self._words[at] != word:
            return slice(0, 0)
        return slice(int(self._starts[at]), int(self._ends[at]))


class Words:
    """An index of the words of records 0 to n: a large part that stays, and a small one that is made anew."""

    def __init__(self, settled: Texts, tail: Texts, postings: Postings | None = None) -> None:
        self._settled, self._tail = settled, tail
        self._average = float(settled.lengths.mean()) if len(settled) else 1.0
        self._postings = postings or Postings(settled, 0, self._average)
        self._tail_postings = Postings(tail, len(settled), self._average)

    @classmethod
    def of(cls, texts: Texts) -> "Words":
        """Index records from the first on."""
        return cls(texts, Texts.of([]))

    @property
    def nbytes(self) -> int:
        """About how much memory it takes."""
        return 20 * (len(self._settled.hashes) + len(self._tail.hashes))

    def extended(self, texts: Texts) -> "Words":
        """Return an index that has the words of further records too."""
        tail = self._tail + texts
        if len(tail) > max(SHORTEST_TAIL, len(self._settled) // LARGEST_SHARE):
            return Words.of(self._settled + tail)
        return Words(self._settled, tail, self._postings)

    def kept(self, keep: NDArray[np.bool_]) -> "Words":
        """Return an index of some of the records, numbered anew."""
        return Words.of((self._settled + self._tail).chosen(keep))

    def scores(self, query: Hashes) -> NDArray[np.float32]:
        """Return how well each record fits the words of a query: 0 for those that have none of them."""
        count = len(self._settled) + len(self._tail)
        scores = np.zeros(count, dtype=np.float32)
        for word in np.unique(query):
            found = [(part, part.of(word)) for part in (self._postings, self._tail_postings)]
            having = sum(where.stop - where.start for _, where in found)
            rarity = np.float32(np.log1p((count - having + 0.5) / (having + 0.5)))
            for part, where in found:
                scores[part.places[where]] += rarity * part.weights[where]
        return scores
