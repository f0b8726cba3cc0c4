"""The real commands, each in a process of its own, on a data directory of the test's own."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from sitin.kit.postgres import EmbeddedPostgres
from sitin.runner.processes import kill_leftovers

SECONDS = 90


@dataclass
class Machine:
    """A data directory, and the commands that run on it."""

    data_dir: Path
    settings: dict[str, str] = field(default_factory=dict)

    async def start(self, *arguments: str, **settings: str) -> asyncio.subprocess.Process:
        environment = {name: value for name, value in os.environ.items() if "SITIN" not in name}
        # Any free port: so many run at once that the usual ones would not do.
        environment["SITIN_METRICS_PORT"] = "0"
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "sitin.cli.main",
            *arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment | {"SITIN_DATA_DIR": str(self.data_dir)} | self.settings | settings,
        )

    async def run(
        self, *arguments: str, within: float = SECONDS, **settings: str
    ) -> tuple[int, str, str]:
        """Exit code, standard output and standard error of a command."""
        process = await self.start(*arguments, **settings)
        async with asyncio.timeout(within):
            output, errors = await process.communicate()
        assert process.returncode is not None
        return process.returncode, output.decode(), errors.decode()

    async def json(self, *arguments: str, **settings: str) -> Any:
        """What a command prints with ``--json``."""
        code, output, errors = await self.run(*arguments, "--json", within=SECONDS, **settings)
        assert code == 0, errors
        return json.loads(output)

    @contextlib.asynccontextmanager
    async def serving(
        self, *arguments: str, **settings: str
    ) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
        """A running ``sitin serve`` on a free port: its address and its process."""
        process = await self.start("serve", "--port", "0", *arguments, **settings)
        assert process.stderr is not None
        try:
            async with asyncio.timeout(SECONDS):
                url = ""
                while not url:
                    line = (await process.stderr.readline()).decode()
                    assert line, "serve ended before it served"
                    found = re.search(r'"url": "(http[^"]+)", "event": "serving"', line)
                    url = found[1] if found else ""
            draining = asyncio.create_task(process.stderr.read())
            yield url, process
        finally:
            if process.returncode is None:
                process.terminate()
            async with asyncio.timeout(SECONDS):
                await process.wait()
            await draining


@contextlib.asynccontextmanager
async def a_machine(data_dir: Path, **settings: str) -> AsyncIterator[Machine]:
    """A machine where nothing has run yet; what it leaves is removed."""
    try:
        yield Machine(data_dir, settings)
    finally:
        await asyncio.to_thread(_clear_away, data_dir)


def _clear_away(data_dir: Path) -> None:
    recordings = (data_dir / "recordings").resolve()
    for place in recordings.iterdir() if recordings.exists() else ():
        # A test that failed has left a bot.
        kill_leftovers(UUID(place.name))
    shutil.rmtree(recordings, ignore_errors=True)
    if (data_dir / "postgres").exists():
        EmbeddedPostgres(data_dir).destroy()


@pytest.fixture
async def machine(reachable_path: Path) -> AsyncIterator[Machine]:
    """A machine where nothing has run yet, and without room for bots."""
    async with a_machine(reachable_path / "data", SITIN_MAX_BOTS="0") as machine:
        yield machine
