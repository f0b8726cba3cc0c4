"""Pictures on their way to a visitor: encoded frames, each when it is due. For connections."""

import asyncio
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from aiortc.mediastreams import VIDEO_CLOCK_RATE, MediaStreamError, MediaStreamTrack
from av import Packet

from sitin.rehearsal.clock import ScriptClock
from sitin.rehearsal.film import FilmStore, Second, second_of
from sitin.rehearsal.people import Feed
from sitin.rehearsal.script import Video

_JOIN_WITHIN = 0.25
"""Seconds into a second within which a new track still begins with that second's keyframe."""
_TOO_LATE = 2.0
"""Seconds behind the clock at which a track gives up frames and goes on with the present ones."""


class FeedTrack(MediaStreamTrack):
    """One feed's frames for one visitor, passed on as they were encoded."""

    kind = "video"

    def __init__(
        self,
        feed: Feed,
        video: Video,
        film: FilmStore,
        clock: ScriptClock,
        *,
        on_sent: Callable[[int], None],
    ) -> None:
        super().__init__()
        self._feed = feed
        self._video = video
        self._film = film
        self._clock = clock
        self._on_sent = on_sent
        self._next: int | None = None
        self._second: Second | None = None
        self._frames: tuple[bytes, ...] = ()
        self._coming: asyncio.Task[tuple[bytes, ...]] | None = None

    async def recv(self) -> "Packet[Any]":
        """The next frame when it is due. Raises ``MediaStreamError`` once the feed is off."""
        await self._clock.started()
        fps = self._video.fps
        if self._next is None or self._clock.now() - self._next / fps > _TOO_LATE:
            self._next = self._present_second() * fps
            self._forget_coming()
        number = self._next
        self._next += 1
        data = await self._frame(number)
        await self._clock.wait_until(number / fps)
        if not self._feed.live or self.readyState != "live":
            raise MediaStreamError
        packet = Packet(data)
        packet.pts = packet.dts = number * (VIDEO_CLOCK_RATE // fps)
        packet.time_base = Fraction(1, VIDEO_CLOCK_RATE)
        self._on_sent(number)
        return packet

    def _present_second(self) -> int:
        now = self._clock.now()
        return int(now) if now % 1 <= _JOIN_WITHIN else int(now) + 1

    async def _frame(self, number: int) -> bytes:
        index, offset = divmod(number, self._video.fps)
        second = second_of(self._feed.card, self._video, index)
        if second != self._second:
            coming = self._coming or self._fetch(second)
            self._coming = None
            self._frames = await coming
            self._second = second
        elif self._coming is None:
            # A second ahead, so that none begins late because it has to be read or encoded.
            self._coming = self._fetch(second_of(self._feed.card, self._video, index + 1))
        return self._frames[offset]

    def _fetch(self, second: Second) -> asyncio.Task[tuple[bytes, ...]]:
        return asyncio.ensure_future(self._film.frames(second))

    def stop(self) -> None:
        """End the track and what it was about to fetch."""
        self._forget_coming()
        super().stop()

    def _forget_coming(self) -> None:
        if self._coming is not None:
            self._coming.cancel()
            self._coming = None
