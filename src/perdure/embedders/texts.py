"""What can be embedded at all."""

from collections.abc import Sequence

from perdure.values import check_text


def checked_texts(texts: Sequence[object]) -> list[str]:
    """Return texts as they are; raise InputError for what is none, or holds half of a surrogate pair."""
    return [check_text(text, f"texts[{place}]") for place, text in enumerate(texts)]
