"""What a demo has brought: files, statuses, transcript, truth; whether it is whole; its report."""

import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import av

from sitin.cli.demo.receiver import Receiver
from sitin.contract.codes import BotStatus
from sitin.rehearsal import Truth
from sitin.runner.capture.mp4 import boxes

_NAMES = {
    "video": "output.mp4",
    "audio": "output.flac",
    "diarization": "diarization.jsonl",
    "raw_transcription": "raw_transcription.json",
    "transcription": "output_transcription.json",
}
"""The artifacts of a bot's details and the files they are kept as."""
_TOLERANCE = 1.5
"""Seconds by which a file may differ from what is told of it: that is rounded to whole seconds, and
a picture that stands still is repeated once a second."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything that the demo has seen of one bot."""

    bot: dict[str, Any]
    """Its details, as the API gives them."""
    receiver: Receiver
    files: dict[str, Path]
    """Downloaded artifacts by their name in the details."""
    participants: list[Path]
    """One FLAC file per participant who was heard."""
    truth: Truth
    recording_started_at: datetime

    @property
    def statuses(self) -> list[dict[str, str]]:
        """The status history, as the webhooks told it."""
        changes = [one["data"]["status"] for one in self.receiver.events("bot.status_change")]
        rows = [{"code": one["code"], "created_at": one["created_at"]} for one in changes]
        # Two changes of one moment may arrive in either order; their own is that of the list.
        order = list(BotStatus)
        return sorted(
            rows, key=lambda one: (one["created_at"], order.index(BotStatus(one["code"])))
        )

    @property
    def utterances(self) -> list[dict[str, Any]]:
        """The transcript."""
        if "transcription" not in self.files:
            return []
        found: list[dict[str, Any]] = json.loads(self.files["transcription"].read_text())["result"][
            "utterances"
        ]
        return found

    @property
    def segments(self) -> list[dict[str, Any]]:
        """The diarization."""
        if "diarization" not in self.files:
            return []
        return [json.loads(line) for line in self.files["diarization"].read_text().splitlines()]

    @property
    def spoke(self) -> dict[str, float]:
        """Seconds that each speaker spoke, the longest first."""
        seconds: defaultdict[str, float] = defaultdict(float)
        for one in self.segments:
            seconds[one["speaker"]] += one["end_time"] - one["start_time"]
        return dict(sorted(seconds.items(), key=lambda one: -one[1]))

    def problems(self) -> list[str]:
        """What did not arrive or is not valid, one sentence each; empty when all is well."""
        return [*self._missing(), *self._invalid()]

    def report(self) -> dict[str, Any]:
        """The whole of it; times of the truth in seconds from the recording's start."""
        return {
            "bot": self.bot,
            "statuses": self.statuses,
            "requests": [one.as_json() for one in self.receiver.received],
            "artifacts": {
                **{name: str(path) for name, path in self.files.items()},
                "participants": [str(path) for path in self.participants],
            },
            "truth": [
                {
                    "speaker": turn.speaker,
                    "start": round((turn.start - self.recording_started_at).total_seconds(), 3),
                    "end": round((turn.end - self.recording_started_at).total_seconds(), 3),
                    "text": turn.text,
                }
                for turn in self.truth.turns
            ],
        }

    def _missing(self) -> list[str]:
        problems = [
            f"The bot ended {self.bot['status']}: {self.bot['error_message']}"
            for _ in [0]
            if self.bot["status"] != "completed"
        ]
        problems += [
            f"The artifact {name} did not arrive." for name in _NAMES if name not in self.files
        ]
        if len(self.receiver.events("bot.completed")) != 1:
            problems.append("The webhook bot.completed did not arrive once.")
        if [(one["event"], one["data"]["bot_id"]) for one in self.receiver.callbacks] != [
            ("bot.completed", self.bot["bot_id"])
        ]:
            problems.append("The callback did not tell once that the bot has completed.")
        if self.receiver.refused:
            problems.append(f"{len(self.receiver.refused)} requests carried a wrong signature.")
        if "in_call_recording" not in [one["code"] for one in self.statuses]:
            problems.append("No webhook told of the recording.")
        return problems

    def _invalid(self) -> list[str]:
        problems = []
        seconds = float(self.bot["duration_seconds"] or 0)
        if "video" in self.files and not _is_video(self.files["video"], seconds):
            problems.append("The video is no MP4 with H.264 and AAC that plays from start to end.")
        if "audio" in self.files and not _is_sound(self.files["audio"], seconds):
            problems.append("The audio is no FLAC that plays from start to end.")
        speakers = {turn.speaker for turn in self.truth.turns}
        if len(self.participants) < len(speakers) or not all(
            _is_sound(path, seconds) for path in self.participants
        ):
            problems.append("Not everybody who spoke has a FLAC of their own that plays.")
        if "raw_transcription" in self.files and not _is_json(self.files["raw_transcription"]):
            problems.append("The raw transcription is no JSON.")
        present = {one.name for one in self.truth.attendance}
        if not speakers <= set(self.spoke):
            problems.append("Somebody who spoke is missing from the diarization.")
        if not self.utterances:
            problems.append("The transcript is empty.")
        if not {one["speaker"] for one in self.utterances} <= present:
            problems.append("The transcript names somebody who was not in the meeting.")
        return problems


def local_name(artifact: str) -> str | None:
    """The file name of an artifact of a bot's details; ``None`` for another field."""
    return _NAMES.get(artifact)


def _is_video(path: Path, seconds: float) -> bool:
    try:
        with av.open(str(path)) as container:
            kinds = {stream.codec_context.name for stream in container.streams}
            last = max((frame.time or 0.0 for frame in container.decode(video=0)), default=0.0)
    except av.FFmpegError:
        return False
    return kinds == {"h264", "aac"} and abs(last - seconds) <= _TOLERANCE and _starts_fast(path)


def _starts_fast(path: Path) -> bool:
    """Whether what a player has to know stands before the pictures."""
    first = next((name for name, _, _ in boxes(path) if name in (b"moov", b"mdat")), None)
    return first == b"moov"


def _is_sound(path: Path, seconds: float) -> bool:
    try:
        with av.open(str(path)) as container:
            stream = container.streams.audio[0]
            samples = sum(frame.samples for frame in container.decode(stream))
            return (
                stream.codec_context.name == "flac"
                and abs(samples / stream.codec_context.sample_rate - seconds) <= _TOLERANCE
            )
    except av.FFmpegError:
        return False


def _is_json(path: Path) -> bool:
    try:
        return bool(json.loads(path.read_bytes()))
    except ValueError:
        return False
