"""The server that holds rehearsal meetings: HTTPS on loopback inside the caller's event loop.

``Rehearsal`` holds one meeting, ``RehearsalServer`` several.
"""

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from starlette.applications import Starlette
from starlette.routing import Host, Mount, Router

from sitin.rehearsal.control import control_app
from sitin.rehearsal.film import FilmStore
from sitin.rehearsal.meet.routes import ACCOUNTS_HOST, MEET_HOST, meet_routes
from sitin.rehearsal.meeting import Address, Meeting
from sitin.rehearsal.script import Script
from sitin.rehearsal.serving import LOOPBACK, LoopbackServer
from sitin.rehearsal.tls import make_certificate

CONTROL_PATH = "/_rehearsal"
"""Where the controls are, on 127.0.0.1 and localhost only."""


def default_cache_directory() -> Path:
    """Where encoded pictures are kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "sitin" / "rehearsal"


class RehearsalServer:
    """Holds meetings; an async context manager.

    Args:
        scripts: The meetings to open at the start; more can be added with ``hold``.
        port: On 127.0.0.1; 0 takes a free one.
        truth_directory: Where ``<code>.truth.json`` is written when a meeting ends or closes.
        cache_directory: Where encoded pictures are kept; the user's cache directory if not given.
    """

    def __init__(
        self,
        scripts: Iterable[Script] = (),
        *,
        port: int = 0,
        truth_directory: Path | None = None,
        cache_directory: Path | None = None,
    ) -> None:
        self._scripts = list(scripts)
        self._port = port
        self._truth_directory = truth_directory
        self._cache_directory = cache_directory or default_cache_directory()
        self._certificate = make_certificate((MEET_HOST, ACCOUNTS_HOST))
        self.meetings: dict[str, Meeting] = {}
        """By code."""

    async def __aenter__(self) -> Self:
        """Listen and open the meetings.

        Raises ``ScriptError``, and ``OperatorError`` for a port that cannot be had.
        """
        self._server = LoopbackServer(port=self._port, tls=self._certificate.context)
        self._port = self._server.port
        self._film = FilmStore(self._cache_directory)
        control = Router(routes=[Mount(CONTROL_PATH, control_app(self))])
        app = Starlette(
            routes=[
                *meet_routes(self.meetings.get),
                *(Host(host, control) for host in (LOOPBACK, "localhost")),
            ]
        )
        self._server.start(app)
        try:
            for script in self._scripts:
                await self.hold(script)
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close every meeting and stop listening."""
        await self._stop()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._port

    @property
    def control_url(self) -> str:
        """Where the controls answer."""
        return f"https://{LOOPBACK}:{self.port}{CONTROL_PATH}"

    @property
    def certificate(self) -> str:
        """The server's certificate as PEM, for clients of the control routes."""
        return self._certificate.pem

    @property
    def browser_host_rules(self) -> str:
        """Chromium's host resolver rules that lead Meet's addresses here."""
        hosts = (MEET_HOST, ACCOUNTS_HOST)
        return ",".join(f"MAP {host} {LOOPBACK}:{self.port}" for host in hosts)

    @property
    def browser_args(self) -> tuple[str, ...]:
        """Chromium's flags without which it refuses the certificate or media over loopback."""
        return (
            f"--ignore-certificate-errors-spki-list={self._certificate.spki_hash}",
            "--allow-loopback-in-peer-connection",
        )

    async def hold(self, script: Script) -> Meeting:
        """Open a meeting, in the place of one with the same code. Raises ``ScriptError``."""
        address = Address(
            url=f"https://{MEET_HOST}/{script.code}",
            browser_host_rules=self.browser_host_rules,
            browser_args=self.browser_args,
        )
        truth_path = None
        if self._truth_directory is not None:
            self._truth_directory.mkdir(parents=True, exist_ok=True)
            truth_path = self._truth_directory / f"{script.code}.truth.json"
        meeting = Meeting(script, address, self._film, truth_path=truth_path)
        await meeting.open()
        before = self.meetings.get(script.code)
        self.meetings[script.code] = meeting
        if before is not None:
            await before.close()
        return meeting

    async def drop(self, code: str) -> None:
        """Close a meeting and forget it."""
        await self.meetings.pop(code).close()

    async def _stop(self) -> None:
        for meeting in self.meetings.values():
            await meeting.close()
        await self._server.stop()
        await asyncio.to_thread(self._film.close)


class Rehearsal:
    """Holds one meeting: ``async with Rehearsal(script) as meeting``."""

    def __init__(
        self,
        script: Script,
        *,
        port: int = 0,
        truth_directory: Path | None = None,
        cache_directory: Path | None = None,
    ) -> None:
        self._code = script.code
        self._server = RehearsalServer(
            [script], port=port, truth_directory=truth_directory, cache_directory=cache_directory
        )

    async def __aenter__(self) -> Meeting:
        """Open the meeting. Raises ``ScriptError``, and ``OperatorError`` for a port in use."""
        server = await self._server.__aenter__()
        return server.meetings[self._code]

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        await self._server.__aexit__(kind, error, trace)
