"""The calendars' server: plain HTTP on loopback in the caller's event loop."""

from collections.abc import Mapping
from datetime import datetime
from types import TracebackType
from typing import Self

from starlette.applications import Starlette
from starlette.routing import Mount

from sitin.rehearsal.calendars.clock import MovableClock
from sitin.rehearsal.calendars.control import PATH as CONTROL_PATH
from sitin.rehearsal.calendars.control import control_app
from sitin.rehearsal.calendars.google.provider import GoogleRehearsal
from sitin.rehearsal.calendars.google.routes import google_routes
from sitin.rehearsal.calendars.microsoft.provider import MicrosoftRehearsal
from sitin.rehearsal.calendars.microsoft.routes import microsoft_routes
from sitin.rehearsal.calendars.provider import World
from sitin.rehearsal.calendars.pushes import Pushes
from sitin.rehearsal.serving import LOOPBACK, LoopbackServer


class CalendarRehearsal:
    """A Google Calendar and a Microsoft Graph on this machine; an async context manager.

    Args:
        port: On 127.0.0.1; 0 takes a free one.
        at: What the clock shows at the beginning, and goes on from; the machine's time if not
            given.
        standing: Whether the clock stands still until it is moved.
    """

    def __init__(
        self, *, port: int = 0, at: datetime | None = None, standing: bool = False
    ) -> None:
        self._port = port
        self.clock = MovableClock(at, standing=standing)
        self.pushes = Pushes()
        self._world = World(self.clock, self.pushes)
        self.google = GoogleRehearsal(self._world)
        self.microsoft = MicrosoftRehearsal(self._world)

    async def __aenter__(self) -> Self:
        """Listen. Raises ``OperatorError`` for a port that cannot be had."""
        self._server = LoopbackServer(port=self._port)
        self._world.url = f"http://{LOOPBACK}:{self._server.port}"
        self.pushes.open()
        routes = [
            google_routes(self.google),
            *microsoft_routes(self.microsoft),
            Mount(CONTROL_PATH, control_app(self)),
        ]
        self._server.start(Starlette(routes=routes))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Send nothing any more and stop listening."""
        for provider in (self.google, self.microsoft):
            provider.faults.clear()
        await self.pushes.close()
        await self._server.stop()

    @property
    def url(self) -> str:
        """Where it answers."""
        return self._world.url

    @property
    def control_url(self) -> str:
        """Where the controls answer."""
        return f"{self.url}{CONTROL_PATH}"

    @property
    def page_url(self) -> str:
        """Where people see the calendars and change them."""
        return f"{self.control_url}/page"

    @property
    def environment(self) -> Mapping[str, str]:
        """The settings that lead sitin here."""
        return {
            "SITIN_GOOGLE_TOKEN_URL": self.google.token_url,
            "SITIN_GOOGLE_API_URL": self.google.api_url,
            "SITIN_MICROSOFT_LOGIN_URL": self.microsoft.login_url,
            "SITIN_MICROSOFT_GRAPH_URL": self.microsoft.graph_url,
        }
