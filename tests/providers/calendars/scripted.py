"""A platform that answers what the test wrote down, over HTTP, and keeps what it was asked."""

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    method: str
    path: str
    """Quoted, as it was sent."""
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.body.decode()).items()}

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Scripted:
    """An ASGI app; its answers are given one after the other, whatever is asked."""

    answers: deque[tuple[int, Any, Mapping[str, str]]] = field(default_factory=deque)
    asked: list[Asked] = field(default_factory=list)

    def answer(self, status: int, body: Any = "", **headers: str) -> None:
        """Add an answer: JSON, or text as it is."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers.append((status, body, named))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        self.asked.append(
            Asked(
                request.method,
                scope["raw_path"].decode(),
                dict(request.query_params),
                dict(request.headers),
                await request.body(),
            )
        )
        status, body, headers = self.answers.popleft() if self.answers else (418, "unscripted", {})
        text = body if isinstance(body, str) else json.dumps(body)
        await Response(text, status, headers=dict(headers))(scope, receive, send)
