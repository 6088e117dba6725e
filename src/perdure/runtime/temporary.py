"""A directory for what need not outlive the process."""

import shutil
import tempfile
from pathlib import Path
from weakref import finalize

from perdure.runtime.home import Process


class TemporaryFiles:
    """A new directory, removed by `cleanup`, with this object, or with the process; a forked child leaves it alone."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="perdure-"))
        self.cleanup = finalize(self, _remove, self.path, Process())
        """Remove it. Safe to call twice."""


def _remove(path: Path, process: Process) -> None:
    if not process.left:
        shutil.rmtree(path, ignore_errors=True)
