"""Short-term memory: what was said, session by session."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Unpack, cast

from perdure import ids
from perdure.errors import ConflictError, InputError, shorten
from perdure.filters import parse
from perdure.graph import checks
from perdure.graph.context import context
from perdure.graph.rows import kept, properties, record
from perdure.graph.scope import Scope, ScopeIds, check_id
from perdure.graph.search import question, search
from perdure.graph.statements import load
from perdure.graph.writing import Graph, Parent
from perdure.models import Conversation, Hit, Message, Session

TEXTS = load("short_term")
FEW, WALKED = 20, 100
"""Messages that one walk back from the end of a conversation reaches."""
AT_ONCE = 10_000
"""Messages that are removed in one transaction."""
BEGINNING, END = "", "\U0010ffff"
_PARTS = ("id", "role", "content", "name", "created_at", "metadata", "tool_calls")


class ShortTermMemory:
    """Conversations: messages in the order of their time, one conversation for each owner and `session_id`.

    Every call takes `user_id`, `agent_id`, `run_id` and `tenant`, which say whose memory it is about.
    """

    def __init__(self, graph: Graph, bound: Scope) -> None:
        self._graph = graph
        self._bound = bound

    async def add_message(  # noqa: PLR0913  the parts of a message
        self,
        session_id: str,
        role: str,
        content: str,
        *,
        id: str | None = None,  # noqa: A002  the surface's own name
        name: str | None = None,
        created_at: datetime | None = None,
        metadata: Mapping[str, Any] | None = None,
        tool_calls: Sequence[Any] | None = None,
        **scope: Unpack[ScopeIds],
    ) -> Message:
        """Append a message to a conversation, which is made by its first one, and return it.

        It stands where its `created_at` (with a zone; by default now) puts it. The same `id` with the same content
        again changes nothing, and with another raises ConflictError. Raises InputError for what cannot be kept.
        """
        whose = self._graph.scope(self._bound, scope)
        given = {"id": id, "role": role, "content": content, "name": name, "created_at": created_at,
                 "metadata": metadata, "tool_calls": tool_calls}  # fmt: skip
        message = _message(check_id("session_id", session_id), given, whose)
        if id is not None and self._graph.deferred and await self._there(whose, [message]):
            return message
        rows = await self._graph.write(
            whose, TEXTS["add_message"], **_place(whose, message), id=whose.key(message.id), content=message.content,
            sort=_sort(message), message=properties(message, "content"),
        )  # fmt: skip
        if rows == []:
            [message] = (await self._there(whose, [message])).values()
        self._learn(whose, [message])
        return self._graph.recorded(message)

    async def add_messages(
        self, session_id: str, messages: Sequence[Mapping[str, Any] | Message], **scope: Unpack[ScopeIds]
    ) -> list[Message]:
        """Append several messages in one transaction, and return them: the same as one by one, only quicker.

        A message is a map of `role` and `content`, and of what else `add_message` takes.
        """
        whose = self._graph.scope(self._bound, scope)
        check_id("session_id", session_id)
        made = [_message(session_id, _given(index, message), whose) for index, message in enumerate(messages)]
        if len({message.id for message in made}) < len(made):
            raise InputError("Two of the messages have the same id.")
        chosen = any(_given(index, message).get("id") for index, message in enumerate(messages))
        return [self._graph.recorded(each) for each in await self.keep(whose, made, may_be_there=chosen)]

    async def keep(self, whose: Scope, made: Sequence[Message], *, may_be_there: bool) -> list[Message]:
        """Store messages of one session that are whole already; raises ConflictError where others have their ids."""
        there = await self._there(whose, made) if self._graph.deferred and may_be_there else {}
        rows = await self._append(whose, [message for message in made if message.id not in there])
        if rows == []:
            there = await self._there(whose, made)
            await self._append(whose, [message for message in made if message.id not in there])
        self._learn(whose, made)
        return [there.get(message.id, message) for message in made]

    async def _append(self, whose: Scope, messages: Sequence[Message]) -> list[dict[str, Any]] | None:
        if not messages:
            return None
        in_order = sorted(messages, key=_sort)
        keys = [whose.key(message.id) for message in in_order]
        rows = [
            {"id": key, "sort": _sort(message), "message": properties(message)}
            for key, message in zip(keys, in_order, strict=True)
        ]
        links = [{"a": key, "b": following} for key, following in zip(keys, [*keys[1:], None], strict=True)]
        return await self._graph.write(
            whose, TEXTS["add_messages"], **_place(whose, messages[0]), ids=keys, messages=rows, links=links,
            sort=_sort(in_order[0]), first=keys[0], final=keys[-1],
        )  # fmt: skip

    async def _there(self, whose: Scope, messages: Sequence[Message]) -> dict[str, Message]:
        """Return those of the messages that are stored already; raises ConflictError when one says something else."""
        keys = [whose.key(message.id) for message in messages]
        there = await self._graph.records(_found, whose, TEXTS["messages_by_id"], ids=keys)
        found = {message.id: message for message in there}
        for message in messages:
            stored = found.get(message.id, message)
            if (stored.session_id, stored.role, stored.content) != (message.session_id, message.role, message.content):
                raise ConflictError(f"Another message has the id {shorten(repr(message.id), 60)} already.")
        return found

    def _learn(self, whose: Scope, messages: Sequence[Message]) -> None:
        if self._graph.deferred:
            for message in messages:
                lane = whose.key(message.session_id)
                self._graph.known.add("message", whose.key(message.id), Parent(lane, message.session_id))

    async def get_conversation(
        self,
        session_id: str,
        *,
        limit: int | None = None,
        since: datetime | None = None,
        before: datetime | None = None,
        **scope: Unpack[ScopeIds],
    ) -> Conversation:
        """Return a conversation's messages, oldest first: all, or the newest `limit` of those that are asked for.

        `since` is the first moment that counts, `before` the first that does not. A session that is not there has no
        messages.
        """
        whose = self._graph.scope(self._bound, scope)
        lane = whose.key(check_id("session_id", session_id))
        most = checks.MAX_LIMIT if limit is None else checks.limit(limit)
        start = checks.moment("since", since)
        if before is None and most <= WALKED and whose.agent_id is None and whose.run_id is None:
            text = TEXTS["newest_few"] if most <= FEW else TEXTS["newest_messages"]
            found = await self._graph.records(_found, whose, text, lane=lane, conversation=lane, limit=most)
            found = [message for message in found if start is None or message.created_at >= start]
        else:
            first, end = _bound_of(start, BEGINNING), _bound_of(checks.moment("before", before), END)
            found = await self._graph.records(
                _found, whose, TEXTS["messages"], lane=lane, conversation=lane, limit=most, since=first, before=end
            )
        return Conversation(session_id=session_id, messages=found[::-1], **whose.ids())

    async def get_message(self, id: str, **scope: Unpack[ScopeIds]) -> Message | None:  # noqa: A002  as add_message
        """Return a message, or None."""
        whose = self._graph.scope(self._bound, scope)
        found = await self._graph.records(_found, whose, TEXTS["message"], id=whose.key(check_id("id", id)))
        return found[0] if found else None

    async def list_sessions(
        self, *, prefix: str | None = None, limit: int = 100, offset: int = 0, **scope: Unpack[ScopeIds]
    ) -> list[Session]:
        """Return the owner's sessions in order of their ids; with `agent_id` or `run_id`, those these spoke in."""
        whose = self._graph.scope(self._bound, scope)
        narrow = whose.agent_id is not None or whose.run_id is not None
        text = TEXTS["sessions_of_agent"] if narrow else TEXTS["sessions"]
        page: dict[str, Any] = {"limit": checks.limit(limit), "offset": checks.limit(offset, "offset", 0)}
        page["prefix"] = checks.optional("prefix", prefix)
        return await self._graph.records(lambda row: record(Session, row["c"]), whose, text, **page)

    async def search_messages(  # noqa: PLR0913  the parts of a question
        self,
        query: str,
        *,
        session_id: str | None = None,
        role: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        limit: int = 10,
        threshold: float | None = None,
        **scope: Unpack[ScopeIds],
    ) -> list[Hit[Message]]:
        """Return the messages that fit a query best by meaning and by words, best first.

        `metadata` is a filter such as `{"topic": "travel", "n": {"gte": 3}}`; `threshold` is the least cosine, from 0
        to 1, that a hit's meaning has to the query's. Raises InputError for a blank query and for filters that mean
        nothing.
        """
        whose = self._graph.scope(self._bound, scope)
        session = None if session_id is None else check_id("session_id", session_id)
        asked = question(
            ("message",), query, limit=limit, threshold=threshold, metadata=parse(metadata), session_id=session,
            where={"$role": None if role is None else checks.role(role)},
        )  # fmt: skip
        return await search(self._graph, whose, asked)

    async def get_context(
        self,
        query: str,
        *,
        session_id: str | None = None,
        max_items: int = 10,
        token_budget: int | None = None,
        **scope: Unpack[ScopeIds],
    ) -> str:
        """Return what was said about a query, as plain text for a prompt; empty when nothing was.

        The `max_items` messages that fit best, of all sessions, and the newest `max_items` of `session_id`. The
        client's `get_context` looks at all that is remembered, and is otherwise the same.
        """
        return await context(
            self._graph, self._bound, query, self.get_conversation, kinds=("message",),
            session_id=session_id, max_items=max_items, token_budget=token_budget, **scope,
        )  # fmt: skip

    async def delete_message(self, id: str, **scope: Unpack[ScopeIds]) -> bool:  # noqa: A002  as add_message
        """Remove a message and join its neighbours; return whether there was one. It is gone when this returns."""
        whose = self._graph.scope(self._bound, scope)
        key = whose.key(check_id("id", id))
        self._graph.known.forget("message", key)
        return bool(await self._graph.write_now(whose, TEXTS["delete_message"], id=key))

    async def clear_session(self, session_id: str, **scope: Unpack[ScopeIds]) -> int:
        """Remove a session's messages, traces, steps and tool calls, and nothing else; return how many these were.

        A session is cleared for its owner: raises InputError for `agent_id` and `run_id`, which would leave a part.
        """
        whose = self._graph.scope(self._bound, scope)
        if whose.agent_id is not None or whose.run_id is not None:
            raise InputError("clear_session clears a whole session.", hint="Leave agent_id and run_id out.")
        lane = whose.key(check_id("session_id", session_id))
        self._graph.known.forget_lane(lane)
        count, portion = 0, 1
        while portion:
            rows = await self._graph.write_now(whose, TEXTS["clear_oldest"], conversation=lane, most=AT_ONCE)
            count += (portion := rows[0]["messages"])
        rows = await self._graph.write_now(whose, TEXTS["clear_session"], conversation=lane)
        return count + (sum(rows[0].values()) if rows else 0)


def _found(row: dict[str, Any]) -> Message:
    return record(Message, row["m"])


def session(whose: Scope, session_id: str, created_at: datetime) -> dict[str, Any]:
    """Return the properties of a conversation's node."""
    return kept({"tenant": whose.tenant, "user_id": whose.user_id, "session_id": session_id, "created_at": created_at})


def _place(whose: Scope, message: Message) -> dict[str, Any]:
    lane = whose.key(message.session_id)
    return {"lane": lane, "conversation": lane, "session": session(whose, message.session_id, message.created_at)}


def _message(session_id: str, given: Mapping[str, Any], whose: Scope) -> Message:
    chosen = given.get("id")
    return Message(
        id=ids.uuid7() if chosen is None else check_id("id", chosen),
        session_id=session_id,
        role=checks.role(given.get("role")),
        content=checks.text("content", given.get("content")),
        name=checks.optional("name", given.get("name")),
        created_at=checks.moment("created_at", given.get("created_at")) or ids.now(),
        metadata=checks.plain_map("metadata", given.get("metadata")),
        tool_calls=checks.plain_list("tool_calls", given.get("tool_calls")),
        **whose.ids(),
    )


def _given(index: int, message: object) -> Mapping[str, Any]:
    if isinstance(message, Message):
        return {name: getattr(message, name) for name in _PARTS}
    if not isinstance(message, Mapping):
        raise InputError(f"messages[{index}] should be a map with role and content, not {type(message).__name__}.")
    given = cast("Mapping[str, Any]", message)
    if unknown := given.keys() - set(_PARTS):
        raise InputError(f"messages[{index}] has {sorted(map(str, unknown))}; a message has {', '.join(_PARTS)}.")
    return given


def _sort(message: Message) -> str:
    """Return the text by which messages are in order: their time, then their id."""
    return f"{_at(message.created_at)} {message.id}"


def _at(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")


def _bound_of(moment: datetime | None, otherwise: str) -> str:
    return otherwise if moment is None else _at(moment)
