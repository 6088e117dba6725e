// All of an owner, kind by kind, in an order in which it can be written again.

// -- entities --
MATCH (n:Entity {owner: $owner}) RETURN n ORDER BY n.created_at, n.id

// -- relationships --
MATCH (a:Entity {owner: $owner})-[n:RELATED_TO]->(b:Entity) RETURN n ORDER BY n.created_at, n.id

// -- facts --
MATCH (n:Fact {owner: $owner}) RETURN n ORDER BY n.created_at, n.id

// -- preferences --
MATCH (n:Preference {owner: $owner}) RETURN n ORDER BY n.created_at, n.id

// -- messages --
MATCH (n:Message {owner: $owner}) RETURN n ORDER BY n.session_id, n.sort

// -- traces --
MATCH (n:Trace {owner: $owner}) RETURN n ORDER BY n.started_at, n.id

// -- steps --
MATCH (n:ReasoningStep {owner: $owner}) RETURN n ORDER BY n.trace, n.step_number

// -- tool_calls --
MATCH (n:ToolCall {owner: $owner}) RETURN n ORDER BY n.created_at, n.id
