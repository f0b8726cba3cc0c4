"""Which host runs which bot: taking from the queue, renewing, taking over, giving up.

Used by the supervisor. All times are the database's, so hosts need not agree on the time.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import and_, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from sitin.bots.errors import StaleLeaseError
from sitin.bots.models import Bot, Lease, fencing_tokens
from sitin.contract.codes import BotStatus


@dataclass(frozen=True, slots=True)
class Held:
    """A lease that this host holds."""

    bot_id: UUID
    fencing_token: int


async def take_queued(
    session: AsyncSession, *, host_id: UUID, ttl: timedelta, limit: int
) -> list[tuple[Bot, int]]:
    """Take the bots that have been queued longest, each with a new fencing token.

    What another worker is just taking is left to it. A bot whose taker died before it told of
    anything is still queued and is taken again once that lease has run out.
    """
    queued = (
        select(Bot)
        .outerjoin(Lease, Lease.bot_id == Bot.id)
        .where(
            Bot.status == BotStatus.QUEUED,
            or_(Lease.bot_id.is_(None), Lease.expires_at < func.now()),
        )
        .order_by(Bot.created_at, Bot.id)
        .limit(limit)
        .with_for_update(of=Bot, skip_locked=True)
    )
    taken = []
    for bot in (await session.scalars(queued)).all():
        bot.launches += 1
        token = await _lease(session, bot.id, host_id=host_id, ttl=ttl)
        taken.append((bot, token))
    return taken


async def _lease(session: AsyncSession, bot_id: UUID, *, host_id: UUID, ttl: timedelta) -> int:
    values = {
        "host_id": host_id,
        "fencing_token": fencing_tokens.next_value(),
        "expires_at": func.now() + ttl,
        "taken_at": func.now(),
        "participant_id": None,
    }
    statement = (
        insert(Lease)
        .values(bot_id=bot_id, **values)
        .on_conflict_do_update(index_elements=["bot_id"], set_=values)
        .returning(Lease.fencing_token)
    )
    return (await session.scalars(statement)).one()


async def hold(session: AsyncSession, bot_id: UUID, fencing_token: int) -> Bot:
    """The bot's row, locked, for whoever holds this lease. Raises ``StaleLeaseError``."""
    query = (
        select(Bot)
        .join(Lease, Lease.bot_id == Bot.id)
        .where(Bot.id == bot_id, Lease.fencing_token == fencing_token)
        .with_for_update(of=[Bot, Lease])
        .execution_options(populate_existing=True)
    )
    bot = (await session.scalars(query)).one_or_none()
    if bot is None:
        raise StaleLeaseError(bot_id, fencing_token)
    return bot


async def renew(
    session: AsyncSession, held: Iterable[Held], *, host_id: UUID, ttl: timedelta
) -> set[Held]:
    """Extend these leases; returns those that are still held, for the rest are lost."""
    statement = (
        update(Lease)
        .where(Lease.fencing_token.in_([lease.fencing_token for lease in held]))
        .values(expires_at=func.now() + ttl, host_id=host_id)
        .returning(Lease.bot_id, Lease.fencing_token)
        .execution_options(synchronize_session=False)
    )
    rows = await session.execute(statement)
    return {Held(row.bot_id, row.fencing_token) for row in rows}


async def give_back(session: AsyncSession, bot_id: UUID, fencing_token: int) -> None:
    """End a lease, so that others need not wait for it to run out."""
    await session.execute(
        delete(Lease).where(Lease.bot_id == bot_id, Lease.fencing_token == fencing_token)
    )


async def expired(session: AsyncSession, *, limit: int) -> Sequence[Bot]:
    """Bots whose lease has run out and that nobody may take again, locked."""
    query = (
        select(Bot)
        .join(Lease, Lease.bot_id == Bot.id)
        .where(Lease.expires_at < func.now(), Bot.status != BotStatus.QUEUED)
        .limit(limit)
        .with_for_update(of=[Bot, Lease], skip_locked=True)
    )
    return (await session.scalars(query)).all()


async def drop(session: AsyncSession, bot_id: UUID) -> None:
    """End whatever lease a bot has."""
    await session.execute(delete(Lease).where(Lease.bot_id == bot_id))


async def is_leased(session: AsyncSession, bot_id: UUID) -> bool:
    """Whether anybody holds a lease of this bot."""
    return await session.scalar(select(Lease.bot_id).where(Lease.bot_id == bot_id)) is not None


async def note_participant_id(
    session: AsyncSession, bot_id: UUID, fencing_token: int, participant_id: str
) -> None:
    """Note under which id of the platform a bot is in its meeting, for the other bots there."""
    await session.execute(
        update(Lease)
        .where(Lease.bot_id == bot_id, Lease.fencing_token == fencing_token)
        .values(participant_id=participant_id)
    )


async def in_the_same_meetings(
    session: AsyncSession, bot_ids: Iterable[UUID]
) -> dict[UUID, set[str]]:
    """For each of these bots the ids of other bots, of any team and host, in its meeting.

    A meeting is told by its normalised address. Bots without others are left out.
    """
    own, other = aliased(Bot), aliased(Bot)
    query = (
        select(own.id, Lease.participant_id)
        .select_from(Lease)
        .join(other, other.id == Lease.bot_id)
        .join(own, and_(own.joined_url == other.joined_url, own.id != other.id))
        .where(own.id.in_(list(bot_ids)), Lease.participant_id.is_not(None))
    )
    others: defaultdict[UUID, set[str]] = defaultdict(set)
    for row in await session.execute(query):
        others[row.id].add(row.participant_id)
    return dict(others)


async def asked_to_leave(session: AsyncSession, bot_ids: Iterable[UUID]) -> dict[UUID, datetime]:
    """Those of these bots that the API has asked to leave, and when."""
    query = select(Bot.id, Bot.leave_requested_at).where(
        Bot.id.in_(list(bot_ids)), Bot.leave_requested_at.is_not(None)
    )
    return {row.id: row.leave_requested_at for row in await session.execute(query)}
