"""Decisions of the drain, as plain functions: how much to send, how to split what was refused, how long to wait."""

import random
from collections.abc import Iterable

from perdure.errors import Relief
from perdure.writes.receipts import Receipt

FIRST_WAIT, LONGEST_WAIT = 0.1, 5.0
QUICK_STEP, LONGEST_QUICK = 0.005, 0.1


def take(queue: Iterable[Receipt], max_count: int, max_bytes: int) -> list[Receipt]:
    """Return the head of a queue that fits into one transaction: at least one write, in order."""
    batch: list[Receipt] = []
    size = 0
    for receipt in queue:
        size += receipt.entry.size
        if batch and (size > max_bytes or len(batch) >= max_count):
            break
        batch.append(receipt)
    return batch


def split(count: int, position: int | None) -> list[int]:
    """Return the sizes in which to send a refused batch again, in order.

    Around the statement that was refused where the store could tell which, in halves where it could not.
    """
    if position is None or not 0 <= position < count:
        return [count // 2, count - count // 2]
    return [size for size in (position, 1, count - position - 1) if size]


def pause(attempt: int, relief: Relief) -> float:
    """Return the seconds to wait before try number `attempt` + 1, jittered so that lanes do not march in step."""
    if relief == "again":
        return random.uniform(0.0, min(QUICK_STEP * attempt, LONGEST_QUICK))  # noqa: S311  not a secret
    longest = min(FIRST_WAIT * 2.0 ** min(attempt - 1, 16), LONGEST_WAIT)
    return random.uniform(longest / 2, longest)  # noqa: S311  not a secret
