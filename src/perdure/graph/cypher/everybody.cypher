// What is about everybody's memories, on nobody's behalf. Others may use the same labels: whose `owner` is none of ours
// is left out by whoever reads these.

// -- owners --
MATCH (n:Memory) WHERE n.owner > '' RETURN DISTINCT n.owner AS owner
UNION
MATCH (n:MemoryEvent) WHERE n.owner > '' RETURN DISTINCT n.owner AS owner
UNION
MATCH (n:Speaker) WHERE n.owner > '' RETURN DISTINCT n.owner AS owner

// -- take --
// What was said and is still to be remembered: one's own, and what nobody has seen to for long.
MATCH (t:ToRemember)
WHERE (t.taken_by = $taker OR t.taken_at < $stale) AND NOT t.id IN $held
WITH t ORDER BY t.id LIMIT $limit
SET t.taken_by = $taker, t.taken_at = $now
RETURN t

// -- all_owners --
// Everybody who has anything.
MATCH (n:Conversation) WHERE n.owner > '' RETURN DISTINCT n.owner AS owner
UNION
MATCH (n:Message) WHERE n.owner > '' RETURN DISTINCT n.owner AS owner
UNION
MATCH (n:Entity) WHERE n.owner > '' RETURN DISTINCT n.owner AS owner
UNION
MATCH (n:Fact) WHERE n.owner > '' RETURN DISTINCT n.owner AS owner
UNION
MATCH (n:Preference) WHERE n.owner > '' RETURN DISTINCT n.owner AS owner
UNION
MATCH (n:Trace) WHERE n.owner > '' RETURN DISTINCT n.owner AS owner
UNION
MATCH (n:Memory) WHERE n.owner > '' RETURN DISTINCT n.owner AS owner
UNION
MATCH (n:MemoryEvent) WHERE n.owner > '' RETURN DISTINCT n.owner AS owner

// -- noted_users --
// Users that are noted; what is noted of them is the tenant's.
MATCH (n:User) WHERE n.owner > '' AND n.id STARTS WITH n.owner AND n.user_id > ''
RETURN n.tenant AS tenant, n.user_id AS user_id
