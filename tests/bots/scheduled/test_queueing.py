"""Scheduled bots when their time comes: queued once, in time, or failed with a reason."""

import asyncio
import contextlib
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select, text

from sitin.accounts.plans import Plan
from sitin.bots.errors import BotNotFoundError
from sitin.bots.models import Bot
from sitin.bots.scheduled.models import ScheduledBot, ScheduleStatus
from sitin.bots.scheduled.queueing import Queueing
from sitin.bots.scheduled.store import due_query
from sitin.contract.codes import BotStatus
from sitin.kit.database import Database
from sitin.kit.wakeups import Wakeups
from sitin.notifications.endpoints import create_endpoint
from sitin.notifications.models import Delivery, DeliveryKind, Message
from tests.bots.conftest import House
from tests.waiting import until

pytestmark = pytest.mark.db

SOON = timedelta(minutes=2)


async def status(house: House, bot_id: UUID) -> ScheduledBot:
    async with house.database.transaction() as session:
        return await session.get_one(ScheduledBot, bot_id)


async def listen(house: House, *, team_id: UUID | None = None) -> None:
    """Give the team an endpoint for everything."""
    from sitin.kit.crypto import Keyring, new_key

    async with house.database.transaction() as session:
        await create_endpoint(
            session,
            Keyring([new_key()]),
            team_id=team_id or house.caller.team_id,
            url="https://example.com/hook",
            events=[],
        )


async def messages(house: House, bot_id: UUID) -> list[Message]:
    async with house.database.transaction() as session:
        query = select(Message).where(Message.bot_id == bot_id).order_by(Message.id)
        return list((await session.scalars(query)).all())


async def test_a_due_bot_is_queued_under_its_id(house: House) -> None:
    await listen(house)
    bot_id = await house.schedule(
        SOON,
        extra={"deal": 42},
        transcription_enabled=True,
        callback_enabled=True,
        callback_config={"url": "https://example.com/back", "secret": "s3"},
    )
    assert await house.queueing.queue_due() == 0
    with pytest.raises(BotNotFoundError):
        await house.get(bot_id)
    house.clock.move(SOON)
    assert await house.queueing.queue_due() == 1
    bot = await house.get(bot_id)
    assert bot.status == BotStatus.QUEUED
    assert bot.extra == {"deal": 42}
    assert (bot.transcription_status, bot.transcription_provider) == ("not-started", "gladia")
    assert bot.callback_enabled
    assert await house.statuses(bot_id) == [BotStatus.QUEUED]
    assert (await status(house, bot_id)).status == ScheduleStatus.COMPLETED
    (message,) = await messages(house, bot_id)
    assert message.event == "bot.status_change"
    assert message.data["status"]["code"] == "queued"
    assert message.extra == {"deal": 42}
    assert await house.queueing.queue_due() == 0


async def test_a_queued_bot_goes_its_way(house: House) -> None:
    bot_id = await house.schedule(SOON)
    house.clock.move(SOON)
    house.work(host := house.host())
    await house.queueing.queue_due()
    bot = await host.the(bot_id)
    await bot.join_and_record()
    await bot.end()
    await house.reaches(bot_id, BotStatus.COMPLETED)


@pytest.mark.parametrize(
    ("plan", "tokens", "fields", "code"),
    [
        (Plan(name="tokens only"), "0.4", {}, "INSUFFICIENT_TOKENS"),
        (
            Plan(name="none a day", bots_per_day=0, counts_tokens=False),
            "0",
            {},
            "DAILY_BOT_CAP_REACHED",
        ),
    ],
)
async def test_what_may_not_be_queued_fails_with_its_reason(
    house: House, plan: Plan, tokens: str, fields: dict[str, object], code: str
) -> None:
    caller = await house.team(plan, tokens=tokens)
    await listen(house, team_id=caller.team_id)
    bot_id = await house.schedule(
        SOON,
        caller=caller,
        callback_enabled=True,
        callback_config={"url": "https://example.com/back"},
        **fields,
    )
    house.clock.move(SOON)
    await house.queueing.queue_due()
    failed = await status(house, bot_id)
    assert (failed.status, failed.error_code) == (ScheduleStatus.FAILED, code)
    (message,) = await messages(house, bot_id)
    assert message.event == "bot.failed"
    assert message.data["error_code"] == code
    assert message.data["error_message"] == failed.error_message
    async with house.database.transaction() as session:
        kinds = (await session.scalars(select(Delivery.kind).order_by(Delivery.kind))).all()
    assert kinds == [DeliveryKind.CALLBACK, DeliveryKind.WEBHOOK]
    with pytest.raises(BotNotFoundError):
        await house.get(bot_id, caller=caller)
    assert (await house.account(caller)).reserved == 0


async def test_of_two_for_one_meeting_that_want_to_be_alone_the_earlier_goes(house: House) -> None:
    late = await house.schedule(SOON + timedelta(seconds=1), allow_multiple_bots=False)
    early = await house.schedule(SOON, allow_multiple_bots=False)
    house.clock.move(SOON + timedelta(seconds=2))
    await house.queueing.queue_due()
    assert (await status(house, early)).status == ScheduleStatus.COMPLETED
    assert (await status(house, late)).error_code == "BOT_ALREADY_EXISTS"


async def test_tokens_are_given_to_those_due_first(house: House) -> None:
    caller = await house.team(Plan(name="a token"), tokens="1")
    ids = [
        await house.schedule(SOON + timedelta(seconds=number), caller=caller)
        for number in (3, 1, 2)
    ]
    house.clock.move(SOON + timedelta(seconds=5))
    await house.queueing.queue_due()
    found = [(await status(house, bot_id)).status for bot_id in ids]
    assert found == [ScheduleStatus.FAILED, ScheduleStatus.COMPLETED, ScheduleStatus.COMPLETED]
    assert (await house.account(caller)).reserved == 1


async def test_what_was_missed_is_caught_up_with_within_the_tolerance(house: House) -> None:
    caught = await house.schedule(timedelta(minutes=20))
    missed = await house.schedule(timedelta(minutes=2))
    house.clock.move(timedelta(minutes=20, seconds=1))
    await house.queueing.queue_due()
    assert (await status(house, caught)).status == ScheduleStatus.COMPLETED
    failed = await status(house, missed)
    assert (failed.status, failed.error_code) == (ScheduleStatus.FAILED, "JOIN_TIME_MISSED")
    assert failed.error_message is not None
    assert "was not running" in failed.error_message


async def test_several_processes_queue_each_bot_once(house: House) -> None:
    for number in range(60):
        await house.schedule(SOON, meeting_url=f"https://zoom.us/j/{85000000000 + number}")
    house.clock.move(SOON)
    databases = [Database(house.database.url, pool_size=2) for _ in range(4)]
    loops = [beside(house, database) for database in databases]
    took = await asyncio.gather(*(loop.queue_due() for loop in loops))
    for database in databases:
        await database.dispose()
    assert sum(took) == 60
    async with house.database.transaction() as session:
        assert await session.scalar(select(func.count()).select_from(Bot)) == 60


def beside(house: House, database: Database) -> Queueing:
    """The loop of another process."""
    return Queueing(
        database=database,
        lifecycle=house.rooms.lifecycle,
        admission=house.admission,
        plans=house.plans,
        wakeups=Wakeups(database.url),
        clock=house.clock,
        tolerance=timedelta(minutes=15),
    )


async def test_the_loop_wakes_for_the_next_time_and_for_news(house: House) -> None:
    wakeups = Wakeups(house.database.url)
    queueing = Queueing(
        database=house.database,
        lifecycle=house.rooms.lifecycle,
        admission=house.admission,
        plans=house.plans,
        wakeups=wakeups,
        clock=house.clock,
        tolerance=timedelta(minutes=15),
    )
    tasks = [asyncio.create_task(wakeups.run()), asyncio.create_task(queueing.run())]
    try:
        # Nearly due when it is scheduled: the news of it ends the long wait for nothing.
        bot_id = await house.schedule(timedelta(minutes=1, milliseconds=300))
        house.clock.move(timedelta(minutes=1))
        await house.schedule(timedelta(hours=1))

        async def is_queued() -> bool:
            return (await status(house, bot_id)).status == ScheduleStatus.COMPLETED

        await until(is_queued)
        bot = await house.get(bot_id)
        row = await status(house, bot_id)
        assert bot.created_at >= row.join_at
    finally:
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def test_a_database_that_is_away_is_waited_for(house: House) -> None:
    nowhere = Database("postgresql://nobody@127.0.0.1:1/nothing", pool_size=1)
    queueing = beside(house, nowhere)
    task = asyncio.create_task(queueing.run())
    done, _ = await asyncio.wait({task}, timeout=0.3)
    assert not done
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await nowhere.dispose()


async def test_what_is_due_is_found_by_its_index_however_much_is_to_come(house: House) -> None:
    """The plan among fifty thousand: one scan of the partial index, no sort, no other rows."""
    bot_id = await house.schedule(SOON)
    async with house.database.transaction() as session:
        columns = [column.name for column in ScheduledBot.__table__.columns if column.name != "id"]
        names = ", ".join(columns)
        shifted = ", ".join(
            "join_at + interval '1 day' + n * interval '1 minute'" if name == "join_at" else name
            for name in columns
        )
        await session.execute(
            text(
                f"INSERT INTO scheduled_bots (id, {names}) SELECT uuidv7(), {shifted} "
                "FROM scheduled_bots, generate_series(1, 50000) AS n WHERE id = :id"
            ),
            {"id": bot_id},
        )
    async with house.database.engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("ANALYZE scheduled_bots"))
    house.clock.move(SOON)
    query = due_query(house.clock.now(), 1000).compile(
        house.database.engine, compile_kwargs={"literal_binds": True}
    )
    async with house.database.transaction() as session:
        lines = await session.scalars(text(f"EXPLAIN (ANALYZE, COSTS off, TIMING off) {query}"))
        plan = "\n".join(lines)
    assert "Index Scan using ix_scheduled_bots_due" in plan, plan
    assert "Sort" not in plan, plan
    assert "Seq Scan" not in plan, plan
    assert "Rows Removed" not in plan, plan
