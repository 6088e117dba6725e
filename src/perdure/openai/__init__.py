"""The official clients of OpenAI's API, with memory: import `OpenAI` from here instead, and say whose it is."""

from importlib import import_module

from perdure.errors import ConfigError

try:
    import_module("openai")
except ModuleNotFoundError as error:
    raise ConfigError(
        "perdure.openai needs the package 'openai'.", hint="Run: pip install 'perdure[openai]'"
    ) from error

from perdure.openai.client import AsyncOpenAI, OpenAI
from perdure.openai.turns import TurnMemory

__all__ = ["AsyncOpenAI", "OpenAI", "TurnMemory"]
