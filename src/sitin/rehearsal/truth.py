"""What really happened in a rehearsal: who said what when, who came and went, what was sent.

Read by tests, benchmarks, the demo and people's own CI; written by the meeting while it is held.
Times are UTC, of the instant at which the packets in question were handed to the network, before
the script's own loss and delay.
"""

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from sitin.contract.base import Frozen
from sitin.kit.clock import SystemClock
from sitin.rehearsal.voices import PAUSE_SECONDS

_NEVER = datetime.min.replace(tzinfo=UTC)


class Turn(Frozen):
    """One speaker's speech from its first to its last sound, pauses under 0.8 s included."""

    speaker: str
    """The participant's name."""
    participant: str
    """The participant's id in the script."""
    start: datetime
    end: datetime
    text: str
    complete: bool
    """False where the speaker was cut off, or is still speaking: not all of ``text`` was heard."""


class Attendance(Frozen):
    """A participant's stay."""

    participant: str
    name: str
    device_id: str
    """As the roster names it; a participant who comes back has a new one."""
    joined_at: datetime
    left_at: datetime | None = None


class Visit(Frozen):
    """A visitor's stay: somebody who opened the meeting's page and asked to join."""

    visitor: str
    name: str
    device_id: str
    asked_at: datetime
    admitted_at: datetime | None = None
    connected_at: datetime | None = None
    """When its media was connected."""
    left_at: datetime | None = None
    outcome: Literal[
        "waiting",
        "admitted",
        "in_call",
        "left",
        "removed",
        "ended",
        "denied",
        "no_response",
        "cannot_join",
        "connection_problem",
        "gone",
    ] = "waiting"
    """``admitted`` becomes ``in_call`` once the media is connected; ``gone`` is a page that went
    away without leaving the meeting."""


class VideoSent(Frozen):
    """What one visitor was sent of one picture."""

    visitor: str
    participant: str
    kind: Literal["camera", "presentation"]
    feed: int
    """The number in the pictures' marks."""
    stream_id: str
    frames: int
    first_frame: int
    """Number of the frame as its marks say."""
    last_frame: int
    first_at: datetime
    last_at: datetime


class Truth(Frozen):
    """All of it."""

    code: str
    opened_at: datetime
    clock_started_at: datetime | None
    """When the script's clock was 0."""
    ended_at: datetime | None
    turns: tuple[Turn, ...]
    attendance: tuple[Attendance, ...]
    visits: tuple[Visit, ...]
    video: tuple[VideoSent, ...]

    def write(self, path: Path) -> None:
        """Write it as JSON, whole or not at all."""
        temporary = path.with_suffix(path.suffix + ".part")
        temporary.write_text(self.model_dump_json(indent=2))
        temporary.replace(path)


@dataclass(slots=True)
class SpokenSound:
    """A sound while and after it is sent."""

    participant: str
    speaker: str
    text: str
    start: datetime
    end: datetime
    complete: bool = False


@dataclass(slots=True)
class SentVideo:
    """A picture's frames while they are sent."""

    visitor: str
    participant: str
    kind: Literal["camera", "presentation"]
    feed: int
    stream_id: str
    frames: int = 0
    first_frame: int = 0
    last_frame: int = 0
    first_at: datetime = _NEVER
    last_at: datetime = _NEVER

    def sent(self, frame: int) -> None:
        """Count a frame that is being sent now."""
        at = SystemClock().now()
        if not self.frames:
            self.first_frame, self.first_at = frame, at
        self.frames += 1
        self.last_frame, self.last_at = frame, at


@dataclass(slots=True)
class Ledger:
    """Collects what happens; ``truth`` tells it at any time."""

    code: str
    opened_at: datetime = field(default_factory=SystemClock().now)
    clock_started_at: datetime | None = None
    ended_at: datetime | None = None
    sounds: list[SpokenSound] = field(default_factory=list)
    attendance: dict[str, Attendance] = field(default_factory=dict)
    """By device id."""
    visits: dict[str, Visit] = field(default_factory=dict)
    """By visitor."""
    videos: list[SentVideo] = field(default_factory=list)

    def truth(self) -> Truth:
        """What is known now."""
        return Truth(
            code=self.code,
            opened_at=self.opened_at,
            clock_started_at=self.clock_started_at,
            ended_at=self.ended_at,
            turns=tuple(turns_of(self.sounds)),
            attendance=tuple(self.attendance.values()),
            visits=tuple(self.visits.values()),
            video=tuple(VideoSent(**asdict(video)) for video in self.videos if video.frames),
        )


def turns_of(sounds: list[SpokenSound]) -> list[Turn]:
    """Join the sounds of one speaker that no pause of 0.8 s parts; in the order of their start."""
    turns: list[Turn] = []
    latest: dict[str, int] = {}
    for sound in sorted(sounds, key=lambda item: item.start):
        turn = Turn(**asdict(sound))
        index = latest.get(sound.participant)
        before = turns[index] if index is not None else None
        if (
            index is not None
            and before is not None
            and (turn.start - before.end).total_seconds() < PAUSE_SECONDS
        ):
            turns[index] = before.model_copy(
                update={
                    "end": turn.end,
                    "text": f"{before.text} {turn.text}".strip(),
                    "complete": before.complete and turn.complete,
                }
            )
        else:
            latest[sound.participant] = len(turns)
            turns.append(turn)
    return turns
