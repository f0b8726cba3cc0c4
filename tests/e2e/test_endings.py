"""Every way in which a bot's visit ends: which statuses it tells, and which code it bears."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from sitin.contract.codes import CODE_TEXTS, EndReason
from sitin.rehearsal import Meeting
from tests.e2e.conftest import Hold
from tests.e2e.customer import Customer, SentBot

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(600),
    pytest.mark.asyncio(loop_scope="package"),
]

Follow = Callable[[SentBot, Meeting], Awaitable[None]]


async def nothing(bot: SentBot, meeting: Meeting) -> None:
    """The meeting's page alone ends it."""


def then(*steps: str) -> Follow:
    """Do these one after the other: a status to wait for, or a control of the meeting.

    ``API leave`` is the customer's.
    """

    async def follow(bot: SentBot, meeting: Meeting) -> None:
        for step in steps:
            match step.split():
                case ["API", "leave"]:
                    await bot.leave()
                case ["do", control, *arguments]:
                    getattr(meeting, control)(*arguments)
                case _:
                    await bot.reached(step)

    return follow


@dataclass(frozen=True)
class Case:
    """What happens to a bot, and what it tells."""

    told: str
    """Statuses after ``joining_call``."""
    code: EndReason | None
    """``None`` for a bot that completes."""
    script: dict[str, Any]
    follow: Follow = nothing
    visit: str = ""
    """How the visit of a bot that was in the call ended, as the meeting saw it."""
    visits: int | None = None
    """How often it asked to be let in, where that is more than once."""
    says: str = ""
    """A part of the error's sentence; the code's own where nothing is given."""


IN_LOBBY = "in_waiting_room"
IN_CALL = "in_call_not_recording in_call_recording"
NORMAL = "call_ended recording_succeeded completed"
LOBBY = {"admission": {"answer": "wait"}}

CASES = {
    "denied": Case(
        f"{IN_LOBBY} bot_rejected failed",
        EndReason.BOT_NOT_ACCEPTED,
        LOBBY,
        then(IN_LOBBY, "do deny"),
    ),
    "not answered": Case(
        f"{IN_LOBBY} waiting_room_timeout failed",
        EndReason.TIMEOUT_WAITING_TO_START,
        LOBBY,
        then(IN_LOBBY, "do refuse no_response"),
        says="Nobody in the meeting answered",
    ),
    "left before it was admitted": Case(
        f"{IN_LOBBY} api_request_stop failed",
        EndReason.EXITING_MEETING_BEFORE_RECORD,
        LOBBY,
        then(IN_LOBBY, "API leave"),
    ),
    "ended by the host": Case(
        f"in_waiting_for_host {IN_LOBBY} {IN_CALL} {NORMAL}",
        None,
        {"admission": {"answer": "wait", "host_arrives_after": None}},
        then(
            "in_waiting_for_host",
            "do host_arrives",
            IN_LOBBY,
            "do admit",
            "in_call_recording",
            "do end",
        ),
        visit="ended",
    ),
    "removed": Case(
        f"{IN_CALL} bot_removed {NORMAL}",
        None,
        {},
        then("in_call_recording", "do remove_bot"),
        visit="removed",
    ),
    "left on request": Case(
        f"{IN_CALL} api_request_stop {NORMAL}",
        None,
        {},
        then("in_call_recording", "API leave"),
        visit="left",
    ),
    "cannot connect": Case(
        "meeting_error failed",
        EndReason.CANNOT_JOIN_MEETING,
        {"admission": {"answer": "connection_problem"}},
        says="does not let this guest join",
        visits=3,
    ),
    "cannot join": Case(
        "meeting_error failed",
        EndReason.CANNOT_JOIN_MEETING,
        {"entrance": "cannot_join"},
        says="does not let this guest join",
    ),
    "account needed": Case(
        "meeting_error failed", EndReason.LOGIN_REQUIRED, {"entrance": "sign_in"}
    ),
    "account needed elsewhere": Case(
        "meeting_error failed", EndReason.LOGIN_REQUIRED, {"entrance": "sign_in_redirect"}
    ),
    "captcha": Case(
        "meeting_error failed",
        EndReason.CANNOT_JOIN_MEETING,
        {"entrance": "captcha"},
        says="prove that no robot is joining",
    ),
    "no such meeting": Case(
        "invalid_meeting_url failed", EndReason.INVALID_MEETING_URL, {"entrance": "not_found"}
    ),
    "expired": Case(
        "invalid_meeting_url failed", EndReason.INVALID_MEETING_URL, {"entrance": "expired"}
    ),
    "no name of a meeting": Case(
        "invalid_meeting_url failed", EndReason.INVALID_MEETING_URL, {"entrance": "invalid_name"}
    ),
}


@dataclass(frozen=True)
class Ended:
    """What is known of a bot when all is over."""

    bot: SentBot
    details: dict[str, Any]
    meeting: Meeting


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def endings(customer: Customer, hold: Hold) -> AsyncIterator[dict[str, Awaitable[Ended]]]:
    """All bots are sent at once; the service takes as many as it has room for."""

    async def visit(case: Case) -> Ended:
        meeting = await hold(**case.script)
        bot = await customer.send(meeting.url, recording_mode="audio_only")
        await case.follow(bot, meeting)
        return Ended(bot, await bot.over(), meeting)

    tasks = {name: asyncio.create_task(visit(case)) for name, case in CASES.items()}
    yield {**tasks}
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)


@pytest.mark.parametrize("name", CASES)
async def test_it_ends_with_the_statuses_and_the_code_of_its_reason(
    endings: dict[str, Awaitable[Ended]], name: str
) -> None:
    case = CASES[name]
    ended = await endings[name]
    bot, details = ended.bot, ended.details
    assert bot.statuses == ["queued", "joining_call", *case.told.split()]
    assert details["status"] == bot.statuses[-1]
    (callback,) = bot.callbacks
    assert callback.payload["data"]["bot_id"] == bot.id
    if case.code is None:
        assert (details["error_code"], details["error_message"]) == (None, None)
        assert callback.payload["event"] == "bot.completed"
        assert details["audio"] is not None
        (visit,) = ended.meeting.state.visits
        assert (visit.name, visit.outcome) == ("Notes", case.visit)
        return
    assert callback.payload["event"] == "bot.failed"
    assert details["error_code"] == bot.last_word["error_code"] == case.code
    assert details["error_message"] == bot.last_word["error_message"]
    assert (case.says or CODE_TEXTS[case.code].sentence) in details["error_message"]
    assert details["audio"] is None
    if case.visits is not None:
        assert len(ended.meeting.state.visits) == case.visits


@pytest.mark.parametrize(
    ("url", "platform"),
    [
        ("https://zoom.us/j/85000000000?pwd=Ab", "Zoom"),
        ("https://teams.microsoft.com/meet/33749853217630?p=Ab", "Microsoft Teams"),
    ],
)
async def test_a_platform_that_cannot_be_joined_yet_is_told_as_such(
    customer: Customer, url: str, platform: str
) -> None:
    bot = await customer.send(url)
    details = await bot.over()
    assert bot.statuses == ["queued", "joining_call", "meeting_error", "failed"]
    assert details["error_code"] == EndReason.CANNOT_JOIN_MEETING
    assert details["error_message"] == f"This service cannot join {platform} meetings yet."
    assert [one.payload["event"] for one in bot.callbacks] == ["bot.failed"]
