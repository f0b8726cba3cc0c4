"""What customers are told about their calendars, written with the change. Used within calendars."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from sitin.calendars import schemas
from sitin.calendars.comparing import Written
from sitin.calendars.models import Connection, Event, Series
from sitin.contract.calendars import CalendarPlatform, ConnectionStatus, EventStatus
from sitin.contract.codes import Platform
from sitin.kit.clock import Clock
from sitin.notifications.events import EventType
from sitin.notifications.service import publish


class Telling:
    """Publishes in the caller's transaction."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def connected(self, session: AsyncSession, connection: Connection) -> None:
        """A connection was made."""
        data = schemas.ConnectionData(**_connection(connection))
        await self._publish(session, connection, EventType.CALENDAR_CONNECTION_CREATED, data)

    async def status_changed(self, session: AsyncSession, connection: Connection) -> None:
        """A connection stands otherwise than before, or has other credentials."""
        fields = {**_connection(connection), "updated_at": connection.updated_at}
        if connection.status == ConnectionStatus.ERROR:
            error = connection.status_message or "The calendar cannot be read."
            await self._publish(
                session,
                connection,
                EventType.CALENDAR_CONNECTION_ERROR,
                schemas.ConnectionErrorData(**fields, error_message=error),
            )
        else:
            data = schemas.ConnectionUpdatedData(**fields)
            await self._publish(session, connection, EventType.CALENDAR_CONNECTION_UPDATED, data)

    async def disconnected(
        self, session: AsyncSession, connection: Connection, *, at: datetime
    ) -> None:
        """A connection was deleted."""
        data = schemas.ConnectionDeletedData(
            calendar_id=connection.id,
            calendar_platform=CalendarPlatform(connection.platform),
            deleted_at=at,
        )
        await self._publish(session, connection, EventType.CALENDAR_CONNECTION_DELETED, data)

    async def synced(
        self,
        session: AsyncSession,
        connection: Connection,
        written: Written,
        series: Mapping[UUID, Series],
        with_bots: set[UUID],
    ) -> None:
        """The first sync has ended: everything there is, in one message."""
        data = schemas.EventsSyncedData(
            calendar_id=connection.id,
            events=[
                schemas.SyncedSeries(
                    event_type=_event_type(series[series_id]),
                    series_id=series_id,
                    series_bot_scheduled=series[series_id].bot is not None,
                    instances=_instances(events, with_bots),
                )
                for series_id, events in written.by_series(written.created).items()
            ],
        )
        await self._publish(session, connection, EventType.CALENDAR_EVENTS_SYNCED, data)

    async def changed(
        self,
        session: AsyncSession,
        connection: Connection,
        written: Written,
        series: Mapping[UUID, Series],
        with_bots: set[UUID],
    ) -> None:
        """A later sync has ended: a message for each series and kind of change."""
        # One that was declined before it was ever seen is news to nobody.
        created = [event for event in written.created if event.status != EventStatus.CANCELLED]
        for series_id, events in written.by_series(created).items():
            await self._publish(
                session,
                connection,
                EventType.CALENDAR_EVENT_CREATED,
                schemas.EventCreatedData(
                    **_series(connection, series[series_id]),
                    series_bot_scheduled=series[series_id].bot is not None,
                    instances=_instances(events, with_bots),
                ),
            )
        for series_id, events in written.by_series(written.updated).items():
            await self._updated(session, connection, series[series_id], events, with_bots)
        for series_id, events in written.by_series(written.cancelled).items():
            await self._publish(
                session,
                connection,
                EventType.CALENDAR_EVENT_CANCELLED,
                schemas.EventCancelledData(
                    **_series(connection, series[series_id]),
                    cancelled_instances=_instances(events, with_bots),
                ),
            )

    async def _updated(
        self,
        session: AsyncSession,
        connection: Connection,
        series: Series,
        events: Sequence[Event],
        with_bots: set[UUID],
    ) -> None:
        by_kind = sorted(events, key=lambda event: event.is_exception)
        for is_exception, group in groupby(by_kind, key=lambda event: event.is_exception):
            await self._publish(
                session,
                connection,
                EventType.CALENDAR_EVENT_UPDATED,
                schemas.EventUpdatedData(
                    **_series(connection, series),
                    series_bot_scheduled=series.bot is not None,
                    is_exception=is_exception,
                    affected_instances=_instances(group, with_bots),
                ),
            )

    async def _publish(
        self, session: AsyncSession, connection: Connection, event: EventType, data: BaseModel
    ) -> None:
        await publish(
            session,
            team_id=connection.team_id,
            event=event,
            data=data.model_dump(mode="json"),
            extra=None,
            at=self._clock.now(),
        )


def _connection(connection: Connection) -> dict[str, Any]:
    return {
        "calendar_id": connection.id,
        "calendar_platform": CalendarPlatform(connection.platform),
        "account_email": connection.account_email,
        "status": ConnectionStatus(connection.status),
        "created_at": connection.created_at,
    }


def _series(connection: Connection, series: Series) -> dict[str, Any]:
    return {
        "calendar_id": connection.id,
        "event_type": _event_type(series),
        "series_id": series.id,
    }


def _event_type(series: Series) -> schemas.EventType:
    return "one_off" if series.event_type == "one_off" else "recurring"


def _instances(events: Iterable[Event], with_bots: set[UUID]) -> list[schemas.Instance]:
    return [
        schemas.Instance(
            event_id=event.id,
            start=event.start_at,
            end=event.end_at,
            title=event.title,
            status=EventStatus(event.status),
            is_all_day=event.is_all_day,
            is_exception=event.is_exception,
            bot_scheduled=event.id in with_bots,
            meeting_url=event.meeting_url,
            meeting_platform=(
                None if event.meeting_platform is None else Platform(event.meeting_platform)
            ),
        )
        for event in events
    ]
