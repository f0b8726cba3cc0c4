"""The jobs that calendars give themselves."""

from typing import ClassVar
from uuid import UUID

from sitin.jobs.interface import JobPayload, Task


class SyncCalendar(JobPayload):
    """Bring a calendar up to date; handled by ``sitin.calendars.sync``. One waits per calendar."""

    task: ClassVar[Task] = Task.SYNC_CALENDAR
    connection_id: UUID


class SubscribeCalendar(JobPayload):
    """See that notices are pushed; handled by ``sitin.calendars.subscriptions``.

    A calendar that has a subscription keeps it as it is, unless more is asked for.
    """

    task: ClassVar[Task] = Task.SUBSCRIBE_CALENDAR
    connection_id: UUID
    renewed: bool = False
    """Whether it is to go on for longer."""
    anew: bool = False
    """Whether another subscription is to take the place of one that could be renewed."""


class EndChannel(JobPayload):
    """End a subscription at the provider; handled by ``sitin.calendars.subscriptions``."""

    task: ClassVar[Task] = Task.END_CALENDAR_CHANNEL
    channel_id: UUID
