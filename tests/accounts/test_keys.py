"""API keys: shown once, revoked for good, used at a time."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from sitin.accounts.errors import ForbiddenError, UnauthorizedError, UnknownKeyError
from sitin.accounts.models import Permission
from sitin.accounts.plans import Plans
from sitin.accounts.service import (
    Caller,
    NewKey,
    authenticate,
    create_key,
    create_team,
    keys_of,
    revoke_key,
)
from sitin.kit.database import Database
from sitin.kit.ids import new_id
from tests.fakes.clock import MovedClock

pytestmark = pytest.mark.db


async def team_with_key(
    database: Database, permission: Permission = Permission.FULL_ACCESS
) -> tuple[UUID, NewKey]:
    async with database.transaction() as session:
        team = await create_team(session, name="Acme", plan="pro")
        return team.id, await create_key(session, team_id=team.id, permission=permission)


async def enter(
    database: Database, key: str | None, clock: MovedClock, operation: str = "listBots"
) -> Caller:
    async with database.transaction() as session:
        return await authenticate(
            session, key, operation_id=operation, plans=Plans(), now=clock.now()
        )


async def test_a_key_opens_its_team_with_its_plan(database: Database) -> None:
    team_id, key = await team_with_key(database)
    caller = await enter(database, key.text, MovedClock())
    assert (caller.team_id, caller.plan.name) == (team_id, "pro")


async def test_the_text_of_a_key_is_nowhere_in_the_database(database: Database) -> None:
    _, key = await team_with_key(database)
    async with database.transaction() as session:
        row = await session.scalar(text("SELECT api_keys::text FROM api_keys"))
    assert key.text not in row


async def test_a_revoked_key_opens_nothing(database: Database) -> None:
    clock = MovedClock()
    team_id, key = await team_with_key(database)
    async with database.transaction() as session:
        revoked = await revoke_key(session, key.id, now=clock.now())
    clock.move(timedelta(hours=1))
    async with database.transaction() as session:
        again = await revoke_key(session, key.id, now=clock.now())
    assert again.revoked_at == revoked.revoked_at
    with pytest.raises(UnauthorizedError):
        await enter(database, key.text, clock)
    async with database.transaction() as session:
        (listed,) = await keys_of(session, team_id)
    assert listed.revoked_at is not None


async def test_an_unknown_key_cannot_be_revoked(database: Database) -> None:
    with pytest.raises(UnknownKeyError):
        async with database.transaction() as session:
            await revoke_key(session, new_id(), now=MovedClock().now())


async def test_the_last_use_is_noted_to_the_minute(database: Database) -> None:
    clock = MovedClock()
    team_id, key = await team_with_key(database)
    seen = []
    for wait in (0, 30, 45):
        clock.move(timedelta(seconds=wait))
        await enter(database, key.text, clock)
        async with database.transaction() as session:
            (one,) = await keys_of(session, team_id)
            seen.append(one.last_used_at)
    assert seen[0] == seen[1]
    assert seen[2] == clock.now()


@pytest.mark.parametrize(
    "operation",
    [
        "createBot",
        "batchCreateBots",
        "createScheduledBot",
        "batchCreateScheduledBots",
        "createCalendarBot",
    ],
)
async def test_sending_access_may_create(database: Database, operation: str) -> None:
    _, key = await team_with_key(database, Permission.SENDING_ACCESS)
    caller = await enter(database, key.text, MovedClock(), operation)
    assert caller.permission is Permission.SENDING_ACCESS


@pytest.mark.parametrize(
    "operation", ["listBots", "leaveBot", "deleteBotData", "updateScheduledBot"]
)
async def test_sending_access_may_do_nothing_else(database: Database, operation: str) -> None:
    _, key = await team_with_key(database, Permission.SENDING_ACCESS)
    with pytest.raises(ForbiddenError):
        await enter(database, key.text, MovedClock(), operation)
