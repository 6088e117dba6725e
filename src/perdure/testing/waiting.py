"""Waiting for what others are about to do."""

import asyncio
from collections.abc import Callable
from time import monotonic


async def wait_until(predicate: Callable[[], object], deadline: float = 10.0) -> None:
    """Return as soon as `predicate()` is true; raises TimeoutError when it is not within `deadline` seconds."""
    latest = monotonic() + deadline
    while not predicate():
        if monotonic() > latest:
            raise TimeoutError(f"It did not come true within {deadline:g} s.")
        await asyncio.sleep(0.001)
