"""What it costs that the kernel keeps bots apart: bots with and without it, one after the other."""

import resource
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import psutil

from bench import ours
from bench.meeting import script
from bench.row import Row
from bench.tree import Tree
from sitin.contract.codes import BotStatus
from sitin.contract.events import StatusReached
from sitin.rehearsal import Rehearsal
from sitin.runner import firewall, isolation
from sitin.runner.supervisor import RUNNER, Supervisor

_ROUNDS = 7
_LENGTH = 6.0
"""Seconds of a meeting; the start is what is measured."""
_OPEN_RUNNER = (sys.executable, "-I", str(Path(__file__).with_name("open_runner.py")))


@dataclass(frozen=True)
class _Start:
    seconds: float
    """From the launch until the bot records."""
    cpu_seconds: float
    """Of the bot's processes, bubblewrap and nft."""
    pss: int
    """Bytes of the bot's processes at their peak."""


async def starts(_seconds: float) -> list[Row]:
    """The start of confined bots against that of bots whose browser is free."""
    confined, free = [], []
    async with ours.recordings() as directory:
        for _ in range(_ROUNDS):
            confined.append(await _start(directory, confined=True))
            with _without():
                free.append(await _start(directory, confined=False))
    missing = [one for one in (isolation.private_tree_failure(), firewall.failure()) if one]
    note = f"median of {_ROUNDS}" + "".join(f"; {one}" for one in missing)
    median = statistics.median
    added = 1000 * (median(one.seconds for one in confined) - median(one.seconds for one in free))
    cpu = median(one.cpu_seconds for one in confined) - median(one.cpu_seconds for one in free)
    pss = (median(one.pss for one in confined) - median(one.pss for one in free)) / 1e6
    return [
        Row(
            "from launch to recording",
            median(one.seconds for one in free),
            "s",
            note="not kept apart",
        ),
        Row("added by isolation: time", added, "ms", 150, note=note),
        Row("added by isolation: CPU", cpu, "s", 0.2),
        Row("added by isolation: peak PSS", pss, "MB", 20, note="with Chromium's sandbox"),
    ]


@contextmanager
def _without() -> Iterator[None]:
    """Neither a file tree of their own nor the firewall, for bots that are started within."""
    with (
        patch.object(isolation, "private_tree_failure", lambda: "measured without"),
        patch.object(firewall, "failure", lambda: "measured without"),
    ):
        yield


async def _start(directory: Path, *, confined: bool) -> _Start:
    async with Rehearsal(script(_LENGTH)) as meeting:
        await meeting.pictures_ready()
        command = RUNNER if confined else _OPEN_RUNNER
        supervisor = Supervisor(directory, memory_cap=4 << 30, command=command)
        before = _children()
        began = time.monotonic()
        bot = await supervisor.launch(ours.order(ours.LIVE, meeting))
        tree = Tree(bot.pid)
        recording = None
        async for event in bot.events(after=0):
            if event.body == StatusReached(status=BotStatus.IN_CALL_RECORDING):
                took = time.monotonic() - began
                wrapper = psutil.Process(bot.pid).ppid() if confined else None
                cpu = tree.cpu() + _children() - before + _of_bubblewrap(wrapper)
                recording = (took, cpu)
        tree.close()
        assert recording is not None
        await bot.discard()
        return _Start(*recording, tree.peak_pss)


def _children() -> float:
    """CPU-seconds of this process's children that have ended: nft, once the bot is launched."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _of_bubblewrap(pid: int | None) -> float:
    if pid is None:
        return 0.0
    process = psutil.Process(pid)
    if process.name() != "bwrap":
        return 0.0
    times = process.cpu_times()
    return times.user + times.system
