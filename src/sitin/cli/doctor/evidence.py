"""What a short recording holds: did sound and pictures come, and who was heard. For the walk."""

from dataclasses import dataclass
from pathlib import Path

import av

from sitin.contract.recording import ArtifactKind, Recording

_MOVING = 3.0
"""Pictures a second above which they are of people; cards with a name come once a second."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was found of one recording."""

    seconds: float
    pictures: int
    size: str
    """Of the pictures, e.g. ``1280×720``."""
    heard: tuple[str, ...]
    """Names of those who spoke."""
    complete: bool
    """Whether nothing cut the recording off."""

    @property
    def whole(self) -> bool:
        """Whether there is a file of sound and one of pictures, up to their ends."""
        return self.complete and self.seconds > 0 and self.pictures > 0

    @property
    def told(self) -> str:
        """All of it on a line."""
        return (
            f"{self.seconds:.1f} s, {self.pictures} pictures of {self.size}; "
            f"heard: {', '.join(self.heard) or 'nobody'}"
        )

    @property
    def reservation(self) -> str:
        """What to know about a recording that went well, as a sentence's end."""
        missing = []
        if not self.heard:
            missing.append("nobody was heard")
        if self.pictures < _MOVING * self.seconds:
            missing.append("no moving pictures came")
        return f", but {' and '.join(missing)}" if missing else ""


def evidence_of(directory: Path, recording: Recording) -> Evidence:
    """Look at a recording and count its pictures; nothing is decoded here."""
    video = next((one.path for one in recording.files if one.kind is ArtifactKind.VIDEO), None)
    pictures, size = _pictures(directory / video) if video else (0, "no size")
    return Evidence(
        seconds=recording.duration,
        pictures=pictures,
        size=size,
        heard=tuple(one.name for one in recording.participants if one.spoke),
        complete=recording.complete,
    )


def _pictures(path: Path) -> tuple[int, str]:
    try:
        with av.open(str(path)) as container:
            video = container.streams.video[0]
            count = sum(1 for packet in container.demux(video) if packet.size)
            return count, f"{video.width}×{video.height}"
    except (av.FFmpegError, IndexError):
        return 0, "no size"
