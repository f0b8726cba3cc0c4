"""Deleting what a bot recorded: what goes, what stays, also while the bot is in its call."""

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from sitin.accounts.plans import Plan
from sitin.bots.deletion import Retention
from sitin.bots.errors import BotNotFoundError
from sitin.contract.codes import BotStatus
from sitin.contract.events import ParticipantSeen, UnexpectedSeen
from sitin.contract.failures import RetriableError
from sitin.kit.crypto import Keyring, new_key
from sitin.kit.ids import new_id
from sitin.notifications.endpoints import create_endpoint
from tests.bots.conftest import House

pytestmark = pytest.mark.db

MARK = "Zanzibar"
"""A word that is spoken, written and named in the meeting, and nowhere else."""


async def everything_stored(house: House) -> str:
    """All rows of all tables, but for those that say what customers asked for, as one text."""
    async with house.database.transaction() as session:
        tables = (
            await session.scalars(
                text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            )
        ).all()
        rows = []
        for table in tables:
            found = await session.scalars(text(f'SELECT "{table}"::text FROM "{table}"'))
            rows += [f"{table}: {row}" for row in found]
    return "\n".join(rows)


def places(house: House, stored: str) -> list[str]:
    """Where the mark still is: rows and objects."""
    rows = [line for line in stored.splitlines() if MARK in line]
    objects = [
        key for key, data in house.store.objects.items() if MARK.encode() in data or MARK in key
    ]
    return rows + objects


async def record(house: House, **fields: Any) -> UUID:
    """A bot that has recorded a meeting in which the mark is everywhere."""
    async with house.database.transaction() as session:
        await create_endpoint(
            session,
            Keyring([new_key()]),
            team_id=house.caller.team_id,
            url="https://example.com/hook",
            events=[],
        )
    bot_id = await house.create(extra={"about": MARK}, **fields)
    house.work(host := house.host())
    bot = await host.the(bot_id)
    bot.mark = MARK
    await bot.join_and_record()
    await bot.emit(ParticipantSeen(participant_id=f"spaces/{MARK}", name=f"{MARK} Smith"))
    (bot.directory / "unexpected-1.html").write_text(f"<p>{MARK}</p>")
    await bot.emit(UnexpectedSeen(what=f"says {MARK}", files=("unexpected-1.html",)))
    return bot_id


async def delete(house: House, bot_id: UUID, *, at_provider: bool = True) -> None:
    async with house.database.transaction() as session:
        await house.deletion.delete_data(session, house.caller, bot_id, at_provider=at_provider)
    await house.clear_away()


async def test_nothing_of_the_meeting_is_left(house: House) -> None:
    bot_id = await record(house)
    await house.the_only_bot(bot_id).end()
    await house.reaches(bot_id, BotStatus.COMPLETED)
    assert len(places(house, await everything_stored(house))) > 5
    before = await house.statuses(bot_id)
    await delete(house, bot_id)
    assert places(house, await everything_stored(house)) == []
    assert house.stored(bot_id) == {}
    bot = await house.get(bot_id)
    assert bot.artifacts_deleted
    assert bot.status == BotStatus.COMPLETED
    assert (bot.bot_name, bot.duration) == ("Notes", 12.5)
    assert await house.statuses(bot_id) == before
    async with house.database.transaction() as session:
        details = await house.bots.details(session, house.caller, bot_id)
        shots = await house.bots.screenshots(session, house.caller, bot_id, limit=50, cursor=None)
    assert (details.video, details.audio, details.diarization) == (None, None, None)
    assert (details.participants, details.speakers, details.extra) == ([], [], None)
    assert shots.rows == ()


async def test_deleting_again_is_no_error(house: House) -> None:
    bot_id = await record(house)
    await house.the_only_bot(bot_id).end()
    await house.reaches(bot_id, BotStatus.COMPLETED)
    await delete(house, bot_id)
    await delete(house, bot_id)
    assert (await house.get(bot_id)).artifacts_deleted


async def test_what_a_live_bot_records_later_goes_when_it_ends(house: House) -> None:
    bot_id = await record(house, transcription_enabled=True)
    await house.reaches(bot_id, BotStatus.IN_CALL_RECORDING)
    await delete(house, bot_id)
    assert places(house, await everything_stored(house)) == []
    bot = house.the_only_bot(bot_id)
    await bot.emit(ParticipantSeen(participant_id=f"late/{MARK}", name=f"Late {MARK}"))
    await bot.end()
    ended = await house.reaches(bot_id, BotStatus.COMPLETED)
    await house.clear_away()
    assert places(house, await everything_stored(house)) == []
    assert house.stored(bot_id) == {}
    assert ended.artifacts_deleted
    assert ended.duration == 12.5
    assert house.transcripts.ordered == []


async def test_a_bot_that_was_never_in_a_call_has_little_to_delete(house: House) -> None:
    bot_id = await house.create(extra={"about": MARK})
    await delete(house, bot_id)
    assert places(house, await everything_stored(house)) == []
    assert (await house.get(bot_id)).status == BotStatus.QUEUED


async def test_another_teams_bot_is_not_there(house: House) -> None:
    other = await house.team()
    bot_id = await house.create(caller=other)
    for unknown in (bot_id, new_id()):
        with pytest.raises(BotNotFoundError):
            await delete(house, unknown)
    assert not (await house.get(bot_id, caller=other)).artifacts_deleted


async def test_a_store_that_is_away_is_asked_until_it_is_done(house: House) -> None:
    bot_id = await record(house)
    await house.the_only_bot(bot_id).end()
    await house.reaches(bot_id, BotStatus.COMPLETED)
    house.store.deleting_fails_with = [RetriableError("away", after=7.0)]
    await delete(house, bot_id)
    assert house.stored(bot_id) != {}
    assert (await house.get(bot_id)).artifacts_deleted
    house.jobs.now += timedelta(seconds=8)
    await house.clear_away()
    assert house.stored(bot_id) == {}


async def test_the_plans_days_delete_artifacts_and_nothing_else(house: House) -> None:
    three_days = await house.team(Plan(name="three days", retention_days=3, counts_tokens=False))
    for_ever = await house.team(Plan(name="for ever", retention_days=None, counts_tokens=False))
    house.work(host := house.host())
    ids = {}
    for name, caller in (("short", three_days), ("long", house.caller), ("ever", for_ever)):
        ids[name] = await house.create(caller=caller, extra={"kept": name})
        bot = await host.the(ids[name])
        await bot.join_and_record()
        await bot.end()
        await house.reaches(ids[name], BotStatus.COMPLETED, caller=caller)
    retention = Retention(
        database=house.database, deletion=house.deletion, plans=house.plans, clock=house.clock
    )

    async def kept() -> set[str]:
        await retention.sweep()
        await house.clear_away()
        return {name for name, bot_id in ids.items() if house.stored(bot_id)}

    house.clock.move(timedelta(days=2, hours=23))
    assert await kept() == {"short", "long", "ever"}
    house.clock.move(timedelta(hours=2))
    assert await kept() == {"long", "ever"}
    house.clock.move(timedelta(days=28))
    assert await kept() == {"ever"}
    expired = await house.get(ids["short"], caller=three_days)
    assert expired.artifacts_deleted
    assert expired.extra == {"kept": "short"}
    async with house.database.transaction() as session:
        details = await house.bots.details(session, three_days, ids["short"])
    assert [person.name for person in details.participants] == ["Ada", "Grace"]
    assert details.video is None


async def test_the_sweep_reads_its_index(house: House) -> None:
    await house.create()
    async with house.database.transaction() as session:
        await session.execute(text("SET LOCAL enable_seqscan = off"))
        lines = await session.scalars(
            text(
                "EXPLAIN SELECT id FROM bots WHERE team_id = :team AND NOT artifacts_deleted "
                "AND ended_at < now() ORDER BY ended_at LIMIT 200"
            ),
            {"team": house.caller.team_id},
        )
    plan = "\n".join(lines)
    assert "ix_bots_kept" in plan, plan
    assert "Sort" not in plan, plan


async def test_deletion_costs_what_was_used_all_the_same(house: House) -> None:
    caller = await house.team(Plan(name="tokens"), tokens="2")
    bot_id = await house.create(caller=caller)
    house.work(host := house.host())
    bot = await host.the(bot_id)
    await bot.join_and_record()
    async with house.database.transaction() as session:
        await house.deletion.delete_data(session, caller, bot_id, at_provider=True)
    await bot.end()
    await house.reaches(bot_id, BotStatus.COMPLETED, caller=caller)
    assert (await house.account(caller)).consumed == Decimal("0.003333")


async def test_a_scheduled_bots_extra_goes_with_its_bots(house: House) -> None:
    bot_id = await house.schedule(timedelta(minutes=2), extra={"about": MARK})
    house.clock.move(timedelta(minutes=2))
    await house.queueing.queue_due()
    await delete(house, bot_id)
    assert places(house, await everything_stored(house)) == []
