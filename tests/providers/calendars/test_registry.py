"""The providers, by what the operator has set."""

import os

import pytest
from pydantic import ValidationError

from sitin.contract.calendars import CalendarPlatform
from sitin.providers.calendars.registry import build_calendar_providers
from sitin.providers.calendars.settings import CalendarSettings
from tests.providers.calendars.conftest import GRANT
from tests.providers.calendars.scripted import Scripted

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("SITIN_")]:
        monkeypatch.delenv(name)


def test_a_bare_install_asks_the_platforms_themselves() -> None:
    settings = CalendarSettings()
    assert str(settings.google_token_url) == "https://oauth2.googleapis.com/token"
    assert str(settings.google_api_url) == "https://www.googleapis.com/"
    assert str(settings.microsoft_login_url) == "https://login.microsoftonline.com/"
    assert str(settings.microsoft_graph_url) == "https://graph.microsoft.com/"


async def test_every_platform_has_its_provider() -> None:
    providers = build_calendar_providers(CalendarSettings())
    for platform in CalendarPlatform:
        assert providers[platform].capabilities.platform == platform
    await providers.aclose()


async def test_the_addresses_are_settings(
    monkeypatch: pytest.MonkeyPatch, url: str, platform: Scripted
) -> None:
    for name, path in {
        "GOOGLE_TOKEN_URL": "/google/token",
        "GOOGLE_API_URL": "/google/calendar/v3/",
        "MICROSOFT_LOGIN_URL": "/login/",
        "MICROSOFT_GRAPH_URL": "/graph/v1.0",
    }.items():
        monkeypatch.setenv(f"SITIN_{name}", url + path)
    providers = build_calendar_providers(CalendarSettings())
    google, microsoft = (providers[platform] for platform in CalendarPlatform)
    for provider in (google, microsoft):
        platform.answer(200, {"access_token": "x"})
        await provider.refresh(GRANT)
        platform.answer(200, {"items": [], "value": []})
        await provider.calendars("x")
    assert [asked.path for asked in platform.asked] == [
        "/google/token",
        "/google/calendar/v3/users/me/calendarList",
        "/login/common/oauth2/v2.0/token",
        "/graph/v1.0/me/calendars",
    ]
    await providers.aclose()


def test_what_is_no_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITIN_GOOGLE_API_URL", "nowhere")
    with pytest.raises(ValidationError, match="google_api_url"):
        CalendarSettings()
