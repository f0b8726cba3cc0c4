"""The bot's hands and eyes on Google Meet's page. Selectors and texts are in ``facts.py``."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from importlib import resources
from urllib.parse import urlsplit

import structlog
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Locator, Page
from playwright.async_api import TimeoutError as PlaywrightTimeoutError

from sitin.contract.codes import EndReason, Platform, RecordingMode
from sitin.contract.failures import RetriableError
from sitin.contract.meeting import (
    Admitted,
    AudioTopology,
    JoinStep,
    MeetingSignal,
    Over,
    PlatformCapabilities,
    Unexpected,
    Waiting,
)
from sitin.kit.waiting import wait_for_event
from sitin.platforms.meet import facts
from sitin.platforms.meet.facts import State
from sitin.platforms.meet.roster import MeetRoster, UnreadableError

log = structlog.get_logger()

CAPABILITIES = PlatformCapabilities(
    platform=Platform.MEET, audio_topology=AudioTopology.POOLED, screenshots=True
)

_OPEN_WITHIN = 30_000
"""Milliseconds for the page to come."""
_FORM_WITHIN = 30.0
"""Seconds for the name field to come."""
_ASK_AGAIN = 2.0
"""Seconds after which the join button is pressed again when nothing has happened."""
_ASK_WITHIN = 30.0
"""Seconds for the page to say something after the bot has asked to join."""
_CHOOSE_WITHIN = 1500
"""Milliseconds for each click on the way to a layout; they take 50 where all is there."""
_SWITCH_TRIES = 5
"""Clicks on a switch that does not turn off at the first; as attendee does."""

_NOT_LET_IN = "Google Meet does not let this guest join the meeting."
_OVER: dict[State, tuple[EndReason, str | None]] = {
    State.DENIED: (EndReason.BOT_NOT_ACCEPTED, None),
    State.NO_RESPONSE: (
        EndReason.TIMEOUT_WAITING_TO_START,
        "Nobody in the meeting answered the bot's request to join.",
    ),
    State.BLOCKED: (EndReason.CANNOT_JOIN_MEETING, _NOT_LET_IN),
    State.LOGIN_REQUIRED: (EndReason.LOGIN_REQUIRED, None),
    State.NOT_FOUND: (EndReason.INVALID_MEETING_URL, None),
    State.CAPTCHA: (
        EndReason.CANNOT_JOIN_MEETING,
        "Google Meet asked to prove that no robot is joining; the bot does not pretend.",
    ),
    State.REMOVED: (EndReason.BOT_REMOVED, None),
    State.ENDED: (EndReason.MEETING_ENDED, None),
    State.AWAY: (
        EndReason.CANNOT_JOIN_MEETING,
        "The meeting's page led away from Google Meet.",
    ),
}


_DISMISS = re.compile("|".join(f"^{re.escape(one)}$" for one in facts.DISMISS))
_LAYOUT_ENTRY = re.compile("|".join(f"^{one}$" for one in facts.LAYOUT_ENTRY))
_CONSENT = Unexpected(what="a dialog that tells of a recording")
"""Not given on: the adapter answers it itself."""


class MeetAdapter:
    """One bot in one Google Meet meeting."""

    def __init__(self) -> None:
        self._roster = MeetRoster()
        self._signals: asyncio.Queue[MeetingSignal] = asyncio.Queue()
        self._said = asyncio.Event()
        self._ended = asyncio.Event()
        self._joining = False
        self._blocked = False

    @property
    def capabilities(self) -> PlatformCapabilities:
        """What this platform can do."""
        return CAPABILITIES

    @property
    def init_script(self) -> str:
        """The page script with its tables."""
        source = (resources.files("sitin.platforms.meet") / "page.js").read_text()
        return source.replace("MEET_FACTS", json.dumps(_script_facts()), 1)

    # --- joining ---------------------------------------------------------------------------------

    async def join(self, page: Page, *, url: str, bot_name: str, mode: RecordingMode) -> None:
        """Open the meeting, give the name, ask to join; returns once the page has taken notice."""
        del mode
        self._said.clear()
        self._ended.clear()
        self._blocked, self._joining = False, True
        try:
            response = await page.goto(
                f"{url}?hl=en", wait_until="domcontentloaded", timeout=_OPEN_WITHIN
            )
        except PlaywrightTimeoutError as error:
            raise RetriableError("Google Meet's page did not come in time.") from error
        except PlaywrightError as error:
            if page.is_closed():
                raise
            raise RetriableError("Google Meet cannot be reached from this machine.") from error
        if response is not None and response.status >= 500:
            raise RetriableError("Google Meet answered with an error.")
        log.info("step", step=JoinStep.PAGE_OPENED)
        try:
            await self._unless_over(self._knock(page, bot_name))
        except PlaywrightTimeoutError as error:
            raise RetriableError("Google Meet's page did not take what was entered.") from error
        if self._blocked:
            raise RetriableError(_NOT_LET_IN)
        self._joining = False

    async def _unless_over(self, doing: Coroutine[None, None, None]) -> None:
        """Do it until the page says that there is nothing to be done: a CAPTCHA takes no click."""
        tasks = [asyncio.create_task(doing), asyncio.create_task(self._ended.wait())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _knock(self, page: Page, bot_name: str) -> None:
        await self._fill_in(page, bot_name)
        await self._ask(page)

    async def _fill_in(self, page: Page, bot_name: str) -> None:
        field = _first(page, facts.NAME_FIELD)
        deadline = asyncio.get_running_loop().time() + _FORM_WITHIN
        while not await field.is_visible():
            self._look_away(page)
            await _dismiss(page)
            if asyncio.get_running_loop().time() > deadline:
                raise RetriableError("Google Meet's page did not ask for a name.")
            with suppress(PlaywrightTimeoutError):
                await field.wait_for(state="visible", timeout=250)
        log.info("step", step=JoinStep.FORM_SEEN)
        await _dismiss(page)
        await field.fill(bot_name)
        log.info("step", step=JoinStep.NAME_GIVEN)
        await _turn_off(page)

    async def _ask(self, page: Page) -> None:
        deadline = asyncio.get_running_loop().time() + _ASK_WITHIN
        while not self._said.is_set():
            if asyncio.get_running_loop().time() > deadline:
                raise RetriableError("Google Meet's page took no notice of the request to join.")
            self._look_away(page)
            button = await _join_button(page)
            if button is not None:
                with suppress(PlaywrightTimeoutError):
                    await button.click(timeout=2000)
                    log.info("step", step=JoinStep.ASKED)
            else:
                await _dismiss(page)
            await wait_for_event(self._said, _ASK_AGAIN)

    # --- the call --------------------------------------------------------------------------------

    async def signals(self, page: Page) -> AsyncIterator[MeetingSignal]:
        """What the page says, up to ``Over``."""
        page.on("framenavigated", lambda frame: self._look_away(frame.page))
        while True:
            signal = await self._signals.get()
            if signal is _CONSENT:
                await _agree(page)
                continue
            yield signal
            if isinstance(signal, Over):
                return

    async def arrange(self, page: Page, mode: RecordingMode) -> None:
        """Choose the layout in the dialog behind "More options"."""
        layout = facts.LAYOUTS.get(mode)
        if layout is None:
            return
        try:
            await page.locator(facts.MORE_OPTIONS).first.click(timeout=_CHOOSE_WITHIN)
            await page.get_by_text(_LAYOUT_ENTRY).first.click(timeout=_CHOOSE_WITHIN)
            await page.get_by_text(layout, exact=True).first.click(timeout=_CHOOSE_WITHIN)
            await page.locator(facts.DIALOG_CLOSE).first.click(timeout=_CHOOSE_WITHIN)
        except PlaywrightError as error:
            log.warning("the layout stays as it is", why=error.message)
            # What was opened on the way would be in the picture.
            with suppress(PlaywrightError):
                await page.keyboard.press("Escape")

    def receive(self, message: str | bytes) -> None:
        """Take a message of the page script's."""
        if isinstance(message, str) and not message.startswith('{"tiles":'):
            self._take_state(message)
            return
        try:
            if isinstance(message, str):
                changed = self._roster.take_tiles(message)
            else:
                changed = self._take_bytes(message)
        except UnreadableError as error:
            log.warning("unreadable message of Meet's", why=str(error))
            return
        if changed:
            self._signals.put_nowait(self._roster.sources())
            self._signals.put_nowait(self._roster.roster())
        if self._roster.removed():
            self._finish(State.REMOVED)

    async def leave(self, page: Page) -> None:
        """Leave by the button; the host of a meeting is asked whether to end it for all."""
        with suppress(PlaywrightError):
            await _first(page, facts.LEAVE_BUTTON).click(timeout=1500)
            confirm = page.get_by_text(facts.LEAVE_CONFIRM, exact=True)
            if await confirm.count():
                await confirm.first.click(timeout=1000)

    # --- what the script says --------------------------------------------------------------------

    def _take_bytes(self, message: bytes) -> bool:
        match message[:1]:
            case b"\x01":
                return self._roster.take_collections(message[1:])
            case b"\x02":
                return self._roster.take_sync(message[1:])
            case _:
                raise UnreadableError("a message of unknown origin")

    def _take_state(self, message: str) -> None:
        try:
            told = json.loads(message)
            state = State(told["state"])
        except (ValueError, KeyError, TypeError):
            log.warning("the page script said something unknown", message=message[:200])
            return
        self._said.set()
        if state is State.CONSENT:
            self._signals.put_nowait(_CONSENT)
        elif state is State.ADMITTED:
            self._signals.put_nowait(Admitted())
        elif state in (State.WAITING, State.WAITING_FOR_HOST):
            self._signals.put_nowait(Waiting(for_host=state is State.WAITING_FOR_HOST))
        else:
            self._finish(state)

    def _look_away(self, page: Page) -> None:
        host = urlsplit(page.url).hostname or ""
        if host in facts.LOGIN_HOSTS:
            self._finish(State.LOGIN_REQUIRED)
        elif page.url.startswith("http") and host not in facts.HOSTS:
            self._signals.put_nowait(Unexpected(what=f"the page led to {host}"))
            self._finish(State.AWAY)

    def _finish(self, state: State) -> None:
        if not self._ended.is_set():
            self._ended.set()
            self._said.set()
            if state is State.BLOCKED and self._joining:
                # Another try may be let in, as others have found: ``join`` says so.
                self._blocked = True
                return
            reason, message = _OVER[state]
            self._signals.put_nowait(Over(reason=reason, message=message))


def _script_facts() -> dict[str, object]:
    return {
        "before": [{"state": one.state, "text": one.text} for one in facts.BEFORE_ADMISSION],
        "loginHeadings": facts.LOGIN_HEADINGS,
        "admittedBy": facts.ADMITTED_BY,
        "controls": facts.CONTROLS,
        "controlsNeeded": facts.CONTROLS_NEEDED,
        "endScreen": facts.END_SCREEN,
        "endTexts": [{"state": one.state, "text": one.text} for one in facts.END_TEXTS],
        "captchaFrame": facts.CAPTCHA_FRAME,
        "captchaSize": facts.CAPTCHA_SIZE,
        "goneAfter": facts.GONE_AFTER,
        "consentButton": facts.CONSENT_BUTTON,
        "tile": facts.TILE,
        "tileName": facts.TILE_NAME,
        "tileSelf": facts.TILE_SELF,
        "noTiles": facts.NO_TILES,
        "tilesAfter": facts.TILES_AFTER,
        "sync": facts.SYNC_REQUEST,
        "channel": facts.COLLECTIONS_CHANNEL,
    }


def _first(page: Page, selectors: tuple[str, ...]) -> Locator:
    """What the first selector finds, else the next; several are one list of alternatives."""
    return page.locator(", ".join(selectors)).first


async def _dismiss(page: Page) -> None:
    """Close the dialogs that stand before the form, if any does."""
    # One question for all of them: each costs the bot's start some 30 ms of a core.
    button = page.get_by_role("button", name=_DISMISS)
    anything = button.or_(page.locator(facts.DIALOG)).first
    for _ in (*facts.DISMISS, facts.DIALOG):
        if not await anything.is_visible():
            return
        with suppress(PlaywrightTimeoutError):
            if await button.first.is_visible():
                await button.first.click(timeout=1000)
            else:
                await page.keyboard.press("Escape")


async def _turn_off(page: Page) -> None:
    """Turn the microphone and the camera off, and see that they are."""
    switches = [f'[aria-label="{label}"]' for label in facts.TURN_OFF]
    # One question for both; none is there where the machine has neither.
    if not await page.locator(", ".join(switches)).count():
        return
    for selector in switches:
        switch = page.locator(selector).first
        for _ in range(_SWITCH_TRIES):
            if not await switch.count():
                break
            with suppress(PlaywrightTimeoutError):
                await switch.click(timeout=1000)
                await switch.wait_for(state="detached", timeout=500)
        else:
            log.warning("a switch does not turn off", switch=selector)


async def _agree(page: Page) -> None:
    """Confirm that the bot knows of a recording; the page takes a trusted click only."""
    with suppress(PlaywrightError):
        await page.locator(facts.CONSENT_BUTTON).first.click(timeout=1000)


async def _join_button(page: Page) -> Locator | None:
    for text in facts.JOIN_TEXTS:
        button = page.locator("button", has=page.locator("span", has_text=text)).filter(
            has_text=text
        )
        if await button.first.is_visible():
            return button.first
    return None
