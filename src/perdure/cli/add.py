"""`perdure add`: what a person types, or a program says, is remembered as `Memory.add` does."""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, cast

import typer
from rich.text import Text

from perdure.cli import screen
from perdure.cli.clients import with_memory
from perdure.cli.options import (
    AgentId,
    AsJson,
    DataDir,
    RunId,
    Tenant,
    Uri,
    UserId,
    check_somebody,
    moment_for,
    on_disk,
    scope_of,
    settings_for,
)
from perdure.cli.parsing import Program
from perdure.errors import InputError, shorten
from perdure.memory import Memory
from perdure.results import AddResult

STDIN = "-"
BEGINS_AS_JSON = re.compile(r"""\s*(\{\s*"|\[\s*[{"]|(\{\s*\}|\[\s*\])\s*\Z)""")
"""What no text begins with; `[Note]` is one, and so are `{sic}` and `[ ] Call the dentist.`."""
AS_TEXT = 'To keep it as a text, as it is: perdure add --user-id ID -- "$(cat FILE)"'
SECONDS = "As a number it is in seconds since 1970, not in milliseconds: 1772355700."
LONGEST = 300
IN_USE = "Let that process add it, or end it first. Several processes can share a Neo4j: --uri."
WORDS = {"ADD": "added", "SUPERSEDE": "added", "UPDATE": "changed", "NONE": "known"}
Messages = str | Mapping[str, Any] | Sequence[Mapping[str, Any]]

app = Program()


@app.command()
def add(  # noqa: PLR0913  its options
    text: Annotated[list[str], typer.Argument(metavar="TEXT", help="What to remember; - reads standard input.")],
    *,
    user_id: UserId = None,
    agent_id: AgentId = None,
    run_id: RunId = None,
    tenant: Tenant = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option("--metadata", metavar="NAME=VALUE", help="May be given again.", show_default=False),
    ] = None,
    infer: Annotated[
        bool, typer.Option("--infer/--no-infer", help="Extract what is worth it, or keep every word.")
    ] = True,
    observed_at: Annotated[
        str | None,
        typer.Option("--observed-at", metavar="TIME", help="When it was said. Default: now.", show_default=False),
    ] = None,
    uri: Uri = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Remember a text, or what messages say.

    Several words are one text. Standard input (-) may be a text, or JSON: a message or a list of messages, each with
    "role" and "content". Ends when it is committed.
    """
    settings, scope = settings_for(data_dir, None, uri), scope_of(user_id, agent_id, run_id, tenant)
    on_disk(settings)
    check_somebody(scope, "perdure add TEXT --user-id ID")
    options: dict[str, Any] = {
        "metadata": pairs(metadata or ()), "infer": infer, "observed_at": moment_for("--observed-at", observed_at),
    }  # fmt: skip
    messages = messages_of(text)

    async def work(memory: Memory) -> AddResult:
        return await memory.add(messages, **options, **scope)

    with screen.progress("remembering", quiet=as_json):
        result = with_memory(settings, work, IN_USE)
    if as_json:
        screen.emit(result.model_dump())
    else:
        report(result)
    if not result.complete:
        raise typer.Exit(1)


def pairs(given: Sequence[str]) -> dict[str, str]:
    """Return metadata as a map."""
    for each in given:
        if not each.partition("=")[0].strip() or "=" not in each:
            raise InputError(f"--metadata {shorten(repr(each), 60)} should be NAME=VALUE.")
    return {name.strip(): value for name, _, value in (each.partition("=") for each in given)}


def messages_of(words: Sequence[str]) -> Messages:
    """Return what is to be remembered."""
    given = from_stdin() if list(words) == [STDIN] else " ".join(words)
    if isinstance(given, str) and not given.strip():
        raise InputError("There is nothing to remember: the text is empty.")
    return given


def from_stdin() -> Messages:
    """Return what stands on standard input: JSON, if it begins as messages do, or else a text."""
    if sys.stdin is None:  # as `<&-` leaves it
        raise InputError("There is no standard input: it is closed.")
    if sys.stdin.isatty():
        screen.complain("Type what to remember; Ctrl-D ends it.")
    try:
        text = sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"Standard input is no UTF-8: byte {error.start + 1}.") from None
    if not BEGINS_AS_JSON.match(text):
        return text
    given = from_json(text)
    return [dated(each) for each in cast("list[Any]", given)] if isinstance(given, list) else dated(given)


def from_json(text: str) -> Any:
    """Return what a document says; raises InputError for one that cannot be read."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InputError(f"Standard input begins as JSON, and is none: {error.msg}, {where}.", hint=AS_TEXT) from None
    except RecursionError:
        raise InputError("Standard input is JSON that is nested too deep to be read.", hint=AS_TEXT) from None
    except ValueError:
        raise InputError("Standard input is JSON with a number too long to be read.", hint=AS_TEXT) from None


def dated(message: Any) -> Any:
    """Return a message whose `created_at` is a time, as JSON has none."""
    if not isinstance(message, dict):
        return message
    found = cast("dict[str, Any]", message)
    said_at = found.get("created_at")
    if isinstance(said_at, str):
        return {**found, "created_at": moment_for("created_at", said_at)}
    if not isinstance(said_at, int | float) or isinstance(said_at, bool):
        return found
    if (moment := screen.instant(said_at)) is None:
        raise InputError(f"created_at = {shorten(repr(said_at), 60)} is no time.", hint=SECONDS)
    return {**found, "created_at": moment}


def report(result: AddResult) -> None:
    """Print what was remembered, and which side does not have it yet."""
    rows: list[tuple[str, str | Text]] = []
    for each in result.results:
        said = screen.cell(screen.line(each.memory, LONGEST))
        if each.previous is not None:
            said.append(f"\nin place of: {screen.line(each.previous, LONGEST)}", style="dim")
        rows.append((WORDS[each.event], said))
    if rows:
        screen.show(screen.sheet(rows))
    else:
        screen.say("Nothing in it is to be remembered.")
    for name, side in result.sides.items():
        if not side.stored:
            later = "; it is tried again by the next start" if side.retrying else ""
            screen.complain(f"perdure: The {name} side does not have it: {side.error}{later}")
