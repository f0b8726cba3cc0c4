"""Ranges of bytes as headers ask for them."""

import pytest

from sitin.artifacts.ranges import ByteRange, UnsatisfiableRangeError, requested_range

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("header", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-", 0, 10),
        ("bytes=3-6", 3, 7),
        ("bytes=9-", 9, 10),
        ("bytes=5-99", 5, 10),
        ("bytes=-3", 7, 10),
        ("bytes=-99", 0, 10),
        ("bytes = 1-2", 1, 3),
    ],
)
def test_a_range(header: str, start: int, end: int) -> None:
    assert requested_range(header, 10) == ByteRange(start, end, 10)


@pytest.mark.parametrize(
    "header",
    [
        *(None, "", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=6-3", "bytes=1-2,4-5"),
        *("items=0-1", "bytes=0x1-2", "bytes=1--2", "bytes=" + "9" * 30 + "-", "bytes=١-٢"),
    ],
)
def test_what_asks_for_no_single_range_gets_everything(header: str | None) -> None:
    assert requested_range(header, 10) is None


@pytest.mark.parametrize(
    ("header", "size"), [("bytes=10-", 10), ("bytes=10-20", 10), ("bytes=-0", 10), ("bytes=0-", 0)]
)
def test_a_range_behind_the_end(header: str, size: int) -> None:
    with pytest.raises(UnsatisfiableRangeError):
        requested_range(header, size)


def test_the_header_of_the_answer() -> None:
    assert ByteRange(3, 7, 10).content_range == "bytes 3-6/10"
