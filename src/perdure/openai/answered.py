"""What a model answers: collected from a whole answer, or from a stream as it passes by."""

from typing import Any

from perdure.openai.asked import value

WHOLE = ("stop", "tool_calls", "function_call")
"""How a completion ends that says all it was to say."""


class Answer:
    """The assistant's own text, and whether it is all of it. Refusals, tool calls and reasoning are none of it."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self.finished = False
        """Whether the model had said all it was to say, as far as is known."""

    @property
    def text(self) -> str:
        """The text received so far."""
        return "".join(self._pieces)

    def read(self, answer: object) -> None:
        """Take a whole answer; one in an unknown shape has no text."""
        raise NotImplementedError

    def hear(self, event: object) -> None:
        """Take the next event of a stream."""
        raise NotImplementedError

    def _add(self, text: Any) -> None:
        if isinstance(text, str) and text:
            self._pieces.append(text)


class ChatAnswer(Answer):
    """Of several choices it is the first: which one the application takes is not known."""

    def read(self, answer: object) -> None:
        """Take a ChatCompletion."""
        self._take(answer, "message")

    def hear(self, event: object) -> None:
        """Take a ChatCompletionChunk; that with the usage has no choice."""
        self._take(event, "delta")

    def _take(self, source: object, part: str) -> None:
        for choice in value(source, "choices") or ():
            if value(choice, "index") in (0, None):
                self._add(value(value(choice, part), "content"))
                self.finished = self.finished or value(choice, "finish_reason") in WHOLE
                return


class ResponseAnswer(Answer):
    """The texts of all messages in a response."""

    def read(self, answer: object) -> None:
        """Take a Response."""
        for item in value(answer, "output") or ():
            for part in value(item, "content") or () if value(item, "type") == "message" else ():
                if value(part, "type") == "output_text":
                    self._add(value(part, "text"))
        self.finished = value(answer, "status") == "completed"

    def hear(self, event: object) -> None:
        """Take an event of a Response's stream."""
        match value(event, "type"):
            case "response.output_text.delta":
                self._add(value(event, "delta"))
            case "response.completed":
                self.finished = True
            case _:
                pass
