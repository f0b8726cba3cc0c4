"""Queries over deliveries and endpoints. Used within notifications."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from sitin.notifications.models import (
    Attempt,
    Delivery,
    DeliveryKind,
    DeliveryState,
    Message,
    WebhookEndpoint,
)
from sitin.notifications.schedule import DISABLE_AFTER, TIMEOUT, Outcome, next_delay

HOLD = TIMEOUT * 3
"""How long a taken delivery is left alone: more than an attempt and its bookkeeping may last."""

# A loose index scan: one index probe per lane with something pending, however much is pending.
_DUE_LANES = text(
    """
    WITH RECURSIVE lanes AS (
        (SELECT lane FROM deliveries WHERE state = 'pending' ORDER BY lane LIMIT 1)
        UNION ALL
        SELECT (SELECT later.lane FROM deliveries later
                WHERE later.state = 'pending' AND later.lane > lanes.lane
                ORDER BY later.lane LIMIT 1)
        FROM lanes WHERE lanes.lane IS NOT NULL
    )
    SELECT lane,
           (SELECT count(*) FROM (
                SELECT 1 FROM deliveries due
                WHERE due.state = 'pending' AND due.lane = lanes.lane AND due.due_at <= :now
                LIMIT :width) AS counted) AS due
    FROM lanes WHERE lane IS NOT NULL
    """
)


@dataclass(frozen=True, slots=True)
class Taken:
    """A delivery that this process works on, with all that a request needs."""

    id: UUID
    kind: DeliveryKind
    attempt: int
    """1 for the first."""
    message_id: UUID
    event: str
    bot_id: UUID | None
    data: dict[str, Any]
    extra: dict[str, Any] | None
    url: str
    method: str
    secret: str | None
    """Encrypted: the endpoint's, or the callback's own."""
    endpoint_id: UUID | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request came to."""

    outcome: Outcome
    error: str | None = None
    """Why no answer came, in one sentence."""
    body: str | None = None
    """The beginning of the answer."""


async def due_lanes(session: AsyncSession, *, now: datetime, width: int) -> dict[UUID, int]:
    """The lanes with something due, and how much of it, counted up to ``width``."""
    rows = await session.execute(_DUE_LANES, {"now": now, "width": width})
    return {row.lane: row.due for row in rows if row.due}


async def next_due(session: AsyncSession, *, after: datetime) -> datetime | None:
    """When the next delivery becomes due."""
    query = select(func.min(Delivery.due_at)).where(
        Delivery.state == DeliveryState.PENDING, Delivery.due_at > after
    )
    return await session.scalar(query)


async def take(session: AsyncSession, lane: UUID, *, now: datetime) -> Taken | None:
    """Take the delivery of a lane that has been due longest, if nobody else holds it."""
    oldest = (
        select(Delivery.id)
        .where(
            Delivery.lane == lane,
            Delivery.state == DeliveryState.PENDING,
            Delivery.due_at <= now,
        )
        .order_by(Delivery.due_at)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    held = (
        update(Delivery)
        .where(Delivery.id == oldest)
        .values(due_at=now + HOLD, attempts=Delivery.attempts + 1)
        .returning(Delivery)
        .execution_options(synchronize_session=False)
    )
    delivery = (await session.scalars(held)).one_or_none()
    if delivery is None:
        return None
    message = await session.get_one(Message, delivery.message_id)
    url, method, secret = await _destination(session, delivery)
    return Taken(
        id=delivery.id,
        kind=DeliveryKind(delivery.kind),
        attempt=delivery.attempts,
        message_id=message.id,
        event=message.event,
        bot_id=message.bot_id,
        data=message.data,
        extra=message.extra,
        url=url,
        method=method,
        secret=secret,
        endpoint_id=delivery.endpoint_id,
    )


async def _destination(session: AsyncSession, delivery: Delivery) -> tuple[str, str, str | None]:
    if delivery.callback is not None:
        callback = delivery.callback
        return callback["url"], callback["method"], callback["secret"]
    endpoint = await session.get_one(WebhookEndpoint, delivery.endpoint_id)
    return endpoint.url, "POST", endpoint.secret


async def record(
    session: AsyncSession, taken: Taken, answer: Answer, *, at: datetime, seconds: float
) -> None:
    """Note an attempt and decide what becomes of its delivery and its endpoint."""
    session.add(
        Attempt(
            delivery_id=taken.id,
            at=at,
            duration=seconds,
            status=answer.outcome.status,
            error=answer.error,
            answer=answer.body,
        )
    )
    ended = at + timedelta(seconds=seconds)
    delay = next_delay(taken.kind, taken.attempt, answer.outcome)
    if answer.outcome.delivered:
        change: dict[str, Any] = {"state": DeliveryState.DELIVERED}
    elif delay is None:
        change = {"state": DeliveryState.FAILED}
    else:
        change = {"due_at": ended + delay}
    # Whoever took it again meanwhile has counted it up and decides instead.
    await session.execute(
        update(Delivery)
        .where(
            Delivery.id == taken.id,
            Delivery.state == DeliveryState.PENDING,
            Delivery.attempts == taken.attempt,
        )
        .values(**change)
        .execution_options(synchronize_session=False)
    )
    if taken.endpoint_id is not None:
        await _note_health(session, taken.endpoint_id, delivered=answer.outcome.delivered, at=ended)


async def _note_health(
    session: AsyncSession, endpoint_id: UUID, *, delivered: bool, at: datetime
) -> None:
    """Start or reset the endpoint's clock; disable it when the clock has run out."""
    since = WebhookEndpoint.failing_since
    endpoint = update(WebhookEndpoint).where(WebhookEndpoint.id == endpoint_id)
    endpoint = endpoint.execution_options(synchronize_session=False)
    if delivered:
        await session.execute(endpoint.where(since.is_not(None)).values(failing_since=None))
        return
    await session.execute(endpoint.where(since.is_(None)).values(failing_since=at))
    days = DISABLE_AFTER.days
    disabled = await session.scalar(
        endpoint.where(since <= at - DISABLE_AFTER, WebhookEndpoint.enabled)
        .values(
            enabled=False,
            disabled_reason=f"Not one delivery succeeded for {days} days.",
        )
        .returning(WebhookEndpoint.id)
    )
    if disabled is not None:
        await session.execute(
            update(Delivery)
            .where(Delivery.lane == endpoint_id, Delivery.state == DeliveryState.PENDING)
            .values(state=DeliveryState.FAILED)
            .execution_options(synchronize_session=False)
        )
