"""A team's calendars at one rehearsed provider, over HTTP. For tests of the calendar operations.

Google unless a test says otherwise (``both``).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from sitin.calendars.models import Connection
from sitin.contract.calendars import CalendarPlatform
from sitin.notifications.models import Message
from sitin.rehearsal.calendars import Account
from sitin.rehearsal.calendars.provider import RehearsedProvider
from tests.api.conftest import MEET_URL, Api
from tests.calendars.office import provider_of

both = pytest.mark.parametrize("platform", list(CalendarPlatform), indirect=True)


@dataclass
class Desk:
    """Ada's account, and the API."""

    api: Api
    platform: CalendarPlatform
    account: Account

    @property
    def provider(self) -> RehearsedProvider:
        """The rehearsed provider."""
        return provider_of(self.api.rehearsal, self.platform)

    @property
    def credentials(self) -> dict[str, str]:
        """What a request says to get at the account."""
        return self.credentials_of(self.account)

    def credentials_of(self, account: Account) -> dict[str, str]:
        """The same for another's account."""
        return {
            "calendar_platform": self.platform.value,
            "oauth_client_id": self.provider.client.id,
            "oauth_client_secret": self.provider.client.secret,
            "oauth_refresh_token": account.refresh_token,
        }

    def in_(self, **time: float) -> datetime:
        """A time from now, of whole seconds."""
        return self.api.house.clock.now().replace(microsecond=0) + timedelta(**time)

    async def post(
        self, path: str, client: httpx.AsyncClient | None = None, **fields: Any
    ) -> httpx.Response:
        """Ask with the account's credentials and these fields; ``None`` leaves one out."""
        body = {**self.credentials, **fields}
        body = {name: value for name, value in body.items() if value is not None}
        return await (client or self.api.client).post(path, json=body)

    async def connect(
        self, calendar: str = "primary", client: httpx.AsyncClient | None = None, **fields: Any
    ) -> str:
        """Connect a calendar and have it synced; returns its path."""
        made = await self.post("/v2/calendars", client, raw_calendar_id=calendar, **fields)
        assert made.status_code == 201, made.text
        await self.work()
        return f"/v2/calendars/{made.json()['data']['calendar_id']}"

    async def work(self) -> None:
        """Do every job that waits."""
        await self.api.rehearsal.pushes.settled()
        self.api.house.jobs.now += timedelta(minutes=1)
        await self.api.house.jobs.work(self.api.calendars.handlers)

    async def meetings(self, *titles: str) -> None:
        """Have a meeting each, an hour after the other."""
        for hour, title in enumerate(titles, start=1):
            self.account.primary.add(title, self.in_(hours=hour), meeting_url=MEET_URL)

    async def data(self, path: str, **query: Any) -> Any:
        """What a GET answers."""
        answer = await self.api.client.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    async def stored(self) -> tuple[int, int]:
        """How many connections there are, and how many webhooks were told."""
        async with self.api.house.database.transaction() as session:
            counts = [
                await session.scalar(select(func.count()).select_from(table)) or 0
                for table in (Connection, Message)
            ]
        return counts[0], counts[1]


@pytest.fixture
def platform(request: pytest.FixtureRequest) -> CalendarPlatform:
    """Google unless told otherwise."""
    chosen: CalendarPlatform = getattr(request, "param", CalendarPlatform.GOOGLE)
    return chosen


@pytest.fixture
async def desk(api: Api, platform: CalendarPlatform) -> Desk:
    """An account whose calendar is empty and not connected yet."""
    api.rehearsal.pushes.retry_delays = ()
    account = provider_of(api.rehearsal, platform).account("ada@example.com")
    return Desk(api, platform, account)


async def every_page(
    client: httpx.AsyncClient, path: str, **query: Any
) -> tuple[list[list[Any]], dict[str, Any]]:
    """What each page of a list holds, to the last one, and that one as it is."""
    pages: list[list[Any]] = []
    while True:
        response = await client.get(path, params=query)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        pages.append(answer["data"])
        if answer["cursor"] is None:
            return pages, answer
        query["cursor"] = answer["cursor"]


def error_of(response: httpx.Response) -> tuple[int, str]:
    """An error's status and code, which agree with each other."""
    body = response.json()
    assert body["success"] is False
    assert body["statusCode"] == response.status_code
    return response.status_code, body["code"]
