"""Where calendar providers push their notices to. Included by api; needs no key, but a proof.

Answered at once, whatever comes of it: a notice that proves to be ours makes a job that waits a
moment, so that the three that providers like to send for one change become one sync.
"""

import html
from collections.abc import Mapping
from datetime import timedelta

import structlog
from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncSession

from sitin.calendars.models import Channel, Connection
from sitin.calendars.subscriptions import ROUTE, proves
from sitin.calendars.sync import FIRST_RETRY
from sitin.calendars.tasks import SubscribeCalendar, SyncCalendar
from sitin.contract.calendars import (
    CalendarPlatform,
    CalendarProvider,
    ConnectionStatus,
    Notice,
    NoticeKind,
)
from sitin.jobs.interface import JobQueue
from sitin.kit.database import Database
from sitin.kit.requests import BodyTooLargeError, JsonRequest

COALESCED = timedelta(seconds=1)
"""How long a sync waits for further notices of the same change."""

_READABLE = frozenset({ConnectionStatus.ACTIVE, ConnectionStatus.ERROR})

NOTICES = Counter(
    "sitin_calendar_notices_total", "Notices of providers, by what came of them.", ["outcome"]
)

log = structlog.get_logger(__name__)

router = APIRouter(prefix=ROUTE, include_in_schema=False)


class Pushes:
    """Turns notices into jobs."""

    def __init__(
        self,
        *,
        database: Database,
        providers: Mapping[CalendarPlatform, CalendarProvider],
        jobs: JobQueue,
    ) -> None:
        self._database = database
        self._providers = providers
        self._jobs = jobs

    async def take(
        self, platform: CalendarPlatform, headers: Mapping[str, str], body: bytes
    ) -> int:
        """Take what was pushed; returns how many notices of it proved to be ours.

        Raises ``ValueError`` for what is no push of this platform.
        """
        notices = self._providers[platform].notices(headers, body)
        taken = 0
        async with self._database.transaction() as session:
            for notice in notices:
                taken += await self._take_one(session, platform, notice)
        return taken

    async def _take_one(
        self, session: AsyncSession, platform: CalendarPlatform, notice: Notice
    ) -> bool:
        channel = await session.get(Channel, notice.channel_id)
        if channel is None or channel.platform != platform or not _is_from(channel, notice):
            NOTICES.labels("refused").inc()
            log.warning("calendar_notice_refused", channel=str(notice.channel_id))
            return False
        connection_id = channel.connection_id
        if connection_id is None or notice.kind is NoticeKind.BEGUN or channel.state == "ending":
            NOTICES.labels("idle").inc()
            return True
        connection = await session.get(Connection, connection_id)
        if connection is None or connection.status not in _READABLE:
            NOTICES.labels("idle").inc()
            return True
        NOTICES.labels("taken").inc()
        if notice.kind in (NoticeKind.MISSED, NoticeKind.REMOVED):
            connection.listing_wanted = True
        if notice.kind in (NoticeKind.REMOVED, NoticeKind.RENEWAL_WANTED):
            await self._jobs.enqueue(
                session,
                SubscribeCalendar(
                    connection_id=connection_id,
                    renewed=notice.kind is NoticeKind.RENEWAL_WANTED,
                    anew=notice.kind is NoticeKind.REMOVED,
                ),
                key=f"{connection_id}:{notice.kind.value}",
            )
        if notice.kind is not NoticeKind.RENEWAL_WANTED:
            await self._jobs.enqueue(
                session,
                SyncCalendar(connection_id=connection_id),
                # It is news: one that failed and waits to be tried again is tried before.
                delay=FIRST_RETRY if connection.failures else COALESCED,
                key=str(connection_id),
                expedite=connection.failures > 0,
            )
        return True


def _is_from(channel: Channel, notice: Notice) -> bool:
    """Whether a notice carries what only the provider and we know."""
    if not proves(channel, notice.secret):
        return False
    known = channel.resource_id
    return known is None or notice.resource_id is None or known == notice.resource_id


async def _answer(request: Request, platform: CalendarPlatform) -> Response:
    pushes: Pushes = request.app.state.calendar_pushes
    try:
        body = await JsonRequest(request.scope, request.receive).body()
        taken = await pushes.take(platform, dict(request.headers), body)
    except (ValueError, BodyTooLargeError):
        NOTICES.labels("unreadable").inc()
        return Response(status_code=400)
    return Response(status_code=202 if taken else 404)


@router.post("/google")
async def google(request: Request) -> Response:
    """A notice about a watched calendar."""
    return await _answer(request, CalendarPlatform.GOOGLE)


@router.post("/microsoft")
async def microsoft(request: Request) -> Response:
    """Notices about subscribed calendars, or the question whether this address is ours."""
    token = request.query_params.get("validationToken")
    if token is not None:
        # Plain text, and no tag in it: no browser takes what somebody makes us say for a page.
        headers = {"x-content-type-options": "nosniff"}
        return PlainTextResponse(html.escape(token, quote=False), headers=headers)
    return await _answer(request, CalendarPlatform.MICROSOFT)
