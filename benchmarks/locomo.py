"""How much of the evidence `Memory` finds: recall on LoCoMo questions, without a language model.

Each conversation is one user's memory: a session is one `add`, a turn one message with its speaker's name. A question
has found the share of its evidence turns that are among its first k hits. Questions without evidence and adversarial
ones are left out. The data is not part of Perdure (CC BY-NC 4.0): say where it is.

    python -m benchmarks.locomo --data FILE [--embedder static|minilm] [--json FILE]
"""

import argparse
import asyncio
import json
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.figures import load, machine, number, percentile, progress
from perdure import Memory, MemorySettings

DEPTHS = (5, 10, 20)
LEFT_OUT = "adversarial"
WRITTEN = "%I:%M %p on %d %B, %Y"
LEAST = {"static": 0.75, "minilm": 0.79}
"""Recall@10 that the development half should have."""


@dataclass(frozen=True)
class Answer:
    """What came of one question."""

    conversation: str
    category: str
    recall: Mapping[int, float]
    milliseconds: float


@dataclass
class Measured:
    """All that was measured."""

    answers: list[Answer] = field(default_factory=list)
    turns: int = 0
    adding: float = 0.0
    """Seconds that all `add` calls took."""
    size: int = 0
    """Bytes on disk of all conversations."""


def messages(session: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a session's turns as messages; what a photo shows is part of what was said."""
    said_at = datetime.strptime(session["date_time"], WRITTEN).replace(tzinfo=UTC)
    return [
        {"role": "user", "name": turn["speaker"], "content": content(turn), "created_at": said_at}
        for turn in session["turns"]
    ]


def content(turn: Mapping[str, Any]) -> str:
    """Return what a turn says."""
    caption = turn.get("image_caption")
    return f"{turn['text'] or ''}{f' [photo: {caption}]' if caption else ''}".strip()


def asked(conversation: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the questions that have an answer in the conversation."""
    turns = {turn["id"] for session in conversation["sessions"] for turn in session["turns"]}
    return [
        question
        for question in conversation["questions"]
        if question["category"] != LEFT_OUT and turns.intersection(question["evidence"])
    ]


async def measure(conversations: Iterable[Mapping[str, Any]], embedder: str) -> Measured:
    """Remember each conversation in a directory of its own, and ask its questions."""
    measured = Measured()
    for conversation in conversations:
        progress(f"locomo: {conversation['id']}…")
        with tempfile.TemporaryDirectory(prefix="perdure-locomo-") as directory:
            async with Memory(settings(f"{directory}/memory", embedder)) as memory:
                kept = await remember(memory, conversation, measured)
                measured.answers += [await answer(memory, conversation, each, kept) for each in asked(conversation)]
            measured.size += sum(file.stat().st_size for file in Path(directory).rglob("*") if file.is_file())
    return measured


def settings(store: str, embedder: str) -> MemorySettings:
    """Return settings for a store in a directory; on a busy machine a model may take its time."""
    return MemorySettings(store=store, embedder=embedder, limits={"embedder_seconds": 600.0})


async def remember(memory: Memory, conversation: Mapping[str, Any], measured: Measured) -> dict[str, str]:
    """Add a conversation, and return which memory holds each turn."""
    kept: dict[str, str] = {}
    for session in conversation["sessions"]:
        told = [turn for turn in session["turns"] if content(turn)]
        started = perf_counter()
        added = await memory.add(messages({**session, "turns": told}), user_id=conversation["id"])
        measured.adding += perf_counter() - started
        measured.turns += len(told)
        kept |= {turn["id"]: each.id for turn, each in zip(told, added.results, strict=True)}
    return kept


async def answer(
    memory: Memory, conversation: Mapping[str, Any], question: Mapping[str, Any], kept: Mapping[str, str]
) -> Answer:
    """Ask a question, and see how much of its evidence comes back."""
    started = perf_counter()
    found = await memory.search(question["question"], user_id=conversation["id"], limit=max(DEPTHS))
    milliseconds = (perf_counter() - started) * 1e3
    ids = [hit.id for hit in found.results]
    evidence = [kept[turn] for turn in question["evidence"] if turn in kept]
    recall = {depth: sum(each in ids[:depth] for each in evidence) / len(evidence) for depth in DEPTHS}
    return Answer(conversation["id"], question["category"], recall, milliseconds)


def table(answers: Sequence[Answer]) -> str:
    """Return recall by category, by conversation and over all, a line each."""
    groups: defaultdict[str, list[Answer]] = defaultdict(list)
    for each in sorted(answers, key=lambda one: one.category):
        groups[each.category].append(each)
    for each in answers:
        groups[each.conversation].append(each)
    groups["all"] = list(answers)
    heads = "".join(f"{f'recall@{depth}':>12}" for depth in DEPTHS)
    lines = [f"{'':16}{'questions':>12}{heads}"]
    for name, group in groups.items():
        shares = "".join(f"{mean(group, depth):>12.3f}" for depth in DEPTHS)
        lines.append(f"{name:16}{len(group):>12}{shares}")
    return "\n".join(lines)


def mean(answers: Sequence[Answer], depth: int) -> float:
    """Return the recall of some questions, each counted alike."""
    return sum(each.recall[depth] for each in answers) / len(answers)


def costs(measured: Measured) -> str:
    """Return what it took."""
    waits = [each.milliseconds for each in measured.answers]
    return (
        f"time per search   p50 {number(percentile(waits, 50))} ms, p95 {number(percentile(waits, 95))} ms\n"
        f"adding            {number(measured.turns / measured.adding)} turns/s, a session a call\n"
        f"on disk           {number(measured.size / 1e6)} MB for {measured.turns:,} turns, "
        f"{number(measured.size / measured.turns / 1e3)} kB each"
    )


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="FILE", help="LoCoMo conversations")
    parser.add_argument("--embedder", default="static", help='as in the settings: "static" (default) or "minilm"')
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to a file")
    options = parser.parse_args()
    measured_on = machine("none", load())
    conversations = json.loads(options.data.read_text(encoding="utf-8"))
    measured = asyncio.run(measure(conversations, options.embedder))
    report(measured, options.embedder, measured_on, options.json)


def report(measured: Measured, embedder: str, measured_on: Mapping[str, str], path: Path | None) -> None:
    """Print everything; write it to a file as JSON where one is asked for."""
    for name, text in {**measured_on, "embedder": embedder}.items():
        print(f"{name:16}  {text}")
    reached, least = mean(measured.answers, 10), LEAST.get(embedder)
    verdict = (
        "" if least is None else f"\nrecall@10 {reached:.3f}, target {least}: {'met' if reached >= least else 'MISSED'}"
    )
    print(f"\n{table(measured.answers)}\n\n{costs(measured)}{verdict}")
    if path is not None:
        recall = {str(depth): mean(measured.answers, depth) for depth in DEPTHS}
        path.write_text(
            json.dumps({"measured_on": measured_on, "embedder": embedder, "recall": recall}, indent=2) + "\n"
        )


if __name__ == "__main__":
    main()
