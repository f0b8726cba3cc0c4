"""faster-whisper with a model that the operator names. For the process beside it.

The package is the extra ``whisper``; it is imported here and nowhere else, and late.
"""

import math
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from sitin.contract.transcription import Utterance, Word
from sitin.providers.transcription.local.audio import SAMPLE_RATE, Samples
from sitin.providers.transcription.local.messages import INSTALL_WHISPER
from sitin.providers.transcription.local.recognizer import CannotRunError

WINDOW_SECONDS = 600
"""Audio given to the model at once; 38 MB as the floats it wants."""
SEAM_SECONDS = 30
"""A window is cut at the quietest half second of so much audio at its end."""
SURE_SECONDS = 10.0
"""So much speech tells the language; less may be a name or a cough."""


class WhisperRecognizer:
    """A ``Recognizer`` for one speaker, whose language holds once it is known.

    Args:
        model: A directory, or a name that faster-whisper knows and downloads.
        device: ``auto``, ``cpu`` or ``cuda``.
        compute_type: CTranslate2's word for the precision.
        language: ISO 639-1 where it is known beforehand.
    """

    def __init__(self, *, model: str, device: str, compute_type: str, language: str | None) -> None:
        try:
            # Late: an optional package, and a second of start-up.
            from faster_whisper import WhisperModel
        except ImportError as error:
            raise CannotRunError(f"faster-whisper is not installed; {INSTALL_WHISPER}") from error
        self._name = Path(model).name
        self._language = language
        try:
            self._model: Any = WhisperModel(model, device=device, compute_type=compute_type)
        except (OSError, RuntimeError, ValueError) as error:
            raise CannotRunError(
                f"SITIN_WHISPER_MODEL={model} cannot be loaded: {error}"
            ) from error

    @property
    def model(self) -> str:
        """The package's version and the model's name."""
        return f"faster-whisper {version('faster-whisper')} {self._name}"

    def utterances(self, blocks: Iterable[Samples]) -> Iterator[Utterance]:
        """One utterance per segment that the model makes out."""
        start = 0
        for window in _windows(blocks):
            if np.any(window):
                yield from self._recognise(window, offset=start / SAMPLE_RATE)
            start += len(window)

    def _recognise(self, window: Samples, *, offset: float) -> Iterator[Utterance]:
        segments, info = self._model.transcribe(
            window.astype(np.float32) / 32768.0,
            language=self._language,
            word_timestamps=True,
            vad_filter=True,
            # A mistake must not be carried on through an hour.
            condition_on_previous_text=False,
        )
        if self._language is None and info.duration_after_vad >= SURE_SECONDS:
            self._language = info.language
        for segment in segments:
            utterance = _utterance(segment, language=info.language, offset=offset)
            if utterance.text:
                yield utterance


def _utterance(segment: Any, *, language: str, offset: float) -> Utterance:
    words = tuple(
        Word(
            word=word.word.strip(),
            start=round(offset + word.start, 3),
            end=round(offset + word.end, 3),
            confidence=round(min(1.0, max(0.0, float(word.probability))), 4),
        )
        for word in segment.words or ()
    )
    if words:
        confidence = sum(word.confidence for word in words) / len(words)
    else:
        confidence = min(1.0, math.exp(segment.avg_logprob))
    return Utterance(
        text=segment.text.strip(),
        language=language,
        start=words[0].start if words else round(offset + segment.start, 3),
        end=words[-1].end if words else round(offset + segment.end, 3),
        confidence=round(confidence, 4),
        words=words,
    )


def _windows(blocks: Iterable[Samples]) -> Iterator[Samples]:
    """Cut the stream into windows at quiet places."""
    held: list[Samples] = []
    length = 0
    for block in blocks:
        held.append(block)
        length += len(block)
        if length >= WINDOW_SECONDS * SAMPLE_RATE:
            whole = np.concatenate(held)
            at = _quietest(whole)
            yield whole[:at]
            held = [whole[at:]]
            length = len(held[0])
    if length:
        yield np.concatenate(held)


def _quietest(window: Samples) -> int:
    """Index of the middle of the quietest half second near the window's end."""
    half = SAMPLE_RATE // 2
    begin = len(window) - SEAM_SECONDS * SAMPLE_RATE
    loudness = [
        float(np.abs(window[at : at + half].astype(np.int32)).mean())
        for at in range(begin, len(window) - half + 1, half)
    ]
    return begin + int(np.argmin(loudness)) * half + half // 2
