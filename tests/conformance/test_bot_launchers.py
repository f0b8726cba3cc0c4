"""What every implementation of ``BotLauncher`` and ``RunningBot`` does."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from sitin.contract.codes import BotStatus, EndReason
from sitin.contract.events import Ended, ParticipantSeen, StatusReached
from sitin.contract.launch import BotLauncher, RunningBot
from sitin.contract.spec import BotSpec
from sitin.runner.supervisor import SupervisedBot
from tests.fakes.launcher import FakeBot, FakeHost, FakeLauncher
from tests.runner.host import a_host, all_events, order
from tests.waiting import until

pytestmark = pytest.mark.unit


@dataclass(frozen=True)
class Machine:
    """A machine: launchers on it, and a bot that reaches a status and sees somebody."""

    launcher: Callable[[], BotLauncher]
    launch: Callable[[BotLauncher, BotSpec], Awaitable[RunningBot]]


@pytest.fixture(params=["fake", "processes"])
async def machine(request: pytest.FixtureRequest, reachable_path: Path) -> AsyncIterator[Machine]:
    if request.param == "fake":
        fake = FakeHost(reachable_path)

        async def launch_fake(launcher: BotLauncher, spec: BotSpec) -> RunningBot:
            bot = await launcher.launch(spec)
            assert isinstance(bot, FakeBot)
            if not bot.spool:
                await bot.reach(BotStatus.JOINING_CALL)
                await bot.emit(ParticipantSeen(participant_id="p/1", name="Ada"))
            return bot

        yield Machine(lambda: FakeLauncher(fake), launch_fake)
        return
    async with a_host(reachable_path) as host:

        async def launch(launcher: BotLauncher, spec: BotSpec) -> RunningBot:
            host.started.append(spec.bot_id)
            bot = await launcher.launch(spec)
            assert isinstance(bot, SupervisedBot)
            host.supervised.append(bot)
            spool = bot.directory / "events.jsonl"
            await until(lambda: spool.exists() and spool.read_bytes().count(b"\n") >= 2)
            return bot

        yield Machine(host.supervisor, launch)


def ids(bots: Sequence[RunningBot]) -> list[object]:
    return [one.spec.bot_id for one in bots]


async def test_a_bot_tells_its_life_and_goes(machine: Machine) -> None:
    launcher, spec = machine.launcher(), order("well")
    bot = await machine.launch(launcher, spec)
    assert bot.spec == spec
    assert bot.directory.is_dir()
    await bot.leave()
    await bot.leave()
    events = await all_events(bot)
    assert [one.seq for one in events] == [1, 2, 3]
    assert [type(one.body) for one in events] == [StatusReached, ParticipantSeen, Ended]
    assert {one.fencing_token for one in events} == {spec.fencing_token}
    last = events[-1].body
    assert isinstance(last, Ended)
    assert last.reason is EndReason.API_REQUEST
    assert [one.seq for one in await all_events(bot, after=1)] == [2, 3]
    await bot.leave()
    await bot.discard()
    assert await launcher.adopt() == []


async def test_it_is_told_of_other_bots_as_long_as_it_can_be_reached(machine: Machine) -> None:
    bot = await machine.launch(machine.launcher(), order("well"))
    assert await bot.tell_other_bots({"spaces/1/devices/7"})
    await bot.leave()
    await all_events(bot)
    await bot.discard()
    assert not await bot.tell_other_bots({"spaces/1/devices/8"})


async def test_one_that_is_supervised_is_nobody_elses(machine: Machine) -> None:
    first = machine.launcher()
    bot = await machine.launch(first, order("well"))
    assert await machine.launcher().adopt() == []
    assert await first.adopt() == []
    await bot.leave()
    await all_events(bot)
    await bot.discard()


async def test_one_whose_supervisor_let_go_is_adopted_with_its_life_so_far(
    machine: Machine,
) -> None:
    spec, other = order("well"), machine.launcher()
    bot = await machine.launch(machine.launcher(), spec)
    await bot.release()
    (adopted,) = await other.adopt()
    assert adopted.spec == spec
    assert adopted.directory == bot.directory
    await adopted.leave()
    assert [one.seq for one in await all_events(adopted)] == [1, 2, 3]
    await adopted.release()
    (again,) = await other.adopt()
    assert ids([again]) == [spec.bot_id], "until its directory is gone"
    assert [one.seq for one in await all_events(again, after=2)] == [3]
    await again.discard()
    assert await machine.launcher().adopt() == []


async def test_asked_twice_it_finds_the_process_of_the_first_time(machine: Machine) -> None:
    launcher, spec = machine.launcher(), order("well")
    bot = await machine.launch(launcher, spec)
    await bot.release()
    same = await machine.launch(launcher, spec)
    await same.leave()
    assert [one.seq for one in await all_events(same)] == [1, 2, 3]
    await same.discard()
    assert await launcher.adopt() == []
