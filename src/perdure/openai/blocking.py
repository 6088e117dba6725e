"""The same for code that does not await: memory is asked and told on the event loop of a SyncMemory."""

import atexit
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from threading import TIMEOUT_MAX, Lock
from time import monotonic
from typing import Any, TypeVar
from weakref import ref

from perdure.errors import ClosedError, ConfigError, PerdureError, shorten
from perdure.openai.remembering import SECONDS_FOR_ACCEPTING, Remembering, not_recalled
from perdure.openai.turns import Recalled, Turn
from perdure.runtime.home import Process
from perdure.sync import SyncMemory, ending

T = TypeVar("T")


class SyncRemembering:
    """`Remembering`, called from any thread, which waits no longer than it promised, even while the loop stands still.

    A memory that is not open yet is opened beside the completion, which waits for it no longer than for memories.
    """

    def __init__(self, memory: SyncMemory | None) -> None:
        self._memory = memory or SyncMemory()
        self._lent = memory is not None
        self._remembering = Remembering(self._memory.asynchronous)
        self._process: Process | None = None
        self._lock = Lock()
        self._opener = ThreadPoolExecutor(1, "perdure open")
        self._opening: Future[None] | None = None
        self._open = False
        self._watched = False
        self._closed = False
        self._at_exit = partial(_close, ref(self))
        atexit.register(self._at_exit)

    def recall(self, turn: Turn) -> Recalled:
        """Return the memories that are found for a turn within the time that there is for it."""
        if not turn.recalling.limit:
            return Recalled("off")
        patience = min(self._remembering.patience(turn), TIMEOUT_MAX)
        deadline = monotonic() + patience
        try:
            if self._opened(patience):
                left = max(0.0, deadline - monotonic())
                return self._run(lambda: self._remembering.recall(turn, left), left)
        except PerdureError as error:
            return not_recalled(error)
        except TimeoutError:
            pass
        self._remembering.is_warm = True
        return Recalled("timeout")

    def expect(self, turn: Turn) -> None:
        """Note a turn whose answer is on its way: until it has ended, this stays, also when its client does not."""
        self._remembering.expect(turn)
        _expecting.add(self)
        try:
            self._begin_to_open()  # `end` opens nothing, and where nothing is recalled, nothing else does
        except PerdureError as error:
            if not turn.ended:
                self._remembering.not_remembered(turn, error)
            self._rest()

    def _rest(self) -> None:
        """Be let go of, unless an answer is on its way."""
        if not self._remembering.expects:
            _expecting.discard(self)

    def settled(self, turn: Turn) -> None:
        """End a turn, and wait a moment for the journal to have it. Safe to call again."""
        if turn.ended:
            return
        try:
            if self._opened(SECONDS_FOR_ACCEPTING) or not self._is_later(turn):
                self._settle(turn)
        except PerdureError as error:
            self._remembering.not_remembered(turn, error)
        self._rest()

    def _settle(self, turn: Turn) -> None:
        """Have a turn ended on the loop, which does so also when nobody waits for it any more."""
        if turn.memory.remembered == "waiting":  # else it may be over on the loop by now
            turn.memory.remembered = "pending"
        answer = self._memory.connection.loop.begin(lambda: self._remembering.settled(turn)).answer
        answer.add_done_callback(partial(self._settled, turn))
        wait([answer], timeout=SECONDS_FOR_ACCEPTING)

    def _settled(self, turn: Turn, answer: Future[None]) -> None:
        if error := answer.exception():
            self._remembering.not_remembered(turn, error)

    def _is_later(self, turn: Turn) -> bool:
        """Remember a turn when the memory is open, and return whether it is not."""
        with self._lock:
            if not self._open:
                turn.memory.remembered = "pending"
                self._submit(self._late, turn)
            return not self._open

    def _late(self, turn: Turn) -> None:
        """Remember a turn that had to wait, in the thread that opens the memory."""
        try:
            if self._opening is not None:
                _check(self._opening)
            self._settle(turn)
        except PerdureError as error:
            self._remembering.not_remembered(turn, error)

    def _opened(self, seconds: float) -> bool:
        """Return whether the memory is open, after some seconds at most. Raises why it cannot be opened."""
        opening = self._begin_to_open()
        if not opening.done():
            wait([opening], timeout=seconds)
        if opening.done():
            _check(opening)
            self._watched = self._watched or ending.watch()
        return opening.done()

    def _begin_to_open(self) -> Future[None]:
        """Have the memory opened, anew where that failed, and return when it is. Raises ClosedError."""
        self._process = self._process or Process()
        self._process.check()
        opening = self._opening
        if opening is not None and self._open and not self._closed:
            return opening
        with self._lock:
            if self._closed:
                raise ClosedError("The chat client is closed.")
            opening = self._opening
            if opening is None or (opening.done() and opening.exception()):
                self._opening = opening = self._submit(self._memory.connection.open)
                opening.add_done_callback(self._is_open)
            return opening

    def _submit(self, work: Callable[..., None], *about: Turn) -> Future[None]:
        """Have the opener do some work; when the process ends, it takes none, and this thread does it."""
        try:
            return self._opener.submit(work, *about)
        except RuntimeError:
            done = Future[None]()
            try:
                done.set_result(work(*about))
            except BaseException as error:  # noqa: BLE001  whatever it is, `_check` says it
                done.set_exception(error)
            return done

    def _is_open(self, opening: Future[None]) -> None:
        if opening.exception() is None:
            self._open = True

    def _run(self, work: Callable[[], Coroutine[Any, Any, T]], timeout: float | None = None) -> T:
        return self._memory.connection.loop.run(work, timeout)

    @property
    def is_a_parents(self) -> bool:
        """Whether it was used before a fork, and this is the child."""
        return self._process is not None and self._process.left

    def close(self) -> None:
        """Remember what is left, and close a memory of our own; one that is lent stays open. Safe to call again."""
        try:
            self.end(None)
        finally:
            if self._opening is not None and not self._lent:
                self._memory.close()

    def end(self, seconds: float | None) -> None:
        """Remember what is left, within some seconds, None is as long as the settings say; leave the memory open."""
        if self._process is not None:
            self._process.check()
        with self._lock:
            if self._closed:
                return
            self._closed = True
        atexit.unregister(self._at_exit)
        self._opener.shutdown()
        try:
            if self._open:
                self._run(lambda: self._remembering.close(seconds), seconds)
            elif self._opening is not None and (error := self._opening.exception()):
                self._remembering.lose(error)
        except (ClosedError, TimeoutError) as error:  # the memory was lent, and closed before; its loop stands still
            self._remembering.lose(error)
        finally:
            _expecting.discard(self)


_expecting = set[SyncRemembering]()
"""Those that have to be there when the process ends."""


def _close(remembering: ref[SyncRemembering]) -> None:
    """Remember, when the process ends, what is left of a client that nobody has closed."""
    client = remembering()
    if client is not None and not client.is_a_parents:
        client.end(ending.SECONDS_AT_EXIT)  # the memory is closed after it, as all that are open then


def _check(opening: Future[None]) -> None:
    """Raise why a memory could not be opened, as an error of ours."""
    error = opening.exception()
    if error is None or isinstance(error, PerdureError):
        opening.result()
    else:
        raise ConfigError(f"The memory cannot be opened: {type(error).__name__}: {shorten(str(error), 200)}") from error
