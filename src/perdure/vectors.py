"""What every vector store takes and refuses, so that a record or a query means the same on each of them."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast, get_args

import numpy as np
from numpy.typing import NDArray

from perdure.errors import ConfigError, InputError, shorten
from perdure.filters import Condition, plain
from perdure.records import MAX_HITS, VectorKind, VectorQuery, VectorRecord
from perdure.values import check_text, snapshot

Vector = NDArray[np.float32]
KINDS: tuple[VectorKind, ...] = get_args(VectorKind)
MAX_NAME = 1200
"""Characters of an owner, an id, and what narrows: what fits into every store's index of exact values."""
ALONE = re.compile("([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])")
"""Characters of scripts without spaces, each a word of its own."""
MAX_DIMENSION = 4096
NARROWING = ("agent_id", "run_id", "session_id")


def check_index(stored: tuple[str, int], wanted: tuple[str, int], where: str) -> None:
    """Raise ConfigError when an index was made for another embedder, or for vectors of another dimension."""
    if stored == wanted:
        return
    raise ConfigError(
        f"For {where} the embedder was {_named(*stored)}, and in the settings it is {_named(*wanted)}.",
        hint="Use that one, or index everything anew: perdure reindex with PERDURE_EMBEDDER set, or "
        "MemoryClient(settings, reindex=True).",
    )


def _named(embedder: str, dimension: int) -> str:
    return f"{embedder!r} ({dimension} dimensions)" if dimension else repr(embedder)


def check_dimension(dimension: object, *, least: int = 0) -> None:
    """Raise ConfigError for a dimension that no store can index; of 0 numbers are the vectors where there are none."""
    if not isinstance(dimension, int) or not least <= dimension <= MAX_DIMENSION:
        raise ConfigError(
            f"The embedder's dimension is {dimension!r}, and it should be a number from 1 to {MAX_DIMENSION}."
        )


def check_owner(owner: object) -> None:
    """Raise InputError for an owner that names nobody."""
    _check_name(owner, "owner")


def check_records(records: Sequence[VectorRecord], dimension: int) -> list[VectorRecord]:
    """Return the records as they are kept, the last of each owner and id: unit vectors, metadata as filters see it.

    Raises InputError, naming the record, when one has no owner or id, an unknown kind, a vector of another dimension
    or with numbers that are not finite, or metadata that is not JSON-like.
    """
    kept: dict[tuple[str, str], VectorRecord] = {}
    for record in records:
        kept.pop((record.owner, record.id), None)
        kept[record.owner, record.id] = _check_record(record, dimension)
    return list(kept.values())


def _check_record(record: VectorRecord, dimension: int) -> VectorRecord:
    check_owner(record.owner)
    check_ids([record.id])
    where = f"record {shorten(repr(record.id), 60)}"
    _check_kinds([record.kind])
    for name in NARROWING:
        _check_narrowing(getattr(record, name), name)
    check_text(record.text, f"the text of {where}")
    check_text(record.revision, f"the revision of {where}")
    return VectorRecord(
        owner=record.owner,
        id=record.id,
        kind=record.kind,
        text=record.text,
        vector=unit(record.vector, dimension, f"the vector of {where}"),
        agent_id=record.agent_id,
        run_id=record.run_id,
        session_id=record.session_id,
        metadata=kept_metadata(record.metadata),
        created_at=float(record.created_at),
        revision=record.revision,
        expired=bool(record.expired),
    )


def check_query(query: VectorQuery, dimension: int) -> Vector | None:
    """Return the query's vector at unit length, or None where it means nothing.

    Raises InputError when the owner is blank, when there is neither a vector nor a text, for an unknown kind, a
    vector of another dimension, or a limit that is not from 1 to 1,000.
    """
    check_owner(query.owner)
    _check_kinds(query.kinds)
    for name in NARROWING:
        _check_narrowing(getattr(query, name), name)
    check_text(query.text, "text")
    if isinstance(query.limit, bool) or not 1 <= query.limit <= MAX_HITS:
        raise InputError(f"limit is {query.limit!r}, and it should be from 1 to {MAX_HITS}.")
    if query.vector is None:
        if not query.text:
            raise InputError("The search has neither a vector nor a text.")
        return None
    vector = unit(query.vector, dimension, "the query's vector")
    return vector if vector.any() else None


def check_ids(ids: Sequence[str]) -> None:
    """Raise InputError for an id that is not text, or is blank."""
    for given in cast("Sequence[object]", ids):
        _check_name(given, "id")


def check_forget(owner: str, kinds: Sequence[VectorKind], narrowing: Mapping[str, str | None]) -> None:
    """Raise InputError for an owner, kinds or narrowing ids that cannot be."""
    check_owner(owner)
    _check_kinds(kinds)
    for name, value in narrowing.items():
        _check_narrowing(value, name)


def unit(vector: Vector, dimension: int, where: str) -> Vector:
    """Return a vector at unit length, or zeros as they are; raises InputError for what is no vector of the index."""
    try:
        array = np.asarray(vector, dtype=np.float32)
    except (TypeError, ValueError):
        raise InputError(f"{where} is not made of numbers.") from None
    if array.shape != (dimension,):
        raise InputError(f"{where} has the shape {array.shape}, and the index takes {dimension} numbers.")
    length = math.sqrt(float(np.dot(array.astype(np.float64), array.astype(np.float64))))
    if not math.isfinite(length):
        raise InputError(f"{where} holds numbers that are not finite.")
    return array / np.float32(length) if length > np.finfo(np.float32).tiny else np.zeros(dimension, np.float32)


def kept_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of metadata as JSON keeps it: dates and times as the texts that filters compare.

    Raises InputError, naming the place, for what is not JSON-like.
    """
    copy, _ = snapshot({"metadata": metadata})
    return {key: _kept(value) for key, value in copy["metadata"].items()}


def _kept(value: Any) -> Any:
    value = plain(value)
    if isinstance(value, list):
        return [_kept(item) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {key: _kept(item) for key, item in cast("dict[str, Any]", value).items()}
    return value


def as_json(metadata: Mapping[str, Any]) -> str:
    """Return kept metadata as text."""
    return json.dumps(metadata, ensure_ascii=False, separators=(",", ":"))


def term(key: str, value: object) -> str | None:
    """Return what stands for "this key has this value" in an index of exact values, or None where nothing does.

    Values that a filter takes for equal have the same term.
    """
    if value is None or isinstance(value, list | dict) or value != value:  # noqa: PLR0124  not a number
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps([key, value], ensure_ascii=False)


def choices(condition: Condition) -> list[str] | None:
    """Return the terms one of which a record must have where a condition holds; None where it may have any."""
    values = condition.value if condition.operator == "in" else (condition.value,)
    if condition.operator not in ("eq", "in") or not isinstance(values, tuple):
        return None
    found = [term(condition.key, value) for value in values]
    return None if None in found else cast("list[str]", found)


def _check_kinds(kinds: Sequence[str]) -> None:
    for kind in kinds:
        if kind not in KINDS:
            raise InputError(f"{shorten(repr(kind), 40)} is no kind of record.", hint=f"Kinds are {', '.join(KINDS)}.")


def _check_narrowing(value: object, name: str) -> None:
    if value is not None:
        _check_name(value, name)


def _check_name(value: object, name: str) -> None:
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{name} is {shorten(repr(value), 60)}, and it should be a text that is not blank.")
    if len(value) > MAX_NAME:
        raise InputError(f"{name} has {len(value)} characters, and at most {MAX_NAME} are taken.")
    check_text(value, name)
