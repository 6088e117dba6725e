"""`perdure dead-letters`: writes that failed for good, and what to do about them."""

import asyncio
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from rich.text import Text

from perdure.cli import screen
from perdure.cli.clients import unless_held, with_client
from perdure.cli.endings import Interrupted
from perdure.cli.options import AsJson, DataDir, Journal, Timeout, Uri, directory_of, settings_for, writing
from perdure.cli.parsing import Program, whole
from perdure.client import MemoryClient
from perdure.errors import InputError, PerdureError, WriteFailed
from perdure.journal.sqlite import SqliteJournal, inspection
from perdure.journal.sqlite.inspection import Told
from perdure.records import DeadLetter
from perdure.writes import Receipt

STATEMENT = 200
NOTHING = "Nothing was dropped."

Number = Annotated[int, typer.Argument(metavar="NUMBER", parser=whole("NUMBER", 0), help="The dead letter's number.")]
Numbers = Annotated[
    list[int] | None,
    typer.Argument(metavar="NUMBER", parser=whole("NUMBER", 0), help="The dead letters' numbers.", show_default=False),
]
All = Annotated[bool, typer.Option("--all", help="All of them.")]

app = Program(help="Writes that failed for good: list, show, send again, drop.", no_args_is_help=True)


class Again(NamedTuple):
    """What became of a dead letter that was sent again."""

    number: int
    new_number: int
    outcome: str
    error: str


@app.command("list")
def list_letters(
    *,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", parser=whole("--limit", 1), help="Show the newest N.")
    ] = 100,
    journal: Journal = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List the newest, without the values of their parameters."""
    directory = directory_of(settings_for(data_dir, journal))
    total = inspection.count_letters(directory)
    letters = inspection.letters(directory, limit)
    if as_json:
        screen.emit({"journal": directory.name, "total": total, "dead_letters": [brief(each) for each in letters]})
        return
    if not letters:
        screen.say(f"The journal {directory.name!r} has no dead letters.")
        return
    rows = [(str(each.seq), f"{screen.age(each.failed_at)} ago", str(each.attempts), words(each)) for each in letters]
    names = ("number", "failed", "tries", "statement and error")
    screen.show(screen.table(names, rows, right=("number", "tries")))
    if total > len(letters):
        screen.say(f"These are the newest {len(letters):,} of {total:,}: --limit shows more.")
    screen.say("Next: perdure dead-letters show NUMBER, redrive NUMBER, or drop NUMBER.")


def words(letter: DeadLetter) -> Text:
    """Return a dead letter's statement, and why it failed."""
    said = screen.cell(screen.line(letter.query, STATEMENT))
    if letter.key is not None:
        said.append(f"\nkey {screen.line(letter.key, 60)!r}", style="dim")
    return said.append(f"\n{screen.printable(letter.error)}", style="red")


def brief(letter: DeadLetter) -> dict[str, Any]:
    """Return a dead letter for JSON, without parameters."""
    return {
        "number": letter.seq,
        "key": letter.key,
        "statement": letter.query,
        "error": letter.error,
        "code": letter.code,
        "tries": letter.attempts,
        "accepted_at": letter.accepted_at,
        "failed_at": letter.failed_at,
    }


@app.command()
def show(number: Number, *, journal: Journal = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show one with all there is, the values of its parameters too."""
    directory = directory_of(settings_for(data_dir, journal))
    letter = inspection.letter(directory, number)
    if as_json:
        screen.emit({"journal": directory.name, **brief(letter), "parameters": letter.parameters})
        return
    rows = [
        ("number", str(letter.seq)),
        ("key", "none" if letter.key is None else letter.key),
        ("accepted", when(letter.accepted_at)),
        ("failed", when(letter.failed_at)),
        ("tries", str(letter.attempts)),
        ("error", letter.error),
        ("code", letter.code),
        ("statement", letter.query.strip()),
        ("parameters", screen.pretty(letter.parameters)),
    ]
    screen.show(screen.sheet(rows))
    screen.say(f"\nNext: perdure dead-letters redrive {number}, or drop {number}.")


def when(moment: datetime) -> str:
    """Return a time, and how long ago it was."""
    return f"{screen.moment(moment)}, {screen.age(moment)} ago"


@app.command()
def redrive(  # noqa: PLR0913  its options
    numbers: Numbers = None,
    *,
    all_of_them: All = False,
    timeout: Timeout = None,
    uri: Uri = None,
    journal: Journal = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Send dead letters again, each as a new write, and say which were committed.

    Writes that wait in the journal are committed before them. Ends with 1 when one failed again.
    """
    settings = writing(settings_for(data_dir, journal, uri))
    chosen = choice(directory_of(settings), numbers, all_of_them=all_of_them)
    with screen.progress("sending again", quiet=as_json) as told:
        outcomes = with_client(
            settings,
            lambda client: send_again(client, chosen, timeout, told),
            "In that process: await client.buffered.dead_letters.redrive(). Or end that process first.",
        )
    counts = {name: sum(each.outcome == name for each in outcomes) for name in ("committed", "failed", "pending")}
    if as_json:
        screen.emit(
            {"journal": settings.memory.journal_name, **counts, "redriven": [each._asdict() for each in outcomes]}
        )
    else:
        report(outcomes, counts)
    if counts["failed"] or counts["pending"]:
        raise typer.Exit(1)


def choice(directory: Path, numbers: Sequence[int] | None, *, all_of_them: bool) -> list[int]:
    """Return which dead letters are meant, in their order; raises NotFoundError for one that is not there."""
    if bool(numbers) == all_of_them:
        raise InputError("Give the numbers of dead letters, or --all.")
    for number in numbers or ():
        inspection.letter(directory, number)
    return sorted(set(numbers or inspection.letter_numbers(directory)))


async def send_again(
    client: MemoryClient,
    numbers: Sequence[int],
    timeout: float | None,  # noqa: ASYNC109  as flush
    told: Told,
) -> list[Again]:
    """Send dead letters again in their order, and wait for what becomes of them."""
    sent: list[tuple[int, Receipt]] = []
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout):
            for number in numbers:
                sent += [(number, receipt) for receipt in await client.buffered.dead_letters.redrive(number)]
            for done, (_, receipt) in enumerate(sent, 1):
                with suppress(WriteFailed):
                    await receipt
                told(done, len(numbers))
    return [outcome(number, receipt) for number, receipt in sent]


def outcome(number: int, receipt: Receipt) -> Again:
    """Return what became of one."""
    state = receipt.state if receipt.state in ("committed", "failed") else "pending"
    return Again(number, receipt.seq, state, "" if receipt.error is None else str(receipt.error))


def report(outcomes: Sequence[Again], counts: dict[str, int]) -> None:
    """Print what became of them."""
    if not outcomes:
        screen.say("There are no dead letters.")
        return
    rows: list[tuple[str, str, Text]] = []
    for each in outcomes:
        said = screen.cell(each.outcome, {"committed": "green", "failed": "red"}.get(each.outcome, "yellow"))
        if each.error:
            said.append(f": {screen.printable(each.error)}")
        rows.append((str(each.number), str(each.new_number), said))
    screen.show(screen.table(("number", "sent as", "outcome"), rows, right=("number", "sent as")))
    if counts["failed"]:
        screen.say("What failed is a dead letter again, under its new number.")
    if counts["pending"]:
        screen.say("What is pending stays in the journal, and is committed after the next start.")


@app.command()
def drop(  # noqa: PLR0913  its options
    numbers: Numbers = None,
    *,
    all_of_them: All = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before dropping all.")] = False,
    journal: Journal = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Forget dead letters: they will never be in the graph."""
    directory = directory_of(settings_for(data_dir, journal))
    chosen = choice(directory, numbers, all_of_them=all_of_them)
    if all_of_them and chosen and not yes:
        ask(len(chosen))
    with unless_held("In that process: await client.buffered.dead_letters.drop(). Or end that process first."):
        count = asyncio.run(dropped(directory, chosen))
    if as_json:
        screen.emit({"journal": directory.name, "dropped": count})
    else:
        screen.say(f"Dropped {screen.counted(count, 'dead letter')}.")


def ask(count: int) -> None:
    """Have a person confirm; raises what ends the program when nobody is there, or says no."""
    if not sys.stdin.isatty():
        raise InputError("Nobody is there to be asked: add --yes.")
    try:
        sure = typer.confirm(f"Drop all {screen.counted(count, 'dead letter')} for good?", err=True)
    except typer.Abort:
        raise Interrupted(NOTHING) from None
    if not sure:
        raise PerdureError(NOTHING)


async def dropped(directory: Path, numbers: Sequence[int]) -> int:
    """Drop dead letters, and return how many; no store is needed for that."""
    journal = SqliteJournal(directory)
    await journal.open()
    try:
        return await journal.drop_letters(numbers)
    finally:
        await journal.close()
