"""The capture of one call: link to the page, choice of strategy, engine. For the session."""

import asyncio
import shutil
import socket
import time
from collections.abc import Callable
from pathlib import Path

import structlog
from playwright.async_api import BrowserContext, ElementHandle, Page
from playwright.async_api import Error as PlaywrightError

from sitin.contract.codes import RecordingMode
from sitin.contract.meeting import MediaSource, MeetingAdapter, Sources
from sitin.contract.spec import BotSpec
from sitin.kit.waiting import wait_for_event
from sitin.runner.assemble import CAPTURE
from sitin.runner.capture.engine import CaptureEngine
from sitin.runner.capture.frames import (
    CodecReport,
    EncodedAudio,
    EncodedVideo,
    Item,
    PageMessage,
    ProblemReport,
    TabChunk,
    TrackReport,
    UntappableReport,
)
from sitin.runner.capture.hook import init_script
from sitin.runner.capture.link import PageLink
from sitin.runner.capture.strategy import CaptureSettings, CaptureStart, Kind, Surroundings
from sitin.runner.capture.tab import TabCapture, TabRecording
from sitin.runner.capture.tracks import TracksCapture
from sitin.runner.capture.voices import SourceTable

log = structlog.get_logger()

_HIDE = "video, canvas, img { visibility: hidden !important; }"
"""Nobody looks at the page while its tracks are taken; what is hidden is not painted."""
_LAST_BATCH = 1.0
"""Seconds given to the page's last batch: it is asked for and comes over loopback within
milliseconds, unless the page hangs."""
_TRACKS_WITHIN = 3.0
"""Seconds after being admitted within which a page that has tracks has them."""
_EARLY_FRAMES = 500
"""Frames kept from before the start: some three seconds of a few participants."""
_TAB_STOPS_WITHIN = 5.0
"""Seconds for the browser's recorder to hand out its last piece."""
_SHORTEST = 0.2
"""Seconds of the shortest recording, which is that of a call that ends as soon as it has begun."""
_MARGIN = 60.0
"""Seconds that a recording may go on beyond its limit until the bot has left."""


class TabNeededError(Exception):
    """Only the tab can be recorded here, and this browser cannot do that."""


class Recorder:
    """Records from ``start`` to ``stop``."""

    def __init__(
        self,
        spec: BotSpec,
        directory: Path,
        adapter: MeetingAdapter,
        *,
        on_failure: Callable[[str], None],
        listener: socket.socket | None = None,
    ) -> None:
        self._spec = spec
        self._directory = directory
        self._adapter = adapter
        self._on_failure = on_failure
        self._loop = asyncio.get_running_loop()
        self._link = PageLink(self._receive, listener=listener)
        self._table = SourceTable(adapter.capabilities.audio_topology)
        self._sources = Sources(audio={}, video={})
        self._engine: CaptureEngine | None = None
        self._tab: TabRecording | None = None
        self._known: list[Item] = []
        self._untappable = ""
        self._tracks_known = asyncio.Event()
        self.decided = False
        """Whether tracks or the tab are recorded is known, which others have to be there for."""
        self._hiding: ElementHandle | None = None
        self._admitted_at = 0.0
        self._origin = 0.0
        """Zero of the recording's times, in seconds since 1970."""
        self.on_heard: Callable[[], None] = lambda: None
        self.names: dict[str, str] = {}
        """Of those who are in the meeting besides the bot, by participant."""
        self.participant_of: Callable[[str], str] = str
        """The participant whom one of the platform's ids belongs to."""
        self.kind = _kind(spec)
        self.records_tabs = True
        """Whether the browser can record a tab."""
        self.recorded = False
        """Whether there is a recording, finished or under way."""
        self.complete = True

    @property
    def port(self) -> int:
        """The loopback port that the page needs."""
        return self._link.port

    async def open(self) -> None:
        """Listen for the page."""
        await self._link.open()

    async def prepare(self, context: BrowserContext) -> None:
        """Put the hook and the platform's script before every page."""
        await self._link.expose(context)
        hook = init_script(
            url=self._link.url,
            video=self.kind is not Kind.AUDIO,
            sound=self.kind is Kind.TAB,
        )
        await context.add_init_script(hook + "\n" + self._adapter.init_script)

    async def start(self, page: Page) -> None:
        """Record from now on, in the way that the page allows.

        Returns once recording; waits a moment for the page's tracks, which come with its admission.
        Raises ``TabNeededError``.
        """
        self._admitted_at = time.time()
        await self._choose()
        await self._begin(page)

    def start_after_the_call(self) -> None:
        """Record what the page has sent since the admission, for a call that is over already.

        The end came before the recording could start. Nothing more is asked of the page, so its
        tracks are recorded whatever was to be.
        """
        if self.kind is Kind.TAB:
            audio_only = self._spec.recording_mode is RecordingMode.AUDIO_ONLY
            self.kind = Kind.AUDIO if audio_only else Kind.LIVE
        self._start_engine(self._admitted_at or time.time())

    async def look_again(self, page: Page) -> None:
        """Somebody is there besides the bot: only now does a page show whether it has tracks.

        To a bot that was alone until now. Where there are none, nobody was heard or seen in what it
        has recorded: the recording begins anew, of the tab. Raises ``TabNeededError``.
        """
        try:
            await self._choose()
        except TabNeededError:
            await self._finish_engine()
            raise
        if self.kind is Kind.TAB:
            await self._finish_engine()
            if self._hiding is not None:
                await self._hiding.evaluate("style => style.remove()")
                self._hiding = None
            await self._begin(page)

    async def _choose(self) -> None:
        """Whether tracks or the tab are recorded, as far as that shows while the bot is alone."""
        if self.kind is not Kind.TAB:
            has_tracks = await wait_for_event(self._tracks_known, _TRACKS_WITHIN)
            alone = not self.names
            why = self._untappable or ("" if alone or has_tracks else "the page has none")
            if why:
                log.warning("tracks cannot be taken, the tab is recorded", why=why)
                self.kind = Kind.TAB
                if not self.records_tabs:
                    raise TabNeededError
            elif not has_tracks:
                return
        self.decided = True

    async def _finish_engine(self) -> None:
        """End the recording. Its files stay until another one starts: the call may end before."""
        if self._engine is None:
            return
        engine, self._engine = self._engine, None
        end = max(time.time(), self._origin + _SHORTEST)
        await asyncio.to_thread(engine.finish, end)
        if engine.lost_batches:
            log.warning("the capture fell behind the page", lost_batches=engine.lost_batches)

    @property
    def _screenshots(self) -> Path:
        return self._directory / "screenshots"

    async def _begin(self, page: Page) -> None:
        if self.kind is Kind.TAB:
            self._link.command(take="beside")
            await self._adapter.arrange(page, self._spec.recording_mode)
            self._tab = await TabRecording.begin(page)
            origin = self._tab.origin
        else:
            await self._hide(page)
            origin = time.time()
        self._start_engine(origin)

    async def _hide(self, page: Page) -> None:
        """Have the page paint no pictures, if it lets itself be changed; it saves CPU time only."""
        try:
            self._hiding = await page.add_style_tag(content=_HIDE)
        except PlaywrightError as error:
            if page.is_closed():
                raise
            log.warning("the page's pictures cannot be hidden", why=error.message)

    def _start_engine(self, origin: float) -> None:
        """Start writing files, in place of those of an earlier recording of this call."""
        kind = self.kind
        capture = self._directory / CAPTURE
        for directory in (capture, self._screenshots):
            shutil.rmtree(directory, ignore_errors=True)
        capture.mkdir()
        pictures = self._spec.recording_mode is not RecordingMode.AUDIO_ONLY
        start = CaptureStart(origin=origin, kind=kind, pictures=pictures)
        (capture / "start.json").write_text(start.model_dump_json())
        self._origin = origin
        settings = CaptureSettings(
            directory=capture,
            screenshots=self._screenshots,
            origin=origin,
            kind=kind,
            longest=self._spec.timeouts.recording + _MARGIN,
            pictures=pictures,
        )
        around = Surroundings(
            table=self._table,
            command=self._command,
            heard=lambda _: self._soon(self.on_heard),
            fall_back=self._fall_back,
            people=lambda: self.names,
        )
        build = TabCapture if kind is Kind.TAB else TracksCapture
        self._engine = CaptureEngine(lambda: build(settings, around), self._failed)
        self._engine.start()
        if self._known:
            self._engine.put(self._known)
        self.recorded = True

    async def stop(self) -> None:
        """End the recording now and wait until all of it is written."""
        if self._engine is None:
            return
        if self._tab is not None:
            try:
                async with asyncio.timeout(_TAB_STOPS_WITHIN):
                    await self._tab.end()
            except (PlaywrightError, TimeoutError) as error:
                log.warning("the tab's recorder does not stop", why=str(error))
        await self._link.flush(_LAST_BATCH)
        await self._finish_engine()

    async def close(self) -> None:
        """Close the link."""
        await self._link.close()

    def sources(self, sources: Sources) -> None:
        """Whose voice and picture the streams are, by the platform's ids."""
        self._sources = sources
        self._name_sources()

    def people(self, names: dict[str, str]) -> None:
        """Who is in the meeting now, by participant."""
        self.names = names
        self._name_sources()

    def _name_sources(self) -> None:
        self._table.audio = {key: self._named(one) for key, one in self._sources.audio.items()}
        self._table.video = {key: self._named(one) for key, one in self._sources.video.items()}

    def _named(self, source: MediaSource) -> MediaSource:
        participant = self.participant_of(source.participant_id)
        return source.model_copy(update={"participant_id": participant})

    def dominant(self, device_id: str | None) -> None:
        """Who speaks, as the platform says."""
        participant = None if device_id is None else self.participant_of(device_id)
        self._table.dominant(participant, time.time())

    def _receive(self, items: list[Item]) -> None:
        media: list[Item] = []
        for item in items:
            if isinstance(item, PageMessage):
                self._adapter.receive(item.message)
            elif isinstance(item, ProblemReport):
                log.warning("problem in the page", what=item.what)
            else:
                media.append(item)
        if not self.decided:
            refusal = next((one for one in media if isinstance(one, UntappableReport)), None)
            self._untappable = refusal.why if refusal else self._untappable
            if self._untappable or any(isinstance(one, TrackReport) for one in media):
                self._tracks_known.set()
        if self._engine is not None:
            self._engine.put(media)
        if self._engine is None or not self.decided:
            self._known += media
            self._forget_early_media()

    def _forget_early_media(self) -> None:
        """Of frames that come before the recording starts, the last are enough to begin with."""
        reports = [
            one
            for one in self._known
            if isinstance(one, (TrackReport, CodecReport, UntappableReport, TabChunk))
        ]
        frames = [one for one in self._known if isinstance(one, (EncodedAudio, EncodedVideo))]
        self._known = [*reports, *frames[-_EARLY_FRAMES:]]

    def _command(self, command: dict[str, object]) -> None:
        self._soon(lambda: self._link.command(**command))

    def _soon(self, call: Callable[[], None]) -> None:
        self._loop.call_soon_threadsafe(call)

    def _fall_back(self, why: str) -> None:
        log.warning("tracks cannot be taken", why=why)

    def _failed(self, error: BaseException) -> None:
        self.complete = False
        why = (
            "The disk of this machine is full."
            if isinstance(error, OSError) and error.errno == 28
            else "The capture of the meeting failed."
        )
        self._soon(lambda: self._on_failure(why))


def _kind(spec: BotSpec) -> Kind:
    match spec.recording_mode:
        case RecordingMode.AUDIO_ONLY:
            return Kind.AUDIO
        case RecordingMode.GALLERY_VIEW:
            return Kind.TAB
        case RecordingMode.SPEAKER_VIEW:
            return Kind.DENSE if spec.video == "dense" else Kind.LIVE
