"""A way of capturing that keeps what it is given in memory and writes it down at the end."""

import threading
from collections.abc import Callable, Sequence

from sitin.runner.capture.frames import EncodedAudio, Item
from sitin.runner.capture.strategy import CaptureSettings, Surroundings

TAKEN = "taken.txt"
"""The kinds of what was taken, a line each."""


class FakeCapture:
    """Notes what it is given, on which thread and when.

    Attributes:
        taken: Everything that the page has sent.
        ticks: The times it was told.
        finished: When the recording ended; ``None`` until then.
        thread: Where it was built.
        on_take: Called before anything is taken; a test may wait there, or raise.
    """

    def __init__(self, settings: CaptureSettings, around: Surroundings) -> None:
        self._directory = settings.directory
        self._around = around
        self.taken: list[Item] = []
        self.ticks: list[float] = []
        self.finished: float | None = None
        self.thread = threading.current_thread()
        self.on_take: Callable[[], None] = lambda: None

    def take(self, items: Sequence[Item]) -> None:
        self.on_take()
        self.taken += items
        voices = [one.received for one in items if isinstance(one, EncodedAudio)]
        if voices:
            self._around.heard(max(voices))

    def tick(self, now: float) -> None:
        self.ticks.append(now)

    def finish(self, at: float) -> None:
        self.finished = at
        kept = "".join(f"{type(item).__name__}\n" for item in self.taken)
        (self._directory / TAKEN).write_text(kept)
