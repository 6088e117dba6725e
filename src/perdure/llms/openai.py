"""Language models behind OpenAI's API: OpenAI's own, and every server that speaks it (Ollama, vLLM, LM Studio)."""

import asyncio
import os
import random
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, TypeVar, cast

import openai
from openai import AsyncOpenAI, omit
from openai.types.chat import ChatCompletion, ChatCompletionMessageParam

from perdure.errors import (
    ConfigError,
    ProviderError,
    ProviderOutputError,
    ProviderUnavailableError,
    RateLimitError,
    shorten,
)
from perdure.runtime.once import Once
from perdure.runtime.threads import Threads

T = TypeVar("T")
KEY_VARIABLE = "OPENAI_API_KEY"
ADDRESS_VARIABLE = "OPENAI_BASE_URL"
NO_KEY = "none"
"""What a server that wants no key is sent: the client wants one."""
SCHEMA_NAME = "answer"
FORMATS = ("json_schema", "json_object", "text")
SPENT = "insufficient_quota"
IS_IT_AN_API = "Is openai.base_url that of an OpenAI-compatible API, up to /v1?"
SERVER_ERROR = 500
WORTH_AGAIN = (408, 409)
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 8.0


class OpenAIServer:
    """A server that speaks OpenAI's API; what is not given comes from OPENAI_API_KEY and OPENAI_BASE_URL.

    The official client is made on first use, in a thread: it reads certificates. Raises ConfigError when OpenAI's own
    servers are meant and there is no key, and for a key or an address that cannot be.
    """

    def __init__(
        self, *, threads: Threads, api_key: str | None = None, base_url: str | None = None, max_retries: int = 2
    ) -> None:
        address = base_url or os.environ.get(ADDRESS_VARIABLE)
        if address is not None and not address.startswith(("http://", "https://")):
            raise ConfigError(
                f"{ADDRESS_VARIABLE} is no address.", hint="It should look like http://localhost:11434/v1."
            )
        key = (api_key or os.environ.get(KEY_VARIABLE) or (NO_KEY if address else "")).strip()
        if not key:
            raise ConfigError(
                "OpenAI wants a key, and there is none.",
                hint=f"Set openai.api_key or {KEY_VARIABLE}; for a server of your own, openai.base_url.",
            )
        if not (key.isascii() and key.isprintable()):  # the client would quote it in its error
            raise ConfigError(
                "The key for OpenAI holds a character that no header can.", hint="Copy it anew, as plain text."
            )
        self._threads = threads
        self._max_retries = max_retries
        self._client = Once(partial(AsyncOpenAI, api_key=key, base_url=address, timeout=None, max_retries=0))

    async def ask(self, call: Callable[[AsyncOpenAI], Awaitable[T]], end: float) -> T:
        """Return what a call of the official client returns, or raise what it raises.

        What may succeed later is tried again before `end`, on the event loop's clock. (The client, which knows of no
        deadline, would wait for two minutes where a server says so, and its refusal would end as a timeout.)
        """
        client = self._client.made or await self._threads.run(self._client)
        loop = asyncio.get_running_loop()
        for tried in range(self._max_retries):
            try:
                return await call(client)
            except openai.APIError as error:
                pause = _pause(error, tried)
                if pause is None or loop.time() + pause >= end:
                    raise
            await asyncio.sleep(pause)
        return await call(client)

    async def close(self) -> None:
        """Close its connections. Safe to call twice."""
        if self._client.made is not None:
            await self._client.made.close()


class OpenAILanguageModel:
    """A model behind OpenAI's chat API.

    An answer that should follow a schema is asked for by `json_schema`; where the server refuses that, by
    `json_object`, and where it refuses that too, by nothing but the messages. What it refused is not asked again.
    """

    def __init__(self, model: str, server: OpenAIServer, *, seconds: float) -> None:
        self.name = f"openai:{model}"
        self._model = model
        self._server = server
        self._seconds = seconds
        self._formats = FORMATS

    async def complete(self, messages: Sequence[Mapping[str, str]], *, schema: Mapping[str, Any] | None = None) -> str:
        """Return the answer; raises ProviderOutputError for one that is empty, refused or cut off."""
        given = cast("list[ChatCompletionMessageParam]", [dict(message) for message in messages])
        end = asyncio.get_running_loop().time() + self._seconds
        with mapped(f"language model {self.name}"):
            answer = await self._asked(given, schema, end)
        return self._read(answer)

    async def _asked(
        self, messages: list[ChatCompletionMessageParam], schema: Mapping[str, Any] | None, end: float
    ) -> ChatCompletion:
        while schema is not None and self._formats[0] != "text":
            tried = self._formats
            try:
                return await self._create(messages, _format(tried[0], schema), end)
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                if not _is_about_the_format(error):
                    raise
                self._formats = tried[1:] if self._formats is tried else self._formats
        return await self._create(messages, omit, end)

    async def _create(self, messages: list[ChatCompletionMessageParam], form: Any, end: float) -> ChatCompletion:
        return await self._server.ask(
            lambda client: client.chat.completions.create(model=self._model, messages=messages, response_format=form),
            end,
        )

    def _read(self, answer: object) -> str:
        choices = answer.choices if isinstance(answer, ChatCompletion) else None
        if not choices:
            raise self._unusable("sent no answer", IS_IT_AN_API)
        [first, *_] = choices
        if first.finish_reason == "length":
            raise self._unusable("was cut off in its answer", "Give it less at a time, or a model with more room.")
        text = getattr(first.message, "content", None)
        if not text:
            refusal = getattr(first.message, "refusal", None)
            raise self._unusable(f"refused: {shorten(refusal)!r}" if refusal else "gave an empty answer", None)
        return text

    def _unusable(self, what: str, hint: str | None) -> ProviderOutputError:
        return ProviderOutputError(f"The language model {self.name} {what}.", hint=hint)


@contextmanager
def mapped(who: str) -> Generator[None]:
    """Raise the client's errors as ours; `who` did not answer."""
    try:
        yield
    except openai.APIConnectionError as error:
        address = f"{error.request.url.scheme}://{error.request.url.netloc.decode()}"
        raise ProviderUnavailableError(
            f"The {who} cannot be reached at {address}: {shorten(str(error.__cause__ or error), 120)}.",
            hint=f"Is the server running? Its address is openai.base_url, or {ADDRESS_VARIABLE}.",
        ) from error
    except openai.APIStatusError as error:
        raise _refusal(who, error) from error
    except (openai.OpenAIError, ValueError) as error:
        raise ProviderOutputError(
            f"The {who} sent what is no answer: {shorten(str(error), 120)}", hint=IS_IT_AN_API
        ) from error


def _refusal(who: str, error: openai.APIStatusError) -> ProviderError:
    match error:
        case openai.AuthenticationError():
            return ProviderError(f"The {who} refused the key.", hint=f"Set openai.api_key or {KEY_VARIABLE}.")
        case openai.PermissionDeniedError():
            return ProviderError(f"The {who} is not allowed for this key.", hint="Use another model, or another key.")
        case openai.NotFoundError():
            return ProviderError(
                f"The {who} is not there.", hint="Look at the model's name, and at openai.base_url, which ends in /v1."
            )
        case openai.RateLimitError():
            return RateLimitError(f"The {who} was asked too often.", hint=_when_again(error))
        case _:
            body = cast("object", error.body)
            said = cast("Mapping[str, object]", body).get("message") if isinstance(body, Mapping) else body
            text = f"The {who} answered {error.status_code}: {shorten(str(said or error.message), 200)}"
            if error.status_code >= SERVER_ERROR:
                return ProviderUnavailableError(text, hint="Try again later.")
            return ProviderError(text, hint="Look at the model's name, and at what it takes.")


def _when_again(error: openai.APIStatusError) -> str:
    if error.code == SPENT:
        return "Its quota is spent: look at the account's plan and bills."
    seconds = _retry_after(error)
    if seconds is None:
        return "Try again later, or lower the concurrency."
    return f"Try again in {seconds:,.0f} s." if seconds > 10 else f"Try again in {seconds:.3g} s."


def _pause(error: openai.APIError, tried: int) -> float | None:
    """Return how long to wait before what has failed is tried again; None where that is of no use."""
    grown = min(FIRST_PAUSE * 2**tried, LONGEST_PAUSE) * random.uniform(0.75, 1)  # noqa: S311  not a secret
    if isinstance(error, openai.APIConnectionError):
        return grown
    if not isinstance(error, openai.APIStatusError) or error.code == SPENT:
        return None
    if (
        isinstance(error, openai.RateLimitError)
        or error.status_code in WORTH_AGAIN
        or error.status_code >= SERVER_ERROR
    ):
        return grown if (told := _retry_after(error)) is None else told
    return None


def _retry_after(error: openai.APIStatusError) -> float | None:
    """Return for how many seconds the server asks to be left alone, if it does."""
    headers = error.response.headers
    told = headers.get("retry-after", "")
    try:
        if milliseconds := headers.get("retry-after-ms"):
            return max(0.0, float(milliseconds) / 1000)
        return max(0.0, float(told))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(told) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None


def _is_about_the_format(error: openai.APIStatusError) -> bool:
    said = f"{error.param or ''} {error.message}".lower()
    return any(word in said for word in ("response_format", "json_schema", "json_object", "guided", "grammar"))


def _format(kind: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    if kind == "json_object":
        return {"type": kind}
    held = {"name": SCHEMA_NAME, "schema": schema, "strict": is_strict(schema)}
    return {"type": kind, "json_schema": held}


def is_strict(schema: object) -> bool:
    """Return whether each object of a schema has all its properties and no others, so that OpenAI can hold to it."""
    if isinstance(schema, list):
        return all(map(is_strict, cast("list[object]", schema)))
    if not isinstance(schema, Mapping):
        return True
    found = cast("Mapping[str, Any]", schema)
    if found.get("type") == "object":
        properties: Mapping[str, Any] = found.get("properties", {})
        if found.get("additionalProperties") is not False or set(found.get("required", ())) != set(properties):
            return False
    return all(map(is_strict, found.values()))
