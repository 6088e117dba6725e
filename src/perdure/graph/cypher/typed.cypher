// Typed memory as a whole.

// -- counts --
// How many records an owner has, by kind.
MATCH (n:Message) WHERE n.owner = $owner AND ($agent_id IS NULL OR n.agent_id = $agent_id)
  AND ($run_id IS NULL OR n.run_id = $run_id)
RETURN 'messages' AS kind, count(n) AS count
UNION ALL
MATCH (n:Entity) WHERE n.owner = $owner AND ($agent_id IS NULL OR n.agent_id = $agent_id)
  AND ($run_id IS NULL OR n.run_id = $run_id)
RETURN 'entities' AS kind, count(n) AS count
UNION ALL
MATCH (n:Fact) WHERE n.owner = $owner AND ($agent_id IS NULL OR n.agent_id = $agent_id)
  AND ($run_id IS NULL OR n.run_id = $run_id)
RETURN 'facts' AS kind, count(n) AS count
UNION ALL
MATCH (n:Preference) WHERE n.owner = $owner AND ($agent_id IS NULL OR n.agent_id = $agent_id)
  AND ($run_id IS NULL OR n.run_id = $run_id)
RETURN 'preferences' AS kind, count(n) AS count
UNION ALL
MATCH (n:Trace) WHERE n.owner = $owner AND ($agent_id IS NULL OR n.agent_id = $agent_id)
  AND ($run_id IS NULL OR n.run_id = $run_id)
RETURN 'traces' AS kind, count(n) AS count
UNION ALL
MATCH (n:ReasoningStep) WHERE n.owner = $owner AND ($agent_id IS NULL OR n.agent_id = $agent_id)
  AND ($run_id IS NULL OR n.run_id = $run_id)
RETURN 'steps' AS kind, count(n) AS count
UNION ALL
MATCH (n:ToolCall) WHERE n.owner = $owner AND ($agent_id IS NULL OR n.agent_id = $agent_id)
  AND ($run_id IS NULL OR n.run_id = $run_id)
RETURN 'tool_calls' AS kind, count(n) AS count
UNION ALL
MATCH (n:Memory) WHERE n.owner = $owner AND ($agent_id IS NULL OR n.agent_id = $agent_id)
  AND ($run_id IS NULL OR n.run_id = $run_id)
RETURN 'memories' AS kind, count(n) AS count
