"""The cosines of many vectors to one: an exact scan, shared out among a few cores where there are many vectors."""

import os
from threading import Thread

import numpy as np

from perdure.vectors import Vector

MANY = 25_000
"""From so many vectors on, a second core is worth its while: a thread starts in a fiftieth of the time."""
CORES = min(4, os.cpu_count() or 1)


def cosines(vectors: Vector, vector: Vector) -> Vector:
    """Return the cosine of each row to a vector; all have unit length, or are zeros."""
    if CORES == 1 or len(vectors) < MANY:
        return _cosines(vectors, vector)
    first, *others = np.array_split(vectors, CORES)
    helpers = [Helper(part, vector) for part in others]
    own = _cosines(first, vector)
    return np.concatenate([own, *(helper.found() for helper in helpers)])


class Helper:
    """Computes the cosines of some rows on a thread of its own."""

    def __init__(self, vectors: Vector, vector: Vector) -> None:
        self._given = vectors, vector
        self._found: Vector | None = None
        self._thread = Thread(target=self._compute, name="perdure scan", daemon=True)
        self._thread.start()

    def _compute(self) -> None:
        self._found = _cosines(*self._given)

    def found(self) -> Vector:
        """Return them."""
        self._thread.join()
        return _cosines(*self._given) if self._found is None else self._found


def _cosines(vectors: Vector, vector: Vector) -> Vector:
    return np.einsum("ij,j->i", vectors, vector)  # a product would take every core there is
