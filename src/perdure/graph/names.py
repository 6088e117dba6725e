"""What entities are called: names that differ in case or in white space only are one."""

import unicodedata
from hashlib import sha256
from uuid import UUID

from perdure.graph.scope import MAX_ID_LENGTH, Scope

MAX_NAME_LENGTH = MAX_ID_LENGTH


def normal(name: str) -> str:
    """Return a name as it is looked up."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def name_key(whose: Scope, name: str) -> str:
    """Return the key of a name's node."""
    word = normal(name)
    return whose.key(word if len(word) <= MAX_NAME_LENGTH else sha256(word.encode()).hexdigest())


def entity_id(whose: Scope, kind: str, name: str) -> str:
    """Return the id that an entity of this type and name has in a scope, whoever adds it: a UUID of version 8."""
    text = "\0".join(["" if each is None else f"+{each}" for each in whose.ids().values()] + [kind, normal(name)])
    number = int.from_bytes(sha256(text.encode()).digest()[:16])
    number = number & ~(0xF << 76) | 0x8 << 76
    return str(UUID(int=number & ~(0b11 << 62) | 0b10 << 62))


def is_uuid(text: str) -> bool:
    """Return whether a text is a UUID as entities' ids are written."""
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
