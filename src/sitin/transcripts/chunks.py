"""Cutting a long recording into chunks that an engine takes. Used by the work on transcripts."""

import math
from collections.abc import Iterator
from pathlib import Path

import av
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

SHORTEST = 1.0
"""Seconds; a remainder below this stays with the chunk before it."""


def chunk_starts(duration: float, longest: float | None) -> list[float]:
    """Where the chunks of a recording begin, in seconds; the first at 0.

    Args:
        duration: The recording's length in seconds.
        longest: The longest chunk in seconds, ``None`` for no limit.
    """
    if longest is None or duration <= longest:
        return [0.0]
    count = max(1, math.ceil((duration - SHORTEST) / longest))
    return [number * longest for number in range(count)]


def cut(source: Path, target: Path, *, start: float, end: float | None) -> None:
    """Write the part of a recording from ``start`` to ``end`` (``None``: to its end) as FLAC.

    Mono, 16 bits, the source's sample rate; streams. Nothing may be left after ``start``: then the
    file holds no sample.
    """
    with av.open(str(source)) as reader, av.open(str(target), "w", format="flac") as writer:
        stream = reader.streams.audio[0]
        encoder = writer.add_stream("flac", rate=stream.rate)
        encoder.layout = "mono"
        resampler = AudioResampler(format="s16", layout="mono", rate=stream.rate)
        if start > 0:
            # To the frame before; what is too early is cut off below.
            reader.seek(int(start * av.time_base))
        first = round(start * stream.rate)
        last = None if end is None else round(end * stream.rate)
        written = 0
        for frame in reader.decode(stream):
            assert frame.pts is not None
            assert frame.time_base is not None
            at = round(frame.pts * frame.time_base * stream.rate)
            if last is not None and at >= last:
                break
            for piece in _between(frame, resampler, at=at, first=first, last=last):
                piece.pts = written
                written += piece.samples
                writer.mux(encoder.encode(piece))
        writer.mux(encoder.encode(None))


def _between(
    frame: AudioFrame, resampler: AudioResampler, *, at: int, first: int, last: int | None
) -> Iterator[AudioFrame]:
    """The samples of a frame that lie between two positions."""
    for plain in resampler.resample(frame):
        begin = max(0, first - at)
        stop = plain.samples if last is None else min(plain.samples, last - at)
        if begin < stop:
            kept = AudioFrame.from_ndarray(plain.to_ndarray()[:, begin:stop], "s16", "mono")
            kept.sample_rate = plain.sample_rate
            yield kept
        at += plain.samples
