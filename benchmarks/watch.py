"""For how long an event loop is held up, and what of that is the machine's doing.

A task asks to be woken every millisecond; how late it is woken is the stall. Beside it a process that does nothing else
asks for the same. While that one is late as well, nothing on the machine ran in time, so this is taken off.
"""

import asyncio
import gc
import json
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from time import perf_counter, thread_time

TICK_SECONDS = 0.001
WORTH_KEEPING = 0.002
"""Seconds of lateness from which it is kept when that was."""
IDLE_PROCESS = f"""
import json, select, sys, time
late, ended = [], False
print("ready", flush=True)
while not ended:
    due = time.perf_counter() + {TICK_SECONDS}
    ended = bool(select.select([sys.stdin], [], [], {TICK_SECONDS})[0])
    woken = time.perf_counter()
    if woken - due > {WORTH_KEEPING}:
        late.append((due, woken))
print(json.dumps(late))
"""

Late = tuple[float, float]
"""When somebody should have been woken, and was."""


class Watch:
    """Keeps how late the event loop was, and how long its thread computed at a stretch, at most, in milliseconds."""

    def __init__(self) -> None:
        self.longest = 0.0
        """The longest stall, without what an idle process beside it waited as well."""
        self.seen = 0.0
        """The longest stall as it was."""
        self.idle = 0.0
        """How late the idle process was at the worst."""
        self.computed = 0.0
        self._late: list[Late] = []

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            due, used = perf_counter() + TICK_SECONDS, thread_time()
            await asyncio.sleep(TICK_SECONDS)
            woken = perf_counter()
            self.computed = max(self.computed, (thread_time() - used) * 1000)
            self.seen = max(self.seen, (woken - due) * 1000)
            if woken - due > WORTH_KEEPING:
                self._late.append((due, woken))

    def compare(self, idle: Sequence[Late]) -> None:
        """Take off what the idle process waited as well."""
        self.idle = max((woken - due for due, woken in idle), default=0.0) * 1000
        ours = (woken - due - shared((due, woken), idle) for due, woken in self._late)
        self.longest = max(ours, default=self.seen / 1000) * 1000


def shared(stall: Late, idle: Sequence[Late]) -> float:
    """Return for how many seconds of a stall the idle process was late as well."""
    return sum(max(0.0, min(stall[1], woken) - max(stall[0], due)) for due, woken in idle)


@contextmanager
def idle_process() -> Generator[list[Late]]:
    """Have a process ask to be woken every millisecond for the time of a block; the list says then when it was late."""
    found: list[Late] = []
    command = [sys.executable, "-I", "-S", "-c", IDLE_PROCESS]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield found
        finally:
            found += [(due, woken) for due, woken in json.loads(process.communicate()[0])]


@asynccontextmanager
async def watched() -> AsyncGenerator[Watch]:
    """Watch the event loop for the time of a block; the watch tells after it."""
    gc.collect()
    watch = Watch()
    with idle_process() as idle:
        task = asyncio.create_task(watch.run())
        try:
            await asyncio.sleep(2 * TICK_SECONDS)
            yield watch
        finally:
            task.cancel()
            await asyncio.wait([task])
    watch.compare(idle)
