"""The embedder, the language model and the reranker that the settings name, each within its limits.

The only place that knows which adapter a name means. Their packages are extras, and are loaded when they are named.
"""

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from types import TracebackType
from typing import TYPE_CHECKING, Self

from perdure.errors import ConfigError
from perdure.llms.function import FunctionLanguageModel
from perdure.llms.guarded import GuardedLanguageModel
from perdure.protocols import Embedder, LanguageModel, Reranker
from perdure.rerankers.function import FunctionReranker
from perdure.runtime.limits import Limits, PoolStats
from perdure.settings import MemorySettings

if TYPE_CHECKING:
    from perdure.embedders.guarded import GuardedEmbedder
    from perdure.embedders.none import NoEmbedder
    from perdure.llms.openai import OpenAIServer

MODULES = {
    "minilm": "onnxruntime",
    "openai": "openai",
    "fastembed": "fastembed",
    "sentence-transformers": "sentence_transformers",
}
"""What is imported for an extra."""
PATHS = ("/", "./", "../", "~")
"""How the name of a model begins that is a directory on this machine, and no name."""
IN_THIS_PROCESS = ("static", "minilm", "fastembed", "sentence-transformers")


class Providers:
    """What a client asks besides its stores: `embedder`, `language_model` and `reranker`, the last two perhaps None.

    Use `async with`, or `prepare` and `close`. Raises ConfigError when what they need is not installed or not set.
    An object that was given in the settings stays its owner's to close.
    """

    def __init__(self, settings: MemorySettings) -> None:
        from perdure.rerankers.guarded import GuardedReranker  # noqa: PLC0415  loads numpy

        named = settings.embedder if isinstance(settings.embedder, str) else ""
        self._settings = settings
        self._server: OpenAIServer | None = None
        self._asks_a_server = named.startswith("openai:")
        self.limits = Limits(settings.limits, embeds_here=named.partition(":")[0] in IN_THIS_PROCESS)
        self.embedder = self._embedder_within_limits()
        model, reranker = self._language_model(), self._reranker()
        self.language_model = None if model is None else GuardedLanguageModel(model, self.limits.language_model)
        self.reranker = None if reranker is None else GuardedReranker(reranker, self.limits.reranker)

    async def prepare(self) -> Self:
        """Load the models that are in this process, however long it takes, and ask what has to be known of others.

        Raises ConfigError when a model's files are not there, and ProviderError when it does not answer.
        """
        if self._asks_a_server:
            await self.limits.embedder.run(self.embedder.prepare, provider=self.embedder.name)
        else:
            await self.embedder.prepare()
        if self.reranker is not None:
            await self.reranker.prepare()
        return self

    async def close(self, timeout: float | None = None) -> int:  # noqa: ASYNC109  its caller has a deadline for it all
        """Let threads end what they do, for at most `timeout` seconds, then disconnect; return how many threads hang.

        Safe to call twice.
        """
        try:
            return await self.limits.close(timeout)
        finally:
            if self._server is not None:
                await self._server.close()

    async def __aenter__(self) -> Self:
        try:
            return await self.prepare()
        except BaseException:
            await self.close()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def stats(self) -> Mapping[str, PoolStats]:
        """Return what each kind of work does and has done."""
        return self.limits.stats()

    def _embedder_within_limits(self) -> "GuardedEmbedder | NoEmbedder":
        """Return the embedder; the one that does nothing needs no limits."""
        if self._settings.embedder == "none":
            from perdure.embedders.none import NoEmbedder  # noqa: PLC0415  loads numpy

            return NoEmbedder()
        from perdure.embedders.guarded import GuardedEmbedder  # noqa: PLC0415  as that

        return GuardedEmbedder(self._embedder(), self.limits.embedder)

    def _embedder(self) -> Embedder:
        named = self._settings.embedder
        if not isinstance(named, str):
            return named
        kind, _, model = named.partition(":")
        threads = self.limits.embedder_threads
        if kind in MODULES:
            _require(kind, named)
        match kind:
            case "minilm":
                from perdure.embedders.minilm import MiniLMEmbedder  # noqa: PLC0415  an optional extra

                return MiniLMEmbedder(threads=threads, directory=model or None)
            case "openai":
                from perdure.embedders.openai import OpenAIEmbedder  # noqa: PLC0415  an optional extra

                return OpenAIEmbedder(
                    model,
                    self._openai(),
                    seconds=self._settings.limits.embedder_seconds,
                    dimensions=self._settings.openai.dimensions,
                )
            case "fastembed":
                from perdure.embedders.local import FastEmbedEmbedder  # noqa: PLC0415  as the others

                return FastEmbedEmbedder(model, threads=threads)
            case "sentence-transformers":
                from perdure.embedders.local import SentenceTransformersEmbedder  # noqa: PLC0415  as the others

                return SentenceTransformersEmbedder(model, threads=threads, device=self._settings.device)
            case _:
                from perdure.embedders.static import StaticEmbedder  # noqa: PLC0415  loads the tokenizer

                return StaticEmbedder(threads=threads)

    def _language_model(self) -> LanguageModel | None:
        given = self._settings.llm
        if isinstance(given, str):
            _require("openai", given)
            from perdure.llms.openai import OpenAILanguageModel  # noqa: PLC0415  an optional extra

            return OpenAILanguageModel(
                given.partition(":")[2], self._openai(), seconds=self._settings.limits.language_model_seconds
            )
        if given is None or isinstance(given, LanguageModel):
            return given
        return FunctionLanguageModel(given, threads=self.limits.language_model_threads)

    def _reranker(self) -> Reranker | None:
        given, threads = self._settings.reranker, self.limits.reranker_threads
        if given is None or isinstance(given, Reranker):
            return given
        if callable(given):
            return FunctionReranker(given, threads=threads)
        model = given.partition(":")[2]
        if model.startswith(PATHS):
            _require("minilm", given)
            from perdure.rerankers.onnx import OnnxCrossEncoder  # noqa: PLC0415  an optional extra

            return OnnxCrossEncoder(model, threads=threads)
        _require("sentence-transformers", given)
        from perdure.rerankers.sentence_transformers import (  # noqa: PLC0415  as the others
            SentenceTransformersCrossEncoder,
        )

        return SentenceTransformersCrossEncoder(model, threads=threads, device=self._settings.device)

    def _openai(self) -> "OpenAIServer":
        if self._server is None:
            from perdure.llms.openai import OpenAIServer  # noqa: PLC0415  an optional extra

            section = self._settings.openai
            self._server = OpenAIServer(
                threads=self.limits.language_model_threads,
                api_key=None if section.api_key is None else section.api_key.get_secret_value(),
                base_url=section.base_url,
                max_retries=section.max_retries,
            )
        return self._server


def adapters(settings: MemorySettings) -> Iterator[str]:
    """Yield the modules of what the settings name that take long to import, up to a second."""
    yield "perdure.embedders.guarded"
    yield "perdure.rerankers.guarded"
    if isinstance(settings.embedder, str):
        kind = settings.embedder.partition(":")[0]
        if kind in ("static", "minilm", "openai", "none"):
            yield f"perdure.embedders.{kind}"
    if isinstance(settings.llm, str):
        yield "perdure.llms.openai"
    if isinstance(settings.reranker, str) and settings.reranker.partition(":")[2].startswith(PATHS):
        yield "perdure.rerankers.onnx"


def _require(extra: str, named: str) -> None:
    if find_spec(MODULES[extra]) is None:
        raise ConfigError(
            f"{named!r} needs the package {MODULES[extra]!r}.", hint=f"Run: pip install 'perdure[{extra}]'"
        )
