"""LoCoMo files as the demo's messages: the first conversation, its two speakers as user and assistant."""

from typing import Any, cast

from perdure.errors import InputError

Sitting = tuple[str, str | None, list[Any]]
"""A session's id, its date as the file writes it, and its turns."""


def is_locomo(data: list[Any]) -> bool:
    """Tell a LoCoMo file, as published or regrouped by session, from a list of messages."""
    first = data[0] if data else None
    return isinstance(first, dict) and ("conversation" in first or "sessions" in first)


def locomo_messages(data: list[Any]) -> list[dict[str, Any]]:
    """Return the first conversation of a LoCoMo file in the demo's shape; raises InputError when it is not one."""
    sittings = _sittings(cast("dict[str, Any]", data[0]))
    found = [_message(turn, session, when) for session, when, turns in sittings for turn in turns]
    if not found:
        raise InputError("its first conversation has no turns.")
    first = found[0]["name"]
    return [{**message, "role": "user" if message["name"] == first else "assistant"} for message in found]


def _sittings(conversation: dict[str, Any]) -> list[Sitting]:
    if "sessions" in conversation:
        sessions = conversation["sessions"]
        if not isinstance(sessions, list):
            raise InputError('the first conversation\'s "sessions" should be a list.')
        return [_regrouped(session) for session in cast("list[Any]", sessions)]
    published = conversation["conversation"]
    if not isinstance(published, dict):
        raise InputError('the first sample\'s "conversation" should be an object.')
    return _published(cast("dict[str, Any]", published))


def _regrouped(session: Any) -> Sitting:
    if not isinstance(session, dict) or not isinstance(cast("dict[str, Any]", session).get("turns"), list):
        raise InputError('each session should be an object with a list of "turns".')
    fields = cast("dict[str, Any]", session)
    return str(fields.get("id", "session")), fields.get("date_time"), fields["turns"]


def _published(conversation: dict[str, Any]) -> list[Sitting]:
    """Read the sessions out of keys that number them: session_1, session_1_date_time, session_2 and on."""
    numbers = [
        int(key.removeprefix("session_"))
        for key, turns in conversation.items()
        if key.removeprefix("session_").isdecimal() and isinstance(turns, list)
    ]
    names = [f"session_{number}" for number in sorted(numbers)]
    return [(name, conversation.get(f"{name}_date_time"), conversation[name]) for name in names]


def _message(turn: Any, session: str, when: str | None) -> dict[str, Any]:
    if not isinstance(turn, dict) or not isinstance(cast("dict[str, Any]", turn).get("speaker"), str):
        raise InputError(f'a turn of {session} should be an object with "speaker" and "text".')
    fields = cast("dict[str, Any]", turn)
    caption = fields.get("image_caption") or fields.get("blip_caption")
    text = fields.get("text") or ""
    return {
        "name": fields["speaker"],
        "content": f"{text} [photo: {caption}]".strip() if caption else text,
        "session_id": session,
        "created_at": when,
    }
