"""Deleting what bots recorded: on request, and by the plan's days. Used by the routes and cli.

The rows say at once that everything is gone; the objects, and what a transcription provider keeps,
follow in jobs of the same transaction, which are tried until it is done.
"""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import structlog
from prometheus_client import Counter
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from sitin.accounts.idempotency import IdempotencyStore
from sitin.accounts.plans import Plans
from sitin.accounts.service import Caller, teams
from sitin.artifacts.service import Artifacts
from sitin.artifacts.tasks import PurgeArtifacts
from sitin.bots.erasing import erase
from sitin.bots.errors import BotNotFoundError
from sitin.bots.models import Bot
from sitin.bots.scheduled.models import ScheduledBot, ScheduleStatus
from sitin.jobs.interface import JobQueue, PeriodicTask
from sitin.kit.clock import Clock
from sitin.kit.database import Database
from sitin.notifications.service import erase as erase_messages
from sitin.transcripts.deletion import TranscriptDeletion

_BATCH = 200

EXPIRED = Counter("sitin_bots_expired_total", "Bots whose artifacts a plan's days have deleted.")

log = structlog.get_logger(__name__)


class Deletion:
    """Deletes in the caller's transaction."""

    def __init__(
        self,
        *,
        artifacts: Artifacts,
        transcripts: TranscriptDeletion,
        idempotency: IdempotencyStore,
        jobs: JobQueue,
    ) -> None:
        self._artifacts = artifacts
        self._transcripts = transcripts
        self._idempotency = idempotency
        self._jobs = jobs

    async def delete_data(
        self, session: AsyncSession, caller: Caller, bot_id: UUID, *, at_provider: bool
    ) -> None:
        """Delete all that a bot recorded, and who was there; may be done again, in any status.

        What a bot that is still in its call goes on to record is deleted when it ends. A scheduled
        bot that failed or was cancelled has never become a bot; what was given with it and told of
        it goes as well. Raises ``BotNotFoundError``.
        """
        query = select(Bot).where(Bot.id == bot_id, Bot.team_id == caller.team_id)
        bot = (await session.scalars(query.with_for_update())).one_or_none()
        schedule = await session.scalar(
            update(ScheduledBot)
            .where(ScheduledBot.id == bot_id, ScheduledBot.team_id == caller.team_id)
            .values(extra=None)
            .returning(ScheduledBot.status)
            .execution_options(synchronize_session=False)
        )
        if bot is not None:
            await erase(session, bot)
            await self._drop(session, bot_id, at_provider=at_provider)
        elif schedule not in (ScheduleStatus.FAILED, ScheduleStatus.CANCELLED):
            raise BotNotFoundError(bot_id)
        await erase_messages(session, bot_id)
        await self._idempotency.redact(session, bot_id)

    async def expire(self, session: AsyncSession, bot_ids: Sequence[UUID]) -> None:
        """Delete the artifacts of bots whose time is over; what is known about the bots stays."""
        await session.execute(update(Bot).where(Bot.id.in_(bot_ids)).values(artifacts_deleted=True))
        for bot_id in bot_ids:
            await self._drop(session, bot_id, at_provider=False)
        EXPIRED.inc(len(bot_ids))

    async def _drop(self, session: AsyncSession, bot_id: UUID, *, at_provider: bool) -> None:
        await self._artifacts.mark_deleted(session, bot_id)
        await self._jobs.enqueue(session, PurgeArtifacts(bot_id=bot_id), key=str(bot_id))
        await self._transcripts.erase(session, bot_id, at_provider=at_provider)


class Retention:
    """The sweep that expires bots by their team's plan."""

    def __init__(
        self, *, database: Database, deletion: Deletion, plans: Plans, clock: Clock
    ) -> None:
        self._database = database
        self._deletion = deletion
        self._plans = plans
        self._clock = clock

    def periodic(self) -> PeriodicTask:
        """For the worker: every ten minutes."""
        return PeriodicTask("retention", timedelta(minutes=10), self.sweep)

    async def sweep(self) -> None:
        """Expire whatever is due, in transactions of a bounded size."""
        async with self._database.transaction() as session:
            kept = [(team.id, self._plans.of(team.plan)) for team, _ in await teams(session)]
        for team_id, plan in kept:
            if plan.retention_days is not None:
                while await self._expire_some(team_id, timedelta(days=plan.retention_days)):
                    pass

    async def _expire_some(self, team_id: UUID, age: timedelta) -> bool:
        async with self._database.transaction() as session:
            due = (
                select(Bot.id)
                .where(
                    Bot.team_id == team_id,
                    ~Bot.artifacts_deleted,
                    Bot.ended_at < self._clock.now() - age,
                )
                .order_by(Bot.ended_at)
                .limit(_BATCH)
                .with_for_update(skip_locked=True)
            )
            bot_ids = (await session.scalars(due)).all()
            if bot_ids:
                await self._deletion.expire(session, bot_ids)
                log.info("bots_expired", team_id=str(team_id), bots=len(bot_ids))
        return len(bot_ids) == _BATCH
