"""What every way of capturing has in common. For the capture and the session.

A strategy runs on the capture's own thread: it is given what the page sends and the time, and
writes files. What it needs of the page it asks by commands.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from sitin.contract.base import Frozen
from sitin.runner.capture.frames import Item
from sitin.runner.capture.voices import SourceTable


class Kind(StrEnum):
    """What is captured, and how."""

    AUDIO = "audio"
    """Sound only."""
    LIVE = "live"
    """Sound, and the picture of who speaks, encoded during the meeting."""
    DENSE = "dense"
    """Sound, and every participant's frames as they came; composed afterwards."""
    TAB = "tab"
    """What a person would see and hear."""


class CaptureStart(Frozen):
    """``start.json`` in the capture directory: what a crashed capture is put together by."""

    origin: float
    """Zero of every time in the files, in seconds since 1970."""
    kind: Kind
    pictures: bool = True
    """False where sound alone is asked for, whatever it is taken from."""


@dataclass(frozen=True, slots=True)
class CaptureSettings:
    """What a strategy is told."""

    directory: Path
    """Where the growing files are."""
    screenshots: Path
    origin: float
    kind: Kind
    longest: float
    """Seconds of recording at most."""
    pictures: bool = True
    """False where sound alone is asked for, whatever it is taken from."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a strategy is given to work with.

    Attributes:
        table: Whose voice and picture a stream is.
        command: Sends a command to the page; may be called from any thread.
        heard: Called with the time, in seconds since 1970, at which somebody was heard.
        fall_back: Called once with the reason when this strategy cannot capture this page.
        people: Names of those who are in the meeting besides the bot, by participant.
        clock: The time, in seconds since 1970.
    """

    table: SourceTable
    command: Callable[[dict[str, Any]], None]
    heard: Callable[[float], None]
    fall_back: Callable[[str], None]
    people: Callable[[], Mapping[str, str]]
    clock: Callable[[], float] = time.time


class CaptureStrategy(Protocol):
    """One way of capturing."""

    def take(self, items: Sequence[Item]) -> None:
        """Take what the page sent."""
        ...

    def tick(self, now: float) -> None:
        """Called about twice a second with the time, in seconds since 1970."""
        ...

    def finish(self, at: float) -> None:
        """The recording ends at this time; write everything and close the files."""
        ...
