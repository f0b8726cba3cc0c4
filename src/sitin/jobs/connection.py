"""The worker's connections: they come back by themselves when the database does. For worker.py."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Self, TypeVar

import asyncpg
import structlog
from pgqueuer.adapters.drivers.asyncpg import Relay
from pgqueuer.core.tm import TaskManager
from pgqueuer.ports.driver import Driver, NotifyCallback
from prometheus_client import Counter

from sitin.kit.database import CONNECT_SECONDS
from sitin.kit.waiting import wait_for_event

LOST = Counter(
    "sitin_jobs_connection_lost_total", "How often the worker had to reconnect to the database."
)

# Seconds.
_FIRST_WAIT = 0.1
_LONGEST_WAIT = 2.0
_COMMAND_SECONDS = 30
_PROBE_SECONDS = 10
_CLOSE_SECONDS = 5

_POOL_SIZE = 4

# What passes by itself. InterfaceError is asyncpg's word for a connection that has closed,
# InternalClientError what it says when that happens while the pool looks after the connection.
_PASSING = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
)

T = TypeVar("T")

log = structlog.get_logger(__name__)


class ReconnectingDriver(Driver):
    """A pool and a listening connection that outlive the database's restarts.

    A statement that meets a lost connection is tried again until the database is back, or until
    ``shutdown`` is set. It may then have run twice, which every statement of the job library bears.
    """

    def __init__(self, url: str, shutdown: asyncio.Event) -> None:
        self._url = url
        self._shutdown = shutdown
        self._pool: asyncpg.Pool | None = None
        self._listeners: list[tuple[str, NotifyCallback]] = []
        self._listening: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Self]:
        """Hold the connections while the block runs."""
        # With no least size it connects when first asked to, so that this cannot fail.
        self._pool = await asyncpg.create_pool(
            self._url,
            min_size=0,
            max_size=_POOL_SIZE,
            timeout=CONNECT_SECONDS,
            command_timeout=_COMMAND_SECONDS,
            server_settings={"application_name": "sitin jobs"},
        )
        try:
            yield self
        finally:
            await self._stop_listening()
            try:
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await self._pool.close()
            except TimeoutError:
                self._pool.terminate()

    async def fetch(self, query: str, *args: object) -> list[dict[str, object]]:
        """Run a query and return its rows."""

        async def run(connection: Any) -> list[dict[str, object]]:
            return [dict(row) for row in await connection.fetch(query, *args)]

        return await self._persist(run)

    async def execute(self, query: str, *args: object) -> str:
        """Run a statement."""

        async def run(connection: Any) -> str:
            return str(await connection.execute(query, *args))

        return await self._persist(run)

    async def notify(self, channel: str, payload: str) -> None:
        """Send a notification."""
        await self.execute("SELECT pg_notify($1, $2)", channel, payload)

    async def add_listener(self, channel: str, callback: NotifyCallback) -> None:
        """Call ``callback`` for every notification from now on; returns once that holds."""
        self._listeners.append((channel, callback))
        await self._stop_listening()
        ready = asyncio.Event()
        self._listening = asyncio.create_task(self._listen(ready))
        await ready.wait()

    @property
    def shutdown(self) -> asyncio.Event:
        """Set when no further work is wanted."""
        return self._shutdown

    @property
    def tm(self) -> TaskManager:
        """Unused; part of the library's Protocol."""
        return TaskManager()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def _stop_listening(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._listening

    async def _persist(self, run: Callable[[Any], Awaitable[T]]) -> T:
        assert self._pool is not None
        wait = _FIRST_WAIT
        while True:
            try:
                async with self._pool.acquire() as connection:
                    return await run(connection)
            except _PASSING as error:
                if self._shutdown.is_set():
                    raise
                wait = await self._lost(error, wait)

    async def _lost(self, error: Exception, wait: float) -> float:
        LOST.inc()
        log.warning("jobs_connection_lost", reason=str(error), retry_in=wait)
        await wait_for_event(self._shutdown, wait)
        return min(wait * 2, _LONGEST_WAIT)

    async def _listen(self, ready: asyncio.Event) -> None:
        wait = _FIRST_WAIT
        while True:
            connection = None
            try:
                connection = await asyncpg.connect(
                    self._url,
                    timeout=CONNECT_SECONDS,
                    command_timeout=_PROBE_SECONDS,
                    server_settings={"application_name": "sitin jobs listening"},
                )
                lost = asyncio.Event()
                connection.add_termination_listener(lambda _, lost=lost: lost.set())
                for channel, callback in self._listeners:
                    await connection.add_listener(channel, Relay(callback))
                ready.set()
                wait = _FIRST_WAIT
                while not lost.is_set():
                    await wait_for_event(lost, _PROBE_SECONDS)
                    # Finds out about a connection that is dead without a word.
                    await connection.execute("SELECT 1")
            except _PASSING as error:
                wait = await self._lost(error, wait)
            finally:
                if connection is not None:
                    connection.terminate()
