"""`perdure journal`: what is in a journal, whether it is whole, and what to do about it."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from perdure.cli import screen
from perdure.cli.clients import unless_held, with_client
from perdure.cli.options import (
    AsJson,
    DataDir,
    Journal,
    Timeout,
    Uri,
    directory_of,
    named,
    settings_for,
    writing,
)
from perdure.cli.parsing import Program, whole
from perdure.client import MemoryClient
from perdure.journal.sqlite import inspection
from perdure.journal.sqlite.diagnosis import diagnose
from perdure.journal.sqlite.inspection import LaneView, Pending, Told
from perdure.journal.sqlite.salvage import Gap, Salvaged, salvage
from perdure.records import FlushSummary, RecoveryReport

SECONDS_BETWEEN_LOOKS = 0.1
STATEMENT = 300
MOST_NAMED = 20
IN_USE = "It was whole when that process opened it. If it is damaged since, end that process first."

app = Program(help="The journal of accepted writes: look, drain, mend.", no_args_is_help=True)


# -- inspect


@app.command()
def inspect(
    *,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", parser=whole("--limit", 0), help="Show the first N writes of a lane.")
    ] = 20,
    parameters: Annotated[bool, typer.Option("--parameters", help="Show the values of parameters.")] = False,
    journal: Journal = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show the writes that wait, lane by lane.

    Each lane is committed in this order. Works while another process writes.
    """
    directory = directory_of(settings_for(data_dir, journal))
    lanes = inspection.lanes(directory, limit)
    if as_json:
        shown = [lane_document(lane, parameters=parameters) for lane in lanes]
        screen.emit({"journal": directory.name, "lanes": shown})
        return
    waiting = [lane for lane in lanes if lane.pending]
    if not waiting:
        screen.say(f"No writes wait in the journal {directory.name!r}.")
    for lane in waiting:
        show_lane(lane, parameters=parameters)


def lane_document(lane: LaneView, *, parameters: bool) -> dict[str, Any]:
    """Return a lane for JSON."""
    writes: list[dict[str, Any]] = []
    for each in lane.first:
        row = each.row
        shown = {"parameters": each.parameters} if parameters else {}
        writes.append(
            {
                "number": row.seq,
                "key": row.key,
                "statement": row.statement,
                "accepted_at": screen.instant(row.accepted_at),
                "bytes": row.size,
                "whole": each.whole,
                **shown,
            }
        )
    return {
        "lane": lane.lane,
        "settled": lane.settled,
        "pending": lane.pending,
        "bytes": lane.bytes,
        "writes": writes,
    }


def show_lane(lane: LaneView, *, parameters: bool) -> None:
    """Print a lane's first writes."""
    count = f"{screen.counted(lane.pending, 'write')}, {screen.size(lane.bytes)}"
    settled = f"; settled up to number {lane.settled}" if lane.settled >= 0 else ""
    screen.say(f"Lane {lane.lane}{'' if lane.lane else ', for writes without a key'}: {count}{settled}", "bold")
    if not lane.first:
        return
    rows = [
        (
            str(each.row.seq),
            screen.age(each.row.accepted_at),
            screen.size(each.row.size),
            words(each, parameters=parameters),
        )
        for each in lane.first
    ]
    names = ("number", "age", "size", "statement")
    screen.show(screen.table(names, rows, right=names[:3]))
    if lane.pending > len(lane.first):
        screen.say(f"and {lane.pending - len(lane.first):,} more: --limit shows them.")
    screen.say()


def words(each: Pending, *, parameters: bool) -> Text:
    """Return a write's statement, and what else there is to it."""
    if not each.whole:
        return screen.cell("damaged: not what was written", "bold red")
    said = screen.cell(screen.line(each.row.statement, STATEMENT))
    if each.row.key is not None:
        said.append(f"\nkey {screen.line(each.row.key, 60)!r}", style="dim")
    if each.row.failures:
        said.append(f"\nfailed {screen.counted(each.row.failures, 'time')} before", style="dim")
    if parameters:
        said.append("\n" + screen.pretty(each.parameters), style="dim")
    return said


# -- drain


@app.command()
def drain(
    *,
    timeout: Timeout = None,
    uri: Uri = None,
    journal: Journal = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Commit the writes that are left in the journal.

    Also those of other journals for the same graph whose processes are gone. Ends with 1 when some remain, or failed
    for good.
    """
    settings = writing(settings_for(data_dir, journal, uri))
    with screen.progress("committing", quiet=as_json) as told:
        summary, found = with_client(
            settings,
            lambda client: commit_all(client, timeout, told),
            "That process commits them itself; `perdure status` shows how far it is.",
        )
    if as_json:
        screen.emit({"journal": settings.memory.journal_name, **drained(summary, found)})
    else:
        report_drain(summary, found)
    if summary.failed or summary.unsettled:
        raise typer.Exit(1)


async def commit_all(
    client: MemoryClient,
    timeout: float | None,  # noqa: ASYNC109  as flush
    told: Told,
) -> tuple[FlushSummary, RecoveryReport]:
    """Wait until everything is settled, telling how far it is."""
    total = client.buffered.pending
    flush = asyncio.ensure_future(client.flush(timeout))
    while not flush.done():
        told(total - client.buffered.pending, total)
        await asyncio.wait([flush], timeout=SECONDS_BETWEEN_LOOKS)
    return flush.result(), client.buffered.recovery


def drained(summary: FlushSummary, found: RecoveryReport) -> dict[str, Any]:
    """Return what came of draining for JSON."""
    return {
        "committed": summary.committed,
        "failed": summary.failed,
        "pending": summary.unsettled,
        "already_applied": found.already_applied,
        "adopted": found.adopted,
        "findings": list(found.findings),
    }


def report_drain(summary: FlushSummary, found: RecoveryReport) -> None:
    """Print what came of draining."""
    if not found.left:
        screen.say("Nothing was left to commit.")
    else:
        screen.say(f"Committed {screen.counted(summary.committed, 'write')}.")
    if found.already_applied:
        were = screen.counted(found.already_applied, "write was", "writes were")
        screen.say(f"{were} in the graph already, and not applied again.")
    if found.adopted:
        screen.say(f"{screen.counted(found.adopted, 'write')} came from journals of other processes.")
    if summary.failed:
        failed = screen.counted(summary.failed, "write")
        screen.say(f"{failed} failed for good. Next: perdure dead-letters list", "red")
    if summary.unsettled:
        left = screen.counted(summary.unsettled, "write is", "writes are")
        screen.say(f"{left} still to be committed, and stay in the journal.", "yellow")


# -- doctor


@app.command()
def doctor(*, journal: Journal = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Look at everything that can be wrong with the journal.

    Changes nothing, and works while another process writes. Ends with 1 when it is damaged, or cannot work where it is.
    """
    settings = settings_for(data_dir, journal)
    directory = directory_of(settings)
    with screen.progress("looking", quiet=as_json) as told:
        findings = diagnose(directory, settings.memory.max_journal_bytes, told)
    bad = any(finding.level == "bad" for finding in findings)
    if as_json:
        screen.emit({"journal": directory.name, "directory": directory, "damaged": bad, "findings": findings})
    else:
        screen.report([replace(each, todo=there(each.todo, directory)) for each in findings])
    if bad:
        raise typer.Exit(1)


def there(todo: str, directory: Path) -> str:
    """Return what to do, as it is typed for this journal."""
    return f"{todo}{named(directory)}" if todo.startswith("perdure ") else todo


# -- salvage


@app.command("salvage")
def salvage_journal(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only report what would be kept.")] = False,
    identity: Annotated[
        str,
        typer.Option(
            "--identity", metavar="NAME", help="The journal's name in the graph, asked for when it cannot be read."
        ),
    ] = "",
    journal: Journal = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Save what is whole in a journal that refuses to open.

    It goes into a new one, in the old one's place. The damaged files are kept beside it. What the graph has already
    is not applied again.
    """
    directory = directory_of(settings_for(data_dir, journal))
    with screen.progress("reading pages", quiet=as_json) as told, unless_held(IN_USE):
        found = salvage(directory, told, identity=identity, dry_run=dry_run)
    if as_json:
        screen.emit({"journal": directory.name, "salvaged": None if found is None else salvaged(found)})
    elif found is None:
        screen.say(f"The journal {directory.name!r} is not damaged; nothing was changed.")
    else:
        report_salvage(found)


def salvaged(found: Salvaged) -> dict[str, Any]:
    """Return what came of salvage for JSON."""
    at_least, at_most = found.missing
    return {
        "reason": found.reason,
        "kept": found.kept,
        "damaged": found.damaged,
        "missing": {"at_least": at_least, "at_most": at_most},
        "gaps": found.gaps,
        "dead_letters": found.dead_letters,
        "damaged_dead_letters": found.damaged_letters,
        "notes": found.notes,
        "kept_aside": found.kept_aside,
    }


def report_salvage(found: Salvaged) -> None:
    """Print what came of salvage."""
    at_least, at_most = found.missing
    missing = f"{at_most:,}" if at_least == at_most else f"{at_least:,} to {at_most:,}"
    letters = f", and {found.damaged_letters:,} damaged" if found.damaged_letters else ""
    rows = [
        ("reason", found.reason),
        ("writes kept", f"{found.kept:,}"),
        ("writes damaged", f"{found.damaged:,}"),
        ("writes missing", missing),
        ("dead letters kept", f"{found.dead_letters:,}{letters}"),
    ]
    if found.kept_aside is not None:
        rows.append(("damaged files", str(found.kept_aside)))
    screen.show(screen.sheet(rows))
    for gap in found.gaps[:MOST_NAMED]:
        screen.say(f"Numbers of lane {gap.lane}: {words_for(gap)}.")
    if len(found.gaps) > MOST_NAMED:
        screen.say(f"There are {len(found.gaps) - MOST_NAMED:,} more such places: --json names all of them.")
    for note in found.notes:
        screen.say(note)
    if found.kept_aside is None:
        screen.say("\nNothing was changed. Next: the same without --dry-run.")
    else:
        screen.say(f"\nNext: start your program, or: perdure journal drain{named(found.directory)}")


def words_for(gap: Gap) -> str:
    """Return what is lost between two writes, in words."""
    parts: list[str] = []
    if gap.damaged:
        more = f" and {len(gap.damaged) - MOST_NAMED} more" if len(gap.damaged) > MOST_NAMED else ""
        parts.append(f"{', '.join(map(str, gap.damaged[:MOST_NAMED]))}{more} damaged")
    span = gap.last - gap.first + 1
    if gap.at_least == gap.at_most == 1 and gap.last not in gap.damaged:
        parts.append(f"{gap.last} missing")
    elif gap.at_least == gap.at_most == span:
        parts.append(f"{gap.first} to {gap.last} missing")
    elif gap.at_most:
        number = gap.at_most if gap.at_least == gap.at_most else f"{gap.at_least} to {gap.at_most}"
        parts.append(f"{number} of {gap.first} to {gap.last} missing")
    return "; ".join(parts) or "none"
