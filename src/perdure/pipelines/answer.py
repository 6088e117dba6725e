"""A language model's answer: read as a whole, or refused with what is wrong with it; never in part."""

import json
import re
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from perdure.errors import ProviderOutputError, shorten

MAX_CHARACTERS = 1_000_000
"""An answer that is longer is none."""


def _strict(schema: dict[str, Any]) -> None:
    """Ask for every key and for no other: what servers that hold a model to a schema insist on."""
    schema["required"] = list(schema["properties"])
    schema["additionalProperties"] = False
    schema.pop("description", None)
    for described in schema["properties"].values():
        described.pop("default", None)


class _Part(BaseModel):
    """A part of an answer: what is missing is None, and what was not asked for is not read."""

    model_config = ConfigDict(json_schema_extra=_strict, coerce_numbers_to_str=True)


class Found(_Part):
    """A statement, as the model gives it."""

    text: str
    turn: int | None = None
    entities: list[str] = Field(default_factory=list[str])
    date: str | None = None
    subject: str | None = None
    attribute: str | None = None
    value: str | None = None

    @field_validator("entities", mode="before")
    @classmethod
    def _none_is_empty(cls, value: Any) -> Any:
        return [] if value is None else value

    @field_validator("text")
    @classmethod
    def _says_something(cls, value: str) -> str:
        return _not_blank(value)


class Related(_Part):
    """A relation, as the model gives it."""

    source: str
    relation: str
    target: str

    @field_validator("source", "relation", "target")
    @classmethod
    def _says_something(cls, value: str) -> str:
        return _not_blank(value)


class Answer(_Part):
    """All that the model has found."""

    statements: list[Found]
    relations: list[Related] = Field(default_factory=list[Related])

    @field_validator("relations", mode="before")
    @classmethod
    def _none_is_empty(cls, value: Any) -> Any:
        return [] if value is None else value


def _not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("is blank")
    return value


SCHEMA = Answer.model_json_schema()
"""The JSON Schema of an answer."""

_THOUGHTS = re.compile(r"\A\s*<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL | re.IGNORECASE)
_FENCED = re.compile(r"```[ \t]*\w*[ \t]*\n(.*)```", re.DOTALL)
_STRING_OR_COMMA = re.compile(r'("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])', re.DOTALL)
_PROMPT = "<conversation>"
_JSON = json.JSONDecoder(strict=False)
_ASK_FOR_LESS = "Give the model a higher limit of output, or add fewer messages at a time."
_HOLD_TO_SCHEMA = "Use a model, or a server, that can be held to a JSON Schema."


class _UnreadableError(Exception):
    """What is wrong with an answer, and what to do about it."""

    def __init__(self, what: str, hint: str = _HOLD_TO_SCHEMA) -> None:
        super().__init__(what)
        self.hint = hint


def read_answer(text: str, model: str) -> Answer:
    """Return a model's answer: one JSON object, by itself, in a fence, or with prose around it.

    Raises ProviderOutputError for all else: nothing, prose, an answer that is cut off or has the wrong shape, several
    that differ, the prompt over again. What could be read of such an answer is not kept: nobody could tell what is
    missing.
    """
    said = _THOUGHTS.sub("", text).strip()
    try:
        return _checked(_answer_in(said), may_be_no_text="\\u" in said or not said.isascii())
    except _UnreadableError as error:
        shown = f" It begins {shorten(said[:200], 60)!r}." if said else ""
        raise ProviderOutputError(f"The answer of {model} {error}.{shown}", hint=error.hint) from None


def _answer_in(said: str) -> Any:
    """Return the one JSON value in an answer that has statements; a list by itself is the list of them."""
    if not said:
        raise _UnreadableError("is empty")
    if len(said) > MAX_CHARACTERS:
        raise _UnreadableError(f"has {len(said):,} characters")
    fenced = _FENCED.fullmatch(said)
    bare = (fenced[1] if fenced else said).strip().strip("`").rstrip()
    if bare.startswith("[") and bare.endswith("]"):
        bare = f'{{"statements": {bare}}}'
    answers = _objects(bare) or _objects(_without_trailing_commas(bare))
    if any(answer != answers[0] for answer in answers[1:]):
        raise _UnreadableError("holds several answers that differ")
    if not answers:
        raise _UnreadableError("repeats the prompt" if _PROMPT in said else "holds no JSON object with statements")
    return answers[0]


def _objects(text: str) -> list[Any]:
    """Return the JSON objects with statements in a text, which may be anything between them."""
    found: list[Any] = []
    place = text.find("{")
    while place >= 0:
        try:
            value, place = _JSON.raw_decode(text, place)
        except json.JSONDecodeError as error:
            if _is_cut(text, error):
                raise _UnreadableError("is cut off", _ASK_FOR_LESS) from None
            place += 1
        except RecursionError:
            raise _UnreadableError("is nested too deeply") from None
        else:
            found += [value] if "statements" in value else []
        place = text.find("{", place)
    return found


def _is_cut(text: str, error: json.JSONDecodeError) -> bool:
    """Return whether JSON went well up to the end of a text."""
    rest = text[error.pos :]
    return error.msg.startswith("Unterminated") or not rest or rest.isalnum()


def _without_trailing_commas(text: str) -> str:
    start = max(0, text.find("{"))
    return text[:start] + _STRING_OR_COMMA.sub(lambda match: match[1] or "", text[start:])


def _checked(value: Any, *, may_be_no_text: bool) -> Answer:
    try:
        if may_be_no_text:
            json.dumps(value, ensure_ascii=False).encode()
        return Answer.model_validate(value)
    except UnicodeEncodeError:
        raise _UnreadableError("holds half of a surrogate pair, which is not text") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise _UnreadableError(f"has the wrong shape ({where}: {first['msg'].removeprefix('Value error, ')})") from None
