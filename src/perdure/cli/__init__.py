"""The command line: parses what is typed, calls the library, prints what comes back; nothing else.

Exit code 0 is done, 1 failed, 2 wrong use. With `--json`, standard output is always one JSON document. Modules import
only from those before them: endings, parsing, lazy, screen, options, clients, the commands, app. A command's module is
loaded when it is used.
"""

import logging
import os
import sys
from io import TextIOWrapper


def main() -> None:
    """Run `perdure` with what was typed, and end the process with its exit code."""
    try:
        from perdure.cli.app import run  # noqa: PLC0415  a system without what it needs gets a sentence
    except ModuleNotFoundError as error:
        sys.exit(f"perdure: this system has no {error.name}, which the command line needs.")
    if sys.stdout is None:  # as `>&-` leaves it: nobody reads what is printed
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115  for as long as the process lasts
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a console without these letters is no reason to fail
    logging.getLogger("neo4j").addHandler(logging.NullHandler())  # what the driver logs, the error says that follows
    sys.exit(run(sys.argv[1:]))
