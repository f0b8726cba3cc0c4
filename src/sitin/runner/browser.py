"""Chromium and how it is started. For the session.

No X server, no sound server: headless, with the tracks taken out of the page or the tab recorded by
the browser itself.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import structlog
from playwright.async_api import BrowserContext, Page, Playwright, async_playwright
from playwright.async_api import Error as PlaywrightError

from sitin.contract.codes import EndReason
from sitin.contract.failures import PermanentError
from sitin.contract.spec import BrowserSpec
from sitin.runner.browser_surroundings import BrowserSurroundings, browser_surroundings
from sitin.runner.confinement import Confinement, starting_confined
from sitin.runner.proxy import FilteringProxy, HostRules

log = structlog.get_logger()

WIDTH, HEIGHT = 1280, 720

_DISABLED = (
    # Pages of the browser's own, rendered behind a toolbar that nobody sees: 80 MB and one second
    # of a core at the start of every bot.
    "WebUIOmniboxPopup",
    "WebUIOmniboxAimPopup",
    "WebUIOmniboxFullPopup",
    # A renderer kept ready for a second site: 20 MB; a bot visits one.
    "SpareRendererForSitePerProcess",
    # One process less: 25 MB.
    "AudioServiceOutOfProcess",
    # The last --disable-features counts, so what Playwright disables is repeated here as far as it
    # concerns a bot: requests to Google at the start, upgrades that a rehearsal would not survive.
    "AimEnabled",
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsFirstBalancedModeAutoEnable",
    "HttpsUpgrades",
    "LensOverlay",
    "MediaRouter",
    "NetworkTimeServiceQuerying",
    "OptimizationHints",
    "PaintHolding",
    "PreconnectToSearch",
    "ThirdPartyStoragePartitioning",
    "Translate",
)
_ENABLED = (
    # The network in the browser's process: 30 MB and two context switches a packet less.
    "NetworkServiceInProcess2",
)
_FLAGS = (
    "--disable-gpu",
    # Compositing is done in software anyway: 10 MB.
    "--disable-software-rasterizer",
    "--in-process-gpu",
    "--no-unsandboxed-zygote",
    "--disable-quic",
    "--no-first-run",
    "--lang=en-US",
    "--autoplay-policy=no-user-gesture-required",
    # Recording the tab asks nobody; the meeting's page has no permission to do it by itself.
    "--auto-accept-this-tab-capture",
)
_FEATURES = ("--disable-features=", "--enable-features=")
_CLOSE_WITHIN = 5.0
"""Seconds for the browser to close by itself before its processes are killed."""


def chromium_args(spec: BrowserSpec, *, proxy_port: int, direct_port: int) -> list[str]:
    """Chromium's arguments; the operator's own come last and win, features are added up."""
    features = {"--disable-features=": list(_DISABLED), "--enable-features=": list(_ENABLED)}
    own = []
    for argument in spec.args:
        flag = next((one for one in _FEATURES if argument.startswith(one)), None)
        if flag is None:
            own.append(argument)
        else:
            features[flag] += argument.removeprefix(flag).split(",")
    return [
        *_FLAGS,
        f"--window-size={WIDTH},{HEIGHT}",
        f"--proxy-server=http://127.0.0.1:{proxy_port}",
        # Loopback has no way around the proxy but the one to the runner's own capture.
        f"--proxy-bypass-list=<-loopback>;127.0.0.1:{direct_port}",
        *(flag + ",".join(names) for flag, names in features.items()),
        *own,
    ]


@asynccontextmanager
async def starting_driver(
    confinement: Confinement | None = None,
) -> AsyncIterator[Awaitable[Playwright]]:
    """Playwright's driver, a process that takes half a second to start: others work meanwhile.

    With a confinement, it and the browsers that it starts are held to that.
    """
    manager = async_playwright()

    async def start() -> Playwright:
        if confinement is None:
            return await manager.start()
        with starting_confined(confinement):
            return await manager.start()

    starting = asyncio.create_task(start())
    try:
        yield starting
    finally:
        await asyncio.gather(starting, return_exceptions=True)
        await manager.__aexit__()


async def stop_driver(driver: Awaitable[Playwright]) -> None:
    """Stop it before its time is up; nothing can be opened with it any more."""
    with suppress(PlaywrightError):
        await (await driver).stop()


@asynccontextmanager
async def open_browser(
    driver: Awaitable[Playwright],
    spec: BrowserSpec,
    directory: Path,
    *,
    path: str,
    direct_port: int,
    surroundings: BrowserSurroundings | None = None,
) -> AsyncIterator[BrowserContext]:
    """A browser with one empty page; closed, and its profile deleted, at the end.

    ``path`` is one of the two in ``spec``; ``direct_port`` is the loopback port that pages may
    reach. Without ``surroundings`` they are made, and Chromium's sandbox is off. Raises
    ``PermanentError``.
    """
    if surroundings is None:
        with browser_surroundings(directory) as made:
            browser = open_browser(
                driver, spec, directory, path=path, direct_port=direct_port, surroundings=made
            )
            async with browser as context:
                yield context
        return
    profile = surroundings.profiles / "profile"
    proxy = FilteringProxy(HostRules(spec.host_rules), allow_private=spec.allow_private_addresses)
    listeners = surroundings.listeners
    proxy_port = await proxy.open(listeners.proxy.dup() if listeners else None)
    try:
        args = chromium_args(spec, proxy_port=proxy_port, direct_port=direct_port)
        context = await _launch(await driver, path, profile, surroundings, args)
        try:
            yield context
        finally:
            with suppress(PlaywrightError, TimeoutError):
                async with asyncio.timeout(_CLOSE_WITHIN):
                    await context.close()
    finally:
        await proxy.close()
        await asyncio.to_thread(shutil.rmtree, profile, ignore_errors=True)


async def _launch(
    playwright: Playwright,
    path: str,
    profile: Path,
    surroundings: BrowserSurroundings,
    args: list[str],
) -> BrowserContext:
    try:
        return await playwright.chromium.launch_persistent_context(
            profile,
            executable_path=path,
            headless=True,
            args=args,
            chromium_sandbox=surroundings.sandboxed,
            # A recorded tab is silent with it.
            ignore_default_args=["--mute-audio"],
            bypass_csp=True,
            locale="en-US",
            viewport={"width": WIDTH, "height": HEIGHT},
            # A page may reach the runner's capture on loopback; the proxy stands before the rest.
            permissions=["local-network-access"],
            env={**os.environ, "HOME": str(profile), "TMPDIR": str(surroundings.temporary)},
        )
    except PlaywrightError as error:
        log.exception("browser did not start", path=path)
        raise PermanentError(
            f"The browser {path} did not start on this machine.",
            code=EndReason.INTERNAL_ERROR,
        ) from error


async def snapshot(page: Page, directory: Path, number: int) -> tuple[str, ...]:
    """Keep what the page shows: a screenshot and its HTML, named relative to the directory."""
    target = directory / "unexpected"
    target.mkdir(exist_ok=True)
    kept = []
    with suppress(PlaywrightError):
        await page.screenshot(path=target / f"{number}.png", timeout=5000)
        kept.append(f"unexpected/{number}.png")
    with suppress(PlaywrightError):
        html = await page.content()
        (target / f"{number}.html").write_text(html)
        kept.append(f"unexpected/{number}.html")
    return tuple(kept)
