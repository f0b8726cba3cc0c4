"""A customer's receiver of webhooks and callbacks, with answers that a test chooses."""

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response


@dataclass(frozen=True)
class Received:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Receiver:
    """An ASGI app; each path is a destination of its own."""

    def __init__(self) -> None:
        self.received: dict[str, list[Received]] = defaultdict(list)
        self.answers: dict[str, list[int]] = defaultdict(list)
        """Statuses to answer with, first one first; 200 when there are none left."""
        self.hanging: dict[str, asyncio.Event] = {}
        """Paths that answer only once their event is set."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        path = request.url.path
        body = await request.body()
        self.received[path].append(Received(request.method, path, dict(request.headers), body))
        if path in self.hanging:
            await self.hanging[path].wait()
        status = self.answers[path].pop(0) if self.answers[path] else 200
        headers = {"location": "/elsewhere"} if 300 <= status < 400 else {}
        response: Response = PlainTextResponse("noted", status_code=status, headers=headers)
        await response(scope, receive, send)
