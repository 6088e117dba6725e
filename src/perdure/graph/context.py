"""What a prompt should know: what fits one question best of all that is remembered, of whatever kind."""

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, NamedTuple, Unpack

from perdure.graph import checks
from perdure.graph.scope import Scope, ScopeIds, check_id
from perdure.graph.search import question, search
from perdure.graph.writing import Graph
from perdure.models import Conversation, Entity, Fact, MemoryRecord, Message, Preference, Trace
from perdure.records import MAX_HITS, VectorKind
from perdure.runtime.together import both

CHARACTERS_A_TOKEN = 4
"""A rough measure that errs on the long side for English."""
LONGEST_LINE = 500
KINDS: tuple[VectorKind, ...] = ("fact", "preference", "memory", "entity", "message", "trace")
CONVERSATION = 6
LEAST_TO_MISS = (5, 4, 3, CONVERSATION, 2, 1, 0)
"""Places of sections, in the order in which they give way."""


Conversing = Callable[..., Awaitable[Conversation]]
"""ShortTermMemory.get_conversation."""


class Section(NamedTuple):
    """A heading and the lines below it, the most useful first."""

    heading: str
    lines: Sequence[str]


async def context(  # noqa: PLR0913  the parts of the question
    graph: Graph,
    bound: Scope,
    query: str,
    conversing: Conversing,
    *,
    kinds: tuple[VectorKind, ...] = KINDS,
    session_id: str | None,
    max_items: int,
    token_budget: int | None,
    **scope: Unpack[ScopeIds],
) -> str:
    """Return what is known about a query as text: see TypedMemory.get_context, and ShortTermMemory.get_context."""
    whose = graph.scope(bound, scope)
    session = None if session_id is None else check_id("session_id", session_id)
    most = checks.limit(max_items, "max_items", most=MAX_HITS)
    budget = None if token_budget is None else checks.limit(token_budget, "token_budget")
    asked = question(kinds, query, limit=min(2 * most, MAX_HITS), threshold=None)  # half of them may be recent
    said = _recent(conversing, session, most, scope)
    recent, hits = await both(said, search(graph, whose, asked))
    here = {message.id for message in recent}
    chosen = [hit.item for hit in hits if hit.item.id not in here][:most]
    return _fitting(_sections(recent, chosen), budget)


async def _recent(conversing: Conversing, session: str | None, most: int, scope: ScopeIds) -> list[Message]:
    return [] if session is None else (await conversing(session, limit=most, **scope)).messages


def _sections(recent: Sequence[Message], items: Sequence[Any]) -> list[Section]:
    return [
        Section("Facts", [_fact(item) for item in items if isinstance(item, Fact)]),
        Section("Preferences", [_preference(item) for item in items if isinstance(item, Preference)]),
        Section("Remembered", [_memory(item) for item in items if isinstance(item, MemoryRecord)]),
        Section("People and things", [_entity(item) for item in items if isinstance(item, Entity)]),
        Section("Said before", [_message(item) for item in items if isinstance(item, Message)]),
        Section("Similar tasks", [_trace(item) for item in items if isinstance(item, Trace)]),
        Section("This conversation", [_message(message) for message in recent]),
    ]


def _fact(fact: Fact) -> str:
    since = f" (since {fact.valid_from:%Y-%m-%d})" if fact.valid_from else ""
    until = f" (until {fact.valid_until:%Y-%m-%d})" if fact.valid_until else ""
    return f"{fact.subject} {fact.predicate} {fact.object}{since}{until}"


def _preference(kept: Preference) -> str:
    return f"{kept.category}: {kept.preference}" + (f" ({kept.context})" if kept.context else "")


def _memory(kept: MemoryRecord) -> str:
    return f"{kept.observed_at:%Y-%m-%d} {f'{kept.name}: ' if kept.name else ''}{kept.memory}"


def _entity(entity: Entity) -> str:
    return f"{entity.name} ({entity.type})" + (f": {entity.description}" if entity.description else "")


def _message(message: Message) -> str:
    return f"{message.created_at:%Y-%m-%d} {message.name or message.role}: {message.content}"


def _trace(trace: Trace) -> str:
    ended = {True: "succeeded", False: "failed", None: "not completed"}[trace.success]
    return f"{trace.task} ({ended})" + (f": {trace.outcome}" if trace.outcome else "")


def _fitting(sections: Iterable[Section], budget: int | None) -> str:
    """Return the sections as text, lines of the longest ones left out until it is within the budget, in tokens.

    Of a conversation the oldest go first, of everything else what fits least. Among sections of one length what was
    said and done goes before what is known.
    """
    left = [Section(heading, [_line(line) for line in lines]) for heading, lines in sections]
    text = _text(left)
    while budget is not None and len(text) > budget * CHARACTERS_A_TOKEN and any(lines for _, lines in left):
        longest = max(LEAST_TO_MISS, key=lambda place: len(left[place].lines))
        heading, lines = left[longest]
        left[longest] = Section(heading, lines[1:] if longest == CONVERSATION else lines[:-1])
        text = _text(left)
    return text


def _line(text: str) -> str:
    """Return a text on one line, so that what somebody said cannot pass for a heading."""
    one = re.sub(r"\s+", " ", text).strip()
    return one if len(one) <= LONGEST_LINE else f"{one[: LONGEST_LINE - 1]}…"


def _text(sections: Iterable[Section]) -> str:
    blocks = [f"{heading}:\n" + "\n".join(f"- {line}" for line in lines) for heading, lines in sections if lines]
    return "\n\n".join(blocks)
