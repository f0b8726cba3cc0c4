"""What the log and the secrets need from time to time. Run by the worker, wired by cli."""

from datetime import timedelta

import structlog

from sitin.jobs.interface import PeriodicTask
from sitin.kit.clock import Clock
from sitin.kit.database import Database
from sitin.notifications import log as message_log
from sitin.notifications.endpoints import forget_expired_secrets

BATCH = 1000
"""Messages that one transaction deletes, so that it holds no lock for long."""

log = structlog.get_logger(__name__)


class Housekeeping:
    """Deletes what has had its time.

    Args:
        database: The database.
        clock: The time.
        retention: How long messages and attempts are kept.
    """

    def __init__(self, *, database: Database, clock: Clock, retention: timedelta) -> None:
        self._database = database
        self._clock = clock
        self._retention = retention

    def periodic(self) -> tuple[PeriodicTask, ...]:
        """For the worker."""
        return (
            PeriodicTask("prune_webhook_log", timedelta(hours=1), self.prune_log),
            PeriodicTask("forget_webhook_secrets", timedelta(minutes=5), self.forget_secrets),
        )

    async def prune_log(self) -> None:
        """Delete messages and attempts older than the retention; never one that still waits."""
        before = self._clock.now() - self._retention
        pruned = 0
        while True:
            async with self._database.transaction() as session:
                count = await message_log.prune(session, before=before, limit=BATCH)
            pruned += count
            if count < BATCH:
                break
        if pruned:
            log.info("webhook_log_pruned", messages=pruned)

    async def forget_secrets(self) -> None:
        """Delete secrets whose overlap is over."""
        async with self._database.transaction() as session:
            await forget_expired_secrets(session, now=self._clock.now())
