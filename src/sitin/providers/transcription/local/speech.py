"""Cutting a stream of audio into stretches of speech. For the recognizers beside it."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from pocketsphinx import Vad

from sitin.providers.transcription.local.audio import SAMPLE_RATE, Samples

FRAME_SECONDS = 0.03
"""The WebRTC voice activity detector takes frames of 10, 20 or 30 ms."""
FRAME_SAMPLES = int(SAMPLE_RATE * FRAME_SECONDS)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Speech between two pauses: where it starts, in seconds, and its samples (16 kHz)."""

    start: float
    samples: Samples

    @property
    def end(self) -> float:
        """Where it ends, in seconds."""
        return self.start + len(self.samples) / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Cutting:
    """Where one stretch ends and the next begins; all in seconds but the counts and the level.

    The pause is the one that ends a diarization segment (0.8 s), less what the detector hangs on
    after the last sound.
    """

    pause: float = 0.7
    """So much without speech ends a stretch."""
    lead: float = 0.3
    """Kept before the first frame of speech."""
    tail: float = 0.3
    """Kept after the last one."""
    longest: float = 20.0
    """A stretch is cut at its quietest frame when it gets longer."""
    onset_frames: int = 4
    """So many frames of speech …"""
    onset_window: int = 8
    """… among so many begin a stretch."""
    level: float = 30.0
    """Root mean square below which a frame is silence unasked (16-bit steps, -61 dBFS)."""


def stretches(blocks: Iterable[Samples], cutting: Cutting | None = None) -> Iterator[Stretch]:
    """Yield the stretches of speech in a stream of blocks.

    Holds one stretch in memory, never the stream.
    """
    cutter = _Cutter(cutting or Cutting())
    for frame in _frames(blocks):
        yield from cutter.push(frame)
    yield from cutter.flush()


def _frames(blocks: Iterable[Samples]) -> Iterator[Samples]:
    rest = np.empty(0, np.int16)
    for block in blocks:
        rest = np.concatenate([rest, block])
        whole = len(rest) // FRAME_SAMPLES * FRAME_SAMPLES
        for start in range(0, whole, FRAME_SAMPLES):
            yield rest[start : start + FRAME_SAMPLES]
        rest = rest[whole:]
    if len(rest):
        yield np.concatenate([rest, np.zeros(FRAME_SAMPLES - len(rest), np.int16)])


class _Cutter:
    """The state between frames: waiting for speech, or within a stretch of it."""

    def __init__(self, cutting: Cutting) -> None:
        self._cutting = cutting
        self._vad = Vad(Vad.LOOSE, SAMPLE_RATE, FRAME_SECONDS)
        self._lead: deque[Samples] = deque(maxlen=_count(cutting.lead) + cutting.onset_window)
        self._recent: deque[bool] = deque(maxlen=cutting.onset_window)
        self._speech: list[Samples] = []
        self._quiet = 0
        self._seen = 0

    def push(self, frame: Samples) -> Iterator[Stretch]:
        self._seen += 1
        voiced = self._voiced(frame)
        if not self._speech:
            self._lead.append(frame)
            self._recent.append(voiced)
            if sum(self._recent) >= self._cutting.onset_frames:
                self._speech = list(self._lead)
                self._quiet = 0
                self._lead.clear()
                self._recent.clear()
            return
        self._speech.append(frame)
        self._quiet = 0 if voiced else self._quiet + 1
        if self._quiet >= _count(self._cutting.pause):
            yield self._end()
        elif len(self._speech) >= _count(self._cutting.longest):
            yield self._cut()

    def flush(self) -> Iterator[Stretch]:
        if self._speech:
            yield self._end()

    def _voiced(self, frame: Samples) -> bool:
        wide = frame.astype(np.float32)
        if float(np.sqrt(np.mean(wide * wide))) < self._cutting.level:
            return False
        return bool(self._vad.is_speech(frame.tobytes()))

    def _end(self) -> Stretch:
        """The stretch without the pause behind it; the pause may lead into the next one."""
        surplus = max(0, self._quiet - _count(self._cutting.tail))
        kept = self._speech[: len(self._speech) - surplus]
        stretch = self._stretch(kept, after=surplus)
        self._lead.extend(self._speech[len(kept) :])
        self._speech = []
        return stretch

    def _cut(self) -> Stretch:
        """The stretch up to the quietest frame of its second half; the rest goes on."""
        half = len(self._speech) // 2
        loudness = [float(np.abs(frame.astype(np.int32)).mean()) for frame in self._speech[half:]]
        at = half + int(np.argmin(loudness)) + 1
        rest = self._speech[at:]
        stretch = self._stretch(self._speech[:at], after=len(rest))
        self._speech = rest
        self._quiet = min(self._quiet, len(rest))
        if not rest:
            self._lead.clear()
        return stretch

    def _stretch(self, frames: list[Samples], *, after: int) -> Stretch:
        first = self._seen - after - len(frames)
        return Stretch(start=first * FRAME_SECONDS, samples=np.concatenate(frames))


def _count(seconds: float) -> int:
    return round(seconds / FRAME_SECONDS)
