"""Capture of the tracks: encoded frames from the page, files from them. Run by the engine."""

import json
from collections.abc import Sequence

from sitin.runner.capture.activity import whole_steps
from sitin.runner.capture.audio_files import FlacFile
from sitin.runner.capture.frames import (
    CodecReport,
    EncodedAudio,
    EncodedVideo,
    Item,
    RunningReport,
    TrackReport,
    UntappableReport,
    pack_video,
)
from sitin.runner.capture.mp4 import LiveMp4
from sitin.runner.capture.picture import PictureWriter
from sitin.runner.capture.sound import LATENESS, RATE, SPEECH, Samples, Taken, silence
from sitin.runner.capture.stage import Names, Stage
from sitin.runner.capture.strategy import CaptureSettings, Kind, Surroundings
from sitin.runner.capture.view import Director
from sitin.runner.capture.voices import Voices

_PICTURE_DELAY = 0.7
"""Seconds by which a picture may come late: a batch of the page's and its way here."""


class MixFiles:
    """The mix of all voices: a FLAC file, and the sound of the MP4 where there is one."""

    def __init__(self, settings: CaptureSettings, mp4: LiveMp4 | None) -> None:
        self._flac = FlacFile(settings.directory / "audio.flac")
        self._mp4 = mp4

    def write(self, taken: Taken) -> None:
        """Append one stretch of the timeline."""
        samples: Samples = silence(taken.count) if taken.mix is None else taken.mix
        if samples.size == 0:
            return
        self._flac.write(samples)
        if self._mp4 is not None:
            self._mp4.sound(samples)

    def close(self, *, end: float) -> None:
        """Close the files; the last picture is shown until ``end`` (seconds from the start)."""
        self._flac.close()
        if self._mp4 is not None:
            self._mp4.close(end=end)


class Journal:
    """Every participant's frames as they came, and what was to be shown when: a dense recording.

    ``frames`` holds the page's own records; ``view.jsonl`` codecs and decisions with their times.
    """

    def __init__(self, settings: CaptureSettings) -> None:
        self._frames = (settings.directory / "frames").open("ab", buffering=0)
        self._view = (settings.directory / "view.jsonl").open("a", buffering=1)
        self._wanted: int | None = None
        self.shown: int | None = None
        """The track that will be shown once the recording is composed: from a key frame on."""

    def frame(self, frame: EncodedVideo) -> None:
        """Keep a frame."""
        self._frames.write(pack_video(frame))
        if frame.key and frame.track == self._wanted:
            self.shown = frame.track

    def codec(self, track: int, mime_type: str) -> None:
        """Keep a track's codec."""
        self._view.write(json.dumps({"track": track, "codec": mime_type}) + "\n")

    def want(self, seconds: float, track: int | None, names: Names) -> None:
        """Keep a decision of the director's."""
        row = {"at": round(seconds, 3), "want": track, "names": names}
        self._view.write(json.dumps(row) + "\n")
        self._wanted = track
        if track is None:
            self.shown = None

    def close(self) -> None:
        """Close the files."""
        self._frames.close()
        self._view.close()


class TracksCapture:
    """Sound of everybody and the picture of who presents or speaks."""

    def __init__(self, settings: CaptureSettings, around: Surroundings) -> None:
        self._settings = settings
        self._around = around
        self._director = Director()
        self._voices = Voices(settings.directory, settings.origin, around.table, self._heard)
        self._mp4 = self._stage = self._journal = None
        if settings.kind is Kind.LIVE:
            self._mp4 = LiveMp4(settings.directory / "video.mp4", longest=settings.longest)
            writer = PictureWriter(self._mp4, settings.screenshots)
            self._stage = Stage(writer, settings.origin)
            self._stage.on_change = self._select
        elif settings.kind is Kind.DENSE:
            self._journal = Journal(settings)
        self._mix = MixFiles(settings, self._mp4)
        self._wanted: int | None = None
        self._names: Names | None = None
        """Who is named where no track is shown; ``None`` before the first decision."""
        self._asked = 0.0
        self._select()

    def take(self, items: Sequence[Item]) -> None:
        """Take what the page sent."""
        # Whose a track is and what it consists of is said in the batch of its first packets.
        for item in items:
            if isinstance(item, TrackReport):
                self._track(item)
            elif isinstance(item, CodecReport) and item.kind == "audio":
                self._codec(item)
        self._voices.packets(item for item in items if isinstance(item, EncodedAudio))
        for item in items:
            if isinstance(item, EncodedVideo):
                self._frame(item)
            elif isinstance(item, CodecReport) and item.kind == "video":
                self._codec(item)
            elif isinstance(item, RunningReport):
                for number in item.ids:
                    self._director.running(number, self._around.clock())
            elif isinstance(item, UntappableReport):
                self._around.fall_back(item.why)

    def _frame(self, frame: EncodedVideo) -> None:
        if self._wanted is None:
            # Until somebody is on air every track comes; the first is shown without delay.
            self._director.running(frame.track, frame.received)
            self._direct(frame.received)
        if self._stage is not None:
            self._stage.frame(frame)
        if self._journal is not None:
            self._journal.frame(frame)

    def _track(self, report: TrackReport) -> None:
        if report.kind == "audio":
            self._voices.track(report.id, report.stream)
        else:
            self._director.track(report.id, report.stream, alive=report.state == "live")

    def _codec(self, report: CodecReport) -> None:
        if report.kind == "audio":
            known = self._voices.codec(report.id, report.mimeType)
        else:
            known = self._stage is None or self._stage.codec(report.id, report.mimeType)
            if self._journal is not None:
                self._journal.codec(report.id, report.mimeType)
        if not known:
            self._around.fall_back(f"the page receives {report.mimeType}")

    def tick(self, now: float) -> None:
        """Write what can come no more; look who is to be shown."""
        seconds = now - self._settings.origin
        self._mix.write(self._voices.take(whole_steps(seconds - LATENESS)))
        self._direct(now)
        if self._stage is not None:
            self._stage.idle(seconds - _PICTURE_DELAY)

    def finish(self, at: float) -> None:
        """Write everything up to the end."""
        end = at - self._settings.origin
        self._direct(at)
        self._mix.write(self._voices.take(int(end * RATE)))
        self._voices.close()
        if self._stage is not None:
            self._stage.idle(end - _PICTURE_DELAY)
            self._stage.finish(end)
        self._mix.close(end=end)
        if self._journal is not None:
            self._journal.close()

    def _heard(self, participant: str, loudness: float, at: float) -> None:
        if loudness >= SPEECH:
            self._around.heard(at)
            self._director.heard(participant, loudness, at)

    def _direct(self, now: float) -> None:
        picture = self._stage or self._journal
        if picture is None:
            return
        self._director.sources(self._around.table.video)
        wanted = self._director.on_air(now)
        names = self._named()
        if (wanted, names) != (self._wanted, self._names):
            self._wanted, self._names = wanted, names
            if self._journal is not None:
                self._journal.want(now - self._settings.origin, wanted, names)
            if self._stage is not None:
                self._stage.want(wanted, names)
            self._select()
        if wanted not in (None, picture.shown) and now - self._asked >= 1.0:
            self._asked = now
            self._around.command({"keyframe": wanted})

    def _named(self) -> Names:
        """The name of who speaks, or of everybody as long as nobody does."""
        people = self._around.people()
        speaker = self._director.speaker
        if speaker is not None and speaker in people:
            return (people[speaker],)
        return tuple(people.values())

    def _select(self) -> None:
        if self._stage is None:
            return
        needed = {one for one in (self._stage.shown, self._stage.wanted) if one is not None}
        self._around.command({"select": sorted(needed) or None})
