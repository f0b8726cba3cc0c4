"""The API over real HTTP on loopback, with every response checked against its schema."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from sitin.accounts.models import Permission
from sitin.accounts.service import KEY_HEADER, Caller, create_key
from sitin.api.app import Services, create_app
from sitin.cli.calendars import Calendars
from sitin.kit.clock import iso
from sitin.kit.tls import trusted
from sitin.rehearsal.calendars import CalendarRehearsal
from tests.bots.conftest import House, house
from tests.calendars.office import furnished
from tests.checking import CheckedApp
from tests.serving import LateApp, serving

__all__ = ["house"]

SECONDS = 60
"""For an answer, on whatever machine."""

MEET_URL = "https://meet.google.com/abc-defg-hij"


@dataclass
class Api:
    """A running API and clients for it."""

    app: FastAPI
    house: House
    url: str
    client: httpx.AsyncClient
    """With a full-access key of the house's team."""
    calendars: Calendars
    rehearsal: CalendarRehearsal
    further_clients: list[httpx.AsyncClient] = field(default_factory=list)

    def client_with(self, key: str | None) -> httpx.AsyncClient:
        """A client with another key, or with none."""
        headers = {} if key is None else {KEY_HEADER: key}
        client = httpx.AsyncClient(
            base_url=self.url, headers=headers, timeout=SECONDS, verify=trusted()
        )
        self.further_clients.append(client)
        return client

    async def key(self, team_id: UUID, permission: Permission = Permission.FULL_ACCESS) -> str:
        """A new key's text."""
        async with self.house.database.transaction() as session:
            return (await create_key(session, team_id=team_id, permission=permission)).text

    async def stranger(self) -> httpx.AsyncClient:
        """A client of another team."""
        return await self.client_of(await self.house.team())

    async def client_of(
        self, caller: Caller, permission: Permission = Permission.FULL_ACCESS
    ) -> httpx.AsyncClient:
        """A client with a key of a team."""
        return self.client_with(await self.key(caller.team_id, permission))

    async def schedule(self, after: timedelta = timedelta(hours=1), **fields: Any) -> str:
        """A new scheduled bot's id."""
        body = {"bot_name": "Notes", "meeting_url": MEET_URL, "join_at": self.later(after)}
        response = await self.client.post("/v2/bots/scheduled", json=body | fields)
        assert response.status_code == 201, response.text
        bot_id: str = response.json()["data"]["bot_id"]
        return bot_id

    def later(self, after: timedelta) -> str:
        """A time from now, as clients write it."""
        return iso(self.house.clock.now() + after)

    async def create(self, **fields: Any) -> str:
        """A new bot's id."""
        body = {"bot_name": "Notes", "meeting_url": MEET_URL, **fields}
        response = await self.client.post("/v2/bots", json=body)
        assert response.status_code == 201, response.text
        bot_id: str = response.json()["data"]["bot_id"]
        return bot_id


@pytest.fixture
async def api(house: House) -> AsyncIterator[Api]:
    """The API over the house's bots and a rehearsal's calendars."""
    late = LateApp()
    async with (
        CalendarRehearsal() as rehearsal,
        serving(late) as url,
        furnished(
            rehearsal,
            house.database,
            clock=house.clock,
            keyring=house.keyring,
            outgoing=house.outgoing,
            plans=house.plans,
            jobs=house.jobs,
            public_url=url,
        ) as calendars,
        httpx.AsyncClient(base_url=url, timeout=SECONDS, verify=trusted()) as client,
    ):
        app = create_app(services_of(house, calendars))
        late.app = checked = CheckedApp(app)
        api = Api(app, house, url, client, calendars, rehearsal)
        client.headers[KEY_HEADER] = await api.key(house.caller.team_id)
        yield api
        for further in api.further_clients:
            await further.aclose()
    assert checked.broken == []


def services_of(house: House, calendars: Calendars) -> Services:
    """What the API works with."""
    return Services(
        database=house.database,
        clock=house.clock,
        plans=house.plans,
        idempotency=house.idempotency,
        bots=house.bots,
        bot_creation=house.creation,
        bot_deletion=house.deletion,
        bot_reports=house.reports,
        scheduled_bots=house.scheduled,
        calendar_connections=calendars.connections,
        calendar_events=calendars.events,
        calendar_bots=calendars.bots,
        calendar_pushes=calendars.pushes,
        artifacts=house.rooms.artifacts,
    )
