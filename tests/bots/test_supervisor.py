"""A worker and its bots: taking, following, adopting, finishing, losing."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from sitin.bots import leases
from sitin.bots.errors import StaleLeaseError
from sitin.bots.models import Event, Lease
from sitin.contract.codes import BotStatus, EndReason, TranscriptionStatus
from sitin.contract.events import (
    BotEvent,
    JoinedAs,
    ParticipantSeen,
    StatusReached,
    UnexpectedSeen,
)
from sitin.contract.failures import PermanentError, RetriableError
from sitin.kit.ids import new_id
from sitin.transcripts.service import TranscriptState
from tests.bots.conftest import House
from tests.fakes.launcher import FakeBot
from tests.waiting import until

pytestmark = pytest.mark.db


async def test_a_bot_records_and_completes(house: House) -> None:
    host = house.host()
    house.work(host)
    bot_id = await house.create()
    runner = await host.the(bot_id)
    assert runner.spec.meeting_url == "https://meet.google.com/abc-defg-hij"

    await runner.join_and_record()
    bot = await house.reaches(bot_id, BotStatus.IN_CALL_RECORDING)
    assert bot.joined_at is not None
    await runner.end()

    bot = await house.reaches(bot_id, BotStatus.COMPLETED)
    assert await house.statuses(bot_id) == [
        BotStatus.QUEUED,
        BotStatus.JOINING_CALL,
        BotStatus.IN_CALL_NOT_RECORDING,
        BotStatus.IN_CALL_RECORDING,
        BotStatus.CALL_ENDED,
        BotStatus.RECORDING_SUCCEEDED,
        BotStatus.COMPLETED,
    ]
    assert bot.duration == 12.5
    assert bot.error_code is None
    assert bot.exited_at is not None
    async with house.database.transaction() as session:
        details = await house.bots.details(session, house.caller, bot_id)
    assert [person.name for person in details.participants] == ["Ada", "Grace"]
    assert [person.name for person in details.speakers] == ["Ada"]
    assert details.video is not None
    await until(lambda: runner.discarded)
    assert "output.flac" in house.stored(bot_id)
    async with house.database.transaction() as session:
        assert not await leases.is_leased(session, bot_id)


async def in_the_meeting(runner: FakeBot, participant_id: str) -> None:
    await runner.join_and_record()
    await runner.emit(JoinedAs(participant_id=participant_id))


async def test_bots_of_one_meeting_are_told_of_each_other_whatever_team_and_host(
    house: House,
) -> None:
    hosts = [house.host("one"), house.host("two")]
    for host in hosts:
        house.work(host, max_bots=2)
    other_team = await house.team()
    url = "https://meet.google.com/abc-defg-hij"
    here = await house.create(meeting_url=url)
    there = await house.create(meeting_url=f"{url}?authuser=1", caller=other_team)
    elsewhere = await house.create(meeting_url="https://meet.google.com/xyz-wxyz-xyz")

    async def runner_of(bot_id: UUID) -> FakeBot:
        await until(lambda: any(host.of(bot_id) for host in hosts))
        return next(host.of(bot_id)[0] for host in hosts if host.of(bot_id))

    first, second, third = [await runner_of(one) for one in (here, there, elsewhere)]
    await in_the_meeting(first, "devices/1")
    await in_the_meeting(third, "devices/3")
    await until(lambda: second.other_bots == {"devices/1"})
    second.reachable = first.reachable = False
    await in_the_meeting(second, "devices/2")
    await house.reaches(there, BotStatus.IN_CALL_RECORDING, caller=other_team)
    assert first.other_bots == set()
    first.reachable = True
    await until(lambda: first.other_bots == {"devices/2"})
    # Who comes in again is another one; both are no company.
    await second.emit(JoinedAs(participant_id="devices/4"))
    await until(lambda: first.other_bots == {"devices/2", "devices/4"})
    assert third.other_bots == set()
    for runner in (first, second, third):
        await runner.end()
    for bot_id, caller in ((here, None), (there, other_team), (elsewhere, None)):
        await house.reaches(bot_id, BotStatus.COMPLETED, caller=caller)
    assert second.other_bots == {"devices/1"}


async def test_what_no_database_can_store_does_not_stop_a_bot(house: House) -> None:
    host = house.host()
    house.work(host)
    bot_id = await house.create()
    runner = await host.the(bot_id)
    await runner.join_and_record()
    odd = ParticipantSeen(participant_id="spaces/3", name="Odd\x00 one")
    told = BotEvent(seq=1, at=datetime.now(UTC), fencing_token=1, body=odd)
    # As it comes over the socket of a runner, which is JSON.
    await runner.emit(BotEvent.model_validate_json(told.model_dump_json()).body)
    await runner.end()
    await house.reaches(bot_id, BotStatus.COMPLETED)


async def test_a_transcript_is_ordered_once_and_its_answer_finishes_the_bot(house: House) -> None:
    host = house.host()
    house.work(host)
    bot_id = await house.create(transcription_enabled=True)
    runner = await host.the(bot_id)
    await runner.join_and_record()
    await runner.end()
    bot = await house.reaches(bot_id, BotStatus.TRANSCRIBING)
    assert bot.transcription_status == TranscriptionStatus.QUEUED
    assert house.transcripts.ordered == [bot_id]
    processing = TranscriptionStatus.PROCESSING
    house.transcripts.states[bot_id] = TranscriptState(processing, "gladia", None, None)
    async with house.database.transaction() as session:
        status = await house.bots.status(session, house.caller, bot_id)
    assert status.transcription_status == processing

    for _ in range(2):
        async with house.database.transaction() as session:
            await house.rooms.lifecycle.finish_transcription(
                session,
                await house.bots.get(session, house.caller, bot_id),
                provider="gladia",
                ids=["job-1"],
            )
    bot = await house.reaches(bot_id, BotStatus.COMPLETED)
    assert bot.transcription_ids == ["job-1"]
    assert (await house.statuses(bot_id)).count(BotStatus.COMPLETED) == 1


async def test_a_failed_transcript_fails_the_bot_and_keeps_the_recording(house: House) -> None:
    host = house.host()
    house.work(host)
    bot_id = await house.create(transcription_enabled=True)
    runner = await host.the(bot_id)
    await runner.join_and_record()
    await runner.end()
    await house.reaches(bot_id, BotStatus.TRANSCRIBING)
    async with house.database.transaction() as session:
        bot = await house.bots.get(session, house.caller, bot_id)
        await house.rooms.lifecycle.finish_transcription(
            session,
            bot,
            provider="gladia",
            ids=None,
            failed=True,
            error="The engine refused the key.",
        )
    bot = await house.reaches(bot_id, BotStatus.FAILED)
    assert bot.error_code == EndReason.TRANSCRIPTION_FAILED
    assert bot.error_message == "The engine refused the key."
    assert "output.flac" in house.stored(bot_id)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        (
            {"meeting_url": "https://teams.microsoft.com/meet/33749853217630?p=Ab"},
            EndReason.CANNOT_JOIN_MEETING,
        ),
        ({"meeting_url": "https://zoom.us/j/85000000000"}, EndReason.CANNOT_JOIN_MEETING),
        ({"streaming_enabled": True}, EndReason.STREAMING_SETUP_FAILED),
    ],
)
async def test_what_cannot_be_done_yet_fails_and_says_so(
    house: House, fields: dict[str, Any], code: EndReason
) -> None:
    host = house.host()
    house.work(host)
    bot_id = await house.create(**fields)
    bot = await house.reaches(bot_id, BotStatus.FAILED)
    assert bot.error_code == code
    assert bot.error_message
    assert bot.error_message.endswith("yet.")
    assert await house.statuses(bot_id) == [
        BotStatus.QUEUED,
        BotStatus.JOINING_CALL,
        BotStatus.MEETING_ERROR,
        BotStatus.FAILED,
    ]
    assert host.bots == []


async def test_a_worker_without_room_leaves_bots_queued(house: House) -> None:
    house.work(house.host("none"), max_bots=0)
    one = house.host("one")
    house.work(one, max_bots=1)
    first, second = await house.create(), await house.create()
    runner = await one.the(first)
    assert (await house.get(second)).status == BotStatus.QUEUED
    await runner.join_and_record()
    await runner.end()
    await one.the(second)
    assert len(one.bots) == 2


async def test_two_workers_never_run_the_same_bot(house: House) -> None:
    hosts = [house.host("a"), house.host("b")]
    for host in hosts:
        house.work(host, max_bots=20)
    bot_ids = await asyncio.gather(*(house.create() for _ in range(20)))
    await until(lambda: sum(len(host.bots) for host in hosts) >= len(bot_ids))
    runners = [bot.spec.bot_id for host in hosts for bot in host.bots]
    assert sorted(runners) == sorted(bot_ids)
    tokens = [bot.spec.fencing_token for host in hosts for bot in host.bots]
    assert len(set(tokens)) == len(tokens)


async def test_a_host_that_cannot_take_a_bot_leaves_it_to_others(house: House) -> None:
    full, free = house.host("full"), house.host("free")
    worker = house.work(full)
    worker.launcher.refuses = RetriableError("no memory", after=60.0)
    bot_id = await house.create()

    async def given_back() -> bool:
        async with house.database.transaction() as session:
            leased = await leases.is_leased(session, bot_id)
        return not leased and (await house.get(bot_id)).launches == 0

    await until(given_back)
    house.work(free)
    await free.the(bot_id)
    assert full.bots == []


async def test_a_launch_that_never_works_fails_the_bot(house: House) -> None:
    worker = house.work(house.host())
    worker.launcher.refuses = PermanentError("No browser.", code=EndReason.INTERNAL_ERROR)
    bot = await house.reaches(await house.create(), BotStatus.FAILED)
    assert bot.error_code == EndReason.INTERNAL_ERROR
    assert bot.error_message == "No browser."


async def test_a_bot_whose_worker_stops_goes_on_and_is_adopted(house: House) -> None:
    host, host_id = house.host(), new_id()
    first = house.work(host, host_id=host_id)
    bot_id = await house.create()
    runner = await host.the(bot_id)
    await runner.join_and_record()
    await house.reaches(bot_id, BotStatus.IN_CALL_RECORDING)
    await first.stop()
    await runner.reach(BotStatus.RECORDING_PAUSED, BotStatus.RECORDING_RESUMED)
    assert not runner.has_ended()

    house.work(host, host_id=host_id)
    await house.reaches(bot_id, BotStatus.RECORDING_RESUMED)
    await runner.end()
    await house.reaches(bot_id, BotStatus.COMPLETED)
    history = await house.statuses(bot_id)
    assert len(history) == len(set(history)), "nothing was applied twice"


async def test_storing_goes_on_where_a_dead_worker_left_it(house: House) -> None:
    host, host_id = house.host(), new_id()
    house.store.fails_with = [RetriableError("store away", after=60.0)]
    first = house.work(host, host_id=host_id)
    bot_id = await house.create()
    runner = await host.the(bot_id)
    await runner.join_and_record()
    await runner.end()
    await house.reaches(bot_id, BotStatus.CALL_ENDED)
    await until(lambda: not house.store.fails_with)
    await first.stop()
    assert not runner.discarded

    house.work(host, host_id=host_id)
    await house.reaches(bot_id, BotStatus.COMPLETED)
    await until(lambda: runner.discarded)


async def test_a_directory_left_by_a_bot_that_is_done_is_cleared_away(house: House) -> None:
    host = house.host()
    first = house.work(host)
    bot_id = await house.create()
    runner = await host.the(bot_id)
    await runner.join_and_record()
    await runner.end()
    await house.reaches(bot_id, BotStatus.COMPLETED)
    await until(lambda: runner.discarded)
    await first.stop()
    runner.discarded = False
    house.store.objects.clear()

    house.work(host)
    await until(lambda: runner.discarded)
    assert house.store.objects == {}, "what is stored is not stored again"


async def test_leaving_reaches_the_worker(house: House) -> None:
    host = house.host()
    house.work(host)
    bot_id = await house.create()
    runner = await host.the(bot_id)
    await runner.join_and_record()
    await house.reaches(bot_id, BotStatus.IN_CALL_RECORDING)
    assert await house.leave(bot_id)
    await house.reaches(bot_id, BotStatus.COMPLETED)
    assert BotStatus.API_REQUEST_STOP in await house.statuses(bot_id)
    assert runner.leaves == 1


async def test_leaving_before_the_recording_fails_the_bot(house: House) -> None:
    host = house.host()
    house.work(host)
    bot_id = await house.create()
    runner = await host.the(bot_id)
    await runner.reach(BotStatus.JOINING_CALL, BotStatus.IN_WAITING_ROOM)
    await house.reaches(bot_id, BotStatus.IN_WAITING_ROOM)
    await house.leave(bot_id)
    bot = await house.reaches(bot_id, BotStatus.FAILED)
    assert bot.error_code == EndReason.EXITING_MEETING_BEFORE_RECORD


@pytest.mark.parametrize("recorded", [True, False])
async def test_a_crash_fails_the_bot_and_keeps_what_was_recorded(
    house: House, recorded: bool
) -> None:
    host = house.host()
    house.work(host)
    bot_id = await house.create(transcription_enabled=True)
    runner = await host.the(bot_id)
    if recorded:
        await runner.join_and_record()
    else:
        await runner.reach(BotStatus.JOINING_CALL)
    await runner.end(EndReason.OOM_KILLED, recorded=recorded)
    bot = await house.reaches(bot_id, BotStatus.FAILED)
    assert bot.error_code == EndReason.OOM_KILLED
    assert ("output.flac" in house.stored(bot_id)) == recorded
    assert house.transcripts.ordered == []


async def test_what_nobody_expected_is_kept(house: House) -> None:
    host = house.host()
    house.work(host)
    bot_id = await house.create()
    runner = await host.the(bot_id)
    (runner.directory / "unexpected-1.png").write_bytes(b"png")
    (host.directory / "secret").write_bytes(b"not this")
    await runner.reach(BotStatus.JOINING_CALL)
    await runner.emit(
        UnexpectedSeen(what="a new dialog", files=("unexpected-1.png", "../secret", "gone.html"))
    )
    await runner.end(EndReason.CANNOT_JOIN_MEETING, recorded=False)
    await house.reaches(bot_id, BotStatus.FAILED)
    assert house.stored(bot_id) == {"unexpected-1.png": b"png"}


async def test_a_status_that_makes_no_sense_is_refused(house: House) -> None:
    host = house.host()
    house.work(host)
    bot_id = await house.create()
    runner = await host.the(bot_id)
    await runner.reach(BotStatus.JOINING_CALL, BotStatus.COMPLETED, BotStatus.RECORDING_PAUSED)
    await runner.reach(BotStatus.IN_WAITING_ROOM)
    await house.reaches(bot_id, BotStatus.IN_WAITING_ROOM)
    assert await house.statuses(bot_id) == [
        BotStatus.QUEUED,
        BotStatus.JOINING_CALL,
        BotStatus.IN_WAITING_ROOM,
    ]


async def test_an_event_told_twice_is_applied_once(house: House) -> None:
    bot_id = await house.create()
    async with house.database.transaction() as session:
        ((bot, token),) = await leases.take_queued(
            session, host_id=new_id(), ttl=timedelta(minutes=1), limit=1
        )
    event = BotEvent(
        seq=1,
        at=datetime.now(UTC),
        fencing_token=token,
        body=StatusReached(status=BotStatus.JOINING_CALL),
    )
    for _ in range(2):
        async with house.database.transaction() as session:
            held = await leases.hold(session, bot.id, token)
            await house.rooms.lifecycle.apply(session, held, event)
    assert await house.statuses(bot_id) == [BotStatus.QUEUED, BotStatus.JOINING_CALL]
    async with house.database.transaction() as session:
        assert await session.scalar(select(func.count()).select_from(Event)) == 1


async def test_a_lease_taken_over_refuses_the_old_token(house: House) -> None:
    bot_id = await house.create()
    async with house.database.transaction() as session:
        ((_, old),) = await leases.take_queued(
            session, host_id=new_id(), ttl=timedelta(seconds=-1), limit=1
        )
    async with house.database.transaction() as session:
        ((_, new),) = await leases.take_queued(
            session, host_id=new_id(), ttl=timedelta(minutes=1), limit=1
        )
    assert new > old
    async with house.database.transaction() as session:
        with pytest.raises(StaleLeaseError):
            await leases.hold(session, bot_id, old)
        assert (await leases.hold(session, bot_id, new)).id == bot_id


async def _expire(house: House) -> None:
    async with house.database.transaction() as session:
        await session.execute(update(Lease).values(expires_at=func.now() - timedelta(seconds=1)))


async def test_the_bots_of_a_dead_host_end_when_their_lease_does(house: House) -> None:
    host = house.host("dead")
    dead = house.work(host)
    bot_id = await house.create()
    runner = await host.the(bot_id)
    await runner.join_and_record()
    await house.reaches(bot_id, BotStatus.IN_CALL_RECORDING)
    await dead.stop()
    await _expire(house)

    other = house.work(house.host("other"), lease=timedelta(milliseconds=100))
    bot = await house.reaches(bot_id, BotStatus.FAILED)
    assert bot.error_code == EndReason.FORCE_KILLED
    assert not runner.has_ended(), "its host still records"

    # The host comes back: the bot has to leave, and what it recorded is kept all the same.
    house.work(host)
    await until(lambda: runner.discarded)
    assert runner.has_ended()
    assert "output.flac" in house.stored(bot_id)
    assert (await house.get(bot_id)).status == BotStatus.FAILED
    await other.stop()


async def test_a_bot_taken_by_a_worker_that_died_at_once_is_taken_again(house: House) -> None:
    bot_id = await house.create()
    async with house.database.transaction() as session:
        await leases.take_queued(session, host_id=new_id(), ttl=timedelta(seconds=-1), limit=1)
    host = house.host()
    house.work(host)
    await host.the(bot_id)


async def test_a_bot_that_kills_every_worker_is_given_up(house: House) -> None:
    bot_id = await house.create()
    for _ in range(3):
        async with house.database.transaction() as session:
            await leases.take_queued(session, host_id=new_id(), ttl=timedelta(seconds=-1), limit=1)
    house.work(house.host())
    bot = await house.reaches(bot_id, BotStatus.FAILED)
    assert bot.error_code == EndReason.INTERNAL_ERROR


async def test_draining_waits_for_the_bots_and_takes_no_new_ones(house: House) -> None:
    host = house.host()
    worker = house.work(host)
    bot_id = await house.create()
    runner = await host.the(bot_id)
    await runner.join_and_record()
    draining = asyncio.create_task(worker.supervisor.drain())
    await asyncio.sleep(0)
    late = await house.create()
    await runner.end()
    await draining
    assert (await house.get(bot_id)).status == BotStatus.COMPLETED
    assert (await house.get(late)).status == BotStatus.QUEUED
