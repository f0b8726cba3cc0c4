"""From what a capture has written to a recording's files."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sitin.contract.events import BotEvent, ParticipantLeft, ParticipantSeen
from sitin.contract.recording import ArtifactKind
from sitin.runner.assemble import CAPTURE, assemble
from sitin.runner.capture.sound import RATE
from sitin.runner.capture.strategy import Kind
from tests.runner.capture.media import assert_card, loudness, read_sound, stream_ends
from tests.runner.capture.meeting import ADA, BEN, NAMES, Held, Page, diarization, seen

pytestmark = pytest.mark.unit


def spoken(directory: Path, kind: Kind = Kind.AUDIO, **changes: object) -> Held:
    page = Page()
    page.hear(1)
    page.speak(11, 1.0, 2.0)
    page.speak(22, 4.0, 2.0)
    if kind is not Kind.AUDIO:
        page.show(10, 1, 0.0, 7)
    held = Held(directory, kind, page, **changes)  # type: ignore[arg-type]
    held.run(7.0)
    return held


def test_nothing_was_recorded(tmp_path: Path) -> None:
    assert assemble(tmp_path, [], complete=True) is None
    (tmp_path / CAPTURE).mkdir()
    assert assemble(tmp_path, [], complete=False) is None


def test_each_file_is_told_with_its_size_and_type(tmp_path: Path) -> None:
    held = spoken(tmp_path / "files", Kind.LIVE)
    held.finish()
    (held.directory / "unexpected").mkdir()
    (held.directory / "unexpected" / "1.png").write_bytes(b"png")
    (held.directory / "unexpected" / "1.html").write_text("<p>")
    recording = assemble(held.directory, seen(ADA, BEN), complete=True)
    assert recording is not None
    assert [(one.kind, one.path, one.content_type) for one in recording.files] == [
        (ArtifactKind.VIDEO, "output.mp4", "video/mp4"),
        (ArtifactKind.AUDIO, "output.flac", "audio/flac"),
        (ArtifactKind.DIARIZATION, "diarization.jsonl", "application/x-ndjson"),
        (ArtifactKind.PARTICIPANT_AUDIO, "participants/1.flac", "audio/flac"),
        (ArtifactKind.PARTICIPANT_AUDIO, "participants/2.flac", "audio/flac"),
        (ArtifactKind.SCREENSHOT, "screenshots/1.png", "image/png"),
        (ArtifactKind.UNEXPECTED, "unexpected/1.html", "text/html"),
        (ArtifactKind.UNEXPECTED, "unexpected/1.png", "image/png"),
    ]
    for one in recording.files:
        assert one.size == (held.directory / one.path).stat().st_size > 0
    voices = [one for one in recording.files if one.kind is ArtifactKind.PARTICIPANT_AUDIO]
    assert [one.participant_id for one in voices] == [ADA, BEN]
    assert [one.number for one in recording.files if one.kind is ArtifactKind.SCREENSHOT] == [1]
    assert recording.started_at == datetime(2027, 1, 15, 8, 0, tzinfo=UTC)


def test_everybody_seen_is_a_participant_in_the_order_of_being_seen(tmp_path: Path) -> None:
    held = spoken(tmp_path / "files")
    held.finish()
    silent = "spaces/1/devices/silent"
    bodies = [
        ParticipantSeen(participant_id=BEN, name="Ben"),
        ParticipantSeen(participant_id=silent, name="Sam"),
        ParticipantSeen(participant_id=ADA, name="Ada"),
        ParticipantLeft(participant_id=silent),
        ParticipantSeen(participant_id=BEN, name="Ben Okafor"),
    ]
    events = [
        BotEvent(seq=n, at=datetime.now(UTC), fencing_token=1, body=body)
        for n, body in enumerate(bodies, 1)
    ]
    recording = assemble(held.directory, events, complete=True)
    assert recording is not None
    assert [(p.name, p.number, p.spoke) for p in recording.participants] == [
        ("Ben Okafor", 1, True),
        ("Sam", 2, False),
        ("Ada", 3, True),
    ]
    assert [who for who, _, _ in diarization(held.directory)] == ["Ada", "Ben Okafor"]
    # A file is named after its participant's number, whoever was heard first.
    paths = {one.participant_id: one.path for one in recording.files if one.participant_id}
    assert paths == {BEN: "participants/1.flac", ADA: "participants/3.flac"}


@pytest.mark.parametrize("complete", [True, False])
def test_who_came_back_and_was_heard_before_being_listed_is_one_participant(
    tmp_path: Path, complete: bool
) -> None:
    """What the platform's new id said until its name came is theirs as well."""
    held = spoken(tmp_path / "files")
    if not complete:
        held.run(14.0)
        shutil.copytree(held.directory, tmp_path / "left")
    held.finish()
    directory = held.directory if complete else tmp_path / "left"
    events = [
        BotEvent(seq=n, at=datetime.now(UTC), fencing_token=1, body=body)
        for n, body in enumerate(
            [
                ParticipantSeen(participant_id=ADA, name="Ada"),
                ParticipantLeft(participant_id=ADA),
                ParticipantSeen(participant_id=ADA, name="Ada", device_id=BEN),
            ],
            1,
        )
    ]
    for _ in range(2):
        recording = assemble(directory, events, complete=complete)
        assert recording is not None
        assert [(p.participant_id, p.name, p.spoke) for p in recording.participants] == [
            (ADA, "Ada", True)
        ]
        assert diarization(directory) == [("Ada", 1.0, 3.0), ("Ada", 4.0, 6.0)]
        voices = [one for one in recording.files if one.participant_id]
        assert [(one.participant_id, one.path) for one in voices] == [(ADA, "participants/1.flac")]
        own = read_sound(directory / "participants/1.flac")
        assert own.size == pytest.approx(recording.duration * RATE, abs=RATE / 1000)
        loud = [loudness(own[n * RATE :][: RATE // 2]) > 2000 for n in range(7)]
        assert loud == [False, True, True, False, True, True, False]


@pytest.mark.parametrize("kind", [Kind.AUDIO, Kind.LIVE, Kind.DENSE])
@pytest.mark.parametrize("complete", [True, False])
def test_interrupted_anywhere_it_goes_on_where_it_stopped(
    tmp_path: Path, kind: Kind, complete: bool
) -> None:
    """A recovery may be killed as well. Whatever it had moved by then, the next one finds."""
    held = spoken(tmp_path / "files", kind)
    if not complete:
        shutil.copytree(held.directory, tmp_path / "left")
    held.finish()
    directory = held.directory if complete else tmp_path / "left"
    first = assemble(directory, seen(ADA, BEN), complete=complete)
    assert first is not None
    # All of it was done but the last word: the next recovery does it all again.
    second = assemble(directory, seen(ADA, BEN), complete=False)
    assert second is not None
    assert second.duration == pytest.approx(first.duration, abs=0.001)
    assert [one.path for one in second.files] == [one.path for one in first.files]
    assert second.participants == first.participants
    if complete:
        again = assemble(directory, seen(ADA, BEN), complete=True)
        assert again is not None
        assert [one.path for one in again.files] == [one.path for one in first.files]


def test_where_a_crash_left_no_picture_the_video_shows_names(tmp_path: Path) -> None:
    """A video whose first fragment was not written yet takes nothing else with it."""
    held = spoken(tmp_path / "files", Kind.LIVE)
    shutil.copytree(held.directory, tmp_path / "left")
    held.finish()
    left = tmp_path / "left"
    (left / CAPTURE / "video.mp4").write_bytes(b"\x00\x00\x00\x1cftypisom")
    recording = assemble(left, seen(ADA, BEN), complete=False)
    assert recording is not None
    kinds = [one.kind for one in recording.files]
    assert ArtifactKind.VIDEO in kinds
    assert_card(left / "output.mp4", [NAMES[ADA], NAMES[BEN]])
    ends = stream_ends(left / "output.mp4")
    assert ends["video"] == pytest.approx(ends["audio"], abs=0.1)
    assert kinds.count(ArtifactKind.PARTICIPANT_AUDIO) == 2
    assert diarization(left)[0] == (NAMES[ADA], 1.0, 3.0)


def test_a_voice_whose_file_was_just_being_opened_is_silence(tmp_path: Path) -> None:
    held = spoken(tmp_path / "files")
    shutil.copytree(held.directory, tmp_path / "left")
    held.finish()
    left = tmp_path / "left"
    (left / CAPTURE / "voices" / "2.flac").write_bytes(b"")
    recording = assemble(left, seen(ADA, BEN), complete=False)
    assert recording is not None
    assert [p.spoke for p in recording.participants] == [True, True]
