"""Brings messages to their destinations: takes what is due, sends it, notes what came of it.

Run by the worker. The table of deliveries is the queue. One look at it takes all that may begin
now, of every lane; ``places`` bounds what is under way, so that a destination that hangs delays
itself only. What a killed worker held becomes due again by itself, with the same id.
"""

import asyncio
import time
from datetime import timedelta
from functools import partial
from uuid import UUID

import structlog
from prometheus_client import Counter, Gauge, Histogram
from sqlalchemy.exc import SQLAlchemyError

from sitin.kit.clock import Clock
from sitin.kit.database import Database
from sitin.kit.outages import passes_by_itself
from sitin.kit.waiting import wait_for_event
from sitin.kit.wakeups import Channel, Wakeups
from sitin.notifications import store
from sitin.notifications.places import LANE_WIDTH, Places
from sitin.notifications.recorder import Recorder
from sitin.notifications.schedule import Outcome
from sitin.notifications.sending import Sender
from sitin.notifications.store import Answer, Attempted, Taken

_LOOK_ANYWAY = timedelta(seconds=5)
_AFTER_DATABASE_ERROR = timedelta(seconds=1)
_FINISH_SECONDS = 10.0
_REST = 2.0
"""How many times its own length a look is followed by none, so that looking takes a third of the
time at most, and one look does for all that came due meanwhile."""

ATTEMPTS = Counter(
    "sitin_delivery_attempts_total", "Requests to webhooks and callbacks.", ["kind", "result"]
)
SECONDS = Histogram("sitin_delivery_attempt_seconds", "How long such a request took.", ["kind"])
UNDER_WAY = Gauge("sitin_deliveries_under_way", "Requests to webhooks and callbacks right now.")
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
        self._recorder = Recorder(database)
        self._places = Places()
        self._left_behind: set[UUID] = set()
        """Lanes of which the last look left something that was due."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._look = asyncio.Event()

    async def run(self) -> None:
        """Deliver until cancelled; then what is under way gets a few seconds to finish."""
        with self._wakeups.listening(Channel.DELIVERIES) as self._look:
            try:
                while True:
                    began = time.monotonic()
                    at_most = await self._begin_what_is_due()
                    rest = (time.monotonic() - began) * _REST
                    await asyncio.sleep(rest)
                    await self._wait(at_most)
            finally:
                await self._finish()

    async def _begin_what_is_due(self) -> timedelta:
        """Start work on what is due; returns how long to wait for what is not."""
        self._look.clear()
        now = self._clock.now()
        try:
            async with self._database.transaction() as session:
                due = await store.due_lanes(session, now=now, most=LANE_WIDTH + 1)
                places = self._places.share(due)
                taken = await store.take(session, places, now=now) if places else []
                next_due = await store.next_due(session, after=now)
        except (SQLAlchemyError, OSError) as error:
            log.warning("deliveries_unreadable", reason=repr(error))
            return _AFTER_DATABASE_ERROR
        begun = dict(places)
        self._left_behind = {lane.lane for lane in due if lane.due > begun.get(lane, 0)}
        for one in taken:
            self._begin(one)
        if len(taken) < sum(begun.values()):
            # Others were faster, or some were given up: there may be more behind them.
            self._look.set()
        return min(_LOOK_ANYWAY, next_due - now) if next_due else _LOOK_ANYWAY

    async def _wait(self, at_most: timedelta) -> None:
        await wait_for_event(self._look, at_most.total_seconds())

    def _begin(self, taken: Taken) -> None:
        self._places.hold(taken.team_id, taken.lane)
        UNDER_WAY.inc()
        task = asyncio.create_task(self._attempt(taken))
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, taken))

    def _ended(self, taken: Taken, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._places.free(taken.team_id, taken.lane)
        UNDER_WAY.dec()
        if taken.lane in self._left_behind:
            self._look.set()
        if not task.cancelled() and (error := task.exception()):
            FAULTS.inc()
            log.error("delivery_fault", delivery=str(taken.id), exc_info=error)

    async def _attempt(self, taken: Taken) -> None:
        at = self._clock.now()
        began = time.monotonic()
        try:
            answer = await self._sender.send(taken)
        except Exception as error:  # edge: a fault of ours with one delivery is no other's
            FAULTS.inc()
            if passes_by_itself(error):
                # It becomes due again by itself.
                log.warning("delivery_interrupted", delivery=str(taken.id), reason=repr(error))
                return
            log.exception("delivery_fault", delivery=str(taken.id))
            answer = Answer(Outcome(None), error=_OWN_FAULT, own_fault=True)
        seconds = time.monotonic() - began
        result = "delivered" if answer.outcome.delivered else "failed"
        ATTEMPTS.labels(taken.kind.value, result).inc()
        SECONDS.labels(taken.kind.value).observe(seconds)
        await self._recorder.note(Attempted(taken, answer, at=at, seconds=seconds))

    async def _finish(self) -> None:
        if self._tasks:
            _, unfinished = await asyncio.wait(self._tasks, timeout=_FINISH_SECONDS)
            for task in unfinished:
                task.cancel()
            await asyncio.gather(*unfinished, return_exceptions=True)


_OWN_FAULT = "This service could not prepare the message; its log tells why."
