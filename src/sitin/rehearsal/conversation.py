"""Scripts made from recordings, and the conversation that is held when there are none.

For the demo, tests and benchmarks.
"""

import asyncio
import json
from dataclasses import dataclass
from itertools import cycle, zip_longest
from pathlib import Path

from pydantic import ValidationError

from sitin.rehearsal.errors import ScriptError
from sitin.rehearsal.script import (
    MAX_PARTICIPANTS,
    End,
    Participant,
    Present,
    Say,
    Script,
    StopPresenting,
    TimelineEvent,
    sentence_of,
)
from sitin.rehearsal.speech import load_speech
from sitin.rehearsal.voices import PACKET_SECONDS, RATE, read_samples

TRANSCRIPTS = "transcripts.json"
DEFAULT_SECONDS = 40.0
_FIRST_AT = 1.0
_GAP = 1.0
"""Seconds between two turns: longer than any pause within one."""
_END_AFTER = 2.0


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of a conversation; ``gap`` is in seconds after the line before, less than 0 to
    interrupt it."""

    who: str
    text: str
    gap: float = _GAP


_CONVERSATION = (
    _Line("Ada Martin", "Good morning everyone. Can you all hear me well?"),
    _Line("Ben Okafor", "Yes, loud and clear. Good morning from the office."),
    _Line("Chloé Dubois", "I can hear you too. Shall we start with the schedule?"),
    _Line(
        "Ada Martin", "Let us do that. The first version is due on Friday, and two parts are open."
    ),
    _Line("Ben Okafor", "My part is done. I tested it yesterday with three meetings at once."),
    _Line("Chloé Dubois", "That is good news.", gap=-0.8),
    _Line("Ada Martin", "And the second part? Who can look at the report before Thursday?"),
    _Line(
        "Chloé Dubois",
        "I can. Please send me the numbers tonight, then it is ready in the morning.",
    ),
    _Line("Ben Okafor", "I will share them now, so that we can look at them together."),
    _Line("Ada Martin", "Thank you both. Then we are finished. Goodbye."),
)


async def conversation(code: str = "abc-defg-hij") -> Script:
    """Three synthetic speakers for about 40 s: turns, one interruption, a shared screen, an end.

    Raises ``ScriptError`` where espeak-ng is missing.
    """
    names = list(dict.fromkeys(line.who for line in _CONVERSATION))
    participants = tuple(
        Participant(name=name, host=position == 0) for position, name in enumerate(names)
    )
    draft = Script(
        code=code,
        participants=participants,
        # Far apart, so that no line is in the way of another while their lengths are found out.
        timeline=tuple(
            Say(at=60.0 * index, who=line.who, text=line.text)
            for index, line in enumerate(_CONVERSATION)
        ),
    )
    lengths = [speech.utterance.duration for speech in await load_speech(draft)]
    timeline: list[TimelineEvent] = []
    end = _FIRST_AT - _GAP
    for line, length in zip(_CONVERSATION, lengths, strict=True):
        start = round(end + line.gap, 2)
        timeline.append(Say(at=start, who=line.who, text=line.text))
        end = max(end, start + length)
    last = timeline[-2].at
    timeline += [
        Present(at=last + 1, who="Ben Okafor"),
        StopPresenting(at=round(end + 0.5, 2), who="Ben Okafor"),
        End(at=round(end + _END_AFTER, 2)),
    ]
    return Script(code=code, participants=participants, timeline=tuple(timeline))


async def speech_from(
    directory: Path, *, code: str = "abc-defg-hij", seconds: float = DEFAULT_SECONDS
) -> Script:
    """A script of turns from a directory of WAV or FLAC recordings with a ``transcripts.json``.

    The file is an object, name of the recording → what is said in it. Recordings without a
    transcript are left out. The name up to the first ``-`` or ``.`` is the speaker. Speakers take
    turns, and recordings repeat, until about ``seconds`` are filled. Raises ``ScriptError``.
    """
    return await asyncio.to_thread(_speech_from, directory, code, seconds)


def _speech_from(directory: Path, code: str, seconds: float) -> Script:
    recordings = _recordings(directory)
    by_speaker: dict[str, list[tuple[Path, str]]] = {}
    for path, text in recordings:
        by_speaker.setdefault(_speaker(path), []).append((path, text))
    if len(by_speaker) > MAX_PARTICIPANTS:
        raise ScriptError(
            f"{directory}: has {len(by_speaker)} speakers; a meeting holds {MAX_PARTICIPANTS}"
        )
    lengths = {path: len(read_samples(path)) / RATE for path, _ in recordings}
    try:
        return _turns(by_speaker, lengths, code, seconds)
    except ValidationError as error:
        raise ScriptError(f"{directory}: {sentence_of(error)}") from error


def _turns(
    by_speaker: dict[str, list[tuple[Path, str]]],
    lengths: dict[Path, float],
    code: str,
    seconds: float,
) -> Script:
    """Speakers take turns. Raises ``ValidationError`` for a name or a text that is too long."""
    in_turn = [item for row in zip_longest(*by_speaker.values()) for item in row if item]
    timeline: list[TimelineEvent] = []
    at = _FIRST_AT
    for path, text in cycle(in_turn):
        if at >= seconds:
            break
        timeline.append(Say(at=round(at, 2), who=_speaker(path), text=text, audio=path))
        at += lengths[path] + PACKET_SECONDS + _GAP
    timeline.append(End(at=round(at - _GAP + _END_AFTER, 2)))
    return Script(
        code=code,
        participants=tuple(Participant(name=name) for name in by_speaker),
        timeline=tuple(timeline),
    )


def _recordings(directory: Path) -> list[tuple[Path, str]]:
    listing = directory / TRANSCRIPTS
    try:
        transcripts = json.loads(listing.read_bytes())
    except OSError as error:
        raise ScriptError(f"{listing}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise ScriptError(f"{listing}: is not JSON ({error})") from error
    if not isinstance(transcripts, dict):
        raise ScriptError(f"{listing}: has to be an object, file name → what is said in it")
    found = []
    for path in sorted(directory.iterdir()):
        text = transcripts.get(path.name)
        if path.suffix.lower() not in (".wav", ".flac") or text is None:
            continue
        if not isinstance(text, str) or not text.strip():
            raise ScriptError(f"{listing}: {path.name}: has to be what is said, as a string")
        found.append((path, text.strip()))
    if not found:
        raise ScriptError(f"{directory}: no WAV or FLAC recording of it has a transcript")
    return found


def _speaker(path: Path) -> str:
    return path.name.partition(".")[0].partition("-")[0]
