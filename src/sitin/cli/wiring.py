"""Builds the house from the settings: the only place where the rooms are put together.

``installation`` is what every command needs. ``running_service`` is a running ``serve``,
``running_worker`` the part of it that another machine runs; the demo uses the first as it is.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import structlog
import uvicorn
from sqlalchemy import text

from sitin.accounts.models import Permission
from sitin.accounts.service import create_key, create_team, team_named
from sitin.api.app import Services, create_app
from sitin.artifacts.service import Artifacts
from sitin.bots.launching import LaunchSettings
from sitin.bots.lifecycle import Lifecycle
from sitin.bots.refreshing import FreshPayloads
from sitin.bots.service import AddressCheck, Bots
from sitin.bots.supervisor import Supervisor, SupervisorSettings
from sitin.bots.transcription import Transcription
from sitin.bots.watch import Rooms
from sitin.cli.launching import bot_processes, browser_spec, check_isolation
from sitin.cli.machine import host_id
from sitin.cli.settings import Settings, transcription_settings
from sitin.contract.launch import BotLauncher
from sitin.jobs.queue import PostgresJobs
from sitin.jobs.worker import Worker
from sitin.kit.clock import Clock, SystemClock
from sitin.kit.crypto import Keyring, keys_of_data_dir
from sitin.kit.database import Database
from sitin.kit.errors import OperatorError, operator_error
from sitin.kit.files import write_private
from sitin.kit.http import OutgoingClient, UrlRefusedError
from sitin.kit.migrate import upgrade
from sitin.kit.postgres import EmbeddedPostgres
from sitin.kit.wakeups import Wakeups
from sitin.notifications.dispatch import Dispatcher
from sitin.notifications.sending import Sender
from sitin.platforms.registry import ADAPTERS
from sitin.providers.storage.urls import is_local, open_store
from sitin.providers.transcription.registry import Engines, build_engines
from sitin.transcripts.service import TranscriptService
from sitin.transcripts.work import TranscriptWork

DEFAULT_TEAM = "default"

_FIRST_TEAM_LOCK = 0x73_69_74_01

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Installation:
    """What every command works with."""

    settings: Settings
    database: Database
    keyring: Keyring
    clock: Clock
    outgoing: OutgoingClient
    postgres: EmbeddedPostgres | None
    """The embedded server, which a long-lived process has to keep running."""


@asynccontextmanager
async def installation(settings: Settings) -> AsyncIterator[Installation]:
    """The migrated database and the keys; joins an embedded Postgres that runs already.

    Raises ``OperatorError``.
    """
    async with contextlib.AsyncExitStack() as stack:
        postgres = None
        if settings.database_url is None:
            postgres = EmbeddedPostgres(settings.data_dir)
            url = await asyncio.to_thread(postgres.start)
            stack.push_async_callback(asyncio.to_thread, postgres.stop)
        else:
            url = settings.database_url.get_secret_value()
        keys = [key.get_secret_value() for key in settings.secret_keys]
        keyring = Keyring(keys or await asyncio.to_thread(keys_of_data_dir, settings.data_dir))
        await upgrade(url)
        database = Database(url)
        stack.push_async_callback(database.dispose)
        outgoing = OutgoingClient(allow_private=settings.allow_private_addresses)
        stack.push_async_callback(outgoing.aclose)
        yield Installation(settings, database, keyring, SystemClock(), outgoing, postgres)


@dataclass
class Running:
    """Parts of this process that run until they are stopped."""

    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    failed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when one of them has ended by itself, which none should."""

    def start(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Run a part until ``stop``."""
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._ended)
        self.tasks.append(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            log.error("part_ended", part=task.get_name(), exc_info=task.exception())
            self.failed.set()

    async def stop(self) -> None:
        """Stop the parts, last one first."""
        for task in reversed(self.tasks):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class Service:
    """A running service."""

    url: str
    """Where its API answers on this machine."""
    supervisor: Supervisor
    """Holds this machine's bots."""
    running: Running


@asynccontextmanager
async def running_service(
    settings: Settings,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    launcher: BotLauncher | None = None,
) -> AsyncIterator[Service]:
    """API, deliveries and bots in one process. Port 0 takes a free one. Raises ``OperatorError``.

    Bots are launched by ``launcher``, the processes of this machine unless another is given.
    """
    with _listening(host, port) as listener:
        url = f"http://{_for_url(host)}:{listener.getsockname()[1]}"
        async with installation(settings) as install, _engines() as engines:
            await _first_team(install)
            house = _furnish(install, engines, public_url=str(settings.public_url or url))
            running = Running()
            try:
                supervisor = await _start_worker(install, house, running, launcher)
                running.start("api", _serve(house.services, listener))
                log.info("serving", url=url)
                yield Service(url, supervisor, running)
            finally:
                await running.stop()


@asynccontextmanager
async def running_worker(
    settings: Settings, *, launcher: BotLauncher | None = None
) -> AsyncIterator[Service]:
    """What another machine adds to a service: deliveries and bots. Raises ``OperatorError``."""
    if settings.database_url is not None and is_local(settings.storage):
        _require_shared(settings)
    async with installation(settings) as install, _engines() as engines:
        public_url = str(settings.public_url or "http://127.0.0.1:8000")
        house = _furnish(install, engines, public_url=public_url)
        running = Running()
        try:
            supervisor = await _start_worker(install, house, running, launcher)
            yield Service(public_url, supervisor, running)
        finally:
            await running.stop()


def _require_shared(settings: Settings) -> None:
    if not settings.storage_shared:
        raise OperatorError(
            f"Another machine may not see the files of {settings.storage}: set SITIN_STORAGE_URL "
            "to an s3:// address, or SITIN_STORAGE_SHARED=true if every machine has that directory."
        )


@dataclass(frozen=True, slots=True)
class _House:
    services: Services
    rooms: Rooms
    wakeups: Wakeups
    dispatcher: Dispatcher
    jobs: Worker


def _furnish(install: Installation, engines: Engines, *, public_url: str) -> _House:
    """Put the rooms together."""
    settings, clock, database = install.settings, install.clock, install.database
    store = open_store(
        settings.storage,
        s3_endpoint=settings.s3_endpoint,
        s3_public_endpoint=settings.s3_public_endpoint,
    )
    artifacts = Artifacts(store=store, keyring=install.keyring, public_url=public_url, clock=clock)
    lifecycle = Lifecycle(clock)
    jobs = PostgresJobs()
    transcripts = TranscriptService(
        engines=engines, jobs=jobs, keyring=install.keyring, clock=clock
    )
    bots = Bots(
        lifecycle=lifecycle,
        artifacts=artifacts,
        transcripts=transcripts,
        keyring=install.keyring,
        check_address=address_check(install.outgoing),
        clock=clock,
    )
    transcription = Transcription(
        database=database, transcripts=transcripts, lifecycle=lifecycle, keyring=install.keyring
    )
    work = TranscriptWork(
        database=database,
        jobs=jobs,
        engines=engines,
        files=artifacts,
        keyring=install.keyring,
        clock=clock,
        directory=settings.data_dir / "transcripts",
    )
    wakeups = Wakeups(database.url)
    sender = Sender(
        client=install.outgoing,
        keyring=install.keyring,
        clock=clock,
        refresh=FreshPayloads(database=install.database, bots=bots, clock=clock),
    )
    return _House(
        services=Services(database=install.database, clock=clock, bots=bots, artifacts=artifacts),
        rooms=Rooms(database, lifecycle, artifacts, transcription),
        wakeups=wakeups,
        dispatcher=Dispatcher(database=database, sender=sender, wakeups=wakeups, clock=clock),
        jobs=Worker(database.url, [work.handler(), transcription.handler()]),
    )


async def _start_worker(
    install: Installation, house: _House, running: Running, launcher: BotLauncher | None
) -> Supervisor:
    if install.postgres is not None:
        running.start("database", install.postgres.keep_running())
    running.start("wakeups", house.wakeups.run())
    running.start("deliveries", house.dispatcher.run())
    running.start("jobs", house.jobs.run())
    settings = install.settings
    if launcher is None:
        if settings.max_bots:
            await check_isolation()
        launcher = await bot_processes(settings)
    supervisor = Supervisor(
        launcher=launcher,
        rooms=house.rooms,
        wakeups=house.wakeups,
        settings=SupervisorSettings(
            host_id=await asyncio.to_thread(host_id, settings.data_dir),
            max_bots=settings.max_bots,
        ),
        launch=LaunchSettings(
            browser=browser_spec(settings),
            video=settings.video,
            max_recording=settings.max_recording.total_seconds(),
            joinable=frozenset(ADAPTERS),
        ),
    )
    running.start("bots", supervisor.run())
    return supervisor


@asynccontextmanager
async def _engines() -> AsyncIterator[Engines]:
    """The transcription engines of this install."""
    engines = build_engines(transcription_settings())
    try:
        yield engines
    finally:
        await engines.aclose()


class _Server(uvicorn.Server):
    """A server that leaves the process' signals to the command that runs it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        """Capture none."""
        yield


async def _serve(services: Services, listener: socket.socket) -> None:
    config = uvicorn.Config(
        create_app(services),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=10,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await asyncio.shield(serving)
    finally:
        server.should_exit = True
        await serving


@contextlib.contextmanager
def _listening(host: str, port: int) -> Any:
    """A socket on the address, before anything else is begun."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise OperatorError(
            f"Cannot listen on {host}:{port} ({error.strerror or error}): stop what uses it, or "
            "choose another with --port."
        ) from None
    with listener:
        yield listener


def _for_url(host: str) -> str:
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - only shown
    return f"[{shown}]" if ":" in shown else shown


async def _first_team(install: Installation) -> None:
    """Make the first team and leave its key in the data directory; once per database."""
    path = install.settings.data_dir / "api_key"
    async with install.database.transaction() as session:
        await session.execute(
            text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _FIRST_TEAM_LOCK}
        )
        if await team_named(session, DEFAULT_TEAM) is not None:
            return
        team = await create_team(session, name=DEFAULT_TEAM)
        key = await create_key(session, team_id=team.id, permission=Permission.FULL_ACCESS)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            await asyncio.to_thread(write_private, path, f"{key.text}\n")
        except OSError as error:
            raise operator_error(error, path) from error
    log.info("first_team_made", team_id=str(team.id), key_file=str(path))


def address_check(outgoing: OutgoingClient) -> AddressCheck:
    """The check of customers' addresses that bots and commands use."""

    async def check(url: str, schemes: Sequence[str]) -> str | None:
        try:
            await outgoing.check_url(url, schemes=schemes)
        except UrlRefusedError as error:
            return error.message
        return None

    return check
