"""What a request says: what in it is new, what memory may be asked for, and where memories enter it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

TEXTS = ("text", "input_text", "output_text")
"""What the APIs call the parts of a message that hold text."""
LONGEST_QUERY = 8_000
"""Characters: the end of a long message is what it asks for, more often than not."""


class Dialect(NamedTuple):
    """How one of the two APIs calls its list of messages, and a text in a message."""

    messages: str
    part: str


CHAT = Dialect("messages", "text")
RESPONSES = Dialect("input", "input_text")


def value(thing: object, name: str) -> Any:
    """Return a field of a map or of a model of the official package; None where it has none."""
    if isinstance(thing, Mapping):
        return cast("Mapping[str, Any]", thing).get(name)
    return getattr(thing, name, None)


def text_of(message: object) -> str:
    """Return a message's text, its parts on lines of their own: images, sounds and files are passed over."""
    content = value(message, "content")
    if isinstance(content, str):
        return content
    if not isinstance(content, Sequence):
        return ""
    parts = cast("Sequence[object]", content)
    found = [value(part, "text") for part in parts if value(part, "type") in TEXTS]
    return "\n".join(text for text in found if isinstance(text, str))


class Asked:
    """The body of a request, which is not changed."""

    def __init__(self, body: Mapping[str, Any], dialect: Dialect) -> None:
        self._body = body
        self._dialect = dialect
        given = body.get(dialect.messages)
        self._text = given if isinstance(given, str) else None
        self._messages: list[Any] = [] if given is None or self._text is not None else list(given)

    def new(self) -> list[dict[str, Any]]:
        """Return what the user has said since the model's last word, as Memory.add takes it."""
        if self._text is not None:
            return _as_added([{"role": "user", "content": self._text}])
        since = next((n for n, one in enumerate(reversed(self._messages)) if _is_the_models(one)), len(self._messages))
        return _as_added(self._messages[len(self._messages) - since :])

    def query(self) -> str:
        """Return what to look for: what is new, or what the user said last; an empty text when there is none."""
        said = self.new() or _as_added(self._messages)[-1:]
        return "\n".join(message["content"] for message in said)[-LONGEST_QUERY:].strip()

    def texts(self) -> set[str]:
        """Return what the model reads in any case."""
        said = [self._text or "", *map(text_of, self._messages)]
        return {text for each in said if (text := each.strip())}

    def with_memories(self, block: str) -> dict[str, Any]:
        """Return the body with a block before the user's last words, in the same message.

        What comes before is as it was, so that a provider's cache of the prompt holds. It stands in the user's
        message since what a user once said should have no more weight than what the user says now, and since many
        servers take a system's message only at the beginning.
        """
        key = self._dialect.messages
        if self._text is not None:
            return {**self._body, key: f"{block}\n\n{self._text}"}
        place = max(n for n, message in enumerate(self._messages) if _is_said(message))
        last = self._messages[place]
        fields: dict[str, Any] = {**(last if isinstance(last, Mapping) else last.model_dump(exclude_unset=True))}
        fields["content"] = self._joined(block, fields["content"])
        return {**self._body, key: [*self._messages[:place], fields, *self._messages[place + 1 :]]}

    def _joined(self, block: str, content: str | Sequence[Any]) -> str | list[Any]:
        if isinstance(content, str):
            return f"{block}\n\n{content}"
        return [{"type": self._dialect.part, "text": block}, *content]


def _is_the_models(message: object) -> bool:
    """Return whether a message, or an item of the Responses API, came from the model."""
    kind = value(message, "type")
    return value(message, "role") == "assistant" or (
        isinstance(kind, str) and (kind == "reasoning" or kind.endswith("_call"))
    )


def _is_said(message: object) -> bool:
    return value(message, "role") == "user" and bool(text_of(message).strip())


def _as_added(messages: Sequence[object]) -> list[dict[str, Any]]:
    return [_added(message) for message in messages if _is_said(message)]


def _added(message: object) -> dict[str, Any]:
    name = value(message, "name")
    said = {"role": "user", "content": text_of(message)}
    return said | {"name": name} if isinstance(name, str) and name.strip() else said
