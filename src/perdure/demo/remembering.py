"""What an agent keeps of a turn, by typed calls: what was said, what is known now, and how it came to its answer."""

from collections.abc import Iterable

from perdure.demo.turns import Message, Statement, Turn
from perdure.errors import shorten
from perdure.graph.typed import TypedMemory
from perdure.models import Fact

BAD_STATEMENT = "MERGE (n:Note {id: $id}) SET n.text = $text RETRUN n.id"
"""Cypher of the agent's own that no database can run: it says RETRUN."""
BAD_PARAMETERS = {"id": "bad", "text": "If you can read this, an error has shown a parameter's value."}
LONGEST_OUTCOME = 200


class Agent:
    """Keeps turns in one memory, each as a whole."""

    def __init__(self, memory: TypedMemory) -> None:
        self._memory = memory
        self._newest: dict[Statement, Fact] = {}
        self.replaced: list[tuple[Fact, Fact]] = []
        """Facts that a later one says anew, each with that one."""

    async def keep(self, turn: Turn) -> None:
        """Keep a turn: the messages, and one trace for all that the agent thought and did between them."""
        asked = await self._say(turn[0])
        answers = [message for message in turn if message.steps]
        if answers:
            await self._work(turn[0], asked, answers)
        for message in turn[1:]:
            await self._say(message)

    async def _say(self, message: Message) -> str:
        known = self._memory.long_term
        mentions = [mention.name for mention in message.mentions]
        when = None if message.moment else message.created_at
        kept = await self._memory.short_term.add_message(
            message.session_id, message.role, message.content, name=message.name, created_at=message.moment,
            metadata={"mentions": mentions} | ({"time": when} if when else {}),
        )  # fmt: skip
        for mention in message.mentions:
            await known.add_entity(mention.name, mention.type)
        for fact in message.facts:
            new = await known.add_fact(fact.subject, fact.predicate, fact.object, valid_from=message.moment)
            self._learn(fact, new)
        for wish in message.preferences:
            await known.add_preference(wish.category, wish.preference, valid_from=message.moment)
        return kept.id

    def _learn(self, said: Statement, new: Fact) -> None:
        about = said._replace(object="")
        old = self._newest.get(about)
        if old is not None and old.object != new.object:
            self.replaced.append((old, new))
        self._newest[about] = new

    async def _work(self, question: Message, asked: str, answers: Iterable[Message]) -> None:
        reasoning = self._memory.reasoning
        trace = await reasoning.start_trace(question.session_id, question.content, triggered_by=asked)
        outcome, done = "", True
        for message in answers:
            for number, thought in enumerate(message.steps, 1):
                step = await reasoning.add_step(trace, thought=thought)
                for call in [call for call in message.tool_calls if call.step == number]:
                    await reasoning.record_tool_call(
                        step, call.tool_name, call.arguments, result=call.result, status=call.status
                    )
                    done &= call.status == "success"
            outcome = message.content
        await reasoning.complete_trace(trace, outcome=shorten(outcome, LONGEST_OUTCOME), success=done)

    async def settle(self) -> None:
        """Give each fact that was said anew its place to the later one; done when this returns, in every mode."""
        for old, new in self.replaced:
            await self._memory.long_term.supersede_fact(old, new)


def calls_for(turns: Iterable[Turn]) -> int:
    """Return how many typed calls keep these turns."""
    count = 0
    for turn in turns:
        for message in turn:
            count += 1 + len(message.mentions) + len(message.facts) + len(message.preferences)
            count += len(message.steps) + len(message.tool_calls)
        count += 2 * any(message.steps for message in turn)
    return count
