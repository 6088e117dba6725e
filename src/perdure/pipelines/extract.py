"""What a language model finds worth remembering."""

from collections.abc import Sequence

from perdure.pipelines.statements import Extracted, Turn
from perdure.protocols import LanguageModel


async def extract(model: LanguageModel, turns: Sequence[Turn]) -> Extracted:
    """Return what a model finds."""
    raise NotImplementedError(model, turns)
