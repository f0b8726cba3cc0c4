"""The bot's own browser, opened as a bot opens it; and a machine with bots without one."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext

from sitin.contract.spec import BrowserSpec
from sitin.runner.browser import open_browser, starting_driver
from tests.runner.host import Host, a_host

CHROMIUM, HEADLESS_SHELL = "/usr/bin/chromium", "/usr/bin/chromium-headless-shell"
ADDRESS = "https://page.example/"


@asynccontextmanager
async def bot_browser(
    directory: Path,
    *,
    path: str = HEADLESS_SHELL,
    direct_port: int = 9,
    args: tuple[str, ...] = (),
    host_rules: str = "",
) -> AsyncIterator[BrowserContext]:
    """A browser with the bot's flags, in which ``ADDRESS`` is an empty page."""
    spec = BrowserSpec(
        path=path,
        args=("--allow-loopback-in-peer-connection", *args),
        host_rules=host_rules,
        allow_private_addresses=bool(host_rules),
    )
    async with (
        starting_driver() as driver,
        open_browser(driver, spec, directory, path=path, direct_port=direct_port) as context,
    ):
        await context.route(
            re.compile(re.escape(ADDRESS)),
            lambda route: route.fulfill(
                content_type="text/html", body="<!doctype html><title>page</title><body></body>"
            ),
        )
        context.set_default_timeout(20_000)
        yield context


@pytest.fixture
async def host(reachable_path: Path) -> AsyncIterator[Host]:
    """A machine whose bots are stand-ins."""
    async with a_host(reachable_path) as host:
        yield host
