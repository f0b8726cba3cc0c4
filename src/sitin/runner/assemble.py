"""From what a capture has written to the files of a recording, whether it ended or was cut off.

For the runner: run once after the meeting, and again where a crash came between. It reads nothing
but the recording directory, so that the process that recorded need not be the one that assembles.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from sitin.contract.events import BotEvent, ParticipantSeen
from sitin.contract.recording import (
    ArtifactKind,
    ArtifactRef,
    DiarizationSegment,
    ParticipantRef,
    Recording,
)
from sitin.runner.capture import mp4
from sitin.runner.capture.activity import diarization, merged, read_activity
from sitin.runner.capture.audio_files import mix, rewrite
from sitin.runner.capture.compose import compose, compose_card
from sitin.runner.capture.sound import RATE
from sitin.runner.capture.stage import Names
from sitin.runner.capture.strategy import CaptureStart, Kind
from sitin.runner.capture.voices import read_index

CAPTURE = "capture"
AFTERWARDS = 10
"""Priority (niceness) of work that nobody in a meeting waits for."""
_SHORTEST_LEFT = 0.1
"""Seconds below which what a crash has left holds nothing."""
_TYPES = {
    ".mp4": "video/mp4",
    ".flac": "audio/flac",
    ".jsonl": "application/x-ndjson",
    ".png": "image/png",
    ".html": "text/html",
}


def assemble(directory: Path, events: Sequence[BotEvent], *, complete: bool) -> Recording | None:
    """Make the files; ``None`` where nothing was recorded.

    ``complete`` tells that the capture closed its files; else they end where a crash cut them off.
    Called again after it was interrupted, it goes on where it stopped.
    """
    capture = directory / CAPTURE
    start = _start(capture)
    if start is None:
        return None
    seconds = _audio(capture, directory, complete=complete)
    if seconds == 0 or (seconds < _SHORTEST_LEFT and not complete):
        return None
    names = _names(events)
    if start.kind is not Kind.AUDIO and start.pictures:
        _video(capture, directory, start, tuple(names.values()), complete=complete)
    voices = _voices_of(read_index(capture), events)
    activity = read_activity(capture / "activity")
    heard = {
        participant: merged([activity[one] for one in numbers if one in activity])
        for participant, numbers in voices.items()
    }
    segments = diarization(heard, names)
    participants = _participants(names, segments)
    called = {one.participant_id: one.name for one in participants}
    files = _voices(capture, directory, voices, participants, seconds, complete=complete)
    _diarization(directory, segments, called)
    return Recording(
        started_at=datetime.fromtimestamp(start.origin, UTC),
        duration=round(seconds, 3),
        files=tuple(_files(directory, files)),
        participants=tuple(participants),
        complete=complete,
    )


def _start(capture: Path) -> CaptureStart | None:
    try:
        return CaptureStart.model_validate_json((capture / "start.json").read_bytes())
    except FileNotFoundError:
        return None


def _audio(capture: Path, directory: Path, *, complete: bool) -> float:
    source, target = capture / "audio.flac", directory / "output.flac"
    if source.exists() and not complete:
        partial = capture / "audio.partial"
        rewrite(source, partial)
        partial.replace(source)
    if source.exists():
        # A dense recording still needs it where it is; a link costs nothing.
        target.unlink(missing_ok=True)
        target.hardlink_to(source)
    return mp4.duration(target) if target.exists() else 0.0


def _video(
    capture: Path, directory: Path, start: CaptureStart, names: Names, *, complete: bool
) -> None:
    live, target, screenshots = (
        capture / "video.mp4",
        directory / "output.mp4",
        directory / "screenshots",
    )
    if start.kind is Kind.DENSE:
        compose(capture, screenshots, origin=start.origin)
        complete = True
    if live.exists():
        mp4.finish(live, target, complete=complete)
    if not target.exists():
        # A crash came before the first fragment of the picture, or no picture ever came.
        card = capture / "card.mp4"
        compose_card(capture, screenshots, names, card)
        mp4.finish(card, target, complete=True)


def _names(events: Iterable[BotEvent]) -> dict[str, str]:
    """The last name of everybody seen, in the order of being seen first."""
    names: dict[str, str] = {}
    for event in events:
        if isinstance(event.body, ParticipantSeen):
            names[event.body.participant_id] = event.body.name
    return names


def _voices_of(index: dict[int, str], events: Iterable[BotEvent]) -> dict[str, list[int]]:
    """The numbers of each participant's voices.

    There are two of somebody who came back and was heard before the platform listed them.
    """
    participant_of = {
        event.body.device_id: event.body.participant_id
        for event in events
        if isinstance(event.body, ParticipantSeen) and event.body.device_id is not None
    }
    voices: dict[str, list[int]] = {}
    for number, voice in index.items():
        voices.setdefault(participant_of.get(voice, voice), []).append(number)
    return voices


def _participants(
    names: dict[str, str], segments: list[DiarizationSegment]
) -> list[ParticipantRef]:
    spoke = {one.user_id for one in segments}
    unnamed = sorted(one for one in spoke if one is not None and one not in names)
    everybody = names | {one: f"Unknown speaker {i}" for i, one in enumerate(unnamed, 1)}
    return [
        ParticipantRef(participant_id=one, name=name, number=number, spoke=one in spoke)
        for number, (one, name) in enumerate(everybody.items(), 1)
    ]


def _voices(
    capture: Path,
    directory: Path,
    voices: dict[str, list[int]],
    participants: list[ParticipantRef],
    seconds: float,
    *,
    complete: bool,
) -> list[ArtifactRef]:
    numbers = {one.participant_id: one.number for one in participants}
    target_directory = directory / "participants"
    target_directory.mkdir(exist_ok=True)
    refs = []
    for participant, of_participant in voices.items():
        if participant not in numbers:
            continue  # heard, but never so that anybody could have understood a word
        paths = [capture / "voices" / f"{number}.flac" for number in of_participant]
        sources = [one for one in paths if one.exists()]
        target = target_directory / f"{numbers[participant]}.flac"
        if len(sources) > 1:
            mix(sources, target, pad_to=round(seconds * RATE))
        elif sources and complete:
            sources[0].replace(target)
        elif sources:
            rewrite(sources[0], target, pad_to=round(seconds * RATE))
        refs.append(_ref(directory, target, ArtifactKind.PARTICIPANT_AUDIO, participant))
    return refs


def _diarization(
    directory: Path, segments: list[DiarizationSegment], called: dict[str, str]
) -> None:
    lines = [
        one.model_copy(update={"speaker": called[one.user_id or ""]}).model_dump_json() + "\n"
        for one in segments
    ]
    partial = directory / "diarization.partial"
    partial.write_text("".join(lines))
    partial.replace(directory / "diarization.jsonl")


def _files(directory: Path, voices: list[ArtifactRef]) -> Iterable[ArtifactRef]:
    if (directory / "output.mp4").exists():
        yield _ref(directory, directory / "output.mp4", ArtifactKind.VIDEO)
    yield _ref(directory, directory / "output.flac", ArtifactKind.AUDIO)
    yield _ref(directory, directory / "diarization.jsonl", ArtifactKind.DIARIZATION)
    yield from voices
    shots = (directory / "screenshots").glob("*.png")
    for shot in sorted(shots, key=lambda one: int(one.stem)):
        yield _ref(directory, shot, ArtifactKind.SCREENSHOT, number=int(shot.stem))
    for kept in sorted((directory / "unexpected").glob("*")):
        yield _ref(directory, kept, ArtifactKind.UNEXPECTED)


def _ref(
    directory: Path,
    path: Path,
    kind: ArtifactKind,
    participant: str | None = None,
    number: int | None = None,
) -> ArtifactRef:
    return ArtifactRef(
        kind=kind,
        path=str(path.relative_to(directory)),
        size=path.stat().st_size,
        content_type=_TYPES[path.suffix],
        participant_id=participant,
        number=number,
    )
