"""A platform without a page: what happens in the meeting is what a test tells."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import structlog
from playwright.async_api import Page

from sitin.contract.codes import Platform, RecordingMode
from sitin.contract.failures import AdapterError
from sitin.contract.meeting import (
    AudioTopology,
    JoinStep,
    MeetingSignal,
    Over,
    PlatformCapabilities,
)

log = structlog.get_logger()


@dataclass(frozen=True)
class Joining:
    """What one ``join`` was asked."""

    url: str
    bot_name: str
    mode: RecordingMode


class FakeAdapter:
    """One bot's hands and eyes on nothing.

    Attributes:
        joins: Every ``join``, failed ones too.
        failures: What the next ``join``s raise, one each.
        arranged: For what it was asked to lay the call out.
        received: What the page script has emitted.
        left: How often it took its leave.
    """

    def __init__(self, topology: AudioTopology = AudioTopology.POOLED) -> None:
        self._topology = topology
        self._signals: asyncio.Queue[MeetingSignal] = asyncio.Queue()
        self._over = False
        self.joins: list[Joining] = []
        self.failures: list[AdapterError] = []
        self.arranged: list[RecordingMode] = []
        self.received: list[str | bytes] = []
        self.left = 0

    def tell(self, *signals: MeetingSignal) -> None:
        """These happen now; after ``Over`` nothing does."""
        for signal in signals:
            if not self._over:
                self._signals.put_nowait(signal)
            self._over = self._over or isinstance(signal, Over)

    # MeetingAdapter

    @property
    def capabilities(self) -> PlatformCapabilities:
        return PlatformCapabilities(
            platform=Platform.MEET, audio_topology=self._topology, screenshots=True
        )

    @property
    def init_script(self) -> str:
        return "window.__fake = true;"

    async def join(self, page: Page, *, url: str, bot_name: str, mode: RecordingMode) -> None:
        del page
        self.joins.append(Joining(url, bot_name, mode))
        if self.failures:
            raise self.failures.pop(0)
        for step in JoinStep:
            log.info("step", step=step)

    async def signals(self, page: Page) -> AsyncIterator[MeetingSignal]:
        del page
        while True:
            signal = await self._signals.get()
            yield signal
            if isinstance(signal, Over):
                return

    async def arrange(self, page: Page, mode: RecordingMode) -> None:
        del page
        self.arranged.append(mode)

    def receive(self, message: str | bytes) -> None:
        self.received.append(message)

    async def leave(self, page: Page) -> None:
        del page
        self.left += 1
