"""The whole service: from the POST to the call, and from the meeting's end to ``bot.completed``."""

import asyncio
import secrets
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from bench.hour import HourOfMeeting
from bench.meeting import script
from bench.row import Row
from sitin.accounts.service import team_named
from sitin.cli.demo.receiver import Receiver, receiving
from sitin.cli.installation import DEFAULT_TEAM, installation
from sitin.cli.settings import Settings
from sitin.cli.wiring import running_service
from sitin.contract.codes import BotStatus, EndReason
from sitin.contract.events import BotEvent, Ended, EventBody, StatusReached
from sitin.contract.launch import BotLauncher
from sitin.contract.spec import BotSpec
from sitin.kit.postgres import EmbeddedPostgres
from sitin.notifications.endpoints import create_endpoint
from sitin.rehearsal import Meeting, RehearsalServer

STARTS = 4
"""How often a start is measured; of a single one the machine's noise says more than the bot."""


@dataclass(frozen=True)
class Start:
    """Seconds from the POST, in a meeting that admits at once."""

    in_call: float
    recording: float


async def measure(seconds: float) -> list[Row]:
    """From the request to the call, and from the meeting's end to ``bot.completed``."""
    starts, after = await _meetings(seconds)
    in_call = [one.in_call for one in starts]
    return [
        Row(
            "from POST to in_call",
            median(in_call),
            "s",
            4,
            note=f"median of {len(starts)}, best {min(in_call):.2f} s",
        ),
        Row("from POST to recording", median(one.recording for one in starts), "s"),
        Row(f"from the meeting's end to bot.completed, {seconds:g} s", after, "s", 5),
        Row(
            "from the meeting's end to bot.completed, 1 h",
            await _completed_after_an_hour(),
            "s",
            5,
            note="files written in advance",
        ),
    ]


async def _meetings(seconds: float) -> tuple[list[Start], float]:
    """Short meetings for the start, then one of that length; and how long its end took."""
    async with (
        RehearsalServer() as server,
        _service(
            browser_host_rules=server.browser_host_rules, browser_args=server.browser_args
        ) as (client, receiver),
    ):
        starts = []
        for _ in range(STARTS - 1):
            meeting = await server.hold(script(20))
            start, bot_id = await _start(client, receiver, meeting)
            starts.append(start)
            meeting.end()
            await _told(receiver, bot_id, "completed")
        meeting = await server.hold(script(seconds))
        start, bot_id = await _start(client, receiver, meeting)
        await meeting.ended()
        ended = time.time()
        await _told(receiver, bot_id, "completed")
        return [*starts, start], time.time() - ended


async def _start(
    client: httpx.AsyncClient, receiver: Receiver, meeting: Meeting
) -> tuple[Start, str]:
    await meeting.pictures_ready()
    began = time.time()
    bot_id = await _post(client, meeting.url)
    await _told(receiver, bot_id, "in_call_recording")
    in_call = _at(receiver, bot_id, "in_call_not_recording")
    return Start(in_call - began, _at(receiver, bot_id, "in_call_recording") - began), bot_id


async def _completed_after_an_hour() -> float:
    """The same for an hour, whose files were written by the capture in advance."""
    launcher = _HourLauncher()
    async with _service(launcher=launcher) as (client, receiver):
        bot_id = await _post(client, "https://meet.google.com/abc-defg-hij")
        await _told(receiver, bot_id, "completed")
        return time.time() - launcher.ended


class _HourLauncher:
    """Hands over a bot that has recorded for an hour and now ends; implements ``BotLauncher``."""

    def __init__(self) -> None:
        self.ended = 0.0

    async def launch(self, spec: BotSpec) -> "_HourBot":
        return _HourBot(spec, self)

    async def adopt(self) -> Sequence["_HourBot"]:
        return []


class _HourBot:
    def __init__(self, spec: BotSpec, launcher: _HourLauncher) -> None:
        self.spec = spec
        self.directory = Path(tempfile.mkdtemp(prefix="sitin-hour-", dir="/var/tmp"))
        self._launcher = launcher

    async def events(self, *, after: int) -> AsyncIterator[BotEvent]:
        meeting = await asyncio.to_thread(HourOfMeeting, self.directory)
        for status in (
            BotStatus.JOINING_CALL,
            BotStatus.IN_CALL_NOT_RECORDING,
            BotStatus.IN_CALL_RECORDING,
        ):
            after += 1
            yield self._event(after, StatusReached(status=status))
        self._launcher.ended = time.time()
        yield self._event(after + 1, StatusReached(status=BotStatus.CALL_ENDED))
        recording = await asyncio.to_thread(meeting.end)
        yield self._event(after + 2, Ended(reason=EndReason.MEETING_ENDED, recording=recording))

    def _event(self, seq: int, body: EventBody) -> BotEvent:
        token = self.spec.fencing_token
        return BotEvent(seq=seq, at=datetime.now(UTC), fencing_token=token, body=body)

    async def leave(self) -> None:
        return None

    async def tell_other_bots(self, participant_ids: Collection[str]) -> bool:
        del participant_ids
        return True

    async def discard(self) -> None:
        await asyncio.to_thread(shutil.rmtree, self.directory, ignore_errors=True)

    async def release(self) -> None:
        return None


@asynccontextmanager
async def _service(
    launcher: BotLauncher | None = None, **settings: object
) -> AsyncIterator[tuple[httpx.AsyncClient, Receiver]]:
    data_dir = Path(tempfile.mkdtemp(prefix="sitin-bench-", dir="/var/tmp"))
    own = Settings(data_dir=data_dir, allow_private_addresses=True, max_bots=4).model_copy(
        update=settings
    )
    try:
        async with (
            receiving() as receiver,
            running_service(own, port=0, launcher=launcher) as service,
            installation(own) as install,
        ):
            async with install.database.transaction() as session:
                team = await team_named(session, DEFAULT_TEAM)
                assert team is not None
                endpoint = await create_endpoint(
                    session, install.keyring, team_id=team.id, url=receiver.webhook_url, events=[]
                )
            receiver.webhook_secret = endpoint.secret
            receiver.callback_secret = secrets.token_urlsafe(8)
            key = (data_dir / "api_key").read_text().strip()
            async with httpx.AsyncClient(
                base_url=service.url, headers={"x-meeting-baas-api-key": key}
            ) as client:
                yield client, receiver
    finally:
        EmbeddedPostgres(data_dir).destroy()
        shutil.rmtree((data_dir / "recordings").resolve(), ignore_errors=True)
        shutil.rmtree(data_dir, ignore_errors=True)


async def _post(client: httpx.AsyncClient, url: str) -> str:
    """Send a bot; gives its id."""
    answer = await client.post("/v2/bots", json={"bot_name": "Bench", "meeting_url": url})
    answer.raise_for_status()
    return str(answer.json()["data"]["bot_id"])


async def _told(receiver: Receiver, bot_id: str, status: str) -> None:
    """Wait until the webhook of a status has arrived; ``completed`` and ``failed`` are events."""
    while True:
        receiver.news.clear()
        if failed := _of(receiver, bot_id, "bot.failed"):
            raise AssertionError(failed)
        if status == "completed" and _of(receiver, bot_id, "bot.completed"):
            return
        if any(one["status"]["code"] == status for one in _changes(receiver, bot_id)):
            return
        await receiver.news.wait()


def _of(receiver: Receiver, bot_id: str, event: str) -> list[dict[str, Any]]:
    told = [one["data"] for one in receiver.events(event)]
    return [one for one in told if one["bot_id"] == bot_id]


def _changes(receiver: Receiver, bot_id: str) -> list[dict[str, Any]]:
    return _of(receiver, bot_id, "bot.status_change")


def _at(receiver: Receiver, bot_id: str, status: str) -> float:
    """When the bot reached a status, in seconds since 1970."""
    found = next(
        one["status"] for one in _changes(receiver, bot_id) if one["status"]["code"] == status
    )
    return datetime.fromisoformat(found["created_at"]).timestamp()
