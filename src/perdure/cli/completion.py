"""`perdure completion`: what makes a shell complete commands and options."""

import os
from enum import StrEnum
from pathlib import PurePath
from typing import Annotated

import typer
from typer.completion import get_completion_script  # pyright: ignore[reportPrivateImportUsage]  there in each version

from perdure.cli import screen
from perdure.cli.lazy import VARIABLE, know_shells
from perdure.cli.options import AsJson
from perdure.cli.parsing import Program, one_of
from perdure.errors import InputError

app = Program()


class Shell(StrEnum):
    """Shells that can be told what to complete."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


Given = Annotated[
    Shell | None,
    typer.Argument(
        metavar="SHELL",
        parser=one_of("SHELL", Shell),
        autocompletion=lambda: list(map(str, Shell)),
        help="bash, zsh or fish; by default the one of $SHELL.",
    ),
]


@app.command()
def completion(shell: Given = None, *, as_json: AsJson = False) -> None:
    """Print what makes a shell complete these commands.

    For this shell only: eval "$(perdure completion bash)", or perdure completion fish | source. For every new one, put
    that line into ~/.bashrc, ~/.zshrc (behind compinit) or ~/.config/fish/config.fish.
    """
    chosen = shell or own_shell()
    know_shells()
    script = get_completion_script(prog_name="perdure", complete_var=VARIABLE, shell=chosen.value)
    if as_json:
        screen.emit({"shell": chosen.value, "script": script})
    else:
        print(script)


def own_shell() -> Shell:
    """Return the shell of whoever asks."""
    name = PurePath(os.environ.get("SHELL", "")).name
    if name not in list(Shell):
        raise InputError("Which shell is it for?", hint=f"perdure completion {'|'.join(Shell)}")
    return Shell(name)
