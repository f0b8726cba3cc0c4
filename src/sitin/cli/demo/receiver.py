"""The demo's HTTP receiver: takes webhooks and callbacks as a customer would, and verifies them."""

import asyncio
import contextlib
import hmac
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn
from standardwebhooks import Webhook, WebhookVerificationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came, and the secret that proves it."""

    headers: dict[str, str]
    body: str
    secret: str

    @property
    def payload(self) -> dict[str, Any]:
        """The body's JSON."""
        loaded: dict[str, Any] = json.loads(self.body)
        return loaded

    @property
    def is_callback(self) -> bool:
        """Whether it came to the bot's own address rather than to the team's."""
        return "svix-id" not in self.headers

    def as_json(self) -> dict[str, Any]:
        """For the report."""
        return {"headers": self.headers, "body": self.body, "secret": self.secret}


class Receiver:
    """Keeps what arrives; what does not verify is answered with 401 and kept apart."""

    def __init__(self, url: str) -> None:
        self.webhook_url = f"{url}/webhook"
        self.callback_url = f"{url}/callback"
        self.webhook_secret = ""
        self.callback_secret = ""
        self.received: list[Received] = []
        self.refused: list[Received] = []
        self.news = asyncio.Event()
        """Set with every request."""

    def events(self, name: str) -> list[dict[str, Any]]:
        """The verified webhook payloads of one event."""
        return [
            one.payload
            for one in self.received
            if not one.is_callback and one.payload["event"] == name
        ]

    @property
    def callbacks(self) -> list[dict[str, Any]]:
        """The verified callback payloads."""
        return [one.payload for one in self.received if one.is_callback]

    async def take_webhook(self, request: Request) -> Response:
        """The team's endpoint."""
        got = await self._read(request, self.webhook_secret)
        # The library knows the headers by their newer names.
        headers = {name.replace("svix-", "webhook-"): value for name, value in got.headers.items()}
        try:
            Webhook(self.webhook_secret).verify(got.body, headers)
        except (WebhookVerificationError, KeyError):
            return self._keep(got, verified=False)
        return self._keep(got, verified=True)

    async def take_callback(self, request: Request) -> Response:
        """The bot's own address."""
        got = await self._read(request, self.callback_secret)
        said = got.headers.get("x-mb-secret", "")
        return self._keep(got, verified=hmac.compare_digest(said, self.callback_secret))

    async def _read(self, request: Request, secret: str) -> Received:
        return Received(dict(request.headers), (await request.body()).decode(), secret)

    def _keep(self, got: Received, *, verified: bool) -> Response:
        (self.received if verified else self.refused).append(got)
        self.news.set()
        return Response(status_code=204 if verified else 401)


class _Server(uvicorn.Server):
    """A server that leaves the process's signals alone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        """Capture none."""
        yield


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A receiver on a free loopback port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        receiver = Receiver(f"http://127.0.0.1:{listener.getsockname()[1]}")
        routes = [
            Route("/webhook", receiver.take_webhook, methods=["POST"]),
            Route("/callback", receiver.take_callback, methods=["POST"]),
        ]
        config = uvicorn.Config(Starlette(routes=routes), log_config=None, access_log=False)
        server = _Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield receiver
        finally:
            server.should_exit = True
            await serving
