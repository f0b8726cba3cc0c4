"""What a platform's adapter and the runner say to each other.

``sitin.runner.session`` drives an adapter and knows no selector; an adapter knows neither the
capture nor the database. A platform is a folder in ``sitin.platforms``, this Protocol, and a line
in its registry.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal, Protocol

from playwright.async_api import Page
from pydantic import Field

from sitin.contract.base import Frozen
from sitin.contract.codes import EndReason, Platform, RecordingMode


class AudioTopology(StrEnum):
    """How a platform's page receives voices."""

    PER_PARTICIPANT = "per_participant"
    """A track per participant: the track tells who speaks (Zoom's SDK page)."""
    POOLED = "pooled"
    """A few tracks shared by all; each packet's contributing source tells who speaks (Meet)."""
    MIXED = "mixed"
    """One track of everybody; a signal beside it tells who speaks (Teams)."""


@dataclass(frozen=True, slots=True)
class PlatformCapabilities:
    """What differs between platforms, asked instead of asking which platform it is."""

    platform: Platform
    audio_topology: AudioTopology
    screenshots: bool
    """Whether screenshots belong to a recording of this platform."""


class Waiting(Frozen):
    """The bot stands before the door."""

    kind: Literal["waiting"] = "waiting"
    for_host: bool = False
    """Waiting for the host to come, rather than for somebody to admit the bot."""


class Admitted(Frozen):
    """The bot is in the call."""

    kind: Literal["admitted"] = "admitted"


class Over(Frozen):
    """The call is over for the bot, or never began; no signal follows."""

    kind: Literal["over"] = "over"
    reason: EndReason
    message: str | None = None


UNNAMED = "Unnamed participant"
"""The name of somebody for whom the platform shows none."""


class RosterEntry(Frozen):
    """Somebody in the meeting."""

    participant_id: str
    """As the platform names the device or user; another one for who leaves and comes back."""
    name: str
    picture: str = ""
    """The address of the picture that the platform shows of them; empty where there is none."""
    is_self: bool = False
    is_presentation_of: str | None = None
    """Set for a shared screen that the platform lists as a device of its own: whose it is."""


class Roster(Frozen):
    """Everybody who is in the meeting now, the bot included."""

    kind: Literal["roster"] = "roster"
    entries: tuple[RosterEntry, ...]


class MediaSource(Frozen):
    """Which participant a stream of media belongs to, as far as the platform has told."""

    participant_id: str
    presentation: bool = False


class Sources(Frozen):
    """What is known about streams now; replaces what was said before.

    ``audio`` is keyed by contributing source (pooled) or by track key (per participant);
    ``video`` by the id of the media stream the track came in.
    """

    kind: Literal["sources"] = "sources"
    audio: dict[str, MediaSource]
    video: dict[str, MediaSource]


class DominantSpeaker(Frozen):
    """Who speaks, from the platform's own signal; for ``AudioTopology.MIXED``."""

    kind: Literal["dominant_speaker"] = "dominant_speaker"
    participant_id: str | None


class Unexpected(Frozen):
    """The page showed something this adapter has no row for."""

    kind: Literal["unexpected"] = "unexpected"
    what: str


MeetingSignal = Annotated[
    Waiting | Admitted | Over | Roster | Sources | DominantSpeaker | Unexpected,
    Field(discriminator="kind"),
]


class JoinStep(StrEnum):
    """What a bot has behind it on its way to the door, in this order.

    An adapter's ``join`` logs each as ``step``, so that a runner's log tells how far it came.
    """

    PAGE_OPENED = "page opened"
    FORM_SEEN = "form seen"
    """The page asks for what it wants to know of a guest."""
    NAME_GIVEN = "name given"
    ASKED = "asked to join"
    """Once for every press of the button."""


class MeetingAdapter(Protocol):
    """One bot's hands and eyes on one platform's page."""

    @property
    def capabilities(self) -> PlatformCapabilities:
        """What this platform can do."""
        ...

    @property
    def init_script(self) -> str:
        """JavaScript put before the page's own; may call ``window.__sitin.emit(text | bytes)``."""
        ...

    async def join(self, page: Page, *, url: str, bot_name: str, mode: RecordingMode) -> None:
        """Open the address, give the name, ask to join; returns once asked.

        Logs every ``JoinStep``. Raises one of ``sitin.contract.failures``.
        """
        ...

    def signals(self, page: Page) -> AsyncIterator[MeetingSignal]:
        """What happens from then on, until ``Over``."""
        ...

    async def arrange(self, page: Page, mode: RecordingMode) -> None:
        """Lay the call out as this way of recording shows it, for a tab that is recorded.

        Never raises: what the page does not offer stays as it is.
        """
        ...

    def receive(self, message: str | bytes) -> None:
        """Take a message that the page script has emitted. It is untrusted."""
        ...

    async def leave(self, page: Page) -> None:
        """Leave by the page's own button; never raises, the browser is closed afterwards anyway."""
        ...
