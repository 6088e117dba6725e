// What a search has found, as it stands in the graph now. Whoever asks gets what is their own.

// -- messages --
MATCH (n:Message) WHERE n.id IN $ids AND n.owner = $owner
  AND ($agent_id IS NULL OR n.agent_id = $agent_id) AND ($run_id IS NULL OR n.run_id = $run_id)
RETURN n
// -- entities --
MATCH (n:Entity) WHERE n.id IN $ids AND n.owner = $owner
  AND ($agent_id IS NULL OR n.agent_id = $agent_id) AND ($run_id IS NULL OR n.run_id = $run_id)
RETURN n
// -- facts --
MATCH (n:Fact) WHERE n.id IN $ids AND n.owner = $owner
  AND ($agent_id IS NULL OR n.agent_id = $agent_id) AND ($run_id IS NULL OR n.run_id = $run_id)
RETURN n
// -- preferences --
MATCH (n:Preference) WHERE n.id IN $ids AND n.owner = $owner
  AND ($agent_id IS NULL OR n.agent_id = $agent_id) AND ($run_id IS NULL OR n.run_id = $run_id)
RETURN n
// -- traces --
MATCH (n:Trace) WHERE n.id IN $ids AND n.owner = $owner
  AND ($agent_id IS NULL OR n.agent_id = $agent_id) AND ($run_id IS NULL OR n.run_id = $run_id)
RETURN n
// -- memories --
MATCH (n:Memory) WHERE n.id IN $ids AND n.owner = $owner
  AND ($agent_id IS NULL OR n.agent_id = $agent_id) AND ($run_id IS NULL OR n.run_id = $run_id)
RETURN n
