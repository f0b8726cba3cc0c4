"""From a script's ``say`` events to packets ready to send. For the meeting."""

import asyncio
from dataclasses import dataclass

from sitin.rehearsal.errors import ScriptError
from sitin.rehearsal.script import Say, Script
from sitin.rehearsal.voices import Utterance, utterance, voice_of

_AT_ONCE = 4
"""Utterances made at the same time."""


@dataclass(frozen=True, slots=True)
class Speech:
    """An utterance and when it is due."""

    at: float
    who: str
    utterance: Utterance


async def load_speech(script: Script) -> list[Speech]:
    """Make every utterance of a script. Raises ``ScriptError`` naming the event."""
    limit = asyncio.Semaphore(_AT_ONCE)
    positions = {p.id: (position, p) for position, p in enumerate(script.participants)}

    async def load(index: int, say: Say) -> Speech:
        position, participant = positions[say.who]
        async with limit:
            try:
                spoken = await utterance(say, voice_of(participant, position))
            except ScriptError as error:
                raise ScriptError(f"timeline.{index}: {error.message}") from error
        return Speech(say.at, say.who, spoken)

    says = [(index, event) for index, event in enumerate(script.timeline) if isinstance(event, Say)]
    speeches = await asyncio.gather(*(load(index, say) for index, say in says))
    _refuse_overlaps([(index, speech) for (index, _), speech in zip(says, speeches, strict=True)])
    return speeches


def _refuse_overlaps(speeches: list[tuple[int, Speech]]) -> None:
    """Two people may speak at once; one person may not say two things at once."""
    busy: dict[str, float] = {}
    for index, speech in sorted(speeches, key=lambda item: item[1].at):
        until = busy.get(speech.who, 0.0)
        if speech.at < until:
            raise ScriptError(
                f"timeline.{index}.at: {speech.who!r} still speaks until {until:.2f} s; "
                f"{speech.at:g} is too early"
            )
        busy[speech.who] = speech.at + speech.utterance.duration
