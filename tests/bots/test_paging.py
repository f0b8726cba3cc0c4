"""Lists of bots while bots are being created."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from sitin.bots.models import Bot
from sitin.bots.store import BotFilter
from sitin.kit.paging import Cursor, Page
from tests.bots.conftest import House

pytestmark = pytest.mark.db


async def read_all(house: House, limit: int, *, start: str | None = None) -> list[Page[Bot]]:
    """Every page from the newest bot on; from ``start``, every page back to the newest."""
    pages: list[Page[Bot]] = []
    cursor = start
    which = BotFilter(created_after=datetime.now(UTC) - timedelta(days=1))
    while True:
        place = None if cursor is None else Cursor.decode(cursor)
        async with house.database.transaction() as session:
            page = await house.bots.page(session, house.caller, which, limit=limit, cursor=place)
        pages.append(page)
        cursor = page.cursor if start is None else page.prev_cursor
        if cursor is None:
            return pages


def ids(pages: Iterable[Page[Bot]]) -> list[UUID]:
    return [bot.id for page in pages for bot in page.rows]


async def create_more(house: House) -> None:
    for _ in range(30):
        await house.create()


@pytest.mark.parametrize("limit", [1, 4, 7, 22, 23])
async def test_reading_while_bots_are_created_loses_and_doubles_none(
    house: House, limit: int
) -> None:
    before = [await house.create() for _ in range(23)]
    creating = asyncio.create_task(create_more(house))
    pages = await read_all(house, limit)
    await creating
    seen = ids(pages)
    assert len(seen) == len(set(seen))
    assert [bot_id for bot_id in seen if bot_id in set(before)] == before[::-1]


@pytest.mark.parametrize("limit", [1, 4, 7, 22])
async def test_reading_back_while_bots_are_created_loses_and_doubles_none(
    house: House, limit: int
) -> None:
    before = [await house.create() for _ in range(23)]
    last = (await read_all(house, limit))[-1]
    creating = asyncio.create_task(create_more(house))
    pages = await read_all(house, limit, start=last.prev_cursor)
    await creating
    seen = ids([*reversed(pages), last])
    assert len(seen) == len(set(seen))
    assert [bot_id for bot_id in seen if bot_id in set(before)] == before[::-1]
