"""Who was heard when: pieces of speech on disk as they come, turns at the end.

For the runner alone. A piece is one participant's speech within one stretch of the timeline; a
turn is a run of pieces with pauses under 0.8 seconds, which is a segment of the diarization.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sitin.contract.recording import DiarizationSegment
from sitin.runner.capture.sound import RATE, Samples

PAUSE = 0.8
"""Seconds of silence that end a turn."""
_SHORTEST = 0.1
"""Seconds; a shorter sound alone is a click, no turn."""
_WINDOW = RATE // 100
"""10 ms, as precise as the ends of a turn are told."""
_QUIET = 10 ** (-50 / 20) * 32768
"""-50 dBFS: below that nobody is understood."""
_ABOVE_NOISE = 3.0
"""Speech is at least 10 dB above the noise of its microphone."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Speech of one participant, in seconds from the start of the recording."""

    participant: str
    start: float
    end: float


class SpeechDetector:
    """Finds speech in one participant's sound by its energy above the noise around it."""

    def __init__(self) -> None:
        self._noise = _QUIET / _ABOVE_NOISE

    def pieces(self, samples: Samples, start: int) -> list[tuple[float, float]]:
        """The stretches with speech, in seconds; ``start`` is where the samples begin."""
        usable = samples[: samples.size // _WINDOW * _WINDOW].astype(np.float32)
        if usable.size == 0:
            return []
        levels = np.sqrt(np.mean(usable.reshape(-1, _WINDOW) ** 2, axis=1))
        self._follow_noise(levels)
        active = levels > max(_QUIET, self._noise * _ABOVE_NOISE)
        edges = np.flatnonzero(np.diff(np.concatenate([[0], active.astype(np.int8), [0]])))
        begin = start / RATE
        return [
            (begin + first * _WINDOW / RATE, begin + last * _WINDOW / RATE)
            for first, last in edges.reshape(-1, 2)
        ]

    def _follow_noise(self, levels: "np.ndarray[tuple[int], np.dtype[np.float32]]") -> None:
        # Digital silence says nothing about the microphone.
        heard = levels[levels > 1.0]
        if heard.size == 0:
            return
        floor = float(np.percentile(heard, 10))
        # Down at once, up slowly: speech must not become noise by going on.
        self._noise = floor if floor < self._noise else self._noise * 0.95 + floor * 0.05
        self._noise = min(self._noise, 10 ** (-35 / 20) * 32768)


class ActivityLog:
    """The file of pieces; each is there as soon as it is known."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", buffering=1)

    def add(self, pieces: Iterable[Piece]) -> None:
        """Append pieces."""
        for piece in pieces:
            row = [piece.participant, round(piece.start, 3), round(piece.end, 3)]
            self._file.write(json.dumps(row) + "\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_pieces(path: Path) -> list[Piece]:
    """The pieces of a log; a last line that a crash cut off is passed over."""
    if not path.exists():
        return []
    pieces = []
    for line in path.read_text().splitlines():
        try:
            participant, start, end = json.loads(line)
        except ValueError:
            continue
        pieces.append(Piece(participant, start, end))
    return pieces


def turns(pieces: Iterable[Piece], names: Mapping[str, str]) -> list[DiarizationSegment]:
    """The diarization: turns sorted by their beginning; ``names`` by participant."""
    by_participant: defaultdict[str, list[Piece]] = defaultdict(list)
    for piece in pieces:
        by_participant[piece.participant].append(piece)
    segments = []
    for participant, own in by_participant.items():
        for start, end in _joined(own):
            segments.append(
                DiarizationSegment(
                    speaker=names.get(participant, participant),
                    start_time=round(start, 3),
                    end_time=round(end, 3),
                    user_id=participant,
                )
            )
    return sorted(segments, key=lambda one: (one.start_time, one.end_time))


def _joined(pieces: list[Piece]) -> list[tuple[float, float]]:
    joined: list[tuple[float, float]] = []
    for piece in sorted(pieces, key=lambda one: one.start):
        if joined and piece.start - joined[-1][1] < PAUSE:
            joined[-1] = (joined[-1][0], max(joined[-1][1], piece.end))
        else:
            joined.append((piece.start, piece.end))
    return [(start, end) for start, end in joined if end - start >= _SHORTEST]
