"""Brings messages to their destinations: takes what is due, sends it, notes what came of it.

Run by the worker. The table of deliveries is the queue. A lane (an endpoint, or the host of a
team's callbacks) has a bounded number of requests under way, so one that hangs delays itself only;
what a killed worker held becomes due again by itself, with the same id.
"""

import asyncio
import contextlib
import time
from collections import Counter as Tally
from datetime import timedelta
from uuid import UUID

import structlog
from prometheus_client import Counter, Histogram
from sqlalchemy.exc import SQLAlchemyError

from sitin.kit.clock import Clock
from sitin.kit.database import Database
from sitin.kit.outages import passes_by_itself
from sitin.kit.wakeups import Channel, Wakeups
from sitin.notifications import store
from sitin.notifications.sending import Sender

LANE_WIDTH = 4
"""Requests under way per lane and process."""

_LOOK_ANYWAY = timedelta(seconds=5)
_AFTER_DATABASE_ERROR = 1.0
_FINISH_SECONDS = 10.0

ATTEMPTS = Counter(
    "sitin_delivery_attempts_total", "Requests to webhooks and callbacks.", ["kind", "result"]
)
SECONDS = Histogram("sitin_delivery_attempt_seconds", "How long such a request took.", ["kind"])
FAULTS = Counter("sitin_delivery_faults_total", "Deliveries cut short by a fault of our own.")

log = structlog.get_logger(__name__)


class Dispatcher:
    """The loop over due deliveries; one per process."""

    def __init__(
        self,
        *,
        database: Database,
        sender: Sender,
        wakeups: Wakeups,
        clock: Clock,
    ) -> None:
        self._database = database
        self._sender = sender
        self._wakeups = wakeups
        self._clock = clock
        self._running: Tally[UUID] = Tally()
        self._tasks: set[asyncio.Task[None]] = set()
        self._look = asyncio.Event()

    async def run(self) -> None:
        """Deliver until cancelled; then what is under way gets a few seconds to finish."""
        with self._wakeups.listening(Channel.DELIVERIES) as self._look:
            try:
                while True:
                    await self._wait(await self._open_lanes())
            finally:
                await self._finish()

    async def _open_lanes(self) -> timedelta:
        """Start work on what is due; returns how long to wait for what is not."""
        self._look.clear()
        now = self._clock.now()
        try:
            async with self._database.transaction() as session:
                lanes = await store.due_lanes(session, now=now, width=LANE_WIDTH)
                next_due = await store.next_due(session, after=now)
        except (SQLAlchemyError, OSError) as error:
            log.warning("deliveries_unreadable", reason=repr(error))
            return timedelta(seconds=_AFTER_DATABASE_ERROR)
        for lane, due in lanes.items():
            for _ in range(min(due, LANE_WIDTH - self._running[lane])):
                self._start(lane)
        return min(_LOOK_ANYWAY, next_due - now) if next_due else _LOOK_ANYWAY

    async def _wait(self, at_most: timedelta) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(at_most.total_seconds()):
                await self._look.wait()

    def _start(self, lane: UUID) -> None:
        self._running[lane] += 1
        task = asyncio.create_task(self._drain(lane))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _drain(self, lane: UUID) -> None:
        """Send what is due in a lane, one after the other, until nothing is."""
        try:
            while (taken := await self._take(lane)) is not None:
                await self._attempt(taken)
        except Exception as error:  # edge: of a lane's task; the dispatcher outlives it
            # What was taken becomes due again by itself.
            FAULTS.inc()
            if passes_by_itself(error):
                log.warning("delivery_interrupted", lane=str(lane), reason=repr(error))
            else:
                log.exception("delivery_fault", lane=str(lane))
        finally:
            if self._running[lane] >= LANE_WIDTH:
                # While the lane was full, a newcomer may have been left to this very task.
                self._look.set()
            self._running[lane] -= 1
            if not self._running[lane]:
                del self._running[lane]

    async def _take(self, lane: UUID) -> store.Taken | None:
        async with self._database.transaction() as session:
            return await store.take(session, lane, now=self._clock.now())

    async def _attempt(self, taken: store.Taken) -> None:
        at = self._clock.now()
        began = time.monotonic()
        answer = await self._sender.send(taken)
        seconds = time.monotonic() - began
        result = "delivered" if answer.outcome.delivered else "failed"
        ATTEMPTS.labels(taken.kind.value, result).inc()
        SECONDS.labels(taken.kind.value).observe(seconds)
        async with self._database.transaction() as session:
            await store.record(session, taken, answer, at=at, seconds=seconds)

    async def _finish(self) -> None:
        if self._tasks:
            _, unfinished = await asyncio.wait(self._tasks, timeout=_FINISH_SECONDS)
            for task in unfinished:
                task.cancel()
            await asyncio.gather(*unfinished, return_exceptions=True)
