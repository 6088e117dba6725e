"""The cosines of many vectors to one: an exact scan, shared out among a few cores where there are many vectors."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from perdure.vectors import Vector

MANY = 25_000
"""From so many vectors on, a second core is worth its while."""
CORES = min(4, os.cpu_count() or 1)


class Scan:
    """Computes cosines on the thread that asks, and on some of its own."""

    def __init__(self) -> None:
        self._helpers = ThreadPoolExecutor(max(1, CORES - 1), thread_name_prefix="perdure scan")

    def cosines(self, vectors: Vector, vector: Vector) -> Vector:
        """Return the cosine of each row to a vector; all have unit length, or are zeros."""
        if CORES == 1 or len(vectors) < MANY:
            return _cosines(vectors, vector)
        first, *others = np.array_split(vectors, CORES)
        begun = [self._helpers.submit(_cosines, part, vector) for part in others]
        return np.concatenate([_cosines(first, vector), *(each.result() for each in begun)])

    def close(self) -> None:
        """Let go of the threads. Safe to call twice."""
        self._helpers.shutdown()


def _cosines(vectors: Vector, vector: Vector) -> Vector:
    return np.einsum("ij,j->i", vectors, vector)  # a product would take every core there is
