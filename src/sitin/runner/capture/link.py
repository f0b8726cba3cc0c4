"""The way from the page to the runner: a WebSocket on loopback that knows one token.

Used by the capture alone. The page is untrusted: messages above a limit close the connection.
"""

import asyncio
import base64
import hmac
import json
import secrets
import socket
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import structlog
from playwright.async_api import BrowserContext
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from sitin.kit.waiting import wait_for_event
from sitin.runner.capture.frames import FlushedReport, Item, MalformedBatchError, parse
from sitin.runner.listeners import LOOPBACK

log = structlog.get_logger()

MAX_BATCH = 16 * 1024 * 1024
"""Bytes; a batch holds half a second, a 4K key frame among it."""

BINDING = "__sitinBatch"


class PageLink:
    """Receives batches and sends commands.

    ``receive`` is called with the records of every batch, in order, on the event loop.
    ``listener`` is the socket to listen on; without one it is a free loopback port.
    """

    def __init__(
        self, receive: Callable[[list[Item]], None], *, listener: socket.socket | None = None
    ) -> None:
        self._receive = receive
        self._listener = listener
        self._token = secrets.token_urlsafe(24)
        self._server: Server | None = None
        self._connections: set[ServerConnection] = set()
        self._unflushed: set[ServerConnection] = set()
        self._flushed = asyncio.Event()
        self._commands: dict[str, Any] = {}

    async def open(self) -> None:
        """Listen."""
        listener = self._listener.dup() if self._listener else socket.create_server((LOOPBACK, 0))
        self._server = await serve(
            self._handle,
            sock=listener,
            process_request=self._admit,
            compression=None,
            max_size=MAX_BATCH,
            # The page's worker answers pings only between batches; it is watched by its data.
            ping_interval=None,
        )

    @property
    def port(self) -> int:
        """The port listened on."""
        assert self._server is not None
        return int(next(iter(self._server.sockets)).getsockname()[1])

    @property
    def url(self) -> str:
        """Where the page connects, the token included."""
        return f"ws://{LOOPBACK}:{self.port}/{self._token}"

    async def expose(self, context: BrowserContext) -> None:
        """Offer the way through the page to documents where no WebSocket opens."""
        await context.expose_function(BINDING, self._through_page)

    def command(self, **command: Any) -> None:
        """Tell every connected document; later ones are told when they connect."""
        self._commands |= {k: v for k, v in command.items() if k in {"take", "select"}}
        text = json.dumps(command)
        for connection in self._connections:
            # Small and rare: the send buffer takes them without waiting.
            asyncio.ensure_future(self._send(connection, text))  # noqa: RUF006

    async def flush(self, within: float) -> None:
        """Have every document send what it holds; wait so many seconds at most."""
        self._unflushed = set(self._connections)
        self._flushed.clear()
        self.command(flush=True)
        if self._unflushed:
            await wait_for_event(self._flushed, within)

    async def close(self) -> None:
        """Close the connections and stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _send(self, connection: ServerConnection, text: str) -> None:
        try:
            await connection.send(text)
        except ConnectionClosed:
            log.debug("page is gone", connection=str(connection.id))

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        if hmac.compare_digest(request.path.encode(), f"/{self._token}".encode()):
            return None
        return connection.respond(HTTPStatus.FORBIDDEN, "wrong token\n")

    async def _handle(self, connection: ServerConnection) -> None:
        self._connections.add(connection)
        if self._commands:
            await self._send(connection, json.dumps(self._commands))
        try:
            async for batch in connection:
                if isinstance(batch, str):
                    raise MalformedBatchError("a text message")
                items = list(parse(batch))
                self._receive([one for one in items if not isinstance(one, FlushedReport)])
                if any(isinstance(one, FlushedReport) for one in items):
                    self._has_flushed(connection)
        except MalformedBatchError as error:
            log.warning("page sent a malformed batch", why=str(error))
            await connection.close(1003, "malformed batch")
        except ConnectionClosed:
            log.debug("page connection lost")
        finally:
            self._connections.discard(connection)
            self._has_flushed(connection)

    def _has_flushed(self, connection: ServerConnection) -> None:
        """Nothing more is to be expected of this document."""
        self._unflushed.discard(connection)
        if not self._unflushed:
            self._flushed.set()

    def _through_page(self, text: str) -> None:
        if len(text) > MAX_BATCH:
            log.warning("page sent too large a batch", bytes=len(text))
            return
        try:
            self._receive(list(parse(base64.b64decode(text, validate=True))))
        except (ValueError, MalformedBatchError) as error:
            log.warning("page sent a malformed batch", why=str(error))
