"""The demo from beginning to end: on screen, or as figures."""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, cast

from rich.console import Console

from perdure.demo import report
from perdure.demo.answers import SHIPPED, questions_about
from perdure.demo.figures import figures_of
from perdure.demo.passes import Mode, OnTurn, Run, run_demo
from perdure.demo.remembering import BAD_STATEMENT
from perdure.demo.turns import Turn, load_turns
from perdure.telemetry import WRITES

DONE, FAILED = 0, 1


def run(source: Path | None, limit: int, uri: str | None, emit: Callable[[object], None] | None = None) -> int:
    """Run the demo with at most `limit` turns, and return 0 when every promise was kept, else 1.

    The conversation is the one that is shipped where `source` is None, and the store a temporary directory where `uri`
    is. With `emit` nothing is shown: it gets the figures. Raises InputError for a file that is no conversation.
    """
    turns = load_turns(source, limit)
    questions = questions_about(turns) if source else SHIPPED
    WRITES.addFilter(lambda record: BAD_STATEMENT not in record.getMessage())  # it has its place in the report
    if emit:
        figures = measured(turns, questions, uri, ignore_turns)
        emit(figures)
    else:
        console = Console()
        what = str(source) if source else "the conversation shipped with it"
        report.print_title(console, len(turns), what, uri or "the embedded store")
        with report.progress_bars(console, len(turns)) as on_turn:
            figures = measured(turns, questions, uri, on_turn)
        report.print_report(console, figures)
    return FAILED if figures["problems"] else DONE


def measured(
    turns: Sequence[Turn], questions: Sequence[str], uri: str | None, on_turn: Callable[[Mode], OnTurn]
) -> dict[str, Any]:
    """Run both passes, and return the figures."""
    return figures_of(asyncio.run(stopped_by_signals(run_demo(turns, questions, uri, on_turn))))


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
