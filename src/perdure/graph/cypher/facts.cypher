// Dated statements, (:EntityName)<-[:SUBJECT|OBJECT]-(:Fact), and preferences. What is superseded stays, and says until
// when it was true and when that was known.

// -- add_fact --
MERGE (f:Fact {id: $id})
ON CREATE SET f += $fact, f.owner = $owner, f.unindexed = $revision
FOREACH (key IN $subjects |
  MERGE (w:EntityName {id: key}) ON CREATE SET w.owner = $owner
  MERGE (f)-[:SUBJECT]->(w))
FOREACH (key IN $objects |
  MERGE (w:EntityName {id: key}) ON CREATE SET w.owner = $owner
  MERGE (f)-[:OBJECT]->(w))
RETURN f

// -- facts_about --
MATCH (w:EntityName)<-[:SUBJECT|OBJECT]-(f:Fact)
WHERE w.id IN $names AND f.owner = $owner
  AND ($agent_id IS NULL OR f.agent_id = $agent_id) AND ($run_id IS NULL OR f.run_id = $run_id)
RETURN DISTINCT f

// -- supersede_fact --
MATCH (old:Fact {id: $old}) WHERE old.owner = $owner
MATCH (new:Fact {id: $new}) WHERE new.owner = $owner
SET old.expired_at = coalesce(old.expired_at, $now), old.unindexed = $revision
SET old.valid_until = coalesce(old.valid_until, new.valid_from, $now)
MERGE (new)-[:SUPERSEDES]->(old)
RETURN old

// -- delete_fact --
MATCH (f:Fact {id: $id})
WHERE f.owner = $owner AND ($agent_id IS NULL OR f.agent_id = $agent_id) AND ($run_id IS NULL OR f.run_id = $run_id)
DETACH DELETE f
RETURN $id AS id

// -- add_preference --
MERGE (p:Preference {id: $id})
ON CREATE SET p += $preference, p.owner = $owner, p.unindexed = $revision
RETURN p

// -- preferences --
MATCH (p:Preference {owner: $owner})
WHERE ($agent_id IS NULL OR p.agent_id = $agent_id) AND ($run_id IS NULL OR p.run_id = $run_id)
  AND ($category IS NULL OR p.category = $category)
RETURN p

// -- supersede_preference --
MATCH (old:Preference {id: $old}) WHERE old.owner = $owner
MATCH (new:Preference {id: $new}) WHERE new.owner = $owner
SET old.expired_at = coalesce(old.expired_at, $now), old.unindexed = $revision
SET old.valid_until = coalesce(old.valid_until, new.valid_from, $now)
MERGE (new)-[:SUPERSEDES]->(old)
RETURN old

// -- delete_preference --
MATCH (p:Preference {id: $id})
WHERE p.owner = $owner AND ($agent_id IS NULL OR p.agent_id = $agent_id) AND ($run_id IS NULL OR p.run_id = $run_id)
DETACH DELETE p
RETURN $id AS id
