"""FLAC files that grow while the meeting goes on. For the capture alone."""

import errno
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import numpy as np
import soundfile

from sitin.runner.capture.sound import RATE, Lane, Samples

_SILENCE: Samples = np.zeros(RATE, np.int16)
_AT_ONCE = 120 * RATE
"""Samples written at once at most: an hour of silence before somebody's first word takes three
seconds to encode, in which nobody else's sound would be written."""
_LEVEL = 0.5
"""FLAC's level 4 of 8: a fifth smaller than level 2 at the same 0.06 CPU-seconds a minute."""


class FlacFile:
    """48 kHz mono 16 bit; every encoded frame is given to the system at once.

    A file cut off by a crash plays up to its last frame; only its header lacks the length. By
    libsndfile, whose encoder takes 0.1 MB a file: FFmpeg's takes 7, and a meeting has many voices.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.samples = 0
        self._waiting: deque[Samples | int] = deque()
        """What is still to be written: sound, and lengths of silence."""
        self._file = soundfile.SoundFile(
            path,
            "w",
            samplerate=RATE,
            channels=1,
            subtype="PCM_16",
            format="FLAC",
            compression_level=_LEVEL,
        )

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
        self._file.close()

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
        try:
            self._file.write(samples)
        except soundfile.LibsndfileError as error:
            raise self._reason() or OSError(errno.EIO, error.error_string) from error
        self.samples += samples.size

    def _reason(self) -> OSError | None:
        """The library keeps the system's reason to itself: who tries once more hears it."""
        try:
            with self.path.open("ab", buffering=0) as file:
                file.write(bytes(4096))
        except OSError as reason:
            return reason
        return None


def rewrite(source: Path, target: Path, *, pad_to: int = 0) -> int:
    """Write a FLAC file anew from one that a crash cut off.

    Silence is added up to ``pad_to`` samples. Gives the samples written.
    """
    return mix([source], target, pad_to=pad_to)


def mix(sources: Sequence[Path], target: Path, *, pad_to: int = 0) -> int:
    """Write the sum of several FLAC files, each of which a crash may have cut off.

    Silence is added up to ``pad_to`` samples. Gives the samples written.
    """
    out = FlacFile(target)
    lane = Lane()
    readers = [_Reader(one) for one in sources]
    while readers:
        # As far as all that are not at their end have been read; the rest waits in the lane.
        readers = [one for one in readers if one.read_into(lane)]
        until = min((one.samples for one in readers), default=None)
        samples = lane.take(lane.end if until is None else until)
        if samples is not None:
            out.write(samples)
    if out.samples < pad_to:
        out.silence(pad_to - out.samples)
    out.close()
    return out.samples


class _Reader:
    """One FLAC file, read a frame at a time."""

    def __init__(self, path: Path) -> None:
        self._frames = _frames(path)
        self.samples = 0
        """How many have been read."""

    def read_into(self, lane: Lane) -> bool:
        """Add the next frame to a lane; tells whether there was one."""
        samples = next(self._frames, None)
        if samples is None:
            return False
        lane.add(self.samples, samples)
        self.samples += samples.size
        return True


def _frames(path: Path) -> Iterator[Samples]:
    try:
        with av.open(str(path)) as container:
            for frame in container.decode(audio=0):
                yield frame.to_ndarray().reshape(-1).astype(np.int16)
    except av.FFmpegError:
        # The last frame was cut in the middle; everything before it has been given.
        return
