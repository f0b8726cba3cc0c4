"""The one function that changes a status, and what the database holds behind it."""

import asyncio
from datetime import UTC, datetime

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import IntegrityError

from sitin.bots.errors import IllegalMoveError
from sitin.bots.lifecycle import lock
from sitin.bots.models import Bot, StatusMove
from sitin.bots.statuses import MOVES
from sitin.contract.codes import BotStatus
from sitin.kit.ids import new_id
from tests.bots.conftest import House

pytestmark = pytest.mark.db


async def test_the_database_holds_the_same_table(house: House) -> None:
    async with house.database.transaction() as session:
        rows = (await session.scalars(select(StatusMove))).all()
    assert {(row.from_status, row.to_status) for row in rows} == {
        (current, following) for current, all_ in MOVES.items() for following in all_
    }


async def test_the_database_refuses_what_the_table_does_not_hold(house: House) -> None:
    bot_id = await house.create()
    for status in sorted(set(BotStatus) - MOVES[BotStatus.QUEUED] - {BotStatus.QUEUED}):
        with pytest.raises(IntegrityError, match="may not become"):
            async with house.database.transaction() as session:
                await session.execute(update(Bot).where(Bot.id == bot_id).values(status=status))


async def test_an_illegal_move_is_refused_and_leaves_no_trace(house: House) -> None:
    bot_id = await house.create()

    async def complete() -> None:
        async with house.database.transaction() as session:
            bot = await lock(session, bot_id)
            await house.rooms.lifecycle.change_status(
                session, bot, BotStatus.COMPLETED, at=datetime.now(UTC)
            )

    with pytest.raises(IllegalMoveError):
        await complete()
    assert await house.statuses(bot_id) == [BotStatus.QUEUED]


async def test_of_two_changes_at_once_one_wins(house: House) -> None:
    bot_id = await house.create()

    async def join() -> bool:
        try:
            async with house.database.transaction() as session:
                bot = await house.bots.get(session, house.caller, bot_id)
                await house.rooms.lifecycle.change_status(
                    session, bot, BotStatus.JOINING_CALL, at=datetime.now(UTC)
                )
        except IllegalMoveError:
            return False
        return True

    assert sorted(await asyncio.gather(*(join() for _ in range(8)))) == [False] * 7 + [True]
    assert await house.statuses(bot_id) == [BotStatus.QUEUED, BotStatus.JOINING_CALL]


async def test_the_queue_is_read_by_its_index(house: House) -> None:
    """However many bots there are, looking for a queued one reads queued ones only."""
    async with house.database.transaction() as session:
        template = await house.bots.get(session, house.caller, await house.create())
        columns = [column.name for column in Bot.__table__.columns]
        chosen = ", ".join(
            {"id": "gen_random_uuid()", "status": "'completed'", "ended_at": "now()"}.get(
                name, name
            )
            for name in columns
        )
        await session.execute(
            text(
                f"INSERT INTO bots ({', '.join(columns)}) SELECT {chosen} "
                "FROM bots, generate_series(1, 5000) WHERE id = :id"
            ),
            {"id": template.id},
        )
        await session.execute(text("ANALYZE bots"))
        plan = "\n".join(
            (
                await session.scalars(
                    text(
                        "EXPLAIN SELECT id FROM bots WHERE status = 'queued' "
                        "ORDER BY created_at, id LIMIT 4 FOR UPDATE SKIP LOCKED"
                    )
                )
            ).all()
        )
    assert "ix_bots_queued" in plan
    assert "Seq Scan" not in plan


async def test_an_unknown_bot_is_nobodys(house: House) -> None:
    async with house.database.transaction() as session:
        assert await session.get(Bot, new_id()) is None
