"""A cross-encoder that was exported to ONNX, from a directory on this machine."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from perdure.embedders.onnx import OnnxModel, tokenizer
from perdure.errors import ConfigError
from perdure.runtime.once import Once
from perdure.runtime.threads import Threads

MODELS = ("model.onnx", "onnx/model.onnx")
TOKENIZER = "tokenizer.json"
LONGEST = 512
PAIRS_AT_A_TIME = 32


class OnnxCrossEncoder:
    """Scores a query and a text read together, by `model.onnx` and `tokenizer.json` of a directory.

    Of a pair the first 512 tokens count. The model is read on first use.
    """

    def __init__(self, directory: str | Path, *, threads: Threads) -> None:
        self.name = f"cross-encoder:{directory}"
        self._directory = Path(directory).expanduser()
        self._threads = threads
        self._model = Once(self._read)

    async def prepare(self) -> None:
        """Read the model. Raises ConfigError when its files are not there, or are no model."""
        await self._threads.run(self._model)

    async def rerank(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        """Return a score for each text."""
        scores: list[float] = []
        for first in range(0, len(texts), PAIRS_AT_A_TIME):
            scores += await self._threads.run(self._score, query, texts[first : first + PAIRS_AT_A_TIME])
        return scores

    def _score(self, query: str, texts: Sequence[str]) -> list[float]:
        tokens, model = self._model()
        encodings = tokens.encode_batch([(query, text) for text in texts])
        every = {
            "input_ids": [encoding.ids for encoding in encodings],
            "attention_mask": [encoding.attention_mask for encoding in encodings],
            "token_type_ids": [encoding.type_ids for encoding in encodings],
        }
        given = {each: np.array(every[each], dtype=np.int64) for each in model.inputs}
        return model.run(given).reshape(len(texts), -1)[:, -1].tolist()

    def _read(self) -> tuple[Any, OnnxModel]:
        found = [path for path in (self._directory / name for name in MODELS) if path.exists()]
        if not found or not (self._directory / TOKENIZER).exists():
            raise ConfigError(
                f"{str(self._directory)!r} holds no cross-encoder.", hint=f"It needs {MODELS[0]} and {TOKENIZER}."
            )
        return tokenizer(self._directory / TOKENIZER, LONGEST), OnnxModel(found[0])
