"""Where memory enters a call: around the one request that every method of a resource ends in."""

from collections.abc import Callable, Mapping
from copy import copy
from typing import Any, ClassVar, Self, cast

import openai

from perdure.errors import InputError
from perdure.graph.scope import NAMES, Scope, ScopeIds
from perdure.openai.answered import Answer
from perdure.openai.asked import Asked, Dialect
from perdure.openai.blocking import SyncRemembering
from perdure.openai.remembering import Remembering
from perdure.openai.streams import AsyncStream, Stream
from perdure.openai.turns import Turn, TurnMemory

Parser = Callable[[Any], Any]
PARSER = "post_parser"
"""The option of a request with which the official package changes an answer: it sees streams and raw answers too."""


class Calls:
    """What a resource of the official client becomes for calls about somebody's memory."""

    dialect: ClassVar[Dialect]
    answer: ClassVar[type[Answer]]
    _client: Any
    _post: Callable[..., Any]
    _whose: ScopeIds | None = None
    _latest: Turn | None = None

    def about(self, params: Any) -> Self:
        """Return this resource for one call, and take out of `params` whose it is. Raises InputError for a bad id."""
        if self._whose is not None:
            return self
        own = copy(self)
        vars(own)["_whose"] = _checked({name: params.pop(name) for name in NAMES if name in params})
        vars(own)["_post"] = own.asking(self._post)
        return own

    def turn(self) -> Turn:
        """Return the call that this was for."""
        return self._latest or self._begin(None)

    def _begin(self, body: object) -> Turn:
        whose = self._whose or {}
        asked = Asked(cast("Mapping[str, Any]", body or {}), self.dialect)
        memory = TurnMemory(remembered="waiting" if whose else "off")
        self._latest = Turn(whose, asked, self.answer(), memory, self._client.recalling)
        return self._latest

    def asking(self, post: Callable[..., Any]) -> Callable[..., Any]:
        """Return the request, with memory around it."""
        raise NotImplementedError


class AsyncCalls(Calls):
    """Such a resource, awaited."""

    @property
    def remembering(self) -> Remembering:
        """The client's."""
        return self._client.remembering

    async def settle(self, turn: Turn) -> None:
        """End a turn."""
        if turn.whose:
            await self.remembering.settled(turn)

    def asking(self, post: Callable[..., Any]) -> Callable[..., Any]:
        """Return the request, with memory around it."""

        async def ask(path: str, *, options: Mapping[str, Any], body: object = None, **how: Any) -> Any:
            turn = self._begin(body)
            if turn.whose:
                turn.take(await self.remembering.recall(turn, self.remembering.patience(turn)))
            parser = reading(turn, options.get(PARSER), self._read)
            response = await post(path, body=turn.body(body), options={**options, PARSER: parser}, **how)
            attach(response, turn.memory)
            if turn.ended:
                await self.remembering.settled(turn)
            return response

        return ask

    def _read(self, turn: Turn, answer: Any) -> Any:
        if isinstance(answer, openai.AsyncStream):
            self.remembering.expect(turn)
            return AsyncStream(cast("openai.AsyncStream[Any]", answer), turn, self.remembering.settled)
        turn.answer.read(answer)
        self.remembering.end(turn)
        return answer


class SyncCalls(Calls):
    """Such a resource, called."""

    @property
    def remembering(self) -> SyncRemembering:
        """The client's."""
        return self._client.remembering

    def settle(self, turn: Turn) -> None:
        """End a turn."""
        if turn.whose:
            self.remembering.settled(turn)

    def asking(self, post: Callable[..., Any]) -> Callable[..., Any]:
        """Return the request, with memory around it."""

        def ask(path: str, *, options: Mapping[str, Any], body: object = None, **how: Any) -> Any:
            turn = self._begin(body)
            if turn.whose:
                turn.take(self.remembering.recall(turn))
            parser = reading(turn, options.get(PARSER), self._read)
            response = post(path, body=turn.body(body), options={**options, PARSER: parser}, **how)
            attach(response, turn.memory)
            return response

        return ask

    def _read(self, turn: Turn, answer: Any) -> Any:
        if isinstance(answer, openai.Stream):
            self.remembering.expect(turn)
            return Stream(cast("openai.Stream[Any]", answer), turn, self.remembering.settled)
        turn.answer.read(answer)
        self.remembering.settled(turn)
        return answer


def reading(turn: Turn, parser: Parser | None, read: Callable[[Turn, Any], Any]) -> Parser:
    """Return a parser that lets memory read an answer before the call's own parser, and tells on it what it did."""

    def parse(answer: Any) -> Any:
        seen = read(turn, answer) if turn.whose else answer
        parsed = parser(seen) if parser else seen
        attach(parsed, turn.memory)
        return parsed

    return parse


def attach(response: Any, memory: TurnMemory) -> None:
    """Put `memory` on an answer, beside its fields: what it says, and what it equals, stays as it was."""
    if hasattr(response, "__dict__"):
        object.__setattr__(response, "memory", memory)


def _checked(ids: Mapping[str, Any]) -> ScopeIds:
    given: dict[str, Any] = {name: each for name, each in ids.items() if each is not None}
    whose = Scope(**{name: each.strip() if isinstance(each, str) else each for name, each in given.items()})
    if given.keys() == {"tenant"}:
        raise InputError("A tenant alone has no memory.", hint="Pass user_id, agent_id or run_id, too.")
    return whose.ids() if given else {}
