"""The scheduled bots of calendar events. Used by calendars, which decides when there is one.

What a bot is like is kept by calendars as the columns of a configuration (``Configurations``), so
that bots for events to come are made of it. Such bots keep out of each other's meetings: the same
meeting in two calendars gets one.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from sitin.bots.models import Bot
from sitin.bots.scheduled.models import ScheduledBot, ScheduleStatus
from sitin.bots.scheduled.service import LOCK
from sitin.bots.statuses import FINAL
from sitin.contract.codes import Platform
from sitin.kit.clock import Clock
from sitin.kit.database import among, rows_among
from sitin.kit.ids import new_id
from sitin.kit.wakeups import Channel, wake


@dataclass(frozen=True, slots=True)
class Slot:
    """Where and when a bot is to be."""

    meeting_url: str
    joined_url: str
    platform: Platform
    join_at: datetime

    def is_of(self, bot: ScheduledBot) -> bool:
        """Whether the bot goes there."""
        return (bot.joined_url, bot.join_at) == (self.joined_url, self.join_at)


class EventBots:
    """Makes, moves, cancels and stops them, in the caller's transaction."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def of_events(
        self, session: AsyncSession, event_ids: Sequence[UUID]
    ) -> Mapping[UUID, list[ScheduledBot]]:
        """Every bot that each of these events has had, oldest first; nobody queues them now."""
        query = (
            select(ScheduledBot)
            .order_by(ScheduledBot.id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        found: dict[UUID, list[ScheduledBot]] = defaultdict(list)
        for bot in await rows_among(session, query, ScheduledBot.event_id, event_ids):
            assert bot.event_id is not None
            found[bot.event_id].append(bot)
        return found

    async def scheduled(self, session: AsyncSession, event_ids: Sequence[UUID]) -> set[UUID]:
        """Those of these events that have a bot which is to go, or has gone."""
        query = select(ScheduledBot.event_id).where(
            ScheduledBot.status.in_([ScheduleStatus.SCHEDULED, ScheduleStatus.COMPLETED])
        )
        found = await rows_among(session, query, ScheduledBot.event_id, event_ids)
        return {event_id for event_id in found if event_id is not None}

    def is_locked(self, bot: ScheduledBot) -> bool:
        """Whether its time is too near for it to be changed."""
        return bot.join_at < self._clock.now() + LOCK

    async def add(
        self,
        session: AsyncSession,
        *,
        team_id: UUID,
        event_id: UUID,
        configuration: Mapping[str, Any],
        slot: Slot,
    ) -> ScheduledBot:
        """Schedule a bot for an event."""
        now = self._clock.now()
        bot = ScheduledBot(
            id=new_id(),
            team_id=team_id,
            event_id=event_id,
            allow_multiple_bots=False,
            status=ScheduleStatus.SCHEDULED,
            created_at=now,
            updated_at=now,
            **configuration,
        )
        _place(bot, slot)
        session.add(bot)
        await session.flush()
        await wake(session, Channel.SCHEDULE)
        return bot

    async def move(self, session: AsyncSession, bot: ScheduledBot, slot: Slot) -> None:
        """Send it elsewhere, or at another time."""
        if not slot.is_of(bot):
            _place(bot, slot)
            bot.updated_at = self._clock.now()
            await session.flush()
            await wake(session, Channel.SCHEDULE)

    async def configure(
        self, session: AsyncSession, bot: ScheduledBot, configuration: Mapping[str, Any]
    ) -> None:
        """Have it be like this."""
        for name, value in configuration.items():
            setattr(bot, name, value)
        bot.updated_at = self._clock.now()
        await session.flush()

    async def cancel(self, session: AsyncSession, bot: ScheduledBot) -> None:
        """Have it not go."""
        now = self._clock.now()
        bot.status, bot.cancelled_at, bot.updated_at = ScheduleStatus.CANCELLED, now, now
        await session.flush()

    async def stop(self, session: AsyncSession, event_ids: Sequence[UUID]) -> None:
        """Have the bots leave that are out because of these events, or about to be."""
        asked = (
            update(Bot)
            .where(among(Bot.event_id, event_ids), Bot.status.not_in(FINAL))
            .values(leave_requested_at=func.coalesce(Bot.leave_requested_at, self._clock.now()))
            .execution_options(synchronize_session=False)
        )
        await session.execute(asked)
        await wake(session, Channel.BOTS)

    async def cancel_all(self, session: AsyncSession, event_ids: Sequence[UUID]) -> None:
        """Have none of them go that has not gone yet."""
        now = self._clock.now()
        await session.execute(
            update(ScheduledBot)
            .where(
                among(ScheduledBot.event_id, event_ids),
                ScheduledBot.status == ScheduleStatus.SCHEDULED,
            )
            .values(status=ScheduleStatus.CANCELLED, cancelled_at=now, updated_at=now)
            .execution_options(synchronize_session=False)
        )


def _place(bot: ScheduledBot, slot: Slot) -> None:
    bot.meeting_url, bot.joined_url = slot.meeting_url, slot.joined_url
    bot.platform, bot.join_at = slot.platform, slot.join_at
