"""For schemathesis: addresses and times of which many are such that an operation takes them."""

from datetime import UTC, datetime, timedelta

import schemathesis
from hypothesis import strategies as st

MEETINGS = (
    "https://meet.google.com/abc-defg-hij",
    "https://zoom.us/j/85000000000?pwd=Ab",
    "https://teams.microsoft.com/meet/33749853217630?p=Ab",
)
OTHERS = ("https://example.com/a.png", "wss://example.com/live", "http://127.0.0.1/", "ftp://a/")

schemathesis.openapi.format("uri", st.sampled_from(MEETINGS * 3 + OTHERS))
schemathesis.openapi.format(
    "date-time",
    st.integers(-3600, 200 * 24 * 3600).map(
        lambda ahead: f"{datetime.now(UTC) + timedelta(seconds=ahead):%Y-%m-%dT%H:%M:%SZ}"
    ),
)
