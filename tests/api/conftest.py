"""The API over real HTTP on loopback, with every response checked against its schema."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from sitin.accounts.models import Permission
from sitin.accounts.service import KEY_HEADER, create_key, create_team
from sitin.api.app import Services, create_app
from tests.bots.conftest import House, house
from tests.documents import Document, contract, own, violations
from tests.serving import serving

__all__ = ["house"]

MEET_URL = "https://meet.google.com/abc-defg-hij"


class Checked(httpx.AsyncClient):
    """A client that checks every answer against the contract, or our own document without it."""

    documents: tuple[Document, ...] = ()

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        response = await super().send(request, **options)
        for document in self.documents:
            operation = document.operation_at(request.method, request.url.path)
            if operation is None:
                continue
            schema = document.response(operation, response.status_code)
            if schema is None:
                # The contract documents no 401 and 403 here; they have the one error body.
                schema = document.component("ErrorResponse")
            assert violations(schema, response.json()) == [], (operation, response.status_code)
        return response


@dataclass
class Api:
    """A running API and clients for it."""

    app: FastAPI
    house: House
    url: str
    client: Checked
    """With a full-access key of the house's team."""
    further_clients: list[Checked] = field(default_factory=list)

    def client_with(self, key: str | None) -> Checked:
        """A client with another key, or with none."""
        headers = {} if key is None else {KEY_HEADER: key}
        client = Checked(base_url=self.url, headers=headers)
        client.documents = self.client.documents
        self.further_clients.append(client)
        return client

    async def key(self, team_id: UUID, permission: Permission = Permission.FULL_ACCESS) -> str:
        """A new key's text."""
        async with self.house.database.transaction() as session:
            return (await create_key(session, team_id=team_id, permission=permission)).text

    async def stranger(self) -> Checked:
        """A client of another team."""
        async with self.house.database.transaction() as session:
            team = await create_team(session, name="Other")
        return self.client_with(await self.key(team.id))

    async def create(self, **fields: Any) -> str:
        """A new bot's id."""
        body = {"bot_name": "Notes", "meeting_url": MEET_URL, **fields}
        response = await self.client.post("/v2/bots", json=body)
        assert response.status_code == 201, response.text
        bot_id: str = response.json()["data"]["bot_id"]
        return bot_id


@pytest.fixture
async def api(house: House) -> AsyncIterator[Api]:
    """The API over the house's bots."""
    app = create_app(
        Services(
            database=house.database,
            clock=house.clock,
            plans=house.plans,
            bots=house.bots,
            bot_creation=house.creation,
            bot_deletion=house.deletion,
            bot_reports=house.reports,
            scheduled_bots=house.scheduled,
            artifacts=house.rooms.artifacts,
        )
    )
    async with serving(app) as url, Checked(base_url=url) as client:
        theirs = contract()
        client.documents = (own(app),) if theirs is None else (own(app), theirs)
        api = Api(app, house, url, client)
        client.headers[KEY_HEADER] = await api.key(house.caller.team_id)
        yield api
        for further in api.further_clients:
            await further.aclose()
