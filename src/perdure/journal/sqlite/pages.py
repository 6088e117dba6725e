"""Rows in the pages of an SQLite file, read without SQLite: they are there when the tree above them is not.

Nothing here can tell a row that was deleted from one that was not, or a damaged one from a whole one; whoever asks has
to know. The format is described at https://www.sqlite.org/fileformat2.html#b_tree_pages.
"""

import struct
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from perdure.journal.sqlite.table import PAGE_SIZE

INDEX_INTERIOR, TABLE_INTERIOR, INDEX_LEAF, TABLE_LEAF = 0x02, 0x05, 0x0A, 0x0D
INTERIOR_HEADER, LEAF_HEADER = 12, 8
INDEX_LOCAL = (PAGE_SIZE - 12) * 64 // 255 - 23
TABLE_LOCAL = PAGE_SIZE - 35
LEAST_LOCAL = (PAGE_SIZE - 12) * 32 // 255 - 23
PAGE_COUNT, FREE_LIST = 28, 32
PAGES_IN_A_MAP = PAGE_SIZE // 5
INTEGER_SIZES = (0, 1, 2, 3, 4, 6, 8)
REAL, ZERO, ONE, FIRST_BLOB = 7, 8, 9, 12
LONGEST_VARINT = 9

Pages = Callable[[int], bytes]
"""A page by its number, from 1; an empty text when there is no such page."""


class Cell(NamedTuple):
    """One row."""

    rowid: int | None
    """Its number in a table that has them; the column that stands for it is None among the values."""
    values: tuple[Any, ...]
    """Nothing when the row cannot be taken apart."""


def cells(page: bytes, others: Pages) -> Iterator[Cell]:
    """Yield the rows on a page; `others` has the pages on which long ones go on."""
    if page[:1] == bytes([TABLE_INTERIOR]):
        return
    for position in _positions(page):
        try:
            yield _cell(page, position, others)
        except (IndexError, ValueError, struct.error):
            yield Cell(None, ())


def children(page: bytes) -> list[int]:
    """Return the pages below a page of the tree; none below a leaf."""
    if not is_of_tree(page) or page[0] not in (INDEX_INTERIOR, TABLE_INTERIOR):
        return []
    ends = [position for position in _positions(page) if position + 4 <= PAGE_SIZE]
    return [struct.unpack_from(">I", page, position)[0] for position in (*ends, LEAF_HEADER)]


def is_of_tree(page: bytes) -> bool:
    """Return whether a page is a part of a table, as far as its first bytes tell."""
    return len(page) == PAGE_SIZE and page[0] in (INDEX_INTERIOR, TABLE_INTERIOR, INDEX_LEAF, TABLE_LEAF)


def _positions(page: bytes) -> tuple[int, ...]:
    """Return where on its page each row begins."""
    if not is_of_tree(page):
        return ()
    start = INTERIOR_HEADER if page[0] in (INDEX_INTERIOR, TABLE_INTERIOR) else LEAF_HEADER
    (count,) = struct.unpack_from(">H", page, 3)
    return struct.unpack_from(f">{count}H", page, start) if start + 2 * count <= PAGE_SIZE else ()


def _cell(page: bytes, position: int, others: Pages) -> Cell:
    kind, rowid = page[0], None
    size, position = _varint(page, position + 4 if kind == INDEX_INTERIOR else position)
    if kind == TABLE_LEAF:
        rowid, position = _varint(page, position)
    local = _local(size, TABLE_LOCAL if kind == TABLE_LEAF else INDEX_LOCAL)
    payload = page[position : position + local]
    if local < size:
        (follows,) = struct.unpack_from(">I", page, position + local)
        payload += _overflow(follows, size - local, others)
    return Cell(rowid, tuple(_values(payload)))


def _local(size: int, most: int) -> int:
    """Return how much of a row of this size is on its page."""
    if size <= most:
        return size
    left = LEAST_LOCAL + (size - LEAST_LOCAL) % (PAGE_SIZE - 4)
    return left if left <= most else LEAST_LOCAL


def _overflow(number: int, size: int, others: Pages) -> bytes:
    """Return the rest of a long row, from its own pages."""
    parts: list[bytes] = []
    seen: set[int] = set()
    while size > 0:
        page = others(number)
        if number in seen or len(page) < PAGE_SIZE:
            raise ValueError("the row goes on on a page that is not there")
        seen.add(number)
        parts.append(page[4 : 4 + size])
        size -= len(parts[-1])
        (number,) = struct.unpack_from(">I", page)
    return b"".join(parts)


def _values(payload: bytes) -> Iterator[Any]:
    end, position = _varint(payload, 0)
    body = end
    while position < end:
        kind, position = _varint(payload, position)
        value, body = _value(kind, payload, body)
        yield value
    if body != len(payload):
        raise ValueError("the row is longer or shorter than it says")


def _value(kind: int, payload: bytes, position: int) -> tuple[Any, int]:
    if kind < len(INTEGER_SIZES):
        end = position + INTEGER_SIZES[kind]
        return (int.from_bytes(_part(payload, position, end), signed=True) if kind else None), end
    if kind == REAL:
        return struct.unpack_from(">d", payload, position)[0], position + 8
    if kind in (ZERO, ONE):
        return kind - ZERO, position
    if kind < FIRST_BLOB:
        raise ValueError("there is no such kind of value")
    end = position + (kind - FIRST_BLOB) // 2
    found = _part(payload, position, end)
    return (found.decode(errors="surrogateescape") if kind % 2 else found), end


def _part(payload: bytes, position: int, end: int) -> bytes:
    if end > len(payload):
        raise ValueError("the row ends too early")
    return payload[position:end]


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """Return the number that begins at a position, and the position behind it."""
    value = 0
    for length in range(1, LONGEST_VARINT):
        byte = data[position + length - 1]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, position + length
    value = value << 8 | data[position + LONGEST_VARINT - 1]
    return value - 2**64 if value >= 2**63 else value, position + LONGEST_VARINT


def is_map(number: int) -> bool:
    """Return whether a page holds no rows but where other pages belong: every so often one does."""
    return (number - 2) % (PAGES_IN_A_MAP + 1) == 0


def expected(others: Pages) -> int:
    """Return how many pages the file should have, 0 when its beginning does not say."""
    first = others(1)
    return struct.unpack_from(">I", first, PAGE_COUNT)[0] if len(first) == PAGE_SIZE else 0


def free(others: Pages) -> set[int]:
    """Return the pages that hold nothing any more, as far as the list of them can be read."""
    found: set[int] = set()
    first = others(1)
    (trunk,) = struct.unpack_from(">I", first, FREE_LIST) if len(first) == PAGE_SIZE else (0,)
    while trunk and trunk not in found and len(page := others(trunk)) == PAGE_SIZE:
        found.add(trunk)
        trunk, count = struct.unpack_from(">II", page)
        if 4 * count + 8 > PAGE_SIZE:
            break
        found.update(struct.unpack_from(f">{count}I", page, 8))
    return found
