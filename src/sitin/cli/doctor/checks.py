"""What ``sitin doctor`` looks at: what a bot needs of this machine, and what to do about it.

Used by ``cli.main``.
"""

import contextlib
import shutil
import socket
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import timedelta

import psutil

from sitin.cli.installation import installation
from sitin.cli.launching import check_isolation, try_browsers
from sitin.cli.listeners import is_loopback, metrics_listening, url_of
from sitin.cli.machine import recordings_place
from sitin.cli.settings import Settings
from sitin.contract.failures import AdapterError
from sitin.contract.storage import ObjectNotFoundError
from sitin.kit.errors import OperatorError, SitinError
from sitin.providers.storage.urls import open_store

_DISK_PER_BOT_HOUR = 1_500_000_000
"""Bytes: 720p at 3 Mbit/s with every participant's voice beside it."""
_MEMORY_PER_BOT = 600 * 1024 * 1024
_PORT = 8000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    what: str
    well: bool
    told: str
    """What was found, and when it is not well, what to do."""
    warning: bool = False
    """It works, with less than what a machine can give."""

    def line(self) -> str:
        """As a person reads it."""
        mark = "FAIL" if not self.well else "warn" if self.warning else "ok  "
        return f"{mark}  {self.what}: {self.told}"

    def as_json(self) -> dict[str, object]:
        """As a program reads it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Warning:
    """What a look found that works, with less than what a machine can give."""

    told: str


_Look = Callable[[Settings], Awaitable[str | _Warning]]


async def examine(settings: Settings) -> list[Finding]:
    """Look at everything, whatever one of the looks finds."""
    looks: list[tuple[str, _Look]] = [
        ("browser", try_browsers),
        ("isolation", _isolation),
        ("memory", _memory),
        ("disk", _disk),
        ("database", _database),
        ("storage", _storage),
        ("port", _port),
        ("metrics", _metrics),
        ("demo", _demo),
    ]
    return [await _look(what, look, settings) for what, look in looks]


async def _look(what: str, look: _Look, settings: Settings) -> Finding:
    try:
        found = await look(settings)
    except (SitinError, AdapterError) as error:
        return Finding(what, well=False, told=error.message)
    if isinstance(found, _Warning):
        return Finding(what, well=True, told=found.told, warning=True)
    return Finding(what, well=True, told=found)


async def _isolation(_settings: Settings) -> str | _Warning:
    report = await check_isolation()
    return _Warning(report.sentence) if report.missing else report.sentence


async def _memory(settings: Settings) -> str:
    available = psutil.virtual_memory().available
    needed = settings.max_bots * _MEMORY_PER_BOT
    if available < needed:
        carries = available // _MEMORY_PER_BOT
        raise OperatorError(
            f"{available >> 20} MiB are free and {settings.max_bots} bots take {needed >> 20}: "
            f"free some, or set SITIN_MAX_BOTS={carries}."
        )
    return f"{available >> 20} MiB free for {settings.max_bots} bots"


async def _disk(settings: Settings) -> str:
    place = recordings_place(settings.data_dir)
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    hours = settings.max_recording / timedelta(hours=1)
    needed = int(max(1, settings.max_bots) * hours * _DISK_PER_BOT_HOUR)
    if free < needed:
        raise OperatorError(
            f"{free >> 30} GiB are free on the disk of {place} and {settings.max_bots} bots may "
            f"write {needed >> 30}: free some, lower SITIN_MAX_BOTS or SITIN_MAX_RECORDING, or "
            "let a larger disk be there."
        )
    return f"{free >> 30} GiB free on the disk of {place}, where bots record"


async def _database(settings: Settings) -> str:
    async with installation(settings) as install, install.database.transaction() as session:
        connection = await session.connection()
        version = await connection.exec_driver_sql("SHOW server_version")
        kind = "embedded" if settings.database_url is None else "yours"
        return f"PostgreSQL {version.scalar_one()}, {kind}, migrated"


async def _storage(settings: Settings) -> str:
    store = open_store(
        settings.storage,
        s3_endpoint=settings.s3_endpoint,
        s3_public_endpoint=settings.s3_public_endpoint,
    )
    key = "doctor/probe"
    await store.put_bytes(key, b"probe", content_type="text/plain")
    try:
        found = b"".join([part async for part in store.read(key)])
    except ObjectNotFoundError:
        found = b""
    await store.delete(key)
    if found != b"probe":
        raise OperatorError(f"{settings.storage} does not give back what it was given.")
    return f"{settings.storage} can be written and read"


async def _port(_settings: Settings) -> str:
    with contextlib.closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", _PORT))
        except OSError:
            return f"{_PORT} is in use: by this service, or choose another with --port"
    return f"{_PORT} is free"


async def _metrics(settings: Settings) -> str:
    with metrics_listening(settings) as listener:
        if listener is None:
            return "have no port of their own: SITIN_METRICS_PORT is none"
        told = f"a further process answers on {url_of(settings.metrics_host, listener)}/metrics"
    if settings.metrics_token is not None:
        return f"{told} with the token, and `serve` on the API's port too"
    if not is_loopback(settings.metrics_host):
        return f"{told} to whoever reaches it: SITIN_METRICS_TOKEN makes them ask with a token"
    return f"{told}, to this machine only"


async def _demo(_settings: Settings) -> str:
    if shutil.which("espeak-ng") is None:
        return "espeak-ng is not installed: only sitin demo without --speech needs it"
    return "espeak-ng speaks for its participants"
