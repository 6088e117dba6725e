"""Commands that are loaded when they are used, so that `perdure --help` and completing a word take no time."""

import os
from collections.abc import Mapping
from importlib import import_module
from typing import Any, cast

import typer
import typer.completion
from typer.core import TyperGroup

from perdure.cli.parsing import Command

VARIABLE = "_PERDURE_COMPLETE"
"""Set by a shell that wants words completed."""


class Later(Command):
    """A command that is known by name and help until it is used; its module has it as `app`."""

    def __init__(self, name: str, module: str, about: str) -> None:
        super().__init__(name, help=about)
        self._module = f"{__package__}.{module}"

    def loaded(self) -> Any:
        """Return the command itself."""
        found = cast("Any", typer.main.get_command(import_module(self._module).app))
        found.name = self.name
        return found

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Return the context of the command itself; whoever runs it takes the command from there."""
        return self.loaded().make_context(info_name, args, parent, **extra)


def program_of(root: typer.Typer, commands: Mapping[str, tuple[str, str]]) -> TyperGroup:
    """Return a program whose commands are in modules beside this one: by name, the module and what it is about."""
    made = cast("TyperGroup", typer.main.get_command(root))
    made.commands.update({name: Later(name, *where) for name, where in commands.items()})
    if VARIABLE in os.environ:
        know_shells()
    return made


def know_shells() -> None:
    """Have typer know what each shell asks, and how it wants to be answered."""
    cast("Any", typer.completion).completion_init()
