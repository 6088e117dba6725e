"""`perdure import`: what `perdure export` has written, into a graph again."""

import asyncio
import shlex
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from perdure.cli import screen
from perdure.cli.clients import interruptible, with_client
from perdure.cli.options import AsJson, DataDir, Tenant, Uri, UserId, on_disk, scope_of, settings_for, whose
from perdure.cli.parsing import Program
from perdure.errors import InputError
from perdure.graph.transfer import records

STDIN = "-"
IN_USE = "End that process first. Several processes can share a Neo4j: --uri."
KEPT = "What is imported stays; the same again imports the rest."

app = Program()


@app.command("import")
def import_(  # noqa: PLR0913  its options
    path: Annotated[str, typer.Argument(metavar="PATH", help="What to read; - is standard input.")],
    *,
    user_id: UserId = None,
    tenant: Tenant = None,
    uri: Uri = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Write what `perdure export` has written into the graph.

    With --user-id or --tenant it becomes theirs, else it belongs to whom it belonged to. What is there already stays as
    it is, so it can be repeated. Of a file that is damaged nothing is written.
    """
    settings, scope = settings_for(data_dir, None, uri), scope_of(user_id, None, None, tenant)
    on_disk(settings)
    settings.memory.write_mode = "sync"
    with tempfile.TemporaryDirectory(prefix="perdure-") as aside:
        source = from_stdin(Path(aside)) if path == STDIN else Path(path)
        if not source.is_file():
            raise InputError(f"There is no file {str(source)!r}.")
        with screen.progress("importing", quiet=as_json) as told:
            check_it_is_an_export(source, path)
            count = with_client(settings, lambda client: client.import_(source, progress=told, **scope), IN_USE, KEPT)
    if as_json:
        screen.emit({"path": path, "records": count})
    else:
        theirs = f", for {whose(scope)}" if scope else ""
        screen.say(f"The graph has {screen.counted(count, 'record')} of {screen.line(path, 200)}{theirs}.")


def check_it_is_an_export(source: Path, path: str) -> None:
    """Raise InputError for a file that is none or is damaged, before a store is made for it."""

    async def read() -> None:
        async for _ in records(source):
            pass

    try:
        with interruptible():
            asyncio.run(read())
    except InputError as error:
        given = "" if path == STDIN else f" <{shlex.quote(path)}"
        hint = f"Only what perdure export has written is one. For a text or messages: perdure add - --user-id ID{given}"
        said = error.message.replace(repr(str(source)), "Standard input") if path == STDIN else error.message
        raise InputError(said, hint=error.hint or hint) from None


def from_stdin(aside: Path) -> Path:
    """Return a file with what stands on standard input, since it is read several times."""
    source = aside / "standard-input.jsonl"
    with source.open("wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
    return source
