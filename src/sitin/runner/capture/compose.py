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
from sitin.runner.capture.stage import CARD_EVERY, Names, Stage

_STEP = CARD_EVERY / 2
"""Seconds between looks at whether a card has to be repeated."""


@dataclass(frozen=True, slots=True)
class _Decision:
    at: float
    track: int | None
    names: Names


def compose(directory: Path, screenshots: Path, *, origin: float) -> None:
    """Make ``video.mp4`` in the capture directory out of its journal and its mix of sound.

    Frames and decisions are read as they are needed; an hour takes no more memory than a minute.
    The picture ends with the sound.
    """
    codecs, decisions = _view(directory / "view.jsonl")
    target = directory / "video.mp4"
    with _Composition(directory, target, screenshots, origin=origin) as composition:
        stage = composition.stage
        for track, codec in codecs:
            stage.codec(track, codec)
        for frame in _frames(directory / "frames"):
            now = frame.received - origin
            if now >= composition.end:
                break
            while decisions and decisions[0].at <= now:
                composition.decide(decisions.popleft())
            stage.frame(frame)
            composition.advance(now)
        for decision in decisions:
            composition.decide(decision)


def compose_card(directory: Path, screenshots: Path, names: Names, target: Path) -> None:
    """Make an MP4 out of the mix of sound and a card with names, where there is nothing else."""
    with _Composition(directory, target, screenshots, origin=0.0) as composition:
        composition.decide(_Decision(0.0, None, names))


class _Composition:
    """The MP4 while it is made, from its start to the end of the sound."""

    def __init__(self, directory: Path, target: Path, screenshots: Path, *, origin: float) -> None:
        self._sound = _Sound(directory / "audio.flac")
        self.end = self._sound.seconds
        self._mp4 = LiveMp4(target, longest=self.end + 10)
        self.stage = Stage(PictureWriter(self._mp4, screenshots), origin)
        self._at = 0.0

    def __enter__(self) -> "_Composition":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.advance(self.end)
            self.stage.finish(self.end)
            self._sound.copy(self._mp4, until=self.end)
            self._mp4.close(end=self.end)

    def decide(self, decision: _Decision) -> None:
        """Let the time pass until a decision, and show what it wants."""
        self.advance(min(decision.at, self.end))
        self.stage.want(decision.track, decision.names)
        self.stage.idle(self._at)

    def advance(self, until: float) -> None:
        """Let the time pass: a card that is shown is repeated, the sound goes on."""
        while self._at + _STEP < until:
            self._pass(self._at + _STEP)
        self._pass(max(self._at, until))

    def _pass(self, at: float) -> None:
        self._at = at
        self.stage.idle(at)
        self._sound.copy(self._mp4, until=at)


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
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if "codec" in row:
            codecs.append((row["track"], row["codec"]))
        else:
            # A runner of an earlier version, whose recording is put together here, wrote one name.
            names = row.get("names", [row.get("name", "")])
            decisions.append(_Decision(row["at"], row["want"], tuple(names)))
    return codecs, decisions


def _frames(path: Path) -> Iterator[EncodedVideo]:
    """The kept frames; a last one that a crash cut off is passed over."""
    if not path.exists():
        return
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
