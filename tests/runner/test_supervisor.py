"""Bots' processes from outside: what is noticed, what it is called, what is kept."""

import asyncio
import os
import signal
from pathlib import Path

import psutil
import pytest

from sitin.contract.codes import BotStatus, EndReason
from sitin.contract.events import BotEvent, Ended, ParticipantSeen, StatusReached
from sitin.contract.failures import RetriableError
from sitin.runner.processes import MARK
from sitin.runner.supervisor import Patience, SupervisedBot
from tests.runner.host import Host, all_events, last_word, order
from tests.waiting import until

pytestmark = pytest.mark.unit

QUICK = Patience(to_start=60.0, silent=1.5, to_recover=60.0, memory_every=0.1)


def statuses(events: list[BotEvent]) -> list[BotStatus]:
    return [one.body.status for one in events if isinstance(one.body, StatusReached)]


def log_of(bot: SupervisedBot) -> str:
    return (bot.directory.parent / "runner.log").read_text()


async def begun(bot: SupervisedBot) -> None:
    """Wait until it has said its first words."""
    await until(lambda: b"Ada" in _spool(bot))


def _spool(bot: SupervisedBot) -> bytes:
    path = bot.directory / "events.jsonl"
    return path.read_bytes() if path.exists() else b""


async def test_a_bot_runs_is_asked_to_leave_and_is_cleared_away(host: Host) -> None:
    bot = await host.launch("well")
    await bot.leave()
    await bot.leave()
    events = await all_events(bot)
    assert [event.seq for event in events] == [1, 2, 3]
    assert [type(event.body) for event in events] == [StatusReached, ParticipantSeen, Ended]
    assert isinstance(events[-1].body, Ended)
    assert events[-1].body.reason is EndReason.API_REQUEST
    assert {event.fencing_token for event in events} == {1}
    await bot.discard()
    assert list(host.recordings.iterdir()) == []
    await bot.leave()  # too late, and no error


async def test_events_are_given_from_where_somebody_stopped_reading(host: Host) -> None:
    bot = await host.launch("many 500")
    await until(lambda: _spool(bot).count(b"\n") == 502)
    await bot.leave()
    events = await all_events(bot, after=400)
    assert [event.seq for event in events] == list(range(401, 504))


class TestDeath:
    @pytest.mark.parametrize(
        ("behaviour", "code"),
        [
            ("by signal 15", EndReason.SIGTERM),
            ("by signal 11", EndReason.GENERAL_ERROR),
            ("exit 0", EndReason.GENERAL_ERROR),
        ],
    )
    async def test_a_bot_that_dies_ends_with_the_code_of_its_death(
        self, host: Host, behaviour: str, code: EndReason
    ) -> None:
        bot = await host.launch(behaviour)
        events = await all_events(bot)
        assert statuses(events) == [BotStatus.JOINING_CALL]
        assert isinstance(events[-1].body, Ended)
        assert events[-1].body.reason is code
        assert events[-1].body.recording is None

    async def test_it_is_noticed_at_once_and_what_it_started_dies_with_it(self, host: Host) -> None:
        """Not at the next look: the kernel tells."""
        bot = await host.launch("leave a child", patience=Patience(silent=3600, memory_every=3600))
        children = await _children(bot)
        ending = asyncio.create_task(last_word(bot))
        os.kill(bot.pid, signal.SIGKILL)
        assert bot._process is not None
        assert await bot._process.gone(within=10)
        assert (await ending).reason is EndReason.FORCE_KILLED
        assert not any(_lives(child) for child in children)

    @pytest.mark.parametrize("behaviour", ["stillborn", "never"])
    async def test_one_that_never_says_that_it_is_there(self, host: Host, behaviour: str) -> None:
        bot = await host.launch(behaviour, patience=Patience(to_start=1.0))
        assert bot.pid == 0
        ended = await last_word(bot)
        assert ended.reason in (EndReason.GENERAL_ERROR, EndReason.FORCE_KILLED)


class TestAskWaitDumpKill:
    async def test_one_that_hangs_is_asked_for_its_stacks_and_killed(self, host: Host) -> None:
        bot = await host.launch("hang", patience=QUICK)
        ended = await last_word(bot)
        assert ended.reason is EndReason.GENERAL_ERROR
        assert "in behave" in log_of(bot), "where it hung"

    async def test_one_that_gives_signs_of_life_is_left_alone(self, host: Host) -> None:
        bot = await host.launch("well", patience=QUICK)
        events = asyncio.create_task(all_events(bot))
        done, _ = await asyncio.wait([events], timeout=3 * QUICK.silent)
        assert not done
        await bot.leave()
        assert isinstance((await events)[-1].body, Ended)
        assert log_of(bot) == ""

    async def test_one_that_cannot_be_reached_counts_as_hung(self, host: Host) -> None:
        bot = await host.launch("without socket", patience=QUICK)
        assert (await last_word(bot)).reason is EndReason.GENERAL_ERROR

    async def test_one_that_talks_nonsense_is_put_down_and_ended(self, host: Host) -> None:
        bot = await host.launch("nonsense", patience=QUICK)
        events = await all_events(bot)
        assert [event.seq for event in events] == [1, 2, 3], "what made sense stays"
        assert isinstance(events[-1].body, Ended)
        assert events[-1].body.reason is EndReason.GENERAL_ERROR

    async def test_one_that_has_said_its_last_and_does_not_go_is_killed(self, host: Host) -> None:
        bot = await host.launch("record output.flac", patience=Patience(to_go=0.2))
        ended = await last_word(bot)
        assert ended.recording is not None
        assert [one.path for one in ended.recording.files] == ["output.flac"]
        assert bot._process is not None
        assert await bot._process.gone(within=10)

    async def test_one_that_uses_too_much_memory_is_killed_and_told_why(self, host: Host) -> None:
        bot = await host.launch("eat 300", memory_cap=200 << 20)
        assert (await last_word(bot)).reason is EndReason.OOM_KILLED


async def test_a_recording_that_is_none_of_its_own_is_refused(host: Host) -> None:
    """A bot's processes are untrusted, and so is what they say they have recorded."""
    bot = await host.launch("record /etc/passwd", patience=Patience(to_go=0.2))
    ended = await last_word(bot)
    assert ended.recording is None
    assert ended.reason is EndReason.API_REQUEST


class TestTwoWorkers:
    async def test_a_bot_is_taken_over_when_its_worker_lets_go_and_not_before(
        self, host: Host
    ) -> None:
        spec = order("well")
        host.started.append(spec.bot_id)
        first = await host.supervisor().launch(spec)
        host.supervised.append(first)
        await begun(first)
        with pytest.raises(RetriableError, match="Another worker"):
            await host.supervisor().launch(spec)
        other = host.supervisor()
        assert await other.adopt() == []
        await first.release()
        (adopted,) = await other.adopt()
        assert (adopted.pid, adopted.spec) == (first.pid, first.spec)
        await adopted.release()
        again = await host.supervisor().launch(spec)
        assert again.pid == first.pid, "asked twice, the second call finds the first one's process"
        await again.leave()
        assert [event.seq for event in await all_events(again)] == [1, 2, 3]
        assert first._child is not None
        await first._child.wait()
        await again.release()
        # Its directory is still there, so it is adopted once more, with its events.
        (ended,) = await other.adopt()
        assert ended.pid == 0
        assert [event.seq for event in await all_events(ended, after=1)] == [2, 3]
        await ended.discard()
        assert await other.adopt() == []

    async def test_one_that_died_meanwhile_is_adopted_and_ended(self, host: Host) -> None:
        bot = await host.launch("well")
        await begun(bot)
        pid = bot.pid
        await bot.release()
        os.kill(pid, signal.SIGKILL)
        assert bot._child is not None
        await bot._child.wait()
        (adopted,) = await host.supervisor().adopt()
        assert adopted.pid == 0
        assert (await last_word(adopted)).reason is EndReason.FORCE_KILLED
        await adopted.discard()
        assert list(host.recordings.iterdir()) == []

    async def test_what_is_no_bots_place_is_passed_over(self, host: Host) -> None:
        (host.recordings / "stray").mkdir()
        (host.recordings / "file").write_text("")
        assert await host.supervisor().adopt() == []

    async def test_without_a_recordings_directory_there_is_nobody(self, tmp_path: Path) -> None:
        host = Host(tmp_path / "none", tmp_path / "program")
        assert await host.supervisor().adopt() == []


async def test_a_machine_that_cannot_start_processes_says_so(host: Host) -> None:
    spec = order("well")
    (host.recordings / str(spec.bot_id)).write_text("a file in the place's place")
    with pytest.raises(RetriableError, match="cannot be started"):
        await host.supervisor().launch(spec)


async def _children(bot: SupervisedBot) -> list[psutil.Process]:
    await begun(bot)
    mark = str(bot.spec.bot_id)

    def family() -> list[psutil.Process]:
        return [one for one in psutil.process_iter() if _marked(one, mark) and one.pid != bot.pid]

    await until(lambda: any(one.name() == "sleep" for one in family()))
    return family()


def _marked(process: psutil.Process, mark: str) -> bool:
    try:
        return process.environ().get(MARK) == mark
    except psutil.Error:
        return False


def _lives(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
