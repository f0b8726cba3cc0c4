"""Telling customers what happened: the outbox, and the endpoints it goes to. Used by bots and cli.

``publish`` joins the caller's transaction, so a message exists exactly when the change that it
tells of does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import NAMESPACE_URL, UUID, uuid5

from sqlalchemy import func, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from sitin.kit.crypto import Keyring
from sitin.kit.ids import new_id
from sitin.kit.wakeups import Channel, wake
from sitin.notifications.errors import UnknownEventError
from sitin.notifications.events import EventType
from sitin.notifications.models import (
    Delivery,
    DeliveryKind,
    DeliveryState,
    Message,
    WebhookEndpoint,
)
from sitin.notifications.signing import new_secret


@dataclass(frozen=True, slots=True)
class Callback:
    """Where one bot's end is reported, besides the team's endpoints."""

    url: str
    method: str
    secret: str | None
    """Encrypted."""


@dataclass(frozen=True, slots=True)
class NewEndpoint:
    """An endpoint just made; the secret is shown now and can be read back only by the operator."""

    id: UUID
    secret: str


async def publish(
    session: AsyncSession,
    *,
    team_id: UUID,
    event: EventType,
    data: dict[str, Any],
    extra: dict[str, Any] | None,
    at: datetime,
    bot_id: UUID | None = None,
    callback: Callback | None = None,
    to_endpoints: bool = True,
) -> None:
    """Write a message for everybody who wants this event; nothing when nobody does."""
    endpoints = await _recipients(session, team_id, event) if to_endpoints else ()
    if not endpoints and callback is None:
        return
    message = Message(
        id=new_id(),
        team_id=team_id,
        event=event,
        bot_id=bot_id,
        data=data,
        extra=extra,
        created_at=at,
    )
    session.add(message)
    # The deliveries refer to the message without the mapper knowing it.
    await session.flush()
    session.add_all(_to_endpoint(message, endpoint) for endpoint in endpoints)
    if callback is not None:
        session.add(_to_callback(message, callback))
    await session.flush()
    await wake(session, Channel.DELIVERIES)


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
                "id": new_id(),
                "message_id": row["id"],
                "kind": DeliveryKind.WEBHOOK,
                "lane": endpoint,
                "endpoint_id": endpoint,
                "state": DeliveryState.PENDING,
                "due_at": at,
                "attempts": 0,
            }
            for row in rows
            for endpoint in endpoints
        ],
    )
    await wake(session, Channel.DELIVERIES)


async def erase(session: AsyncSession, bot_id: UUID) -> None:
    """TEMPORARY."""


async def _recipients(session: AsyncSession, team_id: UUID, event: EventType) -> Sequence[UUID]:
    query = select(WebhookEndpoint.id).where(
        WebhookEndpoint.team_id == team_id,
        WebhookEndpoint.enabled,
        or_(
            func.cardinality(WebhookEndpoint.events) == 0,
            WebhookEndpoint.events.contains([event.value]),
        ),
    )
    return (await session.scalars(query)).all()


def _to_endpoint(message: Message, endpoint_id: UUID) -> Delivery:
    return Delivery(
        message_id=message.id,
        kind=DeliveryKind.WEBHOOK,
        lane=endpoint_id,
        endpoint_id=endpoint_id,
        due_at=message.created_at,
    )


def _to_callback(message: Message, callback: Callback) -> Delivery:
    host = urlsplit(callback.url).netloc.lower()
    return Delivery(
        message_id=message.id,
        kind=DeliveryKind.CALLBACK,
        lane=uuid5(NAMESPACE_URL, f"{message.team_id}/{host}"),
        callback={"url": callback.url, "method": callback.method, "secret": callback.secret},
        due_at=message.created_at,
    )


async def create_endpoint(
    session: AsyncSession,
    keyring: Keyring,
    *,
    team_id: UUID,
    url: str,
    events: Sequence[str],
    name: str | None = None,
) -> NewEndpoint:
    """Make an enabled endpoint. No events means all. Raises ``UnknownEventError``."""
    for event in events:
        if event not in set(EventType):
            raise UnknownEventError(event)
    secret = new_secret()
    endpoint = WebhookEndpoint(
        team_id=team_id,
        name=name or urlsplit(url).hostname or url,
        url=url,
        events=sorted(set(events)),
        secret=keyring.encrypt(secret),
    )
    session.add(endpoint)
    await session.flush()
    return NewEndpoint(id=endpoint.id, secret=secret)
