"""File systems of a test's own: one whose block image can be copied as a power cut would leave it, and a small one."""

import contextlib
import filecmp
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

MIB = 1024 * 1024


@contextlib.contextmanager
def mounted(*arguments: str | Path, at: Path) -> Iterator[Path]:
    """Mount a file system for the length of a block; where that is not allowed, skip the test."""
    at.mkdir(exist_ok=True)
    run("mount", *arguments, at)
    try:
        yield at
    finally:
        subprocess.run(["umount", "--lazy", at], check=True)  # whoever else looks at it now keeps it a moment longer


def ext4_image(path: Path, mib: int = 64) -> Path:
    """Make a block image with an empty ext4 on it."""
    with path.open("wb") as image:
        image.truncate(mib * MIB)
    run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", path)
    return path


def loop(image: Path, at: Path) -> contextlib.AbstractContextManager[Path]:
    """Mount a block image; the system writes nothing to it by itself but what a program waits for."""
    return mounted("-o", "loop,commit=600", image, at=at)


def small(at: Path, mib: int) -> contextlib.AbstractContextManager[Path]:
    """Mount a file system that is soon full."""
    return mounted("-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", at=at)


def copied(image: Path, to: Path) -> Path:
    """Copy a block image that nobody should be writing to: as it was at one moment."""
    while True:
        shutil.copyfile(image, to)
        if filecmp.cmp(image, to, shallow=False):
            return to


def run(*command: str | Path) -> None:
    """Run a command of the system's; where it is missing or refused, skip the test."""
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError as error:
        pytest.skip(f"no file system of one's own: there is no {error.filename}")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no file system of one's own (it takes root): {error.stderr.strip()}")
