"""Has providers push notices: subscribes, renews in time, replaces, ends. Run as jobs.

A channel is written before the provider is asked, because its first notice may come before its
answer. What replaces a channel is made before the old one ends; what changed before it was made is
asked for once it is, so that no change falls between.
Where a provider will not push, the calendar is polled; it is asked again with every new day.
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncSession

from sitin.calendars import store
from sitin.calendars.access import Tokens
from sitin.calendars.models import Channel, Connection, Credentials
from sitin.calendars.statuses import Statuses
from sitin.calendars.tasks import EndChannel, SubscribeCalendar, SyncCalendar
from sitin.contract.calendars import (
    AccessRefusedError,
    CalendarPlatform,
    CalendarProvider,
    ConnectionStatus,
    PushRefusedError,
    Subscription,
    SubscriptionGoneError,
    SubscriptionOrder,
    TokenExpiredError,
    UnreadableAnswerError,
)
from sitin.contract.failures import ActionRequiredError, RetriableError
from sitin.jobs.interface import JobHandler, JobQueue, RetryLaterError, Task
from sitin.kit.clock import Clock
from sitin.kit.crypto import Keyring
from sitin.kit.database import Database
from sitin.kit.ids import new_id

ROUTE = "/calendar-notifications"
"""Where providers push to, below the public address; the platform's name follows."""

RENEW_AFTER = 2 / 3
"""Of its time, after which a subscription is renewed: Microsoft's three days after two."""

_ASK_AGAIN = timedelta(minutes=1)
_ASK_AGAIN_AFTER_NONSENSE = timedelta(minutes=10)

CHANNELS = Counter(
    "sitin_calendar_channels_total",
    "Subscriptions at providers, by what became of them.",
    ["outcome"],
)

log = structlog.get_logger(__name__)


class Subscriptions:
    """Handles ``SubscribeCalendar`` and ``EndChannel``."""

    def __init__(
        self,
        *,
        database: Database,
        providers: Mapping[CalendarPlatform, CalendarProvider],
        tokens: Tokens,
        statuses: Statuses,
        keyring: Keyring,
        jobs: JobQueue,
        clock: Clock,
        public_url: str,
    ) -> None:
        self._database = database
        self._providers = providers
        self._tokens = tokens
        self._statuses = statuses
        self._keyring = keyring
        self._jobs = jobs
        self._clock = clock
        self._public_url = public_url.rstrip("/")

    def handlers(self) -> list[JobHandler[Any]]:
        """For the worker."""
        return [JobHandler(SubscribeCalendar, self.subscribe), JobHandler(EndChannel, self.end)]

    # Subscribing

    async def subscribe(self, job: SubscribeCalendar) -> None:
        """See that a connection has a channel for a while to come. Raises ``RetryLaterError``."""
        async with self._database.transaction() as session:
            connection = await session.get(Connection, job.connection_id)
            if connection is None:
                return
            active = await store.channels(session, connection.id, "active")
        if active and not (job.renewed or job.anew):
            return
        try:
            renews = self._provider(connection).capabilities.renews_in_place
            if active and renews and not job.anew:
                await self._renew(connection, active[0])
            else:
                await self._replace(connection)
        except PushRefusedError as error:
            CHANNELS.labels("refused").inc()
            log.info("calendar_push_refused", calendar_id=str(connection.id), reason=error.message)
        except AccessRefusedError as error:
            await self._refused(connection, error)
        except UnreadableAnswerError as error:
            # Told like nonsense that a sync gets; the next sync finds out whether it can be read.
            CHANNELS.labels("unreadable").inc()
            refused = AccessRefusedError(error.message, status=ConnectionStatus.ERROR)
            await self._refused(connection, refused)
            raise RetryLaterError(_ASK_AGAIN_AFTER_NONSENSE) from error
        except RetriableError as error:
            raise RetryLaterError(_wait(error)) from error
        except ActionRequiredError as error:
            log.warning(
                "calendar_not_subscribed", calendar_id=str(connection.id), reason=error.message
            )
        except LookupError:
            log.info("calendar_gone", calendar_id=str(job.connection_id))

    async def _renew(self, connection: Connection, channel: Channel) -> None:
        provider = self._provider(connection)
        subscription = _subscription(channel)
        until = self._clock.now() + timedelta(seconds=provider.capabilities.longest_subscription)

        async def ask(access: str) -> Subscription:
            return await provider.renew(access, subscription, expires_at=until)

        try:
            renewed = await self._using(connection, ask)
        except SubscriptionGoneError:
            await self._replace(connection)
            # Nobody pushed since it has gone.
            await self._want_listing(connection.id)
            return
        async with self._database.transaction() as session:
            row = await session.get(Channel, channel.id, with_for_update=True)
            if row is not None:
                self._take(row, renewed)
        CHANNELS.labels("renewed").inc()

    async def _replace(self, connection: Connection) -> None:
        """Make a channel, then let those before it end."""
        provider = self._provider(connection)
        now = self._clock.now()
        secret = secrets.token_urlsafe(32)
        until = now + timedelta(seconds=provider.capabilities.longest_subscription)
        channel = Channel(
            id=new_id(),
            connection_id=connection.id,
            platform=connection.platform,
            state="asked",
            secret_hash=hash_of(secret),
            expires_at=until,
            created_at=now,
        )
        async with self._database.transaction() as session:
            session.add(channel)
        order = SubscriptionOrder(
            channel_id=channel.id,
            address=f"{self._public_url}{ROUTE}/{connection.platform}",
            secret=secret,
            expires_at=until,
        )

        async def ask(access: str) -> Subscription:
            return await provider.subscribe(access, connection.raw_calendar_id, order)

        try:
            made = await self._using(connection, ask)
        except (PushRefusedError, AccessRefusedError):
            await self._forget(channel.id)
            raise
        await self._note_made(connection.id, channel.id, made)
        CHANNELS.labels("made").inc()

    async def _note_made(self, connection_id: UUID, channel_id: UUID, made: Subscription) -> None:
        async with self._database.transaction() as session:
            others = await store.channels(session, connection_id, "active", "asked", lock=True)
            row = await session.get(Channel, channel_id, with_for_update=True)
            if row is None:
                return
            self._take(row, made)
            if row.state == "ending":
                # Meanwhile the connection was deleted, or another channel was made for it.
                await self._jobs.cancel(session, Task.END_CALENDAR_CHANNEL, key=str(row.id))
                await self.let_end(session, row)
                return
            row.state = "active"
            for other in others:
                if other.id != row.id:
                    await self.let_end(session, other)
            # Nobody was told of what changed until now.
            await self._want_sync(session, connection_id)

    def _take(self, channel: Channel, subscription: Subscription) -> None:
        now = self._clock.now()
        channel.subscription_id = subscription.id
        channel.resource_id = subscription.resource_id
        channel.expires_at = subscription.expires_at
        channel.renew_at = now + (subscription.expires_at - now) * RENEW_AFTER

    async def _forget(self, channel_id: UUID) -> None:
        async with self._database.transaction() as session:
            row = await session.get(Channel, channel_id)
            if row is not None:
                await session.delete(row)

    async def _want_listing(self, connection_id: UUID) -> None:
        async with self._database.transaction() as session:
            connection = await session.get(Connection, connection_id)
            if connection is not None:
                connection.listing_wanted = True
                await self._want_sync(session, connection_id)

    async def _want_sync(self, session: AsyncSession, connection_id: UUID) -> None:
        await self._jobs.enqueue(
            session, SyncCalendar(connection_id=connection_id), key=str(connection_id)
        )

    async def _refused(self, connection: Connection, error: AccessRefusedError) -> None:
        async with self._database.transaction() as session:
            held = await store.get(session, connection.team_id, connection.id, lock=True)
            if held is not None:
                await self._statuses.become(session, held, error.status, error.message)

    # Ending

    async def let_end(self, session: AsyncSession, channel: Channel) -> None:
        """Have a channel ended, as soon as the provider lets us."""
        channel.state, channel.renew_at = "ending", None
        await session.flush()
        await self._jobs.enqueue(session, EndChannel(channel_id=channel.id), key=str(channel.id))

    async def let_all_end(self, session: AsyncSession, connection: Connection) -> None:
        """The same for all of a connection that is about to be deleted, credentials and all."""
        row = await session.get(Credentials, connection.id)
        for channel in await store.channels(
            session, connection.id, "active", "asked", "ending", lock=True
        ):
            channel.credentials = None if row is None else _kept(row)
            channel.connection_id = None
            await self.let_end(session, channel)

    async def end(self, job: EndChannel) -> None:
        """End a channel at the provider, or find that it has ended. Raises ``RetryLaterError``."""
        async with self._database.transaction() as session:
            channel = await session.get(Channel, job.channel_id)
        if channel is None or channel.state != "ending":
            return
        if channel.expires_at <= self._clock.now():
            await self._forget(channel.id)
            return
        if channel.subscription_id is None:
            # Its maker has died or is still asking; a subscription nobody knows ends by itself.
            raise RetryLaterError(channel.expires_at - self._clock.now())
        try:
            await self._unsubscribe(channel)
        except AccessRefusedError:
            # It stays on record, and can be ended once the credentials are good again.
            raise RetryLaterError(
                min(timedelta(hours=6), channel.expires_at - self._clock.now())
            ) from None
        except RetriableError as error:
            raise RetryLaterError(_wait(error)) from error
        except ActionRequiredError as error:
            log.warning("calendar_channel_left", channel=str(channel.id), reason=error.message)
            raise RetryLaterError(timedelta(hours=6)) from error
        await self._forget(channel.id)
        CHANNELS.labels("ended").inc()

    async def _unsubscribe(self, channel: Channel) -> None:
        platform = CalendarPlatform(channel.platform)
        provider, subscription = self._providers[platform], _subscription(channel)
        if channel.connection_id is not None:
            await self._tokens.using(
                channel.connection_id,
                platform,
                lambda access: provider.unsubscribe(access, subscription),
            )
            return
        if channel.credentials is None:
            return
        row = Credentials(connection_id=channel.id, **_read(channel.credentials))
        if row.access_token is not None:
            # Good until it ends, even when the grant has been revoked since.
            try:
                access = self._keyring.decrypt(row.access_token)
                await provider.unsubscribe(access, subscription)
            except TokenExpiredError:
                pass
            else:
                return
        fresh = await provider.refresh(self._tokens.grant_of(row))
        await provider.unsubscribe(fresh.text, subscription)

    async def _using(self, connection: Connection, ask: Any) -> Subscription:
        made: Subscription = await self._tokens.using(
            connection.id, CalendarPlatform(connection.platform), ask
        )
        return made

    def _provider(self, connection: Connection) -> CalendarProvider:
        return self._providers[CalendarPlatform(connection.platform)]


def hash_of(secret: str) -> str:
    """What is stored of a channel's secret; it is random, so that a plain digest will do."""
    return hashlib.sha256(secret.encode()).hexdigest()


def proves(channel: Channel, secret: str) -> bool:
    """Whether a notice is from whoever was given the channel's secret; in constant time."""
    return hmac.compare_digest(channel.secret_hash, hash_of(secret))


def _subscription(channel: Channel) -> Subscription:
    assert channel.subscription_id is not None
    return Subscription(channel.subscription_id, channel.resource_id, channel.expires_at)


def _kept(row: Credentials) -> dict[str, Any]:
    return {
        "client_id": row.client_id,
        "client_secret": row.client_secret,
        "refresh_token": row.refresh_token,
        "tenant_id": row.tenant_id,
        "access_token": row.access_token,
    }


def _read(credentials: Mapping[str, Any]) -> dict[str, Any]:
    return dict(credentials)


def _wait(error: RetriableError) -> timedelta:
    return _ASK_AGAIN if error.after is None else timedelta(seconds=error.after)
