"""Models in ONNX's format: how they run, and how texts become what they take."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime  # pyright: ignore[reportMissingTypeStubs]
from numpy.typing import NDArray
from tokenizers import Tokenizer

WEIGHTS_DIRECTORY = "session.model_external_initializers_file_folder_path"
ERRORS_ONLY = 3
RUNTIME: Any = onnxruntime
"""It has no types; nothing beyond this module meets it."""


class OnnxModel:
    """A model on the processor, one thread a call: several threads may call it at the same time.

    It is a file, or the bytes of one whose weights are in files of a directory.
    """

    def __init__(self, model: Path | bytes, weights: Path | None = None) -> None:
        options = RUNTIME.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = ERRORS_ONLY
        if weights is not None:
            options.add_session_config_entry(WEIGHTS_DIRECTORY, str(weights))
        self._session = RUNTIME.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.inputs: list[str] = [each.name for each in self._session.get_inputs()]

    def run(self, given: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Return its first output."""
        return np.asarray(self._session.run(None, dict(given))[0], dtype=np.float32)


def tokenizer(path: Path, longest: int) -> Any:
    """Return a tokenizer that cuts texts after so many tokens, and pads those of a batch to the longest of them."""
    made: Any = Tokenizer.from_file(str(path))
    made.enable_truncation(longest)
    made.enable_padding()
    return made
