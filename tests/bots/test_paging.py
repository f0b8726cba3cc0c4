"""Lists of bots while bots are being created."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from sitin.bots.store import BotFilter
from sitin.kit.paging import Cursor
from tests.bots.conftest import House

pytestmark = pytest.mark.db


async def read_all(house: House, limit: int, start: Cursor | None = None) -> list[list[UUID]]:
    """Every page from a place on, in the cursor's direction."""
    pages, cursor = [], start
    which = BotFilter(created_after=datetime.now(UTC) - timedelta(days=1))
    while True:
        async with house.database.transaction() as session:
            page = await house.bots.page(session, house.caller, which, limit=limit, cursor=cursor)
        pages.append([bot.id for bot in page.rows])
        following = page.prev_cursor if start and start.backwards else page.cursor
        if following is None:
            return pages
        cursor = Cursor.decode(following)


async def test_reading_while_bots_are_created_loses_and_doubles_none(house: House) -> None:
    before = [await house.create() for _ in range(23)]

    async def create_more() -> None:
        for _ in range(30):
            await house.create()

    creating = asyncio.create_task(create_more())
    seen = [bot_id for page in await read_all(house, 4) for bot_id in page]
    await creating
    assert len(seen) == len(set(seen))
    assert [bot_id for bot_id in seen if bot_id in set(before)] == before[::-1]


async def test_bots_of_the_same_instant_are_told_apart(house: House) -> None:
    from sqlalchemy import update

    from sitin.bots.models import Bot

    created = {await house.create() for _ in range(9)}
    async with house.database.transaction() as session:
        await session.execute(update(Bot).values(created_at=datetime.now(UTC)))
    pages = await read_all(house, 2)
    assert {bot_id for page in pages for bot_id in page} == created
    assert [len(page) for page in pages] == [2, 2, 2, 2, 1]
