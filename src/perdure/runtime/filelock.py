"""A lock on a file, which the system lets go of when the process ends, however it ends."""

import fcntl
import os
import time
from collections.abc import Sequence
from pathlib import Path
from weakref import WeakSet


class FileLock:
    """Holds a file against every other process, and every other holder in this one. A forked child does not hold it."""

    def __init__(self) -> None:
        self._file: int | None = None

    def hold(self, path: Path, pauses: Sequence[float] = ()) -> int:
        """Take the lock of a file, made if it is not there, and return it open; try again after each of the pauses.

        Raises BlockingIOError when somebody else has it, and OSError when there can be no such file.
        """
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            lock(file, pauses)
            if os.fstat(file).st_ino != path.stat().st_ino:  # it was removed, and made anew, in between
                raise BlockingIOError
        except OSError:
            os.close(file)
            raise
        self._file = file
        _held.add(self)
        return file

    def release(self) -> None:
        """Let go. Safe to call twice."""
        file, self._file = self._file, None
        if file is not None:
            _held.discard(self)
            os.close(file)


def lock(file: int, pauses: Sequence[float]) -> None:
    """Lock a file, also while somebody looks for a moment whether it is locked; raises BlockingIOError."""
    for pause in pauses:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(pause)
        else:
            return
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


_held: WeakSet[FileLock] = WeakSet()


def _leave_to_the_parent() -> None:
    """Close a forked child's copies, which would hold the locks for as long as the child lives."""
    for each in list(_held):
        each.release()


os.register_at_fork(after_in_child=_leave_to_the_parent)
