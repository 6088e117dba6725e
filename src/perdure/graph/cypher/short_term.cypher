// Conversations. Each is a chain in time order that begins at the conversation itself:
// (c:Conversation)-[:NEXT]->(first)-[:NEXT]->…->(last)<-[:LAST]-(c). `sort` is a message's time and id as text, and ''
// on the conversation. Whoever changes a chain writes to its conversation first, which locks it on Neo4j. What an index
// of several properties holds is given where the node is made: kglite takes long to change it later.

// -- add_message --
// At the end of the chain, or where its time puts it. Without a row: a message with this id is there already.
MERGE (c:Conversation {id: $conversation})
ON CREATE SET c += $session, c.owner = $owner, c.sort = ''
SET c.updated_at = $now
WITH c
OPTIONAL MATCH (old:Message {id: $id})
WITH c, $conversation AS conversation, $sort AS sort,
  CASE WHEN old IS NULL THEN 'new'
       WHEN NOT $loud OR (old.conversation = $conversation AND old.content = $content) THEN 'old'
       ELSE toString(date('another message with this id is there')) END AS state
WHERE state = 'new'
CALL (c, conversation, sort) {
  MATCH (c)-[:LAST]->(last) WHERE last.sort > sort
  MATCH (n:Message {conversation: conversation}) WHERE n.sort > sort
  WITH n ORDER BY n.sort LIMIT 1
  MATCH (p)-[r:NEXT]->(n)
  RETURN collect(n) AS after, collect(r) AS cut, collect(p) AS found
}
OPTIONAL MATCH (c)-[tip:LAST]->(last)
CREATE (m:Message {id: $id, owner: $owner, conversation: conversation, sort: sort, unindexed: $revision})
SET m += $message, m.content = $content
WITH c, m, after, cut, tip, coalesce(head(found), last, c) AS before
CREATE (before)-[:NEXT]->(m)
FOREACH (n IN after | CREATE (m)-[:NEXT]->(n))
FOREACH (r IN cut | DELETE r)
FOREACH (r IN CASE WHEN size(after) = 0 AND tip IS NOT NULL THEN [tip] ELSE [] END | DELETE r)
FOREACH (x IN CASE WHEN size(after) = 0 THEN [c] ELSE [] END | CREATE (x)-[:LAST]->(m))
RETURN m.id AS id

// -- add_messages --
// Several at once. Behind the last they are linked as $links says; where some are older, all from the first of them on.
MERGE (c:Conversation {id: $conversation})
ON CREATE SET c += $session, c.owner = $owner, c.sort = ''
SET c.updated_at = $now
WITH c
OPTIONAL MATCH (old:Message) WHERE old.id IN $ids
WITH c, $conversation AS conversation, $sort AS sort, count(old) AS old
WITH c, conversation, sort,
  CASE WHEN old = 0 THEN 'new' WHEN NOT $loud THEN 'old'
       ELSE toString(date('a message with one of these ids is there')) END AS state
WHERE state = 'new'
CALL (c, conversation, sort) {
  MATCH (c)-[:LAST]->(last) WHERE last.sort > sort
  MATCH (p)-[r:NEXT]->(n:Message {conversation: conversation}) WHERE n.sort > sort
  WITH p, r ORDER BY n.sort
  RETURN collect(r) AS cut, collect(p) AS found
}
OPTIONAL MATCH (c)-[tip:LAST]->(last)
WITH c, conversation, sort, size(cut) > 0 AS late, cut, tip, coalesce(head(found), last, c) AS before
FOREACH (r IN cut | DELETE r)
FOREACH (r IN CASE WHEN tip IS NULL THEN [] ELSE [tip] END | DELETE r)
WITH c, conversation, sort, late, before
UNWIND $messages AS row
CREATE (m:Message {id: row.id, owner: $owner, conversation: conversation, sort: row.sort, unindexed: $revision})
SET m += row.message
WITH c, conversation, sort, late, before, count(m) AS made
UNWIND $links AS link
MATCH (a:Message {id: link.a})
OPTIONAL MATCH (b:Message {id: link.b})
FOREACH (x IN CASE WHEN late OR b IS NULL THEN [] ELSE [b] END | CREATE (a)-[:NEXT]->(x))
WITH c, conversation, sort, late, before, count(a) AS linked
CALL (conversation, sort, late) {
  WITH conversation, sort WHERE late
  MATCH (m:Message {conversation: conversation}) WHERE m.sort >= sort
  WITH m ORDER BY m.sort
  RETURN collect(m) AS chain
}
MATCH (first:Message {id: $first})
MATCH (final:Message {id: $final})
WITH c, before, chain, coalesce(head(chain), first) AS first, coalesce(chain[size(chain) - 1], final) AS final
CREATE (before)-[:NEXT]->(first)
CREATE (c)-[:LAST]->(final)
FOREACH (i IN range(0, size(chain) - 2) |
  FOREACH (a IN [chain[i]] | FOREACH (b IN [chain[i + 1]] | CREATE (a)-[:NEXT]->(b))))
RETURN c.id AS id

// -- message --
MATCH (m:Message {id: $id})
WHERE m.owner = $owner AND ($agent_id IS NULL OR m.agent_id = $agent_id) AND ($run_id IS NULL OR m.run_id = $run_id)
RETURN m

// -- messages_by_id --
MATCH (m:Message) WHERE m.id IN $ids AND m.owner = $owner
RETURN m

// -- newest_few --
// The same as the next, for twenty at most.
MATCH (c:Conversation {id: $conversation})-[:LAST]->(last) WHERE c.owner = $owner
MATCH (last)<-[:NEXT*0..19]-(m:Message)
RETURN m ORDER BY m.sort DESC LIMIT $limit

// -- newest_messages --
// The last of a chain, by walking back from its end: as quick in a long conversation as in a short one.
MATCH (c:Conversation {id: $conversation})-[:LAST]->(last) WHERE c.owner = $owner
MATCH (last)<-[:NEXT*0..99]-(m:Message)
RETURN m ORDER BY m.sort DESC LIMIT $limit

// -- messages --
// The newest between two times, of one agent or run where that is asked.
MATCH (m:Message {conversation: $conversation})
WHERE m.sort >= $since AND m.sort < $before AND m.owner = $owner
  AND ($agent_id IS NULL OR m.agent_id = $agent_id) AND ($run_id IS NULL OR m.run_id = $run_id)
RETURN m ORDER BY m.conversation DESC, m.sort DESC LIMIT $limit

// -- sessions --
MATCH (c:Conversation {owner: $owner})
WHERE $prefix IS NULL OR c.session_id STARTS WITH $prefix
RETURN c ORDER BY c.session_id SKIP $offset LIMIT $limit

// -- sessions_of_agent --
// Those in which this agent or run said something.
MATCH (m:Message {owner: $owner})
WHERE ($agent_id IS NULL OR m.agent_id = $agent_id) AND ($run_id IS NULL OR m.run_id = $run_id)
WITH DISTINCT m.conversation AS id
MATCH (c:Conversation {id: id})
WHERE $prefix IS NULL OR c.session_id STARTS WITH $prefix
RETURN c ORDER BY c.session_id SKIP $offset LIMIT $limit

// -- delete_message --
// And join the chain again. Without a row: there is no such message.
MATCH (found:Message {id: $id})
WHERE found.owner = $owner AND ($agent_id IS NULL OR found.agent_id = $agent_id)
  AND ($run_id IS NULL OR found.run_id = $run_id)
MATCH (c:Conversation {id: found.conversation})
SET c.updated_at = $now
WITH c
MATCH (p)-[:NEXT]->(m:Message {id: $id})
OPTIONAL MATCH (m)-[:NEXT]->(n)
FOREACH (x IN CASE WHEN n IS NULL THEN [] ELSE [n] END | CREATE (p)-[:NEXT]->(x))
FOREACH (x IN CASE WHEN n IS NULL AND p.sort <> '' THEN [p] ELSE [] END | CREATE (c)-[:LAST]->(x))
DETACH DELETE m
RETURN $id AS id

// -- clear_oldest --
// The first of a long conversation, which stays a chain. None are gone: there are no more than $most. Nodes are deleted
// as rows, here and below: in a FOREACH kglite looks through its indexes for each one.
MATCH (c:Conversation {id: $conversation}) WHERE c.owner = $owner
SET c.updated_at = $now
WITH c
MATCH (n:Message {conversation: $conversation})
WITH c, n ORDER BY n.conversation, n.sort SKIP $most LIMIT 1
CREATE (c)-[:NEXT]->(n)
WITH n.sort AS stays
MATCH (m:Message {conversation: $conversation}) WHERE m.sort < stays
DETACH DELETE m
RETURN count(*) AS messages

// -- clear_session --
// The messages, traces, steps and tool calls of one session, and its conversation.
MATCH (c:Conversation {id: $conversation}) WHERE c.owner = $owner
SET c.updated_at = $now
WITH c
OPTIONAL MATCH (k:ToolCall {conversation: $conversation})
WITH c, k, CASE WHEN k IS NULL THEN 0 ELSE 1 END AS one
DETACH DELETE k
WITH c, sum(one) AS calls
OPTIONAL MATCH (s:ReasoningStep {conversation: $conversation})
WITH c, calls, s, CASE WHEN s IS NULL THEN 0 ELSE 1 END AS one
DETACH DELETE s
WITH c, calls, sum(one) AS steps
OPTIONAL MATCH (t:Trace {conversation: $conversation})
WITH c, calls, steps, t, CASE WHEN t IS NULL THEN 0 ELSE 1 END AS one
DETACH DELETE t
WITH c, calls, steps, sum(one) AS traces
OPTIONAL MATCH (m:Message {conversation: $conversation})
WITH c, calls, steps, traces, m, CASE WHEN m IS NULL THEN 0 ELSE 1 END AS one
DETACH DELETE m
WITH c, calls, steps, traces, sum(one) AS messages
DETACH DELETE c
RETURN messages, traces, steps, calls AS tool_calls
