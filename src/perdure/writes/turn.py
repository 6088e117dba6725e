"""How long submits may keep the event loop to themselves."""

import asyncio
from time import monotonic

SECONDS = 0.0005
TURNS_FOR_A_BATCH = 4
"""After such a turn, while a batch is under way: a driver takes some twenty to read one answer, and the next waits."""


class Turn:
    """The event loop's present turn, as far as submits take part in it, whichever tasks they come from."""

    def __init__(self) -> None:
        self._began = 0.0

    def was_long(self) -> bool:
        """Return whether half a millisecond has gone by since the first submit in it."""
        now = monotonic()
        if not self._began:
            self._began = now
            asyncio.get_running_loop().call_soon(self._is_over)
        return now - self._began >= SECONDS

    def _is_over(self) -> None:
        self._began = 0.0

    async def end(self, *, sending: bool) -> None:
        """Let others go on; for as long as the store's driver needs while it is `sending`."""
        for _ in range(TURNS_FOR_A_BATCH if sending else 1):
            await asyncio.sleep(0)
