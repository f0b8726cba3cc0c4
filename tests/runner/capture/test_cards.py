"""Cards with the names of those who are there."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sitin.runner.capture.cards import MAX_LINES, name_card

pytestmark = pytest.mark.unit


def luma(*names: str) -> np.ndarray:
    card = name_card(names)
    assert (card.width, card.height, card.format.name) == (1280, 720, "yuv420p")
    return card.to_ndarray()[:720].astype(int)


def text_rows(picture: np.ndarray) -> list[int]:
    """The heights of the lines of text, in pixels."""
    bright = np.flatnonzero(np.diff((picture > 100).any(axis=1).astype(int), prepend=0, append=0))
    return [int(end - start) for start, end in bright.reshape(-1, 2)]


@pytest.mark.parametrize(
    "name", ["", "Ada", "Chloé Dubois", "田中さん", "😀", "a" * 500, "a\nb\x00"]
)
def test_a_card_shows_any_name_within_the_picture(name: str) -> None:
    picture = luma(name)
    assert picture.std() > 0
    edge = np.concatenate([picture[:, :32], picture[:, -32:]], axis=1)
    assert edge.std() == 0, "nothing is cut off at the edge"


def test_every_name_has_a_line() -> None:
    for count in range(1, MAX_LINES + 1):
        assert len(text_rows(luma(*["HHHH"] * count))) == count


def test_of_many_people_the_last_line_counts_those_left_out() -> None:
    crowd = [f"H{number}" for number in range(30)]
    assert np.array_equal(luma(*crowd), luma(*crowd[: MAX_LINES - 1], "and 23 more"))


def test_without_names_it_says_that_nobody_is_there() -> None:
    assert np.array_equal(luma(), luma("No participants"))


@given(st.lists(st.text(max_size=60), max_size=20))
@settings(max_examples=40, deadline=None)
def test_whatever_the_names_nothing_is_cut_off(names: list[str]) -> None:
    picture = luma(*names)
    edges = np.concatenate(
        [picture[:8].reshape(-1), picture[-8:].reshape(-1), picture[:, :32].reshape(-1)]
    )
    assert edges.std() == 0
