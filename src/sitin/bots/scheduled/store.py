"""Queries over scheduled bots. Used within this room."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Select, case, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from sitin.bots.configuration import PROVIDER
from sitin.bots.listing import ANYTHING, Source, TextParts, read_page
from sitin.bots.models import CONFIGURATION, Bot
from sitin.bots.scheduled.models import ScheduledBot, ScheduleStatus
from sitin.contract.codes import BotStatus, Platform, TranscriptionStatus
from sitin.kit.database import among
from sitin.kit.paging import Cursor, Page

_SCHEDULED: Source[ScheduledBot] = Source(
    ScheduledBot, ScheduledBot.join_at, tuple(ScheduleStatus), newest_first=False
)


@dataclass(frozen=True, slots=True)
class ScheduleFilter:
    """Which scheduled bots a list holds; everything given must hold."""

    join_after: datetime | None = None
    join_before: datetime | None = None
    parts: TextParts = ANYTHING
    statuses: tuple[ScheduleStatus, ...] = ()
    platforms: tuple[Platform, ...] = ()


@dataclass(frozen=True, slots=True)
class Due:
    """What has to be known of a scheduled bot to decide whether it is queued."""

    id: UUID
    team_id: UUID
    join_at: datetime
    joined_url: str
    allow_multiple_bots: bool


async def get(
    session: AsyncSession, team_id: UUID, bot_id: UUID, *, lock: bool = False
) -> ScheduledBot | None:
    """A team's scheduled bot; those of calendar events are the calendars'."""
    query = select(ScheduledBot).where(
        ScheduledBot.id == bot_id,
        ScheduledBot.team_id == team_id,
        ScheduledBot.event_id.is_(None),
    )
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    return (await session.scalars(query)).one_or_none()


async def page(
    session: AsyncSession,
    team_id: UUID,
    which: ScheduleFilter,
    *,
    limit: int,
    cursor: Cursor | None,
) -> Page[ScheduledBot]:
    """A page of a team's scheduled bots, earliest first. Raises ``CursorError``."""
    conditions: list[ColumnElement[bool]] = [
        ScheduledBot.team_id == team_id,
        ScheduledBot.event_id.is_(None),
    ]
    if which.join_after is not None:
        conditions.append(ScheduledBot.join_at > which.join_after)
    if which.join_before is not None:
        conditions.append(ScheduledBot.join_at < which.join_before)
    return await read_page(
        session,
        _SCHEDULED,
        conditions,
        statuses=which.statuses,
        platforms=which.platforms,
        parts=which.parts,
        limit=limit,
        cursor=cursor,
    )


async def take_due(session: AsyncSession, *, now: datetime, limit: int) -> Sequence[Due]:
    """Lock the scheduled bots that have been due longest, but for what another process has."""
    rows = await session.execute(due_query(now, limit))
    return [Due(*row) for row in rows]


def due_query(now: datetime, limit: int) -> Select[UUID, UUID, datetime, str, bool]:
    """See ``take_due``; a test looks at its plan."""
    return (
        select(
            ScheduledBot.id,
            ScheduledBot.team_id,
            ScheduledBot.join_at,
            ScheduledBot.joined_url,
            ScheduledBot.allow_multiple_bots,
        )
        .where(ScheduledBot.status == ScheduleStatus.SCHEDULED, ScheduledBot.join_at <= now)
        .order_by(ScheduledBot.join_at, ScheduledBot.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )


async def next_due(session: AsyncSession) -> datetime | None:
    """When the next scheduled bot is due, or was."""
    query = (
        select(ScheduledBot.join_at)
        .where(ScheduledBot.status == ScheduleStatus.SCHEDULED)
        .order_by(ScheduledBot.join_at)
        .limit(1)
    )
    return await session.scalar(query)


async def queue(session: AsyncSession, bot_ids: Sequence[UUID], *, now: datetime) -> None:
    """Make bots of scheduled bots, which are locked; within the database, however many."""
    fixed = {
        Bot.created_at: literal(now),
        Bot.status: literal(BotStatus.QUEUED.value),
        Bot.status_at: literal(now),
        Bot.launches: literal(0),
        Bot.artifacts_deleted: literal(False),
        Bot.transcription_status: case(
            (ScheduledBot.transcription_enabled, TranscriptionStatus.NOT_STARTED.value),
            else_=TranscriptionStatus.NOT_APPLICABLE.value,
        ),
        Bot.transcription_provider: case((ScheduledBot.transcription_enabled, PROVIDER)),
    }
    copied = ["id", "team_id", *CONFIGURATION]
    await session.execute(
        insert(Bot).from_select(
            [*copied, *(attribute.key for attribute in fixed)],
            select(*(getattr(ScheduledBot, name) for name in copied), *fixed.values()).where(
                among(ScheduledBot.id, bot_ids)
            ),
            include_defaults=False,
        )
    )
    await session.execute(
        update(ScheduledBot)
        .where(among(ScheduledBot.id, bot_ids))
        .values(status=ScheduleStatus.COMPLETED, updated_at=now)
        .execution_options(synchronize_session=False)
    )
