"""What can be configured, with its bounds and defaults: the only reader of the environment.

Every setting can come from code, from `PERDURE_…` variables (`PERDURE_MEMORY__WRITE_MODE=buffered`), or be assigned
later; each way is validated alike and raises ConfigError with what would be right. A client reads its settings when
it connects.
"""

import difflib
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from perdure.errors import ENDINGS, ConfigError, shorten
from perdure.models import Record
from perdure.protocols import Embedder, GraphStore, LanguageModel, Reranker, VectorStore
from perdure.records import Durability, FullPolicy, WriteError, WriteMode

PREFIX = "PERDURE_"
FOREIGN_PREFIXES = ("PERDURE_TEST_", "PERDURE_BENCH_")
BOLT_SCHEMES = ("neo4j", "neo4j+s", "neo4j+ssc", "bolt", "bolt+s", "bolt+ssc")
MIB = 1024 * 1024
CONTRADICTORY = "contradicts neo4j.uri: both name a store, so give one of them"
VOLATILE = (
    "'memory://' is gone with the process, and memory.durability='disk' is to survive it: set that to 'memory', or "
    "name a store that lasts"
)

OnError = Callable[[WriteError], Awaitable[object] | object]
OnRecord = Callable[[Record], Awaitable[object] | object]
SECRETS = ("password", "api_key")
PROVIDERS: Mapping[str, Mapping[str, str]] = {
    "embedder": {
        "static": "static",
        "minilm": "minilm",
        "openai": "openai:text-embedding-3-small",
        "fastembed": "fastembed:BAAI/bge-small-en-v1.5",
        "sentence-transformers": "sentence-transformers:all-MiniLM-L6-v2",
        "none": "none",
    },
    "llm": {"openai": "openai:gpt-4o-mini"},
    "reranker": {"cross-encoder": "cross-encoder:cross-encoder/ms-marco-MiniLM-L6-v2"},
}
"""What a provider may be called, by kind: one that has a model after the colon needs one."""
WHOLE_NAMES = ("static", "none")
OBJECTS: Mapping[str, tuple[type, str]] = {
    "embedder": (Embedder, "an object with a name, a dimension and `async def embed(texts)`, or 'none'"),
    "llm": (LanguageModel, "a function of (messages, schema), an object with a name and `async def complete`, or None"),
    "reranker": (Reranker, "a function of (query, texts), an object with a name and `async def rerank`, or None"),
}
"""What else it may be."""
PositiveInt = Annotated[int, Field(ge=1)]
PositiveSeconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Explained(BaseModel):
    """A model whose every refusal, at birth and on assignment, is a ConfigError that says what would be right."""

    model_config = ConfigDict(
        extra="forbid", validate_assignment=True, validate_default=True, arbitrary_types_allowed=True
    )

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise explain(error, type(self)) from None
        except SettingsError as error:
            raise ConfigError(f"The environment cannot be read: {error}.", hint="A section is given as JSON.") from None

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> Any:
        schema = handler(source)
        if schema["type"] == "model":
            schema["custom_init"] = False  # of a section given as a map the whole is told, and names it
        return schema

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in type(self).model_fields:
            raise ConfigError(unknown_name(name, type(self)))
        before = dict(vars(self))
        try:
            super().__setattr__(name, value)
        except ValidationError as error:
            object.__setattr__(self, "__dict__", before)
            raise explain(error, type(self)) from None


class Neo4jSection(Explained):
    """Where the Neo4j server is and how to talk to it; without a `uri` the embedded store is used."""

    uri: str | None = None
    """`neo4j://host:7687`, `bolt://…`, or either with `+s` for TLS."""
    username: str = "neo4j"
    """Who to log in as, when there is a password."""
    password: SecretStr | None = None
    """None connects without authentication."""
    database: str | None = None
    """None is the server's default database."""
    connect_timeout_seconds: PositiveSeconds = 5.0
    """How long connecting may take before StoreUnavailableError."""
    transaction_timeout_seconds: PositiveSeconds = 60.0
    """How long one transaction may run on the server before it ends it."""
    max_connections: PositiveInt = 32
    """Connections kept to the server; each lane uses one while it commits, each read one while it runs."""

    @field_validator("uri")
    @classmethod
    def _uri_names_a_server(cls, uri: str | None) -> str | None:
        return None if uri is None else check_bolt_uri(uri)


class WriteSection(Explained):
    """How writes are accepted, batched and committed."""

    write_mode: WriteMode = "sync"
    """sync: submit returns when committed. buffered: once accepted. deferred: typed calls too."""
    max_pending: PositiveInt = 200
    """Accepted and unsettled writes there may be."""
    max_pending_bytes: PositiveInt = 64 * MIB
    """Their size together; one write larger than this is refused."""
    on_full: FullPolicy = "block"
    """What submit does when there is no room: wait for it, or raise QueueFullError."""
    max_batch: Annotated[int, Field(ge=1, le=10_000)] = 200
    """Writes in one transaction, at most."""
    max_batch_bytes: PositiveInt = MIB
    """Size of one transaction; a single larger write goes alone."""
    linger_seconds: Annotated[float, Field(ge=0, le=10)] = 0.005
    """How long the first write of a batch waits for company."""
    lanes: Annotated[int, Field(ge=1, le=64)] = 8
    """Ordering keys that can be committing at the same time."""
    max_write_errors: PositiveInt = 1000
    """Failed writes kept in `write_errors`; older ones are counted and let go."""
    on_error: OnError | None = None
    """Called beside the drain with each WriteError, the newest `max_write_errors` of them while it is busy.

    A plain function runs in a worker thread. It is not told of what close leaves uncommitted.
    """
    close_timeout_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = 30.0
    """How long close drains when it is not told; None waits as long as it takes."""


class MemorySection(WriteSection):
    """How writes are accepted and committed, and what they survive."""

    durability: Durability = "os"
    """What an accepted write survives: nothing ("memory"), a killed process ("os"), or power loss too ("disk").

    The last two keep a journal in `data_dir`. With `store="memory://"`, which survives nothing, it is "memory".
    """
    journal_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")] = "main"
    """The journal's name: one process at a time has it. "auto" takes the first of several that is free."""
    max_journal_bytes: Annotated[int, Field(ge=MIB)] = 1024 * MIB
    """Size of the writes in the journal; its file may take twice that."""
    multi_tenant: bool = False
    """Whether a typed call that does not say whose memory it is about is refused."""
    on_record: OnRecord | None = None
    """Called beside typed calls with each record that one of them has added: a message, an entity, a step, and so on.

    It is told once the record is committed, in deferred mode once it is accepted, in the order of the calls. A plain
    function runs in a worker thread. What it raises is logged, and never reaches the call.
    """
    close_on_sigterm: bool = True
    """Whether SIGTERM closes the client before it ends the process, where nobody else handles that signal."""


class WriteOptions(TypedDict, total=False):
    """The keywords of a BufferedWriter: those settings of `MemorySettings.memory` that are about writing."""

    write_mode: WriteMode
    max_pending: int
    max_pending_bytes: int
    on_full: FullPolicy
    max_batch: int
    max_batch_bytes: int
    linger_seconds: float
    lanes: int
    max_write_errors: int
    on_error: OnError | None
    close_timeout_seconds: float | None


class OpenAISection(Explained):
    """How "openai:…" language models and embedders are reached: at OpenAI, or any server that speaks its API."""

    api_key: SecretStr | None = None
    """None takes OPENAI_API_KEY; a server of one's own may want none."""
    base_url: str | None = None
    """Where the API is, up to /v1; None takes OPENAI_BASE_URL, then OpenAI's own."""
    dimensions: PositiveInt | None = None
    """How long an embedder's vectors are to be; None is as long as the model makes them."""
    max_retries: Annotated[int, Field(ge=0, le=10)] = 2
    """How often a call is tried again, within its deadline, that may succeed then."""

    @field_validator("base_url")
    @classmethod
    def _base_url_is_one(cls, url: str | None) -> str | None:
        return None if url is None else check_url(url, ("http", "https"), "http://localhost:11434/v1", "openai.api_key")


class LimitsSection(Explained):
    """How much of each kind of work goes on at the same time, and how long one call may take."""

    language_model_concurrency: PositiveInt = 256
    """Calls of the language model at the same time; as many threads, if it is a plain function."""
    language_model_seconds: PositiveSeconds = 60.0
    """How long one of them may take before ProviderTimeoutError."""
    embedder_concurrency: PositiveInt = 16
    """Calls of an embedder that is not in this process."""
    embedder_threads: PositiveInt = 2
    """Threads of an embedder in this process."""
    embedder_seconds: PositiveSeconds = 10.0
    """How long it may take to embed one part, of at most 256 texts."""
    reranker_concurrency: PositiveInt = 4
    """Calls of the reranker at the same time; as many threads, if it is in this process."""
    reranker_seconds: PositiveSeconds = 10.0
    """How long one of them may take; the search then goes by its own order."""
    store_concurrency: PositiveInt = 128
    """What the pipelines ask of the stores at the same time."""
    store_seconds: PositiveSeconds = 10.0
    """How long one of these may take before StoreUnavailableError."""


class MemorySettings(Explained, BaseSettings):
    """Everything a MemoryClient can be told.

    `store` chooses the graph: a directory (default: `data_dir`), `memory://`, `neo4j://…`, or any GraphStore object.
    Raises ConfigError for values out of bounds, for names it does not know, also among `PERDURE_…` variables, and
    for settings that contradict each other.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__")

    store: str | GraphStore | None = None
    """A directory, `memory://`, `neo4j://…` or a GraphStore object; None goes by `neo4j.uri`, then `data_dir`."""
    vector_store: Literal["sqlite", "neo4j"] | VectorStore | None = None
    """Where memories are searched: "sqlite", "neo4j" or a VectorStore object; None goes by the graph's own store."""
    embedder: str | Embedder = "static"
    """What turns texts into vectors: "static", "openai:model" and so on, an Embedder object; "none": by words only."""
    llm: str | LanguageModel | Callable[..., Any] | None = None
    """What reads messages: "openai:model", a LanguageModel, a function of (messages, schema), or None for rules."""
    reranker: str | Reranker | Callable[..., Any] | None = None
    """What looks at the best hits again: "cross-encoder:model", a Reranker or a function of (query, texts)."""
    device: str = "cpu"
    """Where models of sentence-transformers run: "cpu", "cuda", "cuda:1"."""
    data_dir: Path = Path(".perdure")
    """Where the embedded store and the journal keep their files."""
    neo4j: Neo4jSection = Field(default_factory=Neo4jSection)
    memory: MemorySection = Field(default_factory=MemorySection)
    limits: LimitsSection = Field(default_factory=LimitsSection)
    openai: OpenAISection = Field(default_factory=OpenAISection)

    def __init__(self, **values: Any) -> None:
        refuse_unknown_variables(type(self))
        super().__init__(**values)

    @model_validator(mode="after")
    def _one_store(self) -> "MemorySettings":
        if self.contradictory():
            raise ValueError(CONTRADICTORY)
        if self.promises_too_much():
            raise ValueError(VOLATILE)
        return self

    def promises_too_much(self) -> bool:
        """Return whether writes are to survive power loss in a store that is gone with the process."""
        return self.store == "memory://" and self.memory.durability == "disk"

    def contradictory(self) -> bool:
        """Return whether `store` and `neo4j.uri` name different stores."""
        return None not in (self.store, self.neo4j.uri) and self.store != self.neo4j.uri

    @field_validator("embedder", "llm", "reranker", mode="before")
    @classmethod
    def _provider_is_known(cls, given: object, info: ValidationInfo) -> object:
        return check_provider(given, info.field_name or "")

    @field_validator("store")
    @classmethod
    def _store_is_known(cls, store: object) -> object:
        if isinstance(store, str) and "://" in store and store != "memory://":
            return check_bolt_uri(store)
        if store == "":
            raise ValueError('should be a directory, "memory://" or "neo4j://host:7687"')
        return store


def check_bolt_uri(uri: str) -> str:
    """Return `uri` when it names a server without carrying secrets; raise ValueError with what is wrong."""
    like = f"neo4j://host:7687 (schemes: {', '.join(BOLT_SCHEMES)})"
    return check_url(uri, BOLT_SCHEMES, like, "neo4j.username and neo4j.password")


def check_url(url: str, schemes: Sequence[str], like: str, secrets: str) -> str:
    """Return `url` when it has one of these schemes, and no secrets; raise ValueError with what is wrong."""
    parts = urlsplit(url)
    if parts.scheme not in schemes or not parts.hostname or parts.port == 0:
        raise ValueError(f"should look like {like}")
    if parts.username or parts.password:
        raise ValueError(f"should not carry a name or password; set {secrets}")
    return url


def check_provider(given: object, setting: str) -> object:
    """Return what a provider may be: a name that is known, with a model where it needs one, or an object or function.

    Raises ValueError for all else.
    """
    if isinstance(given, str):
        return check_provider_name(given, PROVIDERS[setting])
    protocol, others = OBJECTS[setting]
    if isinstance(given, type):
        raise ValueError(f"should be an object, and {given.__name__} is a class: call it")  # noqa: TRY004  as pydantic wants
    if isinstance(given, protocol) or (setting != "embedder" and (given is None or callable(given))):
        return given
    raise ValueError(f"should be a name like {next(iter(PROVIDERS[setting].values()))!r}, or {others}")


def check_provider_name(named: str, known: Mapping[str, str]) -> str:
    """Return a provider's name; raises ValueError with what it should be like."""
    kind, _, model = named.partition(":")
    if kind not in known:
        close = difflib.get_close_matches(kind, list(known), 1)
        forms = ", ".join(map(repr, known.values()))
        raise ValueError(f"should be like {forms}" + (f"; did you mean {known[close[0]]!r}?" if close else ""))
    if (":" in known[kind] and not model.strip()) or (kind in WHOLE_NAMES and named != kind):
        raise ValueError(f"should be like {known[kind]!r}")
    return named


def explain(error: ValidationError, model: type[BaseModel]) -> ConfigError:
    """Return the first problem of a pydantic error as one sentence that says what would be right."""
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"] if isinstance(part, str) and part[0].islower())
    if first["type"] == "extra_forbidden":
        return ConfigError(unknown_name(where, model))
    group = [name for name in setting_names(model) if name.startswith(f"{where}.")]
    if where and group:
        return ConfigError(f"{where} is a group of settings: {', '.join(group)}.")
    text = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    given = first["input"]
    shown = f" = {shorten(repr(given), 60)}" if not where.endswith(SECRETS) and is_plain(given) else ""
    return ConfigError(f"{where or 'store'}{shown}: {text[0].lower()}{text[1:]}{'' if text.endswith(ENDINGS) else '.'}")


def is_plain(value: object) -> bool:
    """Return whether a value is a scalar that may be shown in a message."""
    return isinstance(value, str | int | float) and "@" not in str(value)


def unknown_name(name: str, model: type[BaseModel]) -> str:
    """Return the sentence for a setting that does not exist, with the closest one that does."""
    known = list(setting_names(model))
    leaves = {path.rpartition(".")[2]: path for path in reversed(known)}
    near = difflib.get_close_matches(name.rpartition(".")[2], leaves, 1)
    close = difflib.get_close_matches(name, known, 1) or [leaves[leaf] for leaf in near]
    return f"There is no setting {name!r}" + (
        f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(known)}."
    )


def setting_names(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Yield the dotted name of every setting."""
    for name, info in model.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, Explained):
            yield from setting_names(info.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def refuse_unknown_variables(model: type[BaseModel]) -> None:
    """Raise ConfigError when the environment sets something under our prefix that nothing reads."""
    names = list(setting_names(model))
    known = {f"{PREFIX}{name.replace('.', '__')}".upper() for name in names}
    known |= {f"{PREFIX}{name.partition('.')[0]}".upper() for name in names}
    for variable in os.environ:
        upper = variable.upper()
        if upper.startswith(PREFIX) and not upper.startswith(FOREIGN_PREFIXES) and upper not in known:
            close = difflib.get_close_matches(upper, sorted(known), 1)
            raise ConfigError(
                f"The environment sets {variable}, which nothing reads.",
                hint=f"Did you mean {close[0]}?" if close else f"Known: {', '.join(sorted(known))}.",
            )
