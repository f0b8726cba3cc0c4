"""The processes of one bot: which they are, whether they live, what they use. For supervisor."""

import asyncio
import json
import os
import signal
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import psutil

from sitin.kit.waiting import wait_for_event
from sitin.runner.isolation import Identity
from sitin.runner.spool import read_plain

MARK = "SITIN_BOT_ID"
"""The environment variable by which the processes of a bot are known when their parent is gone."""
_NAME = "runner.json"
_PAGE = os.sysconf("SC_PAGE_SIZE")
_CLOCK_TICK = 1 / os.sysconf("SC_CLK_TCK")


def announce(files: Path) -> None:
    """Say which process this is: its id and when it started, since ids are used again."""
    process = psutil.Process()
    partial = files / f"{_NAME}.partial"
    partial.write_text(json.dumps({"pid": process.pid, "started": process.create_time()}))
    partial.replace(files / _NAME)


class RunnerProcess:
    """A living runner."""

    def __init__(self, pid: int, descriptor: int) -> None:
        self.pid = pid
        self._descriptor = descriptor
        self._gone = asyncio.Event()
        asyncio.get_running_loop().add_reader(descriptor, self._note_end)

    @classmethod
    def of(cls, files: Path, identity: Identity | None) -> "RunnerProcess | None":
        """The runner of this directory, if it lives and really is this bot's."""
        try:
            said = json.loads(read_plain(files / _NAME, limit=1024))
            pid, started = int(said["pid"]), float(said["started"])
            descriptor = os.pidfd_open(pid)
        except (OSError, ArithmeticError, ValueError, KeyError, TypeError):
            return None
        # Looked at after the descriptor was opened: from now on the id means this process.
        if not _is_runner(pid, started, identity):
            os.close(descriptor)
            return None
        return cls(pid, descriptor)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to this process, and to none that has its id later."""
        if not self._gone.is_set():
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, number)

    async def gone(self, *, within: float) -> bool:
        """Wait at most so many seconds for its end; tells whether it has come."""
        return await wait_for_event(self._gone, within)

    def memory(self) -> int:
        """Bytes that this process and its descendants have to themselves."""
        with suppress(psutil.NoSuchProcess):
            runner = psutil.Process(self.pid)
            family = [runner, *runner.children(recursive=True)]
            return sum(_own_memory(process.pid) for process in family)
        return 0

    def _note_end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)
        self._gone.set()


def _is_runner(pid: int, started: float, identity: Identity | None) -> bool:
    try:
        process = psutil.Process(pid)
        return (
            abs(process.create_time() - started) < 2 * _CLOCK_TICK
            and process.status() != psutil.STATUS_ZOMBIE
            and process.uids().real == (identity.uid if identity else os.getuid())
        )
    except psutil.NoSuchProcess:
        return False


def _own_memory(pid: int) -> int:
    """Resident pages that are not of a file or shared: what the machine gets back at its end."""
    try:
        _, resident, shared, *_ = Path(f"/proc/{pid}/statm").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return (int(resident) - int(shared)) * _PAGE


def kill_leftovers(bot_id: UUID) -> None:
    """Kill what a dead runner has left running: its browser and its driver."""
    mark = f"{MARK}={bot_id}".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            environment = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if mark in environment:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(int(entry.name), signal.SIGKILL)
