"""Whether a bot may be queued: decided by several processes at once as if by one."""

import asyncio
from collections import Counter
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy import func, select

from sitin.accounts.errors import InsufficientTokensError, OwnKeyNotAllowedError
from sitin.accounts.plans import Plan
from sitin.accounts.service import Caller
from sitin.bots.errors import (
    BotAlreadyExistsError,
    DailyBotCapError,
    InvalidMeetingPlatformError,
)
from sitin.bots.models import Bot
from sitin.bots.requests import CreateBotRequestBody
from sitin.kit.database import Database
from tests.bots.conftest import MEET_URL, House

pytestmark = pytest.mark.db

ONLY_TOKENS = Plan(name="only tokens")
THREE_A_DAY = Plan(name="three a day", bots_per_day=3, counts_tokens=False)


async def create_at_once(
    house: House, caller: Caller, count: int, *, processes: int = 4, **fields: object
) -> Counter[str]:
    """What came of creating bots through several pools of connections at once."""
    databases = [Database(house.database.url, pool_size=4) for _ in range(processes)]
    body = CreateBotRequestBody.model_validate(
        {"bot_name": "Notes", "meeting_url": MEET_URL, **fields}
    )

    async def create(database: Database) -> UUID:
        async with database.transaction() as session:
            return await house.creation.create(session, caller, body)

    outcomes = await asyncio.gather(
        *(create(databases[number % processes]) for number in range(count)),
        return_exceptions=True,
    )
    for database in databases:
        await database.dispose()
    return Counter(type(outcome).__name__ for outcome in outcomes)


async def bots_of(house: House, caller: Caller) -> int:
    async with house.database.transaction() as session:
        query = select(func.count()).select_from(Bot).where(Bot.team_id == caller.team_id)
        return await session.scalar(query) or 0


async def test_a_hundred_at_once_against_five_tokens_give_ten_bots(house: House) -> None:
    caller = await house.team(ONLY_TOKENS, tokens="5")
    came = await create_at_once(house, caller, 100)
    assert came == {"UUID": 10, "InsufficientTokensError": 90}
    assert await bots_of(house, caller) == 10
    account = await house.account(caller)
    assert (account.reserved, account.available) == (Decimal(5), Decimal(0))


async def test_the_days_cap_holds_at_once_and_rolls(house: House) -> None:
    caller = await house.team(THREE_A_DAY)
    assert await create_at_once(house, caller, 12) == {"UUID": 3, "DailyBotCapError": 9}
    house.clock.move(timedelta(hours=23, minutes=59))
    with pytest.raises(
        DailyBotCapError,
        match=r"^Daily bot cap has been reached: 3 bots created within the last 24 hours$",
    ):
        await house.create(caller=caller)
    house.clock.move(timedelta(minutes=2))
    await house.create(caller=caller)


async def test_of_many_that_want_to_be_alone_one_is_let_in(house: House) -> None:
    came = await create_at_once(house, house.caller, 12, allow_multiple_bots=False)
    assert came == {"UUID": 1, "BotAlreadyExistsError": 11}


async def test_the_meeting_is_the_same_however_its_address_is_written(house: House) -> None:
    await house.create(meeting_url="https://meet.google.com/abc-defg-hij?authuser=1")
    with pytest.raises(BotAlreadyExistsError):
        await house.create(meeting_url="MEET.google.com/ABC-DEFG-HIJ", allow_multiple_bots=False)
    await house.create(allow_multiple_bots=True)
    await house.create(
        meeting_url="https://meet.google.com/xyz-defg-hij", allow_multiple_bots=False
    )


async def test_the_lock_on_a_meeting_ends_after_five_minutes(house: House) -> None:
    await house.create()
    house.clock.move(timedelta(minutes=4, seconds=55))
    with pytest.raises(BotAlreadyExistsError):
        await house.create(allow_multiple_bots=False)
    house.clock.move(timedelta(seconds=10))
    await house.create(allow_multiple_bots=False)


async def test_another_team_is_not_kept_out(house: House) -> None:
    await house.create(allow_multiple_bots=False)
    other = await house.team()
    await house.create(caller=other, allow_multiple_bots=False)


async def test_what_is_refused_reserves_nothing(house: House) -> None:
    caller = await house.team(ONLY_TOKENS, tokens="5")
    await house.create(caller=caller)
    with pytest.raises(BotAlreadyExistsError):
        await house.create(caller=caller, allow_multiple_bots=False)
    assert (await house.account(caller)).reserved == Decimal("0.5")


async def test_checks_come_in_the_order_of_the_api(house: House) -> None:
    """Platform, own key, cap, tokens, other bots: each is met only when those before are well."""
    everything = Plan(name="nothing at all", bots_per_day=0, own_transcription_keys=False)
    poor = Plan(name="poor", bots_per_day=9)
    wrong = {
        "meeting_url": "https://example.com/meeting",
        "allow_multiple_bots": False,
        "transcription_config": {"api_key": "mine"},
    }
    caller = await house.team(everything)
    with pytest.raises(InvalidMeetingPlatformError):
        await house.create(caller=caller, **wrong)
    wrong["meeting_url"] = MEET_URL
    with pytest.raises(OwnKeyNotAllowedError):
        await house.create(caller=caller, **wrong)
    wrong["transcription_config"] = None
    with pytest.raises(DailyBotCapError):
        await house.create(caller=caller, **wrong)
    caller = await house.team(poor)
    with pytest.raises(InsufficientTokensError):
        await house.create(caller=caller, **wrong)
    async with house.database.transaction() as session:
        await house.ledger.grant(session, caller.team_id, Decimal(5))
    await house.create(caller=caller)
    with pytest.raises(BotAlreadyExistsError):
        await house.create(caller=caller, **wrong)
