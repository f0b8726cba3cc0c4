"""A dense recording becomes an MP4: the kept frames go through the same stage as during a meeting.

Run after the meeting, at low priority, by the runner.
"""

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from sitin.runner.capture.frames import HEADER, EncodedVideo, MalformedBatchError, parse
from sitin.runner.capture.mp4 import LiveMp4
from sitin.runner.capture.picture import PictureWriter
from sitin.runner.capture.stage import Stage


@dataclass(frozen=True, slots=True)
class _Decision:
    at: float
    track: int | None
    name: str


def compose(directory: Path, screenshots: Path, *, origin: float) -> None:
    """Make ``video.mp4`` in the capture directory out of its journal and its mix of sound.

    Frames and decisions are read as they are needed; an hour takes no more memory than a minute.
    """
    sound = _Sound(directory / "audio.flac")
    codecs, decisions = _view(directory / "view.jsonl")
    mp4 = LiveMp4(directory / "video.mp4", longest=sound.seconds + 10)
    stage = Stage(PictureWriter(mp4, screenshots), origin)
    for track, codec in codecs:
        stage.codec(track, codec)
    for frame in _frames(directory / "frames"):
        now = frame.received - origin
        while decisions and decisions[0].at <= now:
            decision = decisions.popleft()
            stage.idle(decision.at)
            stage.want(decision.track, decision.name)
        stage.frame(frame)
        stage.idle(now)
        sound.copy(mp4, until=now)
    for decision in decisions:
        stage.want(decision.track, decision.name)
        stage.idle(decision.at)
    sound.copy(mp4, until=sound.seconds)
    mp4.close()


class _Sound:
    """The mix, read a little at a time."""

    def __init__(self, path: Path) -> None:
        self._container = av.open(str(path))
        stream = self._container.streams.audio[0]
        self.seconds = (self._container.duration or 0) / av.time_base
        self._frames = self._container.decode(stream)
        self._at = 0.0

    def copy(self, mp4: LiveMp4, *, until: float) -> None:
        while self._at < until:
            frame = next(self._frames, None)
            if frame is None:
                self._at = float("inf")
                return
            mp4.sound(frame.to_ndarray().reshape(-1).astype(np.int16))
            self._at += frame.samples / frame.sample_rate


def _view(path: Path) -> tuple[list[tuple[int, str]], deque[_Decision]]:
    codecs: list[tuple[int, str]] = []
    decisions: deque[_Decision] = deque()
    for line in path.read_text().splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if "codec" in row:
            codecs.append((row["track"], row["codec"]))
        else:
            decisions.append(_Decision(row["at"], row["want"], row["name"]))
    return codecs, decisions


def _frames(path: Path) -> Iterator[EncodedVideo]:
    """The kept frames; a last one that a crash cut off is passed over."""
    with path.open("rb") as file:
        while len(header := file.read(HEADER.size)) == HEADER.size:
            length = HEADER.unpack(header)[5]
            data = file.read(length)
            try:
                for item in parse(header + data):
                    assert isinstance(item, EncodedVideo)
                    yield item
            except MalformedBatchError:
                return
