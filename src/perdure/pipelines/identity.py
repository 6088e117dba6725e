"""When two texts are one memory: the same words, whatever their case and spacing, of the same speaker and scope."""

import json
import unicodedata
from hashlib import sha256

_ENDINGS = ".!,;:…。"
"""What may end a text and does not change what it says; a question mark does."""


def normalised(text: str) -> str:
    """Return the form in which equal texts are equal: NFKC, case folded, single spaces, no full stop at its end."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    words = " ".join(folded.split())
    return words.rstrip(_ENDINGS).rstrip() or words


def speaker(name: str | None) -> str:
    """Return a speaker's name as it is compared; nobody in particular is an empty text."""
    return normalised(name) if name else ""


def memory_id(scope_key: str, text: str, *, name: str | None = None) -> str:
    """Return the id of the memory of this text in this scope, said by somebody of this name or by nobody in particular.

    The same for texts of one normalised form, in every process: two that store one memory at the same time store it
    once. It is a UUID of version 8 (RFC 9562), the first 128 bits of a SHA-256 with version and variant in their
    places.
    """
    digest = sha256(json.dumps([scope_key, speaker(name), normalised(text)]).encode("ascii")).hexdigest()
    variant = f"{int(digest[16], 16) & 0b0011 | 0b1000:x}"
    return f"{digest[:8]}-{digest[8:12]}-8{digest[13:16]}-{variant}{digest[17:20]}-{digest[20:32]}"
