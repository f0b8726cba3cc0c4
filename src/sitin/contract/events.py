"""What a runner reports: numbered events in its spool, commands over its socket.

Written by the runner, read by whoever supervises it. The spool is ``events.jsonl`` in the recording
directory, one ``BotEvent`` a line, numbered from 1 without a gap.
"""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, field_validator

from sitin.contract.base import Frozen
from sitin.contract.codes import BotStatus, EndReason
from sitin.contract.recording import Recording


class StatusReached(Frozen):
    """The bot reached a status."""

    kind: Literal["status"] = "status"
    status: BotStatus
    message: str | None = None
    """Why, for a person; with ``recording_failed`` and ``meeting_error``."""


class ParticipantSeen(Frozen):
    """Somebody other than the bot is in the meeting, or shows another name than before."""

    kind: Literal["participant_seen"] = "participant_seen"
    participant_id: str
    """As the platform named the device or user at first; the same for who comes back."""
    name: str
    device_id: str | None = None
    """As the platform names them now, where that is another id."""


class ParticipantLeft(Frozen):
    """Somebody has left the meeting."""

    kind: Literal["participant_left"] = "participant_left"
    participant_id: str


class JoinedAs(Frozen):
    """The platform lists the bot itself among those in the meeting."""

    kind: Literal["joined_as"] = "joined_as"
    participant_id: str
    """As the platform names the bot's device; the same for all who are in the meeting."""


class UnexpectedSeen(Frozen):
    """The page showed something nobody expected; it is kept in the recording directory."""

    kind: Literal["unexpected"] = "unexpected"
    what: str
    files: tuple[str, ...] = ()
    """Screenshot and HTML, relative to the recording directory."""


class Ended(Frozen):
    """The last event of every runner: why the call ended and what was recorded, if anything."""

    kind: Literal["ended"] = "ended"
    reason: EndReason
    message: str | None = None
    """A sentence about this very end; without one, the code's own sentence holds."""
    recording: Recording | None = None


EventBody = Annotated[
    StatusReached | ParticipantSeen | ParticipantLeft | JoinedAs | UnexpectedSeen | Ended,
    Field(discriminator="kind"),
]


class BotEvent(Frozen):
    """One line of a runner's spool."""

    seq: int
    at: datetime
    """UTC."""
    fencing_token: int
    body: EventBody

    @field_validator("body", mode="before")
    @classmethod
    def _is_storable(cls, body: object) -> object:
        # Names come from a page: one that no database can store must not hold up what follows.
        return _without_nul(body)


def _without_nul(value: object) -> object:
    match value:
        case str():
            return value.replace("\x00", "\ufffd")
        case list():
            return [_without_nul(one) for one in value]
        case dict():
            return {key: _without_nul(one) for key, one in value.items()}
    return value


class Leave(Frozen):
    """Leave the meeting, keep what was recorded."""

    kind: Literal["leave"] = "leave"


class OtherBots(Frozen):
    """Other bots of this install are in the meeting, or were: they are no company."""

    kind: Literal["other_bots"] = "other_bots"
    participant_ids: tuple[str, ...]
    """As the platform names them; see ``JoinedAs``."""


class Follow(Frozen):
    """Send every event after this number, and go on sending them."""

    kind: Literal["follow"] = "follow"
    after: int = 0


Command = Annotated[Leave | OtherBots | Follow, Field(discriminator="kind")]
