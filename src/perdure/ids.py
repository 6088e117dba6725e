"""Names and times that the client gives out: in order within a process, also when its clock steps back."""

import os
import threading
from datetime import UTC, datetime, timedelta
from time import time_ns

_RANDOM_BITS = 74
_STEP_BITS = 32
_POOL_BYTES = 4096
_lock = threading.Lock()
_pool = memoryview(b"")
_last_id = 0
_last_time = datetime.min.replace(tzinfo=UTC)


def uuid7() -> str:
    """Return a UUID of version 7 (RFC 9562): milliseconds since 1970, then random bits; each later than the last."""
    global _last_id  # noqa: PLW0603  the order is the process's
    with _lock:
        chance = _random()
        fresh = (time_ns() // 1_000_000) << _RANDOM_BITS | chance & ((1 << _RANDOM_BITS) - 1)
        _last_id = fresh if fresh > _last_id else _last_id + 1 + (chance & ((1 << _STEP_BITS) - 1))
        number = _last_id
    high, low = number >> 62, number & ((1 << 62) - 1)
    text = f"{high >> 12:012x}7{high & 0xFFF:03x}{0b10 << 62 | low:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _random() -> int:
    """Return 80 random bits; the system is asked for many at a time, because asking it takes microseconds."""
    global _pool  # noqa: PLW0603  the pool is the process's
    if len(_pool) < 10:
        _pool = memoryview(os.urandom(_POOL_BYTES))
    taken, _pool = _pool[:10], _pool[10:]
    return int.from_bytes(taken)


def _forked() -> None:
    global _pool, _lock  # noqa: PLW0603  a child that drew from its parent's pool would give out its parent's ids
    _pool = memoryview(b"")
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):  # where there is no fork, there is no such function
    os.register_at_fork(after_in_child=_forked)


def now() -> datetime:
    """Return the time in UTC, at least a microsecond after the one returned before."""
    global _last_time  # noqa: PLW0603  the order is the process's
    with _lock:
        _last_time = max(datetime.now(UTC), _last_time + timedelta(microseconds=1))
        return _last_time
