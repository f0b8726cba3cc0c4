"""The thread that captures: gives a strategy what the page sends, and the time. For the session."""

import queue
import threading
import time
from collections.abc import Callable, Sequence

import structlog

from sitin.runner.capture.frames import Item
from sitin.runner.capture.strategy import CaptureStrategy

log = structlog.get_logger()

TICK = 0.5
"""Seconds between looks at the clock."""
_BACKLOG = 600
"""Batches that may wait: five minutes of a page that sends two a second."""


class CaptureEngine:
    """Runs one strategy on a thread of its own.

    Decoding and encoding keep a core busy for a good part of the time; the event loop stays free
    for the meeting. ``on_failure`` is called once, from the thread, with what went wrong; what was
    written until then stays.
    """

    def __init__(
        self, build: Callable[[], CaptureStrategy], on_failure: Callable[[BaseException], None]
    ) -> None:
        self._build = build
        self._on_failure = on_failure
        self._items: queue.Queue[Sequence[Item] | float] = queue.Queue(_BACKLOG)
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        self.lost_batches = 0

    def start(self) -> None:
        """Start capturing."""
        self._thread.start()

    def put(self, items: Sequence[Item]) -> None:
        """Hand over what the page sent; never waits."""
        try:
            self._items.put_nowait(items)
        except queue.Full:
            self.lost_batches += 1

    def finish(self, at: float) -> None:
        """End the recording at this time and wait until all is written."""
        if self._thread.is_alive():
            self._items.put(at)
            self._thread.join()

    def _run(self) -> None:
        try:
            self._capture(self._build())
        except Exception as error:  # edge of the capture's thread: the session has to hear of it
            log.exception("capture failed")
            self._on_failure(error)

    def _capture(self, strategy: CaptureStrategy) -> None:
        ticked = time.monotonic()
        while True:
            try:
                item = self._items.get(timeout=TICK / 2)
            except queue.Empty:
                item = ()
            if isinstance(item, float):
                strategy.finish(item)
                return
            if item:
                strategy.take(item)
            if time.monotonic() - ticked >= TICK:
                ticked = time.monotonic()
                strategy.tick(time.time())
