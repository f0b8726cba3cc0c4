"""A ``sitin serve`` of its own to measure: its address, its key, its processes."""

import asyncio
import os
import re
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from sitin.kit.postgres import EmbeddedPostgres

METRICS_TOKEN = "what-the-bench-reads-metrics-with"
"""Opens ``/metrics`` on the service's one port."""


@dataclass(frozen=True)
class Served:
    """A running service on an embedded Postgres, without bots."""

    url: str
    key: str
    database_url: str
    server: psutil.Process
    postmaster: psutil.Process
    environment: dict[str, str]

    async def command(self, *arguments: str) -> None:
        """Run a command beside the service."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "sitin.cli.main",
            *arguments,
            env=self.environment,
            stdout=asyncio.subprocess.DEVNULL,
        )
        assert await process.wait() == 0

    def cpu(self) -> tuple[float, float]:
        """CPU-seconds so far of the service and of Postgres."""
        return _cpu(self.server), _cpu(self.postmaster)


def _cpu(root: psutil.Process) -> float:
    """Of a process and all its children, those that have ended too."""
    own = root.cpu_times()
    total = own.children_user + own.children_system
    for process in (root, *root.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


@asynccontextmanager
async def served(**settings: str) -> AsyncIterator[Served]:
    """Serve from an empty data directory, which is removed afterwards."""
    data_dir = Path(tempfile.mkdtemp(prefix="sitin-bench-", dir="/var/tmp"))
    environment = {name: value for name, value in os.environ.items() if "SITIN" not in name}
    environment |= {
        "SITIN_DATA_DIR": str(data_dir),
        "SITIN_MAX_BOTS": "0",
        "SITIN_METRICS_PORT": "none",
        "SITIN_METRICS_TOKEN": METRICS_TOKEN,
    } | settings
    async with AsyncExitStack() as stack:
        stack.callback(forget, data_dir)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "sitin.cli.main",
            "serve",
            "--port",
            "0",
            stderr=asyncio.subprocess.PIPE,
            env=environment,
        )
        stack.push_async_callback(_end, process)
        assert process.stderr is not None
        url = ""
        while not url:
            line = (await process.stderr.readline()).decode()
            assert line, "serve ended before it served"
            found = re.search(r'"url": "(http[^"]+)", "event": "serving"', line)
            url = found[1] if found else ""
        drain = asyncio.create_task(process.stderr.read())
        stack.callback(drain.cancel)
        postgres = EmbeddedPostgres(data_dir)
        database_url = await asyncio.to_thread(postgres.start)
        stack.push_async_callback(asyncio.to_thread, postgres.stop)
        pid_file = data_dir / "postgres" / "cluster" / "postmaster.pid"
        yield Served(
            url,
            (data_dir / "api_key").read_text().strip(),
            database_url,
            psutil.Process(process.pid),
            psutil.Process(int(pid_file.read_text().splitlines()[0])),
            environment,
        )


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    await process.wait()


def forget(data_dir: Path) -> None:
    """Remove a data directory and its database."""
    EmbeddedPostgres(data_dir).destroy()
    shutil.rmtree((data_dir / "recordings").resolve(), ignore_errors=True)
    shutil.rmtree(data_dir, ignore_errors=True)
