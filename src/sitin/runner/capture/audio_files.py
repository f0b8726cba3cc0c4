"""FLAC files that grow while the meeting goes on. For the capture alone."""

import errno
import os
from pathlib import Path

import av
import numpy as np
import soundfile

from sitin.runner.capture.sound import RATE, Samples

_SILENCE: Samples = np.zeros(RATE, np.int16)
_DEBT = 120 * RATE
"""Silence written at once at most, so that a voice heard late costs no pause."""
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
        self._owed = 0
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
        """Append sound; owed silence goes before it."""
        self._pay(self._owed)
        self._encode(samples)

    def silence(self, count: int) -> None:
        """Append silence of ``count`` samples, some of it later."""
        self._owed += count
        self._pay(min(self._owed, _DEBT))

    def close(self) -> None:
        """Write what is owed and the header's length."""
        self._pay(self._owed)
        if self.samples == 0:
            self._encode(_SILENCE[:1])
        self._file.close()

    def _pay(self, count: int) -> None:
        self._owed -= count
        while count > 0:
            piece = _SILENCE[:count]
            self._encode(piece)
            count -= piece.size

    def _encode(self, samples: Samples) -> None:
        try:
            self._file.write(samples)
        except soundfile.LibsndfileError as error:
            raise self._as_os_error(error) from error
        self.samples += samples.size

    def _as_os_error(self, error: soundfile.LibsndfileError) -> OSError:
        """The library keeps the system's reason to itself, and a full disk is one to tell."""
        full = os.statvfs(self.path).f_bavail == 0
        return OSError(errno.ENOSPC if full else errno.EIO, error.error_string, str(self.path))


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
