"""An SQLite file with every record, and the records of those who search in memory, as a VectorStore.

A search compares the query with every vector of its owner: nothing is approximate, and what other owners keep makes
no difference to what is found. Measured choices are in decision 0015.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from perdure.errors import ClosedError
from perdure.records import Revision, VectorHit, VectorKind, VectorQuery, VectorRecord
from perdure.runtime.home import uninterrupted
from perdure.runtime.limits import Pool
from perdure.runtime.microbatch import Microbatch
from perdure.runtime.temporary import TemporaryFiles
from perdure.runtime.threads import Threads
from perdure.stores.sqlite_vectors.analysis import Analyser, Hashes
from perdure.stores.sqlite_vectors.cache import Cache, Change
from perdure.stores.sqlite_vectors.corpus import Corpus, Row
from perdure.stores.sqlite_vectors.file import File, row_of
from perdure.telemetry import STORES
from perdure.vectors import (
    Vector,
    check_dimension,
    check_forget,
    check_ids,
    check_owner,
    check_query,
    check_records,
)

T = TypeVar("T")
_Put = tuple[list[VectorRecord], str | None]
FILE = "vectors.db"
READERS = 4
PUTS_AT_ONCE = 64
SECONDS_TO_CLOSE = 10.0
"""How long close waits for searches whose callers have gone."""
LONGEST_TEXT = 100_000
LONGEST_QUESTION = 4000


class SqliteVectorStore:
    """Keeps vectors and words in a file under a directory, and searches them in memory.

    `directory` None keeps the file in a temporary one, and removes it at close: for tests. One client at a time can
    use a file. `max_memory_bytes` bounds what is kept in memory of those who searched last; a single owner's records
    are there whole while they are searched (about 1.6 kB each, for 256 dimensions). Of a text longer than 100,000
    characters, and of a question longer than 4,000, the first so many are looked at. Nothing of it runs on the event
    loop's thread.
    """

    def __init__(self, directory: str | Path | None, *, max_memory_bytes: int = 512 * 1024 * 1024) -> None:
        self._directory = None if directory is None else Path(directory)
        self._temporary: TemporaryFiles | None = None
        self._cache = Cache(self._load, max_memory_bytes)
        self._open: _Open | None = None
        self._readers, self._writer = _threads()
        self._writing = Pool("store", 1, None)
        self._puts = Microbatch(self._put, self._writing, PUTS_AT_ONCE)

    @property
    def name(self) -> str:
        """The directory."""
        return "the vectors in memory" if self._directory is None else f"the vectors in {self._directory}"

    async def connect(self, *, embedder: str, dimension: int, anew: bool = False) -> None:
        """Open or make the file; a damaged one is made anew, with a warning in the log.

        Raises ConfigError when it was made for another embedder, unless it may be made `anew`, and when the directory
        cannot be used; StoreUnavailableError while another client, here or in another process, has it open.
        """
        check_dimension(dimension)
        if self._open is None:
            await self._write(partial(self._connect, embedder, dimension, anew=anew))
            STORES.info("opened %s", self.name)

    def _connect(self, embedder: str, dimension: int, *, anew: bool) -> None:
        directory = self._directory
        if directory is None:
            self._temporary = TemporaryFiles()
            directory = self._temporary.path
        self._open = _Open(File.opened(directory / FILE, embedder, dimension, anew=anew), dimension)

    async def close(self) -> None:
        """Let go of the file. Safe to call twice."""
        opened, self._open = self._open, None
        if opened is not None:
            await self._readers.close(SECONDS_TO_CLOSE)
            await self._write(partial(self._shut, opened))
            await self._writer.close()
            self._readers, self._writer = _threads()

    def _shut(self, opened: "_Open") -> None:
        opened.close()
        self._cache.clear()
        if self._temporary is not None:
            self._temporary.cleanup()

    async def upsert(self, records: Sequence[VectorRecord], *, mark: str | None = None) -> None:
        """Keep records, and a mark with them, in one transaction; see VectorStore.upsert."""
        self._opened()
        await self._puts.ask([(list(records), mark)])

    async def _put(self, puts: list[_Put]) -> None:
        """Keep what several have asked for in one transaction."""
        records = [record for records, _ in puts for record in records]
        newest = next((mark for _, mark in reversed(puts) if mark is not None), None)
        await self._in_thread(partial(self._upsert, self._opened(), records, newest))

    def _upsert(self, opened: "_Open", given: Sequence[VectorRecord], mark: str | None) -> None:
        records = check_records(given, opened.dimension)
        words = opened.written.words([record.text[:LONGEST_TEXT] for record in records])
        rows = [row_of(*pair) for pair in zip(records, words, strict=True)]
        opened.file.upsert(records, rows, mark)
        by_owner: defaultdict[str, list[Row]] = defaultdict(list)
        for record, row in zip(records, rows, strict=True):
            by_owner[record.owner].append(row)
        for owner, added in by_owner.items():
            self._cache.tell(owner, Change((), added))

    async def delete(self, owner: str, ids: Sequence[str]) -> None:
        """Remove records of one owner."""
        opened = self._opened()
        check_owner(owner)
        check_ids(ids)
        await self._write(partial(self._delete, opened, owner, list(ids)))

    def _delete(self, opened: "_Open", owner: str, ids: Sequence[str]) -> None:
        opened.file.delete(owner, ids)
        self._cache.tell(owner, Change(ids, ()))

    async def forget(
        self,
        owner: str,
        *,
        kinds: Sequence[VectorKind] = (),
        agent_id: str | None = None,
        run_id: str | None = None,
        session_id: str | None = None,
    ) -> None:
        """Remove an owner's records, all or those that all of this holds for."""
        opened = self._opened()
        narrowing = {"agent_id": agent_id, "run_id": run_id, "session_id": session_id}
        check_forget(owner, kinds, narrowing)
        await self._write(partial(self._forget, opened, owner, list(kinds), narrowing))

    def _forget(self, opened: "_Open", owner: str, kinds: Sequence[str], narrowing: dict[str, str | None]) -> None:
        self._cache.tell(owner, Change(opened.file.forget(owner, kinds, narrowing), ()))

    async def search(self, query: VectorQuery) -> Sequence[VectorHit]:
        """Return the best by meaning and the best by words; see VectorStore.search."""
        opened = self._opened()
        vector = check_query(query, opened.dimension)
        return await self._read(partial(self._search, opened, query, vector))

    def _search(self, opened: "_Open", query: VectorQuery, vector: Vector | None) -> list[VectorHit]:
        words: Hashes = opened.read.words([query.text[:LONGEST_QUESTION]])[0]
        return self._cache.get(query.owner).snapshot.search(query, vector, words)

    async def count(self, owner: str | None = None) -> int:
        """Return how many records there are, of one owner or of all."""
        return await self._read(partial(self._opened().file.count, owner))

    async def mark(self) -> str | None:
        """Return the newest mark; None also after a damaged file was made anew."""
        return await self._read(self._opened().file.mark)

    async def revisions(self, after: Revision | None = None, *, limit: int = 1000) -> Sequence[Revision]:
        """Return which state of which memory the index holds, in order of owner and id."""
        return await self._read(partial(self._opened().file.revisions, after, limit))

    def _load(self, owner: str) -> Corpus:
        opened = self._opened()
        corpus = Corpus(opened.dimension)
        corpus.fill(opened.file.rows(owner))
        return corpus

    def _opened(self) -> "_Open":
        if self._open is None:
            raise ClosedError(f"{self.name} is not connected.")
        return self._open

    async def _write(self, work: Callable[[], T]) -> T:
        """Run something when all that was asked before is written, and before what is asked from now on."""
        self._puts.part()
        return await self._writing.run(lambda: self._in_thread(work))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await uninterrupted(self._writer.begin(work))

    async def _read(self, work: Callable[[], T]) -> T:
        return await self._readers.run(work)


def _threads() -> tuple[Threads, Threads]:
    """Return those that read, and the one that writes."""
    return Threads("vectors", READERS), Threads("vectors", 1)


class _Open:
    """What is there between connect and close."""

    def __init__(self, file: File, dimension: int) -> None:
        self.file = file
        self.dimension = dimension
        self.written = Analyser()
        self.read = Analyser()

    def close(self) -> None:
        self.written.close()
        self.read.close()
        self.file.close()
