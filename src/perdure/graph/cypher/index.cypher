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

// The next three are there once for each kind of record: its label stands in place of `Record`.

// -- unindexed --
MATCH (n:Record) WHERE n.unindexed > '' AND n.id STARTS WITH n.owner RETURN n.id AS id LIMIT $limit

// -- indexed --
UNWIND $rows AS row MATCH (n:Record {id: row.id})
SET n.unindexed = CASE WHEN n.unindexed = row.unindexed THEN null ELSE n.unindexed END

// -- every --
MATCH (n:Record) WHERE n.owner > '' AND n.id STARTS WITH n.owner AND n.public_id > '' RETURN n.id AS id

// -- mark --
MATCH (k:_PerdureSearch {id: 'search'}) RETURN k.mark AS mark
// -- set_mark --
MERGE (k:_PerdureSearch {id: 'search'})
SET k.mark = CASE WHEN coalesce(k.mark, '') > $mark THEN k.mark ELSE $mark END
