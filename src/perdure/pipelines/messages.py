"""What `Memory.add` takes as messages, checked: text, one message, or a list of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

from perdure.errors import InputError, shorten
from perdure.fencing import without_recalled
from perdure.graph import checks
from perdure.pipelines.statements import Turn

KNOWN = {"role", "content", "name", "created_at", "metadata"}
IGNORED = {"tool_calls", "tool_call_id", "function_call", "refusal", "audio", "annotations", "id"}
"""What messages of chat APIs carry besides, and nothing is remembered of."""
MAX_CONTENT = 1_000_000


def turns(messages: object, observed_at: datetime, metadata: Mapping[str, Any]) -> tuple[Turn, ...]:
    """Return the messages as turns, each with its own moment or `observed_at`, and `metadata` below its own.

    Raises InputError, naming the message, for anything else than text, a message or a list of messages, and for one
    without a known role or with a content that is not text or a list of text parts.
    """
    if isinstance(messages, str):
        given: list[object] = [{"role": "user", "content": messages}]
    elif isinstance(messages, Mapping):
        given = [cast("object", messages)]
    elif isinstance(messages, list | tuple):
        given = list(cast("Sequence[object]", messages))
    else:
        raise InputError(
            f"messages should be text, a message or a list of messages, not {type(messages).__name__}.",
            hint='A message is {"role": "user", "content": "…"}.',
        )
    if not given:
        raise InputError("messages is empty.")
    many = len(given) > 1
    return tuple(
        _turn(each, f"messages[{number}]" if many else "the message", observed_at, metadata)
        for number, each in enumerate(given)
    )


def _turn(given: object, where: str, observed_at: datetime, metadata: Mapping[str, Any]) -> Turn:
    if not isinstance(given, Mapping):
        raise InputError(f"{where} should be a map of role and content, not {type(given).__name__}.")
    message = cast("Mapping[str, Any]", given)
    unknown = [key for key in message if key not in KNOWN | IGNORED]
    if unknown:
        raise InputError(
            f"{where} has {shorten(repr(unknown[0]), 40)}, which no message has.",
            hint="Put what is your own into its metadata.",
        )
    if "content" not in message and not message.get("tool_calls"):
        raise InputError(f"{where} has no content.")
    try:
        own = checks.plain_map("metadata", message.get("metadata"))
        said_at = checks.moment("created_at", message.get("created_at")) or observed_at
        name = checks.optional("name", message.get("name"))
        return Turn(
            role=checks.role(message.get("role")),
            content=_content(message.get("content")),
            said_at=said_at,
            name=(name or "").strip() or None,
            metadata={**metadata, **own},
        )
    except InputError as error:
        raise InputError(f"{where}: {error.message}", hint=error.hint) from None


def _content(given: object) -> str:
    """Return a message's text; the parts of a list that are no text, such as images, are passed over."""
    if given is None:
        return ""
    if isinstance(given, list):
        parts = cast("list[object]", given)
        texts = [_part(number, part) for number, part in enumerate(parts)]
        return _content("\n".join(text for text in texts if text))
    return checks.within("content", checks.text("content", given), MAX_CONTENT)


def _part(number: int, part: object) -> str:
    if not isinstance(part, Mapping) or "type" not in part:
        raise InputError(f"content[{number}] should be a map with a type.")
    found = cast("Mapping[str, object]", part)
    return checks.text(f"content[{number}]", found.get("text")) if found["type"] in ("text", "input_text") else ""


def said_anew(turns: Sequence[Turn]) -> list[Turn]:
    """Return the turns that may hold something to remember: not the system's, not blank, without what was recalled."""
    heard = [_without_recalled(turn) for turn in turns if turn.role != "system"]
    return [turn for turn in heard if turn.content.strip()]


def _without_recalled(turn: Turn) -> Turn:
    content = without_recalled(turn.content)
    return turn if content == turn.content else replace(turn, content=content)
