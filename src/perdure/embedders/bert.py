"""BERT as an ONNX model over the weights of a safetensors file, which stay where they are.

A package of weights has no graph, and what makes one (torch, transformers) is a hundred times as large as the model.
The graph is small: it is written down here, in the few fields of ONNX's format that it needs. Each weight is named by
its place in the file, which onnxruntime maps into memory.
"""

import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from perdure.embedders.safetensors import Tensor

FLOAT, INT32, INT64 = 1, 6, 7
MICROSOFT = "com.microsoft"
OPSETS = {"": 17, MICROSOFT: 1}
IR_VERSION = 8
EXTERNAL = 1
EPSILON = 1e-12

Field = tuple[int, "int | float | str | bytes"]


class Shape(NamedTuple):
    """What of a BERT its weights do not say."""

    layers: int
    heads: int


def model(file: str, weights: Mapping[str, Tensor], shape: Shape) -> bytes:
    """Return a BERT with mean pooling as an ONNX model over weights in a file of this name.

    It takes `ids` (texts x tokens), `positions` (tokens), `mask` (texts x tokens, 1 for what counts) and `parts`
    (texts x 1 x tokens: how much each token is of its text), and returns `vectors` (texts x 1 x dimension).
    """
    return _Bert(weights, shape).model(file)


class _Bert:
    def __init__(self, weights: Mapping[str, Tensor], shape: Shape) -> None:
        self._weights = dict(weights)
        self._shape = shape
        self._nodes: list[bytes] = []
        self._used: set[str] = set()

    def model(self, file: str) -> bytes:
        types = self._weights["embeddings.token_type_embeddings.weight"]
        self._weights["first type"] = types._replace(shape=types.shape[1:], length=types.length // types.shape[0])
        states = self._embedded()
        for number in range(self._shape.layers):
            states = self._layer(f"encoder.layer.{number}", states)
        self._node("MatMul", ["parts", states], "vectors")
        used = [_tensor(name, self._weights[name], file) for name in sorted(self._used & self._weights.keys())]
        inputs = [
            _value("ids", INT64, "texts", "tokens"),
            _value("positions", INT64, "tokens"),
            _value("mask", INT32, "texts", "tokens"),
            _value("parts", FLOAT, "texts", 1, "tokens"),
        ]
        output = _value("vectors", FLOAT, "texts", 1, types.shape[1])
        graph = _message(
            *((1, node) for node in self._nodes),
            (2, "bert"),
            *((5, tensor) for tensor in used),
            *((11, value) for value in inputs),
            (12, output),
        )
        opsets = ((8, _message((1, domain), (2, version))) for domain, version in OPSETS.items())
        return _message((1, IR_VERSION), (7, graph), *opsets)

    def _embedded(self) -> str:
        words = self._node("Gather", ["embeddings.word_embeddings.weight", "ids"], "words")
        places = self._node("Gather", ["embeddings.position_embeddings.weight", "positions"], "places")
        typed = self._node("Add", [places, "first type"], "typed places")
        both = self._node("Add", [words, typed], "words in places")
        norm = "embeddings.LayerNorm"
        return self._node("LayerNormalization", [both, f"{norm}.weight", f"{norm}.bias"], "embedded", epsilon=EPSILON)

    def _layer(self, layer: str, states: str) -> str:
        heads = [self._dense(f"{layer}.attention.self.{part}", states) for part in ("query", "key", "value")]
        seen = self._node(
            "MultiHeadAttention", [*heads, "", "mask"], f"{layer} seen", MICROSOFT, num_heads=self._shape.heads
        )
        attended = self._residual(f"{layer}.attention.output", seen, states)
        wide = self._product(f"{layer}.intermediate.dense", attended)
        bias = f"{layer}.intermediate.dense.bias"
        active = self._node("BiasGelu", [wide, bias], f"{layer} active", MICROSOFT)
        return self._residual(f"{layer}.output", active, attended)

    def _product(self, dense: str, states: str) -> str:
        turned = self._node("Transpose", [f"{dense}.weight"], f"{dense} turned")
        return self._node("MatMul", [states, turned], f"{dense} product")

    def _dense(self, dense: str, states: str) -> str:
        return self._node("Add", [self._product(dense, states), f"{dense}.bias"], f"{dense} out")

    def _residual(self, block: str, states: str, before: str) -> str:
        norm = [f"{block}.LayerNorm.weight", f"{block}.LayerNorm.bias", f"{block}.dense.bias"]
        product = self._product(f"{block}.dense", states)
        return self._node(
            "SkipLayerNormalization", [product, before, *norm], f"{block} out", MICROSOFT, epsilon=EPSILON
        )

    def _node(self, kind: str, inputs: Sequence[str], output: str, domain: str = "", **attributes: float) -> str:
        self._used.update(inputs)
        self._nodes.append(
            _message(
                *((1, name) for name in inputs),
                (2, output),
                (4, kind),
                *((5, _attribute(name, value)) for name, value in attributes.items()),
                (7, domain),
            )
        )
        return output


def _attribute(name: str, value: float) -> bytes:
    if isinstance(value, int):
        return _message((1, name), (3, value), (20, 2))
    return _message((1, name), (2, value), (20, 1))


def _tensor(name: str, weight: Tensor, file: str) -> bytes:
    place = {"location": file, "offset": str(weight.offset), "length": str(weight.length)}
    return _message(
        *((1, size) for size in weight.shape),
        (2, FLOAT),
        (8, name),
        *((13, _message((1, key), (2, value))) for key, value in place.items()),
        (14, EXTERNAL),
    )


def _value(name: str, kind: int, *sizes: int | str) -> bytes:
    axes = ((1, _message((1, size) if isinstance(size, int) else (2, size))) for size in sizes)
    return _message((1, name), (2, _message((1, _message((1, kind), (2, _message(*axes)))))))


def _message(*fields: Field) -> bytes:
    """Return fields as a protocol buffer: each a tag of number and type, then a varint, a float, or counted bytes."""
    return b"".join(map(_field, fields))


def _field(field: Field) -> bytes:
    number, value = field
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    if isinstance(value, float):
        return _varint(number << 3 | 5) + struct.pack("<f", value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)
