"""What every way of capturing does: with its files, its speakers, and when it is cut off.

What engine and recorder rely on is asked of the fake as well; what becomes of the files only of
those that record.
"""

import gc
import shutil
import threading
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import av
import psutil
import pytest

from sitin.contract.recording import ArtifactKind, Recording
from sitin.runner.assemble import CAPTURE, assemble
from sitin.runner.capture.frames import (
    CodecReport,
    EncodedAudio,
    EncodedVideo,
    Item,
    PageMessage,
    ProblemReport,
    RunningReport,
    TrackReport,
)
from sitin.runner.capture.mp4 import duration
from sitin.runner.capture.sound import RATE
from sitin.runner.capture.strategy import Kind
from tests.fakes.capture import FakeCapture
from tests.runner.capture.media import (
    ORIGIN,
    assert_card,
    boxes,
    loudness,
    read_sound,
    read_video,
    stream_ends,
)
from tests.runner.capture.meeting import ADA, BEN, Held, Page, diarization, seen

pytestmark = pytest.mark.unit

LENGTH = 14.0
KILLED_AT = (6.5, 9.9, 13.5)
KINDS = pytest.mark.parametrize("kind", list(Kind), ids=[kind.value for kind in Kind])


@pytest.fixture(params=[*Kind, None], ids=[*(kind.value for kind in Kind), "fake"])
def held(request: pytest.FixtureRequest, tmp_path: Path) -> Held:
    """Any strategy at all, on a page that sends nothing yet."""
    if request.param is None:
        return Held(tmp_path / "files", Kind.AUDIO, Page(), build=FakeCapture)
    return Held(tmp_path / "files", request.param, Page())


def voices(held: Held, *, at: float = 0.5) -> None:
    """Somebody speaks for two seconds."""
    if held.kind is Kind.TAB:
        held.page.record_tab(4)
    held.page.hear(1)
    held.page.speak(11, at, 2.0)


def test_it_tells_when_somebody_is_heard(held: Held) -> None:
    voices(held)
    held.run(4.0)
    held.finish()
    assert held.heard
    assert 0 <= min(held.heard) <= max(held.heard) <= 4.0


def test_nobody_is_heard_where_nobody_speaks(held: Held) -> None:
    held.page.hear(1)
    held.page.show(10, 1, 0.0, 3)
    held.run(3.0)
    held.finish()
    assert held.heard == []


NONSENSE: list[Item] = [
    EncodedAudio(track=99, rtp=1, sequence=2, received=ORIGIN, sources=(7, 8), data=b"no opus"),
    EncodedAudio(track=1, rtp=0, sequence=0, received=ORIGIN, sources=(), data=b""),
    EncodedVideo(98, True, 1, ORIGIN, 0, 0, b"no picture"),
    TrackReport(type="track", id=10, kind="video", stream="v10", state="live"),
    CodecReport(type="codec", id=10, kind="video", mimeType="video/H264"),
    EncodedVideo(10, True, 90_000, ORIGIN + 1, 1280, 720, b""),
    EncodedVideo(10, False, 2**32 - 1, ORIGIN, 65_535, 65_535, b"\x00"),
    RunningReport(type="running", ids=(97, 98)),
    TrackReport(type="track", id=98, kind="video", stream="", state="ended"),
    CodecReport(type="codec", id=98, kind="video", mimeType="video/unheard-of"),
    ProblemReport(type="problem", what="anything"),
    PageMessage("not for it"),
]


def test_what_a_page_sends_cannot_stop_it(held: Held) -> None:
    held.page.hear(1)
    for number, item in enumerate(NONSENSE * 2):
        held.page.send(0.1 * number, item)
    held.run(3.0)
    voices(held, at=4.0)
    held.run(8.0)
    held.finish()
    assert held.heard


def test_at_its_end_it_has_written_all_and_holds_nothing(held: Held) -> None:
    threads = set(threading.enumerate())
    voices(held)
    held.run(4.0)
    held.finish()
    written = [one for one in held.directory.rglob("*") if one.is_file()]
    assert any(one.stat().st_size for one in written if one.name != "start.json")
    open_now = {one.path for one in psutil.Process().open_files()}
    assert open_now.isdisjoint(str(one) for one in written)
    assert set(threading.enumerate()) <= threads


def two_in_turns() -> Page:
    """Ada speaks from 1 to 4 and from 10 to 12, Ben from 6 to 9; both cameras are on."""
    page = Page()
    page.hear(1)
    page.show(10, 1, -0.5, 14)
    page.show(20, 2, -0.5, 14)
    page.speak(11, 1.0, 3.0)
    page.speak(22, 6.0, 3.0)
    page.speak(11, 10.0, 2.0)
    return page


@dataclass(frozen=True)
class Take:
    """One meeting, recorded once, and copies of what the disk had when it went on."""

    held: Held
    recording: Recording
    left: dict[float, Path]
    """By the second of the meeting: what the kernel has when the process is gone."""

    @property
    def directory(self) -> Path:
        return self.held.directory


@pytest.fixture(scope="module", params=list(Kind), ids=[kind.value for kind in Kind])
def take(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Take:
    directory = tmp_path_factory.mktemp(request.param)
    page = two_in_turns()
    if request.param is Kind.TAB:
        page.record_tab(round(LENGTH))
    held = Held(directory / "files", request.param, page)
    left = {}
    for at in KILLED_AT:
        held.run(at)
        left[at] = directory / f"left-{at}"
        shutil.copytree(held.directory, left[at])
    held.run(LENGTH)
    held.finish()
    recording = assemble(held.directory, seen(ADA, BEN), complete=True)
    assert recording is not None
    return Take(held, recording, left)


def files(recording: Recording, kind: ArtifactKind) -> list[str]:
    return [one.path for one in recording.files if one.kind is kind]


def test_it_tells_who_spoke_when(take: Take) -> None:
    assert take.recording.complete
    assert take.recording.duration == pytest.approx(LENGTH, abs=0.1)
    assert diarization(take.directory) == [
        ("Ada Martin", 1.0, 4.0),
        ("Ben Okafor", 6.0, 9.0),
        ("Ada Martin", 10.0, 12.0),
    ]
    assert [(p.name, p.number, p.spoke) for p in take.recording.participants] == [
        ("Ada Martin", 1, True),
        ("Ben Okafor", 2, True),
    ]
    assert take.held.heard[0] == pytest.approx(1.0, abs=0.05)
    assert take.held.refused == []
    assert not take.held.page.items, "everything was sent"


def test_every_participant_has_a_file_as_long_as_the_recording(take: Take) -> None:
    assert files(take.recording, ArtifactKind.AUDIO) == ["output.flac"]
    names = ["participants/1.flac", "participants/2.flac"]
    assert files(take.recording, ArtifactKind.PARTICIPANT_AUDIO) == names
    assert duration(take.directory / "output.flac") == pytest.approx(take.recording.duration)
    for name, seconds in zip(names, ([1, 2, 3, 10, 11], [6, 7, 8]), strict=True):
        own = read_sound(take.directory / name)
        assert own.size == pytest.approx(take.recording.duration * RATE, abs=RATE / 1000)
        halves = [own[n * RATE :][: RATE // 2] for n in range(14)]
        assert [n for n, half in enumerate(halves) if loudness(half) > 2000] == seconds


def test_the_video_is_ready_for_the_web_and_as_long_as_the_sound(take: Take) -> None:
    shots = files(take.recording, ArtifactKind.SCREENSHOT)
    if take.held.kind is Kind.AUDIO:
        assert files(take.recording, ArtifactKind.VIDEO) == shots == []
        return
    path = take.directory / "output.mp4"
    assert boxes(path).index("moov") < boxes(path).index("mdat")
    with av.open(str(path)) as container:
        assert {one.codec_context.name for one in container.streams} == {"h264", "aac"}
    assert duration(path) == pytest.approx(LENGTH, abs=0.2)
    ends = stream_ends(path)
    assert ends["video"] == pytest.approx(LENGTH, abs=0.1)
    assert ends["audio"] == pytest.approx(LENGTH, abs=0.1)
    shown = [mark for _, mark in read_video(path)]
    assert len(shown) >= 0.98 * (LENGTH - 0.5) * 25
    assert all(shown)
    assert shots == ["screenshots/1.png"]


@pytest.mark.parametrize("at", KILLED_AT)
def test_killed_it_has_lost_five_seconds_at_most(take: Take, at: float) -> None:
    left = take.left[at]
    recording = assemble(left, seen(ADA, BEN), complete=False)
    assert recording is not None
    assert not recording.complete
    assert at - 5 <= recording.duration <= at
    assert diarization(left)[0] == ("Ada Martin", 1.0, 4.0)
    own = read_sound(left / "participants/1.flac")
    assert own.size == pytest.approx(recording.duration * RATE, abs=RATE / 1000)
    assert loudness(own[RATE : 2 * RATE]) > 2000
    if take.held.kind is Kind.AUDIO:
        return
    path = left / "output.mp4"
    ends = stream_ends(path)
    assert ends["video"] == pytest.approx(ends["audio"], abs=0.1)
    assert boxes(path).index("moov") < boxes(path).index("mdat")
    assert at - 5 <= duration(path) <= at + 0.5
    times = [seconds for seconds, _ in read_video(path)]
    assert at - 5 <= times[-1] <= at + 0.03


@KINDS
def test_killed_before_anything_was_written_it_is_no_recording(kind: Kind, tmp_path: Path) -> None:
    held = Held(tmp_path / "files", kind, Page())
    left = tmp_path / "left"
    shutil.copytree(held.directory, left)
    held.finish()
    assert assemble(left, seen(ADA, BEN), complete=False) is None


@KINDS
def test_a_meeting_in_which_nothing_happens_is_recorded(tmp_path: Path, kind: Kind) -> None:
    page = Page()
    if kind is Kind.TAB:
        page.record_tab(3)
    held = Held(tmp_path / "files", kind, page)
    held.run(3.0)
    held.finish()
    recording = assemble(held.directory, [], complete=True)
    assert recording is not None
    assert recording.duration == pytest.approx(3.0, abs=0.1)
    assert recording.participants == ()
    assert diarization(held.directory) == []


PICTURES = pytest.mark.parametrize(
    "kind", [Kind.LIVE, Kind.DENSE, Kind.TAB], ids=["live", "dense", "tab"]
)


@KINDS
@pytest.mark.parametrize("seconds", [0.02, 0.2, 0.7])
def test_a_recording_that_ends_as_soon_as_it_has_begun_is_a_short_one(
    tmp_path: Path, kind: Kind, seconds: float
) -> None:
    held = Held(tmp_path / "files", kind, Page())
    held.run(seconds)
    held.finish()
    recording = assemble(held.directory, seen(ADA), complete=True)
    assert recording is not None
    assert recording.complete
    assert recording.duration == pytest.approx(seconds, abs=0.05)
    assert [one.name for one in recording.participants] == ["Ada Martin"]
    assert files(recording, ArtifactKind.AUDIO) == ["output.flac"]
    assert diarization(held.directory) == []
    if kind is Kind.AUDIO:
        assert files(recording, ArtifactKind.VIDEO) == []
        return
    assert files(recording, ArtifactKind.VIDEO) == ["output.mp4"]
    assert_card(held.directory / "output.mp4", ["Ada Martin", "Ben Okafor"])
    ends = stream_ends(held.directory / "output.mp4")
    assert ends["video"] == pytest.approx(ends["audio"], abs=0.1)


@PICTURES
def test_where_nobody_shows_anything_the_video_shows_who_is_there(
    tmp_path: Path, kind: Kind
) -> None:
    held = Held(tmp_path / "files", kind, Page())
    held.run(8.0)
    held.names = {ADA: "Ada Martin"}
    held.run(14.0)
    held.finish()
    recording = assemble(held.directory, seen(ADA, BEN), complete=True)
    assert recording is not None
    path = held.directory / "output.mp4"
    assert files(recording, ArtifactKind.VIDEO) == ["output.mp4"]
    assert files(recording, ArtifactKind.SCREENSHOT) == ["screenshots/1.png"]
    ends = stream_ends(path)
    assert ends["video"] == pytest.approx(14.0, abs=0.1)
    assert ends["audio"] == pytest.approx(14.0, abs=0.1)
    if kind is Kind.TAB:
        # The browser's recorder gives no picture at all; names are shown in its place.
        assert_card(path, ["Ada Martin"])
        return
    assert_card(path, ["Ada Martin", "Ben Okafor"])
    times = [at for at, _ in read_video(path)]
    assert max(later - earlier for earlier, later in pairwise(times)) <= 1.5
    assert_card(path, ["Ada Martin"], at=12.0)


@pytest.mark.parametrize("kind", [Kind.LIVE, Kind.DENSE], ids=["live", "dense"])
def test_who_speaks_without_a_camera_is_named(tmp_path: Path, kind: Kind) -> None:
    page = Page()
    page.hear(1)
    page.speak(22, 3.0, 4.0)
    held = Held(tmp_path / "files", kind, page)
    held.run(9.0)
    held.names = {ADA: "Ada Martin"}
    held.run(14.0)
    held.finish()
    assert assemble(held.directory, seen(ADA, BEN), complete=True) is not None
    path = held.directory / "output.mp4"
    assert_card(path, ["Ada Martin", "Ben Okafor"], at=1.0)
    assert_card(path, ["Ben Okafor"], at=7.0)
    assert_card(path, ["Ada Martin"], at=12.0)


@PICTURES
@pytest.mark.parametrize("codec", ["video/VP8", "video/H264"])
def test_the_picture_does_not_end_before_the_sound(tmp_path: Path, kind: Kind, codec: str) -> None:
    """The last frames come a second before the bot is told that the meeting has ended."""
    page = Page()
    if kind is Kind.TAB:
        page.record_tab(6)
    page.hear(1)
    page.show(10, 1, 0.0, 6, mime_type=codec, size=(1280, 720))
    held = Held(tmp_path / "files", kind, page)
    held.run(7.2)
    held.finish()
    assert assemble(held.directory, seen(ADA), complete=True) is not None
    path = held.directory / "output.mp4"
    ends = stream_ends(path)
    assert ends["video"] == pytest.approx(7.2, abs=0.1)
    assert ends["audio"] == pytest.approx(7.2, abs=0.1)
    (_, before), (at, last) = read_video(path)[-2:]
    assert at == pytest.approx(7.2, abs=0.1)
    assert last == before


@pytest.mark.parametrize("kind", [Kind.AUDIO, Kind.DENSE])
def test_an_hour_takes_no_more_memory_than_a_minute(tmp_path: Path, kind: Kind) -> None:
    """Sound and frames go to the disk as they come. (The MP4 of the other two kinds keeps its
    index in memory: test_mp4.py holds it to its measure.)"""
    held = Held(tmp_path / "files", kind, Page())
    minute = Page()
    minute.hear(1)
    for second in range(0, 60, 4):
        minute.speak(11 if second % 8 else 22, float(second), 2.0)
    minute.show(10, 1, 0.0, 60, fps=5)
    sizes = []
    for number in range(8):
        held.page = Page(
            [(at + number * 60, _later(item, number * 60)) for at, item in minute.items]
        )
        held.run((number + 1) * 60.0)
        gc.collect()
        sizes.append(psutil.Process().memory_info().rss)
        held.commands.clear()
        held.heard.clear()
    held.finish()
    # The first minutes fill caches and pools; afterwards a minute adds nothing.
    assert sizes[-1] - sizes[2] < 3 << 20
    assert (tmp_path / "files" / CAPTURE / "audio.flac").stat().st_size > 1 << 20


def _later(item: Item, seconds: int) -> Item:
    """The same item of a meeting that has gone on for so long."""
    if isinstance(item, EncodedAudio):
        return replace(
            item,
            received=item.received + seconds,
            rtp=(item.rtp + seconds * RATE) & 0xFFFFFFFF,
            sequence=(item.sequence + seconds * 50) & 0xFFFF,
        )
    if isinstance(item, EncodedVideo):
        rtp = (item.rtp + seconds * 90_000) & 0xFFFFFFFF
        return replace(item, received=item.received + seconds, rtp=rtp)
    return item
