"""Work in a process of its own, where nothing is in memory that other work left there; and how much memory it takes."""

import asyncio
import multiprocessing
import os
import resource
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psutil

T = TypeVar("T")
MIB = 1024 * 1024
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


async def apart(function: Callable[..., T], *arguments: Any, environment: Mapping[str, str] | None = None) -> T:
    """Run a function in a new process, with these variables added to its environment, and return what it returns."""
    with environment_with(environment or {}), ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return await asyncio.get_running_loop().run_in_executor(pool, function, *arguments)


@contextmanager
def environment_with(variables: Mapping[str, str]) -> Generator[None]:
    """Add variables to the environment for the time of a block."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, old in before.items():
            if old is None:
                del os.environ[name]
            else:
                os.environ[name] = old


def resident_mib() -> float:
    """Return how much memory this process has now."""
    return psutil.Process().memory_info().rss / MIB


def peak_mib() -> float:
    """Return the most memory this process ever had, or where Linux keeps it: since `forget_peak`."""
    if STATUS.exists():
        lines = STATUS.read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / MIB if os.uname().sysname == "Darwin" else most / 1024


def forget_peak() -> None:
    """Begin to look for the peak anew, where the system can."""
    if RESET.exists():
        RESET.write_text("5", encoding="utf-8")
