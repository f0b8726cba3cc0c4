"""Puts the rooms together from the settings: the only place that knows them all. Used by wiring."""

from dataclasses import dataclass

from sitin.accounts.idempotency import IdempotencyStore
from sitin.accounts.ledger import Ledger
from sitin.accounts.periodic import PeriodicAccountWork
from sitin.api.app import Services
from sitin.artifacts.service import Artifacts
from sitin.artifacts.tasks import Purging
from sitin.bots.admission import Admission
from sitin.bots.configuration import Configurations
from sitin.bots.creation import BotCreation
from sitin.bots.deletion import Deletion, Retention
from sitin.bots.lifecycle import Lifecycle
from sitin.bots.refreshing import FreshPayloads
from sitin.bots.reports import Reports
from sitin.bots.scheduled.queueing import Queueing
from sitin.bots.scheduled.service import ScheduledBots
from sitin.bots.service import Bots
from sitin.bots.transcription import Transcription
from sitin.bots.watch import Rooms
from sitin.cli.calendars import furnish_calendars
from sitin.cli.installation import Installation, address_check
from sitin.jobs.queue import PostgresJobQueue
from sitin.jobs.worker import JobWorker
from sitin.kit.wakeups import Wakeups
from sitin.notifications.dispatch import Dispatcher
from sitin.notifications.sending import Sender
from sitin.notifications.tasks import Housekeeping
from sitin.providers.calendars.registry import CalendarProviders
from sitin.providers.storage.urls import open_store
from sitin.providers.transcription.registry import Engines
from sitin.transcripts.deletion import Forgetting, TranscriptDeletion
from sitin.transcripts.service import TranscriptService
from sitin.transcripts.work import TranscriptWork


@dataclass(frozen=True, slots=True)
class House:
    """What runs in one process, over one installation."""

    services: Services
    rooms: Rooms
    wakeups: Wakeups
    dispatcher: Dispatcher
    queueing: Queueing
    jobs: JobWorker


def furnish(
    install: Installation,
    engines: Engines,
    calendar_providers: CalendarProviders,
    *,
    public_url: str,
) -> House:
    """Put the rooms together."""
    settings, clock, database = install.settings, install.clock, install.database
    keyring = install.keyring
    store = open_store(
        settings.storage,
        s3_endpoint=settings.s3_endpoint,
        s3_public_endpoint=settings.s3_public_endpoint,
    )
    jobs, wakeups = PostgresJobQueue(), Wakeups(database.url)
    ledger = Ledger(clock, settings.token_rates)
    idempotency = IdempotencyStore(database=database, keyring=keyring, clock=clock)
    artifacts = Artifacts(store=store, keyring=keyring, public_url=public_url, clock=clock)
    lifecycle = Lifecycle(clock, ledger)
    admission = Admission(ledger=ledger, clock=clock)
    configurations = Configurations(keyring=keyring, check_address=address_check(install.outgoing))
    transcripts = TranscriptService(engines=engines, jobs=jobs, keyring=keyring, clock=clock)
    bots = Bots(artifacts=artifacts, transcripts=transcripts, clock=clock)
    deletion = Deletion(
        artifacts=artifacts,
        transcripts=TranscriptDeletion(jobs=jobs, clock=clock),
        idempotency=idempotency,
        jobs=jobs,
    )
    transcription = Transcription(
        database=database, transcripts=transcripts, lifecycle=lifecycle, keyring=keyring
    )
    work = TranscriptWork(
        database=database,
        jobs=jobs,
        engines=engines,
        files=artifacts,
        keyring=keyring,
        clock=clock,
        directory=settings.data_dir / "transcripts",
    )
    forgetting = Forgetting(database=database, engines=engines, keyring=keyring, clock=clock)
    sender = Sender(
        client=install.outgoing,
        keyring=keyring,
        clock=clock,
        refresh=FreshPayloads(database=database, bots=bots, clock=clock),
    )
    calendars = furnish_calendars(
        install,
        calendar_providers.by_platform,
        configurations=configurations,
        ledger=ledger,
        jobs=jobs,
        public_url=public_url,
    )
    housekeeping = Housekeeping(
        database=database, clock=clock, retention=settings.webhook_retention
    )
    account_work = PeriodicAccountWork(
        database=database,
        idempotency=idempotency,
        clock=clock,
        audit_retention=settings.audit_retention,
    )
    retention = Retention(database=database, deletion=deletion, plans=install.plans, clock=clock)
    return House(
        services=Services(
            database=database,
            clock=clock,
            plans=install.plans,
            idempotency=idempotency,
            bots=bots,
            bot_creation=BotCreation(
                lifecycle=lifecycle,
                configurations=configurations,
                admission=admission,
                clock=clock,
            ),
            bot_deletion=deletion,
            bot_reports=Reports(configurations=configurations, clock=clock),
            scheduled_bots=ScheduledBots(configurations=configurations, clock=clock),
            calendar_connections=calendars.connections,
            calendar_events=calendars.events,
            calendar_bots=calendars.bots,
            calendar_pushes=calendars.pushes,
            artifacts=artifacts,
        ),
        rooms=Rooms(database, lifecycle, artifacts, transcription, jobs),
        wakeups=wakeups,
        dispatcher=Dispatcher(database=database, sender=sender, wakeups=wakeups, clock=clock),
        queueing=Queueing(
            database=database,
            lifecycle=lifecycle,
            admission=admission,
            plans=install.plans,
            wakeups=wakeups,
            clock=clock,
            tolerance=settings.schedule_tolerance,
        ),
        jobs=JobWorker(
            database,
            wakeups,
            [
                work.handler(),
                transcription.handler(),
                forgetting.handler(),
                Purging(artifacts).handler(),
                *calendars.handlers,
            ],
            periodic=[
                retention.periodic(),
                calendars.keeping.periodic(),
                *housekeeping.periodic(),
                *account_work.periodic(),
            ],
        ),
    )
