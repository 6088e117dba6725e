"""What the demo reads: a conversation from a file, checked and cut into turns."""

import json
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from importlib import resources
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

from perdure.demo.locomo import is_locomo, locomo_messages
from perdure.errors import InputError, shorten
from perdure.graph.scope import MAX_ID_LENGTH

ROLES = ("user", "assistant", "system", "tool")
SHAPES = 'It should hold a JSON list of {"role": …, "content": …}, or be a LoCoMo file.'
KINDS: dict[type, str] = {
    str: "text", dict: "an object", list: "a list", int: "a number", float: "a number", bool: "true or false",
    type(None): "null",
}  # fmt: skip
MAX_DERIVED = 3
"""Mentions derived for a message that names none itself."""

T = TypeVar("T")


class Mention(NamedTuple):
    """Something a message speaks of."""

    name: str
    type: str


class Statement(NamedTuple):
    """Something a message makes known."""

    subject: str
    predicate: str
    object: str


class Wish(NamedTuple):
    """Something a message says that somebody prefers."""

    category: str
    preference: str


class ToolCall(NamedTuple):
    """A tool used in a step; arguments and result are as the file has them."""

    step: int
    tool_name: str
    arguments: Any
    result: Any
    status: str


class Message(NamedTuple):
    """One message with all that an agent would write down about it."""

    role: str
    content: str
    name: str
    session_id: str
    created_at: str | None
    """As the file writes it."""
    mentions: tuple[Mention, ...]
    facts: tuple[Statement, ...]
    preferences: tuple[Wish, ...]
    steps: tuple[str, ...]
    tool_calls: tuple[ToolCall, ...]

    @property
    def moment(self) -> datetime | None:
        """When it was said; None where the file does not say that with a time zone."""
        try:
            moment = datetime.fromisoformat(self.created_at or "")
        except ValueError:
            return None
        return moment if moment.tzinfo else None


Turn = tuple[Message, ...]
"""What the user said, and all that came in answer to it."""


def load_turns(path: Path | None, limit: int) -> list[Turn]:
    """Return at most `limit` turns of the conversation in `path`, or of the one shipped here when it is None.

    Raises InputError, naming the file and the message that is wrong.
    """
    try:
        return read_turns(_shipped() if path is None else _text_of(path))[:limit]
    except InputError as error:
        if path is None:
            raise
        raise InputError(f"{path}: {error.message}", hint=error.hint) from None


def read_turns(text: str) -> list[Turn]:
    """Return the turns in the text of a file; raises InputError with what is wrong in it."""
    data = _json(text)
    if not isinstance(data, list):
        raise InputError(f"the file holds {_kind(data)}, not a list.", hint=SHAPES)
    items = cast("list[Any]", data)
    raw = locomo_messages(items) if is_locomo(items) else items
    if not raw:
        raise InputError("the list is empty.", hint=SHAPES)
    return split([read_message(item, index) for index, item in enumerate(raw)])


def split(messages: Iterable[Message]) -> list[Turn]:
    """Cut a conversation into turns: each begins where the user speaks after somebody else, or a session begins."""
    turns: list[list[Message]] = []
    for (session, is_user), group in groupby(messages, lambda message: (message.session_id, message.role == "user")):
        if is_user or not turns or turns[-1][-1].session_id != session:
            turns.append([])
        turns[-1].extend(group)
    return [tuple(turn) for turn in turns]


def read_message(item: object, index: int) -> Message:
    """Return one message of a file, with mentions and steps derived where it has none; raises InputError."""
    where = f"message {index + 1}"
    raw = cast("dict[str, Any]", _expect(item, dict, where))
    role = _field(raw, "role", str, where)
    if role not in ROLES:
        raise InputError(f'{where}: "role" should be one of {", ".join(ROLES)}, not {shorten(role, 40)!r}.')
    calls = _list(raw, "tool_calls", where) or []
    content = "" if calls and raw.get("content") is None else _field(raw, "content", str, where)
    steps = _steps(raw, content, where, derive=role == "assistant" or bool(calls))
    return Message(
        role=role,
        content=content,
        name=_optional(raw, "name", str, where) or role,
        session_id=(_optional(raw, "session_id", str, where) or "").strip() or "conversation",
        created_at=_optional(raw, "created_at", str, where),
        mentions=_mentions(raw, content, where),
        facts=tuple(Statement(*words) for words in _words(raw, "facts", Statement._fields, where)),
        preferences=tuple(Wish(*words) for words in _words(raw, "preferences", Wish._fields, where)),
        steps=steps,
        tool_calls=tuple(_tool_call(call, len(steps), f"{where}, tool call {n}") for n, call in enumerate(calls, 1)),
    )


def derive_mentions(content: str) -> list[Mention]:
    """Return the first few capitalised names in a text, leaving out the words that merely begin a sentence."""
    found: dict[str, Mention] = {}
    for run in re.finditer(r"(?<=[\w,;:)] )[^\W\d_]\w+(?: [^\W\d_]\w+)*", content):
        for capitalised, words in groupby(run.group().split(), lambda word: word[0].isupper()):
            name = " ".join(words)
            if capitalised:
                found.setdefault(name.casefold(), Mention(name, "name"))
    return list(found.values())[:MAX_DERIVED]


def _mentions(raw: dict[str, Any], content: str, where: str) -> tuple[Mention, ...]:
    given = _list(raw, "mentions", where)
    if given is None:
        return tuple(derive_mentions(content))
    named = [_mention(item, f"{where}, mention {n}") for n, item in enumerate(given, 1)]
    return tuple({mention.name.casefold(): mention for mention in named}.values())


def _mention(item: object, where: str) -> Mention:
    if isinstance(item, str):
        return Mention(_word({"name": item}, "name", where), "name")
    raw = cast("dict[str, Any]", _expect(item, dict, where))
    return Mention(_word(raw, "name", where), (_optional(raw, "type", str, where) or "").strip() or "name")


def _words(raw: dict[str, Any], key: str, fields: tuple[str, ...], where: str) -> Iterator[list[str]]:
    """Yield the fields of each object in a list."""
    for number, item in enumerate(_list(raw, key, where) or [], 1):
        here = f"{where}, {key} {number}"
        given = cast("dict[str, Any]", _expect(item, dict, here))
        yield [_word(given, field, here) for field in fields]


def _steps(raw: dict[str, Any], content: str, where: str, *, derive: bool) -> tuple[str, ...]:
    given = _list(raw, "steps", where)
    if given:
        return tuple(_expect(item, str, f"{where}, step {n}") for n, item in enumerate(given, 1))
    return (f"Answer: {shorten(content)}",) if derive else ()


def _tool_call(item: object, steps: int, where: str) -> ToolCall:
    raw = cast("dict[str, Any]", _expect(item, dict, where))
    function = cast("dict[str, Any] | None", _optional(raw, "function", dict, where))
    given = _optional(raw, "step", int, where)
    step = steps if given is None else given
    if not 1 <= step <= steps:
        raise InputError(f'{where}: "step" is {step}, but the message has {steps} of them.')
    return ToolCall(
        step=step,
        tool_name=_word(function or raw, "name" if function else "tool_name", where),
        arguments=(function or raw).get("arguments"),
        result=raw.get("result"),
        status=(_optional(raw, "status", str, where) or "").strip() or "success",
    )


def _word(raw: dict[str, Any], key: str, where: str) -> str:
    """Return a field that names something: neither blank nor padded, and no longer than an id may be."""
    word = _field(raw, key, str, where).strip()
    if not word:
        raise InputError(f'{where}: "{key}" is blank.')
    if len(word) > MAX_ID_LENGTH:
        raise InputError(f'{where}: "{key}" has {len(word)} characters, more than {MAX_ID_LENGTH}.')
    return word


def _field(raw: dict[str, Any], key: str, kind: type[T], where: str) -> T:
    if key not in raw:
        raise InputError(f'{where} has no "{key}".', hint=SHAPES)
    return _expect(raw[key], kind, f'{where}: "{key}"')


def _optional(raw: dict[str, Any], key: str, kind: type[T], where: str) -> T | None:
    return None if raw.get(key) is None else _field(raw, key, kind, where)


def _list(raw: dict[str, Any], key: str, where: str) -> list[Any] | None:
    return cast("list[Any] | None", _optional(raw, key, list, where))


def _expect(value: object, kind: type[T], where: str) -> T:
    if isinstance(value, str) and not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise InputError(f"{where} holds half of a surrogate pair, which is not text.")
    if isinstance(value, kind):
        return value
    raise InputError(f"{where} should be {KINDS[kind]}, not {_kind(value)}.")


def _kind(value: object) -> str:
    return KINDS.get(type(value), type(value).__name__)


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"line {error.lineno} is not JSON: {error.msg}.", hint=SHAPES) from None
    except RecursionError:
        raise InputError("it is nested too deeply to be a conversation.", hint=SHAPES) from None


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"it is not UTF-8 text (byte {error.start}).", hint="Save it as UTF-8.") from None
    except OSError as error:
        raise InputError(f"it cannot be read: {error.strerror or error}.", hint="Check the path.") from None


def _shipped() -> str:
    return resources.files("perdure.demo").joinpath("conversation.json").read_text(encoding="utf-8")
