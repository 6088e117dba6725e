// Who and what is known: (:EntityName)-[:NAMES]->(:Entity)-[:RELATED_TO]->(:Entity). A name is a node of its own, so
// that a lookup by name or alias is one by key, and a fact finds its entities whichever of them comes first.

// -- add_entity --
// One node for each scope, type and name, however many add it at once. What it has already stays.
MERGE (e:Entity {id: $id})
ON CREATE SET e += $entity, e.owner = $owner
SET e.updated_at = $now, e.unindexed = $revision
WITH e
SET e.description = coalesce(e.description, $description)
SET e.attributes = coalesce(e.attributes, $attributes)
SET e.aliases = coalesce(e.aliases, []) + [x IN $aliases WHERE NOT x IN coalesce(e.aliases, [])]
FOREACH (key IN $names |
  MERGE (w:EntityName {id: key}) ON CREATE SET w.owner = $owner
  MERGE (w)-[:NAMES]->(e))
RETURN e

// -- entity --
MATCH (e:Entity {id: $id})
WHERE e.owner = $owner AND ($agent_id IS NULL OR e.agent_id = $agent_id) AND ($run_id IS NULL OR e.run_id = $run_id)
  AND ($type IS NULL OR e.type = $type)
RETURN e

// -- entities_by_name --
MATCH (w:EntityName {id: $name})-[:NAMES]->(e:Entity)
WHERE e.owner = $owner AND ($agent_id IS NULL OR e.agent_id = $agent_id) AND ($run_id IS NULL OR e.run_id = $run_id)
  AND ($type IS NULL OR e.type = $type)
RETURN e ORDER BY e.created_at, e.id

// -- update_entity --
MATCH (e:Entity {id: $id})
WHERE e.owner = $owner AND ($agent_id IS NULL OR e.agent_id = $agent_id) AND ($run_id IS NULL OR e.run_id = $run_id)
SET e.updated_at = $now, e.unindexed = $revision
WITH e
SET e.aliases = coalesce(e.aliases, []) + [x IN $aliases WHERE NOT x IN coalesce(e.aliases, [])]
WITH e
SET e.aliases = CASE WHEN $name IS NULL OR e.name = $name OR e.name IN e.aliases THEN e.aliases
                     ELSE e.aliases + [e.name] END
WITH e
SET e += $changes
FOREACH (key IN $names |
  MERGE (w:EntityName {id: key}) ON CREATE SET w.owner = $owner
  MERGE (w)-[:NAMES]->(e))
RETURN e

// -- merge_entities --
// The names, relationships and tool calls of one go over to the other, and it is gone. What it was to the other is gone
// as well.
MATCH (k:Entity {id: $keep}) WHERE k.owner = $owner
MATCH (d:Entity {id: $drop}) WHERE d.owner = $owner
SET k.updated_at = $now, k.unindexed = $revision
SET d.updated_at = $now
WITH k, d
OPTIONAL MATCH (w:EntityName)-[:NAMES]->(d)
WITH k, d, collect(w) AS names
OPTIONAL MATCH (d)-[r:RELATED_TO]->(b:Entity) WHERE b.id <> $keep AND b.id <> $drop
WITH k, d, names, collect(properties(r)) AS going, collect(b) AS heads
OPTIONAL MATCH (a:Entity)-[r:RELATED_TO]->(d) WHERE a.id <> $keep AND a.id <> $drop
WITH k, d, names, going, heads, collect(properties(r)) AS coming, collect(a) AS tails
OPTIONAL MATCH (t:ToolCall)-[:TOUCHED]->(d)
WITH k, d, names, going, heads, coming, tails, collect(t) AS calls
SET k.aliases = coalesce(k.aliases, [])
  + [x IN [d.name] + coalesce(d.aliases, []) WHERE NOT x IN coalesce(k.aliases, []) AND x <> k.name]
SET k.description = coalesce(k.description, d.description)
SET k.attributes = coalesce(k.attributes, d.attributes)
FOREACH (w IN names | MERGE (w)-[:NAMES]->(k))
FOREACH (i IN range(0, size(heads) - 1) | FOREACH (b IN [heads[i]] |
  CREATE (k)-[r:RELATED_TO]->(b) SET r = going[i] SET r.source = k.public_id))
FOREACH (i IN range(0, size(tails) - 1) | FOREACH (a IN [tails[i]] |
  CREATE (a)-[r:RELATED_TO]->(k) SET r = coming[i] SET r.target = k.public_id))
FOREACH (t IN calls |
  SET t.touched = [x IN t.touched | CASE WHEN x = d.public_id THEN k.public_id ELSE x END]
  MERGE (t)-[:TOUCHED]->(k))
DETACH DELETE d
RETURN $keep AS id

// -- delete_entity --
// With its relationships, and with the names that nothing else has.
MATCH (e:Entity {id: $id})
WHERE e.owner = $owner AND ($agent_id IS NULL OR e.agent_id = $agent_id) AND ($run_id IS NULL OR e.run_id = $run_id)
SET e.updated_at = $now
WITH e
MATCH (w:EntityName)-[:NAMES]->(e)
MATCH (w)-[use]-()
WITH e, w, count(use) AS uses
WITH e, collect(CASE WHEN uses = 1 THEN w END) AS lone
FOREACH (w IN lone | DETACH DELETE w)
DETACH DELETE e
RETURN $id AS id

// -- add_relationship --
OPTIONAL MATCH (a:Entity {id: $source}) WHERE a.owner = $owner
OPTIONAL MATCH (b:Entity {id: $target}) WHERE b.owner = $owner
WITH a, b, CASE WHEN a IS NOT NULL AND b IS NOT NULL THEN 'there'
                WHEN $loud THEN toString(date('an end of the relationship is not there')) ELSE 'absent' END AS state
WHERE state = 'there'
MERGE (a)-[r:RELATED_TO {id: $id}]->(b)
ON CREATE SET r += $relationship, r.owner = $owner
RETURN r.id AS id

// -- related --
// One step from some entities, in either direction.
MATCH (a:Entity)-[r:RELATED_TO]-(b:Entity)
WHERE a.id IN $entities AND a.owner = $owner AND b.owner = $owner AND r.owner = $owner
  AND ($agent_id IS NULL OR r.agent_id = $agent_id) AND ($run_id IS NULL OR r.run_id = $run_id)
RETURN r, b

// -- names_of --
// The keys of every name of an entity, which is asked for by its key or by one of its names.
MATCH (e:Entity {id: $id})<-[:NAMES]-(w:EntityName) WHERE e.owner = $owner
RETURN w.id AS key
UNION
MATCH (:EntityName {id: $name})-[:NAMES]->(e:Entity)<-[:NAMES]-(w:EntityName) WHERE e.owner = $owner
RETURN w.id AS key
