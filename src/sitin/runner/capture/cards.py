"""Pictures with names, shown where no camera and no screen is to be seen. For the capture alone."""

from collections.abc import Sequence

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from sitin.contract.meeting import UNNAMED
from sitin.runner.capture.mp4 import HEIGHT, WIDTH

MAX_LINES = 8
"""Lines of a card. Where more people are there, the last line counts those who are left out."""

_NOBODY = "No participants"
_BACKGROUND, _TEXT = (32, 33, 36), (232, 234, 237)
_LARGEST, _SMALLEST, _STEP = 72, 36, 4
"""Sizes of the font in pixels; the largest at which every line fits is taken."""
_LINE = 1.4
"""Height of a line, in sizes of the font."""
_USABLE = 0.9
"""Share of the picture's width and height that text may take."""


def name_card(names: Sequence[str]) -> av.VideoFrame:
    """Returns a picture of the recording's size with these names, one a line, in this order.

    Control characters are shown as spaces. A line that is too long even in the smallest font ends
    with an ellipsis. Without any name the card says that nobody is there.
    """
    lines = _lines(names)
    image = Image.new("RGB", (WIDTH, HEIGHT), _BACKGROUND)
    draw = ImageDraw.Draw(image)
    width = WIDTH * _USABLE
    size = min(_LARGEST, int(HEIGHT * _USABLE / (_LINE * len(lines))))
    font = ImageFont.load_default(size)
    while size > _SMALLEST and max(draw.textlength(one, font) for one in lines) > width:
        size -= _STEP
        font = ImageFont.load_default(size)
    height = size * _LINE
    top = HEIGHT / 2 - height * (len(lines) - 1) / 2
    for number, line in enumerate(lines):
        text = _shortened(line, draw, font, width)
        draw.text((WIDTH / 2, top + number * height), text, fill=_TEXT, font=font, anchor="mm")
    picture = av.VideoFrame.from_ndarray(np.asarray(image), format="rgb24")
    return picture.reformat(format="yuv420p")


def _lines(names: Sequence[str]) -> list[str]:
    lines = [_printable(one) for one in names]
    if len(lines) > MAX_LINES:
        left_out = len(lines) - MAX_LINES + 1
        lines = [*lines[: MAX_LINES - 1], f"and {left_out} more"]
    return lines or [_NOBODY]


def _printable(name: str) -> str:
    words = "".join(c if c.isprintable() else " " for c in name).split()
    return " ".join(words) or UNNAMED


def _shortened(
    line: str,
    draw: ImageDraw.ImageDraw,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    width: float,
) -> str:
    while (length := draw.textlength(line, font)) > width:
        line = line[: min(len(line) - 2, int(len(line) * width / length))] + "…"
    return line
