"""What a killed process takes with it: of the worker's nothing, of a bot's five seconds at most.

The worker's bot is a dense one, so that a recording that is composed afterwards is tried as well.
"""

import asyncio
import signal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import pytest_asyncio

from sitin.contract.codes import CODE_TEXTS, EndReason
from sitin.rehearsal import Meeting
from sitin.runner.processes import MARK
from tests.cli.conftest import a_machine
from tests.e2e.conftest import SMALL, Hold
from tests.e2e.customer import Customer, SentBot, a_customer
from tests.e2e.recordings import (
    check_sound,
    check_video,
    diarization_error,
    spoken,
)
from tests.waiting import until

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(600),
    pytest.mark.asyncio(loop_scope="package"),
]

IN_CALL = ["queued", "joining_call", "in_call_not_recording", "in_call_recording"]
LOST = 5.0
"""Seconds before its death that a recording may lack."""
NOTICED = 10.0
"""Seconds after its death in which a bot is known to be dead."""
BUSY = 10.0
"""Seconds more that a machine takes which has other things to do."""


def talk(seconds: float) -> dict[str, Any]:
    """Two people who take turns all the time."""
    people = [{"name": "Ada Martin"}, {"name": "Ben Okafor"}]
    text = "We go on talking whatever happens to the machine."
    turns = [
        {"at": at, "do": "say", "who": people[number % 2]["name"], "text": text}
        for number, at in enumerate(range(1, int(seconds) - 3, 4))
    ]
    timeline = [*turns, {"at": seconds, "do": "end"}]
    return {"participants": people, "video": SMALL, "timeline": timeline}


@dataclass(frozen=True)
class BotProcess:
    """A process of a bot, as it was when the processes were listed."""

    process: psutil.Process
    parent: int
    name: str
    arguments: tuple[str, ...]


def processes_of(bot: SentBot) -> list[BotProcess]:
    """List the processes of a bot. Chromium's come and go, so one may end while it is looked at."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == bot.id:
                name, arguments = Path(process.exe()).name, tuple(process.cmdline())
                found.append(BotProcess(process, process.ppid(), name, arguments))
        except psutil.Error:
            continue
    return found


def runner(bot: SentBot) -> psutil.Process:
    """Return the process of the bot's own program."""
    (found,) = (one.process for one in processes_of(bot) if "sitin.runner" in one.arguments)
    return found


def browser(bot: SentBot) -> psutil.Process:
    """Return the first process of the bot's browser, whose parent is not a browser process."""
    processes = [one for one in processes_of(bot) if one.name.startswith("chromium")]
    children = {one.process.pid for one in processes}
    (found,) = (one.process for one in processes if one.parent not in children)
    return found


PARTS = {"runner": runner, "browser": browser}


class TestWorker:
    """``kill -9`` of ``sitin serve`` while a bot records."""

    async def test_the_bot_goes_on_and_the_next_worker_finishes_its_work(
        self,
        hold: Hold,
        make_directory: Callable[[], Path],
        led_here: dict[str, str],
        tmp_path: Path,
    ) -> None:
        meeting = await hold(**talk(24))
        dense = led_here | {"SITIN_VIDEO": "dense"}
        async with (
            a_machine(make_directory() / "data", **dense) as machine,
            machine.serving() as (url, process),
            a_customer(machine, url) as customer,
        ):
            bot = await customer.send(meeting.url)
            await bot.reached("in_call_recording")
            await meeting.reached(5)
            process.kill()
            await process.wait()
            killed_at = datetime.now(UTC)
            await meeting.reached(12)
            assert [one.outcome for one in meeting.state.visits] == ["in_call"]
            assert runner(bot).is_running()
            async with machine.serving() as (next_url, _):
                customer.client.base_url = httpx.URL(next_url)
                details = await bot.over()
                assert bot.statuses == [
                    *IN_CALL,
                    "call_ended",
                    "recording_succeeded",
                    "completed",
                ]
                assert len(bot.events("bot.completed")) == len(bot.callbacks) == 1
                files = await bot.artifacts(tmp_path)
                await until(lambda: not processes_of(bot))
                await until(lambda: not list((machine.data_dir / "recordings").iterdir()))
        assert len(meeting.truth.visits) == 1, "nobody came twice"
        started = bot.when("in_call_recording")
        turns = spoken(meeting.truth, started)
        killed = (killed_at - started).total_seconds()
        assert any(one.start > killed for one in turns)
        seconds = await asyncio.to_thread(check_sound, files["audio"], turns)
        assert seconds == pytest.approx(details["duration_seconds"], abs=1)
        assert diarization_error(files["diarization"], turns, seconds=seconds) < 0.05
        shown, pictures = await asyncio.to_thread(check_video, files["video"])
        assert shown == pytest.approx(seconds, abs=1)
        gaps = [later - earlier for (earlier, _), (later, _) in pairwise(pictures)]
        assert max(gaps) < 1.5


@dataclass(frozen=True)
class Victim:
    """A bot, one of whose processes was killed."""

    bot: SentBot
    killed_at: datetime
    details: dict[str, Any]
    files: dict[str, Path]

    @property
    def recorded(self) -> float:
        """Seconds that it had recorded when it died."""
        return (self.killed_at - self.bot.when("in_call_recording")).total_seconds()


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def meeting(hold: Hold) -> Meeting:
    """Two people who still talk when the bots are dead."""
    return await hold(**talk(120))


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def victims(
    customer: Customer, meeting: Meeting, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Victim]:
    """Bots that have recorded for twelve seconds when a process of theirs is killed."""
    bots = {what: await customer.send(meeting.url, bot_name=what) for what in PARTS}
    for bot in bots.values():
        await bot.reached("in_call_recording")
    now = meeting.state.clock
    assert now is not None
    await meeting.reached(now + 12)
    killed = {}
    for what, bot in bots.items():
        PARTS[what](bot).send_signal(signal.SIGKILL)
        killed[what] = datetime.now(UTC)

    async def bring(what: str) -> Victim:
        bot = bots[what]
        details = await bot.over()
        files = await bot.artifacts(tmp_path_factory.mktemp(what))
        return Victim(bot, killed[what], details, files)

    return dict(zip(PARTS, await asyncio.gather(*(bring(what) for what in PARTS)), strict=True))


class TestBot:
    """``kill -9`` of one bot's runner and of another one's browser, in one meeting."""

    @pytest.mark.parametrize("what", PARTS)
    async def test_its_death_is_noticed_and_told_as_what_it_was(
        self, victims: dict[str, Victim], what: str
    ) -> None:
        victim = victims[what]
        assert victim.bot.statuses == [*IN_CALL, "call_ended", "recording_failed", "failed"]
        noticed = (victim.bot.when("call_ended") - victim.killed_at).total_seconds()
        assert noticed < NOTICED + BUSY
        assert victim.details["error_code"] == EndReason.FORCE_KILLED
        assert victim.details["error_message"] == CODE_TEXTS[EndReason.FORCE_KILLED].sentence
        assert victim.bot.last_word["error_code"] == EndReason.FORCE_KILLED
        assert [one.payload["event"] for one in victim.bot.callbacks] == ["bot.failed"]
        await until(lambda: not processes_of(victim.bot))

    @pytest.mark.parametrize("what", PARTS)
    async def test_what_it_had_recorded_is_there(
        self, victims: dict[str, Victim], meeting: Meeting, what: str
    ) -> None:
        victim = victims[what]
        lasted = victim.recorded
        seconds = await asyncio.to_thread(check_sound, victim.files["audio"], [])
        assert lasted - LOST <= seconds <= lasted + 1
        assert seconds == pytest.approx(victim.details["duration_seconds"], abs=1)
        shown, pictures = await asyncio.to_thread(check_video, victim.files["video"])
        assert shown >= lasted - LOST
        assert pictures[-1][0] >= lasted - LOST
        turns = spoken(meeting.truth, victim.bot.when("in_call_recording"))
        kept = [one for one in turns if one.end < seconds]
        assert kept
        await asyncio.to_thread(check_sound, victim.files["audio"], kept)
        assert diarization_error(victim.files["diarization"], kept, seconds=kept[-1].end) < 0.05
