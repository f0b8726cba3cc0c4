"""A scripted platform, and the providers that ask it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from sitin.contract.calendars import OAuthGrant
from sitin.providers.calendars.google import GoogleCalendarProvider
from sitin.providers.calendars.microsoft import MicrosoftCalendarProvider
from tests.providers.calendars.scripted import Scripted
from tests.serving import serving

NOW = datetime(2027, 1, 10, 12, tzinfo=UTC)
GRANT = OAuthGrant(
    client_id="our-client", client_secret="our-secret", refresh_token="our-refresh-token"
)


class StandingClock:
    def now(self) -> datetime:
        return NOW


@pytest.fixture
def platform() -> Scripted:
    return Scripted()


@pytest.fixture
async def url(platform: Scripted) -> AsyncIterator[str]:
    async with serving(platform) as url:
        yield url


@pytest.fixture
async def google(url: str) -> AsyncIterator[GoogleCalendarProvider]:
    provider = GoogleCalendarProvider(
        token_url=f"{url}/token", api_url=url, clock=StandingClock(), patience=0
    )
    yield provider
    await provider.aclose()


@pytest.fixture
async def microsoft(url: str) -> AsyncIterator[MicrosoftCalendarProvider]:
    provider = MicrosoftCalendarProvider(
        login_url=url, graph_url=url, clock=StandingClock(), patience=0
    )
    yield provider
    await provider.aclose()
