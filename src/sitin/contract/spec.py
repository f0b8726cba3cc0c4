"""What a bot is told at its start. Written by bots, read by the runner."""

from typing import Literal
from uuid import UUID

from sitin.contract.base import Frozen
from sitin.contract.codes import Platform, RecordingMode


class Timeouts(Frozen):
    """When a bot leaves by itself, each in seconds."""

    waiting_room: float
    """Not admitted for so long: ``TIMEOUT_WAITING_TO_START``."""
    no_one_joined: float
    """Nobody else seen for so long after being admitted: ``NO_ATTENDEES``."""
    silence: float
    """Nobody heard for so long once somebody was there: ``NO_SPEAKER``."""
    alone: float = 60.0
    """Alone for so long after others were there: ``NO_ATTENDEES``."""
    recording: float
    """The longest recording: ``RECORDING_TIMEOUT``."""


class BrowserSpec(Frozen):
    """How the bot's browser is started."""

    path: str
    """Chromium; records tracks and tabs."""
    lean_path: str | None = None
    """Chromium's headless shell, 120 MB smaller; records tracks, cannot record a tab."""
    host_rules: str = ""
    """Chromium host resolver rules, e.g. ``MAP meet.google.com 127.0.0.1:9443``."""
    args: tuple[str, ...] = ()
    """Further Chromium flags of the operator's."""
    media_addresses: str = ""
    """Private addresses for media, as ``SITIN_BROWSER_MEDIA_ADDRESSES`` has them."""
    allow_private_addresses: bool = False


class BotSpec(Frozen):
    """One bot's order. It holds no key, no database address and nothing of other bots."""

    bot_id: UUID
    fencing_token: int
    """The lease under which this runner works; its events carry it."""
    bot_name: str
    platform: Platform
    meeting_url: str
    """The normalised address."""
    recording_mode: RecordingMode
    video: Literal["live", "dense"] = "live"
    """Whether the MP4 is made during the meeting or composed afterwards."""
    timeouts: Timeouts
    note_takers: tuple[str, ...] = ()
    """Patterns of the names of other products' note takers, which are no company."""
    browser: BrowserSpec
