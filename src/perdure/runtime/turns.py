"""The event loop's time, shared out: when many want to compute at the same time, what else is due runs in between."""

import asyncio
from collections import deque

SECONDS = 0.001
MOST_AT_ONCE = 64


class Turns:
    """Has those who ask before they compute go on a few at a time.

    In one turn of the event loop they go on until it has taken about `seconds`; the others wait, and go on in the
    order in which they asked, so many each turn as took that long before. Whoever asks alone does not wait.
    """

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._at_once = 1
        self._began: float | None = None
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def take(self) -> None:
        """Return when it is one's turn."""
        loop = asyncio.get_running_loop()
        if self._began is None:
            self._begin(loop)
        elif self._waiting or loop.time() - self._began >= self._seconds:
            mine: asyncio.Future[None] = loop.create_future()
            self._waiting.append(mine)
            await mine

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        self._began = began = loop.time()
        loop.call_soon(self._next, loop, began)

    def _next(self, loop: asyncio.AbstractEventLoop, began: float) -> None:
        """Let as many go on as the last turn had time for: they do so in the loop's next turn."""
        was_long = loop.time() - began >= self._seconds
        self._at_once = max(1, self._at_once // 2) if was_long else min(2 * self._at_once, MOST_AT_ONCE)
        self._began = None
        for _ in range(self._at_once):
            self._let_one_go_on()
        if self._waiting:
            self._begin(loop)

    def _let_one_go_on(self) -> None:
        while self._waiting:
            first = self._waiting.popleft()
            if not first.done():
                first.set_result(None)
                return
