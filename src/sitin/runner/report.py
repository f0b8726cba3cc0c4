"""What a bot tells the world: statuses, participants, surprises, its end. For session and visit."""

from pathlib import Path

from playwright.async_api import Page

from sitin.contract.codes import BotStatus
from sitin.contract.events import (
    Ended,
    JoinedAs,
    ParticipantLeft,
    ParticipantSeen,
    StatusReached,
    UnexpectedSeen,
)
from sitin.contract.meeting import Roster
from sitin.runner.browser import snapshot
from sitin.runner.people import People, others_of
from sitin.runner.spool import Spool

_UP_TO_RECORDING = frozenset(
    {
        BotStatus.IN_WAITING_ROOM,
        BotStatus.IN_WAITING_FOR_HOST,
        BotStatus.IN_CALL_NOT_RECORDING,
        BotStatus.IN_CALL_RECORDING,
    }
)
"""What a bot that has once recorded does not go back to, should it come in again."""


class Report:
    """Writes a bot's events, each once."""

    def __init__(self, spool: Spool, files: Path) -> None:
        self._spool = spool
        self._files = files
        self._status: BotStatus | None = None
        self._has_recorded = False
        self._snapshots = 0
        self._people = People()
        self._joined_as: str | None = None

    @property
    def people(self) -> dict[str, str]:
        """Names of those in the meeting besides the bot, by participant."""
        return self._people.present

    def participant_of(self, device_id: str) -> str:
        """Returns the participant whom one of the platform's ids belongs to."""
        return self._people.participant_of(device_id)

    def reach(self, status: BotStatus, message: str | None = None) -> None:
        """The bot has reached a status."""
        if status is not self._status and not (self._has_recorded and status in _UP_TO_RECORDING):
            self._status = status
            self._has_recorded |= status is BotStatus.IN_CALL_RECORDING
            self._spool.append(StatusReached(status=status, message=message))

    def roster(self, roster: Roster) -> None:
        """These are in the meeting now."""
        own = next((one.participant_id for one in roster.entries if one.is_self), None)
        if own is not None and own != self._joined_as:
            self._joined_as = own
            self._spool.append(JoinedAs(participant_id=own))
        arrivals, departures = self._people.update(others_of(roster))
        for one in arrivals:
            device = one.device_id if one.device_id != one.participant_id else None
            self._spool.append(
                ParticipantSeen(participant_id=one.participant_id, name=one.name, device_id=device)
            )
        for participant in departures:
            self._spool.append(ParticipantLeft(participant_id=participant))

    async def unexpected(self, page: Page, what: str) -> None:
        """The page shows something nobody expected: keep it."""
        self._snapshots += 1
        files = await snapshot(page, self._files, self._snapshots)
        self._spool.append(UnexpectedSeen(what=what, files=files))

    def ended(self, ended: Ended) -> None:
        """The last event."""
        self._spool.append(ended)
