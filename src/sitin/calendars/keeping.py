"""What calendars need though nothing happens: syncs and renewals. Run as periodic work."""

from datetime import timedelta

from sitin.calendars import store
from sitin.calendars.tasks import SubscribeCalendar, SyncCalendar
from sitin.jobs.interface import JobQueue, PeriodicTask
from sitin.kit.clock import Clock
from sitin.kit.database import Database

_BATCH = 500
_AGAIN = timedelta(hours=1)


class Keeping:
    """Gives the jobs whose time has come."""

    def __init__(self, *, database: Database, jobs: JobQueue, clock: Clock) -> None:
        self._database = database
        self._jobs = jobs
        self._clock = clock

    def periodic(self) -> PeriodicTask:
        """For the worker: every minute."""
        return PeriodicTask("calendars", timedelta(minutes=1), self.look)

    async def look(self) -> None:
        """Have synced what is due, renewed what ends soon, and asked again who would not push."""
        while await self._sync_due() == _BATCH:
            pass
        await self._renew_due()

    async def _sync_due(self) -> int:
        async with self._database.transaction() as session:
            now = self._clock.now()
            connections = await store.due(session, now=now, limit=_BATCH)
            for connection in connections:
                # Another look comes before the sync has said when the next is due.
                connection.next_sync_at = now + _AGAIN
                await self._jobs.enqueue(
                    session, SyncCalendar(connection_id=connection.id), key=str(connection.id)
                )
        return len(connections)

    async def _renew_due(self) -> None:
        async with self._database.transaction() as session:
            now = self._clock.now()
            for channel in await store.channels_to_renew(session, now=now, limit=_BATCH):
                assert channel.connection_id is not None
                # Another look comes before it is renewed, and one that cannot be is asked seldom.
                channel.renew_at = now + _AGAIN
                await self._jobs.enqueue(
                    session,
                    SubscribeCalendar(connection_id=channel.connection_id, renewed=True),
                    key=f"{channel.connection_id}:renewed",
                )
