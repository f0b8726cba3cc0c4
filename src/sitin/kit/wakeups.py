"""Wake-ups between processes: "rows of this kind have changed, look". Used by loops over tables.

A wake-up is a hint that saves a wait, never the news itself: the news is in the rows, and every
loop also looks by itself from time to time. It travels by PostgreSQL's NOTIFY, so it arrives when
the sender's transaction is committed, and not at all when it is rolled back.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from enum import StrEnum

import asyncpg
import structlog
from prometheus_client import Counter
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

_RECONNECT_SECONDS = 1.0
_ALIVE_SECONDS = 15.0

LOST = Counter("sitin_wakeup_connection_lost_total", "How often the listening connection broke.")

log = structlog.get_logger(__name__)


class Channel(StrEnum):
    """What has changed."""

    BOTS = "sitin_bots"
    """A bot was queued, is in its meeting, or was asked to leave."""
    SCHEDULE = "sitin_schedule"
    """A bot was scheduled, or its time was changed."""
    JOBS = "sitin_jobs"
    """A job was enqueued or returned to the queue."""
    DELIVERIES = "sitin_deliveries"
    """A message waits to be delivered."""


async def wake(session: AsyncSession, channel: Channel) -> None:
    """Wake the listeners of a channel once this transaction is committed."""
    await session.execute(select(func.pg_notify(channel.value, "")))


class Wakeups:
    """One listening connection per process. ``url`` is a ``postgresql://`` URL."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._events: dict[Channel, set[asyncio.Event]] = {channel: set() for channel in Channel}

    @contextlib.contextmanager
    def listening(self, channel: Channel) -> Iterator[asyncio.Event]:
        """An event that is set at every wake-up; the listener clears it."""
        event = asyncio.Event()
        self._events[channel].add(event)
        try:
            yield event
        finally:
            self._events[channel].discard(event)

    async def run(self) -> None:
        """Listen until cancelled; a lost connection is made again."""
        while True:
            try:
                await self._listen()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
                LOST.inc()
                log.warning("wakeup_connection_lost", reason=repr(error))
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _listen(self) -> None:
        connection = await asyncpg.connect(
            self._url, timeout=10, server_settings={"application_name": "sitin wake-ups"}
        )
        try:
            for channel in Channel:
                await connection.add_listener(channel.value, self._heard)
            # What was sent while nobody listened is made up for by looking once.
            for channel in Channel:
                self._set(channel)
            while True:
                await asyncio.sleep(_ALIVE_SECONDS)
                await connection.execute("SELECT 1", timeout=10)
        finally:
            connection.terminate()

    def _heard(self, _connection: object, _pid: int, channel: str, _payload: object) -> None:
        self._set(Channel(channel))

    def _set(self, channel: Channel) -> None:
        for event in self._events[channel]:
            event.set()
