"""Encoded packets to sound on one timeline: decoding, gaps, attribution, mixing. For capture alone.

Everything is 48 kHz, mono, 16 bit. A timeline counts samples from the start of the recording.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import av
import numpy as np
import numpy.typing as npt

from sitin.runner.capture.frames import EncodedAudio
from sitin.runner.capture.rtp import MalformedRedundancyError, RtpClock, Sequence, unpack_red

RATE = 48_000
"""Hz: what Opus decodes to and what every file of a recording has."""

LATENESS = 2.0
"""Seconds that a packet may come late and still be recorded; then the timeline is written.

Half a second is the page's batch; the rest is for a machine that is busy.
"""

SPEECH = 328.0
"""Root mean square of -40 dBFS: what counts as somebody being heard."""

_CONCEAL = RATE * 60 // 1000
"""A gap up to 60 ms is a loss and is bridged; beyond it is silence."""
_DRIFT = RATE * 40 // 1000
"""A stream may run off its own clock by 40 ms before it is put back in its place."""
_FADE = RATE * 20 // 1000

Samples = npt.NDArray[np.int16]
_Sum = npt.NDArray[np.int32]


def silence(count: int) -> Samples:
    """Samples of silence."""
    return np.zeros(count, np.int16)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Decoded sound: ``samples`` begin ``start`` samples after the start of the recording."""

    start: int
    samples: Samples
    key: str
    """Names the voice: the contributing source or the track, by the platform's topology."""


class OpusStream:
    """Decodes one track's packets and puts them on the timeline.

    ``key_of`` names the voice of a packet.
    """

    def __init__(self, origin: float, key_of: Callable[[EncodedAudio], str]) -> None:
        self._origin = origin
        self._key_of = key_of
        self._clock = RtpClock(RATE)
        self._sequence = Sequence()
        self._decoder = av.CodecContext.create("libopus", "r")
        assert isinstance(self._decoder, av.AudioCodecContext)
        self._decoder.sample_rate = RATE
        self._decoder.layout = "mono"
        self._next = 0
        self._next_rtp = 0
        """Where the next packet of the run stands, on the timeline and by its timestamp."""
        self._tail: Samples = np.zeros(0, np.int16)
        self.undecodable = 0

    def decode(self, packets: Iterable[EncodedAudio], *, redundant: bool) -> list[Chunk]:
        """The sound of one batch of this track's packets."""
        if redundant:
            packets = self._unpacked(packets)
        chunks: list[Chunk] = []
        for packet in self._sequence.sort(packets):
            sent = self._clock.time(packet.rtp, packet.received)
            samples = self._samples(packet)
            if samples.size:
                chunks.extend(self._placed(packet, samples, sent))
        return chunks

    def _unpacked(self, packets: Iterable[EncodedAudio]) -> list[EncodedAudio]:
        unpacked: list[EncodedAudio] = []
        for packet in packets:
            try:
                unpacked.extend(unpack_red(packet) if packet.data else [packet])
            except MalformedRedundancyError:
                self.undecodable += 1
        return unpacked

    def _samples(self, packet: EncodedAudio) -> Samples:
        if not packet.data:
            # To the decoder an empty packet is the end: it would take nothing after it.
            return np.zeros(0, np.int16)
        try:
            frames = self._decoder.decode(av.Packet(packet.data))
        except av.FFmpegError:
            self.undecodable += 1
            return np.zeros(0, np.int16)
        parts = [_as_int16(frame) for frame in frames]
        return np.concatenate(parts) if parts else np.zeros(0, np.int16)

    def _placed(self, packet: EncodedAudio, samples: Samples, sent: float) -> Iterable[Chunk]:
        key = self._key_of(packet)
        start = round((sent - self._origin) * RATE)
        # Within a run of speech the sender's own count places a packet, without a seam.
        missing = _signed(packet.rtp - self._next_rtp)
        following = self._next + missing
        if missing <= _CONCEAL and abs(following - start) <= _DRIFT:
            start = following
            if missing > 0:
                yield Chunk(self._next, _bridge(self._tail, missing), key)
        else:
            missing = 0
        if missing >= 0:
            self._next = start + samples.size
            self._next_rtp = packet.rtp + samples.size
            self._tail = samples[-_FADE:]
        yield Chunk(start, samples, key)


def _signed(step: int) -> int:
    """A difference of RTP timestamps, which wrap at 32 bits."""
    return (step + 0x80000000) % 0x100000000 - 0x80000000


def _as_int16(frame: "av.AudioFrame") -> Samples:
    data = frame.to_ndarray().reshape(-1)
    if np.issubdtype(data.dtype, np.floating):
        return np.clip(data * 32767, -32768, 32767).astype(np.int16)
    return data.astype(np.int16)


def _bridge(tail: Samples, length: int) -> Samples:
    """What was heard last, repeated and faded out: less of a click than silence."""
    if tail.size == 0:
        return np.zeros(length, np.int16)
    repeated = np.resize(tail, length).astype(np.float32)
    return (repeated * np.linspace(1.0, 0.0, length, dtype=np.float32)).astype(np.int16)


class Lane:
    """Sound that is summed until its time has passed, then taken once; begins at ``base``."""

    def __init__(self, base: int = 0) -> None:
        self._base = base
        self._sum: _Sum = np.zeros(0, np.int32)

    def add(self, start: int, samples: Samples) -> None:
        """Add sound; what lies before the part already taken is too late and lost."""
        late = self._base - start
        if late > 0:
            samples = samples[late:]
            start = self._base
        if samples.size == 0:
            return
        end = start - self._base + samples.size
        if end > self._sum.size:
            self._sum = np.concatenate([self._sum, np.zeros(end - self._sum.size, np.int32)])
        self._sum[end - samples.size : end] += samples

    @property
    def end(self) -> int:
        """Where the sound that was added and not yet taken ends."""
        return self._base + self._sum.size

    def take(self, until: int) -> Samples | None:
        """Everything up to ``until``; ``None`` where nothing was added."""
        count = until - self._base
        self._base = until
        have, self._sum = self._sum[:count], self._sum[count:]
        if have.size == 0:
            return None
        samples = np.zeros(count, np.int16)
        samples[: have.size] = np.clip(have, -32768, 32767)
        return samples


@dataclass(slots=True)
class Taken:
    """Sound whose time has passed: ``count`` samples from ``start``."""

    start: int
    count: int
    mix: Samples | None
    voices: dict[str, Samples] = field(default_factory=dict)
    """By participant."""


class Mixer:
    """All voices of a recording on one timeline.

    ``resolve`` tells whose voice a key is at a sample of the timeline. It is asked only when the
    time is written, so that what the platform tells a little late still counts; ``None`` is nobody
    known.
    """

    def __init__(self, resolve: Callable[[str, int], str | None]) -> None:
        self._resolve = resolve
        self._pending: deque[Chunk] = deque()
        self._mix = Lane()
        self._voices: dict[str, Lane] = {}
        self._taken = 0

    def add(self, chunks: Iterable[Chunk]) -> None:
        """Add decoded sound."""
        self._pending.extend(chunks)

    def take(self, until: int) -> Taken:
        """Everything from where it was taken last up to ``until``, in samples."""
        until = max(until, self._taken)
        kept: deque[Chunk] = deque()
        for chunk in self._pending:
            if chunk.start >= until:
                kept.append(chunk)
                continue
            self._mix.add(chunk.start, chunk.samples)
            voice = self._resolve(chunk.key, chunk.start)
            if voice is not None:
                lane = self._voices.setdefault(voice, Lane(self._taken))
                lane.add(chunk.start, chunk.samples)
        self._pending = kept
        taken = Taken(self._taken, until - self._taken, self._mix.take(until))
        for participant, lane in self._voices.items():
            samples = lane.take(until)
            if samples is not None:
                taken.voices[participant] = samples
        self._taken = until
        return taken
