"""Capture of the tab: what a person would see and hear, as the browser's own recorder writes it.

For pages whose tracks cannot be taken, and where the page's layout is asked for. The browser
encodes H.264 and Opus; the pictures go into the file as they are, the sound is encoded anew. Where
the page has tracks as well the sound is theirs, and they tell who speaks.
"""

import queue
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import av
import numpy as np
import structlog
from av.bitstream import BitStreamFilterContext
from playwright.async_api import Page

from sitin.contract.meeting import AudioTopology
from sitin.runner.capture.activity import whole_steps
from sitin.runner.capture.cards import name_card
from sitin.runner.capture.frames import (
    CodecReport,
    EncodedAudio,
    EncodedVideo,
    Item,
    TabChunk,
    TrackReport,
    UntappableReport,
)
from sitin.runner.capture.mp4 import HEIGHT, WIDTH, LiveMp4
from sitin.runner.capture.picture import KEY_EVERY, PictureWriter
from sitin.runner.capture.sound import LATENESS, RATE, SPEECH, Chunk, Lane, Samples, Taken
from sitin.runner.capture.strategy import CaptureSettings, Surroundings
from sitin.runner.capture.tracks import MixFiles
from sitin.runner.capture.voices import Voices

log = structlog.get_logger()

_TAB_KEY = "tab"
_SOUND_LATE = 0.1
"""Seconds by which the recorder places sound after the picture of the same moment. Measured: a page
that flashes and beeps at once, 30 times, gave 71 to 127 ms, 103 in the middle (Chromium 156)."""
_PICTURE_LATE = 0.13
"""Seconds from a picture's arrival to its place in the recording: decoding, painting, recording.
Measured by a rehearsal's flashes against its tracks' beeps: 110 to 220 ms on two cores that had
twice the work."""
_PATIENCE = 10.0
"""Seconds more that the recorder's sound may be late before silence is written in its place."""
_FIRST_PICTURE_WITHIN = 20.0
"""Seconds for the recorder's first picture; then names are shown. Reading its MP4 begins after some
seconds of it: 6.2 and 6.6 s were measured on two busy cores (Chromium 156)."""
_SETTINGS = {
    "width": WIDTH,
    "height": HEIGHT,
    "frameRate": 25,
    "bitsPerSecond": 1_500_000,
    "mimeType": "video/mp4;codecs=avc1.42E01F,opus",
    "sliceMs": 500,
    "keyframeMs": int(KEY_EVERY * 1000),
}


class TabRecording:
    """The browser's recorder, from the runner's side."""

    def __init__(self, page: Page, origin: float) -> None:
        self._page = page
        self.origin = origin
        """When what its first picture shows was sent, in seconds since 1970."""

    @classmethod
    async def begin(cls, page: Page) -> "TabRecording":
        """Start recording the page's own tab."""
        started: dict[str, Any] = await page.evaluate(
            "settings => __sitin.recordTab(settings)", _SETTINGS
        )
        return cls(page, float(started["at"]) / 1000 - _PICTURE_LATE)

    async def end(self) -> None:
        """Stop recording; the last piece is on its way when this returns."""
        await self._page.evaluate("() => __sitin.stopTab()")


@dataclass(frozen=True, slots=True)
class _Picture:
    data: bytes
    seconds: float
    key: bool


class _Pipe:
    """Bytes from the capture's thread to the demuxer's, which waits for them."""

    def __init__(self) -> None:
        self._pieces: queue.Queue[bytes] = queue.Queue()
        self._rest = b""
        self._ended = False

    def write(self, data: bytes) -> None:
        self._pieces.put(data)

    def close(self) -> None:
        self._pieces.put(b"")

    def read(self, size: int) -> bytes:
        if not self._rest and not self._ended:
            self._rest = self._pieces.get()
            self._ended = not self._rest
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece


class _Demuxer:
    """Takes the recorder's MP4 apart on a thread of its own: reading it waits."""

    def __init__(self) -> None:
        self._pipe = _Pipe()
        self._out: queue.Queue[_Picture | Chunk] = queue.Queue()
        self._thread = threading.Thread(target=self._run, name="demux", daemon=True)
        self._thread.start()
        self.write = self._pipe.write

    def ready(self) -> list[_Picture | Chunk]:
        """What has been taken apart by now."""
        ready = []
        while not self._out.empty():
            ready.append(self._out.get_nowait())
        return ready

    def finish(self) -> list[_Picture | Chunk]:
        """The rest."""
        self._pipe.close()
        self._thread.join()
        return self.ready()

    def _run(self) -> None:
        try:
            with av.open(self._pipe, "r", format="mp4") as container:
                self._demux(container)
        except av.FFmpegError as error:
            # The recorder's last piece may be cut off with the page.
            log.info("tab recording ended", why=str(error))

    def _demux(self, container: "av.container.InputContainer") -> None:
        if not container.streams.video:
            log.warning("tab recording has no picture")
            return
        annex_b = BitStreamFilterContext("h264_mp4toannexb", container.streams.video[0])
        resampler = av.AudioResampler("s16", "mono", RATE)
        for packet in container.demux():
            if packet.pts is None or packet.time_base is None:
                continue
            if packet.stream.type == "video":
                seconds = float(packet.pts * packet.time_base)
                for unit in annex_b.filter(packet):
                    self._out.put(_Picture(bytes(unit), seconds, unit.is_keyframe))
            else:
                for frame in packet.decode():
                    assert isinstance(frame, av.AudioFrame)
                    for even in resampler.resample(frame):
                        self._out.put(_chunk(even))


def _chunk(frame: "av.AudioFrame") -> Chunk:
    samples: Samples = frame.to_ndarray().reshape(-1).astype(np.int16)
    return Chunk(round((frame.time or 0.0) * RATE), samples, _TAB_KEY)


class TabCapture:
    """Writes the tab's recording; participants' own sound from the tracks beside it."""

    def __init__(self, settings: CaptureSettings, around: Surroundings) -> None:
        self._settings = settings
        self._around = around
        self._pictures = mp4 = None
        if settings.pictures:
            mp4 = LiveMp4(settings.directory / "video.mp4", longest=settings.longest)
            self._pictures = PictureWriter(mp4, settings.screenshots)
        self._mix = MixFiles(settings, mp4)
        self._lane = Lane()
        self._taken = 0
        self._tab_until = 0
        """Sample up to which the recorder's sound has come."""
        self._voices = Voices(settings.directory, settings.origin, around.table, self._heard)
        self._has_tracks = False
        self._untappable = False
        """Whether somebody is heard in the tab alone."""
        self._demuxer = _Demuxer()

    def take(self, items: Sequence[Item]) -> None:
        """Take what the page sent."""
        for item in items:
            if isinstance(item, TabChunk):
                self._demuxer.write(item.data)
            elif isinstance(item, TrackReport) and item.kind == "audio":
                self._voices.track(item.id, item.stream)
            elif isinstance(item, CodecReport) and item.kind == "audio":
                self._voices.codec(item.id, item.mimeType)
            elif isinstance(item, UntappableReport):
                self._untappable |= item.kind == "audio"
        # After what is said about their tracks, which may come in the same batch.
        packets = [item for item in items if isinstance(item, EncodedAudio)]
        self._has_tracks |= any(packet.data for packet in packets)
        self._voices.packets(packets)
        self._write(self._demuxer.ready())

    def tick(self, now: float) -> None:
        """Write what can come no more."""
        if now - self._settings.origin >= _FIRST_PICTURE_WITHIN:
            self._ensure_picture()
        due = now - self._settings.origin - LATENESS
        if not self._by_tracks:
            # The recorder hands out a piece at a key frame, and those come when they come.
            due = max(min(due, self._tab_until / RATE), due - _PATIENCE)
        self._flush(whole_steps(due))

    def finish(self, at: float) -> None:
        """Write everything up to the end."""
        end = at - self._settings.origin
        self._write(self._demuxer.finish())
        self._flush(int(end * RATE))
        self._voices.close()
        self._ensure_picture()
        if self._pictures is not None:
            self._pictures.finish(end)
        self._mix.close(end=end)

    def _ensure_picture(self) -> None:
        """Show the names of those who are there, if the recorder has given no picture yet."""
        if self._pictures is not None and self._pictures.last < 0:
            self._pictures.show(name_card(tuple(self._around.people().values())), 0.0)

    def _write(self, pieces: Sequence[_Picture | Chunk]) -> None:
        for piece in pieces:
            if isinstance(piece, _Picture):
                if self._pictures is None:
                    continue
                frame = EncodedVideo(0, piece.key, 0, 0.0, WIDTH, HEIGHT, piece.data)
                self._pictures.pass_through(frame, piece.seconds)
            else:
                heard = replace(piece, start=piece.start - round(_SOUND_LATE * RATE))
                self._lane.add(heard.start, heard.samples)
                self._tab_until = heard.start + heard.samples.size
                self._listen(heard)

    @property
    def _by_tracks(self) -> bool:
        """Whether the tracks have everybody's sound."""
        return self._has_tracks and not self._untappable

    def _listen(self, chunk: Chunk) -> None:
        if self._has_tracks:
            return
        if self._around.table.topology is AudioTopology.MIXED:
            self._voices.chunks([chunk])
        elif float(np.sqrt(np.mean(chunk.samples.astype(np.float32) ** 2))) >= SPEECH:
            self._around.heard(self._settings.origin + chunk.start / RATE)

    def _flush(self, until: int) -> None:
        until = max(until, self._taken)
        voices = self._voices.take(until)
        tab = Taken(self._taken, until - self._taken, self._lane.take(until))
        # What a busy page plays late and with gaps came in time and whole by its tracks.
        self._mix.write(voices if self._by_tracks else tab)
        self._taken = until

    def _heard(self, participant: str, loudness: float, at: float) -> None:
        del participant
        if loudness >= SPEECH:
            self._around.heard(at)
