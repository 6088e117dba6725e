"""What met something in passing, such as a lock or a deletion: it may go well in a moment."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from perdure.errors import StoreError

T = TypeVar("T")


async def soon(run: Callable[[], Awaitable[T]], again: Callable[[StoreError], bool], *, tries: int = 20) -> T:
    """Return what `run` does, tried again within milliseconds, a few times, after errors for which that is worth it."""
    for attempt in range(1, tries):
        try:
            return await run()
        except StoreError as error:
            if not again(error):
                raise
        await asyncio.sleep(random.uniform(0.001, 0.02 * attempt))  # noqa: S311  not a secret
    return await run()
