"""The whole service: from the POST to the call, and from the meeting's end to ``bot.completed``."""

import asyncio
import secrets
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx

from bench.hour import HourOfMeeting
from bench.meeting import script
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
from sitin.rehearsal import Rehearsal


async def in_call_after() -> float:
    """Seconds from the POST until the bot records, in a meeting that admits at once."""
    async with (
        Rehearsal(script(20)) as meeting,
        _service(
            browser_host_rules=meeting.browser_host_rules, browser_args=meeting.browser_args
        ) as (client, receiver),
    ):
        await meeting.pictures_ready()
        began = time.time()
        await _post(client, meeting.url)
        await _told(receiver, "in_call_recording")
        recording = _at(receiver, "in_call_recording")
        await _told(receiver, "completed")
        return recording - began


async def completed_after(seconds: float) -> float:
    """Seconds from the end of a meeting of this length until ``bot.completed`` has arrived."""
    async with (
        Rehearsal(script(seconds)) as meeting,
        _service(
            browser_host_rules=meeting.browser_host_rules, browser_args=meeting.browser_args
        ) as (client, receiver),
    ):
        await meeting.pictures_ready()
        await _post(client, meeting.url)
        await meeting.ended()
        ended = time.time()
        await _told(receiver, "completed")
        return time.time() - ended


async def completed_after_an_hour() -> float:
    """The same for an hour, whose files were written by the capture in advance."""
    launcher = _HourLauncher()
    async with _service(launcher=launcher) as (client, receiver):
        await _post(client, "https://meet.google.com/abc-defg-hij")
        await _told(receiver, "completed")
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


async def _post(client: httpx.AsyncClient, url: str) -> None:
    answer = await client.post("/v2/bots", json={"bot_name": "Bench", "meeting_url": url})
    answer.raise_for_status()


async def _told(receiver: Receiver, status: str) -> None:
    """Wait until the webhook of a status has arrived; ``completed`` and ``failed`` are events."""
    while True:
        receiver.news.clear()
        if receiver.events("bot.failed"):
            raise AssertionError(receiver.events("bot.failed"))
        if status == "completed" and receiver.events("bot.completed"):
            return
        if any(one["data"]["status"]["code"] == status for one in _changes(receiver)):
            return
        await receiver.news.wait()


def _changes(receiver: Receiver) -> list[dict[str, dict[str, dict[str, str]]]]:
    return receiver.events("bot.status_change")


def _at(receiver: Receiver, status: str) -> float:
    found = next(
        one["data"]["status"]
        for one in _changes(receiver)
        if one["data"]["status"]["code"] == status
    )
    return datetime.fromisoformat(found["created_at"]).timestamp()
