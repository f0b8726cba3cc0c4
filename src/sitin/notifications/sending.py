"""One request of a delivery: its body as it is true now, its headers, and what came back.

Used within notifications.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from sitin.kit.clock import Clock
from sitin.kit.crypto import Keyring
from sitin.kit.http import NoAnswerInTimeError, OutgoingClient, OutgoingError
from sitin.notifications.events import EventType
from sitin.notifications.models import DeliveryKind
from sitin.notifications.schedule import TIMEOUT, Outcome
from sitin.notifications.signing import signature_headers
from sitin.notifications.store import Answer, Taken

_KEPT_BYTES = 1024
_REFRESHED_AT_ONCE = 4
"""Payloads: each may take a connection of the database's, which others need too."""

Refresh = Callable[[Taken], Awaitable[dict[str, Any]]]
"""Gives a message's ``data`` as it is true at this moment, with signed URLs that are fresh."""


class Sender:
    """Sends deliveries through the one client for addresses that customers give."""

    def __init__(
        self, *, client: OutgoingClient, keyring: Keyring, clock: Clock, refresh: Refresh
    ) -> None:
        self._client = client
        self._keyring = keyring
        self._clock = clock
        self._refresh = refresh
        self._refreshing = asyncio.Semaphore(_REFRESHED_AT_ONCE)

    async def send(self, taken: Taken) -> Answer:
        """Make one attempt; every way the other side can fail is an answer."""
        async with self._refreshing:
            payload: dict[str, Any] = {"event": taken.event, "data": await self._refresh(taken)}
        if EventType(taken.event).is_about_a_bot:
            payload["extra"] = taken.extra
        body = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
        headers = {"content-type": "application/json"}
        try:
            answer = await self._client.request(
                taken.method,
                taken.url,
                seconds=TIMEOUT.total_seconds(),
                keep=_KEPT_BYTES,
                headers=headers | self._proof(taken, body),
                content=body,
            )
        except OutgoingError as error:
            timed_out = isinstance(error, NoAnswerInTimeError)
            return Answer(Outcome(None, timed_out=timed_out), error=_storable(error.message))
        text = _storable(answer.body.decode(errors="replace"))
        return Answer(Outcome(answer.status), body=text)

    def _proof(self, taken: Taken, body: bytes) -> dict[str, str]:
        secrets = [self._keyring.decrypt(secret) for secret in taken.secrets]
        if taken.kind is DeliveryKind.CALLBACK:
            return {"x-mb-secret": secrets[0]} if secrets else {}
        assert secrets
        return signature_headers(
            message_id=taken.message_id, body=body, secrets=secrets, now=self._clock.now()
        )


def _storable(text: str) -> str:
    # PostgreSQL's text holds every character but this one.
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}")
