"""A team with endpoints, a receiver, and processes that deliver."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text

from sitin.accounts.service import create_team
from sitin.kit.crypto import Keyring, new_key
from sitin.kit.database import Database
from sitin.kit.http import OutgoingClient
from sitin.kit.ids import new_id
from sitin.kit.wakeups import Channel, Wakeups, wake
from sitin.notifications.dispatch import Dispatcher
from sitin.notifications.endpoints import NewEndpoint, create_endpoint
from sitin.notifications.events import EventType
from sitin.notifications.models import Attempt, Delivery, DeliveryState, Message, WebhookEndpoint
from sitin.notifications.sending import Refresh, Sender
from sitin.notifications.service import Callback, publish
from sitin.notifications.store import Taken
from tests.fakes.clock import MovedClock
from tests.fakes.receiver import Receiver
from tests.notifications.payloads import about_bot
from tests.serving import serving
from tests.waiting import until

EXTRA = {"customer": "Ünï"}


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

    async def team(self, name: str = "Other") -> UUID:
        async with self.database.transaction() as session:
            return (await create_team(session, name=name)).id

    async def endpoint(
        self, path: str, events: Sequence[str] = (), team_id: UUID | None = None
    ) -> NewEndpoint:
        async with self.database.transaction() as session:
            made = await create_endpoint(
                session,
                self.keyring,
                team_id=team_id or self.team_id,
                url=self.url + path,
                events=events,
            )
        self.receiver.secrets[path] = made.secret
        return made

    async def publish(
        self,
        event: EventType = EventType.BOT_STATUS_CHANGE,
        *,
        bot_id: UUID | None = None,
        callback: Callback | None = None,
        team_id: UUID | None = None,
        to_endpoints: bool = True,
        data: dict[str, Any] | None = None,
    ) -> UUID | None:
        """Publish an event, about a new bot unless told otherwise; returns the message's id."""
        bot_id = bot_id or new_id()
        async with self.database.transaction() as session:
            return await publish(
                session,
                team_id=team_id or self.team_id,
                event=event,
                data=about_bot(event, bot_id) if data is None else data,
                extra=EXTRA,
                at=self.clock.now(),
                bot_id=bot_id if event.is_about_a_bot else None,
                callback=callback,
                to_endpoints=to_endpoints,
            )

    def deliver(self, *, allow_private: bool = True, refresh: Refresh = as_stored) -> None:
        """Start delivering, as a worker does."""
        wakeups = Wakeups(self.database.url)
        client = OutgoingClient(allow_private=allow_private)
        self.clients.append(client)
        sender = Sender(client=client, keyring=self.keyring, clock=self.clock, refresh=refresh)
        dispatcher = Dispatcher(
            database=self.database, sender=sender, wakeups=wakeups, clock=self.clock
        )
        self.tasks += [asyncio.create_task(wakeups.run()), asyncio.create_task(dispatcher.run())]

    async def stop_delivering(self) -> None:
        """As a worker that is told to stop."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.tasks.clear()

    @contextlib.asynccontextmanager
    async def process(self, *options: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """A process that delivers; killed at the end if it still lives."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.notifications.delivering",
            *options,
            cwd=Path(__file__).parents[2],
            env=os.environ | {"TEST_DATABASE_URL": self.database.url, "TEST_KEY": self.key},
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def look(self) -> None:
        """Have the deliverers look now, after the clock was moved."""
        async with self.database.transaction() as session:
            await wake(session, Channel.DELIVERIES)

    async def pass_until_due(self) -> None:
        """Move the clock to when the next delivery is due."""
        pending = [one for one in await self.deliveries() if one.state == DeliveryState.PENDING]
        self.clock.move(min(one.due_at for one in pending) - self.clock.now())
        await self.look()

    async def deliveries(self) -> list[Delivery]:
        async with self.database.transaction() as session:
            return list((await session.scalars(select(Delivery).order_by(Delivery.id))).all())

    async def states(self) -> list[str]:
        return [one.state for one in await self.deliveries()]

    async def answered(self) -> None:
        """Return once every delivery has its answer."""

        async def none_waits() -> bool:
            return DeliveryState.PENDING not in await self.states()

        await until(none_waits)

    async def attempts(self) -> list[Attempt]:
        async with self.database.transaction() as session:
            return list((await session.scalars(select(Attempt).order_by(Attempt.id))).all())

    async def attempted(self, count: int) -> list[Attempt]:
        """The attempts, once there are so many."""

        async def made() -> bool:
            return len(await self.attempts()) == count

        await until(made)
        return await self.attempts()

    async def waiting_for_locks(self, count: int = 1) -> None:
        """Return once so many sessions of the database wait for another's lock."""
        query = text(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )

        async def wait() -> bool:
            async with self.database.transaction() as session:
                return (await session.scalar(query) or 0) >= count

        await until(wait)

    async def messages(self) -> list[Message]:
        async with self.database.transaction() as session:
            return list((await session.scalars(select(Message).order_by(Message.id))).all())

    async def stored(self, endpoint_id: UUID) -> WebhookEndpoint:
        async with self.database.transaction() as session:
            return await session.get_one(WebhookEndpoint, endpoint_id)


@pytest.fixture
async def post(database: Database) -> AsyncIterator[Post]:
    """One team without endpoints, and nobody delivering yet."""
    async with database.transaction() as session:
        team = await create_team(session, name="Acme")
    clock, key = MovedClock(), new_key()
    receiver = Receiver(clock)
    async with serving(receiver) as url:
        post = Post(database, Keyring([key]), key, clock, team.id, receiver, url)
        yield post
        for event in receiver.hanging.values():
            event.set()
        await post.stop_delivering()
        for client in post.clients:
            await client.aclose()
    assert receiver.problems == []
