"""Queues scheduled bots when their time comes. Run by every worker, on what others have not taken.

Waits for the next one's time, which it knows from an index, or for the news that another is
scheduled. Whatever became due while nobody ran is caught up with, as far as ``tolerance`` reaches
back; what was missed by more is failed and told.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from prometheus_client import Counter, Histogram
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from sitin.accounts.plans import Plans
from sitin.accounts.service import plan_names
from sitin.bots import payloads
from sitin.bots.admission import Admission, Candidate
from sitin.bots.lifecycle import Lifecycle
from sitin.bots.scheduled import store
from sitin.bots.scheduled.models import ScheduledBot, ScheduleStatus
from sitin.bots.scheduled.store import Due
from sitin.kit.clock import Clock, iso
from sitin.kit.database import Database
from sitin.kit.errors import SitinError
from sitin.kit.waiting import wait_for_event
from sitin.kit.wakeups import Channel, Wakeups, wake
from sitin.notifications.events import EventType
from sitin.notifications.service import Callback, publish

BATCH = 1000
"""Scheduled bots in one transaction."""

_LOOK_ANYWAY = timedelta(seconds=30)
_AFTER_DATABASE_ERROR = timedelta(seconds=1)

QUEUED = Counter("sitin_scheduled_bots_queued_total", "Scheduled bots that became bots.")
FAILED = Counter(
    "sitin_scheduled_bots_failed_total", "Scheduled bots that did not, by why.", ["code"]
)
LATE = Histogram(
    "sitin_scheduled_bot_lateness_seconds",
    "From a scheduled bot's time until it is queued.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2, 5, 15, 60, 300, 900),
)

log = structlog.get_logger(__name__)


class JoinTimeMissedError(SitinError):
    """Nobody was there to queue the bot when its time came, nor soon enough afterwards."""

    code = "JOIN_TIME_MISSED"

    def __init__(self, join_at: datetime) -> None:
        super().__init__(
            f"The service was not running at {iso(join_at)}, when the bot was to join, and came "
            "back too late to send it."
        )


class Queueing:
    """The loop over scheduled bots; one per process."""

    def __init__(
        self,
        *,
        database: Database,
        lifecycle: Lifecycle,
        admission: Admission,
        plans: Plans,
        wakeups: Wakeups,
        clock: Clock,
        tolerance: timedelta,
    ) -> None:
        self._database = database
        self._lifecycle = lifecycle
        self._admission = admission
        self._plans = plans
        self._wakeups = wakeups
        self._clock = clock
        self._tolerance = tolerance

    async def run(self) -> None:
        """Queue what is due until cancelled."""
        with self._wakeups.listening(Channel.SCHEDULE) as news:
            while True:
                news.clear()
                try:
                    wait = await self._round()
                except (SQLAlchemyError, OSError) as error:
                    log.warning("schedule_unreadable", reason=repr(error))
                    wait = _AFTER_DATABASE_ERROR
                await wait_for_event(news, wait.total_seconds())

    async def _round(self) -> timedelta:
        """Queue all that is due; returns how long there is until the next."""
        while await self.queue_due() == BATCH:
            pass
        async with self._database.transaction() as session:
            following = await store.next_due(session)
        if following is None:
            return _LOOK_ANYWAY
        return min(_LOOK_ANYWAY, following - self._clock.now())

    async def queue_due(self) -> int:
        """Take up to ``BATCH`` that are due and queue or fail each; returns how many there were."""
        async with self._database.transaction() as session:
            due = await store.take_due(session, now=self._clock.now(), limit=BATCH)
            if due:
                await self._decide(session, due)
        return len(due)

    async def _decide(self, session: AsyncSession, due: Sequence[Due]) -> None:
        now = self._clock.now()
        refused: dict[UUID, SitinError] = {
            one.id: JoinTimeMissedError(one.join_at)
            for one in due
            if one.join_at < now - self._tolerance
        }
        teams: dict[UUID, list[Due]] = defaultdict(list)
        for one in due:
            if one.id not in refused:
                teams[one.team_id].append(one)
        names = await plan_names(session, list(teams))
        # In one order everywhere, so that two processes never wait for each other's teams.
        for team_id in sorted(teams):
            refused |= await self._queue_of_team(session, team_id, names[team_id], teams[team_id])
        if refused:
            await self._fail(session, refused, now)
        await wake(session, Channel.BOTS)

    async def _queue_of_team(
        self, session: AsyncSession, team_id: UUID, plan: str, due: Sequence[Due]
    ) -> Mapping[UUID, SitinError]:
        refused = await self._admission.admit_all(
            session,
            team_id,
            self._plans.of(plan),
            [Candidate(one.id, one.joined_url, one.allow_multiple_bots) for one in due],
        )
        admitted = [one for one in due if one.id not in refused]
        if admitted:
            now = self._clock.now()
            ids = [one.id for one in admitted]
            await store.queue(session, ids, now=now)
            await self._lifecycle.begin_all(session, team_id, ids, at=now)
            for one in admitted:
                LATE.observe((now - one.join_at).total_seconds())
            QUEUED.inc(len(admitted))
        return refused

    async def _fail(
        self, session: AsyncSession, refused: Mapping[UUID, SitinError], now: datetime
    ) -> None:
        query = select(ScheduledBot).where(ScheduledBot.id.in_(refused))
        for bot in await session.scalars(query):
            error = refused[bot.id]
            bot.status = ScheduleStatus.FAILED
            bot.error_code = error.code.removeprefix("FST_ERR_")
            bot.error_message = error.message
            bot.updated_at = now
            FAILED.labels(bot.error_code).inc()
            callback = None
            if bot.callback_enabled and bot.callback_url is not None:
                callback = Callback(bot.callback_url, bot.callback_method, bot.callback_secret)
            await publish(
                session,
                team_id=bot.team_id,
                event=EventType.BOT_FAILED,
                data=payloads.failed(
                    bot.id, bot.event_id, code=bot.error_code, message=error.message, at=now
                ),
                extra=bot.extra,
                at=now,
                bot_id=bot.id,
                callback=callback,
            )
