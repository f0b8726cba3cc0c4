"""The demo from beginning to end: meeting, service, bot, reports."""

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from sqlalchemy import select

from sitin.accounts.service import team_named
from sitin.bots.models import Bot
from sitin.cli.demo.outcome import Outcome, local_name
from sitin.cli.demo.receiver import Receiver, receiving
from sitin.cli.demo.show import Progress, print_links, print_outcome
from sitin.cli.installation import DEFAULT_TEAM, Installation, installation
from sitin.cli.settings import Settings
from sitin.cli.wiring import running_service
from sitin.kit.errors import OperatorError
from sitin.kit.postgres import EmbeddedPostgres
from sitin.kit.tls import trusted
from sitin.kit.waiting import wait_for_event
from sitin.notifications.endpoints import create_endpoint
from sitin.rehearsal import Meeting, Rehearsal, Script, ScriptError, conversation, speech_from

_FINAL = ("bot.completed", "bot.failed")
_AFTER_MEETING = 300.0
"""Seconds for storing and transcribing forty seconds of meeting on a slow machine."""


async def hold(
    settings: Settings, *, speech: Path | None, out: Path, report: Path | None, keep: bool
) -> int:
    """Run the demo; 0 when everything arrived and is valid, else 1."""
    console = Console(stderr=False)
    script = await _script(speech)
    await asyncio.to_thread(_check_writable, out, report)
    async with _throw_away_data() as data_dir:
        outcome = None
        with Progress(console) as progress:
            progress.step("a meeting with " + ", ".join(p.name for p in script.participants))
            async with (
                Rehearsal(script) as meeting,
                receiving() as receiver,
                _service(settings, data_dir, meeting) as (install, client),
            ):
                await meeting.pictures_ready()
                outcome = await _send_bot(install, client, meeting, receiver, progress, out)
                # What a person wants to see stays up while the service is.
                progress.__exit__()
                print_outcome(console, outcome)
                if report is not None:
                    await asyncio.to_thread(_write, report, outcome)
                problems = outcome.problems()
                for problem in problems:
                    console.print(problem, style="bold red")
                if keep:
                    print_links(console, outcome)
                    await _keep_serving(console, client, install)
    return 1 if problems else 0


def _check_writable(out: Path, report: Path | None) -> None:
    """See before the meeting that its results can be kept. Raises ``OperatorError``."""
    there = next(one for one in (out, *out.absolute().parents) if one.exists())
    for directory in {there, *(() if report is None else (report.parent,))}:
        if not directory.is_dir() or not os.access(directory, os.W_OK):
            raise OperatorError(
                f"Nothing can be written into {directory}: name a directory of yours that is there."
            )


def _write(report: Path, outcome: Outcome) -> None:
    report.write_text(json.dumps(outcome.report(), indent=2) + "\n")


async def _script(speech: Path | None) -> Script:
    try:
        return await (conversation() if speech is None else speech_from(speech))
    except ScriptError as error:
        raise OperatorError(error.message) from None


@asynccontextmanager
async def _throw_away_data() -> AsyncIterator[Path]:
    """A data directory of the demo's own; nothing of the operator's is touched."""
    directory = Path(tempfile.mkdtemp(prefix="sitin-demo-"))
    try:
        yield directory
    finally:
        await asyncio.to_thread(_forget, directory)


def _forget(directory: Path) -> None:
    with contextlib.suppress(OperatorError):
        EmbeddedPostgres(directory).destroy()
    recordings = directory / "recordings"
    if recordings.is_symlink():
        shutil.rmtree(recordings.resolve(), ignore_errors=True)
    shutil.rmtree(directory, ignore_errors=True)


@asynccontextmanager
async def _service(
    settings: Settings, data_dir: Path, meeting: Meeting
) -> AsyncIterator[tuple[Installation, httpx.AsyncClient]]:
    """The whole service, led to the meeting; and a client with the default team's key."""
    own = settings.model_copy(
        update={
            "data_dir": data_dir,
            "database_url": None,
            "secret_keys": [],
            "storage_url": None,
            "public_url": None,
            "browser_host_rules": meeting.browser_host_rules,
            "browser_args": (*settings.browser_args, *meeting.browser_args),
            "allow_private_addresses": True,
            "max_bots": max(1, settings.max_bots),
            "metrics_port": None,
        }
    )
    async with running_service(own, port=0) as service, installation(own) as install:
        key = (data_dir / "api_key").read_text().strip()
        async with httpx.AsyncClient(
            base_url=service.url,
            headers={"x-meeting-baas-api-key": key},
            verify=trusted(),
        ) as client:
            yield install, client


async def _send_bot(
    install: Installation,
    client: httpx.AsyncClient,
    meeting: Meeting,
    receiver: Receiver,
    progress: Progress,
    out: Path,
) -> Outcome:
    async with install.database.transaction() as session:
        team = await team_named(session, DEFAULT_TEAM)
        assert team is not None
        endpoint = await create_endpoint(
            session, install.keyring, team_id=team.id, url=receiver.webhook_url, events=[]
        )
    receiver.webhook_secret = endpoint.secret
    receiver.callback_secret = secrets.token_urlsafe(16)
    answer = await client.post(
        "/v2/bots",
        json={
            "bot_name": "sitin demo",
            "meeting_url": meeting.url,
            "transcription_enabled": True,
            "callback_enabled": True,
            "callback_config": {
                "url": receiver.callback_url,
                "secret": receiver.callback_secret,
            },
            "extra": {"sent_by": "sitin demo"},
        },
    )
    answer.raise_for_status()
    bot_id = answer.json()["data"]["bot_id"]
    progress.step(f"POST /v2/bots answered with bot {bot_id}")
    await _follow(meeting, receiver, progress)
    bot = (await client.get(f"/v2/bots/{bot_id}")).json()["data"]
    started_at = await _recording_start(install, bot_id)
    if started_at is None:
        raise OperatorError(f"The bot recorded nothing: {bot['error_message']}")
    directory = out / bot_id
    await asyncio.to_thread(directory.mkdir, parents=True, exist_ok=True)
    files = await _download(bot, directory)
    return Outcome(
        bot=bot,
        receiver=receiver,
        files=files,
        participants=await asyncio.to_thread(_participants, install, bot_id, directory),
        truth=meeting.truth,
        recording_started_at=started_at,
    )


async def _follow(meeting: Meeting, receiver: Receiver, progress: Progress) -> None:
    """Show what happens until the bot's last webhook and its callback are there."""
    shown = 0
    total = max(event.at for event in meeting.script.timeline)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + total + _AFTER_MEETING
    while not _finished(receiver):
        if loop.time() > deadline:
            raise OperatorError(
                "The bot did not report its end in time; run sitin doctor to see what is missing."
            )
        receiver.news.clear()
        for change in receiver.events("bot.status_change")[shown:]:
            shown += 1
            progress.status(change["data"]["status"]["code"])
        if meeting.state.clock is not None:
            progress.clock(min(meeting.state.clock, total), total)
        await wait_for_event(receiver.news, 0.5)
    for change in receiver.events("bot.status_change")[shown:]:
        progress.status(change["data"]["status"]["code"])


def _finished(receiver: Receiver) -> bool:
    told = any(receiver.events(name) for name in _FINAL)
    last = {one["data"]["status"]["code"] for one in receiver.events("bot.status_change")}
    return told and bool(receiver.callbacks) and bool(last & {"completed", "failed"})


async def _download(bot: dict[str, Any], directory: Path) -> dict[str, Path]:
    """Fetch the artifacts by their signed addresses, without the key."""
    files = {}
    async with httpx.AsyncClient(verify=trusted()) as anybody:
        for name, url in bot.items():
            file_name = local_name(name)
            if file_name is None or url is None:
                continue
            path = directory / file_name
            async with anybody.stream("GET", url) as answer:
                answer.raise_for_status()
                with path.open("wb") as file:
                    async for part in answer.aiter_bytes():
                        file.write(part)
            files[name] = path.absolute()
    return files


def _participants(install: Installation, bot_id: str, directory: Path) -> list[Path]:
    """Copy the participants' own audio, which the API does not give, out of the store."""
    stored = install.settings.data_dir / "artifacts" / "bots" / bot_id / "participants"
    target = directory / "participants"
    target.mkdir(exist_ok=True)
    return [
        Path(shutil.copy(path, target)).absolute()
        for path in sorted(stored.glob("*.flac"), key=lambda one: int(one.stem))
    ]


async def _recording_start(install: Installation, bot_id: str) -> datetime | None:
    async with install.database.transaction() as session:
        started: datetime | None = await session.scalar(
            select(Bot.recording_started_at).where(Bot.id == bot_id)
        )
    return started


async def _keep_serving(console: Console, client: httpx.AsyncClient, install: Installation) -> None:
    console.print(f"The service goes on at {client.base_url}; end it with Ctrl-C.")
    console.print(f"Its API key is in {install.settings.data_dir / 'api_key'}.")
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.Event().wait()
