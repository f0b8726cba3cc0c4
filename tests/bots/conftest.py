"""A team with bots, and workers that run them on a fake host."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from ipaddress import ip_address
from pathlib import Path
from uuid import UUID

import pytest

from sitin.accounts.idempotency import IdempotencyStore
from sitin.accounts.ledger import Ledger
from sitin.accounts.models import Permission, TokenAccount
from sitin.accounts.plans import UNLIMITED, Plan, Plans
from sitin.accounts.service import Caller, create_team
from sitin.artifacts.service import Artifacts
from sitin.artifacts.tasks import Purging
from sitin.bots.admission import Admission
from sitin.bots.configuration import Configurations
from sitin.bots.creation import BotCreation
from sitin.bots.deletion import Deletion
from sitin.bots.launching import LaunchSettings
from sitin.bots.lifecycle import Lifecycle
from sitin.bots.models import Bot
from sitin.bots.reports import Reports
from sitin.bots.requests import CreateBotRequestBody
from sitin.bots.scheduled.queueing import Queueing
from sitin.bots.scheduled.requests import CreateScheduledBotRequestBody
from sitin.bots.scheduled.service import ScheduledBots
from sitin.bots.service import Bots
from sitin.bots.store import history
from sitin.bots.supervisor import Supervisor, SupervisorSettings
from sitin.bots.watch import Rooms
from sitin.cli.installation import address_check
from sitin.contract.codes import BotStatus, Platform
from sitin.contract.spec import BrowserSpec
from sitin.kit.crypto import Keyring, new_key
from sitin.kit.database import Database
from sitin.kit.http import OutgoingClient
from sitin.kit.ids import new_id
from sitin.kit.wakeups import Wakeups
from sitin.transcripts.deletion import TranscriptDeletion
from tests.fakes.clock import RunningClock
from tests.fakes.jobs import FakeJobQueue
from tests.fakes.launcher import FakeBot, FakeHost, FakeLauncher
from tests.fakes.recordings import FailingStore, FakeTranscripts
from tests.waiting import until

MEET_URL = "https://meet.google.com/abc-defg-hij"


async def resolve_here(host: str, _port: int) -> list[str]:
    """Knows loopback and numbers; every other name is one that cannot be resolved now."""
    if host == "localhost":
        return ["127.0.0.1"]
    try:
        return [str(ip_address(host))]
    except ValueError:
        raise OSError("unknown host") from None


@dataclass
class Worker:
    """One worker of a test: a supervisor in tasks of its own."""

    launcher: FakeLauncher
    supervisor: Supervisor
    tasks: list[asyncio.Task[None]]

    async def stop(self) -> None:
        """As SIGTERM does: bots go on without it."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


class ChangingPlans(Plans):
    """The default plans, and those that a test adds."""

    def add(self, plan: Plan) -> None:
        self._by_name[plan.name] = plan


@dataclass
class House:
    """A team, its bots and the rooms around them."""

    database: Database
    caller: Caller
    clock: RunningClock
    plans: ChangingPlans
    ledger: Ledger
    admission: Admission
    bots: Bots
    creation: BotCreation
    deletion: Deletion
    reports: Reports
    scheduled: ScheduledBots
    queueing: Queueing
    rooms: Rooms
    configurations: Configurations
    idempotency: IdempotencyStore
    keyring: Keyring
    outgoing: OutgoingClient
    store: FailingStore
    jobs: FakeJobQueue
    transcripts: FakeTranscripts
    directory: Path
    workers: list[Worker] = field(default_factory=list)

    async def create(self, *, caller: Caller | None = None, **fields: object) -> UUID:
        body = {"bot_name": "Notes", "meeting_url": MEET_URL, **fields}
        async with self.database.transaction() as session:
            return await self.creation.create(
                session, caller or self.caller, CreateBotRequestBody.model_validate(body)
            )

    async def schedule(
        self, after: timedelta, *, caller: Caller | None = None, **fields: object
    ) -> UUID:
        """A bot that is to join some time from now."""
        join_at = (self.clock.now() + after).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        body = {"bot_name": "Notes", "meeting_url": MEET_URL, "join_at": join_at, **fields}
        async with self.database.transaction() as session:
            return await self.scheduled.create(
                session,
                caller or self.caller,
                CreateScheduledBotRequestBody.model_validate(body),
            )

    async def team(self, plan: Plan | str = UNLIMITED, *, tokens: str = "0") -> Caller:
        """A further team, on a plan of the default ones or of the test's own."""
        if isinstance(plan, Plan):
            self.plans.add(plan)
        name = plan.name if isinstance(plan, Plan) else plan
        async with self.database.transaction() as session:
            team = await create_team(session, name="Further", plan=name)
            if Decimal(tokens):
                await self.ledger.grant(session, team.id, Decimal(tokens))
        return Caller(team.id, Permission.FULL_ACCESS, self.plans.of(name))

    async def account(self, caller: Caller | None = None) -> TokenAccount:
        """The team's tokens."""
        async with self.database.transaction() as session:
            return await self.ledger.lock(session, (caller or self.caller).team_id)

    async def clear_away(self) -> None:
        """Do the jobs of deleting that wait."""
        await self.jobs.work([Purging(self.rooms.artifacts).handler()])

    async def get(self, bot_id: UUID, *, caller: Caller | None = None) -> Bot:
        async with self.database.transaction() as session:
            return await self.bots.get(session, caller or self.caller, bot_id)

    def stored(self, bot_id: UUID) -> dict[str, bytes]:
        """The bot's files in the object store."""
        prefix = f"bots/{bot_id}/"
        return {
            key.removeprefix(prefix): data
            for key, data in self.store.objects.items()
            if key.startswith(prefix)
        }

    async def leave(self, bot_id: UUID, *, caller: Caller | None = None) -> str:
        async with self.database.transaction() as session:
            return await self.bots.leave(session, caller or self.caller, bot_id)

    async def statuses(self, bot_id: UUID) -> list[BotStatus]:
        async with self.database.transaction() as session:
            return [BotStatus(line.status) for line in await history(session, bot_id)]

    async def reaches(
        self, bot_id: UUID, status: BotStatus, *, caller: Caller | None = None
    ) -> Bot:
        """The bot, once it is in this status."""

        async def is_there() -> bool:
            return (await self.get(bot_id, caller=caller)).status == status

        await until(is_there)
        return await self.get(bot_id, caller=caller)

    def host(self, name: str = "host") -> FakeHost:
        return FakeHost(self.directory / name)

    def the_only_bot(self, bot_id: UUID) -> FakeBot:
        """The bot's runner, on whichever host it is."""
        (bot,) = (bot for worker in self.workers for bot in worker.launcher.host.of(bot_id))
        return bot

    def work(self, host: FakeHost, *, host_id: UUID | None = None, **settings: object) -> Worker:
        """Start a worker on a host."""
        launcher = FakeLauncher(host)
        wakeups = Wakeups(self.database.url)
        chosen = SupervisorSettings(
            host_id=host_id or new_id(),
            max_bots=4,
            lease=timedelta(seconds=30),
            renew_every=timedelta(milliseconds=50),
            look_every=timedelta(milliseconds=200),
        )
        supervisor = Supervisor(
            launcher=launcher,
            rooms=self.rooms,
            wakeups=wakeups,
            settings=replace(chosen, **settings),  # type: ignore[arg-type]
            launch=LaunchSettings(
                browser=BrowserSpec(path="/usr/bin/chromium"),
                video="live",
                max_recording=4 * 3600,
                joinable=frozenset({Platform.MEET}),
            ),
        )
        tasks = [asyncio.create_task(wakeups.run()), asyncio.create_task(supervisor.run())]
        worker = Worker(launcher, supervisor, tasks)
        self.workers.append(worker)
        return worker


@pytest.fixture
async def house(database: Database, tmp_path: Path) -> AsyncIterator[House]:
    """One team and no worker yet."""
    clock, plans = RunningClock(), ChangingPlans()
    async with database.transaction() as session:
        team = await create_team(session, name="Acme")
    store, transcripts, jobs = FailingStore(), FakeTranscripts(), FakeJobQueue()
    outgoing = OutgoingClient(resolver=resolve_here)
    keyring, ledger = Keyring([new_key()]), Ledger(clock)
    lifecycle = Lifecycle(clock, ledger)
    admission = Admission(ledger=ledger, clock=clock)
    configurations = Configurations(keyring=keyring, check_address=address_check(outgoing))
    artifacts = Artifacts(
        store=store, keyring=keyring, public_url="https://files.example", clock=clock
    )
    idempotency = IdempotencyStore(database=database, keyring=keyring, clock=clock)
    house = House(
        database=database,
        caller=Caller(team.id, Permission.FULL_ACCESS, plans.of(team.plan)),
        clock=clock,
        plans=plans,
        ledger=ledger,
        admission=admission,
        bots=Bots(artifacts=artifacts, transcripts=transcripts, clock=clock),
        creation=BotCreation(
            lifecycle=lifecycle, configurations=configurations, admission=admission, clock=clock
        ),
        deletion=Deletion(
            artifacts=artifacts,
            transcripts=TranscriptDeletion(jobs=jobs, clock=clock),
            idempotency=idempotency,
            jobs=jobs,
        ),
        reports=Reports(configurations=configurations, clock=clock),
        scheduled=ScheduledBots(configurations=configurations, clock=clock),
        queueing=Queueing(
            database=database,
            lifecycle=lifecycle,
            admission=admission,
            plans=plans,
            wakeups=Wakeups(database.url),
            clock=clock,
            tolerance=timedelta(minutes=15),
        ),
        rooms=Rooms(database, lifecycle, artifacts, transcripts, jobs),
        configurations=configurations,
        idempotency=idempotency,
        keyring=keyring,
        outgoing=outgoing,
        store=store,
        jobs=jobs,
        transcripts=transcripts,
        directory=tmp_path,
    )
    yield house
    await outgoing.aclose()
    for worker in house.workers:
        with contextlib.suppress(asyncio.CancelledError):
            await worker.stop()
