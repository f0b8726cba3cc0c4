"""The MP4 of a recording: fragments while the meeting goes on, an index in front afterwards.

For the capture alone. Video comes as H.264 in Annex B with its parameter sets before every key
frame, so that they may change in the middle; sound comes as samples and is encoded to AAC here.

The file is written once. It begins with room for the index of the longest recording; meanwhile it
is a fragmented MP4, readable up to its last fragment whatever happens. At the end the index goes
into its room and the fragments become one run of media: milliseconds, however long the meeting was.
"""

import contextlib
import io
import itertools
import os
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeAlias

import av

from sitin.runner.capture.sound import RATE, Samples

Packet: TypeAlias = "av.Packet[Any]"

WIDTH, HEIGHT = 1280, 720
VIDEO_TIME = Fraction(1, 90_000)
_SHORTEST_FRAME = round(0.04 / VIDEO_TIME)
"""How long the last frame is shown at least, in units of ``VIDEO_TIME``."""
_FRAGMENT_US = 1_000_000
"""A fragment a second: with the page's half second and the sound's lateness a crash loses < 4 s."""
_AAC_BITS = 96_000
_AAC = {
    # Measured on speech at 96 kbit/s: half the time of "twoloop", the encoder's default (0.5 for
    # 1.1 CPU-seconds a minute), and 11 dB less noise at the same size.
    "aac_coder": "fast",
}
_INDEX_PER_SECOND = 1024
"""Bytes of index: 30 frames of 12, 47 packets of sound of 4, a chunk of each, and half again."""
_WORTH_COPYING = 0.05
"""Room left over that is more than this share of the file is taken out by copying: short files."""


def parameter_sets(annex_b: bytes) -> bytes:
    """The SPS and PPS units at the start of a key frame, as they stand; empty without any."""
    found = b""
    for unit in nal_units(annex_b):
        kind = unit[0] & 0x1F
        if kind in (7, 8):
            found += b"\x00\x00\x00\x01" + unit
        elif kind == 5:
            break
    return found


def nal_units(annex_b: bytes) -> Iterator[bytes]:
    """The units of an Annex B frame, without their start codes."""
    at = annex_b.find(b"\x00\x00\x01")
    while at >= 0:
        start = at + 3
        at = annex_b.find(b"\x00\x00\x01", start)
        unit = annex_b[start:] if at < 0 else annex_b[start:at].rstrip(b"\x00")
        if unit:
            yield unit


class LiveMp4:
    """The file of one recording. The first video frame has to be a key frame.

    ``longest`` is the most seconds that will be written.
    """

    def __init__(self, path: Path, *, longest: float) -> None:
        self.path = path
        self.parameter_sets: set[bytes] = set()
        self._room = 64 * 1024 + int(longest * _INDEX_PER_SECOND)
        self._container: av.container.OutputContainer | None = None
        self._video: av.VideoStream | None = None
        self._audio: av.AudioStream | None = None
        self._last_pts = -1
        self._held: Packet | None = None
        """The last frame, until the next one tells how long it is shown."""
        self._waiting: list[Samples] = []
        self._samples = 0

    def video(self, data: bytes, *, seconds: float, key: bool) -> None:
        """Append a frame that is shown from ``seconds`` after the start on."""
        if key:
            self.parameter_sets.add(parameter_sets(data))
        if self._container is None:
            if not key:
                return
            self._open(data)
        assert self._container is not None
        assert self._video is not None
        packet = av.Packet(data)
        # Timestamps have to rise: neither a player nor the muxer takes two frames at one instant.
        self._last_pts = max(round(seconds / VIDEO_TIME), self._last_pts + 1)
        packet.pts = packet.dts = self._last_pts
        packet.time_base = VIDEO_TIME
        packet.is_keyframe = key
        packet.stream = self._video
        self._write_held(until=self._last_pts)
        self._held = packet

    def sound(self, samples: Samples) -> None:
        """Append sound that follows what came before."""
        if self._container is None:
            self._waiting.append(samples)
            return
        assert self._audio is not None
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = RATE
        frame.pts = self._samples
        frame.time_base = Fraction(1, RATE)
        self._samples += samples.size
        for packet in self._audio.encode(frame):
            self._container.mux(packet)

    def close(self, *, end: float = 0.0) -> None:
        """Write what is held back, then the index into its room.

        The last frame is shown until ``end``, in seconds after the start.
        """
        if self._container is None:
            return
        self._write_held(until=max(round(end / VIDEO_TIME), self._last_pts + _SHORTEST_FRAME))
        assert self._audio is not None
        for packet in self._audio.encode(None):
            self._container.mux(packet)
        self._container.close()
        self._container = None

    def _write_held(self, *, until: int) -> None:
        assert self._container is not None
        held, self._held = self._held, None
        if held is not None:
            assert held.pts is not None
            held.duration = until - held.pts
            self._container.mux(held)

    def _open(self, first: bytes) -> None:
        container = av.open(
            str(self.path),
            "w",
            format="mp4",
            options={
                "movflags": "hybrid_fragmented+default_base_moof",
                "moov_size": str(self._room),
                "frag_duration": str(_FRAGMENT_US),
                "flush_packets": "1",
            },
        )
        # The muxer takes a stream's parameters from a demuxed one; the first frame is a stream.
        with av.open(io.BytesIO(first), format="h264") as template:
            self._video = container.add_stream_from_template(template.streams.video[0])
        self._video.time_base = VIDEO_TIME
        self._audio = container.add_stream("aac", rate=RATE, layout="mono", options=_AAC)
        self._audio.bit_rate = _AAC_BITS
        container.start_encoding()
        self._mark_room()
        self._container = container
        waiting, self._waiting = self._waiting, []
        for samples in waiting:
            self.sound(samples)

    def _mark_room(self) -> None:
        """Call the room for the index a free box: the muxer leaves it zeros, which are no box."""
        with self.path.open("r+b") as file:
            start = int.from_bytes(file.read(4), "big")
            file.seek(start)
            file.write(self._room.to_bytes(4, "big") + b"free")


def duration(path: Path) -> float:
    """Seconds that a media file lasts, as its header says."""
    with av.open(str(path)) as container:
        return float((container.duration or 0) / av.time_base)


def finish(live: Path, target: Path, *, complete: bool) -> None:
    """Make the recording's file out of the live one.

    A file that was closed has its index already and is moved, unless much of its room is left over;
    one that a crash cut off ends at its last whole fragment, and becomes none before its first.
    """
    if complete and _room_left(live) <= _WORTH_COPYING * live.stat().st_size:
        live.replace(target)
        return
    if not complete:
        os.truncate(live, _whole_fragments(live))
    partial = target.with_suffix(".partial")
    if _copy(live, partial):
        partial.replace(target)
    live.unlink()


def boxes(path: Path) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of each outermost box; the last may end beyond the file."""
    with path.open("rb") as file:
        at = 0
        while len(header := file.read(8)) == 8 and (size := int.from_bytes(header[:4], "big")) >= 8:
            yield header[4:], at, at + size
            at += size
            file.seek(at)


def _whole_fragments(path: Path) -> int:
    """Bytes up to the end of the last whole fragment: no reader gets past half an index."""
    length, whole = path.stat().st_size, 0
    for name, _, end in boxes(path):
        if name == b"mdat" and end <= length:
            whole = end
    return whole


def _room_left(path: Path) -> int:
    """Bytes of free boxes before the media."""
    before = itertools.takewhile(lambda box: box[0] != b"mdat", boxes(path))
    return sum(end - start for name, start, end in before if name == b"free")


def _copy(source: Path, target: Path) -> bool:
    """Copy what can be read; tells whether there was anything.

    The picture ends with the sound: the last frame is shown until then, frames from after it are
    left out.
    """
    with contextlib.ExitStack() as files:
        try:
            incoming = files.enter_context(av.open(str(source)))
        except (av.error.InvalidDataError, av.error.EOFError):
            return False
        options = {"movflags": "faststart"}
        outgoing = files.enter_context(av.open(str(target), "w", format="mp4", options=options))
        streams = {one.index: outgoing.add_stream_from_template(one) for one in incoming.streams}
        for packet in _aligned(incoming.demux(), end=_end_of_sound(source)):
            packet.stream = streams[packet.stream.index]
            outgoing.mux(packet)
    return True


def _aligned(packets: Iterable[Packet], *, end: Fraction) -> Iterator[Packet]:
    """The packets of a file whose sound ends at ``end`` (seconds; 0 where there is none)."""
    last: Packet | None = None
    for packet in packets:
        if packet.dts is None:
            continue
        if packet.stream.type != "video":
            yield packet
        elif last is None or not end or _time(packet) < end:
            if last is not None:
                yield last
            last = packet
    if last is not None:
        if end:
            last.duration = max(1, round((end - _time(last)) / last.time_base))
        yield last


def _end_of_sound(path: Path) -> Fraction:
    """Seconds at which the last packet of sound ends; 0 where there is none."""
    with av.open(str(path)) as container:
        ends = (
            _time(packet) + packet.duration * packet.time_base
            for packet in container.demux()
            if packet.stream.type == "audio" and packet.pts is not None and packet.duration
        )
        return max(ends, default=Fraction(0))


def _time(packet: Packet) -> Fraction:
    assert packet.pts is not None
    return packet.pts * packet.time_base
