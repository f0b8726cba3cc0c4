"""When a bot leaves by itself: a rule over who is there and who was heard. For the session.

All times are seconds on one monotonic clock. Bots and note takers are no company: a call in which
nobody else is there is one in which the bot is alone. Who is a bot may be told late; it then never
was company.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sitin.contract.codes import EndReason
from sitin.contract.spec import Timeouts
from sitin.runner.note_takers import is_note_taker


@dataclass(slots=True)
class _Stay:
    """One of the platform's ids in the meeting."""

    name: str
    first: float
    last: float | None = None
    """When it was there last; ``None`` while it is there."""


class Attendance:
    """Follows one call from the moment the bot is in.

    ``note_takers`` are patterns of names that are no company.
    """

    def __init__(
        self, timeouts: Timeouts, now: float, *, note_takers: Collection[str] = ()
    ) -> None:
        self._timeouts = timeouts
        self._note_takers = note_takers
        self._admitted = now
        self._stays: dict[str, _Stay] = {}
        self._bots: frozenset[str] = frozenset()
        self._first_heard: float | None = None
        self._heard = now

    def present(self, others: Mapping[str, str], now: float) -> None:
        """Who is in the meeting besides the bot: names by the platform's ids."""
        for device, stay in self._stays.items():
            if device not in others and stay.last is None:
                stay.last = now
        for device, name in others.items():
            stay = self._stays.setdefault(device, _Stay(name, first=now))
            stay.name, stay.last = name, None

    def bots(self, ids: Collection[str]) -> None:
        """Ids of other bots in the meeting, added to those that are known."""
        self._bots |= frozenset(ids)

    def heard(self, now: float) -> None:
        """Somebody was heard."""
        self._heard = max(self._heard, now)
        if self._first_heard is None:
            self._first_heard = now

    def reason_to_leave(self, now: float) -> EndReason | None:
        """Why the bot should leave now, if it should."""
        limits = self._timeouts
        if now - self._admitted >= limits.recording:
            return EndReason.RECORDING_TIMEOUT
        company = [
            stay
            for device, stay in self._stays.items()
            if device not in self._bots and not is_note_taker(stay.name, self._note_takers)
        ]
        first_seen = min((stay.first for stay in company), default=self._first_heard)
        if first_seen is None:
            return EndReason.NO_ATTENDEES if now - self._admitted >= limits.no_one_joined else None
        if company and all(stay.last is not None for stay in company):
            alone_since = max(stay.last or 0.0 for stay in company)
            if now - alone_since >= limits.alone:
                return EndReason.NO_ATTENDEES
        # The silence of an empty room is no silence of people.
        if now - max(self._heard, first_seen) >= limits.silence:
            return EndReason.NO_SPEAKER
        return None
