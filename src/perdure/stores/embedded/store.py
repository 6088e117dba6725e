"""A kglite graph in a directory, or in a temporary one, as a GraphStore."""

import asyncio
import re
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import kglite

from perdure.cypher import quote, write_clause
from perdure.errors import (
    READ_ONLY,
    READ_ONLY_HINT,
    ClosedError,
    ConfigError,
    ConflictError,
    InputError,
    StatementRejectedError,
    StoreError,
    StoreUnavailableError,
    shorten,
)
from perdure.records import Batch, LaneMark
from perdure.runtime.home import uninterrupted
from perdure.runtime.temporary import TemporaryFiles
from perdure.runtime.threads import Threads
from perdure.stores.embedded.dialect import decode_row, encode, translate
from perdure.telemetry import STORES

T = TypeVar("T")
P = ParamSpec("P")

FILE = "graph.kgl"
READERS = 4
MILLISECONDS_IN_PLACE = 50
"""How long one statement may keep reads waiting; one that needs longer is made in a transaction, beside them."""
LARGEST_IN_PLACE = 32 * 1024
"""The bytes of a queued write that is not expected to need as long."""
SECONDS_TO_CLOSE = 10.0
"""How long close waits for reads whose callers have gone."""
UNKNOWN_PROPERTY = re.compile(
    r"Unknown property '(?P<property>.+?)' on (?P<label>.+?)\.(?: Did you mean|\s|$)", re.DOTALL
)
MOST_UNKNOWN = 100
LOCK_MARK = (
    "MERGE (k:_JournalMark {id: $lane}) ON CREATE SET k.perdure_seq = -1, k.perdure_epoch = $epoch "
    "SET k.perdure_epoch = CASE WHEN k.perdure_epoch > $epoch THEN k.perdure_epoch ELSE $epoch END "
    "RETURN k.perdure_seq AS done, k.perdure_epoch AS epoch"
)
MOVE_MARK = "MATCH (k:_JournalMark {id: $lane}) SET k.perdure_seq = $last"
READ_MARK = "MATCH (k:_JournalMark {id: $lane}) RETURN k.perdure_seq AS done, k.perdure_epoch AS epoch"
LANE, LAST = "_perdure_lane", "_perdure_last"
MARKED = f"MATCH (k:_JournalMark {{id: ${LANE}}}) SET k.perdure_seq = ${LAST} WITH 1 AS _perdure_marked "
"""What a statement stands behind that is a batch by itself.

Whether it is the next of its lane is asked before: a condition here would not keep a statement that counts from going
on, since it counts nothing and has a row.
"""
NEW_MARK = "MERGE (k:_JournalMark {id: $lane}) ON CREATE SET k.perdure_seq = -1, k.perdure_epoch = 0"
TAKE_OVER = (
    "MATCH (k:_JournalMark) WHERE k.id STARTS WITH $mine "
    "SET k.perdure_epoch = CASE WHEN k.perdure_epoch >= $epoch THEN k.perdure_epoch + 1 ELSE $epoch END "
    "RETURN k.id AS lane, k.perdure_seq AS seq, k.perdure_epoch AS epoch"
)
FORGET = "MATCH (k:_JournalMark) WHERE k.id IN $lanes DELETE k"


class EmbeddedGraphStore:
    """Writes and reads a graph kept by this process, in files under a directory.

    `directory` None keeps it in a temporary one, not synced, and removes it at close: for tests. Otherwise each
    commit is on disk when it returns; one that cannot be synced raises StoreUnavailableError, and may stand all the
    same. One process at a time can hold a directory. There is one writer: lanes take turns. Nothing of it runs on the
    event loop's thread.
    """

    def __init__(self, directory: str | Path | None) -> None:
        self._directory = None if directory is None else Path(directory)
        self._temporary: TemporaryFiles | None = None
        self._session: kglite.Session | None = None
        self._unsynced = False
        self._turn = asyncio.Lock()
        self._readers, self._writer = _threads()

    @property
    def name(self) -> str:
        """The directory."""
        return "the embedded store in memory" if self._directory is None else f"the embedded store in {self._directory}"

    async def connect(self) -> None:
        """Open or make the files.

        Raises StoreUnavailableError when another process holds them, ConfigError when the directory cannot be used.
        """
        try:
            await uninterrupted(self._writer.begin(self._open))
        except BaseException:
            await self.close()
            raise
        STORES.info("opened %s", self.name)

    def _open(self) -> None:
        if kglite.get_query_warning_policy() == "stderr":
            kglite.set_query_warning_policy("silent")  # a read that matches nothing yet is no news
        if self._directory is None:
            self._temporary = TemporaryFiles()
            self._session = kglite.open_session(str(self._temporary.path / FILE), durable="normal")
            return
        with opening(self._directory):
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._session = kglite.open_session(str(self._directory / FILE), durable="normal")

    async def close(self) -> None:
        """Write a checkpoint and let go of the files. Safe to call twice.

        Raises StoreUnavailableError when it cannot be written; what was committed is in the log, and close may be
        called again.
        """
        session, self._session = self._session, None
        if session is not None:
            readers, writer = self._readers, self._writer
            await readers.close(SECONDS_TO_CLOSE)
            try:
                async with self._turn:
                    await uninterrupted(writer.begin(self._shut, session))
            except StoreError:
                self._session = session
                raise
            finally:
                await writer.close()
                self._readers, self._writer = _threads()

    def _shut(self, session: kglite.Session) -> None:
        if self._temporary is None:
            with answered():
                session.close()
        else:
            self._temporary.cleanup()

    async def read(self, statement: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Run a statement on a snapshot of what is committed; raises InputError when it writes."""
        session = self._opened()
        try:
            return await self._readers.run(_read, session, statement, parameters)
        except StatementRejectedError as error:
            if write_clause(statement):
                raise InputError(READ_ONLY, hint=READ_ONLY_HINT) from error
            raise
        except UnknownPropertyError:
            return await self._write(_read_declaring, statement, parameters)

    async def write(self, statement: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Run one statement in one transaction, and return its rows."""
        return await self._write(_write, statement, parameters)

    async def apply(self, batch: Batch) -> int:
        """Commit the whole batch in one transaction; see GraphStore.apply."""
        return await self._write(_apply, batch)

    async def take_over(self, owner: str, lanes: Sequence[str], epoch: int) -> Sequence[LaneMark]:
        """Raise the epoch of an owner's lanes, and return their marks; see GraphStore.take_over."""
        return await self._write(_take_over, f"{owner}/", lanes, epoch)

    async def forget_lanes(self, lanes: Sequence[str]) -> None:
        """Delete the marks of these lanes."""
        await self.write(FORGET, {"lanes": list(lanes)})

    async def _write(self, work: Callable[Concatenate[kglite.Session, P], T], *args: P.args, **named: P.kwargs) -> T:
        session = self._opened()
        async with self._turn:
            return await uninterrupted(self._writer.begin(self._kept, session, partial(work, session, *args, **named)))

    def _kept(self, session: kglite.Session, work: Callable[[], T]) -> T:
        """Do some work, and return when what it committed is on the disk."""
        done = work()
        if self._temporary is None:
            self._sync(session)
        return done

    def _sync(self, session: kglite.Session) -> None:
        """Have the disk keep all commits: by its log, and by a checkpoint where a sync of that has failed.

        What a failed sync has lost, the next one does not say.
        """
        sync, self._unsynced = session.save if self._unsynced else session.sync, True
        try:
            sync()
        except kglite.KgError as error:
            raise StoreUnavailableError(
                f"{self.name} cannot be synced to its disk: {shorten(str(error).rpartition(': ')[2], 200)}.",
                hint="The write may stand all the same: look before you repeat it.",
            ) from error
        self._unsynced = False

    def _opened(self) -> kglite.Session:
        if self._session is None:
            raise ClosedError(f"{self.name} is not open.")
        return self._session


def _threads() -> tuple[Threads, Threads]:
    """Return those that read, and the one that writes."""
    return Threads("graph", READERS), Threads("graph", 1)


class TookTooLongError(Exception):
    """A statement that ran where the graph stands has kept reads waiting for too long."""


class UnknownPropertyError(Exception):
    """kglite knows the label of a pattern, but has not seen this property on it yet."""

    def __init__(self, label: str, name: str) -> None:
        super().__init__(label, name)
        self.label = label
        self.name = name


def _read(session: kglite.Session, statement: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    with answered():
        text, renamed = translate(statement)
        return [decode_row(row) for row in session.cypher(text, params=encode(parameters, renamed)).to_dicts()]


def _read_declaring(session: kglite.Session, statement: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    for _ in range(MOST_UNKNOWN):
        try:
            return _read(session, statement, parameters)
        except UnknownPropertyError as unknown:
            with transaction(session) as work:
                declare(work, unknown)
    raise StatementRejectedError("The statement names too many properties the graph does not have.")


def _write(session: kglite.Session, statement: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    try:
        view = _execute(session, "", statement, parameters)
    except (UnknownPropertyError, TookTooLongError):
        with transaction(session) as work:
            rows = run(work, statement, parameters)
    else:
        with answered():
            rows = view.to_dicts()
    return [decode_row(row) for row in rows]


def _execute(session: kglite.Session, before: str, statement: str, parameters: Mapping[str, Any]) -> kglite.ResultView:
    """Run one statement, all of it or nothing, where the graph stands: a transaction would make a copy of it first.

    Reads wait meanwhile. Raises TookTooLongError, with nothing done, when they would have to for too long.
    """
    text, renamed = translate(statement)
    with answered():
        try:
            return session.execute(before + text, params=encode(parameters, renamed), timeout_ms=MILLISECONDS_IN_PLACE)
        except kglite.CypherTimeoutError as error:
            raise TookTooLongError from error


def _apply(session: kglite.Session, batch: Batch) -> int:
    if len(batch.entries) == 1 and batch.entries[0].size <= LARGEST_IN_PLACE:
        with suppress(StatementRejectedError, UnknownPropertyError, TookTooLongError):  # a transaction finds out more
            if _apply_one(session, batch):
                return 1
    with transaction(session) as work:
        mark = run(work, LOCK_MARK, {"lane": batch.lane, "epoch": batch.epoch})[0]
        if mark["epoch"] > batch.epoch:
            raise ConflictError(f"Lane {batch.lane!r} has a newer owner; this one may not write to it any more.")
        for position, entry in enumerate(batch.entries):
            if entry.seq > mark["done"]:
                run(work, entry.statement, entry.parameters, position)
        run(work, MOVE_MARK, {"lane": batch.lane, "last": max(mark["done"], batch.entries[-1].seq)})
    return len(batch.entries)


def _apply_one(session: kglite.Session, batch: Batch) -> bool:
    """Commit a batch of one as one statement with its mark, where that is the next of its lane; return whether."""
    [entry] = batch.entries
    marks = _read(session, READ_MARK, {"lane": batch.lane})
    if not marks or marks[0]["epoch"] != batch.epoch or entry.seq <= marks[0]["done"]:
        return False
    _execute(session, MARKED, entry.statement, {**entry.parameters, LANE: batch.lane, LAST: entry.seq})
    return True


def _take_over(session: kglite.Session, mine: str, lanes: Sequence[str], epoch: int) -> list[LaneMark]:
    with transaction(session) as work:
        for lane in lanes:
            run(work, NEW_MARK, {"lane": lane})
        found = run(work, TAKE_OVER, {"mine": mine, "epoch": epoch})
    return [LaneMark(row["lane"], row["seq"], row["epoch"]) for row in found]


def run(
    work: kglite.SessionTransaction, statement: str, parameters: Mapping[str, Any], position: int | None = None
) -> list[dict[str, Any]]:
    """Run one statement in an open transaction, making known the properties its patterns name."""
    text, renamed = translate(statement)
    encoded = encode(parameters, renamed)
    for _ in range(MOST_UNKNOWN):
        try:
            with answered(position):
                return work.cypher(text, params=encoded).to_dicts()
        except UnknownPropertyError as unknown:
            declare(work, unknown)
    raise StatementRejectedError("The statement names too many properties the graph does not have.", position=position)


def declare(work: kglite.SessionTransaction, unknown: UnknownPropertyError) -> None:
    """Make a property known on a label by setting it once, on a node that does not stay."""
    node = f"(n:{quote(unknown.label)} {{id: '_perdure_declares'}})"
    with answered():
        work.cypher(f"CREATE {node} SET n.{quote(unknown.name)} = true")
        work.cypher(f"MATCH {node} DELETE n")


@contextmanager
def transaction(session: kglite.Session) -> Generator[kglite.SessionTransaction]:
    """Commit what the body did, or roll all of it back."""
    with answered():
        work = session.begin()
    try:
        yield work
        with answered():
            work.commit()
    finally:
        if work.active:
            work.rollback()


@contextmanager
def answered(position: int | None = None) -> Generator[None]:
    """Turn kglite's errors into Perdure's."""
    try:
        yield
    except kglite.ReadOnlyError as error:
        raise InputError(READ_ONLY, hint=READ_ONLY_HINT) from error
    except kglite.TransactionConflictError as error:
        raise StoreUnavailableError("Another commit came first.", relief="again") from error
    except (kglite.FileIoError, OSError, MemoryError) as error:
        raise StoreUnavailableError(f"The graph's files cannot be written: {shorten(str(error), 300)}") from error
    except kglite.SchemaError as error:
        unknown = UNKNOWN_PROPERTY.search(str(error))
        if unknown:
            raise UnknownPropertyError(unknown["label"], unknown["property"]) from error
        raise rejected(error, position) from error
    except (kglite.KgError, OverflowError, RecursionError, TypeError, ValueError) as error:
        raise rejected(error, position) from error


def rejected(error: Exception, position: int | None) -> StatementRejectedError:
    """Return the error for a statement that kglite will not run."""
    said = str(error).partition("\n")[0]
    return StatementRejectedError(f"The embedded store refused the statement: {said}", position=position)


@contextmanager
def opening(directory: Path) -> Generator[None]:
    """Say what is wrong with a directory that cannot be opened."""
    try:
        yield
    except kglite.WriterLeaseHeldError as error:
        holder = (
            "an unclosed client of this process" if error.holder.get("self") else f"process {error.holder.get('pid')}"
        )
        raise StoreUnavailableError(
            f"{str(directory)!r} is in use by {holder}, and the embedded store takes one at a time.",
            hint="Close that one, choose another data_dir, or let several processes share a Neo4j (neo4j.uri).",
        ) from error
    except (kglite.FileFormatError, RuntimeError) as error:
        raise ConfigError(
            f"{str(directory / FILE)!r} cannot be read as a graph: {shorten(str(error), 200)}",
            hint="Restore it from a backup, or choose another data_dir.",
        ) from error
    except (kglite.KgError, OSError) as error:
        raise ConfigError(
            f"{str(directory)!r} cannot hold the embedded store: {shorten(str(error), 200)}",
            hint="Choose a directory this process may write to: data_dir (PERDURE_DATA_DIR).",
        ) from error
