"""When two texts are one memory: the same words, whatever their case and spacing, of the same speaker and scope."""

import json
import unicodedata

from perdure.ids import uuid8

_ENDINGS = ".!,;:…。"
"""What may end a text and does not change what it says; a question mark does."""


def normalised(text: str) -> str:
    """Return the form in which equal texts are equal: NFKC, case folded, single spaces, no full stop at its end."""
    words = " ".join(_folded(text).split())
    return words.rstrip(_ENDINGS).rstrip() or words


def _folded(text: str) -> str:
    if text.isascii():  # which both forms leave as it is
        return text.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def speaker(name: str | None) -> str:
    """Return a speaker's name as it is compared; nobody in particular is an empty text."""
    return normalised(name) if name else ""


def memory_id(scope_key: str, text: str, *, name: str | None = None) -> str:
    """Return the id of the memory of this text in this scope, said by somebody of this name or by nobody in particular.

    The same for texts of one normalised form, in every process: two that store one memory at the same time store it
    once.
    """
    return id_of_words(scope_key, normalised(text), speaker(name))


def id_of_words(scope_key: str, words: str, by: str) -> str:
    """Return the same of a text and a speaker that are normalised already."""
    return uuid8(f"[{json.dumps(scope_key)}, {json.dumps(by)}, {json.dumps(words)}]")
