"""From a bot's row to a runner's order, and which bots are refused one. Used by the supervisor."""

from dataclasses import dataclass
from typing import Literal

from sitin.bots.models import Bot
from sitin.contract.codes import EndReason, Platform, RecordingMode
from sitin.contract.spec import BotSpec, BrowserSpec, Timeouts

_NO_STREAMING = (
    EndReason.STREAMING_SETUP_FAILED,
    "Audio streaming was asked for and this service cannot stream yet.",
)


@dataclass(frozen=True, slots=True)
class LaunchSettings:
    """What every bot of this worker is told, whatever its customer asked for."""

    browser: BrowserSpec
    video: Literal["live", "dense"]
    max_recording: float
    """Seconds."""
    joinable: frozenset[Platform]
    """The platforms that this install has an adapter for."""
    note_takers: tuple[str, ...] = ()
    """Patterns of the names of other products' note takers."""


def refusal(bot: Bot, settings: LaunchSettings) -> tuple[EndReason, str] | None:
    """Why this bot cannot be started at all; ``None`` when it can."""
    if bot.streaming_enabled:
        return _NO_STREAMING
    if Platform(bot.platform) not in settings.joinable:
        name = {Platform.MEET: "Google Meet", Platform.TEAMS: "Microsoft Teams"}.get(
            Platform(bot.platform), "Zoom"
        )
        return EndReason.CANNOT_JOIN_MEETING, f"This service cannot join {name} meetings yet."
    return None


def spec_of(bot: Bot, fencing_token: int, settings: LaunchSettings) -> BotSpec:
    """The order for one runner."""
    return BotSpec(
        bot_id=bot.id,
        fencing_token=fencing_token,
        bot_name=bot.bot_name,
        platform=Platform(bot.platform),
        meeting_url=bot.joined_url,
        recording_mode=RecordingMode(bot.recording_mode),
        video=settings.video,
        timeouts=Timeouts(
            waiting_room=bot.waiting_room_timeout,
            no_one_joined=bot.no_one_joined_timeout,
            silence=bot.silence_timeout,
            recording=settings.max_recording,
        ),
        note_takers=settings.note_takers,
        browser=settings.browser,
    )
