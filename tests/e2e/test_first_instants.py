"""Calls that end as soon as they have begun, and meetings in which nobody is to be seen."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from sitin.contract.codes import EndReason
from sitin.rehearsal import Meeting
from tests.e2e.conftest import Hold
from tests.e2e.customer import Customer, SentBot
from tests.e2e.recordings import check_sound, check_video, spoken
from tests.runner.capture.media import assert_card, stream_ends

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(600),
    pytest.mark.asyncio(loop_scope="package"),
]

RECORDED = "call_ended recording_succeeded completed"
NOT_RECORDED = "call_ended failed"


@dataclass(frozen=True)
class Case:
    """What ends a call, and what the bot then tells if it could not record."""

    timeline: tuple[dict[str, Any], ...] = ()
    leaves_at: str = ""
    """The status at which the API is asked to let it leave."""
    signal: str = ""
    too_early: EndReason | None = None
    """The code where recording had not begun; ``None`` where there is always a recording."""


CASES = {
    "the meeting ends": Case(timeline=({"at": 0.1, "do": "end"},)),
    "the bot is removed": Case(
        timeline=({"at": 0.3, "do": "remove_bot"},),
        signal="bot_removed",
        too_early=EndReason.BOT_REMOVED_TOO_EARLY,
    ),
    "it is asked to leave when it is in the call": Case(
        leaves_at="in_call_not_recording",
        signal="api_request_stop",
        too_early=EndReason.EXITING_MEETING_BEFORE_RECORD,
    ),
    "it is asked to leave when it records": Case(
        leaves_at="in_call_recording", signal="api_request_stop"
    ),
}

BOTS = [
    ("the meeting ends", "audio_only"),
    ("the meeting ends", "speaker_view"),
    ("the meeting ends", "gallery_view"),
    ("the bot is removed", "speaker_view"),
    ("it is asked to leave when it is in the call", "gallery_view"),
    ("it is asked to leave when it records", "speaker_view"),
]
"""What ends whose call. Every way of recording meets every end in tests/runner/test_session.py."""


@dataclass(frozen=True)
class Ended:
    """What is known of a bot when all is over."""

    bot: SentBot
    details: dict[str, Any]
    meeting: Meeting


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def short_calls(
    customer: Customer, hold: Hold
) -> AsyncIterator[dict[tuple[str, str], Awaitable[Ended]]]:
    """All bots are sent at once; the service takes as many as it has room for."""

    async def visit(case: Case, mode: str) -> Ended:
        meeting = await hold(timeline=case.timeline)
        bot = await customer.send(meeting.url, recording_mode=mode, transcription_enabled=True)
        if case.leaves_at:
            await bot.reached(case.leaves_at)
            await bot.leave()
        return Ended(bot, await bot.over(), meeting)

    tasks = {one: asyncio.create_task(visit(CASES[one[0]], one[1])) for one in BOTS}
    yield {**tasks}
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)


@pytest.mark.parametrize(("name", "mode"), BOTS)
async def test_it_ends_normally_with_a_short_recording_or_was_too_early(
    short_calls: dict[tuple[str, str], Awaitable[Ended]], tmp_path: Path, name: str, mode: str
) -> None:
    case = CASES[name]
    ended = await short_calls[name, mode]
    bot, details = ended.bot, ended.details
    statuses = " ".join(bot.statuses)
    if case.too_early is not None and details["error_code"] is not None:
        assert details["error_code"] == case.too_early
        assert "in_call_recording" not in statuses
        assert statuses.endswith(NOT_RECORDED)
        assert details["audio"] is details["video"] is None
        return
    assert (details["error_code"], details["error_message"]) == (None, None)
    in_call = f"in_call_not_recording in_call_recording {case.signal}".strip()
    transcribed = RECORDED.replace("completed", "transcribing completed")
    assert statuses == f"queued joining_call {in_call} {transcribed}"
    files = await bot.artifacts(tmp_path)
    wanted = {"audio", "diarization", "transcription", "raw_transcription"}
    assert set(files) == wanted | ({"video"} if mode != "audio_only" else set())
    seconds = await asyncio.to_thread(check_sound, files["audio"], [])
    assert 0.15 < seconds < 30
    if "video" in files:
        ends = await asyncio.to_thread(stream_ends, files["video"])
        assert ends["video"] == pytest.approx(ends["audio"], abs=0.1)
        assert ends["video"] == pytest.approx(seconds, abs=0.1)


NO_CAMERAS = [{"name": "Ada Martin", "video": False}, {"name": "Ben Okafor", "video": False}]


@pytest.mark.parametrize("mode", ["speaker_view", "gallery_view"])
async def test_a_meeting_in_which_nobody_is_to_be_seen_or_heard_has_a_video(
    customer: Customer, hold: Hold, tmp_path: Path, mode: str
) -> None:
    people = [{**one, "muted": True} for one in NO_CAMERAS]
    meeting = await hold(participants=people, timeline=[{"at": 14, "do": "end"}])
    bot = await customer.send(meeting.url, recording_mode=mode)
    details = await bot.over()
    assert details["status"] == "completed", details["error_message"]
    files = await bot.artifacts(tmp_path)
    shown, pictures = await asyncio.to_thread(check_video, files["video"])
    assert shown == pytest.approx(details["duration_seconds"], abs=1)
    assert len(pictures) >= shown - 1
    assert len(await bot.screenshots(tmp_path)) == 1
    if mode == "speaker_view":
        await asyncio.to_thread(
            assert_card, files["video"], ["Ada Martin", "Ben Okafor"], at=shown / 2
        )


async def test_who_speaks_without_a_camera_is_shown_by_name(
    customer: Customer, hold: Hold, tmp_path: Path
) -> None:
    meeting = await hold(
        participants=NO_CAMERAS,
        timeline=[
            {"at": 4, "do": "say", "who": "Ben Okafor", "text": "Nobody of us has a camera today."},
            {"at": 12, "do": "end"},
        ],
    )
    bot = await customer.send(meeting.url)
    await bot.over()
    (turn,) = spoken(meeting.truth, bot.when("in_call_recording"))
    video = (await bot.artifacts(tmp_path))["video"]
    await asyncio.to_thread(assert_card, video, ["Ada Martin", "Ben Okafor"], at=turn.start - 1.5)
    await asyncio.to_thread(assert_card, video, ["Ben Okafor"], at=turn.end + 1.5)
