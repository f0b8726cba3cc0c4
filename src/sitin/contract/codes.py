"""Statuses and codes of a bot's life, with the sentence each code says. Used by every room."""

from dataclasses import dataclass
from enum import StrEnum


class Platform(StrEnum):
    """A meeting platform, as the API names it."""

    MEET = "meet"
    TEAMS = "teams"
    ZOOM = "zoom"


class RecordingMode(StrEnum):
    """What a bot records."""

    SPEAKER_VIEW = "speaker_view"
    GALLERY_VIEW = "gallery_view"
    AUDIO_ONLY = "audio_only"


class BotStatus(StrEnum):
    """Every status of a bot; which may follow which is told by ``sitin.bots.statuses``."""

    QUEUED = "queued"
    JOINING_CALL = "joining_call"
    IN_WAITING_ROOM = "in_waiting_room"
    IN_WAITING_FOR_HOST = "in_waiting_for_host"
    IN_CALL_NOT_RECORDING = "in_call_not_recording"
    IN_CALL_RECORDING = "in_call_recording"
    RECORDING_PAUSED = "recording_paused"
    RECORDING_RESUMED = "recording_resumed"
    API_REQUEST_STOP = "api_request_stop"
    BOT_REJECTED = "bot_rejected"
    BOT_REMOVED = "bot_removed"
    BOT_REMOVED_TOO_EARLY = "bot_removed_too_early"
    WAITING_ROOM_TIMEOUT = "waiting_room_timeout"
    INVALID_MEETING_URL = "invalid_meeting_url"
    MEETING_ERROR = "meeting_error"
    CALL_ENDED = "call_ended"
    RECORDING_SUCCEEDED = "recording_succeeded"
    RECORDING_FAILED = "recording_failed"
    TRANSCRIBING = "transcribing"
    COMPLETED = "completed"
    FAILED = "failed"


class TranscriptionStatus(StrEnum):
    """How far the transcript of a bot is."""

    NOT_APPLICABLE = "not-applicable"
    NOT_STARTED = "not-started"
    QUEUED = "queued"
    PROCESSING = "processing"
    DONE = "done"
    ERROR = "error"


class EndReason(StrEnum):
    """Why a bot's call ended: the first six are normal, the rest are errors."""

    MEETING_ENDED = "MEETING_ENDED"
    BOT_REMOVED = "BOT_REMOVED"
    NO_ATTENDEES = "NO_ATTENDEES"
    NO_SPEAKER = "NO_SPEAKER"
    RECORDING_TIMEOUT = "RECORDING_TIMEOUT"
    API_REQUEST = "API_REQUEST"

    BOT_NOT_ACCEPTED = "BOT_NOT_ACCEPTED"
    TIMEOUT_WAITING_TO_START = "TIMEOUT_WAITING_TO_START"
    CANNOT_JOIN_MEETING = "CANNOT_JOIN_MEETING"
    BOT_REMOVED_TOO_EARLY = "BOT_REMOVED_TOO_EARLY"
    INVALID_MEETING_URL = "INVALID_MEETING_URL"
    STREAMING_SETUP_FAILED = "STREAMING_SETUP_FAILED"
    LOGIN_REQUIRED = "LOGIN_REQUIRED"
    INTERNAL_ERROR = "INTERNAL_ERROR"
    EXITING_MEETING_BEFORE_RECORD = "EXITING_MEETING_BEFORE_RECORD"
    TRANSCRIPTION_FAILED = "TRANSCRIPTION_FAILED"

    OOM_KILLED = "OOM_KILLED"
    FORCE_KILLED = "FORCE_KILLED"
    SIGTERM = "SIGTERM"
    GENERAL_ERROR = "GENERAL_ERROR"
    UNKNOWN_ERROR = "UNKNOWN_ERROR"


@dataclass(frozen=True, slots=True)
class CodeText:
    """What a code says to a person: a title and one sentence."""

    title: str
    sentence: str


NORMAL_ENDS = frozenset(
    {
        EndReason.MEETING_ENDED,
        EndReason.BOT_REMOVED,
        EndReason.NO_ATTENDEES,
        EndReason.NO_SPEAKER,
        EndReason.RECORDING_TIMEOUT,
        EndReason.API_REQUEST,
    }
)

CRASHES = frozenset(
    {
        EndReason.OOM_KILLED,
        EndReason.FORCE_KILLED,
        EndReason.SIGTERM,
        EndReason.GENERAL_ERROR,
        EndReason.UNKNOWN_ERROR,
    }
)

CODE_TEXTS: dict[EndReason, CodeText] = {
    EndReason.MEETING_ENDED: CodeText("Meeting ended", "The meeting came to its end."),
    EndReason.BOT_REMOVED: CodeText(
        "Bot removed", "Somebody in the meeting removed the bot while it was recording."
    ),
    EndReason.NO_ATTENDEES: CodeText(
        "No attendees", "The bot left because nobody else was in the meeting."
    ),
    EndReason.NO_SPEAKER: CodeText(
        "No speaker", "The bot left because nobody spoke for the configured time."
    ),
    EndReason.RECORDING_TIMEOUT: CodeText(
        "Recording limit", "The recording reached the longest duration this service allows."
    ),
    EndReason.API_REQUEST: CodeText("Left on request", "The bot left because the API asked it to."),
    EndReason.BOT_NOT_ACCEPTED: CodeText(
        "Bot not accepted", "Somebody in the meeting refused the bot's request to join."
    ),
    EndReason.TIMEOUT_WAITING_TO_START: CodeText(
        "Not admitted in time",
        "Nobody admitted the bot to the meeting within the waiting-room timeout.",
    ),
    EndReason.CANNOT_JOIN_MEETING: CodeText(
        "Cannot join", "The bot could not get into the meeting."
    ),
    EndReason.BOT_REMOVED_TOO_EARLY: CodeText(
        "Removed too early", "The bot was removed from the meeting before recording began."
    ),
    EndReason.INVALID_MEETING_URL: CodeText(
        "Invalid meeting URL", "The platform knows no meeting at this address."
    ),
    EndReason.STREAMING_SETUP_FAILED: CodeText(
        "Streaming not set up", "Audio streaming was asked for and could not be set up."
    ),
    EndReason.LOGIN_REQUIRED: CodeText(
        "Login required", "The meeting admits signed-in accounts only."
    ),
    EndReason.INTERNAL_ERROR: CodeText(
        "Internal error", "Something went wrong inside this service."
    ),
    EndReason.EXITING_MEETING_BEFORE_RECORD: CodeText(
        "Left before recording", "The bot was asked to leave before recording began."
    ),
    EndReason.TRANSCRIPTION_FAILED: CodeText(
        "Transcription failed", "The recording is there, its transcription failed."
    ),
    EndReason.OOM_KILLED: CodeText(
        "Out of memory", "The bot was stopped because it used more memory than it may."
    ),
    EndReason.FORCE_KILLED: CodeText(
        "Killed", "The bot's process or its browser was killed while it was running."
    ),
    EndReason.SIGTERM: CodeText(
        "Terminated", "The bot's process was asked by the system to terminate."
    ),
    EndReason.GENERAL_ERROR: CodeText("Crashed", "The bot's process ended unexpectedly."),
    EndReason.UNKNOWN_ERROR: CodeText(
        "Unknown error", "The bot ended for a reason that could not be determined."
    ),
}
