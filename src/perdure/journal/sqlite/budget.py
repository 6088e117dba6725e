"""How much time the event loop may spend on the journal itself."""

import asyncio
import time

SECONDS_A_TURN = 0.002
"""What writes may take in one turn of the loop; and a single one that takes longer is a slow disk's."""
TIMES_TO_RECOVER = 50
"""For how many times as long as a slow write took, the next ones are left to the thread."""


class Budget:
    """Allows the loop to write for two milliseconds in each of its turns, and not for a while after two slow writes.

    One alone is mostly a wait for the interpreter; two in a row are a slow disk, which so costs the loop few
    hundredths of its time.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._spent = 0.0
        self._slow_until = 0.0
        self._was_slow = False

    def allows(self) -> bool:
        """Return whether the loop may write now."""
        return self._spent < SECONDS_A_TURN and (not self._slow_until or time.monotonic() >= self._slow_until)

    def spend(self, seconds: float) -> None:
        """Count what a write took."""
        if not self._spent:
            self._loop.call_soon(self._next_turn)
        self._spent += seconds
        slow, self._was_slow = self._was_slow, seconds > SECONDS_A_TURN
        self._slow_until = time.monotonic() + TIMES_TO_RECOVER * seconds if slow and self._was_slow else 0.0

    def _next_turn(self) -> None:
        self._spent = 0.0
