"""`perdure search`: what `Memory` remembers, and what typed calls have kept, found as the library finds it."""

from collections.abc import Coroutine, Mapping, Sequence
from enum import StrEnum
from math import exp
from typing import Annotated, Any, NamedTuple

import typer
from rich.text import Text

from perdure.cli import screen
from perdure.cli.clients import LOG, with_searcher
from perdure.cli.options import (
    AgentId,
    AsJson,
    DataDir,
    RunId,
    Tenant,
    Uri,
    UserId,
    check_scope,
    check_somebody,
    scope_of,
    settings_for,
    whose,
)
from perdure.cli.parsing import Program, decimal, one_of, whole
from perdure.errors import InputError
from perdure.graph.scope import ScopeIds
from perdure.graph.search import query_text
from perdure.memory import Memory
from perdure.models import Entity, Fact, Hit, MemoryRecord, Message, Preference, Record, Trace
from perdure.runtime.together import together

LONGEST = 300
"""Characters of a hit that are shown; --json has all."""

app = Program()


class Kind(StrEnum):
    """What can be found, in the order in which it is shown."""

    MEMORY = "memory"
    FACT = "fact"
    PREFERENCE = "preference"
    ENTITY = "entity"
    MESSAGE = "message"
    TRACE = "trace"


HEADINGS = {
    Kind.MEMORY: "Memories", Kind.FACT: "Facts", Kind.PREFERENCE: "Preferences", Kind.ENTITY: "People and things",
    Kind.MESSAGE: "Messages", Kind.TRACE: "Tasks",
}  # fmt: skip


class Found(NamedTuple):
    """One hit of any kind."""

    kind: Kind
    record: Record
    score: float
    why: Mapping[str, Any] | None


Kinds = Annotated[
    list[Kind] | None,
    typer.Option(
        "--kind",
        metavar="KIND",
        parser=one_of("--kind", Kind),
        autocompletion=lambda: list(map(str, Kind)),
        help=f"{', '.join(Kind)}; may be given again. Default: all.",
        show_default=False,
    ),
]
Limit = Annotated[
    int, typer.Option("--limit", metavar="N", parser=whole("--limit", 1, 1000), help="At most N of each kind.")
]
Threshold = Annotated[
    float | None,
    typer.Option(
        "--threshold",
        metavar="X",
        parser=decimal("--threshold", 0, 1),
        help="The least cosine, from 0 to 1.",
        show_default=False,
    ),
]


@app.command()
def search(  # noqa: PLR0913  its options
    words: Annotated[
        list[str], typer.Argument(metavar="QUERY", help="What is looked for; several words are one query.")
    ],
    *,
    user_id: UserId = None,
    agent_id: AgentId = None,
    run_id: RunId = None,
    tenant: Tenant = None,
    kind: Kinds = None,
    limit: Limit = 10,
    threshold: Threshold = None,
    rerank: Annotated[
        bool, typer.Option("--rerank", help="Have the reranker look at the best memories again.")
    ] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Say what each score is made of.")] = False,
    uri: Uri = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Find what is remembered, the best first.

    In memories, as Memory.search finds them, and in what typed calls have kept: facts, preferences, people and things,
    messages, tasks. Scores compare hits of one kind, and of one search.
    """
    settings, scope = settings_for(data_dir, None, uri), scope_of(user_id, agent_id, run_id, tenant)
    query = " ".join(words)
    if not query.strip():
        raise InputError("The query is empty: say what to look for.")
    query_text(query)
    check_scope(settings, scope)
    kinds = wanted(kind, scope)
    options: dict[str, Any] = {"limit": limit, "threshold": threshold, **scope}

    async def work(memory: Memory) -> list[list[Found]]:
        return await together([find(memory, each, query, options, rerank=rerank) for each in kinds])

    with screen.progress("searching", quiet=as_json):
        found = with_searcher(settings, work)
    if as_json:
        screen.emit({"query": query, "results": [document(hit, explain=explain) for hits in found for hit in hits]})
    else:
        report(found, scope, explain=explain, threshold=threshold)


def wanted(kinds: Sequence[Kind] | None, scope: ScopeIds) -> list[Kind]:
    """Return which kinds to look for; raises InputError where memories are, and nobody is named."""
    chosen = [kind for kind in Kind if not kinds or kind in kinds]
    if Kind.MEMORY in chosen:
        check_somebody(scope, "What typed calls have kept of nobody is found with --kind message, and the like.")
    return chosen


async def find(memory: Memory, kind: Kind, query: str, options: Mapping[str, Any], *, rerank: bool) -> list[Found]:
    """Return the best of one kind."""
    if kind is Kind.MEMORY:
        result = await memory.search(query, rerank=rerank, explain=True, **options)
        if result.rerank_error is not None:
            LOG.warning("Not reranked: %s", result.rerank_error)
        return [Found(kind, hit, hit.score, hit.why) for hit in result.results]
    client = memory.client
    searches: dict[Kind, Any] = {
        Kind.FACT: client.long_term.search_facts,
        Kind.PREFERENCE: client.long_term.search_preferences,
        Kind.ENTITY: client.long_term.search_entities,
        Kind.MESSAGE: client.short_term.search_messages,
        Kind.TRACE: client.reasoning.search_traces,
    }
    looked: Coroutine[Any, Any, list[Hit[Any]]] = searches[kind](query, **options)
    return [Found(kind, hit.item, hit.score, hit.why) for hit in await looked]


def document(hit: Found, *, explain: bool) -> dict[str, Any]:
    """Return a hit for JSON: the whole record, with its kind, its text and its score."""
    record = hit.record.model_dump(exclude={"score", "why"})
    why = {"why": hit.why} if explain else {}
    return {"kind": hit.kind.value, "score": hit.score, "text": text_of(hit.record), **record, **why}


def report(found: Sequence[Sequence[Found]], scope: ScopeIds, *, explain: bool, threshold: float | None) -> None:
    """Print hits, kind by kind."""
    for hits in found:
        if hits:
            screen.say(HEADINGS[hits[0].kind], "bold")
            screen.show(screen.scored([(share(hit), body(hit, explain=explain)) for hit in hits]))
    if any(found):
        return
    screen.say(f"Nothing was found for {whose(scope)}.")
    if threshold is not None:
        screen.say(f"Nothing is as close as {threshold:g}: leave --threshold out to see what is closest.")


def share(hit: Found) -> float:
    """Return a score between 0 and 1: a typed search counts standard deviations, which a person takes for no match."""
    return hit.score if hit.kind is Kind.MEMORY else 1 / (1 + exp(-hit.score / 2))


def body(hit: Found, *, explain: bool) -> Text:
    """Return a hit as it is shown."""
    said = screen.cell(screen.line(text_of(hit.record), LONGEST))
    if about := about_it(hit.record):
        said.append(f"\n{screen.line(about, LONGEST)}", style="dim")
    if explain and hit.why:
        parts = [f"{name.replace('_', ' ')} {number(value)}" for name, value in hit.why.items()]
        said.append(f"\n{screen.printable(', '.join(parts))}", style="cyan")
    return said


def number(value: object) -> str:
    """Return a part of a score as a person reads it."""
    return f"{round(value, 2) + 0.0:.2f}" if isinstance(value, float) else str(value)


def text_of(record: Record) -> str:  # noqa: PLR0911  one line a kind
    """Return what a record says."""
    match record:
        case MemoryRecord():
            return record.memory
        case Message():
            return record.content
        case Fact():
            return f"{record.subject} {record.predicate} {record.object}"
        case Preference():
            return f"{record.category}: {record.preference}"
        case Entity():
            return record.name
        case Trace():
            return record.task
        case _:
            return ""


def about_it(record: Record) -> str:
    """Return what there is to know besides: who said it, when, where."""
    match record:
        case MemoryRecord():
            parts = [record.name or record.role, screen.day(record.observed_at)]
        case Message():
            parts = [record.name or record.role, screen.day(record.created_at), f"session {record.session_id}"]
        case Fact():
            since, until = (when and screen.day(when) for when in (record.valid_from, record.valid_until))
            parts = [since and f"since {since}", until and f"until {until}", record.source and f"from {record.source}"]
        case Preference():
            parts = [record.context]
        case Entity():
            parts = [record.type, record.description]
        case Trace():
            ended = {True: "succeeded", False: "failed", None: "not completed"}[record.success]
            parts = [ended, screen.day(record.started_at), record.outcome]
        case _:
            parts = []
    return ", ".join(part for part in parts if part)
