"""What a person or a program gets to see: tables, sentences and progress on a terminal, or one JSON document."""

import json
import logging
import math
import re
import sys
import time
import unicodedata
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from datetime import time as time_of_day
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel
from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, Task, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from perdure.errors import PerdureError, shorten
from perdure.journal.sqlite.diagnosis import Finding
from perdure.journal.sqlite.inspection import Told

STYLES = {"good": "green", "warning": "yellow", "bad": "bold red"}
MARKS = {"good": "ok", "warning": "look", "bad": "bad"}
BYTES_STEP = 1024
REPORTED_ANYWAY = ("a write failed for good", "close stopped")
HARMLESS = "\n\u200c\u200d"
"""Beside what is printable and spaces of every width: joins, without which emoji and some scripts fall apart."""
HIDDEN = re.compile(
    r"[\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\ufff9-\ufffb]|[\U000e0000-\U000e0fff]"
)
NARROW = 60
"""Columns of a terminal on which a table has no room."""
SPANS = ((86400.0, "days"), (3600.0, "h"), (60.0, "min"))


def console(*, stderr: bool = False) -> Console:
    """Return a console that takes every text as it is."""
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)


def say(text: str = "", style: str | None = None) -> None:
    """Print a sentence."""
    _print(console(), text, style)


def complain(text: str) -> None:
    """Print a sentence to standard error."""
    _print(console(stderr=True), text, None)


def _print(screen: Console, text: str, style: str | None) -> None:
    """Print a sentence, on lines of a terminal's width, or on one line for whoever else reads it."""
    screen.print(Text(printable(text)), style=style, soft_wrap=not screen.is_terminal)


def show(what: RenderableType) -> None:
    """Print a table, or whatever else has a shape; nothing is behind its lines where that would be kept."""
    screen = console()
    if screen.is_terminal:
        screen.print(what)
        return
    with screen.capture() as taken:
        screen.print(what)
    screen.file.write("".join(f"{line.rstrip()}\n" for line in taken.get().splitlines()))


def emit(document: object) -> None:
    """Print a JSON document: what could steer a terminal stands in it as JSON's own escapes."""
    text = json.dumps(plain(document), ensure_ascii="utf" not in sys.stdout.encoding.lower(), indent=2, allow_nan=False)
    print(HIDDEN.sub(lambda found: json.dumps(found[0])[1:-1], text))


def plain(value: object) -> Any:  # noqa: PLR0911  one line a kind of value
    """Return a value as JSON has it: records as objects, times in ISO form, errors as what they say."""
    match value:
        case PerdureError():
            return {"code": value.code, "message": value.message, "hint": value.hint}
        case Path():
            return str(value)
        case date() | time_of_day():
            return value.isoformat()
        case float():
            return value if math.isfinite(value) else str(value)
        case BaseModel():
            return plain(value.model_dump())
        case Mapping():
            return {str(name): plain(item) for name, item in cast("Mapping[object, object]", value).items()}
        case list() | tuple():
            return [plain(item) for item in cast("Sequence[object]", value)]
        case _ if is_dataclass(value) and not isinstance(value, type):
            return {one.name: plain(getattr(value, one.name)) for one in fields(value)}
        case _:
            return value


def compact(value: object) -> str:
    """Return a value as JSON on one line."""
    return json.dumps(plain(value), ensure_ascii=False)


def pretty(parameters: Mapping[str, Any]) -> str:
    """Return parameters as a person reads them."""
    return printable(json.dumps(plain(parameters), ensure_ascii=False, indent=2))


# -- words


def printable(text: str) -> str:
    """Return text in which nothing can steer a terminal, or turn what stands beside it around."""
    if text.isprintable():
        return text
    return "".join(map(_sign, text.replace("\r\n", "\n").expandtabs(4)))


def _sign(sign: str) -> str:
    harmless = sign.isprintable() or sign in HARMLESS or unicodedata.category(sign) == "Zs"
    return sign if harmless else repr(sign)[1:-1]


def line(text: str, limit: int) -> str:
    """Return the beginning of a text on one line."""
    return printable(shorten(text, limit))


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def size(number: int) -> str:
    """Return a number of bytes with a unit that suits it."""
    if number < BYTES_STEP:
        return f"{number} bytes"
    value, units = float(number), ["KiB", "MiB", "GiB"]
    while (value := value / BYTES_STEP) >= BYTES_STEP and len(units) > 1:
        units.pop(0)
    return f"{value:.1f} {units[0]}"


def span(seconds: float) -> str:
    """Return a time that has passed with a unit that suits it."""
    for unit, name in SPANS:
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{max(0.0, seconds):.0f} s"


def age(since: float | datetime) -> str:
    """Return how long ago something was."""
    return span(time.time() - (since.timestamp() if isinstance(since, datetime) else since))


def moment(when: datetime) -> str:
    """Return a time to the second, in UTC."""
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def minute(when: datetime) -> str:
    """Return a time to the minute, in UTC."""
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def day(when: datetime) -> str:
    """Return the day of a time, in UTC."""
    return f"{when.astimezone(UTC):%Y-%m-%d}"


def instant(seconds: float) -> datetime | None:
    """Return seconds since 1970 as a datetime in UTC; None for what damage has made of them."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, TypeError, ValueError):
        return None


def moment_of(text: str) -> str:
    """Return a time in ISO form as `moment` does, or the text itself when it is none."""
    try:
        return moment(datetime.fromisoformat(text))
    except ValueError:
        return text


# -- tables


def sheet(rows: Sequence[tuple[str, str | Text]]) -> Table:
    """Return names and values under each other."""
    table = Table.grid(padding=(0, 2), pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, value if isinstance(value, Text) else cell(value))
    return table


def table(names: Sequence[str], rows: Sequence[Sequence[str | Text]], right: Sequence[str] = ()) -> RenderableType:
    """Return rows under the names of their columns; the last has what room there is, and folds.

    Where there is no room for that, each row is a sheet of its own.
    """
    if console().width < NARROW:
        return Group(*(Group(sheet(list(zip(names, row, strict=True))), "") for row in rows))
    made = Table(header_style="bold", expand=False)
    for name in names:
        last = name == names[-1]
        made.add_column(name, justify="right" if name in right else "left", overflow="fold", no_wrap=not last)
    for row in rows:
        made.add_row(*(each if isinstance(each, Text) else cell(each) for each in row))
    return made


def scored(hits: Sequence[tuple[float, Text]]) -> Table:
    """Return what was found, beside its scores."""
    made = Table.grid(padding=(0, 2), pad_edge=False)
    made.add_column(justify="right", no_wrap=True, style="dim")
    made.add_column(overflow="fold")
    for score, said in hits:
        made.add_row(f"{score:.2f}", said)
    return made


def report(found: Sequence[Finding]) -> None:
    """Print what was looked at, and what to do: as sentences, in which a command stays whole where it is copied."""
    show(findings(found))
    say()
    steps = [each for each in found if each.todo]
    if not steps:
        say("Nothing needs to be done.", "green")
        return
    say("To be done:", "bold")
    for each in steps:
        say(f"{each.check}: {each.todo}")


def findings(found: Sequence[Finding]) -> Table:
    """Return what was looked at, how it is, and what there is to say."""
    made = Table.grid(padding=(0, 2), pad_edge=False)
    made.add_column(no_wrap=True)
    made.add_column(overflow="fold")
    narrow = console().width < NARROW
    if not narrow:
        made.add_column(overflow="fold")
    for each in found:
        mark, name = cell(MARKS[each.level], STYLES[each.level]), cell(each.check, "bold")
        said = (name.append(f"\n{printable(each.text)}", "not bold"),) if narrow else (name, cell(each.text))
        made.add_row(mark, *said)
    return made


def cell(text: str, style: str = "") -> Text:
    """Return a text for a table."""
    return Text(printable(text), style=style)


# -- while it takes long


class HowMany(MofNCompleteColumn):
    """How many of how many are done, where that is known."""

    def render(self, task: Task) -> Text:
        """Return what stands in the column."""
        return Text() if task.total is None else super().render(task)


@contextmanager
def progress(what: str, *, quiet: bool = False) -> Generator[Told]:
    """Yield what is to be told of the progress; a bar shows it, on a terminal only."""
    screen = console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), HowMany(), TimeElapsedColumn())
    hidden = quiet or not screen.is_terminal
    with Progress(*columns, console=screen, transient=True, disable=hidden) as bar, warnings_on(bar.console):
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def warnings_on(screen: Console) -> Generator[None]:
    """Print what the library warns of, above the bar."""

    class Printing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if not record.getMessage().startswith(REPORTED_ANYWAY):
                _print(screen, f"perdure: {record.getMessage()}".rstrip(), "yellow")

    logger, handler = logging.getLogger("perdure"), Printing(logging.WARNING)
    propagated, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagated
