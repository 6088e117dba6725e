"""What commands have in common: their options, and the settings, the scope and the journal these stand for."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from perdure import ids
from perdure.cli.parsing import decimal
from perdure.errors import ConfigError, InputError, NotFoundError, shorten
from perdure.graph.scope import Scope, ScopeIds
from perdure.journal.sqlite import inspection
from perdure.journal.sqlite.opening import AUTO
from perdure.settings import MemorySettings, check_bolt_uri
from perdure.wiring import journals, neo4j_uri, root

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="PATH",
        help="The directory of the journal and the embedded store. Default: PERDURE_DATA_DIR, or .perdure.",
        show_default=False,
    ),
]
Journal = Annotated[
    str | None,
    typer.Option(
        "--journal",
        metavar="NAME",
        help="The journal's name. Default: PERDURE_MEMORY__JOURNAL_NAME, or main.",
        show_default=False,
    ),
]
Uri = Annotated[
    str | None,
    typer.Option(
        "--uri",
        metavar="URI",
        help="The Neo4j server of the graph. Default: PERDURE_NEO4J__URI, or the embedded store. "
        "The login comes from PERDURE_NEO4J__USERNAME and PERDURE_NEO4J__PASSWORD.",
        show_default=False,
    ),
]
Timeout = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        metavar="SECONDS",
        parser=decimal("--timeout", 0),
        help="Wait no longer than this.",
        show_default=False,
    ),
]
UserId = Annotated[
    str | None, typer.Option("--user-id", metavar="ID", help="Whose memory: this user's.", show_default=False)
]
AgentId = Annotated[
    str | None, typer.Option("--agent-id", metavar="ID", help="Only what is of this agent.", show_default=False)
]
RunId = Annotated[
    str | None, typer.Option("--run-id", metavar="ID", help="Only what is of this run.", show_default=False)
]
Tenant = Annotated[
    str | None,
    typer.Option("--tenant", metavar="ID", help="Of which tenant, where there are several.", show_default=False),
]
GRAPH = "graph.kgl"
"""How the names of the embedded store's files begin."""
UNITS = {"min": "minutes", "h": "hours", "d": "days", "w": "weeks"}
WHOSE = "--user-id, --agent-id or --run-id"


def scope_of(
    user_id: str | None = None, agent_id: str | None = None, run_id: str | None = None, tenant: str | None = None
) -> ScopeIds:
    """Return the ids that were typed; raises InputError for one that cannot be one."""
    given = {"user_id": user_id, "agent_id": agent_id, "run_id": run_id, "tenant": tenant}
    Scope(**given)
    return ScopeIds(**{name: value for name, value in given.items() if value is not None})  # pyright: ignore[reportArgumentType]


def whose(scope: ScopeIds) -> str:
    """Return whose memory it is, in words."""
    said = [f"{name.removesuffix('_id')} {shorten(repr(value), 60)}" for name, value in scope.items()]
    return ", ".join(said) or "nobody in particular"


def check_scope(settings: MemorySettings, scope: ScopeIds) -> None:
    """Raise InputError where nobody is named and the settings ask for that."""
    if settings.memory.multi_tenant and not scope:
        raise InputError(
            "memory.multi_tenant asks of every call whose memory it is about.", hint=f"Say so: {WHOSE}, or --tenant."
        )


def check_somebody(scope: ScopeIds, hint: str) -> None:
    """Raise InputError where nobody is named whose memory it could be."""
    if not scope.keys() & {"user_id", "agent_id", "run_id"}:
        raise InputError(f"Say whose memory it is: {WHOSE}.", hint=hint)


def moment_for(name: str, text: str | None) -> datetime | None:
    """Return a moment that was typed: in ISO form, in UTC unless it says otherwise, or as a time that has passed."""
    if text is None:
        return None
    if passed := re.fullmatch(r"(\d{1,5})\s*(min|h|d|w)", text.strip()):
        return ids.now() - timedelta(**{UNITS[passed[2]]: int(passed[1])})
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise InputError(
            f"{name} = {shorten(repr(text), 60)} is no time.",
            hint="As in 2026-11-20, 2026-11-20T09:30+01:00, or 90min, 2h, 3d, 1w.",
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def bolt_uri(typed: str) -> str:
    """Return the server that was typed; raises InputError for what names none."""
    try:
        return check_bolt_uri(typed)
    except ValueError as error:
        shown = "" if "@" in typed else f" {shorten(repr(typed), 80)}"
        raise InputError(f"--uri{shown} {error}.") from None


def settings_for(data_dir: Path | None, journal: str | None = None, uri: str | None = None) -> MemorySettings:
    """Return the settings of the environment, with what was typed in their place."""
    given: dict[str, object] = {}
    if data_dir is not None:
        given["data_dir"] = data_dir
    if uri is not None:
        given["neo4j"] = {"uri": bolt_uri(uri)}
    settings = MemorySettings(**given)  # pyright: ignore[reportArgumentType]
    if data_dir is not None and isinstance(settings.store, str) and "://" not in settings.store:
        settings.store = None
    if journal is not None:
        settings.memory.journal_name = journal
    return settings


def reading(settings: MemorySettings) -> MemorySettings:
    """Have settings say what a client needs that only reads.

    Raises NotFoundError where there is no embedded store to read, rather than make one.
    """
    return without_journal(existing(settings))


def without_journal(settings: MemorySettings) -> MemorySettings:
    """Have settings say that a client leaves the journal alone."""
    settings.memory.write_mode = "sync"
    settings.memory.durability = "memory"
    return settings


def existing(settings: MemorySettings) -> MemorySettings:
    """Return settings whose graph is there; raises NotFoundError where there is no embedded store, and makes none."""
    on_disk(settings)
    if nothing_there(settings):
        raise NotFoundError(
            f"There is no memory in {str(root(settings))!r}.",
            hint="--data-dir names another place, --uri a Neo4j server. To begin: perdure add TEXT --user-id ID",
        )
    return settings


def nothing_there(settings: MemorySettings) -> bool:
    """Return whether there is no embedded store yet, which looking would make."""
    return neo4j_uri(settings) is None and not list(root(settings).glob(f"{GRAPH}*"))


def on_disk(settings: MemorySettings) -> None:
    """Raise ConfigError for a store that is gone with the process."""
    if settings.store == "memory://":
        raise ConfigError("'memory://' is gone with each process.", hint="Name another store: --data-dir, or --uri.")


def directory_of(settings: MemorySettings) -> Path:
    """Return the directory of the journal that the settings name; raises NotFoundError when there is none."""
    where, name = journals(settings), settings.memory.journal_name
    known = [path.name for path in inspection.journals(where)]
    if name == AUTO:
        known = [other for other in known if other.startswith(f"{AUTO}-")]
        name = known[0] if len(known) == 1 else AUTO
    if name in known:
        return where / name
    if name == AUTO and known:
        raise ConfigError(f"There are several journals of that name: {', '.join(known)}.", hint="Choose: --journal.")
    hint = f"There are {', '.join(known)}: choose with --journal." if known else "--data-dir names another place."
    raise NotFoundError(f"There is no journal {name!r} in {str(where)!r}.", hint=hint)


def writing(settings: MemorySettings) -> MemorySettings:
    """Have settings say what a client needs that works on the journal: that it is on disk, and drained."""
    if settings.store == "memory://":
        raise ConfigError("'memory://' has no journal.", hint="Name the store: --uri, or PERDURE_NEO4J__URI.")
    settings.memory.write_mode = "buffered"
    if settings.memory.durability == "memory":
        settings.memory.durability = "os"
    settings.memory.journal_name = directory_of(settings).name
    return settings


def named(directory: Path) -> str:
    """Return the option that names a journal, for a command to type next; nothing for the usual one."""
    usual = MemorySettings().memory.journal_name
    return "" if directory.name == usual else f" --journal {directory.name}"
