"""What a bot costs, by how it ended; written in the transaction of its last status."""

from datetime import timedelta
from decimal import Decimal

import pytest

from sitin.accounts.ledger import TokenRates
from sitin.accounts.models import EntryKind
from sitin.accounts.plans import Plan
from sitin.bots.charges import charges
from sitin.bots.models import Bot
from sitin.contract.codes import CRASHES, NORMAL_ENDS, BotStatus, EndReason, TranscriptionStatus
from tests.bots.conftest import House

HALF_HOUR = 1800.0
TOKENS = Plan(name="tokens")
TRANSCRIBED = {"transcription_enabled": True, "transcription_status": TranscriptionStatus.DONE}


@pytest.mark.unit
@pytest.mark.parametrize(
    ("fields", "parts"),
    [
        ({}, {"recording": "0.5"}),
        (TRANSCRIBED, {"recording": "0.5", "transcription": "0.125"}),
        (
            {**TRANSCRIBED, "transcription_api_key": "sealed"},
            {"recording": "0.5", "transcription": "0.025"},
        ),
        # Its data were deleted before anything was transcribed.
        (
            {**TRANSCRIBED, "transcription_status": TranscriptionStatus.NOT_STARTED},
            {"recording": "0.5"},
        ),
        (
            {"streaming_enabled": True, "streaming_config": {"input_url": "wss://a/"}},
            {"recording": "0.5", "streaming_input": "0.05"},
        ),
        (
            {
                "streaming_enabled": True,
                "streaming_config": {"input_url": "wss://a/", "output_url": "wss://a/"},
            },
            {"recording": "0.5", "streaming_input": "0.05", "streaming_output": "0.05"},
        ),
        ({"duration": None}, {"recording": "0"}),
        ({"duration": 1.4}, {"recording": "0.000278"}),
        (
            {
                "status": BotStatus.FAILED,
                "error_code": EndReason.TRANSCRIPTION_FAILED,
                "transcription_enabled": True,
            },
            {"recording": "0.5"},
        ),
        (
            {"status": BotStatus.FAILED, "error_code": EndReason.BOT_NOT_ACCEPTED},
            {"waiting": "0.025"},
        ),
        (
            {"status": BotStatus.FAILED, "error_code": EndReason.TIMEOUT_WAITING_TO_START},
            {"waiting": "0.025"},
        ),
        *(
            ({"status": BotStatus.FAILED, "error_code": reason}, {})
            for reason in sorted(CRASHES | (set(EndReason) - NORMAL_ENDS))
            if reason
            not in (
                EndReason.BOT_NOT_ACCEPTED,
                EndReason.TIMEOUT_WAITING_TO_START,
                EndReason.TRANSCRIPTION_FAILED,
            )
        ),
    ],
)
def test_the_public_rates(fields: dict[str, object], parts: dict[str, str]) -> None:
    given = {"status": BotStatus.COMPLETED, "duration": HALF_HOUR, "streaming_enabled": False}
    bot = Bot(**{**given, "transcription_enabled": False, **fields})
    found = charges(bot, TokenRates(), waited=timedelta(seconds=90))
    assert {name: round(amount, 6) for name, amount in found.items()} == {
        name: Decimal(amount) for name, amount in parts.items()
    }


@pytest.mark.db
async def test_a_bot_that_records_settles_at_its_end(house: House) -> None:
    caller = await house.team(TOKENS, tokens="2")
    bot_id = await house.create(caller=caller)
    assert (await house.account(caller)).available == Decimal("1.5")
    house.work(host := house.host())
    bot = await host.the(bot_id)
    await bot.join_and_record()
    await bot.end()
    await house.reaches(bot_id, BotStatus.COMPLETED, caller=caller)
    account = await house.account(caller)
    # The fake host's recordings last 12.5 s.
    assert account.reserved == 0
    assert account.consumed == Decimal("0.003333")
    async with house.database.transaction() as session:
        lines = await house.ledger.entries(session, caller.team_id, limit=9)
    assert [line.kind for line in lines] == [
        EntryKind.CONSUME,
        EntryKind.RELEASE,
        EntryKind.RESERVE,
        EntryKind.GRANT,
    ]
    assert lines[0].parts == {"recording": "0.003333"}


@pytest.mark.db
async def test_a_bot_that_waited_for_nothing_pays_for_the_wait(house: House) -> None:
    caller = await house.team(TOKENS, tokens="2")
    bot_id = await house.create(caller=caller)
    house.work(host := house.host())
    bot = await host.the(bot_id)
    await bot.reach(BotStatus.JOINING_CALL, BotStatus.IN_WAITING_ROOM)
    bot.spool_ahead = timedelta(minutes=6)
    await bot.reach(BotStatus.WAITING_ROOM_TIMEOUT)
    await bot.end(EndReason.TIMEOUT_WAITING_TO_START, recorded=False)
    await house.reaches(bot_id, BotStatus.FAILED, caller=caller)
    account = await house.account(caller)
    assert account.reserved == 0
    assert account.consumed == pytest.approx(Decimal("0.1"), abs=Decimal("0.001"))


@pytest.mark.db
async def test_a_bot_that_left_before_recording_costs_nothing(house: House) -> None:
    caller = await house.team(TOKENS, tokens="2")
    bot_id = await house.create(caller=caller)
    house.work(host := house.host())
    bot = await host.the(bot_id)
    await bot.reach(BotStatus.JOINING_CALL, BotStatus.IN_WAITING_ROOM)
    await house.reaches(bot_id, BotStatus.IN_WAITING_ROOM, caller=caller)
    await house.leave(bot_id, caller=caller)
    ended = await house.reaches(bot_id, BotStatus.FAILED, caller=caller)
    assert ended.error_code == EndReason.EXITING_MEETING_BEFORE_RECORD
    account = await house.account(caller)
    assert account.reserved == account.consumed == 0


@pytest.mark.db
async def test_a_team_that_counts_no_tokens_still_sees_what_it_used(house: House) -> None:
    bot_id = await house.create()
    house.work(host := house.host())
    bot = await host.the(bot_id)
    await bot.join_and_record()
    await bot.end()
    await house.reaches(bot_id, BotStatus.COMPLETED)
    account = await house.account()
    assert account.reserved == 0
    assert account.consumed == Decimal("0.003333")
