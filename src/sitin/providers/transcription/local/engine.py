"""A local engine: runs a recognizer in a process of its own. Built by the registry of engines."""

import asyncio
import contextlib
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import structlog
from pydantic import TypeAdapter, ValidationError

from sitin.contract.codes import EndReason
from sitin.contract.failures import ActionRequiredError, PermanentError, RetriableError
from sitin.contract.transcription import EngineCapabilities, Transcription, Utterance
from sitin.providers.transcription.local.messages import Finished, Heard, Line, Refused

PROCESS_MODULE = "sitin.providers.transcription.local.process"
LONGEST_LINE = 1024 * 1024
KEPT_OF_STDERR = 2000
RETRY_SECONDS = 10.0

_LINE: TypeAdapter[Line] = TypeAdapter(Line)
log = structlog.get_logger(__name__)


class LocalProcessEngine:
    """A ``LocalEngine``.

    Args:
        name: The engine's name, which is also the recognizer's.
        options: Further arguments of the recognizer's process.
        slots: Bounds how many such processes run at once; shared by the engines of this machine.
    """

    def __init__(self, name: str, *, options: Sequence[str] = (), slots: asyncio.Semaphore) -> None:
        self._name = name
        self._options = tuple(options)
        self._slots = slots

    @property
    def capabilities(self) -> EngineCapabilities:
        """One voice at a time, of any length."""
        return EngineCapabilities(name=self._name, per_participant=True)

    async def transcribe(self, audio: Path, *, params: Mapping[str, Any]) -> Transcription:
        """Run the process over the file; of ``params`` the one language is taken, if it is one."""
        arguments = [self._name, str(audio), *self._options]
        language = _only_language(params)
        if language is not None:
            arguments += ["--language", language]
        async with self._slots:
            return await self._run(arguments)

    async def _run(self, arguments: Sequence[str]) -> Transcription:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            PROCESS_MODULE,
            *arguments,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            limit=LONGEST_LINE,
            env=_environment(),
        )
        try:
            (utterances, last), complaint = await asyncio.gather(_lines(process), _tail(process))
            code = await process.wait()
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if isinstance(last, Refused):
            if last.by_operator:
                raise ActionRequiredError(last.message, by="operator")
            raise PermanentError(last.message, code=EndReason.TRANSCRIPTION_FAILED)
        if last is None or code != 0:
            log.warning("recognizer_died", engine=self._name, code=code, stderr=complaint)
            raise RetriableError(
                f"The {self._name} process ended early (code {code}).", after=RETRY_SECONDS
            )
        return _transcription(self._name, utterances, last)


def _only_language(params: Mapping[str, Any]) -> str | None:
    """``language_config.languages`` of the public API, when it names exactly one."""
    config = params.get("language_config")
    languages = config.get("languages") if isinstance(config, Mapping) else None
    if isinstance(languages, list) and len(languages) == 1:
        language = languages[0]
        if isinstance(language, str) and language.isascii() and language.isalpha():
            return language.lower()
    return None


def _environment() -> dict[str, str]:
    """This process's environment without what a recognizer has no use for: keys and addresses."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SITIN_", "AWS_", "PG"))
    }


async def _lines(process: Process) -> tuple[list[Utterance], Finished | Refused | None]:
    assert process.stdout is not None
    utterances: list[Utterance] = []
    try:
        async for raw in process.stdout:
            line = _LINE.validate_json(raw)
            if isinstance(line, Heard):
                utterances.append(line.utterance)
            else:
                return utterances, line
    except (ValidationError, ValueError) as error:
        raise RetriableError(
            "The recognizer said something unexpected.", after=RETRY_SECONDS
        ) from error
    return utterances, None


async def _tail(process: Process) -> str:
    assert process.stderr is not None
    kept = b""
    while part := await process.stderr.read(4096):
        kept = (kept + part)[-KEPT_OF_STDERR:]
    return kept.decode(errors="replace")


def _transcription(name: str, utterances: list[Utterance], last: Finished) -> Transcription:
    languages = dict.fromkeys(u.language for u in utterances if u.language is not None)
    return Transcription(
        utterances=tuple(utterances),
        languages=tuple(languages),
        duration=last.duration,
        raw={
            "engine": name,
            "model": last.model,
            "duration": last.duration,
            "utterances": [utterance.model_dump(mode="json") for utterance in utterances],
        },
    )
