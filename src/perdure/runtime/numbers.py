"""Numbers that code which is not ours has returned."""

import numpy as np
from numpy.typing import DTypeLike, NDArray

NO_NUMBERS = "cOSUMm"
"""Kinds of arrays: complex, objects, bytes, text, times and spans. numpy would make numbers of some of them."""


def as_numbers(answer: object, dtype: DTypeLike) -> NDArray[np.floating]:
    """Return an answer as an array; what is too large becomes infinite. Raises TypeError or ValueError for others."""
    found = np.asarray(answer)
    if found.dtype.kind in NO_NUMBERS:
        raise TypeError(f"an array of {found.dtype} is none of numbers")
    with np.errstate(over="ignore"):
        return found.astype(dtype, copy=False)
