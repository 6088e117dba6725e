"""Asking typed memory, and what the vector store calls its owner."""

from perdure.graph.scope import Scope


async def contents(memory, query, **more):
    """Return the contents of the messages a search finds, best first."""
    return [hit.item.content for hit in await memory.short_term.search_messages(query, **more)]


async def said(memory, session_id, *texts, **more):
    """Add messages to a session in one transaction."""
    given = [{"role": "user", "content": text, **more} for text in texts]
    return await memory.short_term.add_messages(session_id, given)


def owner_of(searched, user_id="ada"):
    """Return the owner as the vector store knows it."""
    return Scope(tenant=searched.tenant, user_id=user_id).owner
