"""What is worth remembering of what was said, found by a language model in one call."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.resources import files

from perdure.errors import InputError
from perdure.pipelines.answer import SCHEMA, Answer, Found, read_answer
from perdure.pipelines.identity import speaker
from perdure.pipelines.mentions import MOST_NAMES
from perdure.pipelines.messages import said_anew
from perdure.pipelines.statements import Extracted, Relation, Statement, Turn
from perdure.protocols import LanguageModel
from perdure.values import check_text

PROMPT = (files("perdure.pipelines") / "prompts" / "extract.md").read_text(encoding="utf-8")
"""What a language model is told to do."""
MAX_CHARACTERS = 100_000
"""Of one call's turns together: what a language model reads well in one go."""
_ESCAPED = {ord(character): f"\\u{ord(character):04x}" for character in "<\x85\u2028\u2029"}
"""What could end the fence or a line, and JSON would leave as it is."""

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_ALSO_CALLED = {
    "lives in": "residence, location, current location, home city, city, city of residence, lives at, living in, home",
    "works at": "employer, workplace, company, works for",
    "works as": "job, job title, occupation, profession",
    "goes by": "nickname, preferred name",
    "marital status": "relationship status",
    "birthday": "date of birth, birth date",
    "phone number": "phone, telephone, telephone number",
    "e-mail address": "e-mail, email, email address",
    "time zone": "timezone",
}
_ATTRIBUTES = {other: name for name, others in _ALSO_CALLED.items() for other in others.split(", ")}
"""What models call the attributes of the prompt, where they do not keep to its names."""

_AS_JSON = json.JSONEncoder(ensure_ascii=False)


async def extract(turns: Sequence[Turn], model: LanguageModel) -> Extracted:
    """Return the statements and relations that a language model finds in turns.

    It is asked once, and not at all where nothing is left besides turns of the system, blank ones and memories that
    were recalled for a prompt. Each statement has the time, the speaker and the metadata of the turn that says it.

    Raises InputError, before the model is asked, for more than `MAX_CHARACTERS` or for what is not text;
    ProviderOutputError for an answer that cannot be read, as a whole; and what the model raises.
    """
    heard = said_anew(turns)
    if not heard:
        return Extracted()
    answer = await model.complete(messages(heard), schema=SCHEMA)
    return _extracted(read_answer(answer, model.name), heard)


def messages(heard: Sequence[Turn]) -> list[dict[str, str]]:
    """Return what the model is asked: what to do, and the turns as data, one JSON object a line.

    No text can end the fence around the turns or begin a turn of its own: as JSON it has no line breaks and no `<`.
    """
    _check(heard)
    turns = (_AS_JSON.encode(_shown(number, turn)) for number, turn in enumerate(heard, 1))
    fenced = ["<conversation>", *(turn.translate(_ESCAPED) for turn in turns), "</conversation>"]
    return [{"role": "system", "content": PROMPT}, {"role": "user", "content": "\n".join(fenced)}]


def _check(heard: Sequence[Turn]) -> None:
    length = sum(len(turn.content) for turn in heard)
    if length > MAX_CHARACTERS:
        raise InputError(
            f"The messages have {length:,} characters, and a language model is given at most {MAX_CHARACTERS:,}.",
            hint="Add them in parts, or with infer=False.",
        )
    for turn in heard:
        check_text(f"{turn.content}{turn.name}", "A message")


def _shown(number: int, turn: Turn) -> Mapping[str, object]:
    who = f"{turn.name} ({turn.role})" if turn.name else turn.role
    said = f"{_DAYS[turn.said_at.weekday()]} {turn.said_at.isoformat(' ', 'minutes')[:16]} UTC"
    return {"turn": number, "said": said, "speaker": who, "text": turn.content}


# -- from the answer


def _extracted(answer: Answer, heard: Sequence[Turn]) -> Extracted:
    relations = dict.fromkeys(
        Relation(_line(found.source), _line(found.relation), _line(found.target)) for found in answer.relations
    )
    return Extracted(tuple(_statement(found, heard) for found in answer.statements), tuple(relations))


def _statement(found: Found, heard: Sequence[Turn]) -> Statement:
    turn = heard[found.turn - 1] if found.turn and 1 <= found.turn <= len(heard) else heard[-1]
    slot, value = _slot(found, turn)
    return Statement(
        text=found.text.strip(),
        said_at=turn.said_at,
        name=turn.name,
        entities=_once(found.entities),
        slot=slot,
        value=value,
        happened_at=_date(found.date),
        metadata=turn.metadata,
    )


def _slot(found: Found, turn: Turn) -> tuple[str | None, str | None]:
    if not (found.subject and found.attribute and found.value):
        return None, None
    subject, attribute, value = (_line(part).casefold() for part in (found.subject, found.attribute, found.value))
    if not (subject and attribute and value):
        return None, None
    if subject in {"user", "the user", "i", "me"}:
        subject = speaker(turn.name) or "user" if turn.role == "user" else "user"
    attribute = _ATTRIBUTES.get(attribute, attribute.replace("favorite", "favourite").replace("color", "colour"))
    return f"{subject.replace('|', '/')}|{attribute.replace('|', '/')}", value


def _once(entities: Sequence[str]) -> tuple[str, ...]:
    named: dict[str, str] = {}
    for entity in map(_line, entities):
        if entity:
            named.setdefault(entity.casefold(), entity)
    return tuple(named.values())[:MOST_NAMES]


def _line(text: str | None) -> str:
    return " ".join((text or "").split())


def _date(text: str | None) -> datetime | None:
    """Return a date as the beginning of its day, month or year; None for what is not one, which the text tells."""
    if not text:
        return None
    for form in ("%Y-%m-%d", "%Y-%m", "%Y"):
        try:
            return datetime.strptime(text.strip()[:10], form).replace(tzinfo=UTC)
        except ValueError:
            continue
    return None
