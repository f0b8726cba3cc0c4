"""Writes what a sync found: series and events, their bots, and the news. Used by the sync.

One transaction, in which the connection's row is held; a sync that dies before it ends has written
nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from sitin.bots.scheduled.for_events import EventBots
from sitin.calendars import store
from sitin.calendars.comparing import (
    Findings,
    Window,
    Written,
    columns_of,
    exceptions_of,
    take_up,
)
from sitin.calendars.following import Following
from sitin.calendars.models import Connection, Event, Series
from sitin.calendars.succession import Succession
from sitin.calendars.telling import Telling
from sitin.contract.calendars import EventStatus, ProviderEvent
from sitin.kit.clock import Clock
from sitin.kit.ids import new_id


class Writing:
    """Writes in the caller's transaction."""

    def __init__(
        self,
        *,
        succession: Succession,
        following: Following,
        bots: EventBots,
        telling: Telling,
        clock: Clock,
    ) -> None:
        self._succession = succession
        self._following = following
        self._bots = bots
        self._telling = telling
        self._clock = clock

    async def write(
        self, session: AsyncSession, connection: Connection, findings: Findings, window: Window
    ) -> Written:
        """Write, see to the bots, tell. The connection's first sync is told in one message."""
        written = Written()
        series = await self._series(session, connection, findings.present.values(), written)
        known = await store.known_of(session, connection.id, findings.present)
        await self._events(session, connection, findings, series, known, written)
        by_id = {
            **await store.series_by_id(session, {event.series_id for event in findings.gone}),
            **{one.id: one for one in series.values()},
        }
        self._cancel(findings.gone, written)
        await session.flush()
        await self._compare(session, written, by_id, window)
        others = await self._succession.carry_over(session, connection, written, by_id, window)
        by_id |= await store.series_by_id(session, {event.series_id for event in others})
        touched = {event.id: event for event in (*written.touched, *others)}
        await self._following.follow(session, connection.team_id, list(touched.values()), by_id)
        await self._tell(session, connection, written, by_id)
        return written

    async def _series(
        self,
        session: AsyncSession,
        connection: Connection,
        events: Iterable[ProviderEvent],
        written: Written,
    ) -> dict[str, Series]:
        """The series of these events, by the provider's ids; new ones are added."""
        firsts: dict[str, ProviderEvent] = {}
        for event in events:
            key = event.series_id or event.id
            if key not in firsts or event.start < firsts[key].start:
                firsts[key] = event
        series = await store.series_of(session, connection.id, firsts)
        now = self._clock.now()
        for key, event in firsts.items():
            known = series.get(key)
            if known is None:
                known = Series(
                    id=new_id(),
                    connection_id=connection.id,
                    provider_series_id=key,
                    event_type="one_off" if event.series_id is None else "recurring",
                    created_at=now,
                    starts_at=event.start,
                )
                session.add(known)
                series[key] = known
                written.new_series.add(known.id)
            known.family = event.family
            # An event that occurred once may have been made to recur, and the other way round.
            known.event_type = "one_off" if event.series_id is None else "recurring"
            known.starts_at = min(known.starts_at, event.start)
        await session.flush()
        return series

    async def _events(
        self,
        session: AsyncSession,
        connection: Connection,
        findings: Findings,
        series: Mapping[str, Series],
        known: Sequence[Event],
        written: Written,
    ) -> None:
        by_id = {event.provider_event_id: event for event in known}
        now = self._clock.now()
        for event in findings.present.values():
            columns = columns_of(event, connection.account_email)
            columns["series_id"] = series[event.series_id or event.id].id
            stored = by_id.get(event.id)
            if stored is None:
                stored = Event(
                    id=new_id(),
                    connection_id=connection.id,
                    provider_event_id=event.id,
                    is_exception=bool(event.is_exception),
                    bot_declined=False,
                    created_at=now,
                    updated_at=now,
                    **columns,
                )
                session.add(stored)
                written.created.append(stored)
                continue
            was_on = stored.status != EventStatus.CANCELLED
            if take_up(stored, columns):
                stored.updated_at = now
                is_off = stored.status == EventStatus.CANCELLED
                (written.cancelled if is_off and was_on else written.updated).append(stored)

    def _cancel(self, gone: Sequence[Event], written: Written) -> None:
        for event in gone:
            event.status = EventStatus.CANCELLED
            event.updated_at = self._clock.now()
            written.cancelled.append(event)

    async def _compare(
        self,
        session: AsyncSession,
        written: Written,
        series: Mapping[UUID, Series],
        window: Window,
    ) -> None:
        """Find out anew which events of the touched series are exceptions."""
        recurring = {
            event.series_id
            for event in written.touched
            if series[event.series_id].event_type == "recurring"
        }
        told = {event.id for event in written.touched}
        grouped: dict[UUID, list[Event]] = {}
        for event in await store.known_of_series(session, recurring, window):
            if event.status != EventStatus.CANCELLED:
                grouped.setdefault(event.series_id, []).append(event)
        for events in grouped.values():
            for event, is_exception in exceptions_of(events):
                if event.is_exception != is_exception:
                    event.is_exception = is_exception
                    if event.id not in told:
                        event.updated_at = self._clock.now()
                        written.updated.append(event)

    async def _tell(
        self,
        session: AsyncSession,
        connection: Connection,
        written: Written,
        series: Mapping[UUID, Series],
    ) -> None:
        with_bots = await self._bots.scheduled(session, [event.id for event in written.touched])
        if connection.first_synced_at is None:
            connection.first_synced_at = self._clock.now()
            await self._telling.synced(session, connection, written, series, with_bots)
        else:
            await self._telling.changed(session, connection, written, series, with_bots)
