"""Names and times that the client gives out: in order within a process, also when its clock steps back."""

import os
import threading
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from struct import Struct
from time import time_ns

_RANDOM_BITS = 74
_RANDOM = (1 << _RANDOM_BITS) - 1
_STEP = (1 << 32) - 1
_WORDS = Struct("512Q")
_VARIANTS = "89ab"
_TICK = timedelta(microseconds=1)
_lock = threading.Lock()
_pool: list[int] = []
_last_id = 0
_last_time = datetime.min.replace(tzinfo=UTC)


def uuid7() -> str:
    """Return a UUID of version 7 (RFC 9562): milliseconds since 1970, then random bits; each later than the last."""
    global _last_id  # noqa: PLW0603  the order is the process's
    with _lock:
        chance = _random()
        fresh = (time_ns() // 1_000_000) << _RANDOM_BITS | chance & _RANDOM
        _last_id = fresh if fresh > _last_id else _last_id + 1 + (chance & _STEP)
        number = _last_id
    high, low = number >> 62, number & ((1 << 62) - 1)
    text = f"{high >> 12:012x}{0b10 << 62 | low:016x}"
    return f"{text[:8]}-{text[8:12]}-7{high & 0xFFF:03x}-{text[12:16]}-{text[16:]}"


def uuid8(text: str) -> str:
    """Return the UUID of version 8 (RFC 9562) that a text has, in every process: the first 128 bits of its SHA-256."""
    found = sha256(text.encode()).hexdigest()
    variant = _VARIANTS[int(found[16], 16) & 0b11]
    return f"{found[:8]}-{found[8:12]}-8{found[13:16]}-{variant}{found[17:20]}-{found[20:32]}"


def _random() -> int:
    """Return 128 random bits; the system is asked for many at a time, because asking it takes microseconds."""
    if not _pool:
        _pool.extend(_WORDS.unpack(os.urandom(_WORDS.size)))
    return _pool.pop() << 64 | _pool.pop()


def _forked() -> None:
    global _lock  # noqa: PLW0603  it may have been held by a thread that is not in the child
    _pool.clear()  # a child that drew from its parent's pool would give out its parent's ids
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):  # where there is no fork, there is no such function
    os.register_at_fork(after_in_child=_forked)


def now() -> datetime:
    """Return the time in UTC, at least a microsecond after the one returned before."""
    global _last_time  # noqa: PLW0603  the order is the process's
    with _lock:
        fresh = datetime.now(UTC)
        _last_time = fresh if fresh > _last_time else _last_time + _TICK
        return _last_time
