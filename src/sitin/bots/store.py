"""Queries over bots. Used within bots."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from sitin.bots.listing import (
    ANYTHING,
    Source,
    TextParts,
    contains,
    read_page,
)
from sitin.bots.models import Bot, Event, ExtraPair, Participant, StatusChange
from sitin.contract.codes import BotStatus, Platform
from sitin.contract.events import Ended, UnexpectedSeen
from sitin.kit.paging import Cursor, Page, Walk, page_of, time_key

_BOTS: Source[Bot] = Source(
    Bot, Bot.created_at, tuple(BotStatus), newest_first=True, has_pieces=True
)
_COUNTED = 1000

_BEFORE_THE_DOOR = frozenset({BotStatus.IN_WAITING_ROOM, BotStatus.IN_WAITING_FOR_HOST})


@dataclass(frozen=True, slots=True)
class BotFilter:
    """Which bots a list holds; everything given must hold."""

    created_after: datetime
    created_before: datetime | None = None
    ended_after: datetime | None = None
    parts: TextParts = ANYTHING
    statuses: tuple[BotStatus, ...] = ()
    platforms: tuple[Platform, ...] = ()
    extra: tuple[tuple[str, str], ...] = ()
    """Fields of ``extra`` and the text each must have."""


async def get(session: AsyncSession, team_id: UUID, bot_id: UUID) -> Bot | None:
    """A team's bot."""
    query = select(Bot).where(Bot.id == bot_id, Bot.team_id == team_id)
    return (await session.scalars(query)).one_or_none()


async def page(
    session: AsyncSession, team_id: UUID, which: BotFilter, *, limit: int, cursor: Cursor | None
) -> Page[Bot]:
    """A page of a team's bots, newest first. Raises ``CursorError``."""
    conditions: list[ColumnElement[bool]] = [
        Bot.team_id == team_id,
        Bot.created_at > which.created_after,
    ]
    if which.created_before is not None:
        conditions.append(Bot.created_at < which.created_before)
    if which.ended_after is not None:
        conditions.append(Bot.ended_at > which.ended_after)
    if which.extra and which.parts.fit():
        return await _page_by_extra(session, team_id, which, conditions, limit, cursor)
    return await read_page(
        session,
        _BOTS,
        conditions,
        statuses=which.statuses,
        platforms=which.platforms,
        parts=which.parts,
        limit=limit,
        cursor=cursor,
    )


async def _page_by_extra(
    session: AsyncSession,
    team_id: UUID,
    which: BotFilter,
    conditions: list[ColumnElement[bool]],
    limit: int,
    cursor: Cursor | None,
) -> Page[Bot]:
    """Along the pairs of the rarest of the conditions on ``extra``."""
    rarest = await _rarest(session, team_id, which.extra)
    walk = Walk(ExtraPair.created_at, ExtraPair.bot_id, cursor, newest_first=True)
    query = (
        select(Bot)
        .join(ExtraPair, ExtraPair.bot_id == Bot.id)
        .where(
            ExtraPair.team_id == team_id,
            ExtraPair.pair == func.extra_pair(*rarest),
            ExtraPair.created_at > which.created_after,
            *conditions,
            *contains(Bot, which.parts),
            *walk.beyond,
            # A pair is a digest; the words themselves decide.
            *(Bot.extra[field].astext == value for field, value in which.extra),
        )
        .order_by(*walk.order)
        .limit(limit + 1)
    )
    if which.statuses:
        query = query.where(Bot.status.in_(which.statuses))
    if which.platforms:
        query = query.where(Bot.platform.in_(which.platforms))
    rows = (await session.scalars(query)).all()
    return page_of(
        rows, limit=limit, cursor=cursor, key=lambda bot: time_key(bot.created_at, bot.id)
    )


async def _rarest(
    session: AsyncSession, team_id: UUID, pairs: Sequence[tuple[str, str]]
) -> tuple[str, str]:
    """The pair that the fewest bots have, as far as counting to ``_COUNTED`` tells."""
    if len(pairs) == 1:
        return pairs[0]
    counted = []
    for pair in pairs:
        some = (
            select(ExtraPair.bot_id)
            .where(ExtraPair.team_id == team_id, ExtraPair.pair == func.extra_pair(*pair))
            .limit(_COUNTED)
        )
        counted.append(await session.scalar(select(func.count()).select_from(some.subquery())))
    return min(zip(counted, pairs, strict=True))[1]


async def participants(session: AsyncSession, bot_id: UUID) -> list[Participant]:
    """Who was there, in the order of being seen."""
    query = select(Participant).where(Participant.bot_id == bot_id).order_by(Participant.number)
    return list((await session.scalars(query)).all())


async def history(session: AsyncSession, bot_id: UUID) -> Sequence[StatusChange]:
    """Every status the bot has had, oldest first."""
    query = select(StatusChange).where(StatusChange.bot_id == bot_id).order_by(StatusChange.id)
    return (await session.scalars(query)).all()


async def waited(session: AsyncSession, bot_id: UUID) -> timedelta:
    """How long the bot stood before the door, as far as it came to that."""
    lines = await history(session, bot_id)
    for index, line in enumerate(lines):
        if line.status in _BEFORE_THE_DOOR:
            after = (later for later in lines[index:] if later.status not in _BEFORE_THE_DOOR)
            left = next(after, None)
            return timedelta(0) if left is None else max(timedelta(0), left.at - line.at)
    return timedelta(0)


async def last_seq(session: AsyncSession, bot_id: UUID, fencing_token: int) -> int:
    """The number of the last event applied of one runner; 0 before the first."""
    query = (
        select(Event.seq)
        .where(Event.bot_id == bot_id, Event.fencing_token == fencing_token)
        .order_by(Event.seq.desc())
        .limit(1)
    )
    return (await session.scalar(query)) or 0


async def ended_event(session: AsyncSession, bot_id: UUID) -> Ended | None:
    """The runner's last word, if it has been applied."""
    query = (
        select(Event.body)
        .where(Event.bot_id == bot_id, Event.body["kind"].astext == "ended")
        .order_by(Event.fencing_token.desc())
        .limit(1)
    )
    body = await session.scalar(query)
    return None if body is None else Ended.model_validate(body)


async def unexpected_files(session: AsyncSession, bot_id: UUID) -> list[str]:
    """The files in which runners kept what nobody expected, relative to their directory."""
    query = select(Event.body).where(
        Event.bot_id == bot_id, Event.body["kind"].astext == "unexpected"
    )
    bodies = (await session.scalars(query)).all()
    return [name for body in bodies for name in UnexpectedSeen.model_validate(body).files]
