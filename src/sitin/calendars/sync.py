"""Brings what is stored of a calendar up to what the provider says. Run as a job, and again.

A sync has the calendar for itself (a lease on its row, renewed while the provider is asked), asks
everything it needs without a transaction, and then writes all of it in one. Whatever goes wrong
before that leaves the calendar as it was.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from prometheus_client import Counter, Histogram
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from sitin.calendars import store
from sitin.calendars.access import Tokens
from sitin.calendars.comparing import (
    Findings,
    Window,
    findings_of_changes,
    findings_of_listing,
)
from sitin.calendars.errors import SyncOvertakenError
from sitin.calendars.models import Connection
from sitin.calendars.statuses import Statuses
from sitin.calendars.subscriptions import Subscriptions
from sitin.calendars.tasks import SubscribeCalendar, SyncCalendar
from sitin.calendars.writing import Writing
from sitin.contract.calendars import (
    AccessRefusedError,
    CalendarGoneError,
    CalendarPlatform,
    CalendarProvider,
    Changes,
    ConnectionStatus,
    CursorExpiredError,
    Listing,
    ProviderEvent,
    UnreadableAnswerError,
)
from sitin.contract.failures import ActionRequiredError, RetriableError
from sitin.jobs.interface import JobHandler, JobQueue, RetryLaterError
from sitin.kit.clock import Clock
from sitin.kit.database import Database

WINDOW = timedelta(days=30)
"""How far ahead events are kept up with."""

LEASE = timedelta(minutes=2)
RENEW_EVERY = timedelta(seconds=30)
LIST_EVERY = timedelta(days=1)
"""So often the whole window is listed, whatever the cursors say."""

FIRST_RETRY = timedelta(seconds=10)
"""After a failure; after each further one twice as long."""

MOST_FAILURES = 5
"""Failures in a row that may pass until the connection says ``error``."""

_GROWN_BY = timedelta(minutes=1)
"""The window's far end is moved on in steps of at least this."""

_BUSY = timedelta(seconds=2)
_LONGEST_RETRY = timedelta(minutes=30)
_CONCURRENCY = 10

SYNCS = Counter("sitin_calendar_syncs_total", "Syncs of calendars.", ["kind", "outcome"])
SECONDS = Histogram("sitin_calendar_sync_seconds", "How long syncs took.", ["kind"])

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """How often calendars are synced though nobody says that they changed."""

    with_push: timedelta = timedelta(hours=1)
    """For events that enter the window, and for notices that were lost."""
    without_push: timedelta = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the provider said."""

    window: Window
    listing: Listing | None
    """Set when the whole window was listed, else the two below."""
    changes: Changes | None = None
    grown: tuple[ProviderEvent, ...] = ()

    @property
    def kind(self) -> str:
        return "listing" if self.listing is not None else "changes"


class Sync:
    """Handles ``SyncCalendar``."""

    def __init__(
        self,
        *,
        database: Database,
        providers: Mapping[CalendarPlatform, CalendarProvider],
        tokens: Tokens,
        writing: Writing,
        statuses: Statuses,
        subscriptions: Subscriptions,
        jobs: JobQueue,
        clock: Clock,
        pace: Pace,
    ) -> None:
        self._database = database
        self._providers = providers
        self._tokens = tokens
        self._writing = writing
        self._statuses = statuses
        self._subscriptions = subscriptions
        self._jobs = jobs
        self._clock = clock
        self._pace = pace

    def handler(self) -> JobHandler[SyncCalendar]:
        """For the worker."""
        return JobHandler(SyncCalendar, self.run, concurrency=_CONCURRENCY)

    async def run(self, job: SyncCalendar) -> None:
        """Sync once. Raises ``RetryLaterError`` when it has to be done again later."""
        async with self._database.transaction() as session:
            connection = await store.begin_sync(session, job.connection_id, lease=LEASE)
            if connection is None:
                await self._wait_for_another(session, job.connection_id)
                return
            self._be_patient(connection)
        try:
            await self._sync(connection)
        except SyncOvertakenError:
            log.warning("calendar_sync_overtaken", calendar_id=str(connection.id))
        except LookupError:
            log.info("calendar_gone_during_sync", calendar_id=str(connection.id))

    async def _wait_for_another(self, session: AsyncSession, connection_id: UUID) -> None:
        if await session.get(Connection, connection_id) is not None:
            raise RetryLaterError(_BUSY)

    def _be_patient(self, connection: Connection) -> None:
        """Whoever wants the sync, it waits as long as the provider has asked."""
        now = self._clock.now()
        if connection.patient_until is not None and connection.patient_until > now:
            raise RetryLaterError(connection.patient_until - now)

    async def _sync(self, connection: Connection) -> None:
        try:
            async with self._having(connection):
                asked = await self._ask(connection)
            with SECONDS.labels(asked.kind).time():
                await self._write(connection, asked)
        except AccessRefusedError as error:
            gone = isinstance(error, CalendarGoneError)
            await self._refused(connection, error.status, error.message, gone=gone)
        except UnreadableAnswerError as error:
            await self._failed(connection, error, at_once=True)
        except RetriableError as error:
            await self._failed(connection, error)
        except ActionRequiredError as error:
            await self._refused(connection, ConnectionStatus.ERROR, error.message)
        else:
            SYNCS.labels(asked.kind, "done").inc()

    @asynccontextmanager
    async def _having(self, connection: Connection) -> AsyncIterator[None]:
        """Renew the lease for as long as the provider is being asked."""
        assert connection.sync_token is not None
        token = connection.sync_token

        async def renew() -> None:
            while True:
                await asyncio.sleep(RENEW_EVERY.total_seconds())
                with contextlib.suppress(SQLAlchemyError, OSError):
                    async with self._database.transaction() as session:
                        await store.renew_sync(session, connection.id, token, lease=LEASE)

        renewing = asyncio.create_task(renew())
        try:
            yield
        finally:
            renewing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await renewing

    # Asking

    async def _ask(self, connection: Connection) -> _Asked:
        platform = CalendarPlatform(connection.platform)

        async def ask(access: str) -> _Asked:
            return await self._ask_with(self._providers[platform], access, connection)

        return await self._tokens.using(connection.id, platform, ask)

    async def _ask_with(
        self, provider: CalendarProvider, access: str, connection: Connection
    ) -> _Asked:
        now = self._clock.now()
        if not self._wants_listing(connection, now):
            with contextlib.suppress(CursorExpiredError):
                return await self._ask_changes(provider, access, connection, now)
        window = Window(now, now + WINDOW)
        listing = await provider.window(
            access, connection.raw_calendar_id, start=window.start, end=window.end
        )
        return _Asked(window, listing)

    def _wants_listing(self, connection: Connection, now: datetime) -> bool:
        if connection.listing_wanted or connection.cursor is None or connection.listed_at is None:
            return True
        if connection.covers_until is not None and now + WINDOW > connection.covers_until:
            return True
        return now - connection.listed_at > LIST_EVERY

    async def _ask_changes(
        self, provider: CalendarProvider, access: str, connection: Connection, now: datetime
    ) -> _Asked:
        assert connection.cursor is not None
        assert connection.window_end is not None
        changes = await provider.changes(
            access, connection.raw_calendar_id, cursor=connection.cursor
        )
        end = connection.window_end
        grown: tuple[ProviderEvent, ...] = ()
        if now + WINDOW - end >= _GROWN_BY:
            grown = tuple(
                await provider.between(
                    access, connection.raw_calendar_id, start=end, end=now + WINDOW
                )
            )
            end = now + WINDOW
        return _Asked(Window(now, end), None, changes, grown)

    # Writing

    async def _write(self, connection: Connection, asked: _Asked) -> None:
        assert connection.sync_token is not None
        async with self._database.transaction() as session:
            held = await store.hold_sync(session, connection.id, connection.sync_token)
            findings = await self._findings(session, held, asked)
            await self._writing.write(session, held, findings, asked.window)
            has_push = bool(await store.channels(session, held.id, "active"))
            if asked.listing is not None and not has_push:
                # Whoever would not push may do so by now.
                await self._jobs.enqueue(
                    session, SubscribeCalendar(connection_id=held.id), key=f"{held.id}:keep"
                )
            self._note_done(held, asked, has_push=has_push)
            await self._statuses.become(session, held, ConnectionStatus.ACTIVE, None)

    async def _findings(
        self, session: AsyncSession, connection: Connection, asked: _Asked
    ) -> Findings:
        if asked.listing is not None:
            stored = await store.known_in(session, connection.id, asked.window)
            return findings_of_listing(asked.listing.events, stored)
        changes = asked.changes
        assert changes is not None
        whole = await store.series_of(session, connection.id, changes.complete_series)
        told = {event.id for event in (*asked.grown, *changes.events)} | changes.removed
        known = {
            event.id: event
            for event in (
                *await store.known_of(session, connection.id, told),
                *await store.known_of_series(
                    session, [series.id for series in whole.values()], asked.window
                ),
            )
            if asked.window.holds(event.start_at, event.end_at)
        }
        series = await store.series_by_id(session, {event.series_id for event in known.values()})
        return findings_of_changes(
            changes,
            asked.grown,
            asked.window,
            known.values(),
            {one.id: one.provider_series_id for one in series.values()},
        )

    def _note_done(self, connection: Connection, asked: _Asked, *, has_push: bool) -> None:
        now = self._clock.now()
        if asked.listing is not None:
            connection.cursor = asked.listing.cursor
            connection.covers_until = asked.listing.covers_until
            connection.listed_at = asked.window.start
            connection.listing_wanted = False
        else:
            assert asked.changes is not None
            connection.cursor = asked.changes.cursor
        connection.window_end = asked.window.end
        connection.synced_at = now
        connection.sync_status, connection.sync_error = "success", None
        connection.failures, connection.patient_until = 0, None
        connection.next_sync_at = now + (
            self._pace.with_push if has_push else self._pace.without_push
        )
        connection.sync_token = connection.sync_until = None

    # Failing

    async def _refused(
        self,
        connection: Connection,
        status: ConnectionStatus,
        message: str,
        *,
        gone: bool = False,
    ) -> None:
        """The customer has to do something first; what is in ``error`` is asked again as well.

        What is stored stays, of a calendar that is ``gone`` too: it may be shared again, or the
        provider was wrong.
        """
        SYNCS.labels("any", "refused").inc()
        assert connection.sync_token is not None
        async with self._database.transaction() as session:
            held = await store.hold_sync(session, connection.id, connection.sync_token)
            held.failures += 1
            held.next_sync_at = self._clock.now() + _wait(held.failures)
            held.sync_status, held.sync_error = "failed", message
            held.sync_token = held.sync_until = None
            if gone:
                # Nobody pushes what happens to it now; the listing that finds it subscribes anew.
                held.listing_wanted = True
                for channel in await store.channels(session, held.id, "active", lock=True):
                    await self._subscriptions.let_end(session, channel)
            await self._statuses.become(session, held, status, message)

    async def _failed(
        self, connection: Connection, error: RetriableError, *, at_once: bool = False
    ) -> None:
        """It may work later; after some failures, at nonsense at once, the connection says so."""
        SYNCS.labels("any", "failed").inc()
        assert connection.sync_token is not None
        async with self._database.transaction() as session:
            held = await store.hold_sync(session, connection.id, connection.sync_token)
            held.failures += 1
            held.sync_status, held.sync_error = "failed", error.message
            held.sync_token = held.sync_until = None
            if at_once or held.failures >= MOST_FAILURES:
                await self._statuses.become(session, held, ConnectionStatus.ERROR, error.message)
            told = timedelta(seconds=error.after or 0.0)
            held.patient_until = self._clock.now() + told if told else None
            wait = _wait(held.failures)
        raise RetryLaterError(max(wait, told))


def _wait(failures: int) -> timedelta:
    """How long to leave a calendar alone after so many failures in a row."""
    return min(_LONGEST_RETRY, FIRST_RETRY * (1 << min(failures - 1, 10)))
