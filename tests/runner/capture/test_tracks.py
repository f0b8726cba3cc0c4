"""Capture of the tracks: what is asked of the page, what is kept, what cannot be taken."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sitin.contract.meeting import AudioTopology, MediaSource
from sitin.runner.assemble import CAPTURE, assemble
from sitin.runner.capture.compose import compose
from sitin.runner.capture.frames import CodecReport, EncodedVideo, UntappableReport
from sitin.runner.capture.mp4 import duration
from sitin.runner.capture.strategy import Kind
from tests.runner.capture.media import ORIGIN, loudness, read_sound, read_video
from tests.runner.capture.meeting import ADA, BEN, Held, Page, diarization, seen

pytestmark = pytest.mark.unit


def feeds(directory: Path) -> list[int | None]:
    """Which feed each recorded picture shows, without repetitions; ``None`` for a card."""
    found: list[int | None] = []
    for _, mark in read_video(directory / "output.mp4"):
        feed = mark.feed if mark is not None else None
        if not found or found[-1] != feed:
            found.append(feed)
    return found


def recorded(tmp_path: Path, kind: Kind, page: Page, seconds: float) -> Held:
    held = Held(tmp_path / "files", kind, page)
    held.run(seconds)
    held.finish()
    assert assemble(held.directory, seen(ADA, BEN), complete=True) is not None
    return held


@pytest.fixture(params=[Kind.LIVE, Kind.DENSE], ids=["live", "dense"])
def kind(request: pytest.FixtureRequest) -> Kind:
    """The two ways in which speaker view is made; one is the other done later."""
    found: Kind = request.param
    return found


def test_the_picture_follows_who_speaks(tmp_path: Path, kind: Kind) -> None:
    page = Page()
    page.hear(1)
    page.show(10, 1, 0.0, 12)
    page.show(20, 2, 0.0, 12)
    page.speak(11, 1.0, 3.0)
    page.speak(22, 5.0, 3.0)
    page.speak(11, 9.0, 2.5)
    held = recorded(tmp_path, kind, page, 12.0)
    assert feeds(held.directory) == [1, 2, 1]


def test_a_shared_screen_is_recorded_instead(tmp_path: Path, kind: Kind) -> None:
    page = Page()
    page.hear(1)
    page.show(10, 1, 0.0, 12)
    page.speak(11, 1.0, 10.0)
    page.show(30, 7, 4.0, 3)
    held = recorded(tmp_path, kind, page, 13.0)
    assert feeds(held.directory)[:2] == [1, 7]


def test_two_who_speak_at_once_are_both_heard(tmp_path: Path) -> None:
    page = Page()
    page.hear(1)
    page.hear(2)
    page.speak(11, 1.0, 3.0)
    page.speak(22, 2.0, 3.0, track=2)
    held = recorded(tmp_path, Kind.AUDIO, page, 6.0)
    assert diarization(held.directory) == [("Ada Martin", 1.0, 4.0), ("Ben Okafor", 2.0, 5.0)]
    both = read_sound(held.directory / "output.flac")[round(2.5 * 48_000) : round(3.5 * 48_000)]
    spectrum = np.abs(np.fft.rfft(both.astype(float)))
    assert {int(n) for n in np.argsort(spectrum)[-2:]} == {310, 420}, "each one's own tone"


def test_who_speaks_without_a_camera_is_a_card_with_their_name(tmp_path: Path, kind: Kind) -> None:
    page = Page()
    page.hear(1)
    page.show(10, 1, 0.0, 9)
    page.speak(11, 0.5, 2.0)
    page.speak(22, 4.0, 5.0)
    held = recorded(tmp_path, kind, page, 10.0)
    assert feeds(held.directory) == [1, None]


class TestWhatThePageIsAsked:
    def test_only_the_picture_on_air_is_sent_on(self, tmp_path: Path) -> None:
        page = Page()
        page.hear(1)
        page.show(10, 1, 0.0, 8)
        page.show(20, 2, 0.0, 8)
        page.speak(11, 0.5, 2.0)
        page.speak(22, 4.0, 3.0)
        held = recorded(tmp_path, Kind.LIVE, page, 8.0)
        selections = [command["select"] for command in held.commands if "select" in command]
        assert [10] in selections
        assert [20] in selections[selections.index([10]) :]
        assert all(len(one) <= 2 for one in selections if one)

    def test_a_key_frame_is_asked_for_until_the_new_picture_is_there(self, tmp_path: Path) -> None:
        page = Page()
        page.hear(1)
        page.show(10, 1, 0.0, 8)
        page.speak(11, 0.5, 2.0)
        page.show(20, 2, 0.0, 8)
        page.speak(22, 3.0, 4.0)
        # A sender that makes no key frame by itself.
        page.items = [
            (at, item)
            for at, item in page.items
            if not (getattr(item, "track", None) == 20 and getattr(item, "key", False) and at > 0)
        ]
        held = Held(tmp_path / "files", Kind.LIVE, page)
        held.run(8.0)
        asked = [command["keyframe"] for command in held.commands if "keyframe" in command]
        assert 3 <= asked.count(20) <= 5, "once a second"
        assert asked.count(10) <= 1
        held.finish()

    def test_a_senders_only_key_frame_is_the_one_that_is_asked_for(
        self, tmp_path: Path, kind: Kind
    ) -> None:
        """Browsers send one at the start and then none that nobody has asked for."""
        page = Page()
        page.hear(1)
        page.show(10, 1, 0.0, 8)
        page.speak(11, 3.0, 4.0)
        page.show(20, 2, 0.0, 8)
        page.speak(22, 0.5, 1.5)
        page.items = [
            (at, replace(one, key=False) if isinstance(one, EncodedVideo) and at > 0.1 else one)
            for at, one in page.items
        ]
        held = Held(tmp_path / "files", kind, page)
        held.run(8.0)
        asked = [command["keyframe"] for command in held.commands if "keyframe" in command]
        assert 3 <= asked.count(10) <= 5, "once a second, until it comes"
        held.finish()

    def test_an_audio_recording_and_a_dense_one_select_nothing(self, tmp_path: Path) -> None:
        for name, kind in (("a", Kind.AUDIO), ("d", Kind.DENSE)):
            page = Page()
            page.hear(1)
            page.show(10, 1, 0.0, 3)
            page.speak(11, 0.5, 2.0)
            held = Held(tmp_path / name, kind, page)
            held.run(3.0)
            held.finish()
            assert not any("select" in command for command in held.commands)


def test_a_voice_is_its_participants_from_the_first_packet(tmp_path: Path) -> None:
    """Also where the track tells whose it is, in the batch in which its first packets come."""
    page = Page()
    page.hear(1, at=0.4)
    page.speak(11, 0.0, 3.0)
    held = Held(tmp_path / "files", Kind.AUDIO, page, topology=AudioTopology.PER_PARTICIPANT)
    held.table.audio = {"a1": MediaSource(participant_id=ADA)}
    held.run(4.0)
    held.finish()
    assert assemble(held.directory, seen(ADA, BEN), complete=True) is not None
    assert diarization(held.directory) == [("Ada Martin", 0.0, 3.0)]


class TestDense:
    def test_every_participants_frames_are_kept_as_they_came(self, tmp_path: Path) -> None:
        page = Page()
        page.hear(1)
        page.show(10, 1, 0.0, 4)
        page.show(20, 2, 0.0, 4)
        sent = sum(len(item.data) for _, item in page.items if isinstance(item, EncodedVideo))
        held = Held(tmp_path / "files", Kind.DENSE, page)
        held.run(4.0)
        assert not (held.directory / CAPTURE / "video.mp4").exists(), "nothing is encoded"
        held.finish()
        assert (held.directory / CAPTURE / "frames").stat().st_size == sent + 200 * 32

    def test_composing_again_after_it_was_interrupted_gives_the_same(self, tmp_path: Path) -> None:
        page = Page()
        page.hear(1)
        page.show(10, 1, 0.0, 6)
        page.speak(11, 1.0, 3.0)
        held = Held(tmp_path / "files", Kind.DENSE, page)
        held.run(6.0)
        held.finish()
        capture = held.directory / CAPTURE
        # What a process has left that was killed while it composed.
        (capture / "video.mp4").write_bytes(b"half a file")
        compose(capture, held.directory / "screenshots", origin=ORIGIN)
        first = assemble(held.directory, seen(ADA), complete=True)
        (held.directory / "output.mp4").unlink()
        second = assemble(held.directory, seen(ADA), complete=True)
        assert first == second
        assert duration(held.directory / "output.mp4") == pytest.approx(6.0, abs=0.2)

    @pytest.mark.parametrize("cut", [1, 31, 33, 5000])
    def test_a_journal_that_was_cut_off_is_composed_up_to_there(
        self, tmp_path: Path, cut: int
    ) -> None:
        page = Page()
        page.hear(1)
        page.show(10, 1, 0.0, 6)
        page.speak(11, 1.0, 4.0)
        held = Held(tmp_path / "files", Kind.DENSE, page)
        held.run(6.0)
        held.finish()
        journal = held.directory / CAPTURE / "frames"
        journal.write_bytes(journal.read_bytes()[:-cut])
        view = held.directory / CAPTURE / "view.jsonl"
        view.write_text(view.read_text() + '{"at": 5.0, "wa')
        assert assemble(held.directory, seen(ADA), complete=False) is not None
        numbers = [mark.frame for _, mark in read_video(held.directory / "output.mp4") if mark]
        assert numbers[:-1] == list(range(len(numbers) - 1))
        assert numbers[-1] == numbers[-2], "the last picture is repeated at the end"
        assert len(numbers) >= 100

    def test_decisions_are_kept_with_their_times(self, tmp_path: Path) -> None:
        page = Page()
        page.hear(1)
        page.show(10, 1, 0.0, 8)
        page.show(20, 2, 0.0, 8)
        page.speak(11, 1.0, 2.0)
        page.speak(22, 4.0, 3.0)
        held = recorded(tmp_path, Kind.DENSE, page, 8.0)
        rows = [
            json.loads(line)
            for line in (held.directory / CAPTURE / "view.jsonl").read_text().splitlines()
        ]
        wants = [(row["want"], row["names"]) for row in rows if "want" in row]
        assert wants == [
            (10, ["Ada Martin", "Ben Okafor"]),
            (10, ["Ada Martin"]),
            (20, ["Ben Okafor"]),
        ]
        assert {row["codec"] for row in rows if "codec" in row} == {"video/VP8"}


class TestWhatCannotBeTaken:
    @pytest.mark.parametrize(
        ("report", "why"),
        [
            (CodecReport(type="codec", id=1, kind="audio", mimeType="audio/PCMU"), "audio/PCMU"),
            (CodecReport(type="codec", id=9, kind="video", mimeType="video/H265"), "video/H265"),
            (UntappableReport(type="untappable", kind="video", why="the page transforms"), "trans"),
        ],
    )
    def test_it_is_said_and_the_rest_is_recorded(
        self, tmp_path: Path, report: CodecReport | UntappableReport, why: str
    ) -> None:
        page = Page()
        page.hear(1)
        page.show(10, 1, 0.0, 4)
        page.speak(11, 1.0, 2.0)
        page.send(2.0, report)
        held = recorded(tmp_path, Kind.LIVE, page, 4.0)
        assert why in held.refused[0]
        assert loudness(read_sound(held.directory / "output.flac")[48_000:96_000]) > 2000

    def test_frames_of_a_codec_that_cannot_be_decoded_end_nothing(self, tmp_path: Path) -> None:
        page = Page()
        page.hear(1)
        page.show(10, 1, 0.0, 4)
        page.items = [
            (at, CodecReport(type="codec", id=10, kind="video", mimeType="video/H265"))
            if isinstance(item, CodecReport) and item.id == 10
            else (at, item)
            for at, item in page.items
        ]
        page.speak(11, 1.0, 2.0)
        held = recorded(tmp_path, Kind.LIVE, page, 4.0)
        assert held.refused == ["the page receives video/H265"]
        assert loudness(read_sound(held.directory / "output.flac")[48_000:96_000]) > 2000


def test_a_participant_who_was_never_named_is_numbered(tmp_path: Path) -> None:
    page = Page()
    page.hear(1)
    page.speak(33, 1.0, 2.0)
    held = Held(tmp_path / "files", Kind.AUDIO, page)
    held.run(4.0)
    held.finish()
    recording = assemble(held.directory, seen(ADA), complete=True)
    assert recording is not None
    assert [(p.name, p.spoke) for p in recording.participants] == [
        ("Ada Martin", False),
        ("Unknown speaker 1", True),
    ]
    assert diarization(held.directory)[0][0] == "Unknown speaker 1"


def test_who_comes_back_as_another_device_is_who_they_were(tmp_path: Path) -> None:
    """Meet gives who comes back a new device; the name is the same, and so is the line's."""
    page = Page()
    page.hear(1)
    page.speak(11, 1.0, 1.5)
    page.speak(22, 4.0, 1.5)
    held = Held(tmp_path / "files", Kind.AUDIO, page)
    held.table.audio = {
        "11": MediaSource(participant_id=ADA),
        "22": MediaSource(participant_id=BEN),
    }
    held.run(6.0)
    held.finish()
    recording = assemble(held.directory, seen(ADA, BEN), complete=True)
    assert recording is not None
    assert diarization(held.directory) == [("Ada Martin", 1.0, 2.5), ("Ben Okafor", 4.0, 5.5)]
