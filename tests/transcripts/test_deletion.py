"""Erasing transcripts: here at once, at the provider as soon as it lets us."""

from datetime import timedelta
from pathlib import Path

import pytest

from sitin.contract.codes import TranscriptionStatus
from sitin.contract.failures import ActionRequiredError, RetriableError
from sitin.kit.database import Database
from sitin.transcripts.deletion import ASK_FOR, Forgetting, TranscriptDeletion
from sitin.transcripts.tasks import Transcribed
from tests.fakes.engines import FakeRemoteEngine
from tests.transcripts.meeting import Files, House, heard, hears_by_name, store_meeting

pytestmark = pytest.mark.db

TURNS = [("Ada", 0.5, 2.0)]


@pytest.fixture
def remote() -> FakeRemoteEngine:
    return FakeRemoteEngine(hears=hears_by_name({"output": (heard("good morning", 0.5, 2.0),)}))


@pytest.fixture
async def house(database: Database, remote: FakeRemoteEngine, tmp_path: Path) -> House:
    """With a transcript that is ordered with a key of the customer's and not begun yet."""
    house = House(database, Files(tmp_path / "stored"), tmp_path / "work", remote=remote)
    meeting = store_meeting(house.files, house.bot_id, voices={"Ada": None}, diarization=TURNS)
    await house.request(meeting, api_key="the-customers-own")
    return house


async def erase(house: House, *, at_provider: bool = True) -> None:
    deletion = TranscriptDeletion(jobs=house.jobs, clock=house.clock)
    async with house.database.transaction() as session:
        await deletion.erase(session, house.bot_id, at_provider=at_provider)


async def work(house: House, **later: float) -> None:
    """Do what is due by now, or after so long."""
    house.jobs.now += timedelta(**later)
    forgetting = Forgetting(
        database=house.database, engines=house.engines, keyring=house.keyring, clock=house.clock
    )
    await house.jobs.work([forgetting.handler(), house.work().handler()])


async def is_forgotten(house: House) -> bool:
    row = await house.row()
    return not row.to_forget and row.api_key is None


async def test_the_provider_is_told_with_the_customers_key(
    house: House, remote: FakeRemoteEngine
) -> None:
    await house.run_to_the_end()
    assert [job.api_key for job in remote.jobs.values()] == ["the-customers-own"]
    await erase(house)
    await work(house)
    assert remote.jobs == {}
    assert await is_forgotten(house)
    assert set(await house.kept_answers()) == {None}


async def test_the_provider_keeps_its_own_where_that_was_not_asked_for(
    house: House, remote: FakeRemoteEngine
) -> None:
    await house.run_to_the_end()
    await erase(house, at_provider=False)
    await work(house)
    assert len(remote.jobs) == 1
    await erase(house)
    await work(house)
    assert remote.jobs == {}, "asked for later"


async def test_a_provider_that_is_away_is_asked_again(
    house: House, remote: FakeRemoteEngine
) -> None:
    await house.run_to_the_end()
    remote.failures["delete"] = [RetriableError("away", after=30.0), RetriableError("away")]
    await erase(house)
    await work(house)
    await work(house, seconds=31)
    assert len(remote.jobs) == 1
    await work(house, seconds=61)
    assert remote.jobs == {}
    assert await is_forgotten(house)


async def test_a_refusal_is_tried_for_a_week(house: House, remote: FakeRemoteEngine) -> None:
    await house.run_to_the_end()
    refusal = ActionRequiredError("The key is not valid.", by="customer")
    remote.failures["delete"] = [refusal] * 3
    await erase(house)
    await work(house)
    await work(house, hours=2)
    assert not await is_forgotten(house)
    await work(house, seconds=ASK_FOR.total_seconds())
    assert await is_forgotten(house)
    assert len(remote.jobs) == 1
    assert remote.failures["delete"] == []


async def test_what_was_ordered_by_a_run_that_is_overtaken_is_deleted_too(
    house: House, remote: FakeRemoteEngine
) -> None:
    await house.run_once()
    assert len(remote.jobs) == 1
    assert (await house.state()).status is TranscriptionStatus.PROCESSING
    await erase(house)
    assert house.told() == [Transcribed(bot_id=house.bot_id, failed=False)]
    await work(house, hours=1)
    assert remote.jobs == {}
    assert await is_forgotten(house)
    assert await house.listed() == []


async def test_forgetting_may_be_done_twice(house: House, remote: FakeRemoteEngine) -> None:
    await house.run_to_the_end()
    await erase(house)
    await erase(house)
    await work(house)
    assert remote.jobs == {}
    assert await is_forgotten(house)
