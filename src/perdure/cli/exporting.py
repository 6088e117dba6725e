"""`perdure export`: memory as a file of JSON Lines, whole or not at all."""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from perdure.cli import screen
from perdure.cli.clients import with_reader
from perdure.cli.options import AsJson, DataDir, Tenant, Uri, UserId, scope_of, settings_for
from perdure.cli.parsing import Program
from perdure.errors import ConflictError, InputError

STDOUT = "-"

app = Program()


@app.command("export")
def export(  # noqa: PLR0913  its options
    path: Annotated[str, typer.Argument(metavar="PATH", help="Where to write it; - is standard output.")],
    *,
    user_id: UserId = None,
    tenant: Tenant = None,
    everybody: Annotated[bool, typer.Option("--all", help="Everybody's, as a backup.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    uri: Uri = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Write all of somebody's memory to a file.

    As JSON Lines: memories, messages, facts, traces and all the rest. The file is there as a whole or not at all.
    `perdure import` writes it into a graph again, also on the other store.
    """
    settings, scope = settings_for(data_dir, None, uri), scope_of(user_id, None, None, tenant)
    if bool(scope) == everybody:
        raise InputError("Say whose memory to write: --user-id, --tenant, or --all for everybody's.")
    if path == STDOUT and as_json:
        raise InputError("Standard output takes the memory or --json, not both.", hint="Give a file in place of -.")
    goal = Path(path)
    if path != STDOUT:
        check_goal(goal, force=force)
    options: dict[str, Any] = {"everybody": True} if everybody else dict(scope)
    with tempfile.TemporaryDirectory(prefix="perdure-") as aside, screen.progress("exporting", quiet=as_json) as told:
        written = Path(aside) / "memory.jsonl" if path == STDOUT else goal
        count = with_reader(settings, lambda client: client.export(written, progress=told, **options))
        if path == STDOUT:
            with written.open("rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer)
    if as_json:
        screen.emit({"path": goal, "records": count})
    else:
        where = "" if path == STDOUT else f" to {screen.line(path, 200)}"
        tell = screen.complain if path == STDOUT else screen.say
        tell(f"Wrote {screen.counted(count, 'record')}{where}.")


def check_goal(goal: Path, *, force: bool) -> None:
    """Raise an error where a file cannot be, or is already, before anything is read."""
    if goal.is_dir():
        raise InputError(f"{str(goal)!r} is a directory.", hint=f"Name a file: {str(goal / 'memory.jsonl')!r}.")
    if not goal.parent.is_dir():
        raise InputError(f"There is no directory {str(goal.parent)!r}.")
    if goal.exists() and not force:
        raise ConflictError(f"{str(goal)!r} is there already.", hint="--force replaces it.")
