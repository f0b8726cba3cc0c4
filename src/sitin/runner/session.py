"""One bot from its order to its last event. For ``__main__``."""

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from playwright.async_api import Playwright

from sitin.contract.codes import NORMAL_ENDS, BotStatus, EndReason
from sitin.contract.events import Ended
from sitin.contract.failures import PermanentError
from sitin.contract.meeting import MeetingAdapter, Over
from sitin.contract.recording import Recording
from sitin.contract.spec import BotSpec
from sitin.runner.assemble import AFTERWARDS, assemble
from sitin.runner.browser import open_browser, stop_driver
from sitin.runner.browser_surroundings import BrowserSurroundings
from sitin.runner.capture.strategy import Kind
from sitin.runner.recorder import Recorder, TabNeededError
from sitin.runner.report import Report
from sitin.runner.spool import Spool, read_spool
from sitin.runner.visit import Visit

_BEFORE_RECORDING = {
    EndReason.BOT_NOT_ACCEPTED: BotStatus.BOT_REJECTED,
    EndReason.TIMEOUT_WAITING_TO_START: BotStatus.WAITING_ROOM_TIMEOUT,
    EndReason.INVALID_MEETING_URL: BotStatus.INVALID_MEETING_URL,
    EndReason.BOT_REMOVED_TOO_EARLY: BotStatus.BOT_REMOVED_TOO_EARLY,
    EndReason.EXITING_MEETING_BEFORE_RECORD: BotStatus.API_REQUEST_STOP,
    EndReason.CANNOT_JOIN_MEETING: BotStatus.MEETING_ERROR,
    EndReason.LOGIN_REQUIRED: BotStatus.MEETING_ERROR,
}
"""The signal that precedes an end before recording began."""
_WHILE_RECORDING = {
    EndReason.API_REQUEST: BotStatus.API_REQUEST_STOP,
    EndReason.BOT_REMOVED: BotStatus.BOT_REMOVED,
}
"""The signal that precedes an end while recording."""
_TOO_EARLY = {
    EndReason.API_REQUEST: EndReason.EXITING_MEETING_BEFORE_RECORD,
    EndReason.BOT_REMOVED: EndReason.BOT_REMOVED_TOO_EARLY,
    EndReason.MEETING_ENDED: EndReason.CANNOT_JOIN_MEETING,
}
"""What an end that is normal later is called before recording began."""
_STILL_RECORDED = NORMAL_ENDS - {EndReason.API_REQUEST, EndReason.BOT_REMOVED}
"""Ends of a call that are normal even where they come before recording began: the recording is as
short as the call was."""


class Session:
    """Visits the meeting, finishes the recording, writes the events.

    ``files`` is the bot's directory; ``adapter`` makes the platform's adapter, one for each visit;
    ``driver`` starts the browsers in ``surroundings``.
    """

    def __init__(
        self,
        spec: BotSpec,
        files: Path,
        spool: Spool,
        adapter: Callable[[], MeetingAdapter],
        driver: Awaitable[Playwright],
        surroundings: BrowserSurroundings | None = None,
    ) -> None:
        self._spec = spec
        self._files = files
        self._report = Report(spool, files)
        self._adapter = adapter
        self._driver = driver
        self._surroundings = surroundings
        self._visit: Visit | None = None
        self._asked_to_end: EndReason | None = None
        self._other_bots: frozenset[str] = frozenset()
        self._has_recording = False
        """Whether an earlier visit has left one."""

    def leave(self) -> None:
        """Leave because the API says so."""
        self._end(EndReason.API_REQUEST)

    def tell_other_bots(self, participant_ids: Iterable[str]) -> None:
        """Under these ids of the platform other bots are in the meeting; they are no company."""
        self._other_bots |= frozenset(participant_ids)
        if self._visit is not None:
            self._visit.other_bots(self._other_bots)

    def terminate(self) -> None:
        """Leave because the system says so."""
        self._end(EndReason.SIGTERM)

    async def run(self) -> None:
        """The whole life of the bot; its last event is ``Ended``."""
        self._report.reach(BotStatus.JOINING_CALL)
        lean = self._spec.browser.lean_path
        full = self._spec.browser.path
        try:
            try:
                await self._visit_with(lean or full, records_tabs=lean is None)
            except TabNeededError:
                # The lean browser has left; the one that records tabs joins in its place.
                await self._visit_with(full, records_tabs=True, tab=True)
        except PermanentError as failure:
            self._report.ended(Ended(reason=failure.code, message=failure.message))

    async def _visit_with(self, path: str, *, records_tabs: bool, tab: bool = False) -> None:
        adapter = self._adapter()
        listeners = self._surroundings.listeners if self._surroundings else None
        recorder = Recorder(
            self._spec,
            self._files,
            adapter,
            on_failure=self._capture_failed,
            listener=listeners.capture if listeners else None,
        )
        if tab:
            recorder.kind = Kind.TAB
        if recorder.kind is Kind.TAB and not records_tabs:
            raise TabNeededError
        recorder.records_tabs = records_tabs
        visit = self._visit = Visit(self._spec, adapter, recorder, self._report)
        visit.other_bots(self._other_bots)
        recorder.on_heard = visit.heard
        recorder.participant_of = self._report.participant_of
        if self._asked_to_end is not None:
            visit.end(self._asked_to_end)
        await recorder.open()
        try:
            browser = open_browser(
                self._driver,
                self._spec.browser,
                self._files,
                path=path,
                direct_port=recorder.port,
                surroundings=self._surroundings,
            )
            async with browser as context:
                await recorder.prepare(context)
                over = await visit.run(context)
                self._has_recording |= recorder.recorded
                if visit.admitted and over.reason in _STILL_RECORDED and not self._has_recording:
                    recorder.start_after_the_call()
                    self._report.reach(BotStatus.IN_CALL_RECORDING)
                    self._has_recording = True
                over = self._say_why(over, visit)
                await recorder.stop()
                await visit.take_leave(context, over)
                # The browser and its driver close while the files are finished.
                finishing = asyncio.create_task(self._finish(over, recorder))
            await stop_driver(self._driver)
            await finishing
        finally:
            self._has_recording |= recorder.recorded
            await recorder.close()

    def _say_why(self, over: Over, visit: Visit) -> Over:
        """Tell the statuses that lead to this end; gives the end by its right name."""
        recorded = self._has_recording
        if not recorded:
            reason = _TOO_EARLY.get(over.reason, over.reason)
            over = over.model_copy(update={"reason": reason})
        signal = (_WHILE_RECORDING if recorded else _BEFORE_RECORDING).get(over.reason)
        if signal is not None:
            self._report.reach(signal, over.message)
        if visit.admitted or recorded:
            self._report.reach(BotStatus.CALL_ENDED)
        return over

    async def _finish(self, over: Over, recorder: Recorder) -> None:
        recording = None
        if self._has_recording:
            recording = await asyncio.to_thread(self._assemble, recorder)
        self._report.ended(Ended(reason=over.reason, message=over.message, recording=recording))

    def _assemble(self, recorder: Recorder) -> Recording | None:
        if recorder.kind is Kind.DENSE:
            # Composing takes a while: it gives way to bots that record. A thread has its own.
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), AFTERWARDS)
        return assemble(self._files, read_spool(self._files), complete=recorder.complete)

    def _end(self, reason: EndReason) -> None:
        self._asked_to_end = reason
        if self._visit is not None:
            self._visit.end(reason)

    def _capture_failed(self, why: str) -> None:
        if self._visit is not None:
            self._visit.end(EndReason.INTERNAL_ERROR, why)
