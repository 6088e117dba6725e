// What `Memory` keeps: (:Memory)-[:MENTIONS]->(:EntityName), the (:MemoryEvent)s that are its history and outlive it,
// and the names of whose words there are, (:Speaker).

// -- accept --
// What was said, until it is remembered.
MERGE (t:ToRemember {id: $id})
ON CREATE SET t += $entry, t.owner = $owner

// -- remember --
// All of it or nothing: facts, new memories, changes of earlier ones, and what history says of each.
// Where it was accepted before, only if it is still to be remembered: it may be forgotten by now, or remembered.
OPTIONAL MATCH (t:ToRemember {id: $accepted}) WHERE t.owner = $owner
WITH t, $accepted = '' OR t IS NOT NULL AS wanted
WITH t, CASE WHEN wanted THEN $facts ELSE [] END AS facts, CASE WHEN wanted THEN $speakers ELSE [] END AS speakers,
  CASE WHEN wanted THEN $added ELSE [] END AS added, CASE WHEN wanted THEN $changed ELSE [] END AS changed
FOREACH (each IN CASE WHEN $done AND t IS NOT NULL THEN [t] ELSE [] END | DELETE each)
FOREACH (row IN facts |
  MERGE (f:Fact {id: row.id})
  ON CREATE SET f += row.fact, f.owner = $owner, f.unindexed = $revision
  FOREACH (key IN row.subjects |
    MERGE (w:EntityName {id: key}) ON CREATE SET w.owner = $owner
    MERGE (f)-[:SUBJECT]->(w))
  FOREACH (key IN row.objects |
    MERGE (w:EntityName {id: key}) ON CREATE SET w.owner = $owner
    MERGE (f)-[:OBJECT]->(w)))
FOREACH (row IN speakers | MERGE (s:Speaker {id: row.id}) ON CREATE SET s += row, s.owner = $owner)
FOREACH (row IN added |
  MERGE (m:Memory {id: row.id})
  ON CREATE SET m += row.memory, m.owner = $owner, m.unindexed = $revision
  FOREACH (key IN row.mentions |
    MERGE (w:EntityName {id: key}) ON CREATE SET w.owner = $owner
    MERGE (m)-[:MENTIONS]->(w))
  FOREACH (event IN CASE WHEN m.sort = row.memory.sort THEN row.events ELSE [] END |
    MERGE (e:MemoryEvent {id: event.id}) ON CREATE SET e += event, e.owner = $owner))
WITH changed
UNWIND changed AS row
MATCH (old:Memory {id: row.id}) WHERE old.owner = $owner
SET old += row.memory
SET old.unindexed = $revision
FOREACH (event IN row.events | MERGE (e:MemoryEvent {id: event.id}) ON CREATE SET e += event, e.owner = $owner)
FOREACH (key IN row.mentions |
  MERGE (w:EntityName {id: key}) ON CREATE SET w.owner = $owner
  MERGE (old)-[:MENTIONS]->(w))
WITH old, row
MATCH (old)-[r:MENTIONS]->(w:EntityName) WHERE row.has_other_words AND NOT w.id IN row.mentions
DELETE r

// -- remember_new --
// The same for new memories alone: what most adds come to, in a fifth less time.
FOREACH (row IN $speakers | MERGE (s:Speaker {id: row.id}) ON CREATE SET s += row, s.owner = $owner)
FOREACH (row IN $added |
  MERGE (m:Memory {id: row.id})
  ON CREATE SET m += row.memory, m.owner = $owner, m.unindexed = $revision
  FOREACH (key IN row.mentions |
    MERGE (w:EntityName {id: key}) ON CREATE SET w.owner = $owner
    MERGE (m)-[:MENTIONS]->(w))
  FOREACH (event IN CASE WHEN m.sort = row.memory.sort THEN row.events ELSE [] END |
    MERGE (e:MemoryEvent {id: event.id}) ON CREATE SET e += event, e.owner = $owner))

// -- remember_again --
// A memory as an export holds it; its history comes by itself.
MERGE (m:Memory {id: $id})
ON CREATE SET m += $memory, m.owner = $owner, m.unindexed = $revision
FOREACH (row IN $speakers | MERGE (s:Speaker {id: row.id}) ON CREATE SET s += row, s.owner = $owner)
FOREACH (key IN $mentions |
  MERGE (w:EntityName {id: key}) ON CREATE SET w.owner = $owner
  MERGE (m)-[:MENTIONS]->(w))
RETURN m.id AS id

// -- note --
MERGE (e:MemoryEvent {id: $id}) ON CREATE SET e += $event, e.owner = $owner
RETURN e.id AS id

// -- memories --
MATCH (m:Memory) WHERE m.id IN $ids AND m.owner = $owner
  AND ($agent_id IS NULL OR m.agent_id = $agent_id) AND ($run_id IS NULL OR m.run_id = $run_id)
RETURN m

// What a ranking looks at, of many: half of the work of reading whole ones, and no dates, which drivers take long for.

// -- candidates --
MATCH (m:Memory) WHERE m.id IN $ids AND m.owner = $owner
  AND ($agent_id IS NULL OR m.agent_id = $agent_id) AND ($run_id IS NULL OR m.run_id = $run_id)
RETURN m.public_id AS public_id, m.memory AS memory, m.said AS said, m.name AS name, m.role AS role, m.place AS place,
  m.expired_at IS NOT NULL AS expired, m.metadata AS metadata

// -- related --
// Those of some ids, and those that answer to some slots: what a decision about a new one may depend on.
MATCH (m:Memory) WHERE m.id IN $ids AND m.owner = $owner
RETURN m
UNION
MATCH (m:Memory) WHERE m.slot IN $slots AND m.owner = $owner
RETURN m

// -- neighbours --
MATCH (m:Memory) WHERE m.place IN $places AND m.owner = $owner
  AND ($agent_id IS NULL OR m.agent_id = $agent_id) AND ($run_id IS NULL OR m.run_id = $run_id)
RETURN m.public_id AS public_id, m.memory AS memory, m.said AS said, m.name AS name, m.role AS role, m.place AS place,
  m.expired_at IS NOT NULL AS expired, m.metadata AS metadata

// -- mentioning --
MATCH (w:EntityName) WHERE w.id IN $names AND w.owner = $owner
MATCH (m:Memory)-[:MENTIONS]->(w)
WHERE m.expired_at IS NULL
  AND ($agent_id IS NULL OR m.agent_id = $agent_id) AND ($run_id IS NULL OR m.run_id = $run_id)
RETURN DISTINCT m.public_id AS id, m.sort AS sort ORDER BY sort DESC LIMIT $limit

// -- page --
MATCH (m:Memory {owner: $owner})
WHERE ($agent_id IS NULL OR m.agent_id = $agent_id) AND ($run_id IS NULL OR m.run_id = $run_id)
  AND m.sort > $after AND ($expired OR m.expired_at IS NULL)
RETURN m ORDER BY m.sort LIMIT $limit

// -- speakers --
MATCH (s:Speaker {owner: $owner})
WHERE ($agent_id IS NULL OR s.agent_id = $agent_id) AND ($run_id IS NULL OR s.run_id = $run_id)
RETURN DISTINCT s.name AS name ORDER BY name LIMIT $limit

// -- history --
MATCH (e:MemoryEvent {memory_key: $memory})
WHERE e.owner = $owner AND ($agent_id IS NULL OR e.agent_id = $agent_id) AND ($run_id IS NULL OR e.run_id = $run_id)
RETURN e ORDER BY e.public_id

// -- forget --
MATCH (m:Memory {id: $id})
WHERE m.owner = $owner AND ($agent_id IS NULL OR m.agent_id = $agent_id) AND ($run_id IS NULL OR m.run_id = $run_id)
WITH m, m.memory AS previous, m.agent_id AS agent, m.run_id AS run
DETACH DELETE m
MERGE (e:MemoryEvent {id: $event.id})
ON CREATE SET e += $event, e.owner = $owner, e.previous = previous, e.agent_id = agent, e.run_id = run
RETURN previous

// Everything in a scope, so many at a time that a transaction has room for them.

// -- forget_memories --
MATCH (n:Memory {owner: $owner})
WHERE ($agent_id IS NULL OR n.agent_id = $agent_id) AND ($run_id IS NULL OR n.run_id = $run_id)
WITH n LIMIT $most
WITH n, n.public_id AS id
DETACH DELETE n
RETURN collect(id) AS ids

// -- forget_facts --
MATCH (n:Fact {owner: $owner})
WHERE n.source STARTS WITH 'memory:'
  AND ($agent_id IS NULL OR n.agent_id = $agent_id) AND ($run_id IS NULL OR n.run_id = $run_id)
WITH n LIMIT $most
WITH n, n.public_id AS id
DETACH DELETE n
RETURN collect(id) AS ids

// -- forget_history --
MATCH (n:MemoryEvent {owner: $owner})
WHERE ($agent_id IS NULL OR n.agent_id = $agent_id) AND ($run_id IS NULL OR n.run_id = $run_id)
WITH n LIMIT $most
WITH n, n.public_id AS id
DETACH DELETE n
RETURN collect(id) AS ids

// -- forget_accepted --
MATCH (n:ToRemember {owner: $owner})
WHERE ($agent_id IS NULL OR n.agent_id = $agent_id) AND ($run_id IS NULL OR n.run_id = $run_id)
WITH n LIMIT $most
WITH n, n.public_id AS id
DETACH DELETE n
RETURN collect(id) AS ids

// -- forget_speakers --
MATCH (n:Speaker {owner: $owner})
WHERE ($agent_id IS NULL OR n.agent_id = $agent_id) AND ($run_id IS NULL OR n.run_id = $run_id)
WITH n LIMIT $most
WITH n, n.name AS id
DETACH DELETE n
RETURN collect(id) AS ids

// -- forget_names --
// Names that nothing has any more.
MATCH (n:EntityName {owner: $owner}) WHERE NOT (n)--()
WITH n LIMIT $most
WITH n, n.id AS id
DETACH DELETE n
RETURN collect(id) AS ids
