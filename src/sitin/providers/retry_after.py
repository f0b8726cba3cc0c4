"""The header ``Retry-After``. Used by the adapters that ask over HTTP."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_WAIT = 3600.0
"""Seconds; who asks for a longer wait is asked again after this one."""


def seconds_to_wait(said: str | None, *, now: datetime) -> float | None:
    """Seconds that the header asks to wait; ``None`` when it says nothing that makes sense."""
    text = (said or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), LONGEST_WAIT)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max(0.0, (moment - now).total_seconds()), LONGEST_WAIT)
