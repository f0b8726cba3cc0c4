"""An hour of a meeting, as the capture leaves it at the moment the meeting ends."""

from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.frame import PictureType

from sitin.contract.events import BotEvent, ParticipantSeen
from sitin.contract.recording import Recording
from sitin.runner.assemble import CAPTURE, assemble
from sitin.runner.capture.mp4 import HEIGHT, VIDEO_TIME, WIDTH, LiveMp4
from sitin.runner.capture.sound import RATE, Samples, Taken
from sitin.runner.capture.strategy import CaptureSettings, CaptureStart, Kind
from sitin.runner.capture.tracks import MixFiles
from sitin.runner.capture.voices import VoiceFiles

SECONDS = 3600
PEOPLE = ("ann", "ben")


class HourOfMeeting:
    """Files that are open and hold an hour; ``end`` is what happens when the meeting is over."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        capture = directory / CAPTURE
        capture.mkdir()
        start = CaptureStart(origin=datetime.now(UTC).timestamp() - SECONDS, kind=Kind.LIVE)
        (capture / "start.json").write_text(start.model_dump_json())
        settings = CaptureSettings(
            directory=capture,
            screenshots=directory / "screenshots",
            origin=start.origin,
            kind=Kind.LIVE,
            longest=4 * 3600,
        )
        self._mp4 = LiveMp4(capture / "video.mp4", longest=settings.longest)
        self._mix = MixFiles(settings, self._mp4)
        self._voices = VoiceFiles(capture)
        self._write()

    def end(self) -> Recording:
        """Close the files and make the recording of them."""
        self._voices.close()
        self._mix.close(end=SECONDS)
        now = datetime.now(UTC)
        people = [
            BotEvent(
                seq=number,
                at=now,
                fencing_token=1,
                body=ParticipantSeen(participant_id=one, name=one.title()),
            )
            for number, one in enumerate(PEOPLE, 1)
        ]
        recording = assemble(self._directory, people, complete=True)
        assert recording is not None
        return recording

    def _write(self) -> None:
        frames = _ten_seconds_of_video()
        voice = _a_second_of_voice()
        for second in range(SECONDS):
            for number in range(25):
                data, key = frames[(second * 25 + number) % len(frames)]
                self._mp4.video(data, seconds=second + number / 25, key=key)
            speaker = PEOPLE[second // 10 % len(PEOPLE)]
            taken = Taken(second * RATE, RATE, voice, {speaker: voice})
            self._voices.write(taken)
            self._mix.write(taken)


def _ten_seconds_of_video() -> list[tuple[bytes, bool]]:
    """Some 1.1 Mbit/s, as a camera's picture has: a noisy, moving one."""
    context = av.VideoCodecContext.create("libx264", "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height, context.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    context.time_base, context.framerate = VIDEO_TIME, Fraction(25)
    context.bit_rate = 1_100_000
    context.options = {"preset": "ultrafast", "profile": "baseline", "forced-idr": "1"}
    noise = np.random.default_rng(1)
    still = noise.integers(60, 180, (HEIGHT * 3 // 2, WIDTH), dtype=np.uint8)
    out: list[tuple[bytes, bool]] = []
    for number in range(250):
        picture = np.roll(still, 4 * number, axis=1)
        frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
        frame.pts, frame.time_base = number * 3600, VIDEO_TIME
        frame.pict_type = PictureType.I if number % 50 == 0 else PictureType.NONE
        out += [(bytes(packet), packet.is_keyframe) for packet in context.encode(frame)]
    return out + [(bytes(packet), packet.is_keyframe) for packet in context.encode(None)]


def _a_second_of_voice() -> Samples:
    noise = np.random.default_rng(2).normal(0, 2500, RATE)
    return np.convolve(noise, np.ones(24) / 24, "same").astype(np.int16)
