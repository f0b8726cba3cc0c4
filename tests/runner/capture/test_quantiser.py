"""How coarse pictures are encoded: always the same, coarser while that makes too many bits."""

from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitin.runner.capture.mp4 import parameter_sets
from sitin.runner.capture.picture import KEY_EVERY, PictureWriter, Quantiser

pytestmark = pytest.mark.unit

MOST = 1_500_000
"""Bits a second that a recording's video may have."""


class Sink:
    """Keeps what the writer has encoded."""

    def __init__(self) -> None:
        self.frames: list[tuple[bytes, float, bool]] = []

    def video(self, data: bytes, *, seconds: float, key: bool) -> None:
        self.frames.append((data, seconds, key))

    def rate(self, start: float, end: float) -> float:
        """Bits a second between two times."""
        sizes = [len(data) for data, seconds, _ in self.frames if start <= seconds < end]
        return 8 * sum(sizes) / (end - start)


def noisy(number: int, amplitude: int) -> av.VideoFrame:
    """A picture of a sensor's noise around grey, another one each time."""
    noise = np.random.default_rng(number)
    yuv = np.full((1080, 1280), 128, np.uint8)
    yuv[:720] = noise.integers(128 - amplitude, 129 + amplitude, (720, 1280))
    return av.VideoFrame.from_ndarray(yuv, format="yuv420p")


def test_an_easy_picture_is_encoded_as_finely_as_ever() -> None:
    quantiser = Quantiser()
    finest = quantiser.value
    for _ in range(10):
        quantiser.count(bytes(1000))
        quantiser.settle(2.0)
    assert quantiser.value == finest


def test_too_many_bits_make_it_coarser_and_few_make_it_fine_again() -> None:
    quantiser = Quantiser()
    finest = quantiser.value

    def spend(rate: float) -> int:
        quantiser.count(bytes(round(2 * rate / 8)))
        quantiser.settle(2.0)
        return quantiser.value - finest

    assert spend(1.1 * MOST) == 1
    assert spend(4 * MOST) == 7, "four times too many: half of the twelve steps that are it"
    assert spend(0.9 * MOST) == 7, "as many as there may be"
    assert spend(0.4 * MOST) == 6
    assert [spend(0.01 * MOST) for _ in range(4)] == [3, 0, 0, 0]


@given(st.lists(st.tuples(st.integers(0, 10**9), st.floats(0.01, 1e6)), max_size=20))
def test_it_is_always_one_of_h264s(groups: list[tuple[int, float]]) -> None:
    quantiser = Quantiser()
    for bits, seconds in groups:
        quantiser.count(bytes(min(bits, 10**6)))
        quantiser.settle(seconds)
        assert 0 <= quantiser.value <= 51


def test_noise_costs_no_more_than_it_may(tmp_path: Path) -> None:
    sink = Sink()
    writer = PictureWriter(sink, tmp_path)
    pictures = [noisy(number, amplitude=6) for number in range(25)]
    for number in range(20 * 25):
        writer.show(pictures[number % 25], number / 25)
    assert sink.rate(0.0, KEY_EVERY) > MOST, "this is too much for the finest"
    assert sink.rate(KEY_EVERY, 20.0) < MOST
    keys = [data for data, _, key in sink.frames if key]
    assert len({parameter_sets(data) for data in keys}) == 1, "a player may read them once"
