"""Typed memory for code that does not await: the kinds of memory, and views that know whose they are about."""

from typing import Unpack

from perdure.graph.long_term import LongTermMemory
from perdure.graph.reasoning import ReasoningMemory
from perdure.graph.scope import ScopeIds
from perdure.graph.short_term import ShortTermMemory
from perdure.graph.typed import TypedMemory
from perdure.graph.users import Users
from perdure.sync.blocking import Blocking, blocking, entering, like


class SyncShortTermMemory(Blocking[ShortTermMemory]):
    """Conversations, as `ShortTermMemory`."""

    add_message = blocking(ShortTermMemory.add_message)
    add_messages = blocking(ShortTermMemory.add_messages)
    get_conversation = blocking(ShortTermMemory.get_conversation)
    get_message = blocking(ShortTermMemory.get_message)
    list_sessions = blocking(ShortTermMemory.list_sessions)
    search_messages = blocking(ShortTermMemory.search_messages)
    get_context = blocking(ShortTermMemory.get_context)
    delete_message = blocking(ShortTermMemory.delete_message)
    clear_session = blocking(ShortTermMemory.clear_session)


class SyncLongTermMemory(Blocking[LongTermMemory]):
    """Entities and their relationships, facts and preferences, as `LongTermMemory`."""

    add_entity = blocking(LongTermMemory.add_entity)
    get_entity = blocking(LongTermMemory.get_entity)
    update_entity = blocking(LongTermMemory.update_entity)
    merge_entities = blocking(LongTermMemory.merge_entities)
    delete_entity = blocking(LongTermMemory.delete_entity)
    search_entities = blocking(LongTermMemory.search_entities)
    add_relationship = blocking(LongTermMemory.add_relationship)
    get_related = blocking(LongTermMemory.get_related)
    add_fact = blocking(LongTermMemory.add_fact)
    get_facts_about = blocking(LongTermMemory.get_facts_about)
    search_facts = blocking(LongTermMemory.search_facts)
    supersede_fact = blocking(LongTermMemory.supersede_fact)
    delete_fact = blocking(LongTermMemory.delete_fact)
    add_preference = blocking(LongTermMemory.add_preference)
    get_preferences = blocking(LongTermMemory.get_preferences)
    search_preferences = blocking(LongTermMemory.search_preferences)
    supersede_preference = blocking(LongTermMemory.supersede_preference)
    delete_preference = blocking(LongTermMemory.delete_preference)


class SyncReasoningMemory(Blocking[ReasoningMemory]):
    """Traces of tasks, as `ReasoningMemory`."""

    start_trace = blocking(ReasoningMemory.start_trace)
    add_step = blocking(ReasoningMemory.add_step)
    record_tool_call = blocking(ReasoningMemory.record_tool_call)
    complete_trace = blocking(ReasoningMemory.complete_trace)
    trace = entering(ReasoningMemory.trace)
    get_trace = blocking(ReasoningMemory.get_trace)
    list_traces = blocking(ReasoningMemory.list_traces)
    search_traces = blocking(ReasoningMemory.search_traces)
    get_tool_stats = blocking(ReasoningMemory.get_tool_stats)


class SyncUsers(Blocking[Users]):
    """The users of a tenant, as `Users`."""

    upsert = blocking(Users.upsert)
    get = blocking(Users.get)
    list = blocking(Users.list)
    delete = blocking(Users.delete)
    export = blocking(Users.export)


class SyncTypedMemory(Blocking[TypedMemory]):
    """The kinds of memory, each an attribute, as `TypedMemory`."""

    @property
    @like(TypedMemory.short_term)
    def short_term(self) -> SyncShortTermMemory:
        return SyncShortTermMemory(self._connection, lambda: self._where().short_term)

    @property
    @like(TypedMemory.long_term)
    def long_term(self) -> SyncLongTermMemory:
        return SyncLongTermMemory(self._connection, lambda: self._where().long_term)

    @property
    @like(TypedMemory.reasoning)
    def reasoning(self) -> SyncReasoningMemory:
        return SyncReasoningMemory(self._connection, lambda: self._where().reasoning)

    @property
    @like(TypedMemory.users)
    def users(self) -> SyncUsers:
        return SyncUsers(self._connection, lambda: self._where().users)

    get_context = blocking(TypedMemory.get_context)
    stats = blocking(TypedMemory.stats)
    export = blocking(TypedMemory.export)
    import_ = blocking(TypedMemory.import_)

    @like(TypedMemory.scope)
    def scope(self, **scope: Unpack[ScopeIds]) -> "SyncTypedMemory":
        view = self._where().scope(**scope)
        return SyncTypedMemory(self._connection, lambda: view)
