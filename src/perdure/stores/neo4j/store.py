"""A Neo4j server as a GraphStore."""

import asyncio
import random
import re
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import groupby
from time import monotonic
from typing import Any, LiteralString, cast

from neo4j import (
    READ_ACCESS,
    WRITE_ACCESS,
    AsyncDriver,
    AsyncGraphDatabase,
    AsyncSession,
    AsyncTransaction,
    Query,
)
from neo4j.exceptions import DriverError, Neo4jError

from perdure.errors import (
    ClosedError,
    ConfigError,
    ConflictError,
    StatementRejectedError,
    StoreError,
    StoreUnavailableError,
)
from perdure.records import Batch, JournalEntry, LaneMark
from perdure.runtime.tries import soon
from perdure.stores.neo4j import compose
from perdure.stores.neo4j.convert import plain, sendable
from perdure.stores.neo4j.faults import (
    GoneError,
    MadeMeanwhileError,
    OwnTransactionError,
    meaning_at_connect,
    translated,
)
from perdure.telemetry import STORES

OLDEST = (5, 26)
SECONDS_TO_ANSWER = 10.0
SHORTEST_PAUSE = 0.05
SHORTEST_COMPOSED = 8
IDLE_SECONDS_BEFORE_CHECK = 5.0
MARKS_ARE_UNIQUE = "CREATE CONSTRAINT perdure_journal_mark IF NOT EXISTS FOR (k:_JournalMark) REQUIRE k.id IS UNIQUE"
IN_PIECES = re.compile(r"\bIN\s+(?:\S+\s+CONCURRENT\s+)?TRANSACTIONS\b", re.IGNORECASE)
"""How a statement says that it commits in pieces: `CALL … IN 4 CONCURRENT TRANSACTIONS`."""
FORGET = "MATCH (k:_JournalMark) WHERE k.id IN $lanes DELETE k"


class Neo4jGraphStore:
    """Writes and reads a Neo4j database (5.26 or newer) over Bolt.

    Takes plain keyword arguments; nothing is opened before `connect`. All of it runs on the event loop that
    connected. Timeouts are in seconds.
    """

    def __init__(  # noqa: PLR0913  plain keyword arguments, as adapters take them
        self,
        uri: str,
        *,
        username: str = "neo4j",
        password: str | None = None,
        database: str | None = None,
        connect_timeout: float = 5.0,
        transaction_timeout: float = 60.0,
        max_connections: int = 32,
    ) -> None:
        self._uri = uri
        self._username = username
        self._auth = None if password is None else (username, password)
        self._database = database
        self._connect_timeout = connect_timeout
        self._transaction_timeout = transaction_timeout
        self._max_connections = max_connections
        self._driver: AsyncDriver | None = None
        self._bookmarks = AsyncGraphDatabase.bookmark_manager()
        self._verdicts = compose.Verdicts()
        self._palette = compose.Palette()
        self._own_transaction: set[str] = set()

    @property
    def name(self) -> str:
        """The server's address."""
        return f"Neo4j at {self._uri}"

    async def connect(self) -> None:
        """Reach the server, check its version, and make sure that a lane's mark can only be there once.

        Raises StoreUnavailableError when nothing answers in time; ConfigError for a login or a database that the
        server does not know, and for a server older than 5.26.
        """
        try:
            self._driver = AsyncGraphDatabase.driver(  # pyright: ignore[reportUnknownMemberType]  its options are untyped
                self._uri,
                auth=self._auth,
                connection_timeout=self._connect_timeout,
                connection_acquisition_timeout=max(60.0, self._connect_timeout),
                liveness_check_timeout=IDLE_SECONDS_BEFORE_CHECK,
                max_connection_pool_size=self._max_connections,
                max_transaction_retry_time=self._connect_timeout,
                notifications_min_severity="OFF",
                telemetry_disabled=True,
            )
            async with asyncio.timeout(2 * self._connect_timeout):
                await self._greet(self._driver)
        except (Neo4jError, DriverError) as error:
            await self.close()
            raise meaning_at_connect(error, self._uri, self._username) from error
        except StoreError as error:
            await self.close()
            if isinstance(error.__cause__, Neo4jError | DriverError):
                raise meaning_at_connect(error.__cause__, self._uri, self._username) from error.__cause__
            raise
        except (OSError, TimeoutError) as error:
            await self.close()
            raise StoreUnavailableError(
                f"No Neo4j answers at {self._uri} within {2 * self._connect_timeout:g} s.", hint="Check neo4j.uri."
            ) from error
        except BaseException:
            await self.close()
            raise

    async def _greet(self, driver: AsyncDriver) -> None:
        info = await driver.get_server_info()  # pyright: ignore[reportUnknownMemberType]
        version = re.search(r"(\d+)\.(\d+)", info.agent)
        if version is None or (int(version[1]), int(version[2])) < OLDEST:
            raise ConfigError(
                f"{self.name} is {info.agent}, and Perdure needs Neo4j {OLDEST[0]}.{OLDEST[1]} or newer.",
                hint="Upgrade the server, or use the embedded store.",
            )
        await self.write(MARKS_ARE_UNIQUE, {})  # which clients that connect to a new database do at once
        STORES.info("connected to %s (%s)", self.name, info.agent)

    async def close(self) -> None:
        """Close every connection. Safe to call twice."""
        driver, self._driver = self._driver, None
        if driver is not None:
            await driver.close()

    async def read(self, statement: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Run a statement that the server keeps from writing, with one round trip; sees what this client committed.

        Tries again for a few seconds when the server cannot answer. Raises InputError when the statement writes.
        """
        give_up_at = monotonic() + self._connect_timeout
        pause = SHORTEST_PAUSE
        while True:
            try:
                return await soon(partial(self._run, READ_ACCESS, statement, parameters), is_gone)
            except StoreUnavailableError as error:
                if error.relief == "smaller" or monotonic() + pause >= give_up_at:
                    raise
                await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311  not a secret
                pause *= 2

    async def write(self, statement: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Run one statement in one transaction, with one round trip; deadlocks are tried again at once.

        `CALL … IN TRANSACTIONS` is run once: some of it may be committed.
        """
        again = partial(is_worth_another_try, statement)
        return await soon(partial(self._run, WRITE_ACCESS, statement, parameters), again)

    async def _run(self, access: str, statement: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        with translated():
            async with self._deadline(), self._session(access) as session:
                return await rows_of(await session.run(self._query(statement), dict(sendable(parameters))))

    async def apply(self, batch: Batch) -> int:
        """Commit a prefix of the batch in one transaction; see GraphStore.apply.

        A statement that the server runs only by itself (a schema change, CALL … IN TRANSACTIONS) is a prefix of one,
        and the only one that a lost answer may run twice: its mark is written after it.
        """
        entries = self._prefix(batch.entries)
        try:
            async with self._deadline():
                if entries[0].statement in self._own_transaction:
                    await self._apply_alone(batch, entries[0])
                else:
                    await soon(partial(self._apply_together, batch, entries), is_gone)
        except OwnTransactionError as error:
            if len(self._own_transaction) >= compose.REMEMBERED:
                self._own_transaction.clear()
            self._own_transaction.add(entries[error.position].statement)
            return await self.apply(batch)
        return len(entries)

    async def take_over(self, owner: str, lanes: Sequence[str], epoch: int) -> Sequence[LaneMark]:
        """Raise the epoch of an owner's lanes, and return their marks; see GraphStore.take_over.

        A transaction of an earlier owner that is still open is waited for.
        """
        async with self._deadline(), self._transaction() as transaction:
            await (await transaction.run(compose.NEW_MARKS, {"lanes": list(lanes)})).consume()
            result = await transaction.run(compose.TAKE_OVER, {"mine": f"{owner}/", "epoch": epoch})
            marks = [LaneMark(record["lane"], record["seq"], record["epoch"]) async for record in result]
            await transaction.commit()
        return marks

    async def forget_lanes(self, lanes: Sequence[str]) -> None:
        """Delete the marks of these lanes."""
        await self.write(FORGET, {"lanes": list(lanes)})

    def _prefix(self, entries: Sequence[JournalEntry]) -> Sequence[JournalEntry]:
        """Return the entries up to the first that needs its own transaction, or that one alone."""
        if not self._own_transaction:
            return entries
        first = next((i for i, entry in enumerate(entries) if entry.statement in self._own_transaction), len(entries))
        return entries[: max(first, 1)]

    async def _apply_together(self, batch: Batch, entries: Sequence[JournalEntry]) -> None:
        together = await self._composable(entries)
        if together:
            try:
                await self._apply_composing(batch, entries, together)
            except StatementRejectedError as error:
                if error.position is not None:
                    raise
            else:
                return
        await self._apply_stepwise(batch, entries, set())
        self._distrust(together)

    async def _apply_composing(self, batch: Batch, entries: Sequence[JournalEntry], together: set[str]) -> None:
        if all(entry.statement in together for entry in entries):
            await self._apply_composed(batch, entries)
        else:
            await self._apply_stepwise(batch, entries, together)

    def _distrust(self, together: set[str]) -> None:
        """Judge anew texts that were refused together and ran one by one, and those composed along with them."""
        for text in self._palette.drop(together) | together:
            self._verdicts.forget(text)

    async def _composable(self, entries: Sequence[JournalEntry]) -> set[str]:
        """Return the texts of a batch that may be composed: those that come often, and that the planner accepts."""
        texts = Counter(entry.statement for entry in entries)
        chosen: set[str] = set()
        for text, times in texts.items():
            often = self._verdicts.seen(text, times) >= compose.OFTEN
            if often and len(chosen) < compose.MAX_TEXTS and await self._composes(text):
                chosen.add(text)
        return chosen

    async def _composes(self, text: str) -> bool:
        verdict = self._verdicts.get(text)
        if verdict is None:
            verdict = compose.may_compose(text) and await self._planner_accepts(text)
            self._verdicts.put(text, verdict)
        return verdict

    async def _planner_accepts(self, text: str) -> bool:
        empty: dict[str, Any] = {"lane": "", "epoch": 0, "last": 0, "rows": []}
        try:
            with translated():
                async with self._session() as session:
                    await (await session.run(self._query("EXPLAIN " + compose.compose([text])), empty)).consume()
        except StatementRejectedError as error:
            STORES.debug("a statement runs uncomposed: %s", error.message)
            return False
        return True

    async def _apply_composed(self, batch: Batch, entries: Sequence[JournalEntry]) -> None:
        wanted = list(dict.fromkeys(entry.statement for entry in entries))
        texts = self._palette.choose(wanted)
        parameters = {
            "lane": batch.lane,
            "epoch": batch.epoch,
            "last": entries[-1].seq,
            "rows": compose.rows(entries, texts),
        }
        with translated():
            async with self._session() as session:
                result = await session.run(self._query(compose.compose(texts)), parameters)
                record = await result.single()
        if record is None:
            raise superseded(batch)

    async def _apply_stepwise(self, batch: Batch, entries: Sequence[JournalEntry], together: set[str]) -> None:
        """Run the entries in one transaction: neighbours that compose in one statement, the others one by one."""
        async with self._transaction() as transaction:
            mark = await (await transaction.run(compose.LOCK_MARK, {"lane": batch.lane, "epoch": batch.epoch})).single()
            if mark is None:
                raise superseded(batch)
            due = [(i, entry) for i, entry in enumerate(entries) if entry.seq > mark["done"]]
            for composes, run in groupby(due, key=lambda item: item[1].statement in together):
                await (self._run_composed if composes else self._run_each)(transaction, list(run))
            await (await transaction.run(compose.MOVE_MARK, {"lane": batch.lane, "last": entries[-1].seq})).consume()
            with translated():
                await transaction.commit()

    async def _run_each(self, transaction: AsyncTransaction, run: Sequence[tuple[int, JournalEntry]]) -> None:
        for position, entry in run:
            with translated(position):
                result = await transaction.run(cast("LiteralString", entry.statement), dict(sendable(entry.parameters)))
                await result.consume()

    async def _run_composed(self, transaction: AsyncTransaction, run: Sequence[tuple[int, JournalEntry]]) -> None:
        if len(run) < SHORTEST_COMPOSED:
            await self._run_each(transaction, run)
            return
        entries = [entry for _, entry in run]
        texts = self._palette.choose(list(dict.fromkeys(entry.statement for entry in entries)))
        statement = cast("LiteralString", compose.compose(texts, with_mark=False))
        with translated():
            await (await transaction.run(statement, {"rows": compose.rows(entries, texts)})).consume()

    async def _apply_alone(self, batch: Batch, entry: JournalEntry) -> None:
        lane = {"lane": batch.lane, "epoch": batch.epoch}
        async with self._transaction() as transaction:
            mark = await (await transaction.run(compose.LOCK_MARK, lane)).single()
            await transaction.commit()
        if mark is None:
            raise superseded(batch)
        if entry.seq > mark["done"]:
            try:
                await self.write(entry.statement, entry.parameters)
            except StatementRejectedError as error:
                error.position = 0
                raise
            await self.write(compose.MOVE_MARK, {"lane": batch.lane, "last": entry.seq})

    def _query(self, text: str) -> Query:
        return Query(cast("LiteralString", text), timeout=self._transaction_timeout)

    def _session(self, access: str = WRITE_ACCESS) -> AsyncSession:
        if self._driver is None:
            raise ClosedError(f"{self.name} is not connected.")
        return self._driver.session(  # pyright: ignore[reportUnknownMemberType]
            database=self._database, default_access_mode=access, bookmark_manager=self._bookmarks
        )

    @asynccontextmanager
    async def _deadline(self) -> AsyncGenerator[None]:
        """Give up on a server that neither answers nor ends the transaction in its time, as on a cut line."""
        limit = self._transaction_timeout + SECONDS_TO_ANSWER
        try:
            async with asyncio.timeout(limit):
                yield
        except TimeoutError as error:
            raise StoreUnavailableError(f"{self.name} did not answer within {limit:g} s.") from error

    @asynccontextmanager
    async def _transaction(self) -> AsyncGenerator[AsyncTransaction]:
        """Open a transaction that is rolled back unless its body commits it."""
        with translated():
            async with (
                self._session() as session,
                await session.begin_transaction(timeout=self._transaction_timeout) as transaction,
            ):
                yield transaction


def is_gone(error: StoreError) -> bool:
    """Return whether a statement met what another transaction deletes."""
    return isinstance(error, GoneError)


def is_worth_another_try(statement: str, error: StoreError) -> bool:
    """Return whether a statement that was undone may do at once, as after a deadlock."""
    if IN_PIECES.search(statement):
        return False
    if isinstance(error, MadeMeanwhileError):
        return "IF NOT EXISTS" in statement.upper()
    return isinstance(error, GoneError) or (isinstance(error, StoreUnavailableError) and error.relief == "again")


async def rows_of(result: Any) -> list[dict[str, Any]]:
    """Return what is left of a result, in plain values."""
    return [{key: plain(value) for key, value in record.items()} async for record in result]


def superseded(batch: Batch) -> ConflictError:
    """Return the error for a batch whose lane a newer owner has taken over."""
    return ConflictError(f"Lane {batch.lane!r} has a newer owner; this one may not write to it any more.")
