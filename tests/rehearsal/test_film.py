import os
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.codeccontext import VideoCodecContext
from numpy.typing import NDArray

from sitin.rehearsal import film
from sitin.rehearsal.film import FilmStore, Second, encode, height_at, second_of
from sitin.rehearsal.marks import FrameMark, read_mark
from sitin.rehearsal.pictures import Card
from sitin.rehearsal.script import RampStep, Video

pytestmark = pytest.mark.unit

CARD = Card("Ada Martin", 6)


def decoded(packets: list[bytes], codec: str) -> list[av.VideoFrame]:
    context = av.CodecContext.create(codec, "r")
    assert isinstance(context, VideoCodecContext)
    frames: list[av.VideoFrame] = []
    for packet in packets:
        frames += context.decode(av.Packet(packet))
    return frames + context.decode(None)


def luma(frame: av.VideoFrame) -> NDArray[np.uint8]:
    plane = frame.planes[0]
    lines = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return lines[: frame.height, : frame.width]


@pytest.mark.parametrize("codec", ["vp8", "h264"])
@pytest.mark.parametrize("height", [180, 360, 720])
@pytest.mark.parametrize("card", [CARD, Card("Ada", 7, presentation=True, grain=True)])
def test_every_frame_of_a_second_carries_its_number(codec: str, height: int, card: Card) -> None:
    frames = decoded(encode(Second(card, 3, height, codec, 10)), codec)
    assert [read_mark(luma(frame)) for frame in frames] == [
        FrameMark(card.number, number) for number in range(30, 40)
    ]
    assert {(frame.width, frame.height) for frame in frames} == {(height * 16 // 9, height)}
    assert [frame.key_frame for frame in frames] == [True] + [False] * 9


@pytest.mark.parametrize("codec", ["vp8", "h264"])
def test_seconds_join_without_a_seam_and_may_change_size(codec: str) -> None:
    packets = [
        packet
        for index, height in enumerate([180, 360, 360, 180])
        for packet in encode(Second(CARD, index, height, codec, 5))
    ]
    marks = [read_mark(luma(frame)) for frame in decoded(packets, codec)]
    assert marks == [FrameMark(6, number) for number in range(20)]


def test_the_sync_mark_is_white_for_80_ms_every_two_seconds() -> None:
    card = Card("Ada", 0, sync_marks=True)
    white = []
    for index in range(5):
        for offset, frame in enumerate(decoded(encode(Second(card, index, 180, "vp8", 25)), "vp8")):
            if luma(frame)[20:].mean() > 200:
                white.append(index * 25 + offset)
    assert white == [50, 51, 100, 101]


def test_the_ramp_takes_effect_at_the_next_whole_second() -> None:
    steps = [{"at": 0, "height": 180}, {"at": 2.5, "height": 360}, {"at": 4, "height": 720}]
    video = Video.model_validate({"resolution": steps})
    assert [height_at(video, second) for second in range(6)] == [180, 180, 180, 360, 720, 720]


async def test_a_second_is_made_once_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = second_of(CARD, Video(fps=5, resolution=(RampStep(at=0, height=180),)), 0)
    store = FilmStore(tmp_path)
    made = await store.frames(second)
    store.close()
    monkeypatch.setattr(film, "encode", None)
    again = FilmStore(tmp_path)
    assert await again.frames(second) == made
    again.close()


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


async def test_a_file_that_is_not_whole_is_made_again(tmp_path: Path) -> None:
    second = Second(CARD, 0, 180, "vp8", 5)
    store = FilmStore(tmp_path)
    made = await store.frames(second)
    (name,) = names(tmp_path)
    kept = tmp_path / name
    kept.write_bytes(made[0])
    assert await store.frames(second) == made
    store.close()


async def test_the_cache_forgets_what_was_longest_unused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(film, "_KEPT_BYTES", 250)
    for age, name in enumerate("abc"):
        path = tmp_path / f"{name}.frames"
        path.write_bytes(b"x" * 100)
        os.utime(path, (1000 - age, 1000 - age))
    FilmStore(tmp_path).close()
    assert names(tmp_path) == ["a.frames", "b.frames"]
