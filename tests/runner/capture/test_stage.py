"""The picture on air: changes at key frames, cards, H.264 passed on while it stays the same."""

from pathlib import Path

import pytest

from sitin.rehearsal.marks import FrameMark
from sitin.runner.capture.frames import EncodedVideo
from sitin.runner.capture.mp4 import LiveMp4, finish
from sitin.runner.capture.picture import PictureWriter
from sitin.runner.capture.stage import Stage
from tests.runner.capture.media import ORIGIN, encode_video, read_video, video_frames

pytestmark = pytest.mark.unit

ADA, BEN = 10, 20
HD = (1280, 720)


class Studio:
    """A stage whose file is read afterwards."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.file = LiveMp4(directory / "live.mp4", longest=60)
        self.writer = PictureWriter(self.file, directory / "screenshots")
        self.stage = Stage(self.writer, ORIGIN)
        self.changes = 0
        self.stage.on_change = self._changed

    def _changed(self) -> None:
        self.changes += 1

    def play(self, *frames: EncodedVideo) -> None:
        for frame in sorted(frames, key=lambda frame: frame.received):
            self.stage.frame(frame)

    def recorded(self) -> list[FrameMark | None]:
        return [mark for _, mark in self.pictures()]

    def pictures(self) -> list[tuple[float, FrameMark | None]]:
        self.file.close()
        finish(self.directory / "live.mp4", self.directory / "output.mp4", complete=True)
        return read_video(self.directory / "output.mp4")


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return Studio(tmp_path)


def test_another_track_is_shown_from_its_key_frame_on_and_not_before(studio: Studio) -> None:
    ada = video_frames(encode_video("video/VP8", 60, feed=1), track=ADA)
    ben = video_frames(encode_video("video/VP8", 60, feed=2), track=BEN)
    for track in (ADA, BEN):
        studio.stage.codec(track, "video/VP8")
    studio.stage.want(ADA, ("Ada",))
    studio.play(*ada[:35], *ben[:35])
    studio.stage.want(BEN, ("Ben",))
    studio.play(*ben[35:], *ada[35:])
    assert studio.changes == 2
    assert studio.recorded() == [FrameMark(1, n) for n in range(50)] + [
        FrameMark(2, n) for n in range(50, 60)
    ]


def test_who_shows_nothing_is_a_card_with_a_name(studio: Studio) -> None:
    studio.stage.want(None, ("Ada",))
    for at in range(40):
        studio.stage.idle(at / 10)
    pictures = studio.pictures()
    assert [round(at) for at, _ in pictures] == [0, 1, 2, 3]
    assert [mark for _, mark in pictures] == [None] * 4


def test_a_camera_that_comes_back_takes_the_cards_place(studio: Studio) -> None:
    studio.stage.codec(ADA, "video/VP8")
    frames = video_frames(encode_video("video/VP8", 100, feed=1), track=ADA)
    studio.stage.want(ADA, ("Ada",))
    studio.play(*frames[:25])
    studio.stage.want(None, ("Ada",))
    studio.stage.idle(2.0)
    assert studio.stage.shown is None
    studio.stage.want(ADA, ("Ada",))
    studio.play(*frames[60:])
    assert studio.recorded() == [
        *(FrameMark(1, n) for n in range(25)),
        None,
        *(FrameMark(1, n) for n in range(75, 100)),
    ]


def test_frames_from_before_the_start_prepare_and_are_not_recorded(studio: Studio) -> None:
    studio.stage.codec(ADA, "video/VP8")
    studio.stage.want(ADA, ("Ada",))
    studio.play(*video_frames(encode_video("video/VP8", 50, feed=1), track=ADA, at=-0.52))
    assert studio.recorded() == [FrameMark(1, n) for n in range(13, 50)]


def test_a_resolution_ramp_is_one_size_in_the_file(studio: Studio) -> None:
    studio.stage.codec(ADA, "video/VP8")
    studio.stage.want(ADA, ("Ada",))
    rtp = 0
    for number, size in enumerate([(320, 180), (640, 360), HD, (320, 180)]):
        encoded = encode_video("video/VP8", 25, feed=1, size=size, first=number * 25)
        studio.play(
            *video_frames(
                encoded, track=ADA, at=float(number), size=size, rtp=rtp + number * 90_000
            )
        )
    assert studio.recorded() == [FrameMark(1, n) for n in range(100)]


class TestH264:
    def test_of_the_right_size_it_is_passed_on_as_it_came(self, studio: Studio) -> None:
        studio.stage.codec(ADA, "video/H264")
        studio.stage.want(ADA, ("Ada",))
        frames = video_frames(encode_video("video/H264", 50, feed=1, size=HD), track=ADA, size=HD)
        studio.play(*frames)
        assert studio.recorded() == [FrameMark(1, n) for n in range(50)]
        assert len(studio.file.parameter_sets) == 1
        content = (studio.directory / "output.mp4").read_bytes()
        # An MP4 has lengths where Annex B has start codes; what is between them is untouched.
        slice_of_p = frames[30].data.split(b"\x00\x00\x01")[-1]
        assert slice_of_p in content

    def test_of_another_size_it_is_encoded(self, studio: Studio) -> None:
        studio.stage.codec(ADA, "video/H264")
        studio.stage.want(ADA, ("Ada",))
        frames = video_frames(encode_video("video/H264", 50, feed=1), track=ADA)
        studio.play(*frames)
        assert studio.recorded() == [FrameMark(1, n) for n in range(50)]
        assert (
            frames[30].data.split(b"\x00\x00\x01")[-1]
            not in (studio.directory / "output.mp4").read_bytes()
        )

    def test_a_change_of_size_in_the_middle_goes_from_one_to_the_other_and_back(
        self, studio: Studio
    ) -> None:
        studio.stage.codec(ADA, "video/H264")
        studio.stage.want(ADA, ("Ada",))
        for number, size in enumerate([HD, (640, 360), HD]):
            encoded = encode_video("video/H264", 25, feed=1, size=size, first=number * 25)
            studio.play(
                *video_frames(encoded, track=ADA, at=float(number), size=size, rtp=number * 90_000)
            )
        assert studio.recorded() == [FrameMark(1, n) for n in range(75)]

    def test_with_other_parameters_it_is_encoded(self, studio: Studio) -> None:
        for track in (ADA, BEN):
            studio.stage.codec(track, "video/H264")
        ada = video_frames(encode_video("video/H264", 50, feed=1, size=HD), track=ADA, size=HD)
        ben = video_frames(
            encode_video("video/H264", 50, feed=2, size=HD, quality="22"), track=BEN, size=HD
        )
        studio.stage.want(ADA, ("Ada",))
        studio.play(*ada[:25], *ben[:25])
        studio.stage.want(BEN, ("Ben",))
        studio.play(*ben[25:], *ada[25:])
        assert studio.recorded() == [FrameMark(1, n) for n in range(25)] + [
            FrameMark(2, n) for n in range(25, 50)
        ]
        content = (studio.directory / "output.mp4").read_bytes()
        assert ada[20].data.split(b"\x00\x00\x01")[-1] in content
        assert ben[30].data.split(b"\x00\x00\x01")[-1] not in content
        assert len(studio.file.parameter_sets) == 2, "what was passed on, and our encoder's"

    def test_a_frame_that_was_lost_does_not_break_the_file(self, studio: Studio) -> None:
        """The decoder of a player conceals what refers to a lost frame; the file stays whole."""
        studio.stage.codec(ADA, "video/H264")
        studio.stage.want(ADA, ("Ada",))
        frames = video_frames(encode_video("video/H264", 75, feed=1, size=HD), track=ADA, size=HD)
        del frames[30]
        studio.play(*frames)
        marks = studio.recorded()
        assert len(marks) == 74
        assert marks[:30] == [FrameMark(1, n) for n in range(30)]
        assert marks[-25:] == [FrameMark(1, n) for n in range(50, 75)]


def test_a_codec_that_changes_begins_anew(studio: Studio) -> None:
    studio.stage.codec(ADA, "video/VP8")
    studio.stage.want(ADA, ("Ada",))
    studio.play(*video_frames(encode_video("video/VP8", 25, feed=1), track=ADA))
    studio.stage.codec(ADA, "video/VP9")
    later = encode_video("video/VP9", 25, feed=1, first=25)
    studio.play(*video_frames(later, track=ADA, at=1.0, rtp=7_000 + 90_000))
    assert studio.recorded() == [FrameMark(1, n) for n in range(50)]


def test_what_cannot_be_decoded_is_said_to_be(studio: Studio) -> None:
    assert studio.stage.codec(ADA, "video/VP8")
    assert not studio.stage.codec(BEN, "video/H265")
    studio.stage.want(BEN, ("Ben",))
    studio.play(*video_frames(encode_video("video/VP8", 5), track=BEN))
    assert studio.writer.frames == 0
