"""Changes how a connection stands, and tells. The only writer of its status. Within calendars."""

import structlog
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncSession

from sitin.calendars.models import Connection
from sitin.calendars.telling import Telling
from sitin.contract.calendars import ConnectionStatus
from sitin.kit.clock import Clock

CHANGES = Counter(
    "sitin_calendar_status_changes_total", "Changes of how connections stand.", ["status"]
)

_NEEDS_THE_CUSTOMER = (ConnectionStatus.REVOKED, ConnectionStatus.PERMISSION_DENIED)

log = structlog.get_logger(__name__)


class Statuses:
    """Changes statuses in the transaction of whoever holds the connection's row."""

    def __init__(self, *, telling: Telling, clock: Clock) -> None:
        self._telling = telling
        self._clock = clock

    async def become(
        self,
        session: AsyncSession,
        connection: Connection,
        status: ConnectionStatus,
        message: str | None,
    ) -> None:
        """Have the connection stand so; told once, however often it is found out.

        What will not pass by itself is not synced by itself.
        """
        if status in _NEEDS_THE_CUSTOMER:
            connection.next_sync_at = None
        if connection.status == status:
            connection.status_message = message
            await session.flush()
            return
        connection.status, connection.status_message = status, message
        connection.updated_at = self._clock.now()
        await session.flush()
        CHANGES.labels(status.value).inc()
        log.info("calendar_status", calendar_id=str(connection.id), status=status.value)
        await self._telling.status_changed(session, connection)
