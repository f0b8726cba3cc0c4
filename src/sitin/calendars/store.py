"""Queries over calendars. Used within this room."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from sitin.calendars.comparing import Window
from sitin.calendars.errors import SyncOvertakenError
from sitin.calendars.models import Channel, Connection, Event, Series
from sitin.contract.calendars import CalendarPlatform, ConnectionStatus, EventStatus
from sitin.kit.database import among, rows_among
from sitin.kit.ids import new_id
from sitin.kit.paging import Cursor, Page, Walk, page_of, time_key


async def get(
    session: AsyncSession, team_id: UUID, connection_id: UUID, *, lock: bool = False
) -> Connection | None:
    """A team's connection."""
    query = select(Connection).where(Connection.id == connection_id, Connection.team_id == team_id)
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    return (await session.scalars(query)).one_or_none()


async def count(session: AsyncSession, team_id: UUID) -> int:
    """How many connections a team has."""
    query = select(func.count()).select_from(Connection).where(Connection.team_id == team_id)
    return await session.scalar(query) or 0


# Syncing


async def begin_sync(
    session: AsyncSession, connection_id: UUID, *, lease: timedelta
) -> Connection | None:
    """Take the connection for a sync; ``None`` when another has it, or when it is gone."""
    taken = (
        update(Connection)
        .where(
            Connection.id == connection_id,
            or_(Connection.sync_until.is_(None), Connection.sync_until < func.now()),
        )
        .values(sync_token=new_id(), sync_until=func.now() + lease)
        .returning(Connection)
        .execution_options(populate_existing=True)
    )
    return (await session.scalars(taken)).one_or_none()


async def renew_sync(
    session: AsyncSession, connection_id: UUID, token: UUID, *, lease: timedelta
) -> None:
    """Go on having it."""
    await session.execute(
        update(Connection)
        .where(Connection.id == connection_id, Connection.sync_token == token)
        .values(sync_until=func.now() + lease)
        .execution_options(synchronize_session=False)
    )


async def hold_sync(session: AsyncSession, connection_id: UUID, token: UUID) -> Connection:
    """The connection, locked, for the sync that has it. Raises ``SyncOvertakenError``."""
    query = (
        select(Connection)
        .where(Connection.id == connection_id, Connection.sync_token == token)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    connection = (await session.scalars(query)).one_or_none()
    if connection is None:
        raise SyncOvertakenError
    return connection


async def known_in(session: AsyncSession, connection_id: UUID, window: Window) -> Sequence[Event]:
    """The stored events that touch a window."""
    query = select(Event).where(
        Event.connection_id == connection_id,
        Event.end_at > window.start,
        Event.start_at < window.end,
    )
    return (await session.scalars(query)).all()


async def known_of(
    session: AsyncSession, connection_id: UUID, provider_ids: Iterable[str]
) -> Sequence[Event]:
    """The stored events with these ids of the provider's."""
    query = select(Event).where(Event.connection_id == connection_id)
    return await rows_among(session, query, Event.provider_event_id, provider_ids)


async def known_of_series(
    session: AsyncSession, series_ids: Iterable[UUID], window: Window
) -> Sequence[Event]:
    """The stored events of these series that touch a window."""
    query = select(Event).where(Event.end_at > window.start, Event.start_at < window.end)
    return await rows_among(session, query, Event.series_id, series_ids)


async def series_of(
    session: AsyncSession, connection_id: UUID, provider_ids: Iterable[str]
) -> dict[str, Series]:
    """The stored series with these ids of the provider's."""
    query = select(Series).where(Series.connection_id == connection_id)
    found = await rows_among(session, query, Series.provider_series_id, provider_ids)
    return {series.provider_series_id: series for series in found}


# Succession


async def has_wishes(session: AsyncSession, connection_id: UUID) -> bool:
    """Whether anything is wanted of any series or occurrence of a calendar."""
    of_series = select(Series.id).where(
        Series.connection_id == connection_id, Series.bot.is_not(None)
    )
    of_events = select(Event.id).where(Event.connection_id == connection_id, _WISHED)
    return bool(await session.scalar(select(or_(of_series.exists(), of_events.exists()))))


async def lost_wishes(
    session: AsyncSession, connection_id: UUID, series_ids: Iterable[UUID]
) -> Sequence[Event]:
    """The cancelled events of these series of which something is wanted, oldest change first."""
    query = (
        select(Event)
        .where(Event.connection_id == connection_id, Event.status == EventStatus.CANCELLED)
        .where(_WISHED)
        .order_by(Event.updated_at)
    )
    return await rows_among(session, query, Event.series_id, series_ids)


async def heirs(
    session: AsyncSession,
    connection_id: UUID,
    *,
    new: Iterable[UUID],
    lost: Sequence[Event],
    since: datetime,
) -> Sequence[Series]:
    """Recurring series without bots that may have taken another's place, by their start.

    Those that are ``new``, and those made since then that have the title or a time of what is
    ``lost`` by now.
    """
    meant = among(Series.id, new)
    if lost:
        same = select(Event.series_id).where(
            Event.connection_id == connection_id,
            or_(
                among(Event.start_at, {event.start_at for event in lost}),
                among(Event.title, {event.title for event in lost}),
            ),
        )
        meant = or_(meant, and_(Series.created_at >= since, Series.id.in_(same)))
    query = (
        select(Series)
        .where(
            Series.connection_id == connection_id,
            Series.event_type == "recurring",
            Series.bot.is_(None),
            meant,
        )
        .order_by(Series.starts_at, Series.id)
    )
    return (await session.scalars(query)).all()


async def before_in_family(
    session: AsyncSession, connection_id: UUID, heir: Series
) -> Series | None:
    """The series that this one goes on from, where the provider's ids tell."""
    if heir.family is None:
        return None
    query = (
        select(Series)
        .where(
            Series.connection_id == connection_id,
            Series.family == heir.family,
            Series.event_type == "recurring",
            Series.id != heir.id,
            Series.starts_at < heir.starts_at,
        )
        .order_by(Series.starts_at.desc())
        .limit(1)
    )
    return (await session.scalars(query)).one_or_none()


async def alike(
    session: AsyncSession,
    connection_id: UUID,
    heir: Series,
    events: Sequence[Event],
    *,
    since: datetime,
    lost_since: datetime,
) -> Sequence[Series]:
    """Other recurring series of the same organizer that may have to do with these events.

    They have a title, an address or a time of them, or have lost an occurrence since then.
    """
    organizers = {event.organizer_email or "" for event in events}
    addresses = {event.meeting_url for event in events if event.meeting_url is not None}
    mine = select(Event.series_id).where(
        Event.connection_id == connection_id,
        Event.start_at >= since,
        func.coalesce(Event.organizer_email, "").in_(organizers),
        or_(
            among(Event.title, {event.title for event in events}),
            among(Event.meeting_url, addresses),
            among(Event.start_at, {event.start_at for event in events}),
            and_(Event.status == EventStatus.CANCELLED, Event.updated_at >= lost_since),
        ),
    )
    query = select(Series).where(
        Series.event_type == "recurring", Series.id != heir.id, Series.id.in_(mine)
    )
    return (await session.scalars(query)).all()


_WISHED = or_(Event.bot.is_not(None), Event.bot_declined)
"""As the index on them says it."""


async def series_by_id(session: AsyncSession, series_ids: Iterable[UUID]) -> Mapping[UUID, Series]:
    """Series by our id."""
    found = await rows_among(session, select(Series), Series.id, series_ids)
    return {series.id: series for series in found}


async def due(session: AsyncSession, *, now: datetime, limit: int) -> Sequence[Connection]:
    """Connections that want a sync though nobody told them to, locked."""
    query = (
        select(Connection)
        .where(Connection.next_sync_at <= now)
        .order_by(Connection.next_sync_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return (await session.scalars(query)).all()


# Channels


async def channels(
    session: AsyncSession, connection_id: UUID, *states: str, lock: bool = False
) -> Sequence[Channel]:
    """A connection's channels, newest first."""
    query = (
        select(Channel)
        .where(Channel.connection_id == connection_id, Channel.state.in_(states))
        .order_by(Channel.id.desc())
    )
    return (await session.scalars(query.with_for_update() if lock else query)).all()


async def channels_to_renew(
    session: AsyncSession, *, now: datetime, limit: int
) -> Sequence[Channel]:
    """Active channels whose time to be renewed has come, of connections that can be asked."""
    query = (
        select(Channel)
        .join(Connection, Connection.id == Channel.connection_id)
        .where(
            Channel.state == "active",
            Channel.renew_at <= now,
            Connection.next_sync_at.is_not(None),
        )
        .order_by(Channel.renew_at)
        .limit(limit)
    )
    return (await session.scalars(query)).all()


# Lists


@dataclass(frozen=True, slots=True)
class ConnectionFilter:
    """Which connections a list holds."""

    email_part: str | None = None
    platforms: tuple[CalendarPlatform, ...] = ()
    statuses: tuple[ConnectionStatus, ...] = ()


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events a list holds."""

    start: datetime | None = None
    end: datetime | None = None
    statuses: tuple[EventStatus, ...] = tuple(EventStatus)
    """One of these; none for no event at all."""


async def page_of_connections(
    session: AsyncSession,
    team_id: UUID,
    which: ConnectionFilter,
    *,
    limit: int,
    cursor: Cursor | None,
) -> Page[Connection]:
    """A page of a team's connections, newest first. Raises ``CursorError``."""
    conditions: list[ColumnElement[bool]] = [Connection.team_id == team_id]
    if which.email_part:
        conditions.append(Connection.account_email.icontains(which.email_part, autoescape=True))
    if which.platforms:
        conditions.append(Connection.platform.in_(which.platforms))
    if which.statuses:
        conditions.append(Connection.status.in_(which.statuses))
    walk = Walk(Connection.created_at, Connection.id, cursor, newest_first=True)
    query = select(Connection).where(*conditions, *walk.beyond).order_by(*walk.order)
    rows = (await session.scalars(query.limit(limit + 1))).all()
    return page_of(
        rows, limit=limit, cursor=cursor, key=lambda row: time_key(row.created_at, row.id)
    )


async def page_of_events(
    session: AsyncSession,
    connection_id: UUID,
    which: EventFilter,
    *,
    limit: int,
    cursor: Cursor | None,
) -> Page[Event]:
    """A page of a calendar's events, by start. Raises ``CursorError``."""
    conditions: list[ColumnElement[bool]] = [Event.connection_id == connection_id]
    if which.start is not None:
        conditions.append(Event.start_at >= which.start)
    if which.end is not None:
        conditions.append(Event.end_at <= which.end)
    if set(which.statuses) != set(EventStatus):
        conditions.append(Event.status.in_(which.statuses))
    walk = Walk(Event.start_at, Event.id, cursor, newest_first=False)
    query = select(Event).where(*conditions, *walk.beyond).order_by(*walk.order)
    rows = (await session.scalars(query.limit(limit + 1))).all()
    return page_of(rows, limit=limit, cursor=cursor, key=lambda row: time_key(row.start_at, row.id))


async def page_of_series(
    session: AsyncSession,
    connection_id: UUID,
    event_types: Sequence[str],
    *,
    limit: int,
    cursor: Cursor | None,
) -> Page[Series]:
    """A page of a calendar's series, by the start of their first event. Raises ``CursorError``."""
    conditions: list[ColumnElement[bool]] = [Series.connection_id == connection_id]
    if event_types:
        conditions.append(Series.event_type.in_(event_types))
    walk = Walk(Series.starts_at, Series.id, cursor, newest_first=False)
    query = select(Series).where(*conditions, *walk.beyond).order_by(*walk.order)
    rows = (await session.scalars(query.limit(limit + 1))).all()
    return page_of(
        rows, limit=limit, cursor=cursor, key=lambda row: time_key(row.starts_at, row.id)
    )


async def events_of_series(
    session: AsyncSession, series_ids: Sequence[UUID], *, cancelled: bool
) -> Sequence[Event]:
    """The events of these series, by start."""
    query = select(Event).order_by(Event.start_at, Event.id)
    if not cancelled:
        query = query.where(Event.status != EventStatus.CANCELLED)
    return await rows_among(session, query, Event.series_id, series_ids)


async def event(session: AsyncSession, connection_id: UUID, event_id: UUID) -> Event | None:
    """An event of a calendar."""
    query = select(Event).where(Event.id == event_id, Event.connection_id == connection_id)
    return (await session.scalars(query)).one_or_none()
