"""How the benchmarks speak: medians with their spread, figures beside their targets, the machine, one table."""

import json
import os
import platform
import sqlite3
import statistics
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from itertools import groupby
from math import ceil
from pathlib import Path
from textwrap import fill, wrap
from typing import Any, TypeVar

import perdure
from perdure.journal.sqlite.place import VOLATILE, file_system

T = TypeVar("T")
HEADINGS = ("", "Perdure", "beside it", "ratio", "target", "")
PACKAGES = ("kglite", "numpy", "wordllama", "neo4j", "neo4j-rust-ext", "neo4j-agent-memory", "mem0ai", "qdrant-client")
WIDE = 1000
"""Columns of what is no terminal."""
BUSY = 0.3
"""Load per core from which the figures are worth little."""


@dataclass(frozen=True)
class Target:
    """What a figure should be: at least, or at most, a limit."""

    limit: float
    at_least: bool

    def met(self, value: float) -> bool:
        """Return whether a value is as it should be."""
        return value >= self.limit if self.at_least else value <= self.limit


@dataclass(frozen=True)
class Side:
    """What one side measured: a value per round."""

    who: str
    values: Sequence[float]
    unit: str

    def __str__(self) -> str:
        return f"{number(statistics.median(self.values))} {self.unit}".rstrip()


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Beside another side it is judged by its ratio, taken round by round, and alone by its own median. A figure that
    could not be measured has no values, and says why in `note`.
    """

    name: str
    ours: Side | None
    other: Side | None = None
    ratios: Sequence[float] = ()
    target: Target | None = None
    note: str = ""
    part: str = ""
    """Which benchmark it is of."""

    @property
    def judged(self) -> Sequence[float]:
        """The values that the target is about."""
        return self.ratios or (self.ours.values if self.ours is not None and self.other is None else ())

    @property
    def verdict(self) -> str:
        """Whether the target is met; nothing where there is none, or no value."""
        if self.target is None or not self.judged:
            return ""
        return "met" if self.target.met(statistics.median(self.judged)) else "MISSED"

    def cells(self) -> tuple[str, ...]:
        """Return the line, a text per column; the spread stands with what is judged."""
        ours = "" if self.ours is None else f"{self.ours}{'' if self.other is not None else spread(self.ours.values)}"
        other = self.note if self.other is None else f"{self.other.who} {self.other}"
        ratio = f"{number(statistics.median(self.ratios))} x{spread(self.ratios)}" if self.ratios else ""
        return (self.name, ours, other, ratio, self._target(), self.verdict)

    def _target(self) -> str:
        if self.target is None:
            return ""
        unit = "x" if self.ratios or self.ours is None else self.ours.unit
        return f"{'>=' if self.target.at_least else '<='} {number(self.target.limit)} {unit}".rstrip()

    def as_json(self) -> dict[str, Any]:
        """Return everything of it, the value of each round included."""
        return asdict(self) | {"verdict": self.verdict}


def faster(name: str, ours: Side, other: Side, at_least: float | None = None) -> Figure:
    """Return the figure of two rates: how many times the other's ours is."""
    ratios = [mine / theirs for mine, theirs in zip(ours.values, other.values, strict=True)]
    return Figure(name, ours, other, ratios, None if at_least is None else Target(at_least, at_least=True))


def shorter(name: str, ours: Side, other: Side, at_least: float | None = None) -> Figure:
    """Return the figure of two waits: how many times ours the other's is."""
    ratios = [theirs / mine for mine, theirs in zip(ours.values, other.values, strict=True)]
    return Figure(name, ours, other, ratios, None if at_least is None else Target(at_least, at_least=True))


def longer(name: str, ours: Side, other: Side, at_most: float | None = None) -> Figure:
    """Return the figure of two sizes or waits that should be small: how many times the other's ours is."""
    ratios = [mine / theirs for mine, theirs in zip(ours.values, other.values, strict=True)]
    return Figure(name, ours, other, ratios, None if at_most is None else Target(at_most, at_least=False))


def value(name: str, ours: Side, at_most: float | None = None, *, note: str = "") -> Figure:
    """Return the figure of values that are compared with nothing but their target."""
    return Figure(name, ours, target=None if at_most is None else Target(at_most, at_least=False), note=note)


def absent(name: str, why: str, ours: Side | None = None) -> Figure:
    """Return the figure of something that could not be measured, or only on our side."""
    return Figure(name, ours, note=why)


def spread(values: Sequence[float]) -> str:
    """Return the lowest and the highest of several values, in brackets."""
    return f" ({number(min(values))} to {number(max(values))})" if len(values) > 1 else ""


def number(value: float) -> str:
    """Return a value with two or three digits that mean something."""
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 1 else f"{value:.2g}"


def percentile(values: Iterable[float], percent: float) -> float:
    """Return the smallest of the values that at least `percent` of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, ceil(len(ordered) * percent / 100) - 1)]


def rotated(arms: Sequence[T], turn: int) -> list[T]:
    """Return the arms in the order of a round: each begins with the one that came second in the round before."""
    first = turn % len(arms)
    return [*arms[first:], *arms[:first]]


def table(figures: Sequence[Figure], width: int) -> str:
    """Return the figures as aligned columns, or where these are wider than `width` as a few lines each."""
    rows = [HEADINGS, *(figure.cells() for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    if max(map(len, lines)) > width:
        parts = groupby(figures, lambda figure: figure.part)
        return "\n\n".join("\n".join(stacked(part, list(of_it), width)) for part, of_it in parts)
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def stacked(part: str, figures: Sequence[Figure], width: int) -> list[str]:
    """Return the figures of a benchmark as lines under its name."""
    heading = [part.upper(), "-" * width] if part else []
    return heading + [line for figure in figures for line in stacked_figure(figure, width)]


def stacked_figure(figure: Figure, width: int) -> list[str]:
    """Return a figure as lines: its name and verdict, then the rest, broken between two values where that fits."""
    name, ours, other, ratio, target, verdict = figure.cells()
    values = [ours and f"Perdure {ours}", other, ratio and f"= {ratio}", target and f"(target {target})"]
    lines = [f"{name}  {verdict}".rstrip()]
    for text in filter(None, values):
        if len(lines) > 1 and len(lines[-1]) + len(text) + 3 <= width:
            lines[-1] += f"   {text}"
        else:
            lines += wrap(text, width, initial_indent="    ", subsequent_indent="    ")
    return lines


def machine(server: str, load_before: float | None) -> dict[str, str]:
    """Return what the figures were measured on, and when; `server` is how the Neo4j server calls itself."""
    versions = {name: installed(name) for name in PACKAGES}
    packages = ", ".join(f"{name} {version or 'not installed'}" for name, version in versions.items())
    return {
        "machine": f"{processor()}, {cores()} cores, {platform.system()} {platform.machine()}",
        "load": "unknown" if load_before is None else f"{load_before:.1f} before",
        "python": f"{platform.python_implementation()} {platform.python_version()}, SQLite {sqlite3.sqlite_version}",
        "disk": disk(),
        "packages": f"perdure {perdure.__version__}, {packages}",
        "server": server,
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
    }


def disk() -> str:
    """Return the file system of the temporary directory, where everything on disk is measured."""
    system = file_system(Path(tempfile.gettempdir()))
    return f"{system or 'unknown'}{', kept in memory: set TMPDIR to a directory on a disk' * (system in VOLATILE)}"


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def load() -> float | None:
    """Return how many processes wanted a core at a time, over the last minute; None where the system does not say."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def processor() -> str:
    """Return the processor's model as the system calls it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or "unknown processor"


def installed(package: str) -> str | None:
    """Return the installed version of a package, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def report(figures: Sequence[Figure], measured_on: dict[str, str], path: Path | None) -> None:
    """Print the machine and the table; write both to a file as JSON where one is asked for."""
    width = os.get_terminal_size().columns if sys.stdout.isatty() else WIDE
    for name, text in measured_on.items():
        print(fill(text, width, initial_indent=f"{name:8}  ", subsequent_indent=" " * 10))
    print()
    print(table(figures, width))
    print()
    print(fill("Medians of rounds that take turns (lowest to highest). A ratio is taken within each round.", width))
    if path is not None:
        content = {"measured_on": measured_on, "figures": [figure.as_json() for figure in figures]}
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def progress(text: str) -> None:
    """Say on stderr what is being measured now."""
    print(text, file=sys.stderr, flush=True)
