"""Runs the house: what a ``serve`` and a ``worker`` consist of while they run. Used by commands.

``running_service`` is a running ``serve``, ``running_worker`` the part of it that another machine
runs; the demo uses the first as it is.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import structlog
import uvicorn

from sitin.api.app import create_app
from sitin.api.metrics import create_metrics_app
from sitin.bots.launching import LaunchSettings
from sitin.bots.supervisor import Supervisor, SupervisorSettings
from sitin.cli.house import House, furnish
from sitin.cli.installation import Installation, check_plans, first_team, installation
from sitin.cli.launching import bot_processes, browser_spec, check_browsers, check_isolation
from sitin.cli.listeners import listening, metrics_listening, url_of
from sitin.cli.machine import host_id
from sitin.cli.settings import Settings, calendar_settings, transcription_settings
from sitin.contract.launch import BotLauncher
from sitin.kit.errors import OperatorError
from sitin.platforms.registry import ADAPTERS
from sitin.providers.calendars.registry import CalendarProviders, build_calendar_providers
from sitin.providers.storage.urls import is_local
from sitin.providers.transcription.registry import Engines, build_engines

log = structlog.get_logger(__name__)


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
    with listening(host, port) as listener, metrics_listening(settings) as metrics:
        url = url_of(host, listener)
        if launcher is None:
            await _check_machine(settings)
        async with installation(settings) as install, _providers() as providers:
            await first_team(install)
            await check_plans(install)
            house = furnish(install, *providers, public_url=str(settings.public_url or url))
            running = Running()
            try:
                supervisor = await _start_worker(install, house, running, launcher)
                _start_metrics(settings, running, metrics)
                token = settings.plain_metrics_token
                app = create_app(house.services, metrics_token=token)
                running.start("api", _serve(app, listener))
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
    with metrics_listening(settings) as metrics:
        if launcher is None:
            await _check_machine(settings)
        async with installation(settings) as install, _providers() as providers:
            public_url = str(settings.public_url or "http://127.0.0.1:8000")
            house = furnish(install, *providers, public_url=public_url)
            running = Running()
            try:
                supervisor = await _start_worker(install, house, running, launcher)
                _start_metrics(settings, running, metrics)
                yield Service(public_url, supervisor, running)
            finally:
                await running.stop()


def _start_metrics(settings: Settings, running: Running, listener: socket.socket | None) -> None:
    if listener is not None:
        app = create_metrics_app(settings.plain_metrics_token)
        running.start("metrics", _serve(app, listener))
        log.info("serving_metrics", address=url_of(settings.metrics_host, listener))


def _require_shared(settings: Settings) -> None:
    if not settings.storage_shared:
        raise OperatorError(
            f"Another machine may not see the files of {settings.storage}: set SITIN_STORAGE_URL "
            "to an s3:// address, or SITIN_STORAGE_SHARED=true if every machine has that directory."
        )


async def _check_machine(settings: Settings) -> None:
    """See that bots can be started, before anything is written. Raises ``OperatorError``."""
    if settings.max_bots:
        await check_browsers(settings)
        await check_isolation()


async def _start_worker(
    install: Installation, house: House, running: Running, launcher: BotLauncher | None
) -> Supervisor:
    if install.postgres is not None:
        running.start("database", install.postgres.keep_running())
    running.start("wakeups", house.wakeups.run())
    running.start("deliveries", house.dispatcher.run())
    running.start("schedule", house.queueing.run())
    running.start("jobs", house.jobs.run())
    settings = install.settings
    if launcher is None:
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
            note_takers=settings.note_takers,
        ),
    )
    running.start("bots", supervisor.run())
    return supervisor


@asynccontextmanager
async def _providers() -> AsyncIterator[tuple[Engines, CalendarProviders]]:
    """The transcription engines and calendar providers of this install."""
    async with contextlib.AsyncExitStack() as stack:
        engines = build_engines(transcription_settings())
        stack.push_async_callback(engines.aclose)
        calendars = build_calendar_providers(calendar_settings())
        stack.push_async_callback(calendars.aclose)
        yield engines, calendars


class _Server(uvicorn.Server):
    """A server that leaves the process' signals to the command that runs it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        """Capture none."""
        yield


async def _serve(app: Any, listener: socket.socket) -> None:
    """Answer requests to an ASGI application on a socket until cancelled."""
    config = uvicorn.Config(
        app,
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
