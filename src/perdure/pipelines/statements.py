"""What passes between the steps of remembering: turns come in, statements are found in them, decisions are taken."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from perdure.models import Role

Event = Literal["ADD", "UPDATE", "SUPERSEDE", "NONE"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One message that was given to be remembered, checked."""

    role: Role
    content: str
    said_at: datetime
    """When it was said, in UTC: what "yesterday" is counted from."""
    name: str | None = None
    """Who said it, where the role does not tell."""
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Statement:
    """Something worth remembering, as it was found in what was said."""

    text: str
    said_at: datetime
    name: str | None = None
    """Who said it, by name."""
    role: Role | None = None
    """Who said it, where it is in their own words; None for a model's words."""
    entities: tuple[str, ...] = ()
    """Names of whom and what it mentions, each once."""
    slot: str | None = None
    """What it is the one answer to, such as "user|lives in": another answer, given later, takes its place."""
    value: str | None = None
    """Its answer, in small letters."""
    happened_at: datetime | None = None
    """When what it tells of happened, where it says so."""
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Relation:
    """What one entity is to another."""

    source: str
    relation: str
    target: str


@dataclass(frozen=True, slots=True)
class Extracted:
    """All that was found in what was said."""

    statements: tuple[Statement, ...] = ()
    relations: tuple[Relation, ...] = ()


@dataclass(frozen=True, slots=True)
class Existing:
    """A memory that is there already, as far as a decision needs to know it."""

    id: str
    text: str
    said_at: datetime
    name: str | None = None
    """Who said it, by name."""
    slot: str | None = None
    value: str | None = None
    expired: bool = False
    in_own_words: bool = True
    """Whether it is what somebody said, and not what a model made of it."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done about a statement, and the memory as it is afterwards.

    ADD: keep it. NONE: `existing` says it already. UPDATE: `existing` gets its text. SUPERSEDE: keep it, and let
    those it `replaces` expire. `outdated` says that a later statement has taken its place before it was told: it is
    kept as expired. With ADD and SUPERSEDE, `existing` is a memory of the same words, which is valid again.
    """

    event: Event
    statement: Statement
    memory: Existing
    existing: Existing | None = None
    replaces: tuple[Existing, ...] = ()
    outdated: Existing | None = None

    @property
    def id(self) -> str:
        """The memory that holds what the statement says."""
        return self.memory.id

    @property
    def changes(self) -> bool:
        """Whether anything is to be written: a NONE may still say that the memory was said again, later."""
        return bool(self.replaces) or self.memory != self.existing
