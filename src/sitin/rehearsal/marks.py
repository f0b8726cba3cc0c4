"""Marks in a picture that a program reads back: which feed, which frame. Used by pictures, bench.

A row of 32 blocks, black or white, over the whole width of the picture and the top eighteenth of
its height. From the left, most significant first: 5 bits number of the feed, 19 bits number of the
frame, 8 bits CRC (polynomial 0x07, start 0xFF) over the 24 before. Blocks are 40 pixels wide at
1280x720 and 10 at 320x180, so they outlive scaling and encoding again.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BLOCKS = 32
HEIGHT_SHARE = 18
"""The row is this part of the picture's height."""
FRAME_BITS = 19
MAX_FRAME = (1 << FRAME_BITS) - 1
"""5.8 hours at 25 frames a second; then the number starts again at 0."""
MAX_FEED = 31

BLACK, WHITE = 16, 235
"""Luma of the blocks in studio range."""
_DARK, _BRIGHT = 90, 160
"""A block between these is no block."""


class FrameMark(NamedTuple):
    """What a picture's marks say."""

    feed: int
    frame: int
    """Counted from the script's clock at 0, so frame / fps is the time it was due."""


def mark_bits(mark: FrameMark) -> list[bool]:
    """The 32 blocks of a mark, from left to right, ``True`` for white."""
    if not 0 <= mark.feed <= MAX_FEED or not 0 <= mark.frame <= MAX_FRAME:
        raise ValueError(f"{mark} does not fit into the marks")
    word = (mark.feed << FRAME_BITS) | mark.frame
    word = (word << 8) | _crc8(word.to_bytes(3, "big"))
    return [bool(word >> (BLOCKS - 1 - i) & 1) for i in range(BLOCKS)]


def read_bits(bits: list[bool]) -> FrameMark | None:
    """The mark of 32 blocks, or ``None`` when their checksum is wrong."""
    word = int("".join("1" if bit else "0" for bit in bits), 2)
    if _crc8((word >> 8).to_bytes(3, "big")) != word & 0xFF:
        return None
    return FrameMark(feed=word >> (FRAME_BITS + 8), frame=(word >> 8) & MAX_FRAME)


def strip_height(height: int) -> int:
    """Lines of the row of blocks in a picture of this height."""
    return height // HEIGHT_SHARE


def draw_mark(luma: NDArray[np.uint8], mark: FrameMark) -> None:
    """Write a mark into a picture's luma (height x width), in place."""
    height, width = luma.shape
    row = np.where(np.array(mark_bits(mark)), WHITE, BLACK).astype(np.uint8)
    columns = np.arange(width) * BLOCKS // width
    luma[: strip_height(height)] = row[columns]


def read_mark(luma: NDArray[np.uint8]) -> FrameMark | None:
    """Read the mark of a decoded picture's luma (height x width).

    Returns ``None`` where there is none or it cannot be read exactly. A picture inside a larger
    one is read by passing its part of the array.
    """
    height, width = luma.shape
    rows = strip_height(height)
    if rows < 2 or width < 3 * BLOCKS:
        return None
    middle = luma[rows // 4 : max(rows // 4 + 1, rows - rows // 4)].astype(np.float32).mean(axis=0)
    edges = [width * i / BLOCKS for i in range(BLOCKS + 1)]
    bits: list[bool] = []
    for left, right in pairwise(edges):
        margin = (right - left) / 4
        value = float(middle[round(left + margin) : round(right - margin)].mean())
        if _DARK < value < _BRIGHT:
            return None
        bits.append(value >= _BRIGHT)
    return read_bits(bits)


def _crc8(data: bytes) -> int:
    crc = 0xFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = ((crc << 1) ^ 0x07) & 0xFF if crc & 0x80 else crc << 1
    return crc
