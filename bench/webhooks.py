"""Webhooks to fifty endpoints, of which five hang and five refuse: how long the others wait."""

import asyncio
import os
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import insert, text

from bench.serving import forget
from bench.tree import Tree, Usage
from sitin.accounts.service import create_team
from sitin.artifacts.models import Artifact
from sitin.bots import payloads
from sitin.bots.models import Bot
from sitin.cli.installation import Installation, installation
from sitin.cli.settings import Settings
from sitin.contract.codes import BotStatus, Platform, RecordingMode, TranscriptionStatus
from sitin.kit.ids import new_id
from sitin.notifications.endpoints import create_endpoint
from sitin.notifications.events import EventType
from sitin.notifications.service import publish

MESSAGES = 10_000
ENDPOINTS = 50
HANGING = 5
REFUSING = 5
PER_SECOND = 200
COMPLETED_EVERY = 10
"""One message in so many is a ``bot.completed``, which signs five links; the rest are statuses."""

_WARM_UP = 100


@dataclass(frozen=True)
class Figures:
    """What came of it."""

    latencies: list[float]
    """Seconds from the moment a message was due to be published until a healthy receiver had it."""
    published_late: float
    """Seconds: the most that a publication was behind its moment."""
    seconds: float
    """From the first publication until the last healthy receiver had its message."""
    attempts: int
    worker: Usage
    postgres: Usage
    pss_before: int
    """Bytes, as the two below."""
    pss_peak: int
    pss_after: int

    def percentile(self, percent: int) -> float:
        """Seconds within which this share of the messages to healthy endpoints arrived."""
        return statistics.quantiles(self.latencies, n=100)[percent - 1]

    @property
    def per_second(self) -> float:
        """Messages that arrived at healthy receivers, per second."""
        return len(self.latencies) / self.seconds

    def per_thousand(self, usage: Usage) -> float:
        """CPU-seconds per thousand attempts."""
        return 1000 * usage.cpu_seconds / self.attempts


@dataclass(frozen=True)
class _Place:
    """A team's endpoint."""

    team_id: UUID
    healthy: bool


async def measure() -> Figures:
    """Publish the messages at their rate, and look at when they arrive."""
    async with AsyncExitStack() as stack:
        data_dir = Path(tempfile.mkdtemp(prefix="sitin-bench-", dir="/var/tmp"))
        stack.callback(forget, data_dir)
        settings = Settings(data_dir=data_dir, allow_private_addresses=True)
        install = await stack.enter_async_context(installation(settings))
        port = await stack.enter_async_context(_receivers())
        refusing = stack.enter_context(socket.socket())
        refusing.bind(("127.0.0.1", 0))  # and never listens
        bots = await _completed_bots(install, (MESSAGES + _WARM_UP) // COMPLETED_EVERY + 1)
        places = await _places(install, port, refusing.getsockname()[1])
        worker = await stack.enter_async_context(_worker(data_dir))
        log = await stack.enter_async_context(
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}")
        )
        offer = _Offer(install, places, bots)
        await offer.publish(_WARM_UP, per_second=20)
        await _arrived(log, offer)

        offer.begin()
        tree, database = Tree(worker), Tree(_postmaster(data_dir))
        stack.callback(tree.close)
        stack.callback(database.close)
        before = tree.pss()
        worker_usage, database_usage = tree.measure(), database.measure()
        attempts = await _attempts(install)
        began = time.monotonic()
        await offer.publish(MESSAGES, per_second=PER_SECOND)
        arrivals = await _arrived(log, offer)
        return Figures(
            latencies=[arrivals[key] - due for key, due in offer.healthy.items()],
            published_late=offer.late,
            seconds=max(arrivals[key] for key in offer.healthy) - began,
            attempts=await _attempts(install) - attempts,
            worker=worker_usage(),
            postgres=database_usage(),
            pss_before=before,
            pss_peak=tree.peak_pss,
            pss_after=tree.pss(),
        )


_Key = tuple[str, str]
"""An event and its bot: every message of the bench is about another pair."""


class _Offer:
    """Publishes, each message in a transaction of its own and at its own moment."""

    def __init__(self, install: Installation, places: list[_Place], bots: list[Bot]) -> None:
        self._install = install
        self._places = places
        self._bots = bots
        self._count = 0
        self.begin()

    def begin(self) -> None:
        self.healthy: dict[_Key, float] = {}
        """The messages to healthy endpoints, and when each was due."""
        self.late = 0.0

    async def publish(self, count: int, *, per_second: float) -> None:
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number in range(count):
                due = began + number / per_second
                await asyncio.sleep(due - time.monotonic())
                group.create_task(self._one(due))

    async def _one(self, due: float) -> None:
        self._count += 1
        place = self._places[self._count % len(self._places)]
        now = datetime.now(UTC)
        if self._count % COMPLETED_EVERY == 0:
            bot = self._bots[self._count // COMPLETED_EVERY]
            event, data = EventType.BOT_COMPLETED, payloads.completed(bot, [], at=now)
        else:
            bot = Bot(id=new_id(), recording_started_at=None)
            event = EventType.BOT_STATUS_CHANGE
            data = payloads.status_change(bot.id, None, BotStatus.JOINING_CALL, at=now)
        if place.healthy:
            self.healthy[event, str(bot.id)] = due
        async with self._install.database.transaction() as session:
            await publish(
                session,
                team_id=place.team_id,
                event=event,
                data=data,
                extra={"customer": "bench"},
                at=now,
                bot_id=bot.id,
            )
        self.late = max(self.late, time.monotonic() - due)


async def _arrived(log: httpx.AsyncClient, offer: _Offer) -> dict[_Key, float]:
    """Wait until every message to a healthy endpoint has arrived; returns when each first did."""
    deadline = time.monotonic() + 300
    arrivals: dict[_Key, float] = {}
    while time.monotonic() < deadline:
        for path, event, bot_id, at in (await log.get("/log", timeout=60)).json():
            if path.startswith("/well/"):
                arrivals.setdefault((event, bot_id), at)
        if offer.healthy.keys() <= arrivals.keys():
            return arrivals
        await asyncio.sleep(1)
    missing = len(offer.healthy.keys() - arrivals.keys())
    raise AssertionError(f"{missing} messages to healthy endpoints did not arrive")


async def _places(install: Installation, port: int, refusing_port: int) -> list[_Place]:
    """A team for each endpoint: healthy ones, then those that hang, then those that refuse."""
    places = []
    healthy = ENDPOINTS - HANGING - REFUSING
    for number in range(ENDPOINTS):
        kind = "well" if number < healthy else "hangs"
        url = f"http://127.0.1.{number + 1}:{port}/{kind}/{number}"
        if number >= healthy + HANGING:
            url = f"http://127.0.0.1:{refusing_port}/{number}"
        async with install.database.transaction() as session:
            team = await create_team(session, name=f"Team {number}")
            await create_endpoint(session, install.keyring, team_id=team.id, url=url, events=[])
        places.append(_Place(team.id, kind == "well" and number < healthy))
    return places


async def _completed_bots(install: Installation, count: int) -> list[Bot]:
    """Bots that have ended, with the five artifacts that ``bot.completed`` links to."""
    now = datetime.now(UTC)
    async with install.database.transaction() as session:
        team = await create_team(session, name="Bots")
        bots = [
            Bot(
                id=new_id(),
                team_id=team.id,
                created_at=now,
                bot_name="Bench",
                meeting_url="https://meet.google.com/abc-defg-hij",
                joined_url="https://meet.google.com/abc-defg-hij",
                platform=Platform.MEET,
                recording_mode=RecordingMode.SPEAKER_VIEW,
                allow_multiple_bots=True,
                waiting_room_timeout=600,
                no_one_joined_timeout=600,
                silence_timeout=600,
                streaming_enabled=False,
                transcription_enabled=False,
                callback_enabled=False,
                callback_method="POST",
                status=BotStatus.COMPLETED,
                status_at=now,
                joined_at=now,
                exited_at=now,
                ended_at=now,
                duration=60.0,
                artifacts_deleted=False,
                transcription_status=TranscriptionStatus.NOT_APPLICABLE,
            )
            for _ in range(count)
        ]
        session.add_all(bots)
        await session.flush()
        kinds = ("video", "audio", "diarization", "raw_transcription", "transcription")
        rows = [
            {
                "id": new_id(),
                "bot_id": bot.id,
                "kind": kind,
                "key": f"bots/{bot.id}/{kind}",
                "size": 1,
                "content_type": "application/octet-stream",
                "created_at": now,
            }
            for bot in bots
            for kind in kinds
        ]
        await session.execute(insert(Artifact), rows)
    return bots


async def _attempts(install: Installation) -> int:
    async with install.database.transaction() as session:
        return int(await session.scalar(text("SELECT count(*) FROM delivery_attempts")) or 0)


def _postmaster(data_dir: Path) -> int:
    lines = (data_dir / "postgres" / "cluster" / "postmaster.pid").read_text().splitlines()
    return int(lines[0])


@asynccontextmanager
async def _receivers() -> AsyncIterator[int]:
    """The port of the receivers."""
    async with _process("-m", "bench.receivers", stdout=asyncio.subprocess.PIPE) as process:
        assert process.stdout is not None
        yield int(await process.stdout.readline())


@asynccontextmanager
async def _worker(data_dir: Path) -> AsyncIterator[int]:
    """The pid of a ``sitin worker`` without bots."""
    own = {
        "SITIN_DATA_DIR": str(data_dir),
        "SITIN_ALLOW_PRIVATE_ADDRESSES": "true",
        "SITIN_LOG_LEVEL": "ERROR",
    }
    command = ("-m", "sitin.cli.main", "worker", "--bots", "0")
    async with _process(*command, env=os.environ | own) as process:
        yield process.pid


@asynccontextmanager
async def _process(*arguments: str, **options: Any) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, **options)
    try:
        yield process
    finally:
        process.terminate()
        await process.wait()
