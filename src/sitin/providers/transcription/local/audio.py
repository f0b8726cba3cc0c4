"""Reading an audio file as 16 kHz mono, a block at a time. For the recognizers beside it."""

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

SAMPLE_RATE = 16_000

Samples = NDArray[np.int16]


class UnreadableAudioError(Exception):
    """The file is no audio, or none that can be decoded."""


def blocks(path: Path) -> Iterator[Samples]:
    """Yield the file's samples in order: 16 kHz, mono, 16 bits, blocks of the decoder's size.

    A packet that cannot be decoded (a recording cut off in the middle of one) is left out, and a
    file that was begun and never got a sample yields nothing. Raises ``UnreadableAudioError`` for
    what is no audio.
    """
    resampler = AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
    decoded = False
    try:
        with av.open(str(path)) as container:
            # A name alone makes a container of anything; only a header tells a rate.
            if not container.streams.audio or not container.streams.audio[0].rate:
                raise UnreadableAudioError("there is no audio in it")
            for packet in container.demux(container.streams.audio[0]):
                try:
                    frames = packet.decode()
                except av.error.InvalidDataError:
                    continue
                for frame in frames:
                    decoded = True
                    yield from _resampled(resampler, frame)
            if decoded:
                yield from _resampled(resampler, None)
    except av.error.FFmpegError as error:
        raise UnreadableAudioError(str(error)) from error


def _resampled(resampler: AudioResampler, frame: AudioFrame | None) -> Iterator[Samples]:
    for out in resampler.resample(frame):
        samples: Samples = out.to_ndarray().reshape(-1).astype(np.int16, copy=False)
        if samples.size:
            yield samples
