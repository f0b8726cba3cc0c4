"""A team with endpoints, a receiver, and processes that deliver."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from sitin.accounts.service import create_team
from sitin.kit.crypto import Keyring, new_key
from sitin.kit.database import Database
from sitin.kit.http import OutgoingClient
from sitin.kit.wakeups import Channel, Wakeups, wake
from sitin.notifications.dispatch import Dispatcher
from sitin.notifications.events import EventType
from sitin.notifications.models import Attempt, Delivery, WebhookEndpoint
from sitin.notifications.sending import Sender
from sitin.notifications.service import Callback, NewEndpoint, create_endpoint, publish
from sitin.notifications.store import Taken
from tests.fakes.clock import MovedClock
from tests.fakes.receiver import Receiver
from tests.serving import serving


async def as_stored(taken: Taken) -> dict[str, Any]:
    """A payload that needs no refreshing."""
    return taken.data


@dataclass
class Post:
    """Everything between a message and its receivers."""

    database: Database
    keyring: Keyring
    key: str
    clock: MovedClock
    team_id: UUID
    receiver: Receiver
    url: str
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    clients: list[OutgoingClient] = field(default_factory=list)

    async def endpoint(
        self, path: str, events: Sequence[str] = (), team_id: UUID | None = None
    ) -> NewEndpoint:
        async with self.database.transaction() as session:
            return await create_endpoint(
                session,
                self.keyring,
                team_id=team_id or self.team_id,
                url=self.url + path,
                events=events,
            )

    async def publish(
        self,
        event: EventType = EventType.BOT_STATUS_CHANGE,
        *,
        callback: Callback | None = None,
        team_id: UUID | None = None,
        **data: Any,
    ) -> None:
        async with self.database.transaction() as session:
            await publish(
                session,
                team_id=team_id or self.team_id,
                event=event,
                data=data,
                extra={"customer": "Ünï"},
                at=self.clock.now(),
                callback=callback,
            )

    def deliver(self, *, allow_private: bool = True) -> None:
        """Start delivering, as a worker does."""
        wakeups = Wakeups(self.database.url)
        client = OutgoingClient(allow_private=allow_private)
        self.clients.append(client)
        sender = Sender(client=client, keyring=self.keyring, clock=self.clock, refresh=as_stored)
        dispatcher = Dispatcher(
            database=self.database, sender=sender, wakeups=wakeups, clock=self.clock
        )
        self.tasks += [asyncio.create_task(wakeups.run()), asyncio.create_task(dispatcher.run())]

    async def look(self) -> None:
        """Have the deliverers look now, after the clock was moved."""
        async with self.database.transaction() as session:
            await wake(session, Channel.DELIVERIES)

    async def deliveries(self) -> list[Delivery]:
        async with self.database.transaction() as session:
            return list((await session.scalars(select(Delivery).order_by(Delivery.id))).all())

    async def attempts(self) -> list[Attempt]:
        async with self.database.transaction() as session:
            return list((await session.scalars(select(Attempt).order_by(Attempt.id))).all())

    async def stored(self, endpoint_id: UUID) -> WebhookEndpoint:
        async with self.database.transaction() as session:
            return await session.get_one(WebhookEndpoint, endpoint_id)


@pytest.fixture
async def post(database: Database) -> AsyncIterator[Post]:
    """One team without endpoints, and nobody delivering yet."""
    async with database.transaction() as session:
        team = await create_team(session, name="Acme")
    receiver, key = Receiver(), new_key()
    async with serving(receiver) as url:
        post = Post(database, Keyring([key]), key, MovedClock(), team.id, receiver, url)
        yield post
        for event in receiver.hanging.values():
            event.set()
        for task in post.tasks:
            task.cancel()
        await asyncio.gather(*post.tasks, return_exceptions=True)
        for client in post.clients:
            await client.aclose()
