// -- touched --
// Entities by the keys they were asked by: their own, or those of their names.
MATCH (e:Entity) WHERE e.id IN $entities AND e.owner = $owner
RETURN e.id AS key, e.public_id AS id
UNION
MATCH (w:EntityName)-[:NAMES]->(e:Entity) WHERE w.id IN $names AND e.owner = $owner
RETURN w.id AS key, e.public_id AS id
