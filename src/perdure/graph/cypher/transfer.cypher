// All of an owner, kind by kind, in an order in which it can be written again.

// -- entities --
MATCH (n:Entity {owner: $owner}) RETURN n ORDER BY n.created_at, n.id

// -- relationships --
MATCH (a:Entity {owner: $owner})-[n:RELATED_TO]->(b:Entity) RETURN n ORDER BY n.created_at, n.id

// -- facts --
MATCH (n:Fact {owner: $owner}) RETURN n ORDER BY n.created_at, n.id

// -- preferences --
MATCH (n:Preference {owner: $owner}) RETURN n ORDER BY n.created_at, n.id

// -- superseded_facts --
MATCH (new:Fact {owner: $owner})-[:SUPERSEDES]->(old:Fact) WHERE old.owner = $owner
RETURN {of: 'fact', old: old.public_id, new: new.public_id, tenant: old.tenant, user_id: old.user_id} AS n
ORDER BY old.public_id, new.public_id

// -- superseded_preferences --
MATCH (new:Preference {owner: $owner})-[:SUPERSEDES]->(old:Preference) WHERE old.owner = $owner
RETURN {of: 'preference', old: old.public_id, new: new.public_id, tenant: old.tenant, user_id: old.user_id} AS n
ORDER BY old.public_id, new.public_id

// -- messages --
MATCH (n:Message {owner: $owner}) RETURN n ORDER BY n.session_id, n.sort

// -- traces --
MATCH (n:Trace {owner: $owner}) RETURN n ORDER BY n.started_at, n.id

// -- steps --
MATCH (n:ReasoningStep {owner: $owner}) RETURN n ORDER BY n.trace, n.step_number

// -- tool_calls --
MATCH (n:ToolCall {owner: $owner}) RETURN n ORDER BY n.created_at, n.id

// -- memories --
MATCH (n:Memory {owner: $owner})
OPTIONAL MATCH (n)-[:MENTIONS]->(w:EntityName)
WITH n, collect(w.id) AS mentions
RETURN n, mentions ORDER BY n.sort

// -- memory_events --
MATCH (n:MemoryEvent {owner: $owner}) RETURN n ORDER BY n.memory_key, n.public_id

// -- user --
// What is noted of the owner, which is the tenant's.
MATCH (n:User {id: $user}) WHERE n.owner = $owner RETURN n

// And the links that no other statement makes by itself.

// -- superseded_fact --
MATCH (old:Fact {id: $old}) WHERE old.owner = $owner
MATCH (new:Fact {id: $new}) WHERE new.owner = $owner
MERGE (new)-[:SUPERSEDES]->(old)
RETURN old.id AS id

// -- superseded_preference --
MATCH (old:Preference {id: $old}) WHERE old.owner = $owner
MATCH (new:Preference {id: $new}) WHERE new.owner = $owner
MERGE (new)-[:SUPERSEDES]->(old)
RETURN old.id AS id
