"""``sitin doctor MEETING_URL``: a bot goes into a real meeting, without a service around it.

It is started as every bot of this machine is, by the same code, with the same browser and as a user
of its own; only who listens to it is another. It joins under the name ``sitin doctor``, records for
a few seconds and leaves.
"""

import asyncio
import shutil
import time
from collections.abc import Callable, Iterable
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sitin.cli.doctor.evidence import Evidence, evidence_of
from sitin.cli.doctor.witness import Step, Witness
from sitin.cli.launching import bot_processes, browser_spec, check_browsers, check_isolation
from sitin.cli.settings import Settings
from sitin.contract.codes import CODE_TEXTS, NORMAL_ENDS, BotStatus, Platform, RecordingMode
from sitin.contract.events import Ended, StatusReached
from sitin.contract.failures import AdapterError
from sitin.contract.spec import BotSpec, Timeouts
from sitin.kit.errors import OperatorError, operator_error
from sitin.kit.files import file_beneath
from sitin.kit.ids import new_id
from sitin.platforms.registry import ADAPTERS
from sitin.platforms.urls import MeetingUrl, recognise
from sitin.providers.storage.local import LocalObjectStore
from sitin.runner.places import Place
from sitin.runner.processes import RunnerProcess, kill_leftovers
from sitin.runner.supervisor import SupervisedBot

BOT_NAME = "sitin doctor"

_NAMES = {
    Platform.MEET: "Google Meet",
    Platform.TEAMS: "Microsoft Teams",
    Platform.ZOOM: "Zoom",
}
_MARGIN = 60.0
"""Seconds by which the bot's own limits come after the doctor's."""
_GONE_WITHIN = 30.0
"""Seconds for a bot to end when it has said its last, or when it was asked to leave."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the operator wants to see tried."""

    meeting: MeetingUrl
    record: float
    """Seconds to record."""
    wait: float
    """Seconds to wait for being admitted."""
    out: Path
    """Directory that gets one for each walk."""


@dataclass
class Diagnosis:
    """What a walk has shown."""

    meeting: MeetingUrl
    directory: Path
    """Where everything of it is kept."""
    began: datetime
    steps: list[Step] = field(default_factory=list)
    code: str | None = None
    """Why the call ended; ``None`` when no bot came to be."""
    well: bool = False
    sentence: str = ""

    @property
    def unexpected(self) -> list[Step]:
        """What the page showed and nobody expected."""
        return [step for step in self.steps if step.what == "unexpected"]

    def line(self, step: Step) -> str:
        """A step as a person reads it."""
        kept = f" ({', '.join(step.files)})" if step.files else ""
        return f"{self._after(step):7.2f} s  {step.what:13}  {step.told}{kept}".rstrip()

    def as_json(self) -> dict[str, Any]:
        """All of it, for a program; ``after`` in seconds from the beginning."""
        return {
            "meeting_url": self.meeting.url,
            "meeting_platform": self.meeting.platform,
            "well": self.well,
            "code": self.code,
            "sentence": self.sentence,
            "directory": str(self.directory),
            "steps": [self._step(step) for step in self.steps],
            "unexpected": [self._step(step) for step in self.unexpected],
        }

    def _step(self, step: Step) -> dict[str, Any]:
        return {
            "step": step.what,
            "told": step.told,
            "at": step.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "after": round(self._after(step), 3),
            "files": [str(self.directory / name) for name in step.files],
        }

    def _after(self, step: Step) -> float:
        return (step.at - self.began).total_seconds()


def planned(text: str, *, record: float, wait: float, out: Path) -> Plan:
    """What is to be tried with this address. Raises ``OperatorError``."""
    meeting = recognise(text)
    if meeting is None:
        raise OperatorError(
            f"{text!r} is no meeting's address: give one like https://meet.google.com/abc-defg-hij."
        )
    if meeting.platform not in ADAPTERS:
        raise OperatorError(
            f"{meeting.url} is a {_NAMES[meeting.platform]} meeting, and this version of sitin "
            f"joins {', '.join(_NAMES[one] for one in ADAPTERS)} only."
        )
    return Plan(meeting, record, wait, out.absolute())


async def walk(settings: Settings, plan: Plan, tell: Callable[[str], None]) -> Diagnosis:
    """Send the bot; ``tell`` is given a line for each step as it happens.

    Raises ``OperatorError`` where this machine stands in the way.
    """
    spec = _spec(settings, plan)
    directory = plan.out / str(spec.bot_id)
    diagnosis = Diagnosis(plan.meeting, directory, datetime.now(UTC))

    def note(step: Step) -> None:
        diagnosis.steps.append(step)
        tell(diagnosis.line(step))

    _note_now(note, "address", f"{_NAMES[plan.meeting.platform]}, {plan.meeting.url}")
    _note_now(note, "browser", await check_browsers(settings))
    _note_now(note, "isolation", (await check_isolation()).sentence)
    launcher = await bot_processes(settings)
    try:
        bot = await launcher.launch(spec)
    except AdapterError as error:
        raise OperatorError(error.message) from error
    _note_now(note, "started", f"{BOT_NAME!r} is on its way")
    try:
        ended = await _attend(bot, plan.record, note)
    except BaseException:
        await _call_back(bot)
        raise
    await _wait_until_gone(bot)
    evidence, kept = None, []
    if ended.recording is not None:
        evidence = await asyncio.to_thread(evidence_of, bot.directory, ended.recording)
        _note_now(note, "recorded", evidence.told)
        kept = [one.path for one in ended.recording.files]
    kept += [name for step in diagnosis.unexpected for name in step.files]
    await _keep(bot, directory, kept)
    await bot.discard()
    _conclude(diagnosis, ended, evidence)
    return diagnosis


def _spec(settings: Settings, plan: Plan) -> BotSpec:
    longest = plan.record + _MARGIN
    return BotSpec(
        bot_id=new_id(),
        fencing_token=1,
        bot_name=BOT_NAME,
        platform=plan.meeting.platform,
        meeting_url=plan.meeting.url,
        recording_mode=RecordingMode.SPEAKER_VIEW,
        video=settings.video,
        timeouts=Timeouts(
            waiting_room=plan.wait,
            no_one_joined=longest,
            silence=longest,
            alone=longest,
            recording=longest,
        ),
        browser=browser_spec(settings),
    )


def _note_now(note: Callable[[Step], None], what: str, told: str) -> None:
    note(Step(what, told, datetime.now(UTC)))


async def _attend(bot: SupervisedBot, seconds: float, note: Callable[[Step], None]) -> Ended:
    """Follow the bot to its last event, and have it leave once it has recorded for ``seconds``."""
    witness = Witness(bot.directory, _place(bot).log, note)
    leaving = None
    try:
        async with aclosing(witness.follow(bot.events(after=0))) as events:
            async for event in events:
                match event.body:
                    case StatusReached(status=BotStatus.IN_CALL_RECORDING):
                        leaving = asyncio.create_task(_leave_after(bot, event.at, seconds))
                    case Ended() as ended:
                        return ended
    finally:
        if leaving is not None:
            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)
    raise AssertionError("the bot ended without its last event")


async def _leave_after(bot: SupervisedBot, began: datetime, seconds: float) -> None:
    await asyncio.sleep(max(0.0, began.timestamp() + seconds - time.time()))
    await bot.leave()


async def _call_back(bot: SupervisedBot) -> None:
    """The doctor is interrupted: nobody stays in a meeting because of that."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_GONE_WITHIN):
            await bot.leave()
            async for _ in bot.events(after=0):
                pass
    await _wait_until_gone(bot)
    await bot.discard()


async def _wait_until_gone(bot: SupervisedBot) -> None:
    """From here on nothing in the bot's directory changes."""
    process = RunnerProcess.of(bot.directory, _place(bot).identity)
    if process is not None:
        await process.gone(within=_GONE_WITHIN)
    await asyncio.to_thread(kill_leftovers, bot.spec.bot_id)


async def _keep(bot: SupervisedBot, directory: Path, names: Iterable[str]) -> None:
    """Keep the log and these of the bot's files; what leads elsewhere is left out."""
    try:
        store = await asyncio.to_thread(LocalObjectStore, directory)
        await asyncio.to_thread(shutil.copyfile, _place(bot).log, directory / "runner.log")
    except OSError as error:
        raise operator_error(error, directory) from error
    for name in names:
        with suppress(FileNotFoundError, ValueError):
            path = await asyncio.to_thread(file_beneath, bot.directory, name)
            await store.put_file(name, path, content_type="application/octet-stream")


def _place(bot: SupervisedBot) -> Place:
    return Place(bot.directory.parent)


def _conclude(diagnosis: Diagnosis, ended: Ended, evidence: Evidence | None) -> None:
    diagnosis.code = ended.reason
    normal = ended.reason in NORMAL_ENDS
    diagnosis.well = normal and evidence is not None and evidence.whole
    why = ended.message or CODE_TEXTS[ended.reason].sentence
    if diagnosis.well and evidence is not None:
        sentence = f"A bot gets into this meeting and records it{evidence.reservation}."
    elif evidence is None:
        sentence = f"The bot recorded nothing: {why.rstrip('.')} ({ended.reason})."
    else:
        sentence = f"The bot's recording is not whole: {why.rstrip('.')} ({ended.reason})."
    if diagnosis.unexpected:
        sentence = f"{sentence[:-1]}; what the page showed and nobody expected is kept."
    diagnosis.sentence = sentence
