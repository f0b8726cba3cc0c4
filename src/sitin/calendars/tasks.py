"""The jobs that calendars give themselves."""

from typing import ClassVar
from uuid import UUID

from sitin.jobs.port import JobPayload, Task


class SyncCalendar(JobPayload):
    """Bring a calendar up to date; handled by ``sitin.calendars.sync``. One waits per calendar."""

    task: ClassVar[Task] = Task.SYNC_CALENDAR
    connection_id: UUID


class SubscribeCalendar(JobPayload):
    """See that notices are pushed; handled by ``sitin.calendars.subscriptions``."""

    task: ClassVar[Task] = Task.SUBSCRIBE_CALENDAR
    connection_id: UUID
    anew: bool = False
    """Whether another subscription is to take the place of one that could be renewed."""


class EndChannel(JobPayload):
    """End a subscription at the provider; handled by ``sitin.calendars.subscriptions``."""

    task: ClassVar[Task] = Task.END_CALENDAR_CHANNEL
    channel_id: UUID
