"""All transcription engines of this install. Built by cli, used by transcripts."""

import asyncio
import os
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from sitin.contract.transcription import EngineCapabilities, LocalEngine, RemoteEngine
from sitin.kit.errors import OperatorError
from sitin.providers.transcription.gladia import GladiaEngine
from sitin.providers.transcription.local import LocalProcessEngine
from sitin.providers.transcription.local.messages import INSTALL_WHISPER
from sitin.providers.transcription.settings import TranscriptionSettings

GLADIA = "gladia"
POCKETSPHINX = "pocketsphinx"
WHISPER = "faster-whisper"


@dataclass(frozen=True)
class Engines:
    """The engines by name, and which of them stands in where none is asked for or has a key.

    An engine is in one of the two tables.
    """

    local: Mapping[str, LocalEngine]
    remote: Mapping[str, RemoteEngine]
    default: str
    _closing: AsyncExitStack = field(default_factory=AsyncExitStack)

    def choose(self, provider: str, *, own_key: bool) -> str:
        """The name of the engine that serves a request for ``provider``.

        That is the provider itself when it can work: a local engine, or a remote one with a key,
        the customer's own or the install's. Else it is the default.
        """
        if provider in self.local:
            return provider
        remote = self.remote.get(provider)
        if remote is not None and (own_key or remote.has_key):
            return provider
        return self.default

    def capabilities(self, name: str) -> EngineCapabilities:
        """What an engine can do. Raises ``KeyError`` for one that this install does not have."""
        if name in self.remote:
            return self.remote[name].capabilities
        return self.local[name].capabilities

    async def aclose(self) -> None:
        """Close the connections of all engines."""
        await self._closing.aclose()


def build_engines(settings: TranscriptionSettings) -> Engines:
    """Set up every engine that the settings allow. Raises ``OperatorError`` for wrong settings."""
    slots = asyncio.Semaphore(settings.transcription_processes or os.cpu_count() or 1)
    gladia_key = settings.gladia_api_key.get_secret_value() if settings.gladia_api_key else None
    gladia = GladiaEngine(url=str(settings.gladia_url), api_key=gladia_key)
    local: dict[str, LocalEngine] = {POCKETSPHINX: LocalProcessEngine(POCKETSPHINX, slots=slots)}
    if settings.whisper_model is not None:
        local[WHISPER] = _whisper(settings, slots)
    closing = AsyncExitStack()
    closing.push_async_callback(gladia.aclose)
    return Engines(
        local=local,
        remote={GLADIA: gladia},
        default=_default(settings, gladia_key is not None, local),
        _closing=closing,
    )


def _default(
    settings: TranscriptionSettings, gladia_key: bool, local: Mapping[str, LocalEngine]
) -> str:
    wanted = settings.transcription_default
    if wanted is None:
        if gladia_key:
            return GLADIA
        return WHISPER if WHISPER in local else POCKETSPHINX
    if wanted == GLADIA and not gladia_key:
        raise OperatorError("SITIN_TRANSCRIPTION_DEFAULT=gladia needs SITIN_GLADIA_API_KEY.")
    if wanted == WHISPER and WHISPER not in local:
        raise OperatorError(
            "SITIN_TRANSCRIPTION_DEFAULT=faster-whisper needs SITIN_WHISPER_MODEL, "
            "a model's directory or name."
        )
    return wanted


def _whisper(settings: TranscriptionSettings, slots: asyncio.Semaphore) -> LocalEngine:
    model = settings.whisper_model or ""
    if find_spec("faster_whisper") is None:
        raise OperatorError(
            f"SITIN_WHISPER_MODEL is set and faster-whisper is not there; {INSTALL_WHISPER}"
        )
    looks_like_path = model.startswith((".", "/", "~"))
    path = Path(model).expanduser()
    if looks_like_path and not (path / "model.bin").is_file():
        raise OperatorError(
            f"SITIN_WHISPER_MODEL={model} is no directory with a CTranslate2 model "
            "(model.bin, config.json, tokenizer.json, vocabulary)."
        )
    return LocalProcessEngine(
        WHISPER,
        options=(
            "--model",
            str(path) if looks_like_path else model,
            "--device",
            settings.whisper_device,
            "--compute-type",
            settings.whisper_compute_type,
        ),
        slots=slots,
    )
