"""How a bot's life ends: from the reason a runner gives to statuses and codes. Used within bots.

Pure functions over the tables of ``sitin.contract.codes`` and ``sitin.bots.statuses``.
"""

from dataclasses import dataclass

from sitin.bots.statuses import MOVES
from sitin.contract.codes import CODE_TEXTS, CRASHES, NORMAL_ENDS, BotStatus, EndReason

SIGNALS: dict[EndReason, BotStatus] = {
    EndReason.BOT_REMOVED: BotStatus.BOT_REMOVED,
    EndReason.API_REQUEST: BotStatus.API_REQUEST_STOP,
    EndReason.EXITING_MEETING_BEFORE_RECORD: BotStatus.API_REQUEST_STOP,
    EndReason.BOT_NOT_ACCEPTED: BotStatus.BOT_REJECTED,
    EndReason.TIMEOUT_WAITING_TO_START: BotStatus.WAITING_ROOM_TIMEOUT,
    EndReason.BOT_REMOVED_TOO_EARLY: BotStatus.BOT_REMOVED_TOO_EARLY,
    EndReason.INVALID_MEETING_URL: BotStatus.INVALID_MEETING_URL,
    EndReason.CANNOT_JOIN_MEETING: BotStatus.MEETING_ERROR,
    EndReason.LOGIN_REQUIRED: BotStatus.MEETING_ERROR,
    EndReason.STREAMING_SETUP_FAILED: BotStatus.MEETING_ERROR,
    EndReason.INTERNAL_ERROR: BotStatus.MEETING_ERROR,
    EndReason.TRANSCRIPTION_FAILED: BotStatus.MEETING_ERROR,
}
"""The status that tells why, before the call counts as ended."""

_REFUSALS: dict[BotStatus, EndReason] = {
    BotStatus.BOT_REJECTED: EndReason.BOT_NOT_ACCEPTED,
    BotStatus.WAITING_ROOM_TIMEOUT: EndReason.TIMEOUT_WAITING_TO_START,
    BotStatus.INVALID_MEETING_URL: EndReason.INVALID_MEETING_URL,
}
"""Statuses that admit no other end than ``failed``, and what they say about why."""

_BEFORE_RECORDING = {
    EndReason.API_REQUEST: EndReason.EXITING_MEETING_BEFORE_RECORD,
    EndReason.BOT_REMOVED: EndReason.BOT_REMOVED_TOO_EARLY,
}

_NOTHING_LEFT = "The recording could not be put together from what was on the disk."


@dataclass(frozen=True, slots=True)
class Ending:
    """How one bot's call ended.

    Attributes:
        reason: The reason after looking at whether anything was recorded.
        message: One sentence for a person.
        failed: Whether the bot ends ``failed``.
        began: Whether recording had begun.
        recorded: Whether there is a recording.
    """

    reason: EndReason
    message: str
    failed: bool
    began: bool
    recorded: bool


def judge(
    reason: EndReason, message: str | None, *, status: BotStatus, began: bool, recorded: bool
) -> Ending:
    """What a runner's last word means for a bot that is in ``status`` when it comes."""
    if reason in NORMAL_ENDS and status in _REFUSALS:
        reason, message = _REFUSALS[status], None
    if not began and not recorded and reason in _BEFORE_RECORDING:
        reason, message = _BEFORE_RECORDING[reason], None
    if began and not recorded and reason in NORMAL_ENDS:
        reason, message = EndReason.INTERNAL_ERROR, _NOTHING_LEFT
    return Ending(
        reason=reason,
        message=message or CODE_TEXTS[reason].sentence,
        failed=reason not in NORMAL_ENDS,
        began=began or recorded,
        recorded=recorded,
    )


def steps_out_of_call(status: BotStatus, ending: Ending, *, joined: bool) -> list[BotStatus]:
    """The statuses from ``status`` to where only the recording remains to be stored."""
    steps: list[BotStatus] = []

    def step(following: BotStatus) -> None:
        if following in MOVES[steps[-1] if steps else status]:
            steps.append(following)

    if status is BotStatus.QUEUED:
        step(BotStatus.JOINING_CALL)
    signal = SIGNALS.get(ending.reason)
    if signal is None and ending.reason in CRASHES and not joined:
        signal = BotStatus.MEETING_ERROR
    if signal is not None:
        step(signal)
    if joined or ending.recorded or not ending.failed:
        step(BotStatus.CALL_ENDED)
    return steps


def steps_after_storing(status: BotStatus, ending: Ending, *, transcribe: bool) -> list[BotStatus]:
    """The statuses that follow ``status`` once everything the runner left is stored."""
    if ending.failed:
        recording_failed = ending.began and BotStatus.RECORDING_FAILED in MOVES[status]
        return [*([BotStatus.RECORDING_FAILED] if recording_failed else []), BotStatus.FAILED]
    if not ending.recorded:
        return [BotStatus.COMPLETED]
    return [
        BotStatus.RECORDING_SUCCEEDED,
        BotStatus.TRANSCRIBING if transcribe else BotStatus.COMPLETED,
    ]
