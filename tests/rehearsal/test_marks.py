import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitin.rehearsal.marks import (
    BLOCKS,
    MAX_FEED,
    MAX_FRAME,
    FrameMark,
    draw_mark,
    mark_bits,
    read_bits,
    read_mark,
)

pytestmark = pytest.mark.unit

MARKS = st.builds(FrameMark, st.integers(0, MAX_FEED), st.integers(0, MAX_FRAME))


@given(MARKS)
def test_blocks_say_what_was_written(mark: FrameMark) -> None:
    bits = mark_bits(mark)
    assert len(bits) == BLOCKS
    assert read_bits(bits) == mark


@given(MARKS, st.integers(0, BLOCKS - 1))
def test_a_wrong_block_is_noticed(mark: FrameMark, wrong: int) -> None:
    bits = mark_bits(mark)
    bits[wrong] = not bits[wrong]
    assert read_bits(bits) is None


@pytest.mark.parametrize(("width", "height"), [(320, 180), (640, 360), (1280, 720), (426, 240)])
def test_pictures_of_every_size_are_read(width: int, height: int) -> None:
    luma = np.full((height, width), 120, np.uint8)
    draw_mark(luma, FrameMark(7, 123_456))
    noise = np.random.default_rng(0).normal(0, 20, luma.shape)
    noisy = np.clip(luma + noise, 0, 255).astype(np.uint8)
    assert read_mark(noisy) == FrameMark(7, 123_456)


@pytest.mark.parametrize("value", [0, 16, 128, 235, 255])
def test_a_picture_without_marks_has_none(value: int) -> None:
    assert read_mark(np.full((720, 1280), value, np.uint8)) is None


def test_a_picture_that_is_too_small_has_none() -> None:
    assert read_mark(np.zeros((20, 40), np.uint8)) is None


@pytest.mark.parametrize("mark", [FrameMark(MAX_FEED + 1, 0), FrameMark(0, MAX_FRAME + 1)])
def test_numbers_that_do_not_fit_are_refused(mark: FrameMark) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        mark_bits(mark)
