"""Who was heard when: loudness on disk as it comes, turns at the end.

For the runner alone. During the meeting the loudness of every voice is written down, a byte for
10 ms; afterwards the whole of it tells speech from the noise of a room, which the first seconds
cannot. A turn is a run of speech with pauses under 0.8 seconds, a segment of the diarization.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sitin.contract.recording import DiarizationSegment
from sitin.runner.capture.sound import RATE, Samples

STEP = RATE // 100
"""Samples of one level: 10 ms, as precise as the ends of a turn are told."""
PAUSE = 0.8
"""Seconds of silence that end a turn."""

_SECONDS = STEP / RATE
_SILENT = 127
"""Level of silence: decibels below full scale, as a byte."""
_CLICK = 6
"""Levels (60 ms): a shorter sound alone is a click, no speech."""
_BLOCK = 3_000
"""Levels (30 s) judged together, with as many before and after them: a room's noise changes."""
_ABOVE_NOISE, _BELOW_VOICE = 10, (20, 30)
"""Decibels: speech is 10 above the noise; it is not 30 below the voice's loud parts, and what is
less than 20 below them is speech whatever the noise."""
_FAINTEST = 60
"""Decibels below full scale: nobody understands what is fainter."""
_RECORD = struct.Struct("<HIH")

Levels = npt.NDArray[np.uint8]


def whole_steps(seconds: float) -> int:
    """Samples up to that time, rounded down to a step, so that levels lie side by side."""
    return int(seconds * RATE) // STEP * STEP


def levels(samples: Samples) -> Levels:
    """The loudness of each 10 ms: decibels below full scale, 127 for silence."""
    steps = samples[: samples.size // STEP * STEP].astype(np.float32).reshape(-1, STEP)
    power = np.mean(steps * steps, axis=1) / 32768.0**2
    decibels = -10 * np.log10(np.maximum(power, 1e-13))
    rounded: Levels = np.minimum(np.round(decibels), _SILENT).astype(np.uint8)
    return rounded


class ActivityLog:
    """The file of levels: records of participant number, first step, count and one byte a step."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)

    def add(self, number: int, start: int, heard: Levels) -> None:
        """Append what was heard of a participant from sample ``start`` on."""
        if (heard < _SILENT).any():
            self._file.write(_RECORD.pack(number, start // STEP, heard.size) + heard.tobytes())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_activity(path: Path) -> dict[int, Levels]:
    """The levels of each participant from the start of the recording on.

    A last record that a crash cut off is passed over.
    """
    data = path.read_bytes() if path.exists() else b""
    records = list(_records(data))
    length = max((start + heard.size for _, start, heard in records), default=0)
    heard_of: dict[int, Levels] = {}
    for number, start, heard in records:
        whole = heard_of.setdefault(number, np.full(length, _SILENT, np.uint8))
        whole[start : start + heard.size] = heard
    return heard_of


def merged(voices: Sequence[Levels]) -> Levels:
    """The levels of one participant who was heard as several voices: the loudest of each step."""
    length = max((one.size for one in voices), default=0)
    levels_of_all = np.full(length, _SILENT, np.uint8)
    for one in voices:
        levels_of_all[: one.size] = np.minimum(levels_of_all[: one.size], one)
    return levels_of_all


def _records(data: bytes) -> Iterable[tuple[int, int, Levels]]:
    at = 0
    while at + _RECORD.size <= len(data):
        number, start, count = _RECORD.unpack_from(data, at)
        at += _RECORD.size
        if at + count > len(data):
            return
        yield number, start, np.frombuffer(data, np.uint8, count, at)
        at += count


def turns(heard: Levels) -> list[tuple[float, float]]:
    """The turns of one voice, in seconds."""
    speech = np.zeros(heard.size, bool)
    for at in range(0, heard.size, _BLOCK):
        around = heard[max(0, at - _BLOCK) : at + 2 * _BLOCK]
        block = heard[at : at + _BLOCK]
        speech[at : at + _BLOCK] = block <= _threshold(around)
    joined: list[tuple[int, int]] = []
    for start, end in _runs(speech):
        if end - start < _CLICK:
            continue
        if joined and start - joined[-1][1] < PAUSE / _SECONDS:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return [(start * _SECONDS, end * _SECONDS) for start, end in joined]


def _threshold(around: Levels) -> float:
    """The faintest level that is speech, in decibels below full scale."""
    sound = around[around < _SILENT]
    if sound.size == 0:
        return -1.0
    # Levels count downwards: the quietest twentieth has the greatest numbers.
    noise, loud = np.percentile(sound, 95), np.percentile(sound, 5)
    nearest, farthest = _BELOW_VOICE
    wanted = min(max(noise - _ABOVE_NOISE, loud + nearest), loud + farthest)
    return float(min(wanted, _FAINTEST))


def _runs(active: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], active, [False]]).astype(np.int8)))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def diarization(
    activity: Mapping[str, Levels], names: Mapping[str, str]
) -> list[DiarizationSegment]:
    """All turns, sorted by their beginning; levels and names by participant."""
    segments = [
        DiarizationSegment(
            speaker=names.get(participant, participant),
            start_time=round(start, 3),
            end_time=round(end, 3),
            user_id=participant,
        )
        for participant, heard in activity.items()
        for start, end in turns(heard)
    ]
    return sorted(segments, key=lambda one: (one.start_time, one.end_time))
