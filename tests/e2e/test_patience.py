"""When a bot leaves by itself. Its order says seconds here where customers may ask for minutes.

So the service runs in the process of the tests, with a launcher that changes the orders and hands
them to the real one.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from sitin.bots import store
from sitin.cli.installation import installation
from sitin.cli.launching import bot_processes
from sitin.cli.settings import Settings
from sitin.cli.wiring import running_service
from sitin.contract.codes import EndReason
from sitin.contract.launch import BotLauncher, RunningBot
from sitin.contract.spec import BotSpec, Timeouts
from sitin.kit.database import Database
from sitin.rehearsal import Meeting, RehearsalServer
from tests.cli.conftest import a_machine
from tests.e2e.conftest import BOTS_AT_ONCE, Hold
from tests.e2e.customer import Customer, SentBot, a_customer
from tests.waiting import until

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(600),
    pytest.mark.asyncio(loop_scope="package"),
]

LIMITS = Timeouts(waiting_room=4, no_one_joined=4, alone=4, silence=8, recording=14)
ADA, BEN = "Ada Martin", "Ben Okafor"
IN_CALL = "joining_call in_call_not_recording in_call_recording"


class Hurrying:
    """Has bots started whose patience is short."""

    def __init__(self, launcher: BotLauncher) -> None:
        self._launcher = launcher
        self.limits = LIMITS

    async def launch(self, spec: BotSpec) -> RunningBot:
        return await self._launcher.launch(spec.model_copy(update={"timeouts": self.limits}))

    async def adopt(self) -> Sequence[RunningBot]:
        return await self._launcher.adopt()


@dataclass(frozen=True)
class Case:
    """A meeting that tries a bot's patience."""

    reason: EndReason
    script: dict[str, Any]
    in_call: bool = True


def says(*moments: float) -> list[dict[str, Any]]:
    text = "That is all there is to say."
    return [{"at": at, "do": "say", "who": ADA, "text": text} for at in moments]


CASES = {
    "nobody admits it": Case(
        EndReason.TIMEOUT_WAITING_TO_START, {"admission": {"answer": "wait"}}, in_call=False
    ),
    "nobody comes": Case(
        EndReason.NO_ATTENDEES, {"participants": [{"name": ADA, "joins_at_start": False}]}
    ),
    "everybody leaves": Case(
        EndReason.NO_ATTENDEES,
        {
            "timeline": [
                *says(1),
                {"at": 3, "do": "leave", "who": ADA},
                {"at": 4, "do": "leave", "who": BEN},
            ]
        },
    ),
    "nobody speaks any more": Case(EndReason.NO_SPEAKER, {"timeline": says(1)}),
    "they talk and talk": Case(EndReason.RECORDING_TIMEOUT, {"timeline": says(*range(1, 40, 4))}),
}


@dataclass(frozen=True)
class Left:
    """What is known of a bot that has left."""

    bot: SentBot
    details: dict[str, Any]
    reason: EndReason
    visit: str


@dataclass(frozen=True)
class Install:
    """A service whose bots are in a hurry, and a customer of each of two teams."""

    launcher: Hurrying
    database: Database
    customer: Customer
    other_customer: Customer

    async def reason(self, bot: SentBot) -> EndReason:
        """Why the bot's call ended."""
        async with self.database.transaction() as session:
            ended = await store.ended_event(session, UUID(bot.id))
        assert ended is not None
        return ended.reason


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def install(
    hall: RehearsalServer, make_directory: Callable[[], Path]
) -> AsyncIterator[Install]:
    """The service runs in the process of the tests."""
    settings = Settings(
        data_dir=make_directory() / "data",
        browser_host_rules=hall.browser_host_rules,
        browser_args=hall.browser_args,
        allow_private_addresses=True,
        max_bots=BOTS_AT_ONCE,
    )
    launcher = Hurrying(await bot_processes(settings))
    async with (
        a_machine(settings.data_dir, SITIN_ALLOW_PRIVATE_ADDRESSES="true") as machine,
        running_service(settings, port=0, launcher=launcher) as service,
        installation(settings) as installed,
        a_customer(machine, service.url) as customer,
        a_customer(machine, service.url) as other_customer,
    ):
        yield Install(launcher, installed.database, customer, other_customer)


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def departures(install: Install, hold: Hold) -> AsyncIterator[dict[str, Awaitable[Left]]]:
    """All bots are sent at once; the service takes as many as it has room for."""

    async def visit(case: Case) -> Left:
        meeting = await hold(**case.script)
        bot = await install.customer.send(meeting.url, recording_mode="audio_only")
        details = await bot.over()
        (visit,) = meeting.state.visits
        return Left(bot, details, await install.reason(bot), visit.outcome)

    tasks = {name: asyncio.create_task(visit(case)) for name, case in CASES.items()}
    yield {**tasks}
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)


@pytest.mark.parametrize("name", CASES)
async def test_it_leaves_when_its_patience_is_at_its_end(
    departures: dict[str, Awaitable[Left]], name: str
) -> None:
    case = CASES[name]
    left = await departures[name]
    assert left.reason is case.reason
    statuses = " ".join(left.bot.statuses)
    if not case.in_call:
        assert statuses == "queued joining_call in_waiting_room waiting_room_timeout failed"
        assert left.details["error_code"] == case.reason
        return
    assert statuses == f"queued {IN_CALL} call_ended recording_succeeded completed"
    assert left.details["error_code"] is None
    assert left.visit == "left", "by the page's own button"
    assert left.details["audio"] is not None


@pytest_asyncio.fixture(loop_scope="package")
async def patient_with_people(
    install: Install, departures: dict[str, Awaitable[Left]]
) -> AsyncIterator[Install]:
    """Bots that wait long for everything but for not being alone; those of before are gone."""
    await asyncio.gather(*departures.values())
    install.launcher.limits = Timeouts(
        waiting_room=120, no_one_joined=5, alone=5, silence=120, recording=240
    )
    yield install
    install.launcher.limits = LIMITS


async def two_bots_inside(install: Install, meeting: Meeting) -> list[SentBot]:
    """Two bots of two teams, of one name, come into a meeting together."""
    bots = [
        await customer.send(meeting.url, recording_mode="audio_only", bot_name=ADA)
        for customer in (install.customer, install.other_customer)
    ]
    await until(
        lambda: [one.outcome for one in meeting.state.visits] == ["waiting"] * len(bots),
        seconds=120,
    )
    meeting.admit()
    await until(lambda: all(one.outcome == "in_call" for one in meeting.state.visits), seconds=60)
    return bots


async def alone_together(install: Install, bots: list[SentBot], meeting: Meeting) -> None:
    """Assert that the bots have left because nobody but them was there."""
    for bot in bots:
        details = await bot.over()
        assert await install.reason(bot) is EndReason.NO_ATTENDEES, details
    first, second = meeting.state.visits
    assert first.left_at is not None
    assert second.connected_at is not None
    assert first.left_at > second.connected_at, "they were there together"


async def test_bots_do_not_keep_each_other_in_a_meeting_that_people_have_left(
    patient_with_people: Install, hold: Hold
) -> None:
    """One of the people has the bots' name: as long as they are there, the bots stay."""
    meeting = await hold(admission={"answer": "wait"})
    bots = await two_bots_inside(patient_with_people, meeting)
    for bot in bots:
        await bot.reached("in_call_recording")
    meeting.leave(BEN)
    # Longer than the bots stay alone, on the meeting's own clock.
    await meeting.reached(meeting.clock.now() + 8)
    assert [one.outcome for one in meeting.state.visits] == ["in_call", "in_call"]
    meeting.leave(ADA)
    await alone_together(patient_with_people, bots, meeting)


async def test_bots_and_note_takers_are_nobody_who_joined(
    patient_with_people: Install, hold: Hold
) -> None:
    meeting = await hold(
        participants=[{"name": "Fireflies.ai Notetaker Ada", "video": False, "muted": True}],
        admission={"answer": "wait"},
    )
    bots = await two_bots_inside(patient_with_people, meeting)
    await alone_together(patient_with_people, bots, meeting)
