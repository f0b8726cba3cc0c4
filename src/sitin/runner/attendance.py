"""When a bot leaves by itself: a rule over who is there and who was heard. For the session.

All times are seconds on one monotonic clock.
"""

from collections.abc import Collection

from sitin.contract.codes import EndReason
from sitin.contract.spec import Timeouts


class Attendance:
    """Follows one call from the moment the bot is in."""

    def __init__(self, timeouts: Timeouts, now: float) -> None:
        self._timeouts = timeouts
        self._admitted = now
        self._others: frozenset[str] = frozenset()
        self._first_seen: float | None = None
        self._alone_since: float | None = None
        self._heard = now

    def present(self, others: Collection[str], now: float) -> None:
        """Who is in the meeting besides the bot."""
        self._others = frozenset(others)
        if self._others:
            if self._first_seen is None:
                # The silence of an empty room is no silence of people.
                self._first_seen = self._heard = now
            self._alone_since = None
        elif self._first_seen is not None and self._alone_since is None:
            self._alone_since = now

    def heard(self, now: float) -> None:
        """Somebody was heard."""
        self._heard = max(self._heard, now)
        if self._first_seen is None:
            self._first_seen = now

    def reason_to_leave(self, now: float) -> EndReason | None:
        """Why the bot should leave now, if it should."""
        limits = self._timeouts
        if now - self._admitted >= limits.recording:
            return EndReason.RECORDING_TIMEOUT
        if self._first_seen is None:
            if now - self._admitted >= limits.no_one_joined:
                return EndReason.NO_ATTENDEES
            return None
        if self._alone_since is not None and now - self._alone_since >= limits.alone:
            return EndReason.NO_ATTENDEES
        if now - self._heard >= limits.silence:
            return EndReason.NO_SPEAKER
        return None
