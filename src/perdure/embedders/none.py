"""The embedder of those who search by words only."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class NoEmbedder:
    """Turns a text into no numbers, at no cost: its vectors have no dimension, so that there is nothing to compare."""

    name = "none"
    dimension = 0

    async def prepare(self) -> None:
        """Do nothing: there is no model."""

    async def warm_up(self) -> None:
        """Do nothing, as `prepare`."""

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return an empty row for each text."""
        return np.empty((len(texts), 0), dtype=np.float32)
