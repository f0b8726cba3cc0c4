"""Capture of the tab: the browser's own recording taken apart and put together."""

from pathlib import Path

import pytest

from sitin.contract.meeting import AudioTopology
from sitin.runner.assemble import CAPTURE, assemble
from sitin.runner.capture.frames import EncodedAudio, TabChunk, UntappableReport
from sitin.runner.capture.mp4 import duration
from sitin.runner.capture.strategy import Kind
from tests.runner.capture.media import ORIGIN, assert_card, loudness, read_sound, read_video
from tests.runner.capture.meeting import ADA, BEN, Held, Page, diarization, seen

pytestmark = pytest.mark.unit

RATE = 48_000


def recorded(held: Held, seconds: float) -> None:
    held.run(seconds)
    held.finish()
    assert assemble(held.directory, seen(ADA, BEN), complete=True) is not None


def sounding(path: Path, seconds: int) -> list[bool]:
    samples = read_sound(path)
    return [loudness(samples[n * RATE + 4800 :][:38_400]) > 2000 for n in range(seconds)]


def test_picture_and_sound_are_the_tabs_own(tmp_path: Path) -> None:
    page = Page()
    page.record_tab(8)
    held = Held(tmp_path / "files", Kind.TAB, page)
    recorded(held, 8.0)
    marks = [mark for _, mark in read_video(held.directory / "output.mp4")]
    assert [mark.frame for mark in marks if mark] == list(range(200))
    expected = [True, False] * 4
    assert sounding(held.directory / "output.flac", 8) == expected
    assert sounding(held.directory / "output.mp4", 8) == expected
    assert duration(held.directory / "output.mp4") == pytest.approx(8.0, abs=0.1)


def test_a_mix_is_cut_by_the_dominant_speaker(tmp_path: Path) -> None:
    """A page without any track: the tab's sound is everybody's, the platform tells whose."""
    page = Page()
    page.record_tab(8)
    held = Held(tmp_path / "files", Kind.TAB, page, topology=AudioTopology.MIXED)
    held.table.dominant(ADA, ORIGIN + 0.5)
    held.table.dominant(BEN, ORIGIN + 3.5)
    recorded(held, 8.0)
    assert {who for who, _, _ in diarization(held.directory)} == {"Ada Martin", "Ben Okafor"}
    assert sounding(held.directory / "participants/1.flac", 8)[:4] == [True, False, True, False]
    assert sounding(held.directory / "participants/2.flac", 8)[4:] == [True, False, True, False]


def test_sound_without_tracks_counts_as_somebody_being_heard(tmp_path: Path) -> None:
    page = Page()
    page.record_tab(4)
    held = Held(tmp_path / "files", Kind.TAB, page)
    recorded(held, 4.0)
    assert held.heard
    assert all((at + 0.1) % 2 < 1.15 for at in held.heard)
    assert diarization(held.directory) == []


def test_tracks_beside_the_tab_tell_who_speaks(tmp_path: Path) -> None:
    page = Page()
    page.record_tab(8)
    page.hear(1)
    page.speak(11, 1.0, 2.0)
    held = Held(tmp_path / "files", Kind.TAB, page)
    recorded(held, 8.0)
    assert diarization(held.directory) == [("Ada Martin", 1.0, 3.0)]
    assert sounding(held.directory / "output.flac", 4) == [False, True, True, False], "theirs"


def test_what_somebody_says_without_a_track_that_can_be_taken_is_the_tabs(tmp_path: Path) -> None:
    page = Page()
    page.record_tab(8)
    page.hear(1)
    page.send(0.5, UntappableReport(type="untappable", kind="audio", why="no"))
    page.speak(11, 1.0, 2.0)
    held = Held(tmp_path / "files", Kind.TAB, page)
    recorded(held, 8.0)
    assert diarization(held.directory) == [("Ada Martin", 1.0, 3.0)]
    assert sounding(held.directory / "output.flac", 4) == [True, False] * 2


def test_tracks_on_which_nobody_was_heard_leave_the_sound_to_the_tab(tmp_path: Path) -> None:
    page = Page()
    page.record_tab(4)
    page.hear(1)
    for at in range(1, 16):
        page.send(at / 4, EncodedAudio(1, at * RATE // 4, at, ORIGIN + at / 4, (), b""))
    held = Held(tmp_path / "files", Kind.TAB, page)
    recorded(held, 4.0)
    assert diarization(held.directory) == []
    assert sounding(held.directory / "output.flac", 4) == [True, False] * 2


@pytest.mark.parametrize("piece", [b"", b"no MP4 at all" * 100, b"\x00\x00\x00\x08free"])
def test_where_the_recorder_writes_no_mp4_names_are_shown(tmp_path: Path, piece: bytes) -> None:
    page = Page()
    page.send(0.5, TabChunk(piece))
    page.hear(1)
    page.speak(11, 1.0, 2.0)
    held = Held(tmp_path / "files", Kind.TAB, page)
    recorded(held, 4.0)
    assert diarization(held.directory) == [("Ada Martin", 1.0, 3.0)]
    assert_card(held.directory / "output.mp4", ["Ada Martin", "Ben Okafor"])
    assert duration(held.directory / "output.flac") == pytest.approx(4.0, abs=0.05)


def test_a_recording_cut_off_with_the_page_is_kept_up_to_there(tmp_path: Path) -> None:
    page = Page()
    page.record_tab(8)
    page.items = page.items[:9]
    at, last = page.items[-1]
    assert isinstance(last, TabChunk)
    page.items[-1] = (at, TabChunk(last.data[: len(last.data) // 2]))
    held = Held(tmp_path / "files", Kind.TAB, page)
    recorded(held, 8.0)
    shown = read_video(held.directory / "output.mp4")
    assert 3.5 < shown[-2][0] < 4.5
    assert shown[-1][0] == pytest.approx(8.0, abs=0.1)
    assert shown[-1][1] == shown[-2][1], "repeated at the end"
    assert (held.directory / CAPTURE / "audio.flac").exists()
