"""Which processes are a bot's: by id and start, by user, by the mark in their environment."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from sitin.kit.ids import new_id
from sitin.runner.isolation import Identity
from sitin.runner.processes import MARK, RunnerProcess, announce, kill_leftovers
from tests.waiting import until

pytestmark = pytest.mark.unit

NAME = "runner.json"


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that does nothing."""
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


def say(files: Path, *, pid: object, started: object) -> None:
    (files / NAME).write_text(json.dumps({"pid": pid, "started": started}))


def started(process: subprocess.Popen[bytes]) -> float:
    return psutil.Process(process.pid).create_time()


async def test_a_process_says_who_it_is_and_is_found(tmp_path: Path) -> None:
    announce(tmp_path)
    process = RunnerProcess.of(tmp_path, None)
    assert process is not None
    assert process.pid == os.getpid()
    assert not await process.gone(within=0.01)
    process._note_end()


async def test_its_end_is_told_at_once(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    say(tmp_path, pid=sleeper.pid, started=started(sleeper))
    process = RunnerProcess.of(tmp_path, None)
    assert process is not None
    ending = asyncio.create_task(process.gone(within=30))
    process.send(signal.SIGKILL)
    assert await ending
    assert await process.gone(within=0)
    process.send(signal.SIGKILL)  # to nobody, and no error
    assert process.memory() == 0 or sleeper.poll() is None


async def test_a_number_that_another_process_has_now_is_nobodys(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    """Ids are used again: the time of the start tells a stranger from the bot."""
    say(tmp_path, pid=sleeper.pid, started=started(sleeper) - 10)
    assert RunnerProcess.of(tmp_path, None) is None
    assert sleeper.poll() is None


async def test_a_process_of_another_user_is_nobodys(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    say(tmp_path, pid=sleeper.pid, started=started(sleeper))
    assert RunnerProcess.of(tmp_path, Identity(os.getuid() + 61_184)) is None


async def test_a_dead_process_that_nobody_waited_for_is_nobodys(tmp_path: Path) -> None:
    process = subprocess.Popen(["true"])  # noqa: ASYNC220 - it is not waited for, on purpose
    await until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE)
    say(tmp_path, pid=process.pid, started=started(process))
    assert RunnerProcess.of(tmp_path, None) is None
    process.wait()
    assert RunnerProcess.of(tmp_path, None) is None


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"pid": 1}',
        '{"pid": "x", "started": 0}',
        '{"pid": null, "started": 0}',
        '{"pid": -1, "started": 0}',
        '{"pid": 0, "started": 0}',
        '{"pid": 99999999999, "started": 0}',
        '{"pid": 1e400, "started": 0}',
        '{"pid": [], "started": NaN}',
    ],
)
async def test_what_names_no_process_is_nobody(tmp_path: Path, content: str) -> None:
    (tmp_path / NAME).write_text(content)
    assert RunnerProcess.of(tmp_path, None) is None


async def test_a_link_in_the_announcements_place_is_not_followed(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    (tmp_path / "elsewhere").mkdir()
    say(tmp_path / "elsewhere", pid=sleeper.pid, started=started(sleeper))
    (tmp_path / NAME).symlink_to(tmp_path / "elsewhere" / NAME)
    assert RunnerProcess.of(tmp_path, None) is None


async def test_memory_is_that_of_the_whole_family(tmp_path: Path) -> None:
    script = (
        "import os, sys, time\n"
        "child = os.fork()\n"
        "kept = b'x' * (60 << 20)\n"
        "print(flush=True)\n"
        "time.sleep(600)\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    for _ in range(2):
        await process.stdout.readline()
    say(tmp_path, pid=process.pid, started=psutil.Process(process.pid).create_time())
    runner = RunnerProcess.of(tmp_path, None)
    assert runner is not None
    assert 120 << 20 <= runner.memory() <= 200 << 20
    for one in psutil.Process(process.pid).children():
        one.kill()
    runner.send(signal.SIGKILL)
    assert await runner.gone(within=10)
    await process.communicate()


def test_leftovers_are_known_by_their_mark_and_nobody_else_is_touched() -> None:
    bot, other = new_id(), new_id()
    marked, foreign = (
        subprocess.Popen(["sleep", "600"], env={**os.environ, MARK: str(one)})
        for one in (bot, other)
    )
    try:
        kill_leftovers(bot)
        assert marked.wait(10) == -signal.SIGKILL
        assert foreign.poll() is None
        kill_leftovers(bot)
    finally:
        foreign.kill()
        foreign.wait()
