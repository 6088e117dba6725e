"""`python -m perdure.demo`: the demo's command line; exit code 0 done, 1 failed, 2 wrong use."""

import argparse
import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

from rich.console import Console

from perdure.demo import report
from perdure.demo.answers import SHIPPED, questions_about
from perdure.demo.figures import figures_of
from perdure.demo.passes import Mode, OnTurn, Run, run_demo
from perdure.demo.remembering import BAD_STATEMENT
from perdure.demo.turns import Turn, load_turns
from perdure.errors import InputError, PerdureError
from perdure.settings import check_bolt_uri
from perdure.telemetry import WRITES

DONE, FAILED, WRONG_USE, INTERRUPTED = 0, 1, 2, 130


class Options(NamedTuple):
    """What the demo can be told."""

    neo4j: str | None = None
    """The address of a server; None is an embedded store in a temporary directory."""
    input: Path | None = None
    """A conversation of one's own."""
    limit: int = 50
    """Turns, at most."""
    json: bool = False
    """Whether the figures are printed as JSON."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo and return its exit code."""
    options = parser().parse_args(arguments)
    try:
        return run(Options(**vars(options)))
    except InputError as error:
        return complain(str(error), WRONG_USE)
    except PerdureError as error:
        return complain("\n".join([str(error), *getattr(error, "__notes__", [])]), FAILED)
    except (KeyboardInterrupt, asyncio.CancelledError) as error:
        reason = error.__context__ or error
        return complain("\n".join(["Interrupted.", *getattr(reason, "__notes__", [])]), INTERRUPTED)


def run(options: Options) -> int:
    """Run the demo and return its exit code; raises what goes wrong, InputError for a file that is no conversation."""
    turns = load_turns(options.input, options.limit)
    WRITES.addFilter(lambda record: BAD_STATEMENT not in record.getMessage())  # it has its place in the report
    return run_quietly(turns, options) if options.json else run_on_screen(turns, options)


def parser() -> argparse.ArgumentParser:
    """Return the command line's grammar."""
    made = argparse.ArgumentParser(
        prog="python -m perdure.demo",
        description="Keep one conversation twice, waiting for the database and not; compare; remember it, and ask.",
        epilog="A server's login comes from PERDURE_NEO4J__USERNAME, PERDURE_NEO4J__PASSWORD and, where it is not the "
        "default, PERDURE_NEO4J__DATABASE.",
    )
    made.add_argument(
        "--neo4j", metavar="URI", type=address,
        help="use this server (bolt://… or neo4j://…), and remove all of that again; default: an embedded store "
        "in a temporary directory",
    )  # fmt: skip
    made.add_argument(
        "--input", metavar="FILE", type=Path,
        help='a JSON list of {"role", "content"}, or a LoCoMo file; default: the conversation shipped with the demo',
    )  # fmt: skip
    made.add_argument("--limit", metavar="N", type=positive, default=50, help="use at most N turns (default: 50)")
    made.add_argument("--json", action="store_true", help="print the figures as one JSON object")
    return made


def address(text: str) -> str:
    """Return a Bolt address; argparse turns the error into its message."""
    try:
        return check_bolt_uri(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} {error}") from None


def positive(text: str) -> int:
    """Return a whole number of at least 1; argparse turns the error into its message."""
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")


def run_quietly(turns: Sequence[Turn], options: Options) -> int:
    """Run both passes and print the figures as JSON."""
    figures = figures_of(
        asyncio.run(stopped_by_signals(run_demo(turns, asked(turns, options), options.neo4j, ignore_turns)))
    )
    print(json.dumps(figures, ensure_ascii=False, indent=2))
    return exit_code(figures)


def run_on_screen(turns: Sequence[Turn], options: Options) -> int:
    """Run both passes with progress, and print the report."""
    console = Console()
    source = str(options.input) if options.input else "the conversation shipped with it"
    report.print_title(console, len(turns), source, options.neo4j or "the embedded store")
    with report.progress_bars(console, len(turns)) as on_turn:
        run = asyncio.run(stopped_by_signals(run_demo(turns, asked(turns, options), options.neo4j, on_turn)))
    figures = figures_of(run)
    report.print_report(console, figures)
    return exit_code(figures)


def asked(turns: Sequence[Turn], options: Options) -> Sequence[str]:
    """Return what to ask when the conversation is remembered."""
    return questions_about(turns) if options.input else SHIPPED


def ignore_turns(mode: Mode) -> OnTurn:
    """Show no progress."""
    del mode
    return lambda: None


async def stopped_by_signals(work: Awaitable[Run]) -> Run:
    """Await the run; a signal to end cancels it as Ctrl-C does, so that what was written is removed then, too."""
    task = cast("asyncio.Task[Run]", asyncio.current_task())
    with contextlib.suppress(NotImplementedError, AttributeError):  # Windows has neither
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await work


def exit_code(figures: dict[str, Any]) -> int:
    """Return 0 when the run kept every promise, else 1."""
    return FAILED if figures["problems"] else DONE


def complain(message: str, code: int) -> int:
    """Print a message to stderr and return the exit code."""
    print(f"perdure demo: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
