// Users of a tenant: (:User), whose owner is the tenant without a user; and all that belongs to one of them.

// -- upsert --
MERGE (u:User {id: $id})
ON CREATE SET u += $user, u.owner = $owner
SET u.updated_at = $now
SET u += $changes
RETURN u

// -- user --
MATCH (u:User {id: $id}) WHERE u.owner = $owner
RETURN u

// -- users --
MATCH (u:User {owner: $owner})
RETURN u ORDER BY u.user_id SKIP $offset LIMIT $limit

// -- forget_user --
MATCH (u:User {id: $id}) WHERE u.owner = $owner
DETACH DELETE u
RETURN $id AS id

// Everything of an owner, kind by kind and so many at a time that a transaction has room for them.

// -- tool_calls --
MATCH (n:ToolCall {owner: $owner})
WITH n LIMIT $most
DETACH DELETE n
RETURN count(*) AS n

// -- steps --
MATCH (n:ReasoningStep {owner: $owner})
WITH n LIMIT $most
DETACH DELETE n
RETURN count(*) AS n

// -- traces --
MATCH (n:Trace {owner: $owner})
WITH n LIMIT $most
DETACH DELETE n
RETURN count(*) AS n

// -- messages --
MATCH (n:Message {owner: $owner})
WITH n LIMIT $most
DETACH DELETE n
RETURN count(*) AS n

// -- facts --
MATCH (n:Fact {owner: $owner})
WITH n LIMIT $most
DETACH DELETE n
RETURN count(*) AS n

// -- preferences --
MATCH (n:Preference {owner: $owner})
WITH n LIMIT $most
DETACH DELETE n
RETURN count(*) AS n

// -- memories --
MATCH (n:Memory {owner: $owner})
WITH n LIMIT $most
DETACH DELETE n
RETURN count(*) AS n

// -- history --
MATCH (n:MemoryEvent {owner: $owner})
WITH n LIMIT $most
DETACH DELETE n
RETURN count(*) AS n

// -- speakers --
MATCH (n:Speaker {owner: $owner})
WITH n LIMIT $most
DETACH DELETE n
RETURN count(*) AS n

// -- accepted --
MATCH (n:ToRemember {owner: $owner})
WITH n LIMIT $most
DETACH DELETE n
RETURN count(*) AS n

// -- entities --
MATCH (n:Entity {owner: $owner})
WITH n LIMIT $most
DETACH DELETE n
RETURN count(*) AS n

// -- names --
MATCH (n:EntityName {owner: $owner})
WITH n LIMIT $most
DETACH DELETE n
RETURN count(*) AS n

// -- conversations --
MATCH (n:Conversation {owner: $owner})
WITH n LIMIT $most
DETACH DELETE n
RETURN count(*) AS n
