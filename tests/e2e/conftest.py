"""One service, one hall of meetings, one customer for all tests of this folder.

The service is ``sitin serve`` as an operator starts it, the browsers are the bots' own, and the
meetings are held in the process of the tests.
"""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from sitin.rehearsal import Meeting, RehearsalServer, Script
from tests.cli.conftest import Machine, a_machine
from tests.e2e.customer import Customer, a_customer

Hold = Callable[..., Awaitable[Meeting]]
SMALL = {"resolution": [{"at": 0, "height": 180}], "fps": 10}
"""Pictures that cost little."""
PEOPLE = [{"name": "Ada Martin", "host": True}, {"name": "Ben Okafor"}]
BOTS_AT_ONCE = 3


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def hall(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RehearsalServer]:
    """Where meetings are held."""
    async with RehearsalServer(cache_directory=tmp_path_factory.mktemp("film")) as server:
        yield server


@pytest.fixture(scope="package")
def hold(hall: RehearsalServer) -> Hold:
    """Opens a meeting at an address of its own."""
    numbers = itertools.product("abcdefghijklmnopqrstuvwxyz", repeat=3)

    async def hold_one(script: Script | None = None, **fields: Any) -> Meeting:
        code = f"{''.join(next(numbers))}-test-aaa"
        if script is None:
            script = Script.model_validate({"participants": PEOPLE, "video": SMALL, **fields})
        meeting = await hall.hold(script.model_copy(update={"code": code}))
        await meeting.pictures_ready()
        return meeting

    return hold_one


@pytest.fixture(scope="package")
def led_here(hall: RehearsalServer) -> dict[str, str]:
    """The settings that lead a service's bots to the meetings."""
    return {
        "SITIN_BROWSER_HOST_RULES": hall.browser_host_rules,
        "SITIN_BROWSER_ARGS": " ".join(hall.browser_args),
        "SITIN_ALLOW_PRIVATE_ADDRESSES": "true",
        "SITIN_MAX_BOTS": str(BOTS_AT_ONCE),
    }


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def machine(
    make_directory: Callable[[], Path], led_here: dict[str, str]
) -> AsyncIterator[Machine]:
    """The machine on which the service runs."""
    async with a_machine(make_directory() / "data", **led_here) as machine:
        yield machine


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def customer(machine: Machine) -> AsyncIterator[Customer]:
    """A customer of ``sitin serve``."""
    async with machine.serving() as (url, _), a_customer(machine, url) as customer:
        yield customer
