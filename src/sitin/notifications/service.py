"""Telling customers what happened: the outbox and its messages. Used by bots and cli.

``publish`` joins the caller's transaction, so a message exists exactly when the change that it
tells of does.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import NAMESPACE_URL, UUID, uuid5

from sqlalchemy import (
    DateTime,
    String,
    Uuid,
    and_,
    bindparam,
    func,
    insert,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from sitin.kit.ids import new_id
from sitin.kit.wakeups import Channel, wake
from sitin.notifications.erasing import remains
from sitin.notifications.errors import (
    EndpointDisabledError,
    NotAddressedError,
    UnknownMessageError,
)
from sitin.notifications.events import EventType
from sitin.notifications.models import (
    Attempt,
    Delivery,
    DeliveryKind,
    DeliveryState,
    Message,
    WebhookEndpoint,
)
from sitin.notifications.store import lock_deliveries

_RECIPIENTS = select(WebhookEndpoint.id).where(
    WebhookEndpoint.team_id == bindparam("team_id"),
    WebhookEndpoint.enabled,
    or_(
        func.cardinality(WebhookEndpoint.events) == 0,
        bindparam("event", type_=String) == func.any(WebhookEndpoint.events),
    ),
)
# One statement, with the wake-up in it, because every change of a bot's status makes it.
_ADD = text(
    """
    WITH message AS (
        INSERT INTO notification_messages (id, team_id, event, bot_id, data, extra, created_at)
        VALUES (:id, :team_id, :event, :bot_id, :data, :extra, :at)
    ),
    added AS (
        INSERT INTO deliveries
            (id, message_id, team_id, kind, lane, endpoint_id, callback, state, due_at, attempts)
        SELECT one.id, :id, :team_id, kind, lane, endpoint_id, callback, 'pending', :at, 0
        FROM jsonb_to_recordset(:deliveries)
            AS one (id uuid, kind text, lane uuid, endpoint_id uuid, callback jsonb)
    )
    SELECT pg_notify(:channel, '')
    """
).bindparams(
    bindparam("id", type_=Uuid),
    bindparam("team_id", type_=Uuid),
    bindparam("event", type_=String),
    bindparam("bot_id", type_=Uuid),
    bindparam("data", type_=JSONB),
    bindparam("extra", type_=JSONB(none_as_null=True)),
    bindparam("at", type_=DateTime(timezone=True)),
    bindparam("deliveries", type_=JSONB),
    bindparam("channel", Channel.DELIVERIES.value, type_=String),
)


@dataclass(frozen=True, slots=True)
class Callback:
    """Where one bot's end is reported, besides the team's endpoints."""

    url: str
    method: str
    secret: str | None
    """Encrypted."""


@dataclass(frozen=True, slots=True)
class Resent:
    """Where a stored message goes again."""

    team_id: UUID
    """Whose message it is."""
    to: Sequence[UUID]
    """Endpoints."""
    disabled: Sequence[UUID]
    """Endpoints that had it and do not get it again, because they are disabled or deleted."""


async def publish(
    session: AsyncSession,
    *,
    team_id: UUID,
    event: EventType,
    data: dict[str, Any],
    at: datetime,
    extra: dict[str, Any] | None = None,
    bot_id: UUID | None = None,
    callback: Callback | None = None,
    to_endpoints: bool = True,
) -> UUID | None:
    """Write a message with an id of its own for everybody who wants this event.

    Publishing an event again is sending it again under a new id.

    Args:
        session: The transaction of the change that the message tells of.
        team_id: Whose endpoints get it.
        event: With an event that is not about a bot, ``extra`` is not sent.
        data: The payload's ``data``, or what of it will still be true when it is sent.
        at: When it becomes due: now.
        extra: The bot's own.
        bot_id: The bot it is about, whose data ``erase`` removes.
        callback: A further destination.
        to_endpoints: False for the callback alone.

    Returns:
        The message's id, or ``None`` when nobody wants it and nothing was written.
    """
    endpoints: Sequence[UUID] = ()
    if to_endpoints:
        endpoints = await _recipients(session, team_id, event)
    if not endpoints and callback is None:
        return None
    deliveries = [_to_endpoint(one) for one in endpoints]
    if callback is not None:
        deliveries.append(_to_callback(team_id, callback))
    message_id = new_id()
    await session.execute(
        _ADD,
        {
            "id": message_id,
            "team_id": team_id,
            "event": event,
            "bot_id": bot_id,
            "data": data,
            "extra": extra,
            "at": at,
            "deliveries": deliveries,
        },
    )
    return message_id


def _to_endpoint(endpoint_id: UUID) -> dict[str, Any]:
    return {
        "id": new_id(),
        "kind": DeliveryKind.WEBHOOK,
        "lane": endpoint_id,
        "endpoint_id": endpoint_id,
    }


def _to_callback(team_id: UUID, callback: Callback) -> dict[str, Any]:
    host = urlsplit(callback.url).netloc.lower()
    return {
        "id": new_id(),
        "kind": DeliveryKind.CALLBACK,
        "lane": uuid5(NAMESPACE_URL, f"{team_id}/{host}"),
        "callback": asdict(callback),
    }


async def resend(
    session: AsyncSession, *, message_id: UUID, endpoint_id: UUID | None = None, at: datetime
) -> Resent:
    """Send a stored message again under the same id, however its delivery ended.

    It is a delivery of its own, tried by the whole schedule, with a payload that is true when it is
    sent. One that still waits is tried now instead.

    Args:
        session: A transaction.
        message_id: The message.
        endpoint_id: One of the endpoints that had it; all of them without.
        at: Now.

    Raises:
        UnknownMessageError: There is no such message.
        NotAddressedError: It never went there.
        EndpointDisabledError: Everybody who had it is disabled.
    """
    # Locked, so that of two at once the second sees what the first has begun, and none is pruned.
    message = await session.get(Message, message_id, with_for_update=True)
    if message is None:
        raise UnknownMessageError(message_id)
    had = select(Delivery.endpoint_id).where(Delivery.message_id == message_id)
    addressed = select(WebhookEndpoint).where(WebhookEndpoint.id.in_(had))
    if endpoint_id is not None:
        addressed = addressed.where(WebhookEndpoint.id == endpoint_id)
    endpoints = (await session.scalars(addressed.order_by(WebhookEndpoint.id))).all()
    if not endpoints:
        raise NotAddressedError(message_id, endpoint_id)
    to = [endpoint.id for endpoint in endpoints if endpoint.enabled]
    if not to:
        raise EndpointDisabledError(message_id)
    waits = and_(
        Delivery.message_id == message_id,
        Delivery.endpoint_id.in_(to),
        Delivery.state == DeliveryState.PENDING,
    )
    await lock_deliveries(session, waits)
    waiting = await session.scalars(
        update(Delivery)
        .where(waits)
        .values(due_at=at)
        .returning(Delivery.endpoint_id)
        .execution_options(synchronize_session=False)
    )
    further = {"message_id": message_id, "team_id": message.team_id, "due_at": at}
    new = sorted(set(to) - set(waiting))
    session.add_all(Delivery(**_to_endpoint(one), **further) for one in new)
    await session.flush()
    await wake(session, Channel.DELIVERIES)
    return Resent(
        team_id=message.team_id, to=to, disabled=[one.id for one in endpoints if not one.enabled]
    )


@dataclass(frozen=True, slots=True)
class BotMessage:
    """What one message of many is about."""

    bot_id: UUID
    data: dict[str, Any]
    extra: dict[str, Any] | None


async def is_wanted(session: AsyncSession, team_id: UUID, event: EventType) -> bool:
    """Whether any endpoint of the team wants this event."""
    return bool(await _recipients(session, team_id, event))


async def publish_all(
    session: AsyncSession,
    *,
    team_id: UUID,
    event: EventType,
    messages: Sequence[BotMessage],
    at: datetime,
) -> None:
    """Write messages of one kind for every endpoint of the team that wants it, many at a time."""
    endpoints = await _recipients(session, team_id, event)
    if not endpoints or not messages:
        return
    rows = [
        {
            "id": new_id(),
            "team_id": team_id,
            "event": event,
            "bot_id": one.bot_id,
            "data": one.data,
            "extra": one.extra,
            "created_at": at,
        }
        for one in messages
    ]
    await session.execute(insert(Message), rows)
    await session.execute(
        insert(Delivery),
        [
            {
                **_to_endpoint(endpoint),
                "message_id": row["id"],
                "team_id": team_id,
                "state": DeliveryState.PENDING,
                "due_at": at,
                "attempts": 0,
            }
            for row in rows
            for endpoint in endpoints
        ],
    )
    await wake(session, Channel.DELIVERIES)


async def _recipients(session: AsyncSession, team_id: UUID, event: EventType) -> Sequence[UUID]:
    wanted = {"team_id": team_id, "event": event}
    return (await session.scalars(_RECIPIENTS, wanted)).all()


async def erase(session: AsyncSession, bot_id: UUID) -> None:
    """Remove what the messages of a bot say about its meeting; nothing is taken back.

    Gone afterwards: ``extra``, the names of participants and speakers, the provider's ids of
    transcripts, every sentence about an error, and of the attempts what receivers answered, now and
    later. A callback's secret is forgotten when its delivery ends, erased or not.

    What stays is what ``erasing.remains`` leaves: ids, event, status code, error code, times. A
    delivery that still waits is made all the same, because a consumer who counts on the end of a
    bot must get it: ``bot.completed`` with ``data_deleted`` and nulls, ``bot.failed`` with the
    sentence of its code. For the former the caller marks the bot's artifacts as deleted in the same
    transaction. A request that is under way at this moment carries what was true when it began.
    """
    messages = await session.scalars(
        select(Message).where(Message.bot_id == bot_id).order_by(Message.id).with_for_update()
    )
    for message in messages:
        message.data = remains(EventType(message.event), message.data)
        message.extra = None
        message.erased_at = message.erased_at or func.now()
    await session.flush()
    theirs = Delivery.message_id.in_(select(Message.id).where(Message.bot_id == bot_id))
    # An attempt that is over by now was noted before this lock, and is emptied here, or is noted
    # after this transaction, and finds its message erased.
    await lock_deliveries(session, theirs)
    await session.execute(
        update(Attempt)
        .where(Attempt.delivery_id.in_(select(Delivery.id).where(theirs)))
        .values(error=None, answer=None)
        .execution_options(synchronize_session=False)
    )
