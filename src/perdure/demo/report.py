"""The demo on screen: progress while it runs, then the figures as tables; plain text where there is no terminal."""

import textwrap
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from perdure.demo.passes import Mode, OnTurn


@contextmanager
def progress_bars(console: Console, turns: int) -> Generator[Callable[[Mode], OnTurn], None, None]:
    """Yield what `run_demo` wants to be told each turn with; it draws on a terminal only.

    Nothing is drawn while a turn is timed: the bar moves when the turn is over.
    """
    columns = (TextColumn("{task.description:<9}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, auto_refresh=False, disable=not console.is_terminal) as progress:

        def begin(mode: Mode) -> OnTurn:
            task = progress.add_task(mode, total=turns)
            return lambda: progress.update(task, advance=1, refresh=True)

        yield begin


def print_title(console: Console, turns: int, source: str, where: str) -> None:
    """Print what is about to happen."""
    console.print(Text("Perdure demo", style="bold"))
    kept = f"{turns} turns of {source}, kept twice in {where}: messages, facts, steps, tool calls;"
    once = "once waiting for every commit (sync), once for none (deferred); then remembered, and asked about."
    say(console, f"{kept} {once}\n")


def print_report(console: Console, figures: dict[str, Any]) -> None:
    """Print the figures of a run, from the drain to the notes."""
    deferred = figures["deferred"]
    pending = f"{deferred['pending_after_last_turn']} writes pending when the last turn was over"
    say(console, f"deferred: {pending}, drained in {duration(deferred['drain_ms'])}\n")
    console.print(wait_table(figures))
    say(console, "\nOne bad statement was submitted in the middle. client.write_errors has it:\n")
    for error in figures["write_errors"]:
        console.print(error_table(error))
    say(console, "\nRead back, everything from both graphs:\n")
    console.print(read_back_table(figures["read_back"]["counts"]))
    print_verdict(console, figures)
    print_recall(console, figures["remembered"])
    print_proof(console, figures["proof"])
    for note in notes(figures):
        say(console, note)


def print_recall(console: Console, recall: dict[str, Any]) -> None:
    """Print what remembering the conversation cost, and what memory has to say to some questions."""
    say(console, 'Remembered once more, by Memory.add(turn, wait="accepted"); no language model, no key.')
    waited = f"{duration(recall['accept_p50_ms'])} (p50; longest {duration(recall['accept_longest_ms'])})"
    behind = f"{duration(recall['behind_p50_ms'])} (p50; longest {duration(recall['behind_longest_ms'])})"
    say(console, f"The agent waited {waited} a turn; it was remembered {behind} later, behind its back.")
    say(console, f"{recall['memories']} memories; the rehearsal before took {duration(recall['rehearsal_ms'])}.\n")
    say(console, "Asked of that, Memory.search(question, limit=2):\n")
    for answer in recall["answers"]:
        console.print(Text(f"{answer['question']}  ({duration(answer['ms'])})", style="bold"))
        for hit in answer["hits"]:
            line = f"{hit['score']:.2f}  {hit['by']}, {hit['at'][:10]}: {' '.join(hit['memory'].split())}"
            say(console, indented(line, console.width))
        console.print()


def indented(line: str, width: int) -> str:
    """Return a line two columns in, on four lines of the screen at most."""
    return textwrap.fill(
        line, max(20, width), initial_indent="  ", subsequent_indent="        ", max_lines=4, placeholder=" …"
    )


def print_proof(console: Console, proof: dict[str, Any]) -> None:
    """Print what became of the writes of a process that was killed."""
    say(console, "The proof: an agent process was killed (signal 9) in mid-run, and another one started.\n")
    table = Table(show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("accepted before the kill", str(proof["accepted"]))
    table.add_row("found in the journal, to commit", str(proof["left_in_journal"]))
    table.add_row("found in the journal, already in the graph", str(proof["already_applied"]))
    table.add_row("all committed after the restart", duration(proof["recovered_after_ms"]))
    table.add_section()
    table.add_row("lost", str(proof["missing"]))
    table.add_row("applied twice", str(proof["repeated"]))
    table.add_row("order", "kept" if proof["in_order"] else "broken")
    console.print(table)
    if not proof["missing"] and not proof["repeated"] and proof["in_order"]:
        console.print(Text("\nevery accepted write is in the graph, exactly once\n", style="bold green"))


def print_verdict(console: Console, figures: dict[str, Any]) -> None:
    """Print the one line that matters: equal, or where not."""
    read = figures["read_back"]
    if read["equal"]:
        same = f"equal: {read['nodes']} nodes, {read['relationships']} relationships"
        console.print(Text(f"\n{same}, every property compared\n", style="bold green"))
    if figures["superseded"]:
        say(console, f"Facts superseded, because the conversation said them anew: {figures['superseded']}.\n")
    for problem in figures["problems"]:
        console.print(Text(f"\nfailed: {problem}\n", style="bold red"))


def wait_table(figures: dict[str, Any]) -> Table:
    """Return the table of what the agent waited in each mode."""
    sync, deferred = figures["sync"], figures["deferred"]
    table = Table(title=f"What the agent waited: {figures['turns']} turns, {figures['calls']} typed calls")
    for heading in ("", "sync", "deferred"):
        table.add_column(heading, justify="right" if heading else "left")
    timed = [("per turn, p50", "wait_p50_ms"), ("per turn, p99", "wait_p99_ms"), ("total", "wait_total_ms")]
    for label, key in timed:
        table.add_row(label, duration(sync[key]), duration(deferred[key]))
    table.add_section()
    table.add_row("drain after the last turn", "-", duration(deferred["drain_ms"]))
    table.add_row("all committed after", duration(sync["all_committed_ms"]), duration(deferred["all_committed_ms"]))
    table.add_row("transactions", str(figures["calls"]), str(deferred["batches"]))
    table.add_row(f"most pending at once, of {figures['max_pending']}", "-", str(deferred["high_water"]))
    table.add_section()
    table.add_row("rehearsal before, not counted", duration(sync["rehearsal_ms"]), duration(deferred["rehearsal_ms"]))
    return table


def error_table(error: dict[str, Any]) -> Table:
    """Return one write error as the application sees it: the statement, the error, no parameter values."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("query", Text(error["query"]))
    table.add_row("error", Text(error["error"], style="red"))
    return table


def read_back_table(counts: dict[str, dict[str, int]]) -> Table:
    """Return the table of how many nodes of each label and relationships of each type there are."""
    table = Table()
    table.add_column("label or type")
    names = ("expected", "sync", "deferred")
    for name in names:
        table.add_column(name, justify="right")
    for kind, count in counts.items():
        table.add_row(kind, *(str(count[name]) for name in names))
    return table


def notes(figures: dict[str, Any]) -> list[str]:
    """Return the last lines: what the figures were measured on, and what they do not say."""
    on = figures["machine"]
    versions = f"Python {on['python']}, perdure {on['perdure']}; {on['store']}"
    lines = [f"{on['measured']}: {on['system']}, {on['cores']} cores; {versions}."]
    if figures["deferred"]["high_water"] == figures["max_pending"]:
        lines.append("max_pending was reached: from then on the agent waited for room.")
    if figures["durability"] == "memory":
        lines.append('durability="memory": pending writes die with the process.')
    lines.append("This agent never pauses; while one waits for a model, the drain goes on.")
    return lines


def duration(milliseconds: float) -> str:
    """Return a time with a unit that suits its size."""
    if milliseconds >= 1000:
        return f"{milliseconds / 1000:.2f} s"
    return f"{milliseconds:.2f} ms"


def say(console: Console, text: str) -> None:
    """Print a line as it is: no markup, no colours guessed."""
    console.print(text, highlight=False, markup=False)
