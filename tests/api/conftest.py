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
from sitin.kit.clock import iso
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
            body = response.json()
            if body.get("code") == "FST_ERR_TOO_MANY_REQUESTS":
                # Told by the limit before the operation, with a field of its own.
                body.pop("retryAfter")
                schema = None
            if schema is None:
                # The contract documents no 401 and 403 here; they have the one error body.
                schema = document.component("ErrorResponse")
            assert violations(schema, body) == [], (operation, response.status_code)
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
        return await self.client_of(await self.house.team())

    async def client_of(
        self, caller: Caller, permission: Permission = Permission.FULL_ACCESS
    ) -> Checked:
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
