"""The rule that turns an event into a bot, and keeps the two together. Used by sync and routes.

For each event the rule says which one bot there should be and makes it so; it may be applied to
any events at any time, and again. A bot is wished for by the event itself or by its series. It is
where the event is: moved with it, cancelled with it, and stopped if it is already out. Within the
last minutes before its time (``LOCK``) a bot is no longer changed; what changes then gets a bot of
its own beside it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from sitin.bots.scheduled.for_events import EventBots, Slot
from sitin.bots.scheduled.models import ScheduledBot, ScheduleStatus
from sitin.calendars.models import Event, Series
from sitin.contract.calendars import EventStatus
from sitin.kit.clock import Clock


class Following:
    """Applies the rule in the caller's transaction."""

    def __init__(self, *, bots: EventBots, clock: Clock) -> None:
        self._bots = bots
        self._clock = clock

    async def follow(
        self,
        session: AsyncSession,
        team_id: UUID,
        events: Sequence[Event],
        series: Mapping[UUID, Series],
    ) -> None:
        """See that each of these events has the bot it should have, and no other."""
        if not events:
            return
        had = await self._bots.of_events(session, [event.id for event in events])
        off = [event.id for event in events if event.status == EventStatus.CANCELLED]
        if off:
            await self._bots.stop(session, off)
        for event in events:
            bots = had.get(event.id, [])
            if event.status == EventStatus.CANCELLED:
                await self._cancel(session, bots)
            elif (wish := wish_of(event, series[event.series_id])) is not None:
                await self._see_to(session, team_id, event, wish, bots)

    async def _see_to(
        self,
        session: AsyncSession,
        team_id: UUID,
        event: Event,
        wish: Mapping[str, Any],
        bots: Sequence[ScheduledBot],
    ) -> None:
        movable = [bot for bot in bots if _is_waiting(bot) and not self._bots.is_locked(bot)]
        slot = slot_of(event, self._clock.now(), bots)
        if slot is None:
            await self._cancel(session, movable)
            return
        there = [bot for bot in bots if slot.is_of(bot) and bot.status != ScheduleStatus.CANCELLED]
        keep = [*there, *movable][:1]
        await self._cancel(session, [bot for bot in movable if bot not in keep])
        if keep:
            if keep[0] in movable:
                await self._bots.move(session, keep[0], slot)
            return
        await self._bots.add(
            session, team_id=team_id, event_id=event.id, configuration=wish, slot=slot
        )

    async def _cancel(self, session: AsyncSession, bots: Sequence[ScheduledBot]) -> None:
        for bot in bots:
            if _is_waiting(bot):
                await self._bots.cancel(session, bot)


def wish_of(event: Event, series: Series) -> Mapping[str, Any] | None:
    """What the event's bot is to be like; ``None`` when nobody wants one."""
    if event.bot is not None:
        return event.bot
    return None if event.bot_declined else series.bot


def slot_of(event: Event, now: datetime, bots: Sequence[ScheduledBot] = ()) -> Slot | None:
    """Where and when a bot for the event is to be; ``None`` when it cannot go.

    An event that has lost its address since its bot was scheduled keeps the bot's.
    """
    if event.start_at <= now or not event.is_meeting or event.status == EventStatus.CANCELLED:
        return None
    if event.joined_url is not None:
        assert event.meeting_url is not None
        assert event.meeting_platform is not None
        return Slot(event.meeting_url, event.joined_url, event.meeting_platform, event.start_at)
    if event.meeting_url is None:
        for bot in reversed(bots):
            if bot.status != ScheduleStatus.CANCELLED:
                return Slot(bot.meeting_url, bot.joined_url, bot.platform, event.start_at)
    return None


def _is_waiting(bot: ScheduledBot) -> bool:
    return bot.status == ScheduleStatus.SCHEDULED
