"""A server and a browser for the end-to-end tests of a module; a meeting for each test."""

from collections.abc import AsyncIterator, Awaitable, Callable
from string import ascii_lowercase
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from sitin.rehearsal import Meeting, RehearsalServer, Script
from tests.rehearsal.guest import CHROMIUM, CHROMIUM_ARGS, Guest

Hold = Callable[..., Awaitable[Meeting]]
Arrive = Callable[[Meeting], Awaitable[Guest]]

_SMALL = {"resolution": [{"at": 0, "height": 180}], "fps": 10}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RehearsalServer]:
    """A server without meetings."""
    cache = tmp_path_factory.mktemp("film")
    async with RehearsalServer(cache_directory=cache) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(server: RehearsalServer) -> AsyncIterator[Browser]:
    """A browser that finds Meet's addresses at the server."""
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(
            executable_path=CHROMIUM,
            ignore_default_args=["--mute-audio"],
            args=[
                *CHROMIUM_ARGS,
                *server.browser_args,
                f"--host-resolver-rules={server.browser_host_rules}",
            ],
        )
        yield running
        await running.close()


@pytest_asyncio.fixture(loop_scope="module")
async def hold(server: RehearsalServer) -> AsyncIterator[Hold]:
    """Open meetings, with small pictures unless told otherwise; they are closed after the test."""
    codes: list[str] = []

    async def open_meeting(**script: Any) -> Meeting:
        script.setdefault("participants", [{"name": "Ada Martin"}, {"name": "Ben Okafor"}])
        script.setdefault("video", _SMALL)
        code = f"abc-defg-hi{ascii_lowercase[len(codes)]}"
        codes.append(code)
        return await server.hold(Script.model_validate({"code": code, **script}))

    yield open_meeting
    for code in codes:
        await server.drop(code)


@pytest_asyncio.fixture(loop_scope="module")
async def arrive(browser: Browser) -> AsyncIterator[Arrive]:
    """Open a meeting's address in a page, which is closed after the test."""
    context = await browser.new_context(viewport={"width": 1280, "height": 720}, bypass_csp=True)

    async def open_page(meeting: Meeting) -> Guest:
        return await Guest.arrive(context, meeting)

    yield open_page
    await context.close()
