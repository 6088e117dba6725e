"""What entities are called: names that differ in case or in white space only are one."""

import unicodedata
from hashlib import sha256
from uuid import UUID

from perdure import ids
from perdure.graph.scope import MAX_ID_LENGTH, Scope

MAX_NAME_LENGTH = MAX_ID_LENGTH


def normal(name: str) -> str:
    """Return a name as it is looked up."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def name_key(whose: Scope, name: str) -> str:
    """Return the key of a name's node."""
    word = normal(name)
    return whose.key(word if len(word) <= MAX_NAME_LENGTH else sha256(word.encode()).hexdigest())


def fact_names(whose: Scope, subject: str, stated: str) -> dict[str, list[str]]:
    """Return the keys of the names that a fact is about; an object too long to be a name is none."""
    objects = [name_key(whose, stated)] if len(stated) <= MAX_NAME_LENGTH else []
    return {"subjects": [name_key(whose, subject)], "objects": objects}


def entity_id(whose: Scope, kind: str, name: str) -> str:
    """Return the id that an entity of this type and name has in a scope, whoever adds it: a UUID of version 8."""
    text = "\0".join(["" if each is None else f"+{each}" for each in whose.ids().values()] + [kind, normal(name)])
    return ids.uuid8(text)


def is_uuid(text: str) -> bool:
    """Return whether a text is a UUID as entities' ids are written."""
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
