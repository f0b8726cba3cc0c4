"""Queries over bots. Used within bots."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, String, cast, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from sitin.bots.models import Bot, Event, Participant, StatusChange
from sitin.contract.codes import BotStatus, Platform
from sitin.contract.events import Ended, UnexpectedSeen
from sitin.kit.paging import Cursor, Page, page_of, read_time_key, time_key


@dataclass(frozen=True, slots=True)
class BotFilter:
    """Which bots a list holds; everything given must hold."""

    created_after: datetime
    created_before: datetime | None = None
    ended_after: datetime | None = None
    name_part: str | None = None
    id_part: str | None = None
    url_part: str | None = None
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
    query = _filtered(team_id, which)
    place = tuple_(Bot.created_at, Bot.id)
    backwards = cursor is not None and cursor.backwards
    if cursor is not None:
        moment, bot_id = read_time_key(cursor.key)
        there = tuple_(moment, bot_id)
        query = query.where(place > there if backwards else place < there)
    if backwards:
        query = query.order_by(Bot.created_at, Bot.id)
    else:
        query = query.order_by(Bot.created_at.desc(), Bot.id.desc())
    rows = (await session.scalars(query.limit(limit + 1))).all()
    return page_of(
        rows, limit=limit, cursor=cursor, key=lambda bot: time_key(bot.created_at, bot.id)
    )


def _filtered(team_id: UUID, which: BotFilter) -> Select[Bot]:
    query = select(Bot).where(Bot.team_id == team_id, Bot.created_at > which.created_after)
    if which.created_before is not None:
        query = query.where(Bot.created_at < which.created_before)
    if which.ended_after is not None:
        query = query.where(Bot.ended_at > which.ended_after)
    if which.statuses:
        query = query.where(Bot.status.in_(which.statuses))
    if which.platforms:
        query = query.where(Bot.platform.in_(which.platforms))
    if which.name_part:
        query = query.where(Bot.bot_name.icontains(which.name_part, autoescape=True))
    if which.id_part:
        query = query.where(cast(Bot.id, String).icontains(which.id_part, autoescape=True))
    if which.url_part:
        query = query.where(Bot.meeting_url.icontains(which.url_part, autoescape=True))
    for field, value in which.extra:
        query = query.where(Bot.extra[field].astext == value)
    return query


async def participants(session: AsyncSession, bot_id: UUID) -> list[Participant]:
    """Who was there, in the order of being seen."""
    query = select(Participant).where(Participant.bot_id == bot_id).order_by(Participant.number)
    return list((await session.scalars(query)).all())


async def history(session: AsyncSession, bot_id: UUID) -> Sequence[StatusChange]:
    """Every status the bot has had, oldest first."""
    query = select(StatusChange).where(StatusChange.bot_id == bot_id).order_by(StatusChange.id)
    return (await session.scalars(query)).all()


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
