"""A customer of a running service: sends bots by HTTP, and is told by webhooks and callbacks."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from sitin.accounts.service import KEY_HEADER
from sitin.contract.codes import BotStatus
from sitin.kit.tls import trusted
from tests.cli.conftest import Machine
from tests.fakes.receiver import Received, Receiver
from tests.serving import serving
from tests.waiting import until

WEBHOOKS = "/webhooks"
CALLBACK_SECRET = "known to the two of us"
PATIENCE = 300
"""Seconds for anything to happen, on whatever machine."""

_FINAL = ("bot.completed", "bot.failed")
_ORDER = list(BotStatus)


@dataclass
class Customer:
    """Somebody with an API key and a receiver."""

    client: httpx.AsyncClient
    receiver: Receiver
    receiver_url: str
    _told: dict[str, list[Received]] = field(default_factory=dict)
    _seen: int = 0
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    async def send(self, meeting_url: str, **order: Any) -> "SentBot":
        """Send a bot, with a callback of its own."""
        callback = f"/callbacks/{next(self._numbers)}"
        body = {
            "bot_name": "Notes",
            "meeting_url": meeting_url,
            "callback_enabled": True,
            "callback_config": {
                "url": self.receiver_url + callback,
                "secret": CALLBACK_SECRET,
            },
            **order,
        }
        answer = await self.client.post("/v2/bots", json=body)
        assert answer.status_code == 201, answer.text
        return SentBot(self, answer.json()["data"]["bot_id"], callback)

    def told(self, bot_id: str) -> list[Received]:
        """Every message about a bot once, in the order of arrival."""
        received = self.receiver.received[WEBHOOKS]
        for one in received[self._seen :]:
            about = self._told.setdefault(one.data["bot_id"], [])
            if one.id not in {known.id for known in about}:
                about.append(one)
        self._seen = len(received)
        return self._told.get(bot_id, [])


@dataclass(frozen=True)
class SentBot:
    """A bot of a customer's, as far as the customer can see it."""

    customer: Customer
    id: str
    callback_path: str

    @property
    def history(self) -> list[dict[str, Any]]:
        """What ``bot.status_change`` told, in the order in which it happened."""
        changes = [one["data"]["status"] for one in self.events("bot.status_change")]
        return sorted(
            changes, key=lambda one: (one["created_at"], _ORDER.index(BotStatus(one["code"])))
        )

    @property
    def statuses(self) -> list[str]:
        """The codes of the history."""
        return [one["code"] for one in self.history]

    @property
    def callbacks(self) -> list[Received]:
        """What came to the bot's own address."""
        return self.customer.receiver.received[self.callback_path]

    def events(self, name: str) -> list[dict[str, Any]]:
        """The payloads of one kind of webhook."""
        payloads = [one.payload for one in self.customer.told(self.id)]
        return [one for one in payloads if one["event"] == name]

    def when(self, status: str) -> datetime:
        """When it reached a status, for the first time."""
        told = next(one["created_at"] for one in self.history if one["code"] == status)
        return datetime.fromisoformat(told)

    async def reached(self, status: str) -> None:
        """Wait until a webhook has told of a status; fail when the bot ended before."""

        def there() -> bool:
            over = any(self.events(name) for name in _FINAL)
            assert not over or status in self.statuses, f"{self.statuses}, {self.last_word}"
            return status in self.statuses

        await until(there, seconds=PATIENCE)

    async def over(self) -> dict[str, Any]:
        """Wait until everything about its end has been told; gives its details."""

        def finished() -> bool:
            final = {"completed", "failed"} & set(self.statuses)
            return bool(final and self.callbacks and any(self.events(one) for one in _FINAL))

        try:
            await until(finished, seconds=PATIENCE)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.statuses}, {self.last_word}") from None
        return await self.details()

    @property
    def last_word(self) -> dict[str, Any]:
        """The data of the webhook that told of its end; there has to be one at most."""
        told = [one for name in _FINAL for one in self.events(name)]
        assert len(told) <= 1
        return told[0]["data"] if told else {}

    async def details(self) -> dict[str, Any]:
        """As the API gives them."""
        answer = await self.customer.client.get(f"/v2/bots/{self.id}")
        assert answer.status_code == 200, answer.text
        details: dict[str, Any] = answer.json()["data"]
        return details

    async def leave(self) -> None:
        """Ask it to leave."""
        answer = await self.customer.client.post(f"/v2/bots/{self.id}/leave")
        assert answer.status_code == 200, answer.text

    async def screenshots(self, directory: Path) -> list[Path]:
        """Fetch its screenshots."""
        answer = await self.customer.client.get(f"/v2/bots/{self.id}/screenshots")
        listed = answer.json()["data"]
        return [
            await fetch(one["url"], directory / f"{one['screenshot_id']}.png") for one in listed
        ]

    async def artifacts(self, directory: Path) -> dict[str, Path]:
        """Fetch the artifacts that its details name into a directory."""
        details = await self.details()
        return {
            name: await fetch(details[name], directory / name)
            for name in ("video", "audio", "diarization", "transcription", "raw_transcription")
            if details[name] is not None
        }


async def fetch(url: str, path: Path) -> Path:
    """Download an artifact by its signed address alone, without a key."""
    async with httpx.AsyncClient(timeout=PATIENCE, verify=trusted()) as anybody:
        answer = await anybody.get(url)
        assert answer.status_code == 200, answer.text
    await asyncio.to_thread(path.write_bytes, answer.content)
    return path


@contextlib.asynccontextmanager
async def a_customer(machine: Machine, service_url: str) -> AsyncIterator[Customer]:
    """A new customer of the service on this machine, whose receiver found nothing wrong."""
    receiver = Receiver()
    async with serving(receiver) as receiver_url:
        team = await machine.json("team", "create", "--name", "Customer")
        made = await machine.json(
            "webhook", "create", "--team", team["team_id"], "--url", receiver_url + WEBHOOKS
        )
        receiver.secrets[WEBHOOKS] = made["secret"]
        headers = {KEY_HEADER: team["api_key"]}
        async with httpx.AsyncClient(
            base_url=service_url, headers=headers, timeout=PATIENCE, verify=trusted()
        ) as client:
            yield Customer(client, receiver, receiver_url)
    assert receiver.problems == []
