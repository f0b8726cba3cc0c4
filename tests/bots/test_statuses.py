"""The table of statuses, and the ways a bot's life can end in it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitin.bots.endings import judge, steps_after_storing, steps_out_of_call
from sitin.bots.statuses import FINAL, LEAVABLE, MOVES, REPORTED_BY_RUNNER, before, diagram
from sitin.contract.codes import NORMAL_ENDS, BotStatus, EndReason

pytestmark = pytest.mark.unit

IN_CALL = {
    BotStatus.IN_CALL_NOT_RECORDING,
    BotStatus.IN_CALL_RECORDING,
    BotStatus.RECORDING_PAUSED,
    BotStatus.RECORDING_RESUMED,
    BotStatus.BOT_REMOVED,
    BotStatus.CALL_ENDED,
}


def test_every_status_has_a_row_and_can_be_reached() -> None:
    assert set(MOVES) == set(BotStatus)
    assert {BotStatus.QUEUED} == {status for status in BotStatus if not before(status)}
    assert {BotStatus.COMPLETED, BotStatus.FAILED} == FINAL


@given(st.lists(st.integers(min_value=0), max_size=40))
def test_every_walk_reaches_an_end_or_goes_on(choices: list[int]) -> None:
    status = BotStatus.QUEUED
    for choice in choices:
        following = sorted(MOVES[status])
        if not following:
            assert status in FINAL
            return
        status = following[choice % len(following)]
    assert status in FINAL or MOVES[status]


def test_leaving_is_allowed_where_the_guides_list_it() -> None:
    assert LEAVABLE.isdisjoint({BotStatus.QUEUED, *FINAL})
    assert BotStatus.TRANSCRIBING in LEAVABLE


@pytest.mark.parametrize("reason", EndReason)
@pytest.mark.parametrize("status", sorted({BotStatus.QUEUED, *REPORTED_BY_RUNNER}))
@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize("transcribe", [False, True])
def test_every_end_has_a_legal_way(
    status: BotStatus, reason: EndReason, recorded: bool, transcribe: bool
) -> None:
    joined = status in IN_CALL
    began = joined and status is not BotStatus.IN_CALL_NOT_RECORDING
    ending = judge(reason, None, status=status, began=began, recorded=recorded)
    way = steps_out_of_call(status, ending, joined=joined)
    last = way[-1] if way else status
    way += steps_after_storing(last, ending, transcribe=transcribe)
    current = status
    for following in way:
        assert following in MOVES[current], (status, way)
        current = following
    expected = {BotStatus.FAILED} if ending.failed else {BotStatus.COMPLETED}
    if not ending.failed and recorded and transcribe:
        expected = {BotStatus.TRANSCRIBING}
    assert current in expected
    assert ending.failed == (ending.reason not in NORMAL_ENDS)


@pytest.mark.parametrize(
    ("status", "reason", "joined", "began", "recorded", "way", "code"),
    [
        (
            BotStatus.IN_CALL_RECORDING,
            EndReason.MEETING_ENDED,
            True,
            True,
            True,
            "call_ended recording_succeeded completed",
            EndReason.MEETING_ENDED,
        ),
        (
            BotStatus.IN_CALL_RECORDING,
            EndReason.BOT_REMOVED,
            True,
            True,
            True,
            "bot_removed call_ended recording_succeeded completed",
            EndReason.BOT_REMOVED,
        ),
        (
            BotStatus.IN_WAITING_ROOM,
            EndReason.API_REQUEST,
            False,
            False,
            False,
            "api_request_stop failed",
            EndReason.EXITING_MEETING_BEFORE_RECORD,
        ),
        (
            BotStatus.IN_CALL_NOT_RECORDING,
            EndReason.API_REQUEST,
            True,
            False,
            False,
            "api_request_stop call_ended failed",
            EndReason.EXITING_MEETING_BEFORE_RECORD,
        ),
        (
            BotStatus.IN_WAITING_ROOM,
            EndReason.BOT_NOT_ACCEPTED,
            False,
            False,
            False,
            "bot_rejected failed",
            EndReason.BOT_NOT_ACCEPTED,
        ),
        (
            BotStatus.IN_CALL_RECORDING,
            EndReason.FORCE_KILLED,
            True,
            True,
            True,
            "call_ended recording_failed failed",
            EndReason.FORCE_KILLED,
        ),
        (
            BotStatus.JOINING_CALL,
            EndReason.OOM_KILLED,
            False,
            False,
            False,
            "meeting_error failed",
            EndReason.OOM_KILLED,
        ),
        (
            BotStatus.QUEUED,
            EndReason.CANNOT_JOIN_MEETING,
            False,
            False,
            False,
            "joining_call meeting_error failed",
            EndReason.CANNOT_JOIN_MEETING,
        ),
        (
            BotStatus.IN_CALL_RECORDING,
            EndReason.MEETING_ENDED,
            True,
            True,
            False,
            "meeting_error call_ended recording_failed failed",
            EndReason.INTERNAL_ERROR,
        ),
    ],
)
def test_how_it_ends(
    status: BotStatus,
    reason: EndReason,
    joined: bool,
    began: bool,
    recorded: bool,
    way: str,
    code: EndReason,
) -> None:
    ending = judge(reason, None, status=status, began=began, recorded=recorded)
    steps = steps_out_of_call(status, ending, joined=joined)
    steps += steps_after_storing(steps[-1], ending, transcribe=False)
    assert " ".join(steps) == way
    assert ending.reason is code
    assert ending.message.endswith(".")


def test_the_drawing_in_the_docs_is_the_table() -> None:
    page = Path(__file__).parents[2] / "docs" / "statuses.md"
    assert f"```mermaid\n{diagram()}```" in page.read_text()
