// How far the search follows the graph. Whatever a search can find carries `unindexed`, a text of its own for each
// change, from the change itself until the vector store has it. These run on nobody's behalf: what they are given are
// whole keys, or they look at all there is that typed calls made: others may use the same labels.

// -- stored --
MATCH (n:Message) WHERE n.id IN $message RETURN 'message' AS kind, n
UNION ALL
MATCH (n:Entity) WHERE n.id IN $entity RETURN 'entity' AS kind, n
UNION ALL
MATCH (n:Fact) WHERE n.id IN $fact RETURN 'fact' AS kind, n
UNION ALL
MATCH (n:Preference) WHERE n.id IN $preference RETURN 'preference' AS kind, n
UNION ALL
MATCH (n:Trace) WHERE n.id IN $trace RETURN 'trace' AS kind, n
UNION ALL
MATCH (n:Memory) WHERE n.id IN $memory RETURN 'memory' AS kind, n

// -- unindexed_messages --
MATCH (n:Message) WHERE n.unindexed > '' AND n.id STARTS WITH n.owner RETURN n.id AS id LIMIT $limit
// -- unindexed_entities --
MATCH (n:Entity) WHERE n.unindexed > '' AND n.id STARTS WITH n.owner RETURN n.id AS id LIMIT $limit
// -- unindexed_facts --
MATCH (n:Fact) WHERE n.unindexed > '' AND n.id STARTS WITH n.owner RETURN n.id AS id LIMIT $limit
// -- unindexed_preferences --
MATCH (n:Preference) WHERE n.unindexed > '' AND n.id STARTS WITH n.owner RETURN n.id AS id LIMIT $limit
// -- unindexed_traces --
MATCH (n:Trace) WHERE n.unindexed > '' AND n.id STARTS WITH n.owner RETURN n.id AS id LIMIT $limit
// -- unindexed_memories --
MATCH (n:Memory) WHERE n.unindexed > '' AND n.id STARTS WITH n.owner RETURN n.id AS id LIMIT $limit

// -- indexed_messages --
UNWIND $rows AS row MATCH (n:Message {id: row.id})
SET n.unindexed = CASE WHEN n.unindexed = row.unindexed THEN null ELSE n.unindexed END
// -- indexed_entities --
UNWIND $rows AS row MATCH (n:Entity {id: row.id})
SET n.unindexed = CASE WHEN n.unindexed = row.unindexed THEN null ELSE n.unindexed END
// -- indexed_facts --
UNWIND $rows AS row MATCH (n:Fact {id: row.id})
SET n.unindexed = CASE WHEN n.unindexed = row.unindexed THEN null ELSE n.unindexed END
// -- indexed_preferences --
UNWIND $rows AS row MATCH (n:Preference {id: row.id})
SET n.unindexed = CASE WHEN n.unindexed = row.unindexed THEN null ELSE n.unindexed END
// -- indexed_traces --
UNWIND $rows AS row MATCH (n:Trace {id: row.id})
SET n.unindexed = CASE WHEN n.unindexed = row.unindexed THEN null ELSE n.unindexed END
// -- indexed_memories --
UNWIND $rows AS row MATCH (n:Memory {id: row.id})
SET n.unindexed = CASE WHEN n.unindexed = row.unindexed THEN null ELSE n.unindexed END

// -- every_message --
MATCH (n:Message) WHERE n.owner > '' AND n.id STARTS WITH n.owner AND n.public_id > '' RETURN n.id AS id
// -- every_entity --
MATCH (n:Entity) WHERE n.owner > '' AND n.id STARTS WITH n.owner AND n.public_id > '' RETURN n.id AS id
// -- every_fact --
MATCH (n:Fact) WHERE n.owner > '' AND n.id STARTS WITH n.owner AND n.public_id > '' RETURN n.id AS id
// -- every_preference --
MATCH (n:Preference) WHERE n.owner > '' AND n.id STARTS WITH n.owner AND n.public_id > '' RETURN n.id AS id
// -- every_trace --
MATCH (n:Trace) WHERE n.owner > '' AND n.id STARTS WITH n.owner AND n.public_id > '' RETURN n.id AS id
// -- every_memory --
MATCH (n:Memory) WHERE n.owner > '' AND n.id STARTS WITH n.owner AND n.public_id > '' RETURN n.id AS id

// -- mark --
MATCH (k:_PerdureSearch {id: 'search'}) RETURN k.mark AS mark
// -- set_mark --
MERGE (k:_PerdureSearch {id: 'search'})
SET k.mark = CASE WHEN coalesce(k.mark, '') > $mark THEN k.mark ELSE $mark END
