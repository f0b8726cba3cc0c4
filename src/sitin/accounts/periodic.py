"""Deletes old audit entries and expired idempotency keys. Run by the worker, wired by cli."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from sitin.accounts import audit
from sitin.accounts.idempotency import IdempotencyStore
from sitin.jobs.interface import PeriodicTask
from sitin.kit.clock import Clock
from sitin.kit.database import Database

BATCH = 1000
"""Rows that one transaction deletes, so that it holds no lock for long."""

log = structlog.get_logger(__name__)


class PeriodicAccountWork:
    """Periodic tasks that delete old rows.

    Args:
        database: The database.
        idempotency: The stored responses.
        clock: The time.
        audit_retention: How long entries of the audit log are kept.
    """

    def __init__(
        self,
        *,
        database: Database,
        idempotency: IdempotencyStore,
        clock: Clock,
        audit_retention: timedelta,
    ) -> None:
        self._database = database
        self._idempotency = idempotency
        self._clock = clock
        self._audit_retention = audit_retention

    def periodic(self) -> tuple[PeriodicTask, ...]:
        """For the worker: each once an hour."""
        return (
            PeriodicTask("prune_audit_log", timedelta(hours=1), self.prune_audit_log),
            PeriodicTask("prune_idempotency_keys", timedelta(hours=1), self.prune_idempotency_keys),
        )

    async def prune_audit_log(self) -> None:
        """Delete entries of the audit log that are older than the retention."""
        before = self._clock.now() - self._audit_retention

        async def prune(session: AsyncSession) -> int:
            return await audit.prune(session, before=before, limit=BATCH)

        if pruned := await self._in_batches(prune):
            log.info("audit_log_pruned", entries=pruned)

    async def prune_idempotency_keys(self) -> None:
        """Delete expired keys and their responses."""

        async def prune(session: AsyncSession) -> int:
            return await self._idempotency.prune(session, limit=BATCH)

        if pruned := await self._in_batches(prune):
            log.info("idempotency_keys_pruned", keys=pruned)

    async def _in_batches(self, prune: Callable[[AsyncSession], Awaitable[int]]) -> int:
        total = 0
        while True:
            async with self._database.transaction() as session:
                count = await prune(session)
            total += count
            if count < BATCH:
                return total
