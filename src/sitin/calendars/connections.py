"""What the API does with connections to calendars. Used by the routes.

Providers are asked between transactions, never in one: whatever they refuse leaves nothing behind.
A method that takes a ``Transaction`` opens it for the change itself, after the provider's answer.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from sitin.accounts.idempotency import IdempotencyStore
from sitin.accounts.ledger import Ledger
from sitin.accounts.service import Caller
from sitin.bots.scheduled.for_events import EventBots
from sitin.calendars import schemas, store
from sitin.calendars.access import Tokens
from sitin.calendars.errors import (
    CalendarExistsError,
    CalendarNotFoundError,
    ConnectionLimitError,
    ProviderUnavailableError,
    refusal_of,
)
from sitin.calendars.models import Connection, Event
from sitin.calendars.requests import (
    CreateCalendarConnectionRequestBody,
    ListRawCalendarsRequestBody,
    OAuthBody,
    UpdateCalendarConnectionRequestBody,
)
from sitin.calendars.statuses import Statuses
from sitin.calendars.subscriptions import Subscriptions
from sitin.calendars.tasks import SubscribeCalendar, SyncCalendar
from sitin.calendars.telling import Telling
from sitin.contract.calendars import (
    Access,
    AccessRefusedError,
    CalendarPlatform,
    CalendarProvider,
    ConnectionStatus,
    OAuthGrant,
    RawCalendar,
    TokenExpiredError,
    UnreadableAnswerError,
)
from sitin.contract.failures import ActionRequiredError, RetriableError
from sitin.jobs.interface import JobQueue
from sitin.kit.clock import Clock
from sitin.kit.database import Database, Transaction
from sitin.kit.ids import new_id
from sitin.kit.paging import Cursor, Page

T = TypeVar("T")


class Connections:
    """The connections of all teams."""

    def __init__(
        self,
        *,
        database: Database,
        providers: Mapping[CalendarPlatform, CalendarProvider],
        tokens: Tokens,
        subscriptions: Subscriptions,
        statuses: Statuses,
        telling: Telling,
        bots: EventBots,
        idempotency: IdempotencyStore,
        ledger: Ledger,
        jobs: JobQueue,
        clock: Clock,
    ) -> None:
        self._database = database
        self._providers = providers
        self._tokens = tokens
        self._subscriptions = subscriptions
        self._statuses = statuses
        self._telling = telling
        self._bots = bots
        self._idempotency = idempotency
        self._ledger = ledger
        self._jobs = jobs
        self._clock = clock

    # Providers

    async def list_raw(self, body: ListRawCalendarsRequestBody) -> list[RawCalendar]:
        """The calendars that credentials can read.

        Raises ``AccessTokenError``, ``AccessDeniedError`` or ``ProviderUnavailableError``.
        """
        provider = self._providers[body.calendar_platform]

        async def ask() -> list[RawCalendar]:
            access = await provider.refresh(_grant(body))
            return list(await provider.calendars(access.text))

        return await _asking(ask)

    async def create(
        self,
        transaction: Transaction,
        caller: Caller,
        body: CreateCalendarConnectionRequestBody,
    ) -> Connection:
        """Connect a calendar; its events follow.

        Raises as ``list_raw``, and ``RawCalendarNotFoundError``, ``ConnectionLimitError`` or
        ``CalendarExistsError``.
        """
        provider, grant = self._providers[body.calendar_platform], _grant(body)

        async def ask() -> tuple[Access, RawCalendar, str]:
            access = await provider.refresh(grant)
            raw = await provider.calendar(access.text, body.raw_calendar_id)
            return access, raw, await provider.account_email(access.text)

        access, raw, email = await _asking(ask)
        now = self._clock.now()
        connection = Connection(
            id=new_id(),
            team_id=caller.team_id,
            platform=body.calendar_platform,
            raw_calendar_id=raw.id,
            account_email=email,
            provider_metadata={
                "name": raw.name,
                "email": raw.email,
                "is_primary": raw.is_primary,
                "time_zone": raw.time_zone,
            },
            status=ConnectionStatus.ACTIVE,
            listing_wanted=True,
            failures=0,
            created_at=now,
            updated_at=now,
        )
        try:
            async with transaction() as session:
                await self._check_limit(session, caller)
                session.add(connection)
                await session.flush()
                session.add(self._tokens.sealed(connection.id, grant, access))
                await self._telling.connected(session, connection)
                await self._want_sync(session, connection)
                await self._want_subscription(session, connection)
        except IntegrityError:
            raise CalendarExistsError from None
        return connection

    async def _check_limit(self, session: AsyncSession, caller: Caller) -> None:
        limit = caller.plan.calendar_connections
        if limit is None:
            return
        # Two at once of the last one that is allowed are told apart by the team's lock.
        await self._ledger.lock(session, caller.team_id)
        if await store.count(session, caller.team_id) >= limit:
            raise ConnectionLimitError(caller.plan.name, limit)

    async def update(
        self,
        transaction: Transaction,
        caller: Caller,
        connection_id: UUID,
        body: UpdateCalendarConnectionRequestBody,
    ) -> Connection:
        """Give a connection other credentials, once they have proven good.

        When they prove bad, the connection says so until its next sync, and keeps the old ones.
        Raises ``CalendarNotFoundError``, and as ``create``.
        """
        async with self._database.transaction() as session:
            connection = await self._found(session, caller, connection_id)
            grant = await self._tokens.replace(session, connection.id, body.given())
        provider = self._providers[CalendarPlatform(connection.platform)]

        async def ask() -> Access:
            access = await provider.refresh(grant)
            await self._tokens.rotated(connection_id, grant, access)
            await provider.calendar(access.text, connection.raw_calendar_id)
            return access

        try:
            access = await _asking(ask, keep=True)
        except AccessRefusedError as error:
            await self._note_refusal(caller, connection_id, error, as_error=True)
            raise refusal_of(error) from error
        async with transaction() as session:
            connection = await self._found(session, caller, connection_id, lock=True)
            await self._tokens.store(session, connection.id, grant, access)
            connection.status, connection.status_message = ConnectionStatus.ACTIVE, None
            connection.failures = 0
            connection.listing_wanted = True
            connection.updated_at = self._clock.now()
            await self._telling.status_changed(session, connection)
            await self._want_sync(session, connection)
            await self._want_subscription(session, connection, anew=True)
        return connection

    async def sync(self, transaction: Transaction, caller: Caller, connection_id: UUID) -> None:
        """Have the whole window listed, once the credentials have proven good.

        Raises ``CalendarNotFoundError``, ``AccessTokenError``, ``AccessDeniedError`` or
        ``ProviderUnavailableError``.
        """
        await self._prove(caller, connection_id)
        async with transaction() as session:
            connection = await self._found(session, caller, connection_id, lock=True)
            connection.listing_wanted = True
            await self._want_sync(session, connection)

    async def resubscribe(
        self, transaction: Transaction, caller: Caller, connection_id: UUID
    ) -> None:
        """Have another subscription made, once the credentials have proven good.

        Raises as ``sync``.
        """
        await self._prove(caller, connection_id)
        async with transaction() as session:
            connection = await self._found(session, caller, connection_id, lock=True)
            await self._want_subscription(session, connection, anew=True)

    async def _prove(self, caller: Caller, connection_id: UUID) -> None:
        async with self._database.transaction() as session:
            connection = await self._found(session, caller, connection_id)

        async def ask() -> str:
            platform = CalendarPlatform(connection.platform)
            return await self._tokens.refresh(connection.id, platform)

        try:
            await _asking(ask, keep=True)
        except AccessRefusedError as error:
            await self._note_refusal(caller, connection_id, error)
            raise refusal_of(error) from error
        except ProviderUnavailableError as error:
            if isinstance(error.__cause__, UnreadableAnswerError):
                nonsense = AccessRefusedError(
                    error.__cause__.message, status=ConnectionStatus.ERROR
                )
                await self._note_refusal(caller, connection_id, nonsense)
            raise
        except LookupError:
            raise CalendarNotFoundError(connection_id) from None

    async def _note_refusal(
        self,
        caller: Caller,
        connection_id: UUID,
        error: AccessRefusedError,
        *,
        as_error: bool = False,
    ) -> None:
        """Have the connection say what the provider said.

        ``as_error`` for credentials that it does not have: those that it has may be good, which a
        sync finds out; not where they are known to be bad, so that nobody asks with them.
        """
        status = ConnectionStatus.ERROR if as_error else error.status
        async with self._database.transaction() as session:
            connection = await self._found(session, caller, connection_id, lock=True)
            await self._statuses.become(session, connection, status, error.message)
            if as_error and connection.next_sync_at is not None:
                await self._want_sync(session, connection)

    # Rows

    async def page(
        self,
        session: AsyncSession,
        caller: Caller,
        which: store.ConnectionFilter,
        *,
        limit: int,
        cursor: Cursor | None,
    ) -> Page[Connection]:
        """A page of the team's connections, newest first. Raises ``CursorError``."""
        return await store.page_of_connections(
            session, caller.team_id, which, limit=limit, cursor=cursor
        )

    async def details(
        self, session: AsyncSession, caller: Caller, connection_id: UUID
    ) -> schemas.ConnectionDetails:
        """All about a connection. Raises ``CalendarNotFoundError``."""
        connection = await self._found(session, caller, connection_id)
        channels = await store.channels(session, connection.id, "active")
        channel = channels[0] if channels else None
        return schemas.ConnectionDetails(
            calendar_id=connection.id,
            calendar_platform=CalendarPlatform(connection.platform),
            account_email=connection.account_email,
            status=ConnectionStatus(connection.status),
            status_message=connection.status_message,
            subscription_id=None if channel is None else channel.subscription_id,
            subscription_expires_at=None if channel is None else channel.expires_at,
            synced_at=connection.synced_at,
            sync_status=connection.sync_status,
            sync_error=connection.sync_error,
            provider_metadata=connection.provider_metadata,
            created_at=connection.created_at,
            updated_at=connection.updated_at,
        )

    async def delete(self, session: AsyncSession, caller: Caller, connection_id: UUID) -> None:
        """Disconnect a calendar; bots that have not gone do not go. Raises as ``details``."""
        connection = await self._found(session, caller, connection_id, lock=True)
        events = (
            await session.scalars(select(Event.id).where(Event.connection_id == connection.id))
        ).all()
        await self._bots.cancel_all(session, events)
        await self._subscriptions.let_all_end(session, connection)
        await self._telling.disconnected(session, connection, at=self._clock.now())
        await session.delete(connection)
        await session.flush()
        await self._idempotency.redact(session, connection_id)

    async def _found(
        self, session: AsyncSession, caller: Caller, connection_id: UUID, *, lock: bool = False
    ) -> Connection:
        connection = await store.get(session, caller.team_id, connection_id, lock=lock)
        if connection is None:
            raise CalendarNotFoundError(connection_id)
        return connection

    async def _want_sync(self, session: AsyncSession, connection: Connection) -> None:
        await session.flush()
        # Somebody asks for it: one that failed and waits to be tried again is not waited for.
        await self._jobs.enqueue(
            session,
            SyncCalendar(connection_id=connection.id),
            key=str(connection.id),
            expedite=True,
        )

    async def _want_subscription(
        self, session: AsyncSession, connection: Connection, *, anew: bool = False
    ) -> None:
        await self._jobs.enqueue(
            session,
            SubscribeCalendar(connection_id=connection.id, anew=anew),
            key=f"{connection.id}:{'anew' if anew else 'keep'}",
        )


def _grant(body: OAuthBody) -> OAuthGrant:
    return OAuthGrant(
        client_id=body.oauth_client_id,
        client_secret=body.oauth_client_secret,
        refresh_token=body.oauth_refresh_token,
        tenant_id=body.oauth_tenant_id,
    )


async def _asking(ask: Callable[[], Awaitable[T]], *, keep: bool = False) -> T:
    """Ask a provider, and say its refusals as the API does; with ``keep`` the first kind passes."""
    try:
        return await ask()
    except AccessRefusedError as error:
        if keep:
            raise
        raise refusal_of(error) from error
    except TokenExpiredError as error:
        refused = AccessRefusedError(error.message, status=ConnectionStatus.ERROR)
        raise refusal_of(refused) from error
    except (RetriableError, ActionRequiredError) as error:
        raise ProviderUnavailableError(error.message) from error
