"""One request of a delivery: its body as it is true now, its headers, and what came back.

Used within notifications.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from sitin.kit.clock import Clock
from sitin.kit.crypto import Keyring
from sitin.kit.http import NoAnswerInTimeError, OutgoingClient, OutgoingError
from sitin.notifications.models import DeliveryKind
from sitin.notifications.schedule import TIMEOUT, Outcome
from sitin.notifications.signing import signature_headers
from sitin.notifications.store import Answer, Taken

_KEPT_BYTES = 1024

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

    async def send(self, taken: Taken) -> Answer:
        """Make one attempt; every way the other side can fail is an answer."""
        data = await self._refresh(taken)
        body = json.dumps(
            {"event": taken.event, "data": data, "extra": taken.extra},
            ensure_ascii=False,
            separators=(",", ":"),
        ).encode()
        headers = {"content-type": "application/json", "user-agent": "sitin"}
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
        secret = None if taken.secret is None else self._keyring.decrypt(taken.secret)
        if taken.kind is DeliveryKind.CALLBACK:
            return {} if secret is None else {"x-mb-secret": secret}
        assert secret is not None
        return signature_headers(
            message_id=taken.message_id, body=body, secrets=[secret], now=self._clock.now()
        )


def _storable(text: str) -> str:
    # PostgreSQL's text holds every character but this one.
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}")
