"""The program: its commands, and the rim at which errors become sentences and exit codes."""

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

from perdure import __version__
from perdure.cli import dead_letters, journal, screen
from perdure.cli.reindex import reindex
from perdure.cli.status import status
from perdure.errors import ConfigError, InputError, PerdureError

FAILED, WRONG_USE = 1, 2

app = typer.Typer(
    name="perdure",
    help="Memory for AI agents: what it promised to save, and what became of it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(status)
app.command()(reindex)
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(journal.app, name="journal")


def show_version(wanted: bool) -> None:  # noqa: FBT001  typer calls it so
    """Print the version and end."""
    if wanted:
        screen.say(f"perdure {__version__}")
        raise typer.Exit


@app.callback()
def program(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Memory for AI agents: what it promised to save, and what became of it."""
    del version


def run(arguments: Sequence[str]) -> int:
    """Run the program and return its exit code. What goes wrong is said on standard error, without a traceback."""
    try:
        app(list(arguments), prog_name="perdure")
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else FAILED
    except PerdureError as error:
        say_error(error, as_json="--json" in arguments)
        return WRONG_USE if isinstance(error, ConfigError | InputError) else FAILED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader has gone; nothing is left to say
        return FAILED
    except OSError as error:
        screen.complain(f"perdure: {error.strerror or error}: {error.filename!r}")
        return FAILED
    except Exception as error:  # noqa: BLE001  the rim
        where = traceback.extract_tb(error.__traceback__)[-1]
        screen.complain(
            f"perdure: {type(error).__name__} in {os.path.basename(where.filename)}:{where.lineno}: {error}\n"  # noqa: PTH119
            "This is a fault of Perdure; please report it."
        )
        return FAILED
    return 0


def say_error(error: PerdureError, *, as_json: bool) -> None:
    """Say what went wrong, and what to do about it."""
    if as_json:
        screen.emit({"error": error})
        return
    screen.complain(f"perdure: {error.message}")
    if error.hint:
        screen.complain(error.hint)
