"""`perdure status`: the journals, who holds them, and what waits in them."""

from typing import Any

from rich.text import Text

from perdure.cli import screen
from perdure.cli.options import AsJson, DataDir, named, settings_for
from perdure.cli.parsing import Program
from perdure.journal.sqlite import inspection, place
from perdure.journal.sqlite.inspection import JournalState
from perdure.wiring import journals

SURVIVES = {"os": "os: survives the end of the process", "disk": "disk: survives power loss too"}

app = Program()


@app.command()
def status(*, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Say what waits in each journal, and who holds it.

    Also whether it is damaged, where nobody holds it. Works while another process writes, and disturbs nothing.
    """
    root = journals(settings_for(data_dir))
    with screen.progress("looking", quiet=as_json):
        states = [inspection.look(directory) for directory in inspection.journals(root)]
    aside = inspection.kept_aside(root)
    if as_json:
        screen.emit({"directory": root, "journals": [document(state) for state in states], "kept_aside": aside})
        return
    if not states:
        screen.say(f"There are no journals in {root}.")
    for state in states:
        show(state)
    if aside:
        screen.say("Kept aside by salvage; delete what you no longer need:")
        for path in aside:
            screen.say(f"  {path}")


def document(state: JournalState) -> dict[str, Any]:
    """Return a journal's state for JSON."""
    contents = state.contents
    oldest = None if contents is None or contents.oldest is None else screen.instant(contents.oldest)
    return {
        "name": state.name,
        "directory": state.directory,
        "held_by": state.holder,
        "trouble": state.trouble,
        "pending": contents and contents.pending,
        "pending_bytes": contents and contents.bytes,
        "oldest": oldest,
        "dead_letters": contents and contents.dead_letters,
        "target": contents and contents.target,
        "identity": contents and contents.identity,
        "durability": contents and contents.durability,
        "format": contents and contents.format,
        "file_bytes": state.file_bytes,
        "log_bytes": state.log_bytes,
        "file_system": state.file_system,
    }


def show(state: JournalState) -> None:
    """Print a journal's state."""
    rows: list[tuple[str, str | Text]] = [("held by", held_by(state))]
    if state.trouble is not None:
        rows.append(("trouble", screen.cell(state.trouble.message, "bold red")))
    contents = state.contents
    if contents is not None:
        rows.append(("pending", pending(state)))
        if contents.dead_letters:
            said = f"{contents.dead_letters:,}, to be seen with: perdure dead-letters list{named(state.directory)}"
            rows.append(("dead letters", screen.cell(said, "yellow")))
        else:
            rows.append(("dead letters", "none"))
        rows.append(("graph", contents.target or "none yet"))
        rows.append(("durability", SURVIVES.get(contents.durability, "not known")))
        rows.append(("format", f"{contents.format}"))
    rows.append(("files", files(state)))
    rows.append(("in", str(state.directory)))
    screen.show(Text(f"Journal {state.name}", style="bold"))
    screen.show(screen.sheet([(f"  {name}", value) for name, value in rows]))
    hint = next_step(state)
    screen.say(f"  Next: {hint}\n" if hint else "")


def held_by(state: JournalState) -> str:
    """Return who holds a journal, in words."""
    who = state.holder
    if who is None:
        return "nobody"
    since = f" since {screen.moment_of(who.since)}" if who.since else ""
    return f"{'a process' if who.pid is None else f'process {who.pid}'} on {who.host or 'this machine'}{since}"


def pending(state: JournalState) -> str:
    """Return what waits, in words."""
    contents = state.contents
    if contents is None or not contents.pending:
        return "none"
    oldest = "" if contents.oldest is None else f", the oldest {screen.age(contents.oldest)} old"
    readable = " (as far as they can be read)" if state.trouble else ""
    return f"{screen.counted(contents.pending, 'write')}, {screen.size(contents.bytes)}{oldest}{readable}"


def files(state: JournalState) -> str:
    """Return what the files take and what they lie on."""
    log = f" and a log of {screen.size(state.log_bytes)}" if state.log_bytes else ""
    kind = state.file_system or "a local disk"
    volatile = ", which is kept in memory" if kind in place.VOLATILE else ""
    return f"{screen.size(state.file_bytes)}{log}, on {kind}{volatile}"


def next_step(state: JournalState) -> str:
    """Return what to type next, or an empty text."""
    if state.trouble is not None:
        return f"perdure journal doctor{named(state.directory)}"
    if state.holder is None and state.contents is not None and state.contents.pending:
        return f"start the program that wrote them, or: perdure journal drain{named(state.directory)}"
    return ""
