"""A customer's receiver of webhooks and callbacks, with answers that a test chooses.

It does what a careful customer does: every signature is verified by Svix's own library, and every
payload has to be one of its schema (``tests.documents``). What is wrong is in ``problems``, which
the fixture that makes a receiver holds empty.
"""

import asyncio
import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any
from unittest.mock import patch

import svix
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from sitin.kit.clock import Clock, SystemClock
from tests.documents import violations, webhook_schema


@dataclass(frozen=True)
class Received:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        """The message's id."""
        return self.headers["svix-id"]

    @property
    def payload(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(self.body)
        return loaded

    @property
    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = self.payload["data"]
        return data


class Receiver:
    """An ASGI app; each path is a destination of its own."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self.received: dict[str, list[Received]] = defaultdict(list)
        self.secrets: dict[str, str] = {}
        """By path; without one it is a callback's."""
        self.problems: list[str] = []
        self.answers: dict[str, list[int]] = defaultdict(list)
        """Statuses to answer with, first one first; 200 when there are none left."""
        self.texts: dict[str, str] = defaultdict(lambda: "noted")
        """What is answered."""
        self.hanging: dict[str, asyncio.Event] = {}
        """Paths that answer only once their event is set."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        path = request.url.path
        body = await request.body()
        received = Received(request.method, path, dict(request.headers), body)
        self._examine(received)
        self.received[path].append(received)
        if path in self.hanging:
            await self.hanging[path].wait()
        status = self.answers[path].pop(0) if self.answers[path] else 200
        headers = {"location": "/elsewhere"} if 300 <= status < 400 else {}
        response: Response = PlainTextResponse(
            self.texts[path], status_code=status, headers=headers
        )
        await response(scope, receive, send)

    def verifies(self, received: Received, secret: str) -> bool:
        """Whether Svix's library takes the request for one made with this secret, by our clock."""
        clock = self._clock

        class Now(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> Any:
                return clock.now().astimezone(tz)

        with patch("standardwebhooks.webhooks.datetime", Now):
            try:
                svix.Webhook(secret).verify(received.body, received.headers)
            except svix.WebhookVerificationError:
                return False
        return True

    def _examine(self, received: Received) -> None:
        secret = self.secrets.get(received.path)
        if secret is not None and not self.verifies(received, secret):
            self.problems.append(f"{received.path}: the signature does not verify")
        payload = received.payload
        schema = webhook_schema(payload["event"], callback=secret is None)
        if schema is not None:
            self.problems += [f"{received.path}: {one}" for one in violations(schema, payload)]
