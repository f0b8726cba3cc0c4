"""Which texts say nothing."""

import pytest

from sitin.kit.texts import is_blank

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\t\r\n",
        "\u200b",
        "\u2060\ufeff",
        "\u00a0\u202f\u3000",
        "\x00\x7f\x9f",
        "\u3164",
        "\u2800\u2800",
        "\ufe0f",
        "\u202e \u202c",
        "\u00ad",
        "\ud800",
    ],
)
def test_what_cannot_be_seen_is_blank(text: str) -> None:
    assert is_blank(text)


@pytest.mark.parametrize(
    "text", ["a", " . ", "\u200bNotes", "\u8bb0\u5f55", "\U0001f916", "e\u0301", "1"]
)
def test_what_can_be_seen_is_not(text: str) -> None:
    assert not is_blank(text)
