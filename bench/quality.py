"""How good a recording is, against what was sent: frames, gaps, sync, speakers."""

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from pyannote.core import Annotation, Segment, Timeline
from pyannote.metrics.diarization import DiarizationErrorRate

from sitin.contract.recording import Recording
from sitin.rehearsal import Truth
from sitin.rehearsal.marks import read_mark

COLLAR = 0.25
"""Seconds on each side of a boundary that do not count."""


@dataclass(frozen=True)
class Pictures:
    """What a video holds of the frames that were sent."""

    share: float
    """Frames recorded of the frames sent while they were on air."""
    longest_gap: float
    """Seconds."""
    unreadable: int
    """Pictures whose mark could not be read."""


def pictures(video: Path) -> Pictures:
    """Read the marks of every decoded frame."""
    times: list[float] = []
    numbers: list[int] = []
    unreadable = 0
    with av.open(str(video)) as container:
        for frame in container.decode(video=0):
            assert frame.time is not None
            times.append(frame.time)
            plane = np.asarray(frame.to_ndarray()[: frame.height], np.uint8)
            mark = read_mark(plane)
            if mark is None:
                unreadable += 1
            else:
                numbers.append(mark.frame)
    sent = max(numbers) - min(numbers) + 1
    gaps = [later - earlier for earlier, later in pairwise(times)]
    return Pictures(len(set(numbers)) / sent, max(gaps), unreadable)


def diarization_error(recording: Recording, diarization: Path, truth: Truth) -> float:
    """The share of speech that was given to the wrong speaker, missed or made up."""
    reference, hypothesis = Annotation(), Annotation()
    for number, turn in enumerate(truth.turns):
        start = (turn.start - recording.started_at).total_seconds()
        end = (turn.end - recording.started_at).total_seconds()
        reference[Segment(max(0.0, start), end), number] = turn.speaker
    for number, line in enumerate(diarization.read_text().splitlines()):
        row = json.loads(line)
        hypothesis[Segment(row["start_time"], row["end_time"]), number] = row["speaker"]
    # The library's collar is the whole width around a boundary.
    metric = DiarizationErrorRate(collar=2 * COLLAR)
    whole = Timeline([Segment(0.0, recording.duration)])
    return float(metric(reference, hypothesis, uem=whole))


def sync(video: Path) -> float | None:
    """Seconds by which the picture is late against the sound, the median over all sync marks."""
    flashes = _rises(_brightness(video), 0.5)
    beeps = _rises(_loudness(video), 0.3)
    offsets = [
        flash - beep
        for flash in flashes
        for beep in [min(beeps, key=lambda one: abs(one - flash), default=None)]
        if beep is not None and abs(flash - beep) < 0.5
    ]
    return float(np.median(offsets)) if offsets else None


def _brightness(video: Path) -> list[tuple[float, float]]:
    with av.open(str(video)) as container:
        return [
            (frame.time or 0.0, float(np.median(frame.to_ndarray()[: frame.height])) / 255)
            for frame in container.decode(video=0)
        ]


def _loudness(video: Path) -> list[tuple[float, float]]:
    levels: list[tuple[float, float]] = []
    with av.open(str(video)) as container:
        for frame in container.decode(audio=0):
            samples = frame.to_ndarray().reshape(-1)
            for at in range(0, samples.size - 240, 240):
                level = float(np.sqrt(np.mean(samples[at : at + 240] ** 2)))
                levels.append(((frame.time or 0.0) + at / frame.sample_rate, level))
    peak = max((level for _, level in levels), default=1.0) or 1.0
    return [(at, level / peak) for at, level in levels]


def _rises(values: list[tuple[float, float]], threshold: float) -> list[float]:
    return [at for (_, before), (at, now) in pairwise(values) if before < threshold <= now]
