"""The directory of a journal: whether it can hold one, and who holds it."""

import fcntl
import json
import os
import socket
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from perdure.errors import ConfigError, JournalFullError, JournalLockedError, shorten
from perdure.runtime.filelock import FileLock

DATABASE, WAL, LOCK, BALLAST = "journal.db", "journal.db-wal", "lock", "ballast"
BALLAST_BYTES = 1024 * 1024
LEAST_BYTES = 64 * 1024
NETWORK = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "glusterfs", "lustre", "9p", "fuse.sshfs", "davfs")
VOLATILE = ("tmpfs", "ramfs", "devtmpfs")
NO_SPACE = 28
PAUSES = (0.001, 0.004, 0.01, 0.02)
ELSEWHERE = "Choose a directory on a local disk that this process may write to: data_dir (PERDURE_DATA_DIR)."


def make(directory: Path) -> None:
    """Make a journal's directory, for its owner's eyes only.

    Raises ConfigError when it cannot be one, or when it is on a network file system, whose locks and syncs SQLite
    cannot rely on; JournalFullError when its disk is full.
    """
    try:
        for path in (*reversed(directory.parents), directory):
            path.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise unusable(directory, error) from error
    system = file_system(directory)
    if system in NETWORK:
        raise ConfigError(
            f"{str(directory)!r} is on a network file system ({system}), where no journal is safe.", hint=ELSEWHERE
        )


def unusable(directory: Path, error: OSError) -> ConfigError | JournalFullError:
    """Return the error for a directory the system will not let us use."""
    if error.errno == NO_SPACE:
        return JournalFullError(f"The disk of {str(directory)!r} is full.", hint="Free some space, or set data_dir.")
    reason = shorten(error.strerror or str(error))
    return ConfigError(f"{str(directory)!r} cannot hold the journal: {reason}.", hint=ELSEWHERE)


def file_system(path: Path) -> str:
    """Return the kind of file system a path is on, or an empty text where the system does not tell."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    real = str(path.resolve())
    best, kind = "", ""
    for line in mounts:
        before, _, after = line.partition(" - ")
        point = before.split(" ")[4].replace("\\040", " ")
        if len(point) >= len(best) and (real == point or real.startswith(point.rstrip("/") + "/")):
            best, kind = point, after.split(" ")[0]
    return kind


def boot() -> str:
    """Return a name for the time since the system started, or an empty text where it has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


class Lock(FileLock):
    """Holds a directory against every other process, and every other client of this one."""

    def take(self, directory: Path) -> None:
        """Take the lock of a directory, or raise JournalLockedError with who holds it."""
        path = directory / LOCK
        try:
            file = self.hold(path, PAUSES)
        except BlockingIOError:
            raise locked(path) from None
        except OSError as error:
            raise unusable(directory, error) from error
        sign(file)


def sign(file: int) -> None:
    """Write down who holds a lock; on a full disk it stays unsigned."""
    me = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    with suppress(OSError):
        os.ftruncate(file, 0)
        os.pwrite(file, json.dumps(me).encode(), 0)


def holder(path: Path) -> dict[str, Any]:
    """Return who signed a lock file: pid, host, since; empty when nobody can tell."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def is_locked(directory: Path) -> bool:
    """Return whether somebody holds a directory now."""
    try:
        file = os.open(directory / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def locked(path: Path) -> JournalLockedError:
    """Return the error for a journal that is in use."""
    who = holder(path)
    here = who.get("host") == socket.gethostname()
    by = f"process {who['pid']}" + ("" if here else f" on {who.get('host')}") if "pid" in who else "another process"
    if here and who.get("pid") == os.getpid():
        by = "an unclosed client of this process"
    since = f" since {who['since']}" if "since" in who else ""
    return JournalLockedError(
        f"The journal in {str(path.parent)!r} is in use by {by}{since}.",
        hint="Close that one. Where several share a Neo4j, each can have a journal of its own: memory.journal_name "
        "takes a name, and 'auto' finds a free one (PERDURE_MEMORY__JOURNAL_NAME=auto).",
    )


def size_of(path: Path) -> int:
    """Return a file's size; one that is not there has none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def siblings(directory: Path) -> list[Path]:
    """Return the other directories beside this one that hold a journal."""
    return sorted(path.parent for path in directory.parent.glob(f"*/{DATABASE}") if path.parent != directory)


def free(directory: Path) -> int:
    """Return how many bytes a directory's disk has left for us."""
    try:
        system = os.statvfs(directory)
    except OSError:
        return 0
    return system.f_bavail * system.f_frsize


def is_full(directory: Path) -> bool:
    """Return whether the disk of a directory has no room for anything."""
    return free(directory) < LEAST_BYTES


def sync_directories(directory: Path) -> None:
    """Have the names of new files and directories reach the disk, as their contents do."""
    for path in (directory, directory.parent, directory.parent.parent):
        with suppress(OSError):
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(file)
            finally:
                os.close(file)


def fill_ballast(directory: Path) -> bool:
    """Set space aside for the hour in which the disk is full; return whether there was any."""
    path = directory / BALLAST
    if size_of(path) == BALLAST_BYTES:
        return True
    if free(directory) < 2 * BALLAST_BYTES:
        return False
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return False
    try:
        written = os.pwrite(file, bytes(BALLAST_BYTES), 0)
    except OSError:
        written = 0
    finally:
        os.close(file)
    if written < BALLAST_BYTES:
        path.unlink(missing_ok=True)
    return written == BALLAST_BYTES


def drop_ballast(directory: Path) -> bool:
    """Give the space set aside to the journal; return whether there was any left."""
    try:
        (directory / BALLAST).unlink()
    except OSError:
        return False
    return True
