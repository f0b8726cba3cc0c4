"""Encoded sound and pictures as a page receives them, made here. For tests of the capture."""

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType, VideoFrame

from sitin.rehearsal.marks import FrameMark, draw_mark, read_mark
from sitin.runner.capture.cards import name_card
from sitin.runner.capture.frames import EncodedAudio, EncodedVideo
from sitin.runner.capture.sound import RATE, Samples

ORIGIN = 1_800_000_000.0
"""When the recordings of these tests begin, in seconds since 1970."""
PACKET = RATE // 50
"""Samples of a packet: 20 ms, as every platform sends them."""


def tone(seconds: float, *, hertz: float = 440.0, level: float = 0.3) -> Samples:
    """A sine; ``level`` is its peak as a share of full scale."""
    times = np.arange(round(seconds * RATE)) / RATE
    return (np.sin(2 * np.pi * hertz * times) * level * 32767).astype(np.int16)


def encode_opus(samples: Samples) -> list[bytes]:
    """Opus packets of 20 ms."""
    codec = av.CodecContext.create("libopus", "w")
    assert isinstance(codec, AudioCodecContext)
    codec.sample_rate, codec.format, codec.layout = RATE, "s16", "mono"
    codec.time_base = Fraction(1, RATE)
    codec.options = {"frame_duration": "20", "application": "voip"}
    packets: list[bytes] = []
    for at in range(0, samples.size // PACKET * PACKET, PACKET):
        frame = AudioFrame.from_ndarray(samples[None, at : at + PACKET], "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, at, Fraction(1, RATE)
        packets += [bytes(packet) for packet in codec.encode(frame)]
    return packets[: samples.size // PACKET]


def audio_packets(
    payloads: Sequence[bytes],
    *,
    at: float = 0.0,
    track: int = 1,
    sources: tuple[int, ...] = (),
    rtp: int = 90_000,
    sequence: int = 1_000,
    late: float = 0.0,
) -> list[EncodedAudio]:
    """Packets sent from ``at`` seconds after the start on, each received ``late`` seconds later."""
    return [
        EncodedAudio(
            track=track,
            rtp=(rtp + number * PACKET) & 0xFFFFFFFF,
            sequence=(sequence + number) & 0xFFFF,
            received=ORIGIN + at + number * PACKET / RATE + late,
            sources=sources,
            data=payload,
        )
        for number, payload in enumerate(payloads)
    ]


_ENCODERS: dict[str, tuple[str, dict[str, str]]] = {
    "video/VP8": ("libvpx", {"deadline": "realtime", "cpu-used": "16", "lag-in-frames": "0"}),
    "video/VP9": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}),
    "video/H264": (
        "libx264",
        {"preset": "ultrafast", "tune": "zerolatency", "x264-params": "annexb=1:scenecut=0"},
    ),
}


@lru_cache(maxsize=64)
def encode_video(
    mime_type: str,
    count: int,
    *,
    feed: int = 0,
    size: tuple[int, int] = (320, 180),
    key_every: int = 25,
    first: int = 0,
    quality: str = "30",
) -> tuple[tuple[bytes, bool], ...]:
    """``count`` frames whose marks tell feed and number, and whether each is a key frame."""
    name, options = _ENCODERS[mime_type]
    codec = av.CodecContext.create(name, "w")
    assert isinstance(codec, VideoCodecContext)
    codec.width, codec.height, codec.pix_fmt = *size, "yuv420p"
    codec.time_base, codec.framerate = Fraction(1, 25), Fraction(25)
    codec.gop_size, codec.max_b_frames, codec.thread_count = 100_000, 0, 1
    codec.options = dict(options) | ({"crf": quality} if name == "libx264" else {})
    out: list[tuple[bytes, bool]] = []
    for number in range(count):
        frame = VideoFrame.from_ndarray(picture(feed, first + number, size), format="yuv420p")
        frame.pts, frame.time_base = number, Fraction(1, 25)
        frame.pict_type = PictureType.I if number % key_every == 0 else PictureType.NONE
        out += [(bytes(packet), packet.is_keyframe) for packet in codec.encode(frame)]
    out += [(bytes(packet), packet.is_keyframe) for packet in codec.encode(None)]
    assert len(out) == count
    return tuple(out)


def picture(feed: int, number: int, size: tuple[int, int] = (320, 180)) -> np.ndarray:
    """A grey 4:2:0 picture with its mark, as one array of ``height * 3 / 2`` rows."""
    width, height = size
    yuv = np.full((height * 3 // 2, width), 128, np.uint8)
    yuv[:height] = 40 + feed * 6
    luma = yuv[:height]
    draw_mark(luma, FrameMark(feed, number))
    return yuv


def video_frames(
    encoded: Sequence[tuple[bytes, bool]],
    *,
    at: float = 0.0,
    track: int = 10,
    size: tuple[int, int] = (320, 180),
    fps: float = 25.0,
    rtp: int = 7_000,
    late: float = 0.0,
) -> list[EncodedVideo]:
    """Frames sent from ``at`` seconds after the start on, each received ``late`` seconds later."""
    return [
        EncodedVideo(
            track=track,
            key=key,
            rtp=(rtp + round(number / fps * 90_000)) & 0xFFFFFFFF,
            received=ORIGIN + at + number / fps + late,
            width=size[0] if key else 0,
            height=size[1] if key else 0,
            data=data,
        )
        for number, (data, key) in enumerate(encoded)
    ]


def read_video(path: Path) -> list[tuple[float, FrameMark | None]]:
    """Time and mark of every picture of a file; fails where one does not decode."""
    found = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        # An error in a frame is an error here, not something to be concealed.
        stream.codec_context.options = {"err_detect": "explode"}
        for frame in container.decode(stream):
            assert frame.time is not None
            assert (frame.width, frame.height) == (1280, 720)
            luma = np.asarray(frame.to_ndarray()[: frame.height], np.uint8)
            found.append((frame.time, read_mark(luma)))
    return found


def stream_ends(path: Path) -> dict[str, float]:
    """Seconds at which picture and sound of a file end, as its index says."""
    ends: dict[str, float] = {}
    with av.open(str(path)) as container:
        for stream in container.streams:
            assert stream.duration is not None
            assert stream.time_base is not None
            end = (stream.start_time or 0) + stream.duration
            ends[stream.type] = float(end * stream.time_base)
    return ends


def assert_card(path: Path, names: Sequence[str], *, at: float = 0.0) -> None:
    """Assert that a file's picture at this time is the card with these names."""
    with av.open(str(path)) as container:
        container.seek(round(at * av.time_base))
        shown = next(one for one in container.decode(video=0) if (one.time or 0.0) >= at - 0.05)
        luma = np.asarray(shown.to_ndarray()[: shown.height], np.int16)
    card = np.asarray(name_card(tuple(names)).to_ndarray()[: shown.height], np.int16)
    assert np.abs(luma - card).mean() < 2.0
    assert card.std() > 5.0


def read_sound(path: Path) -> Samples:
    """Every sample of a file's sound, 48 kHz mono; a file may end in the middle of a frame."""
    parts: list[Samples] = [np.zeros(0, np.int16)]
    resampler = av.AudioResampler("s16", "mono", RATE)
    with av.open(str(path)) as container:
        try:
            for frame in container.decode(audio=0):
                parts.extend(
                    even.to_ndarray().reshape(-1).astype(np.int16)
                    for even in resampler.resample(frame)
                )
        except av.FFmpegError:
            pass
    return np.concatenate(parts)


def loudness(samples: Samples) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(samples.astype(np.float64) ** 2))) if samples.size else 0.0


def boxes(path: Path) -> list[str]:
    """The names of an MP4's outermost boxes, in order."""
    names, at, size_of_file = [], 0, path.stat().st_size
    with path.open("rb") as file:
        while at + 8 <= size_of_file:
            file.seek(at)
            size, name = int.from_bytes(file.read(4), "big"), file.read(4).decode("latin-1")
            if size == 1:
                size = int.from_bytes(file.read(8), "big")
            assert size >= 8, f"box {name!r} at {at} has a size of {size}"
            names.append(name)
            at += size
    return names
