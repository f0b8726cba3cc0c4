"""What participants' cameras and shared screens show, frame by frame. For film.

Frames are drawn straight into YUV 4:2:0 in studio range: the still parts once, then per frame only
what moves (a head, a clock, the marks), so that a second of video costs little.
"""

from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from sitin.rehearsal.marks import MAX_FRAME, WHITE, FrameMark, draw_mark, strip_height

SYNC_PERIOD = 2.0
"""Seconds between two sync marks."""
SYNC_LENGTH = 0.08
"""Seconds that a sync mark lasts."""

Plane = NDArray[np.uint8]

_PALETTE = ("#3f6f8f", "#7a5c8e", "#4f7f5f", "#96664a", "#5f6fa0", "#8f5f6f", "#5f8585", "#80763f")
_GRAIN_FRAMES = 5


@dataclass(frozen=True, slots=True)
class Card:
    """Everything that decides what a feed shows."""

    title: str
    """The participant's name."""
    number: int
    """The feed's number in its marks."""
    presentation: bool = False
    grain: bool = False
    sync_marks: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """Three planes of a 4:2:0 picture."""

    y: Plane
    u: Plane
    v: Plane

    def copy(self) -> "Picture":
        """A copy to draw on."""
        return Picture(self.y.copy(), self.u.copy(), self.v.copy())

    def paste(self, other: "Picture", left: int, top: int) -> None:
        """Put another picture on this one; ``left`` and ``top`` are even."""
        height, width = other.y.shape
        self.y[top : top + height, left : left + width] = other.y
        half = slice(top // 2, (top + height) // 2), slice(left // 2, (left + width) // 2)
        self.u[half] = other.u
        self.v[half] = other.v

    def frame(self) -> av.VideoFrame:
        """The picture as PyAV wants it."""
        height, width = self.y.shape
        frame = av.VideoFrame(width, height, "yuv420p")
        for plane, data in zip(frame.planes, (self.y, self.u, self.v), strict=True):
            lines = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
            lines[: data.shape[0], : data.shape[1]] = data
        return frame


def draw(card: Card, frame: int, *, fps: int, width: int, height: int) -> Picture:
    """Frame number ``frame`` of a feed, counted from the script's clock at 0."""
    seconds = frame / fps
    picture = _still(card, width, height).copy()
    head = _head(card, height)
    if head is not None:
        swing = width // 24 * np.sin(seconds * 1.7)
        left = (width - head.y.shape[1]) // 2 + int(swing)
        picture.paste(head, left // 2 * 2, _head_top(height))
    if card.grain:
        _add_grain(picture.y, frame)
    _draw_clock(picture.y, seconds)
    if card.sync_marks and seconds >= SYNC_PERIOD and seconds % SYNC_PERIOD < SYNC_LENGTH - 1e-9:
        picture.y[:] = WHITE
        picture.u[:] = 128
        picture.v[:] = 128
    draw_mark(picture.y, FrameMark(card.number, frame % (MAX_FRAME + 1)))
    top = strip_height(height) // 2
    picture.u[:top] = 128
    picture.v[:top] = 128
    return picture


def _planes(image: Image.Image) -> Picture:
    """RGB to 4:2:0 in studio range (BT.601)."""
    ycc = np.asarray(image.convert("YCbCr"), dtype=np.float32)
    y = (16 + ycc[..., 0] * 219 / 255).round().astype(np.uint8)
    chroma = 128 + (ycc[..., 1:] - 128) * 224 / 255
    height, width = y.shape
    half = chroma.reshape(height // 2, 2, width // 2, 2, 2).mean(axis=(1, 3)).round()
    return Picture(y, half[..., 0].astype(np.uint8), half[..., 1].astype(np.uint8))


def _colour(name: str) -> str:
    return _PALETTE[sha256(name.encode()).digest()[0] % len(_PALETTE)]


def _initials(name: str) -> str:
    words = name.split()
    return "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper()


def _head_top(height: int) -> int:
    return height // 4 // 2 * 2


def _draw_backdrop(pen: ImageDraw.ImageDraw, width: int, top: int, rows: int, height: int) -> None:
    """The wall behind everybody, from line ``top`` of a picture of ``height`` lines."""
    for row in range(rows):
        shade = 36 + 40 * (top + row) // height
        pen.line((0, row, width, row), fill=(shade, shade + 6, shade + 12))


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=max(size, 8))


@lru_cache(maxsize=64)
def _still(card: Card, width: int, height: int) -> Picture:
    image = Image.new("RGB", (width, height), "#202428")
    pen = ImageDraw.Draw(image)
    if card.presentation:
        pen.rectangle((0, 0, width, height), fill="#f4f4f0")
        title = f"{card.title} presents"
        pen.text((width // 16, height // 8), title, fill="#202020", font=_font(height // 12))
        for line in range(6):
            top = height // 3 + line * height // 11
            length = width * (11 - (line * 5) % 7) // 16
            pen.rectangle((width // 16, top, length, top + height // 40), fill="#b8c0c8")
    else:
        _draw_backdrop(pen, width, 0, height, height)
        pen.text(
            (width / 2, height * 6 // 7),
            card.title,
            fill="white",
            font=_font(height // 18),
            anchor="mm",
        )
    return _planes(image)


@lru_cache(maxsize=64)
def _head(card: Card, height: int) -> Picture | None:
    if card.presentation:
        return None
    size = height // 2 // 2 * 2
    image = Image.new("RGB", (size, size))
    pen = ImageDraw.Draw(image)
    _draw_backdrop(pen, size, _head_top(height), size, height)
    pen.ellipse((2, 2, size - 2, size - 2), fill=_colour(card.title))
    pen.text(
        (size / 2, size / 2),
        _initials(card.title),
        fill="white",
        font=_font(size // 3),
        anchor="mm",
    )
    return _planes(image)


@lru_cache(maxsize=8)
def _digits(height: int) -> dict[str, Plane]:
    """Luma of the clock's characters, all of one width."""
    font = _font(height)
    width = int(max(font.getlength(digit) for digit in "0123456789")) + 2
    glyphs = {}
    for character in "0123456789:.":
        image = Image.new("L", (width, height + height // 4), 16)
        pen = ImageDraw.Draw(image)
        pen.text((width / 2, height), character, fill=WHITE, font=font, anchor="ms")
        glyphs[character] = np.asarray(image, dtype=np.uint8)
    return glyphs


def _draw_clock(luma: Plane, seconds: float) -> None:
    """Hours, minutes, seconds and tenths at the lower right."""
    height, width = luma.shape
    tenths = int(seconds * 10 + 1e-6)
    text = f"{tenths // 36000:d}:{tenths // 600 % 60:02d}:{tenths // 10 % 60:02d}.{tenths % 10:d}"
    clock = np.concatenate([_digits(height // 16)[character] for character in text], axis=1)
    rows, columns = clock.shape
    luma[height - rows - 4 : height - 4, width - columns - 8 : width - 8] = clock


@lru_cache(maxsize=4)
def _grain(height: int, width: int) -> list[NDArray[np.int16]]:
    generator = np.random.default_rng(1)
    return [
        generator.integers(-6, 7, (height, width), dtype=np.int16) for _ in range(_GRAIN_FRAMES)
    ]


def _add_grain(luma: Plane, frame: int) -> None:
    grain = _grain(*luma.shape)[frame % _GRAIN_FRAMES]
    np.clip(luma.astype(np.int16) + grain, 16, WHITE, out=luma, casting="unsafe")
