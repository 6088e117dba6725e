"""What typer makes of the words that were typed, in our words: what is wrong with them, and help on any terminal."""

import math
import re
import shutil
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from enum import StrEnum
from typing import Any, TypeVar, cast

import typer
from typer.core import TyperCommand, TyperGroup

from perdure.errors import InputError, shorten

Choice = TypeVar("Choice", bound=StrEnum)
UsageError = cast("type[Exception]", typer.BadParameter.__base__)
"""What typer raises for wrong use; where it stands is another matter in each version."""
NARROW = 60
"""Columns of a terminal on which names and what they mean have no room side by side."""
WIDEST, LEAST = 78, 30
ALIKE = 0.7
"""How alike two words are, of which one may be meant by the other; 1 is the same."""


# -- values


def whole(name: str, least: int, most: int | None = None) -> Callable[[Any], int]:
    """Return what reads a whole number from `least` on."""

    def read(typed: Any) -> int:
        try:
            number = int(typed)
        except ValueError:
            number = least - 1
        if number < least or (most is not None and number > most):
            raise no_value(name, typed, f"a whole number {limits(least, most)}")
        return number

    return read


def decimal(name: str, least: float, most: float | None = None) -> Callable[[Any], float]:
    """Return what reads a number from `least` on."""

    def read(typed: Any) -> float:
        try:
            number = float(typed)
        except ValueError:
            number = math.nan
        if not math.isfinite(number) or number < least or (most is not None and number > most):
            raise no_value(name, typed, f"a number {limits(least, most)}")
        return number

    return read


def one_of(name: str, kind: type[Choice]) -> Callable[[Any], Choice]:
    """Return what reads one of some words."""

    def read(typed: Any) -> Choice:
        if typed in list(kind):
            return kind(typed)
        *others, last = kind
        raise no_value(name, typed, f"{', '.join(others)} or {last}")

    return read


def limits(least: float, most: float | None) -> str:
    """Return in words from where to where a number goes."""
    return f"from {least:,} on" if most is None else f"from {least:,} to {most:,}"


def no_value(name: str, typed: object, wanted: str) -> InputError:
    """Return what to raise for a value that cannot be one."""
    return InputError(f"{name} should be {wanted}, not {shorten(repr(typed), 60)}.")


# -- commands


class Help(typer.Context.formatter_class):
    """Help that breaks no name and leaves no sentence out, however narrow the terminal is."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.width = max(min(shutil.get_terminal_size().columns - 2, WIDEST), LEAST)

    def write_dl(self, rows: Sequence[tuple[str, str]], *args: Any, **options: Any) -> None:
        """Write names and what they mean: side by side, or below each other where there is no room for that."""
        rows = [(re.sub(r" <.*>$", "", name), about) for name, about in rows]  # types are for those who read code
        if self.width >= NARROW or max(len(name) for name, _ in rows) <= self.width // 4:
            super().write_dl(rows, *args, **options)
            return
        for name, about in rows:
            self.write(f"{'':>{self.current_indent}}{name}\n")
            with self.indentation(), self.indentation():
                self.write_text(about)


class Context(typer.Context):
    """A context whose help is ours."""

    formatter_class = Help


class Command(TyperCommand):
    """A command that says in our words what is wrong with what was typed behind it."""

    context_class = Context
    allow_extra_args = True  # they are refused below

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Have options and arguments read; raises InputError where they cannot be."""
        typed = list(args)
        try:
            left = super().parse_args(ctx, args)
        except UsageError as error:
            raise wrong_use(error, ctx, typed) from None
        if ctx.resilient_parsing:
            return left
        if left:
            raise InputError(f"{shorten(repr(left[0]), 60)} is too much here.", hint=see(ctx))
        options = {name for param in self.get_params(ctx) if param.param_type_name == "option" for name in param.opts}
        for param in self.params:
            value = str(ctx.params.get(param.name))
            if param.param_type_name == "option" and value in options:
                raise InputError(f"{param.opts[0]} wants a value, and {value} is an option.", hint=see(ctx))
        return left

    def get_short_help_str(self, limit: int = 0) -> str:
        """Return what the command does, whole."""
        del limit
        return (self.help or "").partition("\n")[0]


class Group(TyperGroup):
    """Commands behind one name, which does the same."""

    context_class = Context

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Have what stands before the command read; raises InputError where that cannot be."""
        typed = list(args)
        try:
            return super().parse_args(ctx, args)
        except UsageError as error:
            if not typed:
                raise  # which prints help
            raise wrong_use(error, ctx, typed) from None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that is meant; raises InputError for one that is not there."""
        if args[0] in self.commands or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        near = get_close_matches(args[0], self.commands, cutoff=ALIKE)
        hint = f"Did you mean {ctx.command_path} {near[0]}?" if near else see(ctx)
        raise InputError(f"There is no command {shorten(repr(args[0]), 60)}.", hint=hint)


class Program(typer.Typer):
    """What commands are registered with."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            cls=Group,
            add_completion=False,
            pretty_exceptions_enable=False,
            rich_markup_mode=None,
            context_settings={"help_option_names": ["-h", "--help"]},
            **options,
        )

    def command(self, name: str | None = None, **options: Any) -> Callable[[Any], Any]:
        """Register a command."""
        return super().command(name, cls=Command, **options)


def wrong_use(error: Any, ctx: Any, typed: Sequence[str]) -> InputError:
    """Return in our words what typer says of wrong use."""
    option, param = getattr(error, "option_name", None), getattr(error, "param", None)
    if option is not None and hasattr(error, "possibilities"):
        return no_option(option, ctx, typed)
    if option is not None:
        wants = "takes no value" if any(word.startswith(f"{option}=") for word in typed) else "wants a value"
        return InputError(f"{option} {wants}.", hint=see(ctx))
    if param is not None and not error.message:
        return InputError(f"{param.metavar or param.name} is missing.", hint=see(ctx))
    return InputError(error.format_message(), hint=see(ctx))


def no_option(option: str, ctx: Any, typed: Sequence[str]) -> InputError:
    """Return what to say of an option that is not there, and may have been meant as a text."""
    word = next((each for each in typed if each.startswith(option)), option)
    near = get_close_matches(
        option, [name for param in ctx.command.get_params(ctx) for name in param.opts], cutoff=ALIKE
    )
    if near:
        hint = f"Did you mean {near[0]}?"
    elif isinstance(ctx.command, TyperGroup):
        hint = f"Options stand behind a command: {ctx.command_path} COMMAND {word}"
    elif option.startswith("--"):
        hint = see(ctx)
    else:
        hint = f"A text that begins with a dash stands behind --, at the end: {ctx.command_path} … -- {quoted(word)}"
    return InputError(f"There is no option {quoted(word)}.", hint=hint)


def quoted(word: str) -> str:
    """Return a word as one types it."""
    return word if re.fullmatch(r"[\w-]{1,60}", word) else shorten(repr(word), 60)


def see(ctx: Any) -> str:
    """Return where it stands how a command is used."""
    return f"See {ctx.command_path} --help"
