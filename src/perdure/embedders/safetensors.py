"""Files of tensors: a header's length, a header in JSON, and the numbers."""

import json
import struct
from pathlib import Path
from typing import NamedTuple

LONGEST_HEADER = 1_000_000


class Tensor(NamedTuple):
    """Where the numbers of a tensor stand in its file, and which they are."""

    dtype: str
    shape: list[int]
    offset: int
    length: int


def tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file by their names.

    Raises OSError, and ValueError, KeyError or struct.error when it is no such file.
    """
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > LONGEST_HEADER:
            raise ValueError(f"{path.name} is no safetensors file")
        header = json.loads(file.read(length))
    found: dict[str, Tensor] = {}
    for name, entry in header.items():
        if name != "__metadata__":
            start, end = entry["data_offsets"]
            found[name] = Tensor(entry["dtype"], entry["shape"], 8 + length + start, end - start)
    return found
