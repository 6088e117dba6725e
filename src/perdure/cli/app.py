"""The program: its commands, and the rim at which errors become sentences and exit codes."""

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from perdure import __version__
from perdure.cli.endings import FAILED, INTERRUPTED, WRONG_USE, Interrupted
from perdure.cli.lazy import program_of
from perdure.cli.parsing import Program
from perdure.errors import ConfigError, InputError, PerdureError

COMMANDS = {
    "demo": ("demo", "Watch an agent's turns stop waiting; takes some ten seconds."),
    "add": ("add", "Remember a text, or what messages say."),
    "search": ("search", "Find what is remembered, the best first."),
    "messages": ("messages", "List sessions, or show what was said in one."),
    "export": ("exporting", "Write all of somebody's memory to a file."),
    "import": ("importing", "Write what `perdure export` has written into the graph."),
    "doctor": ("doctor", "Say what is installed, reachable, behind or damaged."),
    "status": ("status", "Say what waits in each journal, and who holds it."),
    "dead-letters": ("dead_letters", "Writes that failed for good: list, show, send again, drop."),
    "journal": ("journal", "The journal of accepted writes: look, drain, mend."),
    "reindex": ("reindex", "Make the index of memories anew from the graph."),
    "completion": ("completion", "Print what makes a shell complete these commands."),
}
"""The modules of the commands, and what the program says of each without loading it."""

root = Program(name="perdure", no_args_is_help=True)


def show_version(wanted: bool) -> None:  # noqa: FBT001  typer calls it so
    """Print the version and end."""
    if wanted:
        print(f"perdure {__version__}")
        raise typer.Exit


@root.callback()
def perdure(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Memory for AI agents: add to it, find in it, and see what became of it."""
    del version


def program() -> Any:
    """Return the whole program; a command's module is loaded when it is used."""
    return program_of(root, COMMANDS)


def run(arguments: Sequence[str]) -> int:
    """Run the program and return its exit code. What goes wrong is said on standard error, without a traceback."""
    as_json = "--json" in arguments[: arguments.index("--") if "--" in arguments else None]
    try:
        return ended(program(), arguments)
    except (Interrupted, KeyboardInterrupt) as ending:
        complain(f"perdure: Interrupted. {ending}".rstrip())
        return INTERRUPTED
    except PerdureError as error:
        say_error(error, as_json=as_json)
        return WRONG_USE if isinstance(error, ConfigError | InputError) else FAILED
    except BrokenPipeError:
        give_up_output()  # the reader has gone; nothing is left to say
        return FAILED
    except OSError as error:
        what = error.strerror or str(error)
        what = what if error.filename is None else f"{what}: {error.filename!r}"
        say_error(PerdureError(what), as_json=as_json)
        return FAILED
    except Exception as error:  # noqa: BLE001  the rim
        where = traceback.extract_tb(error.__traceback__)[-1]
        fault = f"{type(error).__name__} in {os.path.basename(where.filename)}:{where.lineno}: {error}"  # noqa: PTH119
        say_error(PerdureError(fault, hint="This is a fault of Perdure; please report it."), as_json=as_json)
        return FAILED


def ended(command: Any, arguments: Sequence[str]) -> int:
    """Run the program, and return how it ended."""
    try:
        code = command(list(arguments), prog_name="perdure")
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else FAILED
    sys.stdout.flush()  # while what comes of a reader that has gone, or a full disk, can still be told
    if code == INTERRUPTED:
        raise Interrupted
    return code if isinstance(code, int) else 0


def say_error(error: PerdureError, *, as_json: bool) -> None:
    """Say what went wrong, and what to do about it: as a document, or on standard error where that cannot be had."""
    try:
        if as_json:
            from perdure.cli import screen  # noqa: PLC0415  not before there is something to say

            screen.emit({"error": error})
        sys.stdout.flush()
    except OSError:
        give_up_output()
    else:
        if as_json:
            return
    for text in (f"perdure: {error.message}", error.hint, *getattr(error, "__notes__", ())):
        if text:
            complain(text)


def give_up_output() -> None:
    """Have what still waits to be printed lead to no second error when the program ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def complain(text: str) -> None:
    """Print a sentence to standard error."""
    from perdure.cli import screen  # noqa: PLC0415  as above

    screen.complain(text)
