"""One machine's bots: a recordings directory and supervisors on it. For tests."""

import asyncio
import contextlib
import shutil
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from sitin.contract.codes import Platform, RecordingMode
from sitin.contract.events import BotEvent, Ended
from sitin.contract.launch import RunningBot
from sitin.contract.spec import BotSpec, BrowserSpec, Timeouts
from sitin.kit.ids import new_id
from sitin.runner import bot_process
from sitin.runner.places import Place
from sitin.runner.processes import kill_leftovers
from sitin.runner.supervisor import Patience, SupervisedBot, Supervisor

STAND_IN = Path(__file__).parent / "stand_in.py"
PATIENCE = Patience(to_start=60.0, to_go=60.0, silent=60.0, to_recover=60.0, memory_every=0.1)


def order(
    behaviour: str,
    *,
    bot_id: UUID | None = None,
    token: int = 1,
    browser: BrowserSpec | None = None,
) -> BotSpec:
    """An order whose name tells a stand-in what to do."""
    return BotSpec(
        bot_id=bot_id or new_id(),
        fencing_token=token,
        bot_name=behaviour,
        platform=Platform.MEET,
        meeting_url="https://meet.google.com/abc-defg-hij",
        recording_mode=RecordingMode.SPEAKER_VIEW,
        timeouts=Timeouts(waiting_room=60, no_one_joined=60, silence=60, recording=3600),
        browser=browser or BrowserSpec(path="/no/browser"),
    )


@dataclass
class Host:
    """A machine; its bots are stand-ins, and none outlives the test."""

    recordings: Path
    program: Path
    started: list[UUID] = field(default_factory=list)
    supervised: list[SupervisedBot] = field(default_factory=list)

    def supervisor(self, *, patience: Patience = PATIENCE, memory_cap: int = 1 << 30) -> Supervisor:
        """Another worker's supervisor on this machine."""
        return Supervisor(
            self.recordings,
            memory_cap=memory_cap,
            patience=patience,
            command=(sys.executable, "-I", str(self.program)),
        )

    async def launch(
        self,
        behaviour: str,
        *,
        patience: Patience = PATIENCE,
        memory_cap: int = 1 << 30,
        bot_id: UUID | None = None,
        browser: BrowserSpec | None = None,
    ) -> SupervisedBot:
        """Start a bot that behaves so."""
        spec = order(behaviour, bot_id=bot_id, browser=browser)
        self.started.append(spec.bot_id)
        supervisor = self.supervisor(patience=patience, memory_cap=memory_cap)
        bot = await supervisor.launch(spec)
        self.supervised.append(bot)
        return bot


@contextlib.asynccontextmanager
async def a_host(directory: Path) -> AsyncIterator[Host]:
    """A machine in a directory that every user may enter."""
    program = directory / "stand_in.py"
    shutil.copy(STAND_IN, program)
    program.chmod(0o644)
    host = Host(directory / "recordings", program)
    host.recordings.mkdir()
    host.recordings.chmod(0o711)
    yield host
    for bot_id in host.started:
        await asyncio.to_thread(kill_leftovers, bot_id)
    for bot in host.supervised:
        if bot._child is not None:
            await bot._child.wait()
        if bot.directory.exists():
            await bot_process.forget(Place(bot.directory.parent).identity, bot.spec)


async def all_events(bot: RunningBot, *, after: int = 0, seconds: float = 60) -> list[BotEvent]:
    """Every event up to the last."""
    async with asyncio.timeout(seconds):
        return [event async for event in bot.events(after=after)]


async def last_word(bot: RunningBot, *, seconds: float = 60) -> Ended:
    """How it ended."""
    body = (await all_events(bot, seconds=seconds))[-1].body
    assert isinstance(body, Ended)
    return body
