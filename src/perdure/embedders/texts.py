"""What can be embedded at all."""

from collections.abc import Sequence

from perdure.errors import InputError


def checked_texts(texts: Sequence[object]) -> list[str]:
    """Return texts as they are; raise InputError for what is none, or holds half of a surrogate pair."""
    return [_checked(text, place) for place, text in enumerate(texts)]


def _checked(text: object, place: int) -> str:
    if not isinstance(text, str):
        raise InputError(f"texts[{place}] should be text, not {type(text).__name__}.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InputError(f"texts[{place}] holds half of a surrogate pair, which is not text.") from None
    return text
