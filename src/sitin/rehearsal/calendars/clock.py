"""The clock of rehearsed calendars, which can be moved. For everything here that looks at the time.

Only what the calendars themselves decide goes by it: which tokens, channels and subscriptions have
expired, and when something was changed. Deliveries and delays take real seconds.
"""

from datetime import UTC, datetime, timedelta

from sitin.kit.clock import SystemClock
from sitin.rehearsal.calendars.errors import CalendarControlError


class MovableClock:
    """Runs with the machine's clock, ahead of it or behind it by what it was moved.

    Args:
        at: What it shows at the beginning; the machine's time if not given.
        standing: Whether it stands still until it is moved.
    """

    def __init__(self, at: datetime | None = None, *, standing: bool = False) -> None:
        self._machine = SystemClock()
        self._ahead = timedelta(0)
        self._stands_at: datetime | None = None
        self.set(at or self._machine.now(), standing=standing)

    @property
    def standing(self) -> bool:
        """Whether it stands still."""
        return self._stands_at is not None

    def now(self) -> datetime:
        """The time now, in UTC."""
        return self._stands_at or self._machine.now() + self._ahead

    def set(self, to: datetime, *, standing: bool | None = None) -> None:
        """Show this time, and run on or stand still as before unless told."""
        if to.tzinfo is None:
            raise CalendarControlError("at: has to have an offset, like 2027-01-10T09:00:00Z")
        stands = self.standing if standing is None else standing
        self._stands_at = to.astimezone(UTC) if stands else None
        self._ahead = to - self._machine.now()

    def move(self, by: timedelta) -> None:
        """Move it ahead, or back."""
        self.set(self.now() + by)
