"""Whose memory a call is about: the one place that decides it, and that every statement's parameters come through.

The owner (tenant and user) is a hard boundary: it is part of every node's key, and every statement asks for it. A
call without `user_id` is about what belongs to no user, never about everybody's. `agent_id` and `run_id` narrow what
is looked at within the owner: given, they have to match; not given, they do not narrow.
"""

import json
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Self, TypedDict

from perdure.errors import InputError, NotFoundError, shorten
from perdure.models import Record

MAX_ID_LENGTH = 256
"""A key is made of several, and an index of Neo4j takes 8 KB."""
MAX_OWNER_LENGTH = 1200
"""What every vector store takes; only ids full of control characters, each written as six, come near it."""


class ScopeIds(TypedDict, total=False):
    """The keywords that say whose memory a call is about."""

    user_id: str | None
    agent_id: str | None
    run_id: str | None
    tenant: str | None


NAMES = tuple(ScopeIds.__annotations__)


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose memory, checked. Raises InputError for ids that are blank, padded, too long, or no text."""

    tenant: str | None = None
    user_id: str | None = None
    agent_id: str | None = None
    run_id: str | None = None
    owner: str = field(init=False, repr=False, compare=False)
    """The owner as one text that no other owner has."""

    def __post_init__(self) -> None:
        for name, value in self.ids().items():
            if value is not None:
                check_id(name, value)
        object.__setattr__(self, "owner", _owner(self.tenant, self.user_id))
        if len(self.owner) > MAX_OWNER_LENGTH:
            raise InputError("tenant and user_id hold too many control characters.")

    def ids(self) -> ScopeIds:
        """Return the four ids by their names."""
        return ScopeIds(tenant=self.tenant, user_id=self.user_id, agent_id=self.agent_id, run_id=self.run_id)

    @property
    def given(self) -> bool:
        """Whether any id is given."""
        return any(value is not None for value in self.ids().values())

    def key(self, public_id: str) -> str:
        """Return the key of a node: no other owner's node has it, whatever the ids."""
        return self.owner + public_id

    def narrowing(self) -> dict[str, str | None]:
        """Return the parameters of the owner clause that every statement has."""
        return {"owner": self.owner, "agent_id": self.agent_id, "run_id": self.run_id}

    def leaves(self, agent_id: str | None, run_id: str | None) -> bool:
        """Return whether the ids that narrow leave in what belongs to an agent and a run of the owner."""
        return self.agent_id in (None, agent_id) and self.run_id in (None, run_id)

    def refined(self, given: ScopeIds) -> "Scope":
        """Return this scope with more ids; raises InputError for one that it has with another value, and for no id."""
        if not given:
            return self
        if unknown := given.keys() - NAMES:
            raise InputError(f"A scope has no {', '.join(sorted(unknown))}; it has {', '.join(NAMES)}.")
        for name, value in given.items():
            mine = getattr(self, name)
            if mine is not None and value is not None and value != mine:
                raise InputError(f"{name} is {shorten(repr(mine), 60)} here, and cannot be {shorten(repr(value), 60)}.")
        more = {name: value for name, value in given.items() if value is not None}
        return replace(self, **more) if more else self

    def of(self, record: object) -> Self:
        """Return this scope with the owner of a record that was passed in place of its id.

        Raises NotFoundError when the scope has an owner already, and the record is not that owner's.
        """
        if not isinstance(record, Record):
            return self
        mine = (self.tenant, self.user_id)
        theirs = (record.tenant, record.user_id)
        if mine == theirs:
            return self
        if mine != (None, None):
            what = f"{type(record).__name__.lower()} {shorten(repr(getattr(record, 'id', '')), 60)}"
            raise NotFoundError(f"There is no {what}.", hint="It may be somebody else's.")
        return replace(self, tenant=record.tenant, user_id=record.user_id)


@lru_cache(maxsize=4096)
def _owner(tenant: str | None, user_id: str | None) -> str:
    return json.dumps([tenant, user_id], ensure_ascii=False, separators=(",", ":"))


def check_id(name: str, value: object) -> str:
    """Return an id, or raise InputError: blank, padded, too long, or no text."""
    if not isinstance(value, str):
        raise InputError(f"{name} should be text, not {type(value).__name__}.")
    if not value.strip():
        raise InputError(f"{name} is blank.", hint="Leave it out, or name somebody.")
    if value != value.strip():
        raise InputError(f"{name} = {shorten(repr(value), 60)} begins or ends with white space.", hint="Trim it.")
    if len(value) > MAX_ID_LENGTH:
        raise InputError(f"{name} has {len(value)} characters, and an id has at most {MAX_ID_LENGTH}.")
    if "\0" in value:
        raise InputError(f"{name} holds a NUL character.")
    return str.__str__(value)
