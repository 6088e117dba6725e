"""`perdure messages`: the sessions of somebody, and what was said in one."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.padding import Padding
from rich.text import Text

from perdure.cli import screen
from perdure.cli.clients import with_reader
from perdure.cli.options import (
    WHOSE,
    AgentId,
    AsJson,
    DataDir,
    RunId,
    Tenant,
    Uri,
    UserId,
    check_scope,
    moment_for,
    scope_of,
    settings_for,
    whose,
)
from perdure.cli.parsing import Program, whole
from perdure.client import MemoryClient
from perdure.errors import InputError, NotFoundError, shorten
from perdure.graph.scope import ScopeIds
from perdure.models import Message, Session
from perdure.settings import MemorySettings

STYLES = {"user": "bold cyan", "assistant": "bold green", "system": "bold magenta", "tool": "bold yellow"}
NAMED = 5

app = Program()


@app.command()
def messages(  # noqa: PLR0913  its options
    session: Annotated[
        str | None,
        typer.Argument(metavar="SESSION", help="Show this session. Default: list all.", show_default=False),
    ] = None,
    *,
    user_id: UserId = None,
    agent_id: AgentId = None,
    run_id: RunId = None,
    tenant: Tenant = None,
    limit: Annotated[
        int,
        typer.Option(
            "--limit", metavar="N", parser=whole("--limit", 1, 1_000_000), help="The newest N messages, or N sessions."
        ),
    ] = 100,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="Only what was said from then on.", show_default=False),
    ] = None,
    uri: Uri = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List sessions, or show what was said in one.

    A TIME is like 2026-11-20, 2026-11-20T09:30+01:00, or how long ago: 90min, 2h, 3d, 1w.
    """
    settings, scope = settings_for(data_dir, None, uri), scope_of(user_id, agent_id, run_id, tenant)
    check_scope(settings, scope)
    first = moment_for("--since", since)
    if session is not None:
        show_session(settings, session, limit, first, scope, as_json=as_json)
    elif first is None:
        list_sessions(settings, limit, scope, as_json=as_json)
    else:
        raise InputError("--since is about the messages of one session.", hint="perdure messages SESSION --since TIME")


def list_sessions(settings: MemorySettings, limit: int, scope: ScopeIds, *, as_json: bool) -> None:
    """Print the sessions of somebody."""
    with screen.progress("reading", quiet=as_json):
        found = with_reader(settings, lambda client: client.short_term.list_sessions(limit=limit + 1, **scope))
    shown, more = found[:limit], len(found) > limit
    if as_json:
        screen.emit({**scope, "more": more, "sessions": [each.model_dump() for each in shown]})
    else:
        report_sessions(shown, scope, more=more)


def show_session(  # noqa: PLR0913  what was asked for
    settings: MemorySettings, session: str, limit: int, first: datetime | None, scope: ScopeIds, *, as_json: bool
) -> None:
    """Print what was said in a session."""

    async def work(client: MemoryClient) -> list[Message]:
        found = await client.short_term.get_conversation(session, limit=limit + 1, since=first, **scope)
        if not found.messages:
            await check_it_is_there(client, session, scope)
        return found.messages

    with screen.progress("reading", quiet=as_json):
        said = with_reader(settings, work)
    more, shown = len(said) > limit, said[-limit:]
    if as_json:
        screen.emit({"session_id": session, **scope, "more": more, "messages": [each.model_dump() for each in shown]})
    else:
        report_messages(shown, more=more)


async def check_it_is_there(client: MemoryClient, session: str, scope: ScopeIds) -> None:
    """Raise NotFoundError, with what there is, when nobody has spoken in a session."""
    owner = scope_of(scope.get("user_id"), None, None, scope.get("tenant"))
    if (await client.short_term.get_conversation(session, limit=1, **owner)).messages:
        return
    others = await client.short_term.list_sessions(limit=NAMED, **scope)
    names = ", ".join(shorten(repr(each.session_id), 60) for each in others)
    hint = f"There are {names}; perdure messages lists them." if names else f"Is it somebody else's? {WHOSE} say whose."
    raise NotFoundError(f"There is no session {shorten(repr(session), 60)} of {whose(scope)}.", hint=hint)


def report_sessions(shown: Sequence[Session], scope: ScopeIds, *, more: bool) -> None:
    """Print a list of sessions."""
    if not shown:
        screen.say(f"There are no sessions of {whose(scope)}.")
        screen.say("Memories have none: perdure search finds them." if scope else f"Say whose: {WHOSE}.")
        return
    rows = [(screen.minute(each.created_at), screen.minute(each.updated_at), each.session_id) for each in shown]
    screen.show(screen.table(("begun", "latest message", "session"), rows))
    if more:
        screen.say(f"There are more than {len(shown):,}: --limit shows more.")


def report_messages(shown: Sequence[Message], *, more: bool) -> None:
    """Print what was said, oldest first."""
    if more:
        screen.say(f"The newest {len(shown):,}; --limit shows more.\n", "dim")
    if not shown:
        screen.say("Nothing was said then.")
    for each in shown:
        speaker = each.role if each.name is None else f"{each.name} ({each.role})"
        heading = Text(screen.line(speaker, 80), style=STYLES[each.role])
        heading.append(f"  {screen.minute(each.created_at)}", style="dim not bold")
        screen.show(heading)
        screen.show(Padding(screen.cell(each.content), (0, 0, 0, 2)))
        for call in each.tool_calls:
            screen.show(Padding(Text(called(call), style="dim"), (0, 0, 0, 2)))
        screen.say()


def called(call: Any) -> str:
    """Return a tool call on a line."""
    return screen.line(f"calls {screen.compact(call)}", 300)
