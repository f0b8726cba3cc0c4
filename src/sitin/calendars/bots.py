"""What the API does with calendar bots: schedule, change, cancel. Used by the routes.

Each of the three is about one event, or about every event of a series from now on; what does not
work for one of them is told beside what worked for the others. What is wished for is written to the
event or the series, and ``following`` does the rest, now and with every later change.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from sitin.accounts.service import Caller
from sitin.bots.configuration import Configurations
from sitin.bots.creation import item_code, item_details, validated
from sitin.bots.errors import InvalidRequestError
from sitin.bots.requests import BotConfigurationBody
from sitin.bots.scheduled.for_events import EventBots
from sitin.bots.scheduled.models import ScheduledBot, ScheduleStatus
from sitin.calendars import store
from sitin.calendars.errors import (
    CalendarBotLockedError,
    CalendarBotNotFoundError,
    EventNotFoundError,
    EventRefusal,
    EventRefusedError,
    SeriesNotFoundError,
)
from sitin.calendars.events import found
from sitin.calendars.following import Following, slot_of, wish_of
from sitin.calendars.models import Event, Series
from sitin.calendars.requests import (
    CreateCalendarBotRequestBody,
    TargetBody,
    UpdateCalendarBotRequestBody,
)
from sitin.calendars.schemas import EventDone, EventFailed
from sitin.contract.calendars import EventStatus
from sitin.kit.clock import Clock
from sitin.kit.errors import SitinError

Outcome = tuple[list[EventDone], list[EventFailed]]

_NIL = UUID(int=0)


class CalendarBots:
    """Works in the caller's transaction."""

    def __init__(
        self,
        *,
        configurations: Configurations,
        following: Following,
        bots: EventBots,
        clock: Clock,
    ) -> None:
        self._configurations = configurations
        self._following = following
        self._bots = bots
        self._clock = clock

    async def create(
        self,
        session: AsyncSession,
        caller: Caller,
        connection_id: UUID,
        body: CreateCalendarBotRequestBody,
    ) -> Outcome:
        """Have bots go.

        Raises ``CalendarNotFoundError``, ``EventNotFoundError``, ``SeriesNotFoundError``,
        ``InvalidRequestError`` or ``OwnKeyNotAllowedError``.
        """
        self._configurations.check(body, caller.plan)
        series, events = await self._targets(session, caller, connection_id, body)
        wish = self._wish(body)
        had = await self._bots.of_events(session, [event.id for event in events])
        refused: dict[UUID, SitinError] = {}
        for event in events:
            waiting = [bot for bot in had.get(event.id, []) if _is_on(bot)]
            if waiting and _fits(waiting, event):
                refused[event.id] = EventRefusedError(
                    EventRefusal.BOT_ALREADY_SCHEDULED, "A bot is scheduled for this event already."
                )
            elif (refusal := self._refusal(event)) is not None:
                refused[event.id] = refusal
        taken = [event for event in events if event.id not in refused]
        if body.all_occurrences:
            # Where every event has its bot already, nothing is to change, now or later.
            if taken or series.bot is None:
                series.bot = wish
            for event in taken:
                event.bot_declined = False
        else:
            for event in taken:
                event.bot, event.bot_declined = wish, False
        await session.flush()
        await self._following.follow(session, caller.team_id, taken, {series.id: series})
        return _outcome(events, refused)

    async def update(
        self,
        session: AsyncSession,
        caller: Caller,
        connection_id: UUID,
        body: UpdateCalendarBotRequestBody,
    ) -> Outcome:
        """Have bots be otherwise.

        Raises as ``create``, and ``CalendarBotNotFoundError``; for one event
        ``CalendarBotLockedError``.
        """
        series, events = await self._targets(session, caller, connection_id, body)
        if body.all_occurrences and series.bot is not None:
            series.bot = await self._changed(caller, series.bot, body)
        chosen, refused = await self._chosen(session, series, events, body)
        for event, bot in chosen:
            wish = wish_of(event, series)
            if body.all_occurrences and event.bot is None and series.bot is not None:
                # Just changed for all of the series.
                changed: Mapping[str, Any] = series.bot
            else:
                changed = await self._changed(caller, wish or self._wish_of(bot), body)
                event.bot = dict(changed)
            await self._bots.configure(session, bot, changed)
        await session.flush()
        return _outcome([event for event, _ in chosen], refused)

    async def delete(
        self, session: AsyncSession, caller: Caller, connection_id: UUID, body: TargetBody
    ) -> Outcome:
        """Have bots not go, now or when an event comes back; raises as ``update``."""
        series, events = await self._targets(session, caller, connection_id, body)
        wished = await self._wished(session, series, events, body)
        chosen, refused = await self._chosen(session, series, events, body, wished)
        if body.all_occurrences:
            series.bot = None
        for event, bot in chosen:
            _take_back(event, series)
            await self._bots.cancel(session, bot)
        for event in wished:
            if event.id not in refused:
                _take_back(event, series)
        await session.flush()
        told = [] if body.all_occurrences else wished
        return _outcome([*(event for event, _ in chosen), *told], refused)

    async def _wished(
        self, session: AsyncSession, series: Series, events: Sequence[Event], body: TargetBody
    ) -> list[Event]:
        """Events for which a bot is wanted though it may be that none can go: yet to come.

        Of a series those that have a wish of their own, cancelled ones too.
        """
        if body.all_occurrences:
            events = await store.events_of_series(session, [series.id], cancelled=True)
        now = self._clock.now()
        return [
            event
            for event in events
            if event.start_at > now
            and (event.bot if body.all_occurrences else wish_of(event, series)) is not None
        ]

    async def _targets(
        self, session: AsyncSession, caller: Caller, connection_id: UUID, body: TargetBody
    ) -> tuple[Series, Sequence[Event]]:
        """The series, and the events in question; the calendar's sync waits meanwhile."""
        connection = await found(session, caller, connection_id, lock=True)
        if body.all_occurrences:
            if body.series_id == _NIL:
                raise InvalidRequestError("series_id", "is needed when all_occurrences is true.")
            series = (await store.series_by_id(session, [body.series_id])).get(body.series_id)
            if series is None or series.connection_id != connection.id:
                raise SeriesNotFoundError(body.series_id)
            events = await store.events_of_series(session, [series.id], cancelled=False)
            now = self._clock.now()
            return series, [event for event in events if event.start_at > now]
        if body.event_id == _NIL:
            raise InvalidRequestError("event_id", "is needed when all_occurrences is false.")
        event = await store.event(session, connection.id, body.event_id)
        if event is None:
            raise EventNotFoundError(body.event_id)
        series = (await store.series_by_id(session, [event.series_id]))[event.series_id]
        return series, [event]

    async def _chosen(
        self,
        session: AsyncSession,
        series: Series,
        events: Sequence[Event],
        body: TargetBody,
        wished: Sequence[Event] = (),
    ) -> tuple[list[tuple[Event, ScheduledBot]], dict[UUID, SitinError]]:
        """Each event's bot that can still be changed, and why there is none that can.

        Where bots are ``wished`` for, there need be none.
        Raises ``CalendarBotNotFoundError``, and for one event ``CalendarBotLockedError``.
        """
        had = await self._bots.of_events(session, [event.id for event in events])
        chosen: list[tuple[Event, ScheduledBot]] = []
        refused: dict[UUID, SitinError] = {}
        for event in events:
            bots = [bot for bot in had.get(event.id, []) if bot.status != ScheduleStatus.CANCELLED]
            open_ones = [bot for bot in bots if _is_on(bot) and not self._bots.is_locked(bot)]
            if open_ones:
                chosen += [(event, bot) for bot in open_ones]
            elif bots:
                refused[event.id] = _locked(bots[-1], event)
        if body.all_occurrences:
            if not (chosen or refused or wished) and series.bot is None:
                raise CalendarBotNotFoundError("series", series.id)
        elif refused:
            raise next(iter(refused.values()))
        elif not (chosen or wished):
            raise CalendarBotNotFoundError("event", body.event_id)
        return chosen, refused

    def _refusal(self, event: Event) -> SitinError | None:
        """Why no bot can go to this event, if none can."""
        now = self._clock.now()
        if event.status == EventStatus.CANCELLED:
            return EventRefusedError(EventRefusal.EVENT_CANCELLED, "The event is cancelled.")
        if event.start_at <= now:
            return EventRefusedError(
                EventRefusal.EVENT_ALREADY_STARTED, "The event has started already."
            )
        if not event.is_meeting:
            return EventRefusedError(
                EventRefusal.NOT_A_MEETING,
                "The event is no meeting but, say, a birthday or somebody's absence.",
            )
        if event.meeting_url is None:
            return EventRefusedError(
                EventRefusal.MEETING_URL_NOT_FOUND,
                "The event has no meeting URL for a bot to join.",
            )
        if slot_of(event, now) is None:
            return EventRefusedError(
                EventRefusal.INVALID_MEETING_PLATFORM,
                "The event's meeting URL is none of Google Meet, Microsoft Teams or Zoom.",
            )
        return None

    def _wish(self, body: BotConfigurationBody) -> dict[str, Any]:
        return self._configurations.columns(body)

    def _wish_of(self, bot: ScheduledBot) -> dict[str, Any]:
        return self._wish(validated(BotConfigurationBody, self._configurations.body_of(bot)))

    async def _changed(
        self, caller: Caller, wish: Mapping[str, Any], given: UpdateCalendarBotRequestBody
    ) -> dict[str, Any]:
        """A configuration with what is given in it; checked like one for a new bot."""
        current = self._configurations.body_of_columns(wish)
        body = validated(BotConfigurationBody, given.over(current))
        self._configurations.check(body, caller.plan)
        return self._wish(body)


def _take_back(event: Event, series: Series) -> None:
    event.bot, event.bot_declined = None, series.bot is not None


def _is_on(bot: ScheduledBot) -> bool:
    return bot.status == ScheduleStatus.SCHEDULED


def _fits(bots: Sequence[ScheduledBot], event: Event) -> bool:
    return any(bot.join_at == event.start_at for bot in bots)


def _locked(bot: ScheduledBot, event: Event) -> SitinError:
    if _is_on(bot):
        return CalendarBotLockedError(
            f"The bot of event '{event.id}' joins in less than 4 minutes. Operation not permitted "
            "in this state."
        )
    return CalendarBotLockedError(
        f"Status of the bot of event '{event.id}' is: {bot.status}. Operation not permitted in "
        "this state."
    )


def _outcome(events: Sequence[Event], refused: Mapping[UUID, SitinError]) -> Outcome:
    done = [EventDone(event_id=event.id) for event in events if event.id not in refused]
    failed = [
        EventFailed(
            event_id=event_id,
            code=item_code(error),
            message=error.message,
            details=item_details(error),
        )
        for event_id, error in refused.items()
    ]
    unique = {one.event_id: one for one in done}
    return list(unique.values()), failed
