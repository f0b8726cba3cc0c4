"""The sound of a recording: every voice to its participant, one mix of all. For capture alone."""

import json
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from sitin.contract.meeting import AudioTopology, MediaSource
from sitin.runner.capture.activity import ActivityLog, levels
from sitin.runner.capture.audio_files import FlacFile
from sitin.runner.capture.frames import EncodedAudio
from sitin.runner.capture.sound import RATE, Chunk, Mixer, OpusStream, Taken

OPUS, REDUNDANT = "audio/opus", "audio/red"
UNKNOWN = "unknown:"
"""Begins the id of a participant whom the platform did not name; the rest is the source's key."""


class SourceTable:
    """Whose voice and whose picture a stream is, as far as the platform has told.

    Written by the session, read by the capture's thread; each value is replaced whole.
    """

    def __init__(self, topology: AudioTopology) -> None:
        self.topology = topology
        self.audio: dict[str, MediaSource] = {}
        self.video: dict[str, MediaSource] = {}
        self._dominant: tuple[list[float], list[str | None]] = ([], [])

    def dominant(self, participant: str | None, at: float) -> None:
        """The platform says who speaks from ``at`` on (seconds since 1970)."""
        times, speakers = self._dominant
        self._dominant = ([*times[-1000:], at], [*speakers[-1000:], participant])

    def voice(self, key: str, at: float) -> str | None:
        """Whose voice ``key`` is at that time; ``None`` for nobody in particular."""
        if self.topology is AudioTopology.MIXED:
            times, speakers = self._dominant
            index = bisect_right(times, at) - 1
            return speakers[index] if index >= 0 else None
        source = self.audio.get(key)
        return source.participant_id if source else UNKNOWN + key


class VoiceFiles:
    """A FLAC file and a speech log per participant."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory / "voices"
        self._directory.mkdir(exist_ok=True)
        self._index = (self._directory / "index.jsonl").open("a", buffering=1)
        self._log = ActivityLog(directory / "activity")
        self._files: dict[str, FlacFile] = {}
        self._numbers: dict[str, int] = {}

    def write(self, taken: Taken) -> None:
        """Write one stretch of the timeline."""
        for participant, samples in taken.voices.items():
            if participant not in self._files:
                self._files[participant] = self._open(participant)
                self._files[participant].silence(taken.start)
            self._files[participant].write(samples)
            self._log.add(self._numbers[participant], taken.start, levels(samples))
        for participant, file in self._files.items():
            if participant not in taken.voices:
                file.silence(taken.count)

    def close(self) -> None:
        """Close every file."""
        for file in self._files.values():
            file.close()
        self._index.close()
        self._log.close()

    def _open(self, participant: str) -> FlacFile:
        number = self._numbers[participant] = len(self._numbers) + 1
        self._index.write(json.dumps([number, participant]) + "\n")
        return FlacFile(self._directory / f"{number}.flac")


def read_index(directory: Path) -> dict[int, str]:
    """Whose each numbered voice of a capture is; a line that a crash cut off is passed over."""
    path = directory / "voices" / "index.jsonl"
    voices: dict[int, str] = {}
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            number, participant = json.loads(line)
        except ValueError:
            continue
        voices[number] = participant
    return voices


class Voices:
    """Decodes the tracks' packets, mixes them and writes each participant's file.

    ``on_heard`` is told at once who was heard, how loud (root mean square) and when.
    """

    def __init__(
        self,
        directory: Path,
        origin: float,
        table: SourceTable,
        on_heard: Callable[[str, float, float], None],
    ) -> None:
        self._origin = origin
        self._table = table
        self._on_heard = on_heard
        self._files = VoiceFiles(directory)
        self._mixer = Mixer(lambda key, sample: table.voice(key, origin + sample / RATE))
        self._streams: dict[int, OpusStream] = {}
        self._track_names: dict[int, str] = {}
        self._redundant: set[int] = set()

    def track(self, number: int, stream: str) -> None:
        """The media stream that an audio track came in."""
        self._track_names[number] = stream

    def codec(self, number: int, mime_type: str) -> bool:
        """Note a track's codec; false when its sound cannot be decoded here."""
        (self._redundant.add if mime_type == REDUNDANT else self._redundant.discard)(number)
        return mime_type in (OPUS, REDUNDANT)

    def packets(self, packets: Iterable[EncodedAudio]) -> None:
        """Take one batch's packets of all tracks."""
        by_track: defaultdict[int, list[EncodedAudio]] = defaultdict(list)
        for packet in packets:
            by_track[packet.track].append(packet)
        for number, own in by_track.items():
            if number not in self._streams:
                self._streams[number] = OpusStream(self._origin, self._key)
            decoded = self._streams[number].decode(own, redundant=number in self._redundant)
            self.chunks(decoded)

    def chunks(self, chunks: list[Chunk]) -> None:
        """Take sound that is decoded already."""
        self._mixer.add(chunks)
        for chunk in chunks:
            at = self._origin + chunk.start / RATE
            participant = self._table.voice(chunk.key, at)
            loudness = float(np.sqrt(np.mean(chunk.samples.astype(np.float32) ** 2)))
            if participant is not None:
                self._on_heard(participant, loudness, at)

    def take(self, until: int) -> Taken:
        """Write what lies before ``until`` (samples from the start) and give it."""
        taken = self._mixer.take(until)
        self._files.write(taken)
        return taken

    def close(self) -> None:
        """Close the files."""
        self._files.close()

    def _key(self, packet: EncodedAudio) -> str:
        if self._table.topology is AudioTopology.POOLED and packet.sources:
            return str(packet.sources[0])
        return self._track_names.get(packet.track, str(packet.track))
