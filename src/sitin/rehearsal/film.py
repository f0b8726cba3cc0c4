"""Feeds' pictures encoded a second at a time, kept on disk by what they show. For stage.

A second is a group of pictures of its own (it begins with a keyframe and refers to nothing before
it), so seconds can be encoded in any order, in the background, and joined as they are.
"""

import asyncio
import os
import struct
import tempfile
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

import av
from av.video.codeccontext import VideoCodecContext

from sitin.rehearsal.pictures import Card, draw
from sitin.rehearsal.script import Video

_DRAWING = 1
"""Raise it when frames are drawn or encoded another way: what is kept on disk is then forgotten."""
_BITRATES = {180: 150_000, 360: 500_000, 720: 1_200_000}
"""Bits per second by height: what Meet's senders use within a factor of two."""
_KEPT_BYTES = 1 << 30
"""The cache is cut back to this size when it is opened."""


@dataclass(frozen=True, slots=True)
class Second:
    """Names one second of one feed."""

    card: Card
    index: int
    """Seconds of the script's clock."""
    height: int
    codec: str
    fps: int


def second_of(card: Card, video: Video, index: int) -> Second:
    """Names a second of a feed as the script wants it."""
    return Second(card, index, height_at(video, index), video.codec, video.fps)


def height_at(video: Video, second: int) -> int:
    """The pictures' height in this second of the script's clock."""
    return [step.height for step in video.resolution if step.at <= second][-1]


class FilmStore:
    """Encoded seconds: made in one background thread of low priority, kept in a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        _cut_back(directory, _KEPT_BYTES)
        self._encoder = ThreadPoolExecutor(1, "rehearsal-film", initializer=_lower_priority)
        self._under_way: dict[Second, asyncio.Future[tuple[bytes, ...]]] = {}

    async def frames(self, second: Second) -> tuple[bytes, ...]:
        """The encoded frames of a second, made now if they are not there yet."""
        kept = await asyncio.to_thread(_unpack, self._path(second))
        if kept is not None and len(kept) == second.fps:
            return kept
        under_way = self._under_way.get(second)
        if under_way is None:
            loop = asyncio.get_running_loop()
            under_way = loop.run_in_executor(self._encoder, self._encode, second)
            self._under_way[second] = under_way
            under_way.add_done_callback(lambda _: self._under_way.pop(second, None))
        return await asyncio.shield(under_way)

    async def prepare(self, second: Second) -> None:
        """Have a second on disk."""
        if not self._path(second).exists():
            await self.frames(second)

    def close(self) -> None:
        """Stop encoding; what is under way is finished and thrown away."""
        self._encoder.shutdown(wait=True, cancel_futures=True)

    def _path(self, second: Second) -> Path:
        content = repr((_DRAWING, _library_versions(), second))
        return self._directory / f"{sha256(content.encode()).hexdigest()}.frames"

    def _encode(self, second: Second) -> tuple[bytes, ...]:
        frames = tuple(encode(second))
        _write(self._path(second), frames)
        return frames


def encode(second: Second) -> list[bytes]:
    """Encode one second; the first frame is a keyframe. H.264 comes as Annex B."""
    width, height = second.height * 16 // 9, second.height
    name, options = _ENCODERS[second.codec]
    codec = av.CodecContext.create(name, "w")
    assert isinstance(codec, VideoCodecContext)
    codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
    codec.time_base = Fraction(1, second.fps)
    codec.framerate = Fraction(second.fps)
    codec.gop_size = second.fps
    codec.bit_rate = _BITRATES[second.height]
    codec.thread_count = 1
    codec.options = dict(options)
    packets: list[bytes] = []
    for index in range(second.fps):
        number = second.index * second.fps + index
        picture = draw(second.card, number, fps=second.fps, width=width, height=height)
        frame = picture.frame()
        frame.pts = index
        packets.extend(bytes(packet) for packet in codec.encode(frame))
    packets.extend(bytes(packet) for packet in codec.encode(None))
    assert len(packets) == second.fps, f"{name} made {len(packets)} packets of {second.fps} frames"
    return packets


_ENCODERS: dict[str, tuple[str, dict[str, str]]] = {
    "vp8": (
        "libvpx",
        {
            "deadline": "realtime",
            "cpu-used": "16",
            "lag-in-frames": "0",
            "auto-alt-ref": "0",
            "error-resilient": "1",
            "static-thresh": "100",
        },
    ),
    "h264": (
        "libx264",
        {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "profile": "baseline",
            "x264-params": "scenecut=0:annexb=1",
        },
    ),
}
"""codec → encoder and its options: fast ones, a picture of its own for every frame."""


@lru_cache(maxsize=1)
def _library_versions() -> str:
    return repr(sorted(av.library_versions.items()))


def _lower_priority() -> None:
    """Encoding gives way to whatever sends in time; on Linux a thread has its own priority."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)


def _unpack(path: Path) -> tuple[bytes, ...] | None:
    """Read a file of frames; ``None`` when it is not there or not whole."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    frames, position = [], 0
    while position + 4 <= len(data):
        (length,) = struct.unpack_from("<I", data, position)
        frames.append(data[position + 4 : position + 4 + length])
        position += 4 + length
    return tuple(frames) if frames and position == len(data) else None


def _write(path: Path, frames: Iterable[bytes]) -> None:
    """Write a file of frames whole or not at all."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
    with os.fdopen(handle, "wb") as file:
        for frame in frames:
            file.write(struct.pack("<I", len(frame)) + frame)
    Path(temporary).replace(path)


def _cut_back(directory: Path, limit: int) -> None:
    """Delete the files longest unused until the directory is no larger than ``limit`` bytes."""
    files = []
    for path in directory.glob("*.frames"):
        stat = path.stat()
        files.append((max(stat.st_atime, stat.st_mtime), stat.st_size, path))
    total = sum(size for _, size, _ in files)
    for _, size, path in sorted(files):
        if total <= limit:
            return
        path.unlink(missing_ok=True)
        total -= size
