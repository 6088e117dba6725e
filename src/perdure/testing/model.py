"""A language model that answers what it is told to, and remembers what it was asked.

model = FakeLanguageModel([{"statements": [{"text": "Ana lives in Porto."}]}, ProviderTimeoutError("Too slow.")])
"""

import asyncio
import json
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from perdure.errors import ProviderError

Messages = Sequence[Mapping[str, str]]
ScriptedAnswer = str | Mapping[str, Any] | Exception | Callable[[Messages], str]
"""A text; a map, which is answered as JSON; an error, which is raised; or a function of the messages."""


class Asked(NamedTuple):
    """One call of the model."""

    messages: Messages
    schema: Mapping[str, Any] | None


class FakeLanguageModel:
    """A LanguageModel that gives scripted answers in order, a function of the messages for as long as it is asked.

    Raises ProviderError when it is asked once more than it has answers.
    """

    def __init__(
        self, answers: Iterable[ScriptedAnswer] | Callable[[Messages], str] = (), *, name: str = "fake"
    ) -> None:
        self.name = name
        self.asked: list[Asked] = []
        """Every call, in order."""
        self._always = answers if callable(answers) else None
        self._answers: deque[ScriptedAnswer] = deque() if callable(answers) else deque(answers)

    async def complete(self, messages: Messages, *, schema: Mapping[str, Any] | None = None) -> str:
        """Return the next answer, or raise it."""
        await asyncio.sleep(0)
        self.asked.append(Asked(messages, schema))
        if self._always is not None:
            return self._always(messages)
        if not self._answers:
            raise ProviderError("The fake language model has no answer left.", hint="Give it one for each call.")
        answer = self._answers.popleft()
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Mapping):
            return json.dumps(answer, ensure_ascii=False)
        return answer(messages) if callable(answer) else answer
