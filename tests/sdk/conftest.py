"""The public API's own client, in a Node process, against the API over real HTTP."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.conftest import Api, api
from tests.bots.conftest import house

__all__ = ["Sdk", "api", "house"]

HERE = Path(__file__).parent


class Sdk:
    """The client; a call answers as the client's method does."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def __call__(self, call: str, params: Any = None) -> Any:
        """What the method returns."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        line = json.dumps({"call": call, "params": params})
        self._process.stdin.write(f"{line}\n".encode())
        await self._process.stdin.drain()
        answer = await self._process.stdout.readline()
        assert answer, f"{call} ended the client"
        return json.loads(answer)

    async def well(self, call: str, params: Any = None) -> Any:
        """What the method returns, which is a success."""
        answer = await self(call, params)
        assert answer["success"] is True, answer
        return answer


@pytest.fixture
async def sdk(api: Api) -> AsyncIterator[Sdk]:
    """The client with the key of the house's team."""
    node = shutil.which("node")
    if node is None or not (HERE / "node_modules" / "@meeting-baas").is_dir():
        pytest.skip("the public API's own client is not here; make setup installs it where npm is")
    key = await api.key(api.house.caller.team_id)
    process = await asyncio.create_subprocess_exec(
        node,
        str(HERE / "drive.js"),
        api.url,
        key,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 20,
    )
    yield Sdk(process)
    assert process.stdin is not None
    process.stdin.close()
    await process.wait()
