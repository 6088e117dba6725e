"""Who holds a file of vectors: one client, whose memory is the only one that follows what is written to it."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from perdure.errors import StoreUnavailableError

_held: set[int] = set()


def take(path: Path) -> int:
    """Hold a file against all other clients, here and in other processes, until `release` or the process's end.

    Raises StoreUnavailableError when another has it.
    """
    file = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        raise StoreUnavailableError(
            f"{str(path)!r} is in use, and takes one client at a time.",
            hint="Close that one, choose another data_dir, or let several processes share a Neo4j (neo4j.uri).",
        ) from None
    _held.add(file)
    return file


def release(file: int) -> None:
    """Let go."""
    _held.discard(file)
    with suppress(OSError):
        os.close(file)


def _leave_to_the_parent() -> None:
    """Close a forked child's copies, which would hold the files for as long as the child lives."""
    for file in list(_held):
        release(file)


os.register_at_fork(after_in_child=_leave_to_the_parent)
