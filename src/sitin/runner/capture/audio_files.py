"""FLAC files that grow while the meeting goes on. For the capture alone."""

from collections import deque
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from sitin.runner.capture.sound import RATE, Samples

_SILENCE: Samples = np.zeros(RATE, np.int16)
_AT_ONCE = 120 * RATE
"""Samples written at once at most: an hour of silence before somebody's first word takes three
seconds to encode, in which nobody else's sound would be written."""


class FlacFile:
    """48 kHz mono 16 bit; every encoded frame is given to the system at once.

    A file cut off by a crash plays up to its last frame; only its header lacks the length.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.samples = 0
        self._waiting: deque[Samples | int] = deque()
        """What is still to be written: sound, and lengths of silence."""
        self._container = av.open(str(path), "w", format="flac", options={"flush_packets": "1"})
        self._stream = self._container.add_stream("flac", rate=RATE, layout="mono", format="s16")
        # Level 2 is within 2 % of the default's size on speech at half its time.
        self._stream.codec_context.options = {"compression_level": "2"}

    def write(self, samples: Samples) -> None:
        """Append sound; while there is much silence to be written before it, it waits."""
        self._waiting.append(samples)
        self._work_off(_AT_ONCE)

    def silence(self, count: int) -> None:
        """Append silence of ``count`` samples, some of it later."""
        if count > 0:
            self._waiting.append(count)
            self._work_off(_AT_ONCE)

    def close(self) -> None:
        """Write what waits and the header's length."""
        while self._waiting:
            self._work_off(_AT_ONCE)
        if self.samples == 0:
            self._encode(_SILENCE[:1])
        for packet in self._stream.encode(None):
            self._container.mux(packet)
        self._container.close()

    def _work_off(self, room: int) -> None:
        while self._waiting and room > 0:
            first = self._waiting.popleft()
            if isinstance(first, int):
                piece = _SILENCE[: min(first, room)]
                if first > piece.size:
                    self._waiting.appendleft(first - piece.size)
            else:
                piece = first
            room -= piece.size
            if piece.size:
                self._encode(piece)

    def _encode(self, samples: Samples) -> None:
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = RATE
        frame.pts = self.samples
        frame.time_base = Fraction(1, RATE)
        self.samples += samples.size
        for packet in self._stream.encode(frame):
            self._container.mux(packet)


def rewrite(source: Path, target: Path, *, pad_to: int = 0) -> int:
    """Write a FLAC file anew from one that a crash cut off.

    Silence is added up to ``pad_to`` samples. Gives the samples written.
    """
    out = FlacFile(target)
    try:
        with av.open(str(source)) as container:
            for frame in container.decode(audio=0):
                samples: Samples = frame.to_ndarray().reshape(-1).astype(np.int16)
                out.write(samples)
    except av.FFmpegError:
        # The last frame was cut in the middle; everything before it has been written.
        pass
    if out.samples < pad_to:
        out.silence(pad_to - out.samples)
    out.close()
    return out.samples
