"""A clock that a test moves."""

from datetime import UTC, datetime, timedelta


class MovedClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self._now = datetime.now(UTC)

    def now(self) -> datetime:
        return self._now

    def move(self, by: timedelta) -> None:
        self._now += by
