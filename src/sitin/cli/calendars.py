"""Puts the room of calendars together. For house and, with providers of their own, for tests."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sitin.accounts.idempotency import IdempotencyStore
from sitin.accounts.ledger import Ledger
from sitin.bots.configuration import Configurations
from sitin.bots.scheduled.for_events import EventBots
from sitin.calendars.access import Tokens
from sitin.calendars.bots import CalendarBots
from sitin.calendars.connections import Connections
from sitin.calendars.events import Events
from sitin.calendars.following import Following
from sitin.calendars.keeping import Keeping
from sitin.calendars.pushes import Pushes
from sitin.calendars.statuses import Statuses
from sitin.calendars.subscriptions import Subscriptions
from sitin.calendars.succession import Succession
from sitin.calendars.sync import Pace, Sync
from sitin.calendars.telling import Telling
from sitin.calendars.writing import Writing
from sitin.cli.installation import Installation
from sitin.contract.calendars import CalendarPlatform, CalendarProvider
from sitin.jobs.interface import JobHandler, JobQueue


@dataclass(frozen=True, slots=True)
class Calendars:
    """The room's parts that others work with."""

    connections: Connections
    events: Events
    bots: CalendarBots
    pushes: Pushes
    sync: Sync
    subscriptions: Subscriptions
    keeping: Keeping

    @property
    def handlers(self) -> list[JobHandler[Any]]:
        """For the worker."""
        return [self.sync.handler(), *self.subscriptions.handlers()]


def furnish_calendars(
    install: Installation,
    providers: Mapping[CalendarPlatform, CalendarProvider],
    *,
    configurations: Configurations,
    ledger: Ledger,
    jobs: JobQueue,
    public_url: str,
) -> Calendars:
    """Put it together."""
    database, clock, keyring = install.database, install.clock, install.keyring
    event_bots = EventBots(clock)
    telling = Telling(clock)
    statuses = Statuses(telling=telling, clock=clock)
    tokens = Tokens(database=database, keyring=keyring, providers=providers, clock=clock)
    following = Following(bots=event_bots, clock=clock)
    subscriptions = Subscriptions(
        database=database,
        providers=providers,
        tokens=tokens,
        statuses=statuses,
        keyring=keyring,
        jobs=jobs,
        clock=clock,
        public_url=public_url,
    )
    return Calendars(
        connections=Connections(
            database=database,
            providers=providers,
            tokens=tokens,
            subscriptions=subscriptions,
            statuses=statuses,
            telling=telling,
            bots=event_bots,
            idempotency=IdempotencyStore(database=database, keyring=keyring, clock=clock),
            ledger=ledger,
            jobs=jobs,
            clock=clock,
        ),
        events=Events(event_bots),
        bots=CalendarBots(
            configurations=configurations, following=following, bots=event_bots, clock=clock
        ),
        pushes=Pushes(database=database, providers=providers, jobs=jobs),
        sync=Sync(
            database=database,
            providers=providers,
            tokens=tokens,
            writing=Writing(
                succession=Succession(bots=event_bots, clock=clock),
                following=following,
                bots=event_bots,
                telling=telling,
                clock=clock,
            ),
            statuses=statuses,
            subscriptions=subscriptions,
            jobs=jobs,
            clock=clock,
            pace=Pace(
                with_push=install.settings.calendar_sync_every,
                without_push=install.settings.calendar_poll_every,
            ),
        ),
        subscriptions=subscriptions,
        keeping=Keeping(database=database, jobs=jobs, clock=clock),
    )
