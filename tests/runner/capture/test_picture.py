"""Pictures at the recording's size: fitted, thinned, encoded, kept once a minute."""

from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sitin.rehearsal.marks import FrameMark, read_mark
from sitin.runner.capture.frames import EncodedVideo
from sitin.runner.capture.mp4 import LiveMp4, finish
from sitin.runner.capture.picture import (
    KEY_EVERY,
    PictureDecoder,
    PictureWriter,
    decodable,
    fit,
    passable,
)
from tests.runner.capture.media import encode_video, picture, read_video, video_frames

pytestmark = pytest.mark.unit


class Sink:
    """Keeps what the writer has encoded."""

    def __init__(self) -> None:
        self.frames: list[tuple[bytes, float, bool]] = []

    def video(self, data: bytes, *, seconds: float, key: bool) -> None:
        self.frames.append((data, seconds, key))

    @property
    def times(self) -> list[float]:
        return [round(seconds, 3) for _, seconds, _ in self.frames]

    @property
    def keys(self) -> list[float]:
        return [round(seconds, 3) for _, seconds, key in self.frames if key]

    def decoded(self) -> list[np.ndarray]:
        """The luma of every frame, decoded in order."""
        context = av.CodecContext.create("h264", "r")
        assert isinstance(context, av.VideoCodecContext)
        pictures = [one for data, _, _ in self.frames for one in context.decode(av.Packet(data))]
        pictures += context.decode(None)
        return [np.asarray(one.to_ndarray()[: one.height], np.uint8) for one in pictures]


def grey(number: int = 0, size: tuple[int, int] = (320, 180)) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(picture(1, number, size), format="yuv420p")


@given(
    width=st.integers(1, 1000).map(lambda n: 2 * n),
    height=st.integers(1, 1000).map(lambda n: 2 * n),
)
@settings(max_examples=60)
def test_every_picture_is_fitted_whole_into_the_middle(width: int, height: int) -> None:
    white = np.full((height * 3 // 2, width), 128, np.uint8)
    white[:height] = 235
    fitted = fit(av.VideoFrame.from_ndarray(white, format="yuv420p"))
    assert (fitted.width, fitted.height, fitted.format.name) == (1280, 720, "yuv420p")
    luma = fitted.to_ndarray()[:720]
    rows, columns = np.flatnonzero(luma.max(axis=1) > 120), np.flatnonzero(luma.max(axis=0) > 120)
    shown = (columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1)
    scale = min(1280 / width, 720 / height)
    assert shown[0] == pytest.approx(width * scale, abs=4)
    assert shown[1] == pytest.approx(height * scale, abs=4)
    assert abs(int(columns[0]) - (1279 - int(columns[-1]))) <= 4
    assert abs(int(rows[0]) - (719 - int(rows[-1]))) <= 4


def test_a_picture_of_the_right_size_is_left_alone() -> None:
    exact = grey(size=(1280, 720))
    assert fit(exact) is exact


class TestDecoder:
    @pytest.mark.parametrize("mime_type", ["video/VP8", "video/VP9", "video/H264"])
    def test_every_picture_comes_out_at_once(self, mime_type: str) -> None:
        decoder = PictureDecoder(mime_type)
        marks = []
        for frame in video_frames(encode_video(mime_type, 30)):
            decoded = decoder.decode(frame)
            assert decoded is not None, "no frame of delay"
            marks.append(read_mark(np.asarray(decoded.to_ndarray()[: decoded.height], np.uint8)))
        assert marks == [FrameMark(0, number) for number in range(30)]

    def test_it_waits_for_a_key_frame(self) -> None:
        decoder = PictureDecoder("video/VP8")
        frames = video_frames(encode_video("video/VP8", 30))
        assert [decoder.decode(frame) is not None for frame in frames[20:]] == [False] * 5 + [
            True
        ] * 5

    @pytest.mark.parametrize("mime_type", ["video/VP8", "video/H264"])
    def test_after_what_is_no_picture_it_waits_for_the_next_key_frame(self, mime_type: str) -> None:
        decoder = PictureDecoder(mime_type)
        frames = video_frames(encode_video(mime_type, 50))
        rubbish = EncodedVideo(10, False, 0, 0.0, 0, 0, b"\xde\xad\xbe\xef" * 20)
        assert decoder.decode(frames[0]) is not None
        decoder.decode(rubbish)
        assert decoder.errors == 1
        shown = [decoder.decode(frame) is not None for frame in frames[1:]]
        assert shown == [False] * 24 + [True] * 25

    @given(
        st.binary(min_size=1, max_size=300),
        st.sampled_from(["video/VP8", "video/VP9", "video/H264", "video/AV1"]),
    )
    @settings(max_examples=60)
    def test_any_bytes_are_a_picture_or_none(self, data: bytes, mime_type: str) -> None:
        decoder = PictureDecoder(mime_type)
        decoder.decode(EncodedVideo(1, True, 0, 0.0, 65535, 65535, data))

    def test_what_it_knows(self) -> None:
        assert all(map(decodable, ["video/VP8", "video/VP9", "video/AV1", "video/H264"]))
        assert not any(map(decodable, ["video/H265", "video/rtx", "", "audio/opus"]))


class TestWriter:
    def test_the_first_picture_is_shown_from_the_start(self, tmp_path: Path) -> None:
        sink = Sink()
        PictureWriter(sink, tmp_path).show(grey(), 1.7)
        assert sink.times == [0.0]
        assert sink.keys == [0.0]

    def test_key_frames_come_by_time_whatever_the_rate(self, tmp_path: Path) -> None:
        sink = Sink()
        writer = PictureWriter(sink, tmp_path)
        for number in range(25):
            writer.show(grey(number), number * 0.5)
        assert sink.keys == [KEY_EVERY * n for n in range(7)]

    def test_a_fast_source_is_thinned_to_30_a_second(self, tmp_path: Path) -> None:
        sink = Sink()
        writer = PictureWriter(sink, tmp_path)
        for number in range(180):
            writer.show(grey(number), number / 60)
        assert len(sink.frames) == 90
        assert writer.frames == 90

    def test_a_picture_from_the_past_is_passed_over(self, tmp_path: Path) -> None:
        sink = Sink()
        writer = PictureWriter(sink, tmp_path)
        for at in (0.0, 1.0, 0.5, 1.2):
            writer.show(grey(), at)
        assert sink.times == [0.0, 1.0, 1.2]

    def test_pictures_are_what_they_were(self, tmp_path: Path) -> None:
        sink = Sink()
        writer = PictureWriter(sink, tmp_path)
        for number in range(50):
            writer.show(grey(number), number / 25)
        assert [read_mark(luma) for luma in sink.decoded()] == [FrameMark(1, n) for n in range(50)]

    def test_a_screenshot_a_minute_of_what_is_recorded(self, tmp_path: Path) -> None:
        writer = PictureWriter(Sink(), tmp_path / "screenshots")
        at = 0.0
        while at < 185:
            writer.show(grey(round(at)), at)
            at += 5.0
        names = sorted(one.name for one in (tmp_path / "screenshots").iterdir())
        assert names == ["1.png", "2.png", "3.png", "4.png"]
        for number in range(4):
            image = Image.open(tmp_path / "screenshots" / f"{number + 1}.png")
            assert image.size == (1280, 720)
            luma = np.asarray(image.convert("L"), np.uint8)
            assert read_mark(luma) == FrameMark(1, 60 * number)

    def test_a_picture_that_was_missing_makes_no_second_screenshot(self, tmp_path: Path) -> None:
        writer = PictureWriter(Sink(), tmp_path)
        for at in (0.0, 150.0, 170.0, 181.0):
            writer.show(grey(), at)
        assert writer.screenshots == 3, "at 0, 150 and 181; none is made up"


class TestPassingThrough:
    def test_only_h264_of_the_recordings_size_with_its_parameters_is_passed(self) -> None:
        (data, _), *_ = encode_video("video/H264", 1, size=(1280, 720))
        good = EncodedVideo(1, True, 0, 0.0, 1280, 720, data)
        assert passable(good)
        assert not passable(EncodedVideo(1, True, 0, 0.0, 640, 360, data))
        assert not passable(EncodedVideo(1, True, 0, 0.0, 720, 1280, data))
        without = data[data.index(b"\x00\x00\x01\x65") :]
        assert not passable(EncodedVideo(1, True, 0, 0.0, 1280, 720, without))

    def test_what_is_passed_is_not_encoded_again(self, tmp_path: Path) -> None:
        sink = Sink()
        writer = PictureWriter(sink, tmp_path)
        frames = video_frames(encode_video("video/H264", 50, size=(1280, 720)), size=(1280, 720))
        for number, frame in enumerate(frames):
            writer.pass_through(frame, number / 25)
        assert [data for data, _, _ in sink.frames] == [frame.data for frame in frames]
        assert sink.keys == [0.0, 1.0]
        assert read_mark(np.asarray(Image.open(tmp_path / "1.png").convert("L"))) == FrameMark(0, 0)

    def test_encoding_after_it_begins_with_a_key_frame(self, tmp_path: Path) -> None:
        file = LiveMp4(tmp_path / "live.mp4", longest=60)
        writer = PictureWriter(file, tmp_path)
        passed = video_frames(encode_video("video/H264", 10, size=(1280, 720)), size=(1280, 720))
        for turn in range(2):
            for number, frame in enumerate(passed):
                writer.pass_through(frame, turn * 0.8 + number / 25)
            for number in range(10):
                writer.show(grey(100 + number), turn * 0.8 + 0.4 + number / 25)
        file.close()
        finish(tmp_path / "live.mp4", tmp_path / "output.mp4", complete=True)
        once = [FrameMark(0, n) for n in range(10)] + [FrameMark(1, 100 + n) for n in range(10)]
        assert [mark for _, mark in read_video(tmp_path / "output.mp4")] == once * 2


class TestTheLastPicture:
    def test_it_is_repeated_just_before_the_end(self, tmp_path: Path) -> None:
        sink = Sink()
        writer = PictureWriter(sink, tmp_path)
        for number in range(5):
            writer.show(grey(number), number / 25)
        writer.finish(1.3)
        assert sink.times == [0.0, 0.04, 0.08, 0.12, 0.16, 1.26]
        last, before = sink.decoded()[-1], sink.decoded()[-2]
        assert read_mark(last) == read_mark(before) == FrameMark(1, 4)

    def test_one_that_came_just_before_the_end_is_enough(self, tmp_path: Path) -> None:
        sink = Sink()
        writer = PictureWriter(sink, tmp_path)
        writer.show(grey(), 0.0)
        writer.show(grey(1), 0.5)
        writer.finish(0.54)
        assert sink.times == [0.0, 0.5]

    def test_of_what_was_passed_through_it_is_decoded(self, tmp_path: Path) -> None:
        sink = Sink()
        writer = PictureWriter(sink, tmp_path)
        frames = video_frames(
            encode_video("video/H264", 30, feed=3, size=(1280, 720)), size=(1280, 720)
        )
        for number, frame in enumerate(frames):
            writer.pass_through(frame, number / 25)
        writer.finish(3.0)
        assert sink.times[-2:] == [1.16, 2.96]
        assert sink.keys[-1] == 2.96
        context = PictureDecoder("video/H264")
        data, _, key = sink.frames[-1]
        last = context.decode(EncodedVideo(0, key, 0, 0.0, 1280, 720, data))
        assert last is not None
        assert read_mark(np.asarray(last.to_ndarray()[:720], np.uint8)) == FrameMark(3, 29)

    def test_a_large_group_that_was_passed_through_is_not_kept(self, tmp_path: Path) -> None:
        sink = Sink()
        writer = PictureWriter(sink, tmp_path)
        (first, _), *_ = encode_video("video/H264", 1, size=(1280, 720))
        writer.pass_through(EncodedVideo(0, True, 0, 0.0, 1280, 720, first), 0.0)
        for number in range(1, 10):
            filler = EncodedVideo(0, False, 0, 0.0, 0, 0, bytes(1 << 20))
            writer.pass_through(filler, number / 25)
        writer.finish(2.0)
        assert sink.times[-1] == pytest.approx(9 / 25, abs=0.001)

    def test_without_any_picture_there_is_none_to_repeat(self, tmp_path: Path) -> None:
        sink = Sink()
        PictureWriter(sink, tmp_path).finish(5.0)
        assert sink.frames == []
