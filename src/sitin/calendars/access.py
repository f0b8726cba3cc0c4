"""Access tokens of connections: kept, refreshed in time, never refreshed by two at once.

Used within calendars. Whoever refreshes holds the row of the credentials while it asks the
provider, so that a rotated refresh token is stored before anybody uses the old one again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from sitin.calendars.models import Credentials
from sitin.contract.calendars import (
    Access,
    AccessRefusedError,
    CalendarPlatform,
    CalendarProvider,
    ConnectionStatus,
    OAuthGrant,
    TokenExpiredError,
)
from sitin.contract.failures import RetriableError
from sitin.kit.clock import Clock
from sitin.kit.crypto import Keyring
from sitin.kit.database import Database

EARLY = timedelta(minutes=4)
"""An access token is replaced so long before it ends, as Google's own client does (3 min 45 s)."""

PATIENCE = timedelta(seconds=8)
"""For a refresh. Whoever needs the row meanwhile waits for ten seconds (``kit.database``)."""

T = TypeVar("T")


class Tokens:
    """The access tokens of all connections."""

    def __init__(
        self,
        *,
        database: Database,
        keyring: Keyring,
        providers: Mapping[CalendarPlatform, CalendarProvider],
        clock: Clock,
        patience: timedelta = PATIENCE,
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._providers = providers
        self._clock = clock
        self._patience = patience.total_seconds()

    def sealed(self, connection_id: UUID, grant: OAuthGrant, access: Access) -> Credentials:
        """The row for credentials that have just proven good."""
        return Credentials(
            connection_id=connection_id,
            client_id=self._keyring.encrypt(grant.client_id),
            client_secret=self._keyring.encrypt(grant.client_secret),
            refresh_token=self._keyring.encrypt(access.refresh_token or grant.refresh_token),
            tenant_id=self._keyring.encrypt(grant.tenant_id),
            access_token=self._keyring.encrypt(access.text),
            access_expires_at=access.expires_at,
        )

    def grant_of(self, row: Credentials) -> OAuthGrant:
        """The credentials in the clear."""
        return OAuthGrant(
            client_id=self._keyring.decrypt(row.client_id),
            client_secret=self._keyring.decrypt(row.client_secret),
            refresh_token=self._keyring.decrypt(row.refresh_token),
            tenant_id=self._keyring.decrypt(row.tenant_id),
        )

    async def access(
        self, connection_id: UUID, platform: CalendarPlatform, *, not_this: str | None = None
    ) -> str:
        """An access token that is good for some minutes; refreshed when there is none.

        Raises ``AccessRefusedError`` and ``RetriableError``, and ``LookupError`` when the
        connection is gone.

        Args:
            not_this: A token that the provider has just refused.
        """
        # Not cut short: what the provider answers has to be stored, or the next one knows less.
        return await asyncio.shield(self._access(connection_id, platform, not_this))

    async def _access(
        self, connection_id: UUID, platform: CalendarPlatform, not_this: str | None
    ) -> str:
        async with self._database.transaction() as session:
            row = await self._hold(session, connection_id)
            if row.access_token is not None and self._is_good(row):
                text = self._keyring.decrypt(row.access_token)
                if text != not_this:
                    return text
            try:
                async with asyncio.timeout(self._patience):
                    fresh = await self._providers[platform].refresh(self.grant_of(row))
            except TimeoutError as error:
                raise RetriableError("The provider did not renew the access in time.") from error
            row.access_token = self._keyring.encrypt(fresh.text)
            row.access_expires_at = fresh.expires_at
            if fresh.refresh_token is not None:
                row.refresh_token = self._keyring.encrypt(fresh.refresh_token)
            return fresh.text

    async def refresh(self, connection_id: UUID, platform: CalendarPlatform) -> str:
        """Find out now whether the credentials are good. Raises as ``access``."""
        async with self._database.transaction() as session:
            row = await self._hold(session, connection_id)
            known = None if row.access_token is None else self._keyring.decrypt(row.access_token)
        return await self.access(connection_id, platform, not_this=known)

    async def using(
        self,
        connection_id: UUID,
        platform: CalendarPlatform,
        ask: Callable[[str], Awaitable[T]],
    ) -> T:
        """Ask with an access token; with a new one, once, when the provider takes it for old."""
        token = await self.access(connection_id, platform)
        try:
            return await ask(token)
        except TokenExpiredError:
            token = await self.access(connection_id, platform, not_this=token)
        try:
            return await ask(token)
        except TokenExpiredError as error:
            raise AccessRefusedError(
                "The provider refuses an access token that it has just given; connect the "
                "calendar again.",
                status=ConnectionStatus.ERROR,
            ) from error

    def _is_good(self, row: Credentials) -> bool:
        return (
            row.access_expires_at is not None and row.access_expires_at - EARLY > self._clock.now()
        )

    async def _hold(self, session: AsyncSession, connection_id: UUID) -> Credentials:
        query = (
            select(Credentials)
            .where(Credentials.connection_id == connection_id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        row = (await session.scalars(query)).one_or_none()
        if row is None:
            raise LookupError(f"connection {connection_id} is gone")
        return row

    async def replace(
        self, session: AsyncSession, connection_id: UUID, changes: Mapping[str, Any]
    ) -> OAuthGrant:
        """The grant that these changes would make; nothing is stored."""
        return _changed(self.grant_of(await self._hold(session, connection_id)), changes)

    async def rotated(self, connection_id: UUID, used: OAuthGrant, fresh: Access) -> None:
        """Keep the refresh token that takes the stored one's place, whatever else comes of it."""
        if fresh.refresh_token is None:
            return
        async with self._database.transaction() as session:
            row = await self._hold(session, connection_id)
            if self._keyring.decrypt(row.refresh_token) == used.refresh_token:
                row.refresh_token = self._keyring.encrypt(fresh.refresh_token)

    async def store(
        self, session: AsyncSession, connection_id: UUID, grant: OAuthGrant, access: Access
    ) -> None:
        """Store credentials that have proven good, in the caller's transaction."""
        row = await self._hold(session, connection_id)
        fresh = self.sealed(connection_id, grant, access)
        for name in _STORED:
            setattr(row, name, getattr(fresh, name))


_STORED = (
    "client_id",
    "client_secret",
    "refresh_token",
    "tenant_id",
    "access_token",
    "access_expires_at",
)


def _changed(grant: OAuthGrant, changes: Mapping[str, Any]) -> OAuthGrant:
    return OAuthGrant(
        client_id=changes.get("oauth_client_id", grant.client_id),
        client_secret=changes.get("oauth_client_secret", grant.client_secret),
        refresh_token=changes.get("oauth_refresh_token", grant.refresh_token),
        tenant_id=changes.get("oauth_tenant_id", grant.tenant_id),
    )
