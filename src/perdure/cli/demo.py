"""`perdure demo`: what `make demo` shows, for those who have the package and no checkout."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from perdure.cli import screen
from perdure.cli.endings import Interrupted
from perdure.cli.options import AsJson, bolt_uri
from perdure.cli.parsing import Program, whole
from perdure.demo.run import run

app = Program()


@app.command()
def demo(
    *,
    uri: Annotated[
        str | None,
        typer.Option(
            "--uri",
            "--neo4j",
            metavar="URI",
            help="Use this server, and remove all of it again. Default: an embedded store in a temporary directory.",
            show_default=False,
        ),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--input",
            metavar="FILE",
            help='A JSON list of {"role", "content"}, or a LoCoMo file. Default: the conversation that is shipped.',
            show_default=False,
        ),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", parser=whole("--limit", 1), help="Use at most N turns.")
    ] = 50,
    as_json: AsJson = False,
) -> None:
    """Watch an agent's turns stop waiting; takes some ten seconds.

    One conversation is kept twice, waiting for the database and not, and compared; then it is remembered, and asked.
    At the end an agent is killed, and nothing is lost. A server's login comes from PERDURE_NEO4J__USERNAME,
    PERDURE_NEO4J__PASSWORD and PERDURE_NEO4J__DATABASE.
    """
    server = None if uri is None else bolt_uri(uri)
    try:
        code = run(source, limit, server, screen.emit if as_json else None)
    except (KeyboardInterrupt, asyncio.CancelledError) as error:
        reason = error.__context__ or error
        raise Interrupted("\n".join(getattr(reason, "__notes__", []))) from None
    raise typer.Exit(code)
