"""One visit to a meeting with one browser: join, wait, record, until something ends it.

Knows no selector (that is the adapter's) and no frame (that is the capture's). For the session.
"""

import asyncio
import time
from collections.abc import Collection, Coroutine
from contextlib import suppress

import structlog
from playwright.async_api import BrowserContext, Page
from playwright.async_api import Error as PlaywrightError

from sitin.contract.codes import BotStatus, EndReason
from sitin.contract.failures import AdapterError, PermanentError, RetriableError
from sitin.contract.meeting import (
    Admitted,
    DominantSpeaker,
    MeetingAdapter,
    MeetingSignal,
    Over,
    Roster,
    Sources,
    Unexpected,
    Waiting,
)
from sitin.contract.spec import BotSpec
from sitin.runner.attendance import Attendance
from sitin.runner.people import others_of
from sitin.runner.recorder import Recorder, TabNeededError
from sitin.runner.report import Report

log = structlog.get_logger()

_JOIN_ATTEMPTS = 3
_LOOK_EVERY = 0.5
"""Seconds between looks at the timeouts."""
_END_SHOWN_WITHIN = 3.0
"""Seconds for a page that changed under the recording to tell that the call is over."""
_LEAVE_WITHIN = 3.0
"""Seconds for leaving by the page's own button."""
_BY_ITSELF = frozenset(
    {
        EndReason.API_REQUEST,
        EndReason.NO_ATTENDEES,
        EndReason.NO_SPEAKER,
        EndReason.RECORDING_TIMEOUT,
        EndReason.SIGTERM,
        EndReason.INTERNAL_ERROR,
    }
)
"""Ends at which the bot is still in the call and takes its leave."""


class Visit:
    """From the first page to the last word."""

    def __init__(
        self, spec: BotSpec, adapter: MeetingAdapter, recorder: Recorder, report: Report
    ) -> None:
        self._spec = spec
        self._adapter = adapter
        self._recorder = recorder
        self._report = report
        self._over: asyncio.Future[Over] = asyncio.get_running_loop().create_future()
        self._attendance: Attendance | None = None
        self._asked_at: float | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._somebody = asyncio.Event()
        """Set while anybody is in the meeting besides the bot."""
        self._others: dict[str, str] = {}
        """Names of those who are in the meeting besides the bot, by the platform's ids."""
        self._other_bots: Collection[str] = ()
        self._on_the_roster = False
        """Whether the platform lists the bot among those in the call."""

    def end(self, reason: EndReason, message: str | None = None) -> None:
        """The visit is over; the first reason counts."""
        if not self._over.done():
            log.info("visit is over", reason=reason)
            self._over.set_result(Over(reason=reason, message=message))

    def heard(self) -> None:
        """Somebody was heard."""
        if self._attendance is not None:
            self._attendance.heard(time.monotonic())

    def other_bots(self, ids: Collection[str]) -> None:
        """Other bots of this install that are or were in the meeting, by the platform's ids."""
        self._other_bots = ids
        if self._attendance is not None:
            self._attendance.bots(ids)

    async def run(self, context: BrowserContext) -> Over:
        """Visit the meeting; gives why it ended. Raises ``TabNeededError``."""
        page = context.pages[0]
        context.on("close", lambda _: self.end(EndReason.FORCE_KILLED))
        page.on("crash", lambda _: self.end(EndReason.FORCE_KILLED))
        self._start(self._meet(page))
        self._start(self._watch_time())
        try:
            return await self._over
        except TabNeededError:
            # Who comes in again with another browser does not leave a ghost of that name behind.
            await self._leave(page)
            raise
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        task.add_done_callback(self._note_failure)
        self._tasks.append(task)

    async def take_leave(self, context: BrowserContext, over: Over) -> None:
        """Leave by the page's own button, if the bot is still in the call."""
        if self._attendance is not None and over.reason in _BY_ITSELF:
            await self._leave(context.pages[0])

    async def _leave(self, page: Page) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_LEAVE_WITHIN):
                await self._adapter.leave(page)

    @property
    def admitted(self) -> bool:
        """Whether the bot has been in the call."""
        return self._attendance is not None

    async def _meet(self, page: Page) -> None:
        try:
            await self._join(page)
            async for signal in self._adapter.signals(page):
                await self._take(signal, page)
        except AdapterError as failure:
            await self._report.unexpected(page, f"could not join: {failure.message}")
            if isinstance(failure, PermanentError):
                self.end(failure.code, failure.message)
            else:
                self.end(EndReason.CANNOT_JOIN_MEETING, failure.message)

    async def _join(self, page: Page) -> None:
        for attempt in range(1, _JOIN_ATTEMPTS + 1):
            try:
                await self._adapter.join(
                    page,
                    url=self._spec.meeting_url,
                    bot_name=self._spec.bot_name,
                    mode=self._spec.recording_mode,
                )
            except RetriableError as failure:
                if attempt == _JOIN_ATTEMPTS:
                    raise
                log.warning("joining failed, trying again", why=failure.message)
                await asyncio.sleep(failure.after or 1.0)
            else:
                self._asked_at = time.monotonic()
                return

    async def _take(self, signal: MeetingSignal, page: Page) -> None:
        match signal:
            case Waiting(for_host=for_host):
                self._report.reach(
                    BotStatus.IN_WAITING_FOR_HOST if for_host else BotStatus.IN_WAITING_ROOM
                )
            case Admitted():
                if not self.admitted:
                    self._admit()
                    # Beside the signals: the call may be over before the recording has started.
                    self._start(self._record(page))
            case Roster():
                self._on_the_roster |= any(one.is_self for one in signal.entries)
                self._report.roster(signal)
                self._recorder.people(self._report.people)
                self._others = {one.participant_id: one.name for one in others_of(signal)}
                if self._attendance is not None:
                    self._attendance.present(self._others, time.monotonic())
                (self._somebody.set if self._others else self._somebody.clear)()
            case Sources():
                self._recorder.sources(signal)
            case DominantSpeaker():
                self._recorder.dominant(signal.participant_id)
            case Unexpected():
                await self._report.unexpected(page, signal.what)
            case Over():
                if signal.reason is EndReason.MEETING_ENDED and self._on_the_roster:
                    # The bot was in the call, for less time than the page needed to show it.
                    self._admit()
                self.end(signal.reason, signal.message)

    def _admit(self) -> None:
        if self._attendance is None:
            now = time.monotonic()
            self._attendance = Attendance(
                self._spec.timeouts, now, note_takers=self._spec.note_takers
            )
            self._attendance.bots(self._other_bots)
            self._attendance.present(self._others, now)
            self._report.reach(BotStatus.IN_CALL_NOT_RECORDING)

    async def _record(self, page: Page) -> None:
        """Start the recording, and start it anew where only others show how it has to be made."""
        try:
            await self._recorder.start(page)
            self._report.reach(BotStatus.IN_CALL_RECORDING)
            while not self._recorder.decided:
                await self._somebody.wait()
                await self._recorder.look_again(page)
        except PlaywrightError:
            if not page.is_closed():
                await asyncio.sleep(_END_SHOWN_WITHIN)
            raise

    async def _watch_time(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            now = time.monotonic()
            if self._attendance is not None:
                reason = self._attendance.reason_to_leave(now)
                if reason is not None:
                    self.end(reason)
            elif (
                self._asked_at is not None
                and now - self._asked_at >= self._spec.timeouts.waiting_room
            ):
                self.end(EndReason.TIMEOUT_WAITING_TO_START)

    def _note_failure(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if isinstance(error, TabNeededError):
            if not self._over.done():
                self._over.set_exception(error)
        elif isinstance(error, PlaywrightError):
            # The page or the browser went away under the adapter.
            log.warning("the page is gone", why=error.message)
            self.end(EndReason.FORCE_KILLED)
        elif error is not None:
            log.error("visit failed", exc_info=error)
            self.end(EndReason.GENERAL_ERROR)
