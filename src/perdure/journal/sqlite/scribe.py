"""Who writes a journal's database: one thread, which commits together what came while it was committing.

A write that need not reach the disk (durability `"os"`) is a copy into the system's memory, and takes less time than
waking a thread. While the thread is idle such a write is made where it is asked for, on the event loop. The thread
keeps everything that may wait for a disk: syncs, checkpoints, reads, and all writes of durability `"disk"`.
"""

import asyncio
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from perdure.errors import JournalError, JournalFullError, PerdureError
from perdure.journal.sqlite import opening, place, table
from perdure.journal.sqlite.budget import Budget
from perdure.journal.sqlite.opening import Opened
from perdure.journal.sqlite.record import row, rows
from perdure.journal.sqlite.tasks import IDLE, Call, Idle, Task, fail, heard, succeed
from perdure.records import JournalEntry
from perdure.runtime.home import uninterrupted
from perdure.telemetry import WRITES

T = TypeVar("T")

Kept = Callable[[Sequence[JournalEntry], JournalError | None], None]
"""Told, on the event loop, of writes that are in the journal now, or of the error that kept them out."""
SECONDS_TO_SETTLE = 0.05
SECONDS_TO_TRY_AGAIN = 1.0
PAGES_WORTH_FREEING = 256
SECONDS_TO_STOP = 10.0
SECONDS_TO_WATCH = 0.0003
ENTRIES_BETWEEN_CHECKPOINTS = 1500
MOST_CHECKPOINTS_PUT_OFF = 10
"""While writes keep coming, the log may grow to this many times its length."""
LARGEST_AT_ONCE = 16 * 1024


class Scribe:
    """Runs a journal's database on a thread of its own.

    What it is asked is done in order. Writes that were submitted during one commit are the next one: alone, a write
    has a commit to itself; under load hundreds share one.
    """

    def __init__(self, kept: Kept, *, syncs: bool) -> None:
        self.broken: JournalError | None = None
        """Why nothing can be written any more, until the journal is opened anew."""
        self._kept = kept
        self._directory = Path()
        self._queue: SimpleQueue[Task] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._budget = Budget(self._loop)
        self._opened: Opened | None = None
        self._last: dict[int, int] = {}
        self._settled: deque[tuple[int, int]] = deque()
        self._owed: dict[int, int] = {}
        self._watch_until = 0.0
        self._replaced: dict[int, int] = {}
        self._syncs = syncs
        self._turn = threading.Lock()
        self._underway = self._unchecked = 0
        self._asked = self._patient = self._settling_soon = False
        self._in_hand: list[Task] = []
        self._ended = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, name="perdure journal", daemon=True)

    def check(self) -> None:
        """Raise JournalError when the journal is broken."""
        if self.broken is not None:
            raise type(self.broken)(self.broken.message, hint=self.broken.hint)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def append(self, entry: JournalEntry, replacing: int | None) -> bool:
        """Write an entry, and return whether it is safe already; otherwise it will be with the next group.

        A dead letter it replaces is removed in the same commit. Raises JournalError when the journal is broken.
        """
        self.check()
        if replacing is None and self._may_write_at_once(entry) and self._write_at_once(entry):
            return True
        if replacing is not None:
            self._replaced[entry.seq] = replacing
        self._underway += 1
        self._queue.put(entry)
        return False

    def _may_write_at_once(self, entry: JournalEntry) -> bool:
        return not self._syncs and not self._underway and entry.size <= LARGEST_AT_ONCE and self._budget.allows()

    def _write_at_once(self, entry: JournalEntry) -> bool:
        """Write an entry here and now, if the thread is not at it, and return whether that went well."""
        opened = self._opened
        if opened is None or not self._turn.acquire(blocking=False):
            return False
        try:
            began = time.monotonic()
            values = row(entry, self._last.get(entry.lane, -1), time.time(), opened.seed)
            opened.database.execute(table.INSERT, values)
            self._last[entry.lane] = entry.seq
        except (sqlite3.Error, TypeError, ValueError):
            return False  # the thread meets the same trouble, and knows what to do about it
        finally:
            self._turn.release()
        self._budget.spend(time.monotonic() - began)
        self._unchecked += 1
        if self._unchecked >= ENTRIES_BETWEEN_CHECKPOINTS and not self._asked:
            self._asked = True
            self._queue.put(IDLE)
        return True

    def settle(self, lane: int, up_to: int) -> None:
        """Have writes removed, some time soon: until then their mark in the store speaks for them."""
        self._settled.append((lane, up_to))
        if not self._settling_soon:
            self._settling_soon = True
            self._loop.call_later(SECONDS_TO_SETTLE, self._settle_now)

    def _settle_now(self) -> None:
        self._settling_soon = False
        self._queue.put(IDLE)

    async def call(self, work: Callable[[], T]) -> T:
        """Run something on the thread, after all that was asked before; a cancelled caller waits for its end."""
        return await uninterrupted(self.ask(work))

    def ask(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Have something run on the thread, after all that was asked before; nobody need wait for its answer."""
        self.check()
        answer: asyncio.Future[T] = self._loop.create_future()
        answer.add_done_callback(heard)
        self._queue.put(Call(work, answer))
        return answer

    async def finish(self) -> None:
        """Do what was asked, close the database, and end the thread."""
        self._queue.put(None)
        await uninterrupted(self._ended)

    def stop(self) -> None:
        """Finish, blocking until it is done: for an event loop that is ending."""
        self._queue.put(None)
        self._thread.join(SECONDS_TO_STOP)

    def use(self, opened: Opened, directory: Path) -> None:
        """Write to this database from now on. For the thread itself."""
        self._opened = opened
        self._directory = directory
        opened.database.execute("PRAGMA busy_timeout = 0")
        self._last = {}

    def pass_by(self, numbers: Mapping[int, int]) -> None:
        """Write behind these numbers, whatever the lanes have come to themselves. For the thread itself."""
        for lane, seq in numbers.items():
            self._last[lane] = max(seq, self._last.get(lane, -1))

    @property
    def _in_use(self) -> Opened:
        if self._opened is None:
            raise JournalError("The journal is not open.")
        return self._opened

    @contextmanager
    def writing(self, entries: Sequence[JournalEntry]) -> Generator[sqlite3.Connection]:
        """Write entries down, and what the body writes, in one commit. For the thread itself."""
        last = dict(self._last)
        try:
            with table.transaction(self._in_use.database):
                self._in_use.database.executemany(table.INSERT, rows(entries, self._last, self._in_use.seed))
                yield self._in_use.database
        except BaseException:
            self._last = last
            raise

    def _run(self) -> None:
        try:
            while self._work(self._next()):
                pass
            self._shut()
        except BaseException as error:
            self.broken = JournalError(f"The journal's thread ended unexpectedly ({type(error).__name__}).")
            raise
        finally:
            self._refuse_the_rest()
            self._tell(succeed, self._ended, None)

    def _shut(self) -> None:
        if self._opened is None or self.broken:
            return
        self._settle()
        try:
            opening.shut(self._in_use.database)
        except sqlite3.Error as error:
            WRITES.warning("the journal was not closed properly: %s", error)

    def _next(self) -> Task:
        """Return what comes next, or IDLE when something is still owed and nothing else comes."""
        with suppress(Empty):
            return self._watch()
        try:
            return self._queue.get(timeout=SECONDS_TO_TRY_AGAIN if self._owed and not self.broken else None)
        except Empty:
            return IDLE

    def _watch(self) -> Task:
        """Look for the next task a moment longer after a commit, since to be woken takes as long as a commit does.

        Raises Empty when none comes.
        """
        while time.monotonic() < self._watch_until:
            try:
                return self._queue.get_nowait()
            except Empty:
                time.sleep(0)
        raise Empty

    def _work(self, task: Task) -> bool:
        """Commit what can be committed together, then do what came behind it; return whether to go on."""
        entries: list[JournalEntry] = []
        idle = False
        while isinstance(task, JournalEntry | Idle):
            idle = idle or isinstance(task, Idle)
            if isinstance(task, JournalEntry):
                entries.append(task)
            try:
                task = self._queue.get_nowait()
            except Empty:
                break
        self._in_hand = [*entries, task]
        with self._turn:
            if entries:
                self._commit(entries)
                self._in_hand = [task]
            if idle and not self.broken:
                self._tidy()
            if isinstance(task, Call):
                self._answer(task)
        self._in_hand = []
        return task is not None

    def _commit(self, entries: list[JournalEntry]) -> None:
        error = self.broken or self._write(entries)
        self._tell(self._told, entries, error)
        self._watch_until = time.monotonic() + SECONDS_TO_WATCH
        self._unchecked += len(entries)
        due = self._unchecked / ENTRIES_BETWEEN_CHECKPOINTS
        if due >= MOST_CHECKPOINTS_PUT_OFF or (due >= 1 and self._queue.empty()):
            self._checkpoint()

    def _told(self, entries: list[JournalEntry], error: JournalError | None) -> None:
        self._underway -= len(entries)
        self._kept(entries, error)

    def _tidy(self) -> None:
        """Let go of what is settled, and give space back."""
        if self._settle() is None:
            self._free()
        if self._unchecked >= ENTRIES_BETWEEN_CHECKPOINTS:
            self._checkpoint()

    def _settle(self) -> JournalError | None:
        """Remove what is settled; where that fails it stays owed."""
        self._collect()
        return self._write([]) if self._owed else None

    def _collect(self) -> None:
        while self._settled:
            lane, up_to = self._settled.popleft()
            self._owed[lane] = max(up_to, self._owed.get(lane, -1))

    def _write(self, entries: list[JournalEntry]) -> JournalError | None:
        """Write entries down, or remove what is owed."""
        owed = {} if entries else self._owed
        try:
            with self.writing(entries) as database:
                table.settle(database, owed)
                if self._replaced:
                    table.drop_letters(database, self._replacing(entries))
        except sqlite3.Error as error:
            return self._failed(error, entries)
        except (TypeError, ValueError) as error:
            return JournalError(f"A write cannot be written down ({type(error).__name__}); none of its group was kept.")
        if owed:
            self._owed = {}
        return None

    def _replacing(self, entries: list[JournalEntry]) -> list[int]:
        """Return the dead letters that these writes stand for again."""
        return [letter for entry in entries if (letter := self._replaced.pop(entry.seq, None)) is not None]

    def _failed(self, error: sqlite3.Error, entries: list[JournalEntry]) -> JournalError | None:
        if opening.name_of(error).startswith("SQLITE_BUSY") and not self._patient:
            with self._patience():
                return self._write(entries)
        found = opening.meaning(error, self._directory)
        if not isinstance(found, JournalFullError):
            return self._break(found)
        return self._make_room(found, entries) or (found if entries else None)

    def _make_room(self, found: JournalFullError, entries: list[JournalEntry]) -> JournalError | None:
        """Remove what is settled, if need be in the space that was set aside, and give it back to the disk."""
        self._collect()
        if not self._owed or not (entries or place.drop_ballast(self._directory)):
            return found
        error = self._write([])
        if error is None:
            self._free(1)
        return error

    def _meaning(self, error: sqlite3.Error) -> PerdureError:
        """Return what an error means; one of the disk breaks the journal."""
        found = opening.meaning(error, self._directory)
        return self._break(found) if opening.failed_on_disk(error) and self._opened else found

    def _break(self, found: PerdureError) -> JournalError:
        """Write nothing any more: what a failed sync has left behind, nobody knows."""
        self.broken = found if isinstance(found, JournalError) else JournalError(str(found))
        WRITES.error("the journal is broken until it is opened anew: %s", self.broken)
        return self.broken

    @contextmanager
    def _patience(self) -> Generator[None]:
        """Wait for somebody else who is writing to the file; the event loop never does."""
        self._patient = True
        self._in_use.database.execute(f"PRAGMA busy_timeout = {int(1000 * opening.BUSY_SECONDS)}")
        try:
            yield
        finally:
            self._patient = False
            self._in_use.database.execute("PRAGMA busy_timeout = 0")

    def _checkpoint(self, *, shrink: bool = False) -> None:
        """Fold the log into the database, and begin it anew, since the first write to a new log waits for the disk.

        The file of the log keeps its size, which makes the next syncs faster, unless it is to shrink.
        """
        self._unchecked = 0
        self._asked = False
        try:
            opening.fold_log(self._in_use.database, self._directory, shrink=shrink)
        except sqlite3.Error as error:
            self._meaning(error)

    def _free(self, least: int = PAGES_WORTH_FREEING) -> None:
        """Give pages that are no longer used back to the disk, when they are that many."""
        with suppress(sqlite3.Error):
            if opening.give_back(self._in_use.database, least):
                self._checkpoint(shrink=True)
                place.fill_ballast(self._directory)

    def _answer(self, call: Call) -> None:
        """Run a call; what it raises is its caller's."""
        try:
            result = self._with_room(call.work)
        except sqlite3.Error as error:
            self._tell(fail, call.answer, self._meaning(error))
        except BaseException as error:
            self._tell(fail, call.answer, error)
            if not isinstance(error, Exception):
                raise
        else:
            self._tell(succeed, call.answer, result)

    def _with_room(self, work: Callable[[], Any]) -> Any:
        """Run something that has to be written down, if need be in the space that was set aside."""
        ready = self._opened is not None
        try:
            return work()
        except sqlite3.Error as error:
            if not ready or not isinstance(opening.meaning(error, self._directory), JournalFullError):
                raise
        place.drop_ballast(self._directory)
        opening.widen(self._in_use.database)
        self._settle()
        self._checkpoint(shrink=True)
        return work()

    def _refuse_the_rest(self) -> None:
        """Leave nobody waiting for a thread that has ended."""
        error = self.broken or JournalError("The journal is closed.")
        self.broken = error
        while not self._queue.empty():
            self._in_hand.append(self._queue.get())
        for task in self._in_hand:
            if isinstance(task, JournalEntry):
                self._tell(self._told, [task], error)
            elif isinstance(task, Call):
                self._tell(fail, task.answer, error)

    def _tell(self, what: Callable[..., None], *arguments: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody is there to be told
            self._loop.call_soon_threadsafe(what, *arguments)
