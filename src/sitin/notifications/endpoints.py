"""A team's webhook endpoints: made, changed, given a new secret, deleted. Used by cli."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from sitin.kit.crypto import Keyring
from sitin.kit.texts import is_blank
from sitin.notifications.errors import (
    InvalidNameError,
    UnknownEndpointError,
    UnknownEventError,
)
from sitin.notifications.events import EventType
from sitin.notifications.models import WebhookEndpoint, WebhookSecret
from sitin.notifications.signing import new_secret
from sitin.notifications.store import give_up_waiting

LONGEST_NAME = 255
OVERLAP = timedelta(hours=24)
"""How long an old secret signs beside the new one, unless told otherwise: a working day for the
receiver to take up the new one, wherever its people are."""


@dataclass(frozen=True, slots=True)
class NewEndpoint:
    """An endpoint just made; its secret is shown this once."""

    id: UUID
    secret: str


@dataclass(frozen=True, slots=True)
class Changes:
    """What is to be changed of an endpoint; ``None`` stays as it is."""

    url: str | None = None
    name: str | None = None
    events: Sequence[str] | None = None
    """None at all means every event."""
    enabled: bool | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """An endpoint, and until when an old secret of it signs too."""

    endpoint: WebhookEndpoint
    overlap_until: datetime | None


async def create_endpoint(
    session: AsyncSession,
    keyring: Keyring,
    *,
    team_id: UUID,
    url: str,
    events: Sequence[str],
    name: str | None = None,
) -> NewEndpoint:
    """Make an enabled endpoint, which gets what is published from now on. No events means all.

    Raises ``UnknownEventError`` and ``InvalidNameError``.
    """
    endpoint = WebhookEndpoint(
        team_id=team_id,
        name=_name((urlsplit(url).hostname or url)[:LONGEST_NAME] if name is None else name),
        url=url,
        events=_events(events),
    )
    session.add(endpoint)
    await session.flush()
    secret = new_secret()
    session.add(WebhookSecret(endpoint_id=endpoint.id, secret=keyring.encrypt(secret)))
    await session.flush()
    return NewEndpoint(id=endpoint.id, secret=secret)


async def list_endpoints(
    session: AsyncSession, team_id: UUID, *, now: datetime
) -> Sequence[Listed]:
    """A team's endpoints, oldest first."""
    last = (
        select(func.max(WebhookSecret.expires_at))
        .where(WebhookSecret.endpoint_id == WebhookEndpoint.id, WebhookSecret.expires_at > now)
        .scalar_subquery()
    )
    query = (
        select(WebhookEndpoint, last)
        .where(WebhookEndpoint.team_id == team_id, WebhookEndpoint.deleted_at.is_(None))
        .order_by(WebhookEndpoint.created_at, WebhookEndpoint.id)
    )
    return [Listed(endpoint, until) for endpoint, until in await session.execute(query)]


async def team_of(session: AsyncSession, endpoint_id: UUID) -> UUID:
    """The team that an endpoint belongs to. Raises ``UnknownEndpointError``."""
    query = select(WebhookEndpoint.team_id).where(WebhookEndpoint.id == endpoint_id)
    team_id = await session.scalar(query)
    if team_id is None:
        raise UnknownEndpointError(endpoint_id)
    return team_id


async def change_endpoint(session: AsyncSession, endpoint_id: UUID, changes: Changes) -> None:
    """Change what is given. What waits for the endpoint goes to its new address.

    Enabling starts the clock of its successes anew. Disabling gives up what waits; it can be sent
    again by hand once the endpoint is enabled.

    Raises ``UnknownEndpointError``, ``UnknownEventError`` and ``InvalidNameError``.
    """
    endpoint = await _lock(session, endpoint_id)
    if changes.url is not None:
        endpoint.url = changes.url
    if changes.name is not None:
        endpoint.name = _name(changes.name)
    if changes.events is not None:
        endpoint.events = _events(changes.events)
    if changes.enabled is not None:
        endpoint.enabled = changes.enabled
        endpoint.failing_since = None
        endpoint.disabled_reason = None
    await session.flush()
    if changes.enabled is False:
        await give_up_waiting(session, endpoint.team_id, endpoint.id)


async def rotate_secret(
    session: AsyncSession,
    keyring: Keyring,
    endpoint_id: UUID,
    *,
    overlap: timedelta,
    now: datetime,
) -> str:
    """Give an endpoint a new secret and return it; no old one signs longer than ``overlap``.

    Raises ``UnknownEndpointError``.
    """
    endpoint = await _lock(session, endpoint_id)
    old = WebhookSecret.endpoint_id == endpoint.id
    await session.execute(
        update(WebhookSecret)
        .where(old)
        # PostgreSQL's least passes over NULL, which the current secret has.
        .values(expires_at=func.least(WebhookSecret.expires_at, now + overlap))
        .execution_options(synchronize_session=False)
    )
    await forget_expired_secrets(session, now=now)
    secret = new_secret()
    session.add(WebhookSecret(endpoint_id=endpoint.id, secret=keyring.encrypt(secret)))
    await session.flush()
    return secret


async def forget_expired_secrets(session: AsyncSession, *, now: datetime) -> None:
    """Delete what no longer signs."""
    await session.execute(
        delete(WebhookSecret)
        .where(WebhookSecret.expires_at <= now)
        .execution_options(synchronize_session=False)
    )


async def delete_endpoint(session: AsyncSession, endpoint_id: UUID, *, now: datetime) -> None:
    """Disable an endpoint for good and forget its secrets; the log still shows what it was sent.

    Raises ``UnknownEndpointError``.
    """
    await change_endpoint(session, endpoint_id, Changes(enabled=False))
    endpoint = await _lock(session, endpoint_id)
    endpoint.deleted_at = now
    await session.execute(delete(WebhookSecret).where(WebhookSecret.endpoint_id == endpoint_id))
    await session.flush()


async def _lock(session: AsyncSession, endpoint_id: UUID) -> WebhookEndpoint:
    # Without the key: who publishes to the endpoint meanwhile does not wait.
    lock = {"key_share": True}
    endpoint = await session.get(WebhookEndpoint, endpoint_id, with_for_update=lock)
    if endpoint is None or endpoint.deleted_at is not None:
        raise UnknownEndpointError(endpoint_id)
    return endpoint


def _events(events: Sequence[str]) -> list[str]:
    for event in events:
        if event not in set(EventType):
            raise UnknownEventError(event)
    return sorted(set(events))


def _name(name: str) -> str:
    if len(name) > LONGEST_NAME or not name.isprintable() or is_blank(name):
        raise InvalidNameError(LONGEST_NAME)
    return name
