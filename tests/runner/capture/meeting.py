"""A meeting as a strategy sees it: what the page sends, half a second at a time. For tests."""

import io
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
from av.audio.frame import AudioFrame

from sitin.contract.events import BotEvent, ParticipantSeen
from sitin.contract.meeting import AudioTopology, MediaSource
from sitin.runner.assemble import CAPTURE
from sitin.runner.capture.frames import (
    CodecReport,
    EncodedVideo,
    Item,
    RunningReport,
    TabChunk,
    TrackReport,
)
from sitin.runner.capture.sound import RATE
from sitin.runner.capture.strategy import (
    CaptureSettings,
    CaptureStart,
    CaptureStrategy,
    Kind,
    Surroundings,
)
from sitin.runner.capture.tab import TabCapture
from sitin.runner.capture.tracks import TracksCapture
from sitin.runner.capture.voices import SourceTable
from tests.runner.capture.media import (
    ORIGIN,
    PACKET,
    audio_packets,
    encode_opus,
    encode_video,
    tone,
    video_frames,
)

ADA, BEN = "spaces/1/devices/ada", "spaces/1/devices/ben"
NAMES = {ADA: "Ada Martin", BEN: "Ben Okafor"}
STEP = 0.5
"""Seconds between two batches of the page's."""


@dataclass
class Page:
    """What a page sends, each item with the second at which it arrives."""

    items: list[tuple[float, Item]] = field(default_factory=list)

    def send(self, at: float, item: Item) -> None:
        self.items.append((at, item))

    def speak(self, source: int, at: float, seconds: float, *, track: int = 1) -> None:
        """A participant speaks; pooled tracks go on counting where the sender would be."""
        payloads = encode_opus(tone(seconds, hertz=200 + 10 * source))
        packets = audio_packets(
            payloads,
            at=at,
            track=track,
            sources=(source,),
            rtp=round(at * RATE) & 0xFFFFFFFF,
            sequence=round(at * RATE / PACKET) & 0xFFFF,
        )
        for packet in packets:
            self.send(packet.received - ORIGIN, packet)

    def show(
        self,
        track: int,
        feed: int,
        at: float,
        seconds: int,
        *,
        mime_type: str = "video/VP8",
        size: tuple[int, int] = (320, 180),
        fps: int = 25,
    ) -> None:
        """A camera is on for whole seconds."""
        self.send(
            at, TrackReport(type="track", id=track, kind="video", stream=f"v{track}", state="live")
        )
        self.send(at, CodecReport(type="codec", id=track, kind="video", mimeType=mime_type))
        encoded = encode_video(mime_type, seconds * fps, feed=feed, size=size, key_every=fps)
        for frame in video_frames(encoded, at=at, track=track, size=size, fps=fps):
            self.send(frame.received - ORIGIN, frame)

    def hear(self, track: int, at: float = -1.0) -> None:
        """An audio track comes."""
        self.send(
            at, TrackReport(type="track", id=track, kind="audio", stream=f"a{track}", state="live")
        )
        self.send(at, CodecReport(type="codec", id=track, kind="audio", mimeType="audio/opus"))

    def record_tab(self, seconds: int) -> None:
        """The browser's own recorder writes the tab, a piece each half second."""
        for number, piece in enumerate(_tab_pieces(seconds)):
            self.send((number + 1) * STEP, TabChunk(piece))

    def before(self, until: float) -> tuple[list[Item], "Page"]:
        """What has arrived by then, in order, and the rest."""
        arrived = sorted((one for one in self.items if one[0] <= until), key=lambda one: one[0])
        rest = [one for one in self.items if one[0] > until]
        return [item for _, item in arrived], Page(rest)


@lru_cache(maxsize=4)
def _tab_pieces(seconds: int) -> tuple[bytes, ...]:
    """A fragmented MP4 of H.264 and Opus, as MediaRecorder writes one, in pieces."""
    target = io.BytesIO()
    options = {"movflags": "empty_moov+default_base_moof", "frag_duration": "250000"}
    with av.open(target, "w", format="mp4", options=options) as container:
        with av.open(io.BytesIO(_tab_video(1)[0][0]), format="h264") as template:
            video = container.add_stream_from_template(template.streams.video[0])
        video.time_base = Fraction(1, 90_000)
        audio = container.add_stream("libopus", rate=RATE, layout="mono")
        container.start_encoding()
        for number, (data, key) in enumerate(_tab_video(seconds)):
            packet = av.Packet(data)
            packet.pts = packet.dts = number * 3600
            packet.time_base, packet.stream, packet.is_keyframe = video.time_base, video, key
            container.mux(packet)
            if number % 25 == 0:
                # A second of voice and a second of silence, in turns; a tenth late, as Chromium's.
                samples = tone(1.0, level=0.3 if number % 50 == 0 else 0.0)
                frame = AudioFrame.from_ndarray(samples[None], "s16", "mono")
                frame.sample_rate, frame.pts = RATE, number // 25 * RATE + RATE // 10
                frame.time_base = Fraction(1, RATE)
                container.mux(audio.encode(frame))
        container.mux(audio.encode(None))
    whole, count = target.getvalue(), round(seconds / STEP)
    size = len(whole) // count + 1
    return tuple(whole[at : at + size] for at in range(0, len(whole), size))


def _tab_video(seconds: int) -> tuple[tuple[bytes, bool], ...]:
    return encode_video("video/H264", seconds * 25, feed=5, size=(1280, 720), key_every=50)


class Held:
    """A strategy at work in a recording directory, and what it has asked and told."""

    def __init__(
        self,
        directory: Path,
        kind: Kind,
        page: Page,
        *,
        topology: AudioTopology = AudioTopology.POOLED,
        names: dict[str, str] | None = None,
        build: Callable[[CaptureSettings, Surroundings], CaptureStrategy] | None = None,
    ) -> None:
        self.directory = directory
        self.kind = kind
        self.page = page
        self.now = 0.0
        self.commands: list[dict[str, Any]] = []
        self.heard: list[float] = []
        self.refused: list[str] = []
        self.table = SourceTable(topology)
        self.names = NAMES if names is None else names
        self.table.audio = {
            "11": MediaSource(participant_id=ADA),
            "22": MediaSource(participant_id=BEN),
        }
        self.table.video = {
            "v10": MediaSource(participant_id=ADA),
            "v20": MediaSource(participant_id=BEN),
            "v30": MediaSource(participant_id=BEN, presentation=True),
        }
        capture = directory / CAPTURE
        capture.mkdir(parents=True)
        start = CaptureStart(origin=ORIGIN, kind=kind)
        (capture / "start.json").write_text(start.model_dump_json())
        settings = CaptureSettings(
            directory=capture,
            screenshots=directory / "screenshots",
            origin=ORIGIN,
            kind=kind,
            longest=3600,
        )
        around = Surroundings(
            table=self.table,
            command=self.commands.append,
            heard=lambda at: self.heard.append(at - ORIGIN),
            fall_back=self.refused.append,
            people=lambda: self.names,
            clock=lambda: ORIGIN + self.now,
        )
        build = build or (TabCapture if kind is Kind.TAB else TracksCapture)
        self.strategy: CaptureStrategy = build(settings, around)

    def run(self, until: float) -> None:
        """Let the meeting go on, batch by batch."""
        while self.now < until:
            self.now = min(self.now + STEP, until)
            items, self.page = self.page.before(self.now)
            if items:
                self.strategy.take(self._obeyed(items))
                self._settle()
            self.strategy.tick(ORIGIN + self.now)

    def finish(self) -> None:
        self.strategy.finish(ORIGIN + self.now)

    def _settle(self) -> None:
        """Let the demuxer's thread have the time that half a second of a real meeting gives it."""
        if not isinstance(self.strategy, TabCapture):
            return
        demuxer = self.strategy._demuxer
        waits = demuxer._pipe._pieces.not_empty._waiters  # type: ignore[attr-defined]
        deadline = time.monotonic() + 60
        while demuxer._thread.is_alive() and not waits:
            assert time.monotonic() < deadline, "the demuxer takes no more"
            time.sleep(0.001)

    def _obeyed(self, items: Sequence[Item]) -> list[Item]:
        """As the page's worker does: tracks that are not selected only tell that they run."""
        selected = next((c["select"] for c in reversed(self.commands) if "select" in c), None)
        running = {one.track for one in items if isinstance(one, EncodedVideo)}
        sent = [
            one
            for one in items
            if selected is None or not isinstance(one, EncodedVideo) or one.track in selected
        ]
        return [*sent, RunningReport(type="running", ids=tuple(sorted(running)))]


def seen(*participants: str) -> list[BotEvent]:
    """The events that tell of them."""
    return [
        BotEvent(
            seq=number,
            at=datetime.now(UTC),
            fencing_token=1,
            body=ParticipantSeen(participant_id=one, name=NAMES[one]),
        )
        for number, one in enumerate(participants, 1)
    ]


def diarization(directory: Path) -> list[tuple[str, float, float]]:
    """Speaker, start and end of each line, to a tenth of a second."""
    rows = [json.loads(line) for line in (directory / "diarization.jsonl").read_text().splitlines()]
    return [(r["speaker"], round(r["start_time"], 1), round(r["end_time"], 1)) for r in rows]
