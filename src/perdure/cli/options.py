"""What commands have in common: their options, and the settings and the journal these stand for."""

from pathlib import Path
from typing import Annotated

import typer

from perdure.errors import ConfigError, NotFoundError
from perdure.journal.sqlite import inspection
from perdure.journal.sqlite.opening import AUTO
from perdure.settings import MemorySettings
from perdure.wiring import journals

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
        help="The Neo4j server the writes are for. Default: PERDURE_NEO4J__URI, or the embedded store. "
        "The login comes from PERDURE_NEO4J__USERNAME and PERDURE_NEO4J__PASSWORD.",
        show_default=False,
    ),
]
Timeout = Annotated[
    float | None,
    typer.Option("--timeout", metavar="SECONDS", min=0, help="Wait no longer than this.", show_default=False),
]


def settings_for(data_dir: Path | None, journal: str | None = None, uri: str | None = None) -> MemorySettings:
    """Return the settings of the environment, with what was typed in their place."""
    given: dict[str, object] = {}
    if data_dir is not None:
        given["data_dir"] = data_dir
    if uri is not None:
        given["neo4j"] = {"uri": uri}
    settings = MemorySettings(**given)  # pyright: ignore[reportArgumentType]
    if data_dir is not None and isinstance(settings.store, str) and "://" not in settings.store:
        settings.store = None
    if journal is not None:
        settings.memory.journal_name = journal
    return settings


def root_of(settings: MemorySettings) -> Path:
    """Return the directory of all journals."""
    return journals(settings)


def directory_of(settings: MemorySettings) -> Path:
    """Return the directory of the journal that the settings name; raises NotFoundError when there is none."""
    root, name = root_of(settings), settings.memory.journal_name
    known = [path.name for path in inspection.journals(root)]
    if name == AUTO:
        known = [other for other in known if other.startswith(f"{AUTO}-")]
        name = known[0] if len(known) == 1 else AUTO
    if name in known:
        return root / name
    if name == AUTO and known:
        raise ConfigError(f"There are several journals of that name: {', '.join(known)}.", hint="Choose: --journal.")
    hint = f"There are {', '.join(known)}: choose with --journal." if known else "--data-dir names another place."
    raise NotFoundError(f"There is no journal {name!r} in {str(root)!r}.", hint=hint)


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
