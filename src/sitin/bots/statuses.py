"""Which status may follow which: the one table of a bot's life. Used within bots.

The database holds the same table (``bot_status_moves``) and refuses every other change; a test
keeps the two equal. ``docs/statuses.md`` is drawn from it.
"""

from sitin.contract.codes import BotStatus as S

_SIGNALS_BEFORE_THE_CALL = {
    S.API_REQUEST_STOP,
    S.BOT_REJECTED,
    S.BOT_REMOVED_TOO_EARLY,
    S.WAITING_ROOM_TIMEOUT,
    S.INVALID_MEETING_URL,
    S.MEETING_ERROR,
}
_SIGNALS_IN_THE_CALL = {
    S.API_REQUEST_STOP,
    S.BOT_REMOVED,
    S.BOT_REMOVED_TOO_EARLY,
    S.MEETING_ERROR,
}

MOVES: dict[S, frozenset[S]] = {
    S.QUEUED: frozenset({S.JOINING_CALL}),
    S.JOINING_CALL: frozenset(
        {
            S.IN_WAITING_ROOM,
            S.IN_WAITING_FOR_HOST,
            S.IN_CALL_NOT_RECORDING,
            *_SIGNALS_BEFORE_THE_CALL,
            S.CALL_ENDED,
        }
    ),
    S.IN_WAITING_ROOM: frozenset(
        {
            S.IN_WAITING_FOR_HOST,
            S.IN_CALL_NOT_RECORDING,
            *_SIGNALS_BEFORE_THE_CALL,
            S.CALL_ENDED,
        }
    ),
    S.IN_WAITING_FOR_HOST: frozenset(
        {
            S.IN_WAITING_ROOM,
            S.IN_CALL_NOT_RECORDING,
            *_SIGNALS_BEFORE_THE_CALL,
            S.CALL_ENDED,
        }
    ),
    S.IN_CALL_NOT_RECORDING: frozenset({S.IN_CALL_RECORDING, *_SIGNALS_IN_THE_CALL, S.CALL_ENDED}),
    S.IN_CALL_RECORDING: frozenset({S.RECORDING_PAUSED, *_SIGNALS_IN_THE_CALL, S.CALL_ENDED}),
    S.RECORDING_PAUSED: frozenset({S.RECORDING_RESUMED, *_SIGNALS_IN_THE_CALL, S.CALL_ENDED}),
    S.RECORDING_RESUMED: frozenset({S.RECORDING_PAUSED, *_SIGNALS_IN_THE_CALL, S.CALL_ENDED}),
    S.API_REQUEST_STOP: frozenset({S.CALL_ENDED, S.FAILED}),
    S.BOT_REJECTED: frozenset({S.FAILED}),
    S.BOT_REMOVED: frozenset({S.CALL_ENDED}),
    S.BOT_REMOVED_TOO_EARLY: frozenset({S.CALL_ENDED, S.FAILED}),
    S.WAITING_ROOM_TIMEOUT: frozenset({S.FAILED}),
    S.INVALID_MEETING_URL: frozenset({S.FAILED}),
    S.MEETING_ERROR: frozenset({S.CALL_ENDED, S.FAILED}),
    # Completed at once when the meeting ended before there was anything to record.
    S.CALL_ENDED: frozenset({S.RECORDING_SUCCEEDED, S.RECORDING_FAILED, S.COMPLETED, S.FAILED}),
    S.RECORDING_SUCCEEDED: frozenset({S.TRANSCRIBING, S.COMPLETED}),
    S.RECORDING_FAILED: frozenset({S.FAILED}),
    S.TRANSCRIBING: frozenset({S.COMPLETED, S.FAILED}),
    S.COMPLETED: frozenset(),
    S.FAILED: frozenset(),
}

FINAL = frozenset(status for status, following in MOVES.items() if not following)

LEAVABLE = frozenset(
    {
        S.JOINING_CALL,
        S.IN_WAITING_ROOM,
        S.IN_WAITING_FOR_HOST,
        S.IN_CALL_NOT_RECORDING,
        S.IN_CALL_RECORDING,
        S.RECORDING_PAUSED,
        S.RECORDING_RESUMED,
        S.TRANSCRIBING,
    }
)
"""Where the API accepts a request to leave; in ``transcribing`` nothing is left to stop."""

REPORTED_BY_RUNNER = frozenset(S) - {
    S.QUEUED,
    S.RECORDING_SUCCEEDED,
    S.RECORDING_FAILED,
    S.TRANSCRIBING,
    S.COMPLETED,
    S.FAILED,
}
"""What a runner may say of itself; the rest is decided once its files are stored."""

SUPERVISED = frozenset(S) - FINAL - {S.TRANSCRIBING}
"""Where a bot depends on the host that runs it, once a worker has claimed it."""


def before(status: S) -> frozenset[S]:
    """The statuses that ``status`` may follow."""
    return frozenset(current for current, following in MOVES.items() if status in following)


def diagram() -> str:
    """The table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", "    [*] --> queued"]
    lines += [
        f"    {current} --> {following}"
        for current in MOVES
        for following in sorted(MOVES[current], key=list(S).index)
    ]
    lines += [f"    {status} --> [*]" for status in MOVES if status in FINAL]
    return "\n".join(lines) + "\n"
