"""From a text to its words: SQLite's own full-text analysis, used without its index.

A word is what FTS5 makes of it (unicode61, then the Porter stemmer: "moving" and "moved" are one), kept as a hash of
64 bits. The text is data all the way: it is inserted, never part of a query.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from threading import Lock
from typing import cast

import numpy as np
from numpy.typing import NDArray

from perdure.errors import ClosedError
from perdure.vectors import ALONE

Hashes = NDArray[np.uint64]
REMEMBERED = 100_000


class Analyser:
    """Takes texts apart; may be used by several threads, one after the other."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._closed = False
        self._hashes: dict[str, int] = {}
        self._connection = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        self._connection.execute(
            "CREATE VIRTUAL TABLE texts USING fts5(text, content='', tokenize='porter unicode61 remove_diacritics 2')"
        )
        self._connection.execute("CREATE VIRTUAL TABLE words USING fts5vocab(texts, instance)")

    def close(self) -> None:
        """Let go of what it holds. Safe to call twice."""
        with self._lock:
            self._closed = True
            self._connection.close()

    def words(self, texts: Sequence[str]) -> list[Hashes]:
        """Return each text's words, with repetitions, in no order; raises ClosedError after `close`."""
        found: list[list[int]] = [[] for _ in texts]
        with self._lock:
            if self._closed:
                raise ClosedError("The vectors were closed meanwhile.")
            execute = self._connection.execute
            execute("BEGIN")
            self._connection.executemany(
                "INSERT INTO texts (rowid, text) VALUES (?, ?)",
                ((place, ALONE.sub(r" \1 ", text).replace("\0", " ")) for place, text in enumerate(texts)),
            )
            for place, word in cast("Iterable[tuple[int, str]]", execute("SELECT doc, term FROM words")):
                found[place].append(self._hashed(word))
            execute("ROLLBACK")
        return [np.array(hashes, dtype=np.uint64) for hashes in found]

    def _hashed(self, word: str) -> int:
        known = self._hashes.get(word)
        if known is None:
            if len(self._hashes) >= REMEMBERED:
                self._hashes.clear()
            known = int.from_bytes(blake2b(word.encode(), digest_size=8).digest(), "little")
            self._hashes[word] = known
        return known
