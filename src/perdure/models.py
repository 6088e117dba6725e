"""What an agent's memory consists of, as the typed calls take it and give it back: frozen, and whole."""

from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

Role = Literal["user", "assistant", "system", "tool"]
MemoryEventName = Literal["ADD", "UPDATE", "SUPERSEDE", "DELETE"]
T = TypeVar("T")


class Record(BaseModel):
    """What every record carries: whose it is. Times are in UTC."""

    model_config = ConfigDict(frozen=True)

    tenant: str | None = None
    user_id: str | None = None
    agent_id: str | None = None
    run_id: str | None = None


class Message(Record):
    """One contribution to a conversation; `name` is who speaks, where the role does not say."""

    id: str
    session_id: str
    role: Role
    content: str
    name: str | None = None
    created_at: datetime
    metadata: dict[str, Any] = {}
    tool_calls: list[Any] = []


class Conversation(Record):
    """The messages of one session, or those that were asked for, oldest first."""

    session_id: str
    messages: list[Message] = []


class Session(Record):
    """A conversation without its messages."""

    session_id: str
    created_at: datetime
    updated_at: datetime


class ToolCall(Record):
    """One use of a tool within a step; `touched` are the ids of the entities it was about."""

    id: str
    step_id: str
    tool_name: str
    arguments: Any = None
    result: Any = None
    status: str = "success"
    duration_seconds: float | None = None
    error: str | None = None
    touched: list[str] = []
    message_id: str | None = None
    created_at: datetime


class ReasoningStep(Record):
    """One step of a trace; they are numbered from 1."""

    id: str
    trace_id: str
    step_number: int
    thought: str | None = None
    action: str | None = None
    observation: str | None = None
    created_at: datetime
    tool_calls: list[ToolCall] = []


class Trace(Record):
    """How an agent went about a task. `outcome` and `success` are None until it is completed."""

    id: str
    session_id: str
    task: str
    triggered_by: str | None = None
    metadata: dict[str, Any] = {}
    steps: list[ReasoningStep] = []
    outcome: str | None = None
    success: bool | None = None
    started_at: datetime
    completed_at: datetime | None = None


class ToolStats(BaseModel):
    """How often a tool was called and how that went; `mean_seconds` is over the calls that say how long they took."""

    model_config = ConfigDict(frozen=True)

    tool_name: str
    calls: int
    successes: int
    failures: int
    mean_seconds: float | None
    last_used_at: datetime


class Entity(Record):
    """Somebody or something that is remembered; it is found by its name and by its aliases, ignoring case."""

    id: str
    name: str
    type: str
    aliases: list[str] = []
    attributes: dict[str, Any] = {}
    description: str | None = None
    created_at: datetime
    updated_at: datetime


class Timed(Record):
    """True in the world from `valid_from` to `valid_until`, known to us from `created_at` to `expired_at`."""

    valid_from: datetime | None = None
    valid_until: datetime | None = None
    created_at: datetime
    expired_at: datetime | None = None


class Relationship(Timed):
    """One entity's bearing on another; `source` and `target` are their ids."""

    id: str
    source: str
    type: str
    target: str
    attributes: dict[str, Any] = {}


class Related(BaseModel):
    """An entity near another, the last relationship on the way to it, and how many there are on that way."""

    model_config = ConfigDict(frozen=True)

    entity: Entity
    relationship: Relationship
    depth: int


class Fact(Timed):
    """A dated statement: subject, predicate, object."""

    id: str
    subject: str
    predicate: str
    object: str
    confidence: float = 1.0
    source: str | None = None


class Preference(Timed):
    """What somebody prefers, under a category."""

    id: str
    category: str
    preference: str
    context: str | None = None


class MemoryRecord(Timed):
    """One remembered statement; `memory` is its text, `observed_at` when it was said.

    `name` and `role` are who said it, where it stands in their own words. `replaced_by` is the id of the memory that
    took its place when it expired.
    """

    id: str
    memory: str
    name: str | None = None
    role: Role | None = None
    metadata: dict[str, Any] = {}
    observed_at: datetime
    updated_at: datetime
    replaced_by: str | None = None


class ExportedMemory(MemoryRecord):
    """A memory with all that decisions and rankings look at, as an export holds it."""

    sort: str
    slot: str | None = None
    answer: str | None = None
    place: tuple[str, int] | None = None
    mentions: list[str] = []


class MemoryEvent(Record):
    """What became of a memory at one moment: its text from then on, and before; None where there is none."""

    id: str
    memory_id: str
    event: MemoryEventName
    memory: str | None = None
    previous: str | None = None
    created_at: datetime


class User(BaseModel):
    """Somebody who has memory, and what is noted about them."""

    model_config = ConfigDict(frozen=True)

    user_id: str
    tenant: str | None = None
    name: str | None = None
    metadata: dict[str, Any] = {}
    created_at: datetime
    updated_at: datetime


class Supersession(Record):
    """Which fact or preference has taken the place of which; both by their ids."""

    of: Literal["fact", "preference"]
    old: str
    new: str


class DeletionReport(BaseModel):
    """How much of each kind is gone."""

    model_config = ConfigDict(frozen=True)

    users: int = 0
    conversations: int = 0
    messages: int = 0
    traces: int = 0
    steps: int = 0
    tool_calls: int = 0
    entities: int = 0
    names: int = 0
    facts: int = 0
    preferences: int = 0
    memories: int = 0
    history: int = 0
    speakers: int = 0
    accepted: int = 0
    """What was accepted and not remembered yet."""
    dead_letters: int = 0

    @property
    def total(self) -> int:
        """All of it together."""
        return sum(value for _, value in self)


class Hit(BaseModel, Generic[T]):
    """Something that was found, how well it fits, and why."""

    model_config = ConfigDict(frozen=True)

    item: T
    score: float
    why: dict[str, Any] = {}
