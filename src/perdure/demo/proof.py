"""The proof: a process is killed in the middle of its work, and all that it was told is saved is in the graph, once."""

import asyncio
import os
import random
import sys
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from perdure import MemoryClient
from perdure.demo.agent import settings_for
from perdure.errors import StoreUnavailableError

FEWEST, MOST = 800, 1600
FLUSH_SECONDS = 60.0
NUMBERS = "MATCH (l:DemoLog {id: $id}) RETURN l.numbers AS numbers"


@dataclass(frozen=True, slots=True)
class Proof:
    """What a killed agent was told, and what is in the graph after the next start."""

    accepted: int
    """Writes whose acceptance the agent saw."""
    left: int
    """Writes that the next process found in the journal, still to commit."""
    already_applied: int
    """Writes that it found in the journal and that the graph had already."""
    recovery_seconds: float
    """From the start of the next process's client until everything was committed."""
    numbers: list[int]
    """The writes in the graph, in the order in which they were applied."""

    @property
    def missing(self) -> int:
        """Accepted writes that are not in the graph."""
        return len(set(range(self.accepted)) - set(self.numbers))

    @property
    def repeated(self) -> int:
        """Writes that were applied more than once."""
        return len(self.numbers) - len(set(self.numbers))

    @property
    def in_order(self) -> bool:
        """Whether they were applied in the order in which they were submitted."""
        return self.numbers == sorted(self.numbers)


async def prove(uri: str | None, directory: Path, name: str) -> Proof:
    """Start an agent, kill it with signal 9 in mid-run, start again, and read back.

    Raises StoreUnavailableError when the agent cannot work, or what it left cannot be committed.
    """
    accepted = await killed_agent(uri, directory, name)
    started = perf_counter()
    async with MemoryClient(settings_for(str(directory), uri)) as client:
        summary = await client.flush(timeout=FLUSH_SECONDS)
        seconds = perf_counter() - started
        if not summary.complete:
            raise StoreUnavailableError(f"{summary.unsettled} writes were not committed within {FLUSH_SECONDS:g} s.")
        rows = await client.query.cypher(NUMBERS, {"id": name})
        report = client.buffered.recovery
    return Proof(accepted, report.left, report.already_applied, seconds, rows[0]["numbers"] if rows else [])


async def killed_agent(uri: str | None, directory: Path, name: str) -> int:
    """Run an agent until some random number of its writes is accepted, kill it, and return how many were."""
    arguments = [str(directory), name, *([uri] if uri else [])]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "perdure.demo.agent", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=os.environ,
    )  # fmt: skip
    enough, seen = random.randint(FEWEST, MOST), 0  # noqa: S311  not a secret
    try:
        while seen < enough and process.stdout is not None and await process.stdout.readline():
            seen += 1
    finally:
        if process.returncode is None:
            process.kill()
        out, said = await process.communicate()
    if seen < enough:
        raise StoreUnavailableError(f"The agent process ended by itself: {said.decode(errors='replace')[-300:]}")
    return seen + out.count(b"\n")
