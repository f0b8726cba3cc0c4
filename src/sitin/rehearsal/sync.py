"""How late the picture of a recording is against its sound. For tests and benchmarks.

A meeting with ``video.sync_marks`` flashes and beeps at the same instant, every ``SYNC_PERIOD``
seconds; the recording is decoded and each flash is held against the beep beside it.
"""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import av
import numpy as np

from sitin.rehearsal.pictures import SYNC_PERIOD

_BRIGHT = 0.5
"""Share of white that the brighter pixels of a picture have in a flash."""
_BRIGHTER = 0.85
"""Where the brighter ones begin: the picture that flashes may be a fourth of what is recorded."""
_LOUD = 0.3
"""Share of the recording's loudest instant."""
_INSTANT = 0.005
"""Seconds of sound whose loudness is one value."""


def sync_offsets(video: Path) -> list[float]:
    """Seconds by which each flash comes after its beep, in order; negative is before.

    Flashes without a beep within half a ``SYNC_PERIOD`` are left out, so a recording that lost
    sound or picture has fewer offsets than it has marks.
    """
    with av.open(str(video)) as container:
        flashes = list(_rises(_brightness(container), _BRIGHT))
    with av.open(str(video)) as container:
        beeps = np.array(list(_rises(_loudness(container), _LOUD)))
    offsets = [flash - beeps[np.abs(beeps - flash).argmin()] for flash in flashes if beeps.size]
    return [float(one) for one in offsets if abs(one) < SYNC_PERIOD / 2]


def _brightness(container: "av.container.InputContainer") -> Iterator[tuple[float, float]]:
    for frame in container.decode(video=0):
        luma = frame.to_ndarray()[: frame.height]
        yield frame.time or 0.0, float(np.quantile(luma, _BRIGHTER)) / 255


def _loudness(container: "av.container.InputContainer") -> list[tuple[float, float]]:
    levels: list[tuple[float, float]] = []
    for frame in container.decode(audio=0):
        samples = frame.to_ndarray().reshape(-1).astype(np.float32)
        size = round(_INSTANT * frame.sample_rate)
        for at in range(0, samples.size - size, size):
            level = float(np.sqrt(np.mean(samples[at : at + size] ** 2)))
            levels.append(((frame.time or 0.0) + at / frame.sample_rate, level))
    peak = max((level for _, level in levels), default=1.0) or 1.0
    return [(at, level / peak) for at, level in levels]


def _rises(values: Iterable[tuple[float, float]], threshold: float) -> Iterator[float]:
    """When values begin to be at least the threshold."""
    return (at for (_, before), (at, now) in pairwise(values) if before < threshold <= now)
