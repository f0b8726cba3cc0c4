"""The MP4 of a recording: while it grows, when it is finished, and where it was cut off."""

import errno
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sitin.runner.capture.mp4 import LiveMp4, duration, finish, nal_units, parameter_sets
from sitin.runner.capture.sound import RATE
from tests.runner.capture.media import boxes, encode_video, loudness, read_sound, read_video, tone

pytestmark = pytest.mark.unit

SIZE = (1280, 720)
_PRIMING = 0.022
"""Seconds by which AAC's first packet (1024 samples) shifts sound and picture together."""


def record(
    path: Path, seconds: float, *, longest: float = 60.0, sound_first: bool = True
) -> LiveMp4:
    """A file of so many seconds that nobody has closed: 25 frames a second, and a tone."""
    file = LiveMp4(path, longest=longest)
    frames = encode_video("video/H264", round(seconds * 25), size=SIZE)
    for second in range(round(seconds)):
        if sound_first:
            file.sound(tone(1.0))
        for number in range(second * 25, second * 25 + 25):
            data, key = frames[number]
            file.video(data, seconds=number / 25, key=key)
        if not sound_first:
            file.sound(tone(1.0))
    return file


def numbers(path: Path) -> list[int]:
    """The numbers that the pictures' marks tell; every picture has to have one."""
    marks = [mark for _, mark in read_video(path)]
    assert all(mark is not None for mark in marks)
    return [mark.frame for mark in marks if mark is not None]


@pytest.fixture(scope="module", params=[True, False], ids=["sound first", "picture first"])
def recording(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished file of eight seconds."""
    directory = tmp_path_factory.mktemp("mp4")
    record(directory / "live.mp4", 8.0, sound_first=request.param).close()
    finish(directory / "live.mp4", directory / "output.mp4", complete=True)
    assert [one.name for one in directory.iterdir()] == ["output.mp4"]
    return directory / "output.mp4"


class TestWhole:
    def test_the_index_is_in_front(self, recording: Path) -> None:
        names = boxes(recording)
        assert names.index("moov") < names.index("mdat")
        assert "moof" not in names

    def test_it_holds_h264_and_aac_in_one_size(self, recording: Path) -> None:
        with av.open(str(recording)) as container:
            video, audio = container.streams.video[0], container.streams.audio[0]
            assert (video.codec_context.name, video.width, video.height) == ("h264", *SIZE)
            assert (audio.codec_context.name, audio.rate) == ("aac", RATE)
        assert duration(recording) == pytest.approx(8.0, abs=0.05)

    def test_every_picture_and_every_sound_is_there(self, recording: Path) -> None:
        times = [at for at, _ in read_video(recording)]
        assert numbers(recording) == list(range(200))
        assert times == pytest.approx([n / 25 for n in range(200)], abs=_PRIMING)
        samples = read_sound(recording)
        assert samples.size == pytest.approx(8 * RATE, abs=2 * 1024)
        quietest = min(loudness(samples[at : at + 2400]) for at in range(4800, 7 * RATE, 2400))
        assert quietest > 3000, "the tone has no hole"

    def test_a_player_may_begin_at_any_key_frame(self, recording: Path) -> None:
        with av.open(str(recording)) as container:
            container.seek(round(5.3 * av.time_base))
            frame = next(container.decode(video=0))
            assert frame.time == pytest.approx(5.0, abs=_PRIMING)


def test_sound_begins_with_the_picture_however_late_that_comes(tmp_path: Path) -> None:
    file = LiveMp4(tmp_path / "live.mp4", longest=60)
    file.sound(tone(1.0))
    file.sound(np.zeros(RATE, np.int16))
    (first, key), *_ = encode_video("video/H264", 1, size=SIZE)
    file.video(first, seconds=0.0, key=key)
    file.sound(tone(1.0))
    file.close()
    finish(tmp_path / "live.mp4", tmp_path / "output.mp4", complete=True)
    samples = read_sound(tmp_path / "output.mp4")
    assert [loudness(samples[n * RATE + 2400 :][:43_000]) > 3000 for n in range(3)] == [
        True,
        False,
        True,
    ]


def test_two_pictures_of_one_instant_are_both_kept(tmp_path: Path) -> None:
    file = LiveMp4(tmp_path / "live.mp4", longest=60)
    for data, key in encode_video("video/H264", 5, size=SIZE):
        file.video(data, seconds=1.0, key=key)
    file.close()
    finish(tmp_path / "live.mp4", tmp_path / "output.mp4", complete=True)
    assert numbers(tmp_path / "output.mp4") == [0, 1, 2, 3, 4]


def test_parameter_sets_may_change_in_the_middle(tmp_path: Path) -> None:
    """Frames passed on from two encoders: the second's own SPS and PPS stand before its frames."""
    first = encode_video("video/H264", 25, size=SIZE)
    second = encode_video("video/H264", 25, size=SIZE, quality="20", first=25)
    assert parameter_sets(first[0][0]) != parameter_sets(second[0][0])
    file = LiveMp4(tmp_path / "live.mp4", longest=60)
    for number, (data, key) in enumerate(first + second):
        file.video(data, seconds=number / 25, key=key)
    assert len(file.parameter_sets) == 2
    file.close()
    finish(tmp_path / "live.mp4", tmp_path / "output.mp4", complete=True)
    assert numbers(tmp_path / "output.mp4") == list(range(50))


def test_before_the_first_key_frame_there_is_no_file(tmp_path: Path) -> None:
    file = LiveMp4(tmp_path / "live.mp4", longest=60)
    for data, key in encode_video("video/H264", 5, size=SIZE)[1:]:
        file.video(data, seconds=0.0, key=key)
    file.close()
    assert list(tmp_path.iterdir()) == []


def test_the_index_is_written_without_moving_the_media(tmp_path: Path) -> None:
    """The room in front is enough for the longest recording at 30 frames a second, so that what
    remains after the meeting does not depend on its length."""
    longest = 100
    file = LiveMp4(tmp_path / "live.mp4", longest=longest)
    frames = encode_video("video/H264", 60, size=SIZE)
    sound = tone(1.0)
    for number in range(longest * 30):
        data, key = frames[number % 50]
        file.video(data, seconds=number / 30, key=key)
        if number % 30 == 0:
            file.sound(sound)
    before = (tmp_path / "live.mp4").stat()
    file.close()
    after = (tmp_path / "live.mp4").stat()
    assert after.st_ino == before.st_ino
    assert after.st_size - before.st_size < 200_000, "the last fragment, and nothing copied"
    names = boxes(tmp_path / "live.mp4")
    assert names.index("moov") < names.index("mdat")
    assert "moof" not in names
    assert duration(tmp_path / "live.mp4") == pytest.approx(longest, abs=0.1)


SECONDS = 10.0


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of ten seconds, as the disk has it when its process is killed."""
    directory = tmp_path_factory.mktemp("mp4")
    file = record(directory / "open.mp4", SECONDS)
    shutil.copy(directory / "open.mp4", directory / "killed.mp4")
    file.close()
    return directory / "killed.mp4"


class TestKilled:
    def test_while_it_grows_it_is_a_fragmented_file_that_plays(self, killed: Path) -> None:
        names = boxes(killed)
        assert names[0] == "ftyp"
        assert names.count("moof") >= SECONDS - 2
        assert numbers(killed)[: 8 * 25] == list(range(8 * 25))

    def test_at_most_two_seconds_are_not_on_the_disk(self, killed: Path, tmp_path: Path) -> None:
        shutil.copy(killed, tmp_path / "live.mp4")
        finish(tmp_path / "live.mp4", tmp_path / "output.mp4", complete=False)
        assert duration(tmp_path / "output.mp4") >= SECONDS - 2
        names = boxes(tmp_path / "output.mp4")
        assert names.index("moov") < names.index("mdat")
        assert "moof" not in names

    @given(st.data())
    @settings(max_examples=15)
    def test_cut_off_anywhere_it_ends_at_its_last_whole_fragment(
        self, killed: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
    ) -> None:
        whole = killed.read_bytes()
        cut = data.draw(st.integers(_nth(whole, b"moof", 1), len(whole)))
        fragments = whole[:cut].count(b"mdat") - 1
        directory = tmp_path_factory.mktemp("cut")
        (directory / "live.mp4").write_bytes(whole[:cut])
        finish(directory / "live.mp4", directory / "output.mp4", complete=False)
        found = numbers(directory / "output.mp4")
        assert found == list(range(len(found)))
        assert len(found) >= fragments * 25 - 1

    def test_what_was_cut_off_before_anything_was_in_it_is_no_video(self, tmp_path: Path) -> None:
        for content in (b"", b"\x00\x00\x00\x18ftyp", b"\x00" * 70_000):
            (tmp_path / "live.mp4").write_bytes(content)
            finish(tmp_path / "live.mp4", tmp_path / "output.mp4", complete=False)
            assert not (tmp_path / "output.mp4").exists()
            assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_as_what_it_is() -> None:
    def fill() -> None:
        file = LiveMp4(Path("/dev/full"), longest=60)
        for number, (data, key) in enumerate(encode_video("video/H264", 50, size=SIZE)):
            file.video(data, seconds=number / 25, key=key)

    with pytest.raises(OSError, match="No space left") as caught:
        fill()
    assert caught.value.errno == errno.ENOSPC


@given(st.binary(max_size=300))
def test_any_bytes_have_units_or_none(data: bytes) -> None:
    units = list(nal_units(data))
    assert all(units)
    assert sum(map(len, units)) <= len(data)
    assert len(parameter_sets(data)) <= len(data) + 2 * len(units)


def _nth(data: bytes, part: bytes, number: int) -> int:
    at = -1
    for _ in range(number):
        at = data.index(part, at + 1)
    return at
