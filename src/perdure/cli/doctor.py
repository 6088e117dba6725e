"""`perdure doctor`: everything that has to be right for a program here, and what to type where it is not."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import typer

from perdure.cli import checks, screen
from perdure.cli.checks import Finding
from perdure.cli.clients import interruptible
from perdure.cli.options import AsJson, DataDir, Uri, nothing_there, settings_for
from perdure.cli.parsing import Program
from perdure.errors import PerdureError
from perdure.settings import MemorySettings

Told = Callable[[int, int], None]

app = Program()


@app.command()
def doctor(*, uri: Uri = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Say what is installed, reachable, behind or damaged.

    And what to do about it. It sees what your program would, with the same settings, and mends nothing. Ends with 1
    when something is to be done.
    """
    with screen.progress("looking", quiet=as_json) as told, interruptible():
        findings = asyncio.run(looked(data_dir, uri, told))
    todo = any(finding.todo for finding in findings)
    if as_json:
        screen.emit({"needs_attention": todo, "findings": findings})
    else:
        screen.report(findings)
    if todo:
        raise typer.Exit(1)


async def looked(data_dir: Path | None, uri: str | None, told: Told) -> list[Finding]:
    """Return everything that was looked at."""
    findings = [checks.versions(), checks.extras()]
    try:
        settings = settings_for(data_dir, None, uri)
    except PerdureError as error:
        return [*findings, checks.bad("settings", error)]
    findings.append(Finding("settings", "good", checks.environment()))
    told(1, 4)
    findings += await checks.providers(settings)
    told(2, 4)
    findings += checks.disk(settings)
    findings += checks.journals_of(settings)
    told(3, 4)
    return [*findings, *await graph(settings)]


async def graph(settings: MemorySettings) -> list[Finding]:
    """Return what there is to say of the graph, and of what is searched."""
    if nothing_there(settings):
        return [Finding("graph", "good", "There is none yet; the first program that starts makes it.")]
    return await checks.graph(settings)
