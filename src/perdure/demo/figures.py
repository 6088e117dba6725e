"""A run as figures: one JSON-like mapping that the report prints and `--json` writes out."""

import os
import platform
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from math import ceil
from typing import Any

from perdure import MemoryHit, __version__
from perdure.demo.answers import Recall
from perdure.demo.graphs import expected_counts, first_difference
from perdure.demo.passes import Pass, Run
from perdure.demo.proof import Proof
from perdure.demo.remembering import BAD_STATEMENT, calls_for


def figures_of(run: Run) -> dict[str, Any]:
    """Return everything the demo has to say about a run; `problems` is empty when all of it is as promised."""
    return {
        "turns": len(run.turns),
        "calls": calls_for(run.turns),
        "store": "embedded" if run.uri is None else run.uri,
        "durability": run.durability,
        "max_pending": run.max_pending,
        "sync": pass_figures(run.sync),
        "deferred": pass_figures(run.deferred),
        "write_errors": [
            {"seq": error.seq, "query": error.query, "error": str(error.error)} for error in run.deferred.errors
        ],
        "read_back": read_back(run),
        "superseded": run.deferred.replaced,
        "remembered": recall_figures(run.recall),
        "proof": proof_figures(run.proof),
        "problems": problems(run),
        "machine": machine(run),
    }


def pass_figures(done: Pass) -> dict[str, Any]:
    """Return what the agent waited in one pass, in milliseconds, and what came after it."""
    return {
        "wait_p50_ms": milliseconds(percentile(done.waits, 50)),
        "wait_p99_ms": milliseconds(percentile(done.waits, 99)),
        "wait_total_ms": milliseconds(sum(done.waits)),
        "pending_after_last_turn": done.pending,
        "drain_ms": milliseconds(done.drain_seconds),
        "all_committed_ms": milliseconds(sum(done.waits) + done.drain_seconds),
        "high_water": done.stats.high_water,
        "batches": done.stats.batches,
        "retried": done.stats.retried,
        "rehearsal_ms": milliseconds(done.rehearsal_seconds),
    }


def recall_figures(done: Recall) -> dict[str, Any]:
    """Return what the agent waited for remembering, in milliseconds, and what memory answered."""
    return {
        "memories": done.memories,
        "accept_p50_ms": milliseconds(percentile([turn.wait for turn in done.turns], 50)),
        "accept_longest_ms": milliseconds(max(turn.wait for turn in done.turns)),
        "behind_p50_ms": milliseconds(percentile([turn.behind for turn in done.turns], 50)),
        "behind_longest_ms": milliseconds(max(turn.behind for turn in done.turns)),
        "rehearsal_ms": milliseconds(done.rehearsal_seconds),
        "answers": [
            {
                "question": each.question,
                "ms": milliseconds(each.seconds),
                "hits": [hit_figures(hit) for hit in each.hits],
            }
            for each in done.answers
        ],
    }


def hit_figures(hit: MemoryHit) -> dict[str, Any]:
    """Return what was said, who said it and when, and how well it fits."""
    return {
        "memory": hit.memory,
        "by": hit.name or hit.role,
        "at": hit.observed_at.isoformat(),
        "score": round(hit.score, 3),
    }


def proof_figures(proof: Proof) -> dict[str, Any]:
    """Return what became of the writes of a killed agent."""
    return {
        "accepted": proof.accepted,
        "left_in_journal": proof.left,
        "already_applied": proof.already_applied,
        "in_graph": len(proof.numbers),
        "missing": proof.missing,
        "repeated": proof.repeated,
        "in_order": proof.in_order,
        "recovered_after_ms": milliseconds(proof.recovery_seconds),
    }


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest of the values that at least `percent` of them do not exceed."""
    return sorted(values)[max(0, ceil(len(values) * percent / 100) - 1)]


def milliseconds(seconds: float) -> float:
    """Return seconds as milliseconds, to the microsecond."""
    return round(seconds * 1000, 3)


def read_back(run: Run) -> dict[str, Any]:
    """Return how many of everything the turns make and is in each graph, and whether the graphs are the same."""
    counts = {
        "expected": expected_counts(run.turns), "sync": run.sync.graph.counts(), "deferred": run.deferred.graph.counts()
    }  # fmt: skip
    kinds = dict.fromkeys(kind for count in counts.values() for kind in count)
    return {
        "equal": difference(run) is None,
        "nodes": len(run.deferred.graph.nodes),
        "relationships": len(run.deferred.graph.relationships),
        "counts": {kind: {name: count[kind] for name, count in counts.items()} for kind in kinds},
    }


def difference(run: Run) -> str | None:
    """Say where the two graphs first differ, or both from what the turns make; None when they are equal."""
    said = first_difference(run.sync.graph, run.deferred.graph, ("the sync graph", "the deferred graph"))
    if said is not None:
        return said
    expected, found = expected_counts(run.turns), run.deferred.graph.counts()
    wrong = [kind for kind in expected | found if expected[kind] != found[kind]]
    return f"Both graphs have {found[wrong[0]]} {wrong[0]}, not {expected[wrong[0]]}." if wrong else None


def problems(run: Run) -> list[str]:
    """Return a sentence for each thing that did not go as promised."""
    found = [difference(run)]
    queries = [error.query for error in run.deferred.errors]
    if queries != [BAD_STATEMENT]:
        found.append(f"write_errors should hold the one bad statement, but it holds {len(queries)}: {queries!r:.200}.")
    if run.sync.errors:
        found.append(f"The sync pass failed {len(run.sync.errors)} writes that it should not have.")
    if run.recall.memories and not all(each.hits for each in run.recall.answers):
        found.append("A question found nothing in memory.")
    proof = run.proof
    if proof.missing or proof.repeated or not proof.in_order:
        found.append(
            f"Of {proof.accepted} writes accepted before the kill, {proof.missing} are missing and {proof.repeated} "
            f"repeated{'' if proof.in_order else ', and their order is wrong'}."
        )
    return [problem for problem in found if problem is not None]


def machine(run: Run) -> dict[str, Any]:
    """Return what the figures were measured on."""
    if run.uri is None:
        store = f"kglite {installed('kglite')}, files in {tempfile.gettempdir()}, synced at each commit"
    else:
        store = f"Neo4j {run.sync.server}, driver {installed('neo4j')}"
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "perdure": __version__,
        "store": store,
        "measured": f"{datetime.now(UTC):%Y-%m-%d}",
    }


def installed(package: str) -> str:
    """Return the installed version of a package."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "of unknown version"
