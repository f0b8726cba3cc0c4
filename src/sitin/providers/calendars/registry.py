"""All calendar providers of this install. Built by cli, used by calendars."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from sitin.contract.calendars import CalendarPlatform, CalendarProvider
from sitin.kit.clock import Clock
from sitin.providers.calendars.google import GoogleCalendarProvider
from sitin.providers.calendars.microsoft import MicrosoftCalendarProvider
from sitin.providers.calendars.settings import CalendarSettings


@dataclass(frozen=True)
class CalendarProviders:
    """The provider of each platform."""

    by_platform: Mapping[CalendarPlatform, CalendarProvider]
    _closing: AsyncExitStack = field(default_factory=AsyncExitStack)

    def __getitem__(self, platform: CalendarPlatform) -> CalendarProvider:
        return self.by_platform[platform]

    async def aclose(self) -> None:
        """Close the connections of all providers."""
        await self._closing.aclose()


def build_calendar_providers(
    settings: CalendarSettings, *, clock: Clock | None = None
) -> CalendarProviders:
    """Set up every provider; none of them is asked anything yet."""
    google = GoogleCalendarProvider(
        token_url=str(settings.google_token_url),
        api_url=str(settings.google_api_url),
        clock=clock,
    )
    microsoft = MicrosoftCalendarProvider(
        login_url=str(settings.microsoft_login_url),
        graph_url=str(settings.microsoft_graph_url),
        clock=clock,
    )
    closing = AsyncExitStack()
    closing.push_async_callback(google.aclose)
    closing.push_async_callback(microsoft.aclose)
    return CalendarProviders(
        {CalendarPlatform.GOOGLE: google, CalendarPlatform.MICROSOFT: microsoft}, closing
    )
