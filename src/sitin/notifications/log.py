"""The log of messages and attempts: read by the commands, pruned by ``tasks``."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, exists, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer

from sitin.notifications.errors import UnknownEventError, UnknownMessageError
from sitin.notifications.events import EventType
from sitin.notifications.models import (
    Attempt,
    Delivery,
    DeliveryState,
    Message,
    WebhookEndpoint,
)
from sitin.notifications.store import lock_deliveries


@dataclass(frozen=True, slots=True)
class LoggedDelivery:
    """A message on its way to one destination."""

    delivery: Delivery
    endpoint: WebhookEndpoint | None
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where it goes; to an endpoint's present address."""
        if self.endpoint is not None:
            return self.endpoint.url
        assert self.delivery.callback is not None
        url: str = self.delivery.callback["url"]
        return url


@dataclass(frozen=True, slots=True)
class LoggedMessage:
    """A message and its deliveries, oldest first."""

    message: Message
    deliveries: list[LoggedDelivery] = field(default_factory=list)


async def messages(
    session: AsyncSession,
    team_id: UUID,
    *,
    event: str | None = None,
    bot_id: UUID | None = None,
    state: DeliveryState | None = None,
    limit: int,
) -> list[LoggedMessage]:
    """A team's messages without their payloads, newest first.

    With ``state`` those that have a delivery in it. Raises ``UnknownEventError``.
    """
    query = select(Message).where(Message.team_id == team_id)
    if event is not None:
        if event not in set(EventType):
            raise UnknownEventError(event)
        query = query.where(Message.event == event)
    if bot_id is not None:
        query = query.where(Message.bot_id == bot_id)
    if state is not None:
        query = query.where(
            exists().where(Delivery.message_id == Message.id, Delivery.state == state)
        )
    query = query.order_by(Message.created_at.desc(), Message.id.desc()).limit(limit)
    query = query.options(defer(Message.data), defer(Message.extra))
    found = (await session.scalars(query)).all()
    deliveries = await _deliveries(session, [message.id for message in found])
    return [LoggedMessage(message, deliveries[message.id]) for message in found]


async def message(session: AsyncSession, message_id: UUID) -> LoggedMessage:
    """A message with every attempt. Raises ``UnknownMessageError``."""
    found = await session.get(Message, message_id, options=[defer(Message.data)])
    if found is None:
        raise UnknownMessageError(message_id)
    logged = LoggedMessage(found, (await _deliveries(session, [message_id]))[message_id])
    by_delivery = {one.delivery.id: one for one in logged.deliveries}
    query = select(Attempt).where(Attempt.delivery_id.in_(by_delivery))
    for attempt in await session.scalars(query.order_by(Attempt.at, Attempt.id)):
        by_delivery[attempt.delivery_id].attempts.append(attempt)
    return logged


async def _deliveries(
    session: AsyncSession, message_ids: Sequence[UUID]
) -> defaultdict[UUID, list[LoggedDelivery]]:
    query = (
        select(Delivery, WebhookEndpoint)
        .outerjoin(WebhookEndpoint, WebhookEndpoint.id == Delivery.endpoint_id)
        .where(Delivery.message_id.in_(message_ids))
        .order_by(Delivery.id)
    )
    found: defaultdict[UUID, list[LoggedDelivery]] = defaultdict(list)
    for delivery, endpoint in await session.execute(query):
        found[delivery.message_id].append(LoggedDelivery(delivery, endpoint))
    return found


async def prune(session: AsyncSession, *, before: datetime, limit: int) -> int:
    """Delete messages older than a time with all their attempts, but none that still waits.

    Returns how many, at most ``limit``: as long as it is that many, there may be more.
    """
    waits = exists().where(
        Delivery.message_id == Message.id, Delivery.state == DeliveryState.PENDING
    )
    old = (
        await session.scalars(
            select(Message.id)
            .where(Message.created_at < before, ~waits)
            .order_by(Message.created_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
    ).all()
    # The messages are locked now; one that was sent again a moment before has a delivery that was
    # not there yet, and stays.
    renewed = set(
        await session.scalars(
            select(Delivery.message_id).where(
                Delivery.message_id.in_(old), Delivery.state == DeliveryState.PENDING
            )
        )
    )
    gone = [one for one in old if one not in renewed]
    theirs = Delivery.message_id.in_(gone)
    await lock_deliveries(session, theirs)
    for statement in (
        delete(Attempt).where(Attempt.delivery_id.in_(select(Delivery.id).where(theirs))),
        delete(Delivery).where(theirs),
        delete(Message).where(Message.id.in_(gone)),
    ):
        await session.execute(statement.execution_options(synchronize_session=False))
    return len(old)
