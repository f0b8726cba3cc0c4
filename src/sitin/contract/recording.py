"""What a recording consists of. Written by the runner, read by artifacts, transcripts and bots."""

from datetime import datetime
from enum import StrEnum

from sitin.contract.base import Frozen


class ArtifactKind(StrEnum):
    """What a file of a bot is."""

    VIDEO = "video"
    AUDIO = "audio"
    PARTICIPANT_AUDIO = "participant_audio"
    DIARIZATION = "diarization"
    SCREENSHOT = "screenshot"
    RAW_TRANSCRIPTION = "raw_transcription"
    TRANSCRIPTION = "transcription"
    UNEXPECTED = "unexpected"
    """A screenshot or the HTML of a page that showed something nobody expected."""


class ArtifactRef(Frozen):
    """A file in the recording directory."""

    kind: ArtifactKind
    path: str
    """Relative to the recording directory, e.g. ``output.mp4`` or ``participants/2.flac``."""
    size: int
    """Bytes."""
    content_type: str
    participant_id: str | None = None
    """Whose voice it is, for ``participant_audio``."""
    number: int | None = None
    """1-based, for ``screenshot``."""


class ParticipantRef(Frozen):
    """Somebody who was in the meeting."""

    participant_id: str
    name: str
    number: int
    """1-based, in the order of being seen; the API's numeric ``id``."""
    spoke: bool
    """Whether the diarization holds a segment of theirs."""


class Recording(Frozen):
    """The finished recording, as files in the recording directory."""

    started_at: datetime
    """UTC; zero of every time inside the files."""
    duration: float
    """Seconds."""
    files: tuple[ArtifactRef, ...]
    participants: tuple[ParticipantRef, ...]
    complete: bool = True
    """False when a crash cut it off and it was put together from what was on the disk."""


class DiarizationSegment(Frozen):
    """One line of ``diarization.jsonl``: one turn of one speaker, in seconds from the start."""

    speaker: str
    start_time: float
    end_time: float
    user_id: str | None = None
