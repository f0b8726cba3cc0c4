"""Notes what attempts came to, many in one transaction. Used by dispatch.

While one transaction is under way, the attempts that end meanwhile gather for the next: the busier
the process, the less each one costs. While the database is away they wait, and with them the places
of their requests, so that nothing is sent that cannot be noted.
"""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import stamina
import structlog
from prometheus_client import Counter
from sqlalchemy.exc import DBAPIError

from sitin.kit.database import Database
from sitin.kit.outages import passes_by_itself
from sitin.notifications import store
from sitin.notifications.store import Attempted

LOST = Counter("sitin_delivery_records_lost_total", "Attempts that could not be noted.")
DISABLED = Counter("sitin_webhooks_disabled_total", "Endpoints disabled for lack of success.")

log = structlog.get_logger(__name__)


class Recorder:
    """One per process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[tuple[UUID, int], Attempted] = {}
        self._turn = asyncio.Lock()

    async def note(self, attempt: Attempted) -> None:
        """Return once the attempt is noted."""
        key = attempt.taken.id, attempt.taken.attempt
        self._waiting[key] = attempt
        async with self._turn:
            if key in self._waiting:
                await self._note_waiting()

    async def _note_waiting(self) -> None:
        batch = dict(self._waiting)
        try:
            await self._write(list(batch.values()))
        except DBAPIError:
            # One that cannot be written must not take the others with it.
            for attempt in batch.values():
                await self._write_alone(attempt)
        # Cut short, it leaves them to whoever has the next turn.
        for key in batch:
            del self._waiting[key]

    async def _write_alone(self, attempt: Attempted) -> None:
        try:
            await self._write([attempt])
        except DBAPIError:
            LOST.inc()
            log.exception("attempt_not_noted", delivery=str(attempt.taken.id))

    async def _write(self, batch: Sequence[Attempted]) -> None:
        async for again in stamina.retry_context(
            on=passes_by_itself, attempts=None, timeout=None, wait_initial=0.2, wait_max=5.0
        ):
            with again:
                async with self._database.transaction() as session:
                    disabled = await store.record(session, batch)
                for endpoint_id in disabled:
                    DISABLED.inc()
                    log.warning("webhook_disabled", webhook_id=str(endpoint_id))
