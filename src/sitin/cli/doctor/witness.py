"""What a bot does and meets, step by step, as it happens. For the walk.

Three things tell of it: the events in its spool, the log of its process, and the recording that
grows in its directory. All are written by the bot's own processes and are taken as text only.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sitin.contract.codes import BotStatus
from sitin.contract.events import (
    BotEvent,
    Ended,
    ParticipantSeen,
    StatusReached,
    UnexpectedSeen,
)
from sitin.contract.meeting import JoinStep
from sitin.runner.assemble import CAPTURE
from sitin.runner.capture.strategy import CaptureStart, Kind
from sitin.runner.capture.voices import read_index

_LOOK_EVERY = 0.2
"""Seconds between looks at the log and the recording."""
_LONGEST = 300
"""Characters of a line of the log that are shown."""

_STATUSES: dict[BotStatus, tuple[str, str]] = {
    BotStatus.IN_WAITING_ROOM: ("waiting", "for somebody in the meeting to let it in"),
    BotStatus.IN_WAITING_FOR_HOST: ("waiting", "for the host to come"),
    BotStatus.IN_CALL_NOT_RECORDING: ("admitted", "it is in the call"),
    BotStatus.CALL_ENDED: ("left", "the call is over for the bot"),
}
_KINDS: dict[Kind, tuple[str, str]] = {
    Kind.TAB: ("tab", "recorded as a person sees it, in place of the meeting's tracks"),
    Kind.LIVE: ("tracks", "taken as the meeting sends them"),
    Kind.DENSE: ("tracks", "taken as the meeting sends them, composed afterwards"),
    Kind.AUDIO: ("tracks", "sound alone is taken"),
}
_TOLD: dict[JoinStep, str] = {
    JoinStep.PAGE_OPENED: "the meeting's page is there",
    JoinStep.FORM_SEEN: "it asks for a name",
    JoinStep.NAME_GIVEN: "",
    JoinStep.ASKED: "the button is pressed",
}


@dataclass(frozen=True, slots=True)
class Step:
    """Something that a bot has done or met."""

    what: str
    told: str
    at: datetime
    """UTC."""
    files: tuple[str, ...] = ()
    """What of an unexpected page was kept, relative to the bot's directory."""


class Witness:
    """Follows one bot and tells each step once, in order."""

    def __init__(self, files: Path, log: Path, tell: Callable[[Step], None]) -> None:
        self._files = files
        self._log = log
        self._tell = tell
        self._read = 0
        self._recording = False
        self._kind_told = False
        self._names: dict[str, str] = {}
        self._heard: set[str] = set()

    async def follow(self, events: AsyncIterator[BotEvent]) -> AsyncGenerator[BotEvent, None]:
        """Pass the events on, up to ``Ended``; what else there is to tell is told meanwhile."""
        looking = asyncio.create_task(self._look())
        try:
            async for event in events:
                # What came before it is told before it.
                self._read_log()
                self._read_recording(event.at)
                self._take(event)
                yield event
                if isinstance(event.body, Ended):
                    return
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            self._read_log()
            self._read_recording(datetime.now(UTC))

    def _take(self, event: BotEvent) -> None:
        match event.body:
            case StatusReached(status=status, message=message):
                if status in _STATUSES:
                    what, told = _STATUSES[status]
                    self._tell(Step(what, told, event.at))
                elif message is not None:
                    self._tell(Step(status, message, event.at))
                self._recording = status is BotStatus.IN_CALL_RECORDING
            case ParticipantSeen(participant_id=participant, name=name):
                self._names[participant] = name
                self._tell(Step("somebody", f"{name} is in the meeting", event.at))
            case UnexpectedSeen(what=what, files=files):
                self._tell(Step("unexpected", what, event.at, files))

    def _read_log(self) -> None:
        with self._log.open("rb") as file:
            file.seek(self._read)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._read += len(line)
                if (step := step_of(line)) is not None:
                    self._tell(step)

    def _read_recording(self, now: datetime) -> None:
        if not self._recording:
            return
        capture = self._files / CAPTURE
        if not self._kind_told and (kind := _kind(capture)) is not None:
            self._kind_told = True
            self._tell(Step(*_KINDS[kind], now))
        for participant in _voices(capture):
            if participant not in self._heard:
                self._heard.add(participant)
                name = self._names.get(participant, "somebody without a name")
                self._tell(Step("sound", f"of {name} arrives", now))


def step_of(line: bytes) -> Step | None:
    """What a line of the runner's log tells: a step of the adapter's, or trouble."""
    try:
        said: Any = json.loads(line)
        at = datetime.fromisoformat(said["timestamp"])
        event, level = str(said["event"]), said["level"]
        if event == "step":
            step = JoinStep(said["step"])
            return Step(step, _TOLD[step], at)
    except (ValueError, KeyError, TypeError):
        return None
    if level not in ("warning", "error", "critical"):
        return None
    why = said.get("why") or said.get("what")
    told = event if why is None else f"{event}: {why}"
    return Step("warning", told[:_LONGEST], at)


def _voices(capture: Path) -> list[str]:
    try:
        return [str(participant) for participant in read_index(capture).values()]
    except (ValueError, TypeError):
        return []  # not what the runner writes: none of ours to explain


def _kind(capture: Path) -> Kind | None:
    try:
        return CaptureStart.model_validate_json((capture / "start.json").read_bytes()).kind
    except (FileNotFoundError, ValidationError):
        return None
