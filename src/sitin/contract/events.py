"""What a runner reports: numbered events in its spool, commands over its socket.

Written by the runner, read by whoever supervises it. The spool is ``events.jsonl`` in the recording
directory, one ``BotEvent`` a line, numbered from 1 without a gap.
"""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

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
    """As the platform names the device or user; unique within the meeting."""
    name: str


class ParticipantLeft(Frozen):
    """Somebody has left the meeting."""

    kind: Literal["participant_left"] = "participant_left"
    participant_id: str


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
    StatusReached | ParticipantSeen | ParticipantLeft | UnexpectedSeen | Ended,
    Field(discriminator="kind"),
]


class BotEvent(Frozen):
    """One line of a runner's spool."""

    seq: int
    at: datetime
    """UTC."""
    fencing_token: int
    body: EventBody


class Leave(Frozen):
    """Leave the meeting, keep what was recorded."""

    kind: Literal["leave"] = "leave"


class Follow(Frozen):
    """Send every event after this number, and go on sending them."""

    kind: Literal["follow"] = "follow"
    after: int = 0


Command = Annotated[Leave | Follow, Field(discriminator="kind")]
