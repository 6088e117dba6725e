"""The command line of a benchmark: a small or a full run, on a server that is found or started, printed and saved."""

import argparse
import asyncio
import multiprocessing
from collections.abc import Callable, Coroutine, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.contenders import RIVAL, rival_is_installed
from benchmarks.figures import BUSY, Figure, cores, load, machine, progress, report
from benchmarks.scratch import Address
from tools.neo4j_server import ServerUnavailable, find_server

T = TypeVar("T")


@dataclass(frozen=True)
class Run:
    """What the command line asked for, and the server there is for it."""

    quick: bool
    address: Address | None
    """None where no Neo4j server can be had: only what needs none is measured then."""
    neo4j: bool
    """Whether the memory of a million writes is watched on Neo4j as well."""
    picture: Path | None = None
    """Where to draw how long adds take at rising concurrency."""

    def scaled(self, full: T, quick: T) -> T:
        """Return how many there should be of something in this run."""
        return quick if self.quick else full


Measure = Callable[[Run], Coroutine[Any, Any, Sequence[Figure]]]


def main(description: str | None, measures: Sequence[Measure], *, needs_server: bool = True) -> None:
    """Run benchmarks one after the other, and report all figures together."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small run, to see that it works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every figure, round by round, to a file")
    parser.add_argument("--neo4j", action="store_true", help="watch memory over a million writes into Neo4j as well")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw how long concurrent adds take, as SVG")
    options = parser.parse_args()
    if not rival_is_installed():
        progress(f"{RIVAL} is not installed, so nothing is compared with it; `make bench` installs it.")
    load_before = load()
    if (load_before or 0.0) > BUSY * cores():
        progress(f"The machine is busy (load {load_before:.1f} on {cores()} cores), so the figures will be worse.")
    with server(needed=needs_server or options.neo4j) as (address, name):
        measured_on = machine(name, load_before)
        run = Run(options.quick, address, options.neo4j, options.picture)
        figures: list[Figure] = []
        for place, measure in enumerate(measures, 1):
            part = measure.__module__.rpartition(".")[2] if len(measures) > 1 else ""
            if part:
                progress(f"[{place} of {len(measures)}] {part}")
            figures += [replace(figure, part=part) for figure in in_its_own_process(measure, run)]
    report(figures, measured_on, options.json)


def in_its_own_process(measure: Measure, run: Run) -> Sequence[Figure]:
    """Measure in a new process, so that no benchmark finds in memory what another left or imported."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(to_its_end, measure, run).result()


def to_its_end(measure: Measure, run: Run) -> Sequence[Figure]:
    """Measure, on an event loop of its own."""
    return asyncio.run(measure(run))


@contextmanager
def server(*, needed: bool) -> Generator[tuple[Address | None, str]]:
    """Yield where the server is, and what it calls itself; no address where none is needed, or none can be had."""
    if not needed:
        yield None, "none"
        return
    progress("looking for a Neo4j server…")
    try:
        found = find_server()
    except ServerUnavailable as error:
        progress(f"{error}. What needs a server is left out.")
        yield None, "none"
        return
    with found:
        yield Address(found.uri, found.username, found.password), f"Neo4j {found.version} ({found.source})"
