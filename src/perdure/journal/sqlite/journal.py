"""SqliteJournal: accepted writes in a file, where the end of the process does not reach them."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from shutil import rmtree
from typing import NamedTuple, TypeVar

from anyio import CapacityLimiter, to_thread

from perdure.errors import ConfigError, JournalError, JournalLockedError, PerdureError
from perdure.journal.letters import existing
from perdure.journal.sqlite import place, table
from perdure.journal.sqlite.opening import AUTO, Opened, has_entries_for, new_identity, open_database, orphaned
from perdure.journal.sqlite.scribe import Kept, Scribe
from perdure.records import LETTERS, Backlog, DeadLetter, Durability, JournalEntry, LaneState

T = TypeVar("T")

GIB = 1024**3


class Asked(NamedTuple):
    """Entries behind a number that were asked for."""

    after: int
    answer: asyncio.Future[Sequence[JournalEntry]]


class SqliteJournal:
    """Keeps accepted writes in an SQLite database in a directory of its own.

    `durability` says what they survive: `"os"` the end of the process, however it ends; `"disk"` power loss too, at
    the price of one sync for each group of writes. `max_bytes` bounds the writes in it; its file may take twice that.
    `target` names the graph the writes are for, so that they do not end in another one.

    One client at a time holds it. The files can be read by their owner alone; parameters stand in them as JSON.
    """

    durable = True

    def __init__(
        self, directory: str | Path, *, durability: Durability = "os", max_bytes: int = GIB, target: str = ""
    ) -> None:
        self.directory = Path(directory)
        self.max_bytes = max_bytes
        self.identity = ""
        self.epoch = 0
        self.next_seq = 0
        self.findings: list[str] = []
        self._durability: Durability = durability
        self._target = target
        self._lock = place.Lock()
        self._scribe: Scribe | None = None
        self._opened: Opened | None = None
        self._states: Mapping[int, LaneState] = {}
        self._ahead: dict[int, Asked] = {}
        self._on_kept: Kept = lambda _entries, _error: None

    def __repr__(self) -> str:
        return f"<SqliteJournal {str(self.directory)!r} durability={self._durability!r}>"

    @property
    def name(self) -> str:
        """The directory, and what it survives."""
        return f"{self.directory} (durability {self._durability!r})"

    @property
    def trouble(self) -> str:
        """Why nothing can be written to it any more, or an empty text."""
        return str(self._scribe.broken) if self._scribe is not None and self._scribe.broken else ""

    async def has_writes_left(self) -> bool:
        """Return, without opening it, whether an earlier run has left writes for this graph that nobody drains."""
        look = partial(has_entries_for, self.directory, self._target)
        return await to_thread.run_sync(look, limiter=CapacityLimiter(1))

    async def open(self) -> Mapping[int, LaneState]:
        """Take the journal over, and return how far each of its lanes is settled. Again: return the same.

        Raises JournalLockedError when somebody holds it, JournalCorruptError when its files are damaged (they stay as
        they are), JournalFullError when its disk is full, and ConfigError when the directory cannot hold a journal.
        """
        if self._opened is not None:
            return self._states
        self._ahead.clear()
        self._scribe = scribe = Scribe(self._tell, syncs=self._durability == "disk")
        scribe.start()
        try:
            await scribe.call(self._open)
        except BaseException:
            await scribe.finish()
            self._scribe = self._opened = None
            self._lock.release()
            raise
        return self._states

    def _open(self) -> None:
        self._take_place()
        opened = open_database(self.directory, self._durability, self.max_bytes)
        self._opened = opened
        self._writing().use(opened, self.directory)
        self._states = table.states(opened.database)
        self.identity, self.epoch, self.findings = opened.identity, opened.epoch, opened.findings
        self.next_seq = table.highest(opened.database) + 1
        self._check_target()
        self._writing().pass_by({lane: state.last for lane, state in self._states.items()})
        if not place.fill_ballast(self.directory):
            self.findings.append("The disk has no room for the journal's reserve: when it is full, draining may stall.")
        if self._durability == "disk" and place.file_system(self.directory) in place.VOLATILE:
            self.findings.append(
                f"{str(self.directory)!r} is kept in memory: durability 'disk' promises what it cannot."
            )
        place.sync_directories(self.directory)

    def _take_place(self) -> None:
        """Lock the directory; the first free one of several when it is called `auto`."""
        if self.directory.name != AUTO:
            place.make(self.directory)
            self._lock.take(self.directory)
            return
        for number in count(1):
            directory = self.directory.with_name(f"{AUTO}-{number}")
            place.make(directory)
            with suppress(JournalLockedError):
                self._lock.take(directory)
                self.directory = directory
                return

    def _check_target(self) -> None:
        """Refuse to send one graph's writes to another; with none waiting, begin anew for the other."""
        opened = self._database()
        target = self._target or opened.target
        facts: dict[str, str] = {"target": target}
        if opened.target not in ("", target):
            waiting, dead = table.backlog(opened.database).count, table.count_letters(opened.database)
            if waiting or dead:
                raise ConfigError(
                    f"The journal in {str(self.directory)!r} holds {waiting} writes and {dead} dead letters for "
                    f"{opened.target}, and this client writes to {target}.",
                    hint="Connect to that graph once to drain it (dead letters: send them again or drop them), or name "
                    "another journal: memory.journal_name.",
                )
            facts["identity"] = self.identity = new_identity()
            self._states = {}
        if opened.target != target:
            with table.transaction(opened.database):
                table.note(opened.database, facts)
                if not self._states:
                    table.forget_lanes(opened.database)

    async def resume(self, applied: Mapping[int, int]) -> Backlog:
        """Let go of what the store has applied already, by lane, and return what is left to commit.

        Numbers given from now on are higher than any that the store has seen.
        """
        self.next_seq = max(self.next_seq, *(seq + 1 for seq in applied.values())) if applied else self.next_seq
        return await self._call(partial(self._resume, applied))

    def _resume(self, applied: Mapping[int, int]) -> Backlog:
        database = self._database().database
        with table.transaction(database):
            let_go = table.settle(database, applied)
        self._writing().pass_by(applied)
        return replace(table.backlog(database), let_go=let_go)

    def on_kept(self, told: Kept) -> None:
        """Have this called on the event loop with each group of writes once it is safe, or could not be made so."""
        self._on_kept = told

    def _tell(self, entries: Sequence[JournalEntry], error: JournalError | None) -> None:
        self._on_kept(entries, error)

    def append(self, entry: JournalEntry, replacing: int | None = None) -> bool:
        """Write an entry down: True when it is safe already, False when it is once `on_kept` says so.

        `replacing` is a dead letter that this entry stands for again: it is gone in the same commit.
        """
        return self._writing().append(entry, replacing)

    async def read(self, lane: int, after: int, max_count: int, max_bytes: int) -> Sequence[JournalEntry]:
        """Return the next entries of a lane behind a number, in order, at least one if there are any.

        Those behind them are read meanwhile, since somebody who reads once mostly reads on.
        """
        asked = self._ahead.pop(lane, None)
        found = await asked.answer if asked is not None and asked.after == after else ()
        if not found:
            found = await self._ask_for(lane, after, max_count, max_bytes).answer
        if found:
            self._ahead[lane] = self._ask_for(lane, found[-1].seq, max_count, max_bytes)
        return found

    def _ask_for(self, lane: int, after: int, max_count: int, max_bytes: int) -> "Asked":
        work = partial(table.page, self._database().database, (lane, after), max_count, max_bytes)
        return Asked(after, self._writing().ask(work))

    def settle(self, lane: int, up_to: int) -> None:
        """Let go of a lane's writes up to a number: they are in the store."""
        if self._scribe is not None:
            self._scribe.settle(lane, up_to)

    async def bury(self, entry: JournalEntry, error: str, code: str) -> None:
        """Keep a write that failed for good as a dead letter; it is one when this returns."""
        await self._call(partial(self._bury, entry, error, code))

    def _bury(self, entry: JournalEntry, error: str, code: str) -> None:
        database = self._database().database
        with table.transaction(database):
            table.bury(database, entry, error, code, time.time())

    async def letters(self, limit: int | None) -> Sequence[DeadLetter]:
        """Return the newest dead letters, oldest first."""
        return await self._call(lambda: table.letters(self._database().database, limit))

    async def letter(self, seq: int) -> DeadLetter:
        """Return one dead letter; raises NotFoundError."""
        return existing(seq, await self._call(lambda: table.letter(self._database().database, seq)))

    async def drop_letters(self, seqs: Sequence[int]) -> int:
        """Remove dead letters, and return how many there were."""
        return await self._call(partial(self._drop, seqs))

    def _drop(self, seqs: Sequence[int]) -> int:
        with table.transaction(self._database().database):
            return table.drop_letters(self._database().database, seqs)

    async def orphans(self) -> Sequence["SqliteJournal"]:
        """Return the journals of processes that are gone, beside this one and for the same graph, opened.

        One that cannot be opened is left where it is, and named in `findings`.
        """
        found: list[SqliteJournal] = []
        for directory in await self._call(partial(orphaned, self.directory)):
            orphan = SqliteJournal(
                directory, durability=self._durability, max_bytes=self.max_bytes, target=self._target
            )
            try:
                await orphan.open()
            except JournalLockedError:
                continue
            except PerdureError as error:
                self.findings.append(f"The journal in {str(directory)!r} was not adopted: {error}")
            else:
                found.append(orphan)
        return found

    async def adopted(self, journal: str) -> Mapping[int, int]:
        """Return how much of an orphan was taken over before, by lane."""
        return await self._call(lambda: table.adopted_up_to(self._database().database, journal))

    async def adopt(self, journal: str, entries: Sequence[tuple[JournalEntry, JournalEntry]]) -> None:
        """Take over an orphan's writes: each as it stands there, and as it stands here."""
        await self._call(partial(self._adopt, journal, entries))

    def _adopt(self, journal: str, entries: Sequence[tuple[JournalEntry, JournalEntry]]) -> None:
        with self._writing().writing([new for _, new in entries]) as database:
            for old, _ in entries:
                table.note_adopted(database, journal, old.lane, old.seq)

    async def adopt_letters(self, journal: str, letters: Sequence[DeadLetter], first_seq: int) -> None:
        """Take over an orphan's dead letters, whole or not at all, under numbers from `first_seq` on."""
        if letters:
            await self._call(partial(self._adopt_letters, journal, letters, first_seq))

    def _adopt_letters(self, journal: str, letters: Sequence[DeadLetter], first_seq: int) -> None:
        opened = self._database()
        with table.transaction(opened.database):
            for seq, letter in enumerate(letters, first_seq):
                table.insert_letter(opened.database, letter, seq, opened.seed)
            table.note_adopted(opened.database, journal, LETTERS, max(letter.seq for letter in letters))
            table.note(opened.database, {"highest": first_seq + len(letters) - 1})

    async def remove(self) -> None:
        """Close the journal and delete its directory: another one has taken over all that was in it."""
        await self._call(lambda: rmtree(self.directory, ignore_errors=True))
        await self.close()

    async def close(self) -> None:
        """Write what is left to write, and let go of the files. Safe to call twice."""
        scribe, self._scribe = self._scribe, None
        self._opened = None
        if scribe is not None:
            await scribe.finish()
            self._lock.release()

    def abandon(self) -> None:
        """Close at once, without the event loop: it is ending, and close was forgotten."""
        scribe, self._scribe = self._scribe, None
        self._opened = None
        if scribe is not None:
            scribe.stop()
            self._lock.release()

    def _database(self) -> Opened:
        if self._opened is None:
            raise JournalError("The journal is not open.")
        return self._opened

    def _writing(self) -> Scribe:
        if self._scribe is None:
            raise JournalError("The journal is not open.")
        return self._scribe

    async def _call(self, work: Callable[[], T]) -> T:
        return await self._writing().call(work)
