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
