// What makes keys unique and lookups quick; safe to run again, and by several processes at once. One text serves both
// stores. A change here is a new VERSION in schema.py.

// -- version --
MATCH (s:_PerdureSchema {id: 'schema'}) RETURN s.version AS version

// -- set_version --
MERGE (s:_PerdureSchema {id: 'schema'})
ON CREATE SET s.version = $version
SET s.version = CASE WHEN s.version > $version THEN s.version ELSE $version END

// -- schema_is_unique --
CREATE CONSTRAINT perdure_schema IF NOT EXISTS FOR (n:_PerdureSchema) REQUIRE n.id IS UNIQUE

// -- conversation_is_unique --
CREATE CONSTRAINT perdure_conversation IF NOT EXISTS FOR (n:Conversation) REQUIRE n.id IS UNIQUE

// -- message_is_unique --
CREATE CONSTRAINT perdure_message IF NOT EXISTS FOR (n:Message) REQUIRE n.id IS UNIQUE

// -- trace_is_unique --
CREATE CONSTRAINT perdure_trace IF NOT EXISTS FOR (n:Trace) REQUIRE n.id IS UNIQUE

// -- step_is_unique --
CREATE CONSTRAINT perdure_step IF NOT EXISTS FOR (n:ReasoningStep) REQUIRE n.id IS UNIQUE

// -- tool_call_is_unique --
CREATE CONSTRAINT perdure_tool_call IF NOT EXISTS FOR (n:ToolCall) REQUIRE n.id IS UNIQUE

// -- entity_is_unique --
CREATE CONSTRAINT perdure_entity IF NOT EXISTS FOR (n:Entity) REQUIRE n.id IS UNIQUE

// -- entity_name_is_unique --
CREATE CONSTRAINT perdure_entity_name IF NOT EXISTS FOR (n:EntityName) REQUIRE n.id IS UNIQUE

// -- fact_is_unique --
CREATE CONSTRAINT perdure_fact IF NOT EXISTS FOR (n:Fact) REQUIRE n.id IS UNIQUE

// -- preference_is_unique --
CREATE CONSTRAINT perdure_preference IF NOT EXISTS FOR (n:Preference) REQUIRE n.id IS UNIQUE

// -- memory_is_unique --
CREATE CONSTRAINT perdure_memory IF NOT EXISTS FOR (n:Memory) REQUIRE n.id IS UNIQUE

// -- memory_event_is_unique --
CREATE CONSTRAINT perdure_memory_event IF NOT EXISTS FOR (n:MemoryEvent) REQUIRE n.id IS UNIQUE

// -- speaker_is_unique --
CREATE CONSTRAINT perdure_speaker IF NOT EXISTS FOR (n:Speaker) REQUIRE n.id IS UNIQUE

// -- to_remember_is_unique --
CREATE CONSTRAINT perdure_to_remember IF NOT EXISTS FOR (n:ToRemember) REQUIRE n.id IS UNIQUE

// -- user_is_unique --
CREATE CONSTRAINT perdure_user IF NOT EXISTS FOR (n:User) REQUIRE n.id IS UNIQUE

// -- conversations_by_owner --
CREATE INDEX perdure_conversation_owner IF NOT EXISTS FOR (n:Conversation) ON (n.owner)

// -- messages_by_owner --
CREATE INDEX perdure_message_owner IF NOT EXISTS FOR (n:Message) ON (n.owner)

// -- messages_by_time --
CREATE INDEX perdure_message_time IF NOT EXISTS FOR (n:Message) ON (n.conversation, n.sort)

// -- traces_by_owner --
CREATE INDEX perdure_trace_owner IF NOT EXISTS FOR (n:Trace) ON (n.owner)

// -- traces_by_conversation --
CREATE INDEX perdure_trace_conversation IF NOT EXISTS FOR (n:Trace) ON (n.conversation)

// -- steps_by_trace --
CREATE INDEX perdure_step_trace IF NOT EXISTS FOR (n:ReasoningStep) ON (n.trace)

// -- steps_by_conversation --
CREATE INDEX perdure_step_conversation IF NOT EXISTS FOR (n:ReasoningStep) ON (n.conversation)

// -- tool_calls_by_owner --
CREATE INDEX perdure_tool_call_owner IF NOT EXISTS FOR (n:ToolCall) ON (n.owner)

// -- tool_calls_by_trace --
CREATE INDEX perdure_tool_call_trace IF NOT EXISTS FOR (n:ToolCall) ON (n.trace)

// -- tool_calls_by_conversation --
CREATE INDEX perdure_tool_call_conversation IF NOT EXISTS FOR (n:ToolCall) ON (n.conversation)

// -- entities_by_owner --
CREATE INDEX perdure_entity_owner IF NOT EXISTS FOR (n:Entity) ON (n.owner)

// -- facts_by_owner --
CREATE INDEX perdure_fact_owner IF NOT EXISTS FOR (n:Fact) ON (n.owner)

// -- preferences_by_owner --
CREATE INDEX perdure_preference_owner IF NOT EXISTS FOR (n:Preference) ON (n.owner)

// -- steps_by_owner --
CREATE INDEX perdure_step_owner IF NOT EXISTS FOR (n:ReasoningStep) ON (n.owner)

// -- entity_names_by_owner --
CREATE INDEX perdure_entity_name_owner IF NOT EXISTS FOR (n:EntityName) ON (n.owner)

// -- users_by_owner --
CREATE INDEX perdure_user_owner IF NOT EXISTS FOR (n:User) ON (n.owner)

// -- messages_not_indexed --
CREATE INDEX perdure_messages_not_indexed IF NOT EXISTS FOR (n:Message) ON (n.unindexed)

// -- entities_not_indexed --
CREATE INDEX perdure_entities_not_indexed IF NOT EXISTS FOR (n:Entity) ON (n.unindexed)

// -- facts_not_indexed --
CREATE INDEX perdure_facts_not_indexed IF NOT EXISTS FOR (n:Fact) ON (n.unindexed)

// -- preferences_not_indexed --
CREATE INDEX perdure_preferences_not_indexed IF NOT EXISTS FOR (n:Preference) ON (n.unindexed)

// -- traces_not_indexed --
CREATE INDEX perdure_traces_not_indexed IF NOT EXISTS FOR (n:Trace) ON (n.unindexed)

// -- search_is_unique --
CREATE CONSTRAINT perdure_search IF NOT EXISTS FOR (n:_PerdureSearch) REQUIRE n.id IS UNIQUE

// -- memories_by_owner --
CREATE INDEX perdure_memory_owner IF NOT EXISTS FOR (n:Memory) ON (n.owner)

// -- memories_by_slot --
CREATE INDEX perdure_memory_slot IF NOT EXISTS FOR (n:Memory) ON (n.slot)

// -- memories_by_place --
CREATE INDEX perdure_memory_place IF NOT EXISTS FOR (n:Memory) ON (n.place)

// -- memories_to_index --
CREATE INDEX perdure_memories_not_indexed IF NOT EXISTS FOR (n:Memory) ON (n.unindexed)

// -- memory_events_by_memory --
CREATE INDEX perdure_memory_event_memory IF NOT EXISTS FOR (n:MemoryEvent) ON (n.memory_key)

// -- memory_events_by_owner --
CREATE INDEX perdure_memory_event_owner IF NOT EXISTS FOR (n:MemoryEvent) ON (n.owner)

// -- speakers_by_owner --
CREATE INDEX perdure_speaker_owner IF NOT EXISTS FOR (n:Speaker) ON (n.owner)
