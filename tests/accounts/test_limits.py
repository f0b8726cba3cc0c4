"""How fast a team may write, counted by several processes together."""

import asyncio
from uuid import UUID

import pytest
from sqlalchemy import text, update

from sitin.accounts.errors import TooManyRequestsError
from sitin.accounts.limits import WritesLeft, take_write
from sitin.accounts.models import WriteBucket
from sitin.accounts.plans import Plan, Plans
from sitin.accounts.service import create_team
from sitin.kit.database import Database

pytestmark = pytest.mark.db

FIVE = Plan(name="five", writes_per_second=5)


@pytest.fixture
async def team_id(database: Database) -> UUID:
    async with database.transaction() as session:
        return (await create_team(session, name="Acme")).id


async def take(database: Database, team_id: UUID, plan: Plan = FIVE) -> WritesLeft | None:
    async with database.transaction() as session:
        return await take_write(session, team_id, plan)


async def stand_still(database: Database, team_id: UUID) -> None:
    """Put the bucket's time into the future, so that it does not fill while the test runs."""
    async with database.transaction() as session:
        await session.execute(
            update(WriteBucket)
            .where(WriteBucket.team_id == team_id)
            .values(at=text("now() + interval '1 hour'"))
        )


async def test_a_burst_of_the_plans_size_and_no_more(database: Database, team_id: UUID) -> None:
    await take(database, team_id)
    await stand_still(database, team_id)
    others = [Database(database.url, pool_size=2) for _ in range(3)]
    tries = [take(one, team_id) for one in others for _ in range(4)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    for one in others:
        await one.dispose()
    refused = [one for one in outcomes if isinstance(one, TooManyRequestsError)]
    assert len(outcomes) - len(refused) == 4
    assert len(refused) == 8
    assert refused[0].status == 429
    assert refused[0].fields == {"retryAfter": 1}
    assert refused[0].headers == {
        "x-ratelimit-limit": "5",
        "x-ratelimit-remaining": "0",
        "x-ratelimit-reset": "1",
        "retry-after": "1",
    }


async def test_the_bucket_fills_with_time_and_not_beyond_its_size(
    database: Database, team_id: UUID
) -> None:
    await take(database, team_id)
    async with database.transaction() as session:
        await session.execute(
            update(WriteBucket).values(level=0, at=text("now() - interval '0.5 seconds'"))
        )
    left = await take(database, team_id)
    assert left is not None
    assert 1.5 <= left.level < 2.5
    async with database.transaction() as session:
        await session.execute(update(WriteBucket).values(at=text("now() - interval '1 day'")))
    left = await take(database, team_id)
    assert left is not None
    assert left.level == 4
    assert left.headers["x-ratelimit-remaining"] == "4"


async def test_teams_do_not_share_a_bucket(database: Database, team_id: UUID) -> None:
    await take(database, team_id)
    await stand_still(database, team_id)
    for _ in range(4):
        await take(database, team_id)
    with pytest.raises(TooManyRequestsError):
        await take(database, team_id)
    async with database.transaction() as session:
        other = (await create_team(session, name="Other")).id
    assert await take(database, other) is not None


async def test_without_a_limit_nothing_is_counted(database: Database, team_id: UUID) -> None:
    unlimited = Plans().of("unlimited")
    assert await take(database, team_id, unlimited) is None
    async with database.transaction() as session:
        assert await session.scalar(text("SELECT count(*) FROM write_buckets")) == 0
