"""How one accepted write is written down: plain values as JSON, and a checksum over all of it."""

import zlib
from collections.abc import Iterable, Sequence
from itertools import starmap
from operator import lt
from time import time as time_now
from typing import Any, NamedTuple

from perdure.errors import JournalCorruptError
from perdure.plain import decode, encode
from perdure.records import JournalEntry


class Row(NamedTuple):
    """One row of the table of entries."""

    lane: int
    seq: int
    previous: int
    accepted_at: float
    key: str | None
    statement: str
    parameters: str
    size: int
    failures: int
    checksum: int


def row(entry: JournalEntry, previous: int, accepted_at: float, seed: int) -> tuple[Any, ...]:
    """Return an entry as the values of a Row; `previous` is the number before it in its lane, `seed` the journal's."""
    seq, lane, key, statement, parameters, size, _, failures = entry
    values = (lane, seq, previous, accepted_at, key, statement, encode(parameters), size, failures)
    return *values, checksum(values, seed)


def rows(entries: Iterable[JournalEntry], last: dict[int, int], seed: int) -> list[tuple[Any, ...]]:
    """Return the rows for entries in order; `last` is each lane's last number, and is brought up to date."""
    now = time_now()
    made: list[tuple[Any, ...]] = []
    for new in entries:
        made.append(row(new, last.get(new.lane, -1), new.accepted_at or now, seed))
        last[new.lane] = new.seq
    return made


def checksum(values: Sequence[Any], seed: int) -> int:
    """Return the CRC-32 of a row's other values, so seeded that a row of another journal does not pass."""
    lane, seq, previous, accepted_at, key, statement, parameters, size, failures = values[:9]
    head = f"{lane} {seq} {previous} {accepted_at!r} {size} {failures} {key is None} {len(key or '')} {len(statement)} "
    return zlib.crc32(f"{head}{key or ''}{statement}{parameters}".encode(), seed)


def entries_in(text: str) -> list[JournalEntry]:
    """Return the entries in a JSON array of arrays; raises JournalCorruptError when it is not one, or out of order."""
    try:
        found = list(starmap(JournalEntry, decode(text)))
    except (ValueError, TypeError) as error:
        raise JournalCorruptError("Writes in the journal are not what was written.") from error
    numbers = [entry.seq for entry in found]
    if not all(map(lt, numbers, numbers[1:])):
        raise JournalCorruptError("Writes in the journal are not in order.")
    return found


def intact(values: Sequence[Any], seed: int) -> bool:
    """Return whether a row is what was written."""
    try:
        return checksum(values, seed) == values[9]
    except (TypeError, ValueError):
        return False
