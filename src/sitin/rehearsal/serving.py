"""A web server on loopback inside the caller's event loop. For the rehearsals' servers."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Generator
from typing import Any

import uvicorn

from sitin.kit.errors import OperatorError

LOOPBACK = "127.0.0.1"
"""The only address that a rehearsal listens on."""


class LoopbackServer:
    """Serves one application on 127.0.0.1 between ``start`` and ``stop``.

    Args:
        port: 0 takes a free one.
        tls: Serves HTTPS with it; plain HTTP without.
    """

    def __init__(self, *, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        try:
            self._socket = socket.create_server((LOOPBACK, port))
        except OSError as error:
            raise OperatorError(
                f"port {port} on {LOOPBACK} cannot be had ({error.strerror}); choose another"
            ) from error
        self.port = int(self._socket.getsockname()[1])

    def start(self, app: Any) -> None:
        """Answer with this ASGI application from now on."""
        tls = self._tls
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="websockets-sansio",
            ssl_context_factory=None if tls is None else lambda *_: tls,
            timeout_graceful_shutdown=1,
        )
        self._server = _QuietServer(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[self._socket]))

    async def stop(self) -> None:
        """Stop listening."""
        self._server.should_exit = True
        await self._serving
        self._socket.close()


class _QuietServer(uvicorn.Server):
    """A server that leaves the process's signals to whoever runs the event loop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield
