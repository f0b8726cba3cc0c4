"""Pictures to H.264 at a fixed size: decoding, fitting, encoding, passing through.

For the capture alone. All pictures of a recording go through one ``PictureWriter``, in order; which
track is shown is decided in ``view.py``.
"""

import math
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import av
import numpy as np
import numpy.typing as npt
from av.video.frame import PictureType
from PIL import Image

from sitin.runner.capture.frames import EncodedVideo
from sitin.runner.capture.mp4 import HEIGHT, VIDEO_TIME, WIDTH, parameter_sets

_Bytes = npt.NDArray[np.uint8]

KEY_EVERY = 2.0
"""Seconds between key frames: how exactly a player can seek."""
SCREENSHOT_EVERY = 60.0
"""Seconds between screenshots."""
_LAST_FRAME = 1 / 25
"""Seconds before the end of a recording at which its last picture is repeated."""
_MAX_GROUP = 4 << 20
"""Bytes of a group of pictures that was passed through and is kept, to repeat its last picture."""
_FASTEST = 1 / 31
"""Seconds between frames at least: 30 a second are kept, a faster source is thinned."""

_DECODERS = {
    "video/VP8": "vp8",
    "video/VP9": "vp9",
    "video/AV1": "libdav1d",
    "video/H264": "h264",
}

_X264 = {
    # Measured on 1280x720 at 25 a second, CPU-seconds a minute: ultrafast 3-4.5, superfast twice
    # that, WebCodecs in the page (OpenH264) about 8; decoding VP8 adds 1.2-1.6.
    "preset": "ultrafast",
    # Otherwise it keeps a picture back until the next one tells how long it was shown.
    "tune": "zerolatency",
    "profile": "baseline",
    "forced-idr": "1",
    # The same parameter sets whatever the quantiser.
    "x264-params": "stitchable=1",
}
_FINEST, _COARSEST = 23, 51
"""H.264 quantisers; 6 more halve the bits. 23 is within 53 dB of what was sent, 47 of noise."""
_MOST = 1_500_000
"""Bits a second of video, beyond which it becomes coarser."""


class Mp4Sink(Protocol):
    """Where finished frames go; ``LiveMp4`` is one."""

    def video(self, data: bytes, *, seconds: float, key: bool) -> None:
        """Take an H.264 frame."""
        ...


class PictureDecoder:
    """Decodes one track; after an error it waits for the next key frame."""

    def __init__(self, mime_type: str) -> None:
        self._mime_type = mime_type
        self._context: av.VideoCodecContext | None = None
        self.errors = 0

    def decode(self, frame: EncodedVideo) -> av.VideoFrame | None:
        """The picture; of several layers of one instant the last."""
        if self._context is None:
            if not frame.key:
                return None
            self._context = self._open()
        try:
            pictures = self._context.decode(av.Packet(frame.data))
        except av.FFmpegError:
            self.errors += 1
            self._context = None
            return None
        return pictures[-1] if pictures else None

    def _open(self) -> av.VideoCodecContext:
        context = av.VideoCodecContext.create(_DECODERS[self._mime_type], "r")
        assert isinstance(context, av.VideoCodecContext)
        # One thread: more cost a tenth more CPU and add a frame of delay each.
        context.thread_count = 1
        return context


def decodable(mime_type: str) -> bool:
    """Whether pictures of this codec can be decoded."""
    return mime_type in _DECODERS


class Quantiser:
    """How coarse pictures are encoded: always the same, coarser while that makes too many bits.

    x264 can do it too, but looks at every picture beforehand for it: a quarter of its time here.
    """

    def __init__(self) -> None:
        self.value = _FINEST
        self._bits = 0

    def count(self, frame: bytes) -> None:
        """A frame was encoded."""
        self._bits += 8 * len(frame)

    def settle(self, seconds: float) -> None:
        """Choose the value for what follows, after so many seconds with the present one."""
        # In steps of the quantiser. Noise goes from all bits to none within a few of them, so it
        # becomes coarser by half of what it should, and finer a step at a time.
        too_fine = 6 * math.log2(max(self._bits, 1) / seconds / _MOST)
        if too_fine > 0:
            self.value = min(self.value + min(math.ceil(too_fine / 2), 6), _COARSEST)
        elif too_fine < -6:
            self.value = max(self.value - (1 if too_fine > -24 else 3), _FINEST)
        self._bits = 0


class PassedGroup:
    """The H.264 frames passed through since the last key frame, as far as they are few."""

    def __init__(self) -> None:
        self._frames: list[EncodedVideo] = []
        self._bytes = 0

    def add(self, frame: EncodedVideo) -> None:
        """Keeps a frame."""
        if frame.key:
            self._frames, self._bytes = [], 0
        elif not self._frames:
            return
        self._frames.append(frame)
        self._bytes += len(frame.data)
        if self._bytes > _MAX_GROUP:
            self._frames = []

    def last_picture(self) -> av.VideoFrame | None:
        """Returns the picture of the last frame, or ``None`` if the group was too large."""
        decoder = PictureDecoder("video/H264")
        pictures = [decoder.decode(frame) for frame in self._frames]
        return pictures[-1] if pictures else None


class PictureWriter:
    """Encodes pictures to the MP4 and keeps a screenshot a minute of what is recorded."""

    def __init__(self, sink: Mp4Sink, screenshots: Path) -> None:
        self._sink = sink
        self._screenshots = screenshots
        self._encoder: av.VideoCodecContext | None = None
        self._quantiser = Quantiser()
        self._last = -1.0
        self._last_key = 0.0
        self._next_screenshot = 0.0
        self._shown: av.VideoFrame | None = None
        """The last picture that was encoded; ``None`` after one that was passed through."""
        self._group = PassedGroup()
        self.screenshots = 0
        self.frames = 0

    @property
    def last(self) -> float:
        """When the last picture was shown, in seconds from the start; -1 before the first."""
        return self._last

    def show(self, picture: av.VideoFrame, seconds: float) -> bool:
        """Record a picture that is shown from ``seconds`` on; tells whether it came in time."""
        if self._last >= 0 and seconds - self._last < _FASTEST:
            return False
        # The first picture is shown from the start.
        seconds = 0.0 if self._last < 0 else seconds
        fitted = fit(picture)
        key = self._encoder is None or seconds - self._last_key >= KEY_EVERY
        encoder = self._encoder_from(seconds) if key else self._encoder
        assert encoder is not None
        fitted.pict_type = PictureType.I if key else PictureType.NONE
        fitted.pts = round(seconds / VIDEO_TIME)
        fitted.time_base = VIDEO_TIME
        for packet in encoder.encode(fitted):
            data = bytes(packet)
            self._quantiser.count(data)
            self._sink.video(data, seconds=seconds, key=packet.is_keyframe)
        self._last = seconds
        self._shown = fitted
        self.frames += 1
        if self._screenshot_due(seconds):
            self._keep(fitted)
        return True

    def finish(self, end: float) -> None:
        """Repeats the last picture just before ``end``, in seconds from the start.

        So the last frame is as close to the end of the sound as in any other second, however long
        before it the last picture came.
        """
        at = end - _LAST_FRAME
        if self._last < 0 or at - self._last < _FASTEST:
            return
        picture = self._shown or self._group.last_picture()
        if picture is not None:
            self.show(picture, at)

    def _encoder_from(self, seconds: float) -> av.VideoCodecContext:
        """The encoder for a key frame and what follows it."""
        before = self._quantiser.value
        if self._encoder is not None:
            self._quantiser.settle(seconds - self._last_key)
        if self._encoder is None or self._quantiser.value != before:
            self._encoder = _open_encoder(self._quantiser.value)
        self._last_key = seconds
        return self._encoder

    def pass_through(self, frame: EncodedVideo, seconds: float) -> None:
        """Record an H.264 frame of the recording's own size as it came."""
        seconds = 0.0 if self._last < 0 else seconds
        self._sink.video(frame.data, seconds=seconds, key=frame.key)
        # What an encoder made later has to begin with a key frame of its own.
        self._encoder = self._shown = None
        self._group.add(frame)
        self._last = seconds
        self.frames += 1
        if frame.key and self._screenshot_due(seconds):
            picture = PictureDecoder("video/H264").decode(frame)
            if picture is not None:
                self._keep(picture)

    def _screenshot_due(self, seconds: float) -> bool:
        return seconds >= self._next_screenshot

    def _keep(self, picture: av.VideoFrame) -> None:
        self.screenshots += 1
        self._next_screenshot = (self._last // SCREENSHOT_EVERY + 1) * SCREENSHOT_EVERY
        self._screenshots.mkdir(exist_ok=True)
        image = Image.fromarray(picture.to_ndarray(format="rgb24"))
        image.save(self._screenshots / f"{self.screenshots}.png")


def passable(frame: EncodedVideo) -> bytes:
    """The codec parameters of an H.264 key frame that has the recording's size; else nothing."""
    return parameter_sets(frame.data) if (frame.width, frame.height) == (WIDTH, HEIGHT) else b""


def _open_encoder(quantiser: int) -> av.VideoCodecContext:
    context = av.VideoCodecContext.create("libx264", "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height = WIDTH, HEIGHT
    context.pix_fmt = "yuv420p"
    context.time_base = VIDEO_TIME
    context.framerate = Fraction(25)
    context.gop_size = 100_000  # key frames come by time
    context.max_b_frames = 0
    context.thread_count = 1
    context.options = _X264 | {"qp": str(quantiser)}
    return context


def fit(picture: av.VideoFrame) -> av.VideoFrame:
    """The picture at the recording's size, in its own proportions, black around it."""
    if (picture.width, picture.height) == (WIDTH, HEIGHT) and picture.format.name == "yuv420p":
        return picture
    scale = min(WIDTH / picture.width, HEIGHT / picture.height)
    width = max(2, round(picture.width * scale / 2) * 2)
    height = max(2, round(picture.height * scale / 2) * 2)
    scaled = picture.reformat(width=width, height=height, format="yuv420p")
    if (width, height) == (WIDTH, HEIGHT):
        return scaled
    return _framed(scaled)


def _framed(picture: av.VideoFrame) -> av.VideoFrame:
    left = (WIDTH - picture.width) // 4 * 2
    top = (HEIGHT - picture.height) // 4 * 2
    inner = np.asarray(picture.to_ndarray(), np.uint8).reshape(-1)
    framed = np.empty(WIDTH * HEIGHT * 3 // 2, np.uint8)
    for source, target, black, half in zip(
        _planes(inner, picture.width, picture.height),
        _planes(framed, WIDTH, HEIGHT),
        (16, 128, 128),
        (1, 2, 2),
        strict=True,
    ):
        height, width = source.shape
        y, x = top // half, left // half
        target[:] = black
        target[y : y + height, x : x + width] = source
    return av.VideoFrame.from_ndarray(framed.reshape(-1, WIDTH), format="yuv420p")


def _planes(yuv: _Bytes, width: int, height: int) -> tuple[_Bytes, _Bytes, _Bytes]:
    """Views of the three planes of a packed 4:2:0 picture."""
    luma, chroma = width * height, width * height // 4
    return (
        yuv[:luma].reshape(height, width),
        yuv[luma : luma + chroma].reshape(height // 2, width // 2),
        yuv[luma + chroma :].reshape(height // 2, width // 2),
    )
