// How agents went about their tasks:
// (:Conversation)-[:HAS_TRACE]->(:Trace)-[:HAS_STEP]->(:ReasoningStep)-[:USED]->(:ToolCall)-[:TOUCHED]->(:Entity).
// A statement whose parent is not there gives no row, and changes nothing; with $loud, where nobody would see that, it
// fails. Whose a parent is stands apart from how it is found: else the planner of Neo4j, in a graph that is almost
// empty, may take all that the owner has for as quick a way to one node as its key.

// -- start_trace --
OPTIONAL MATCH (m:Message {id: $message})
WITH m, CASE WHEN $message IS NULL OR m.owner = $owner THEN 'there'
             WHEN $loud THEN toString(date('the message that triggered it is not there')) ELSE 'absent' END AS state
WHERE state = 'there'
MERGE (c:Conversation {id: $conversation})
ON CREATE SET c += $session, c.owner = $owner, c.sort = ''
SET c.updated_at = $now
MERGE (t:Trace {id: $id})
ON CREATE SET t += $trace, t.owner = $owner, t.conversation = $conversation, t.step_count = 0, t.unindexed = $revision
MERGE (c)-[:HAS_TRACE]->(t)
FOREACH (x IN CASE WHEN m IS NULL THEN [] ELSE [m] END | MERGE (t)-[:TRIGGERED_BY]->(x))
RETURN t.id AS id

// -- add_step --
OPTIONAL MATCH (t:Trace {id: $trace})
WITH t, CASE WHEN t.owner = $owner AND ($agent_id IS NULL OR t.agent_id = $agent_id)
                  AND ($run_id IS NULL OR t.run_id = $run_id) THEN 'there'
             WHEN $loud THEN toString(date('the trace is not there')) ELSE 'absent' END AS state
WHERE state = 'there'
SET t.updated_at = $now
WITH t
MERGE (s:ReasoningStep {id: $id})
ON CREATE SET s += $step, s.owner = $owner, s.conversation = t.conversation, s.trace = t.id, s.session_id = t.session_id,
  s.trace_id = t.public_id, s.agent_id = t.agent_id, s.run_id = t.run_id, s.step_number = t.step_count + 1
SET t.step_count = CASE WHEN s.step_number > t.step_count THEN s.step_number ELSE t.step_count END
MERGE (t)-[:HAS_STEP]->(s)
RETURN s.step_number AS step_number, s.agent_id AS agent_id, s.run_id AS run_id

// -- record_tool_call --
// $queued are entities that are on their way in another lane: whichever of the two comes first makes them.
OPTIONAL MATCH (s:ReasoningStep {id: $step})
OPTIONAL MATCH (m:Message {id: $message})
WITH s, m
FOREACH (row IN $queued |
  MERGE (e:Entity {id: row.id}) ON CREATE SET e += row.entity, e.owner = $owner
  FOREACH (key IN row.names |
    MERGE (w:EntityName {id: key}) ON CREATE SET w.owner = $owner
    MERGE (w)-[:NAMES]->(e)))
WITH s, m
UNWIND CASE WHEN size($entities) = 0 THEN [null] ELSE $entities END AS entity
OPTIONAL MATCH (e:Entity {id: entity})
WITH s, m, [x IN collect(e) WHERE x.owner = $owner] AS by_id
UNWIND CASE WHEN size($names) = 0 THEN [null] ELSE $names END AS name
OPTIONAL MATCH (w:EntityName {id: name})-[:NAMES]->(e:Entity)
WITH s, m, by_id, [x IN collect(e) WHERE x.owner = $owner] AS by_name,
  count(DISTINCT CASE WHEN e.owner = $owner THEN name END) AS named
WITH s, m, by_id + by_name AS touched,
  CASE WHEN s.owner = $owner AND ($agent_id IS NULL OR s.agent_id = $agent_id)
            AND ($run_id IS NULL OR s.run_id = $run_id) AND ($message IS NULL OR m.owner = $owner)
            AND size(by_id) = size($entities) AND named = size($names) THEN 'there'
       WHEN $loud THEN toString(date('the step, the message or an entity is not there'))
       ELSE 'absent' END AS state
WHERE state = 'there'
MERGE (k:ToolCall {id: $id})
ON CREATE SET k += $call, k.owner = $owner, k.conversation = s.conversation, k.trace = s.trace, k.step = s.id,
  k.session_id = s.session_id, k.step_id = s.public_id, k.agent_id = s.agent_id, k.run_id = s.run_id
SET k.touched = [e IN touched | e.public_id]
SET s.observation = coalesce($observation, s.observation)
MERGE (s)-[:USED]->(k)
FOREACH (x IN CASE WHEN m IS NULL THEN [] ELSE [m] END | MERGE (k)-[:TRIGGERED_BY]->(x))
FOREACH (e IN touched | MERGE (k)-[:TOUCHED]->(e))
RETURN k.touched AS touched, k.agent_id AS agent_id, k.run_id AS run_id

// -- complete_trace --
OPTIONAL MATCH (t:Trace {id: $id})
WITH t, CASE WHEN t.owner = $owner AND ($agent_id IS NULL OR t.agent_id = $agent_id)
                  AND ($run_id IS NULL OR t.run_id = $run_id) THEN 'there'
             WHEN $loud THEN toString(date('the trace is not there')) ELSE 'absent' END AS state
WHERE state = 'there'
SET t.updated_at = $now, t.unindexed = $revision
WITH t
SET t += CASE WHEN $if_open AND t.completed_at IS NOT NULL THEN {} ELSE $completion END
RETURN t

// -- trace --
MATCH (t:Trace {id: $id})
WHERE t.owner = $owner AND ($agent_id IS NULL OR t.agent_id = $agent_id) AND ($run_id IS NULL OR t.run_id = $run_id)
RETURN t

// -- step --
MATCH (s:ReasoningStep {id: $id})
WHERE s.owner = $owner AND ($agent_id IS NULL OR s.agent_id = $agent_id) AND ($run_id IS NULL OR s.run_id = $run_id)
RETURN s

// -- steps_of --
MATCH (s:ReasoningStep {trace: $trace}) WHERE s.owner = $owner
RETURN s ORDER BY s.step_number

// -- tool_calls_of --
MATCH (k:ToolCall {trace: $trace}) WHERE k.owner = $owner
RETURN k ORDER BY k.created_at, k.id

// -- traces --
// Newest first, without their steps.
MATCH (t:Trace {owner: $owner})
WHERE ($agent_id IS NULL OR t.agent_id = $agent_id) AND ($run_id IS NULL OR t.run_id = $run_id)
  AND ($success IS NULL OR t.success = $success)
RETURN t ORDER BY t.started_at DESC, t.id DESC SKIP $offset LIMIT $limit

// -- traces_of_session --
MATCH (t:Trace {conversation: $conversation})
WHERE t.owner = $owner AND ($agent_id IS NULL OR t.agent_id = $agent_id) AND ($run_id IS NULL OR t.run_id = $run_id)
  AND ($success IS NULL OR t.success = $success)
RETURN t ORDER BY t.started_at DESC, t.id DESC SKIP $offset LIMIT $limit

// -- tool_stats --
// What the tool calls say, counted when it is asked.
MATCH (k:ToolCall {owner: $owner})
WHERE ($agent_id IS NULL OR k.agent_id = $agent_id) AND ($run_id IS NULL OR k.run_id = $run_id)
  AND ($tool_name IS NULL OR k.tool_name = $tool_name)
RETURN k.tool_name AS tool_name, count(*) AS calls,
  sum(CASE WHEN k.status = 'success' THEN 1 ELSE 0 END) AS successes,
  avg(k.duration_seconds) AS mean_seconds, max(k.created_at) AS last_used_at
ORDER BY tool_name

// -- message_is_there --
MATCH (m:Message {id: $id}) WHERE m.owner = $owner
RETURN m.id AS id
