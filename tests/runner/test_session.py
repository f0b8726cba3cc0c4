"""A bot's whole life but for the platform: the browser is real, the meeting is told.

The same with a platform's page and a meeting is in ``tests/e2e``.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import av
import pytest
from playwright.async_api import Page

from sitin.contract.codes import BotStatus, EndReason, RecordingMode
from sitin.contract.events import (
    BotEvent,
    Ended,
    EventBody,
    ParticipantLeft,
    ParticipantSeen,
    StatusReached,
    UnexpectedSeen,
)
from sitin.contract.failures import PermanentError, RetriableError
from sitin.contract.meeting import (
    Admitted,
    MeetingSignal,
    Over,
    Roster,
    RosterEntry,
    Unexpected,
    Waiting,
)
from sitin.contract.recording import ArtifactKind
from sitin.contract.spec import BotSpec, BrowserSpec, Timeouts
from sitin.runner.browser import starting_driver
from sitin.runner.capture.sound import RATE
from sitin.runner.session import Session
from sitin.runner.spool import Spool, read_spool
from tests.fakes.meeting import FakeAdapter
from tests.runner.capture.media import loudness, read_sound, stream_ends
from tests.runner.conftest import ADDRESS, CHROMIUM, HEADLESS_SHELL
from tests.runner.host import order
from tests.waiting import until

pytestmark = pytest.mark.e2e

ADA = RosterEntry(participant_id="1", name="Ada")
CALL = (Path(__file__).parent / "capture" / "call.js").read_text()
SELF = RosterEntry(participant_id="9", name="Note taker", is_self=True)
SCREEN = RosterEntry(participant_id="2", name="Ada's screen", is_presentation_of="1")


_PAGE = """<!doctype html><style>
body { background: #c00; }
div { width: 8px; height: 8px; background: black; animation: blink 80ms infinite alternate; }
@keyframes blink { to { background: white; } }
</style><div></div>"""
"""A red page in which something moves, for what stands still is not recorded again."""


class PageAdapter(FakeAdapter):
    """What happens is told, in a page that is there."""

    async def join(self, page: Page, *, url: str, bot_name: str, mode: RecordingMode) -> None:
        await page.route(ADDRESS, lambda route: route.fulfill(content_type="text/html", body=_PAGE))
        await page.goto(ADDRESS)
        await super().join(page, url=url, bot_name=bot_name, mode=mode)


class CallAdapter(PageAdapter):
    """Somebody's sound comes into its page."""

    @property
    def init_script(self) -> str:
        return CALL

    async def join(self, page: Page, *, url: str, bot_name: str, mode: RecordingMode) -> None:
        await super().join(page, url=url, bot_name=bot_name, mode=mode)
        await page.evaluate("() => call({videos: 0})")


def roster(*entries: RosterEntry) -> Roster:
    return Roster(entries=entries)


def spec(**changes: object) -> BotSpec:
    asked = {
        "recording_mode": RecordingMode.AUDIO_ONLY,
        "browser": BrowserSpec(path=HEADLESS_SHELL),
        **changes,
    }
    return order("Note taker").model_copy(update=asked)


async def live(
    directory: Path, adapter: FakeAdapter, order: BotSpec, during: Callable[[Session], None]
) -> list[BotEvent]:
    """Everything that a bot has told when its life is over."""
    async with starting_driver() as driver:
        spool = Spool(directory, order.fencing_token)
        session = Session(order, directory, spool, lambda: adapter, driver)
        during(session)
        await session.run()
    return read_spool(directory)


def nothing(_: Session) -> None:
    """Nothing happens but what the adapter tells."""


def statuses(events: list[BotEvent]) -> list[str]:
    return [one.body.status.value for one in events if isinstance(one.body, StatusReached)]


def end(events: list[BotEvent]) -> Ended:
    (last,) = [one.body for one in events if isinstance(one.body, Ended)]
    assert events[-1].body is last
    return last


IN_CALL = (Admitted(), roster(SELF, ADA))
RECORDING = BotStatus.IN_CALL_RECORDING
Told = MeetingSignal | BotStatus
"""A signal, or a status for which is waited before the next one."""


class StagedAdapter(CallAdapter):
    """Somebody's sound comes into its page; what it tells waits for the bot's statuses."""

    def __init__(self, directory: Path, *told: Told, tracks: bool = True) -> None:
        super().__init__()
        self._directory = directory
        self._told = told
        self._tracks = tracks

    async def join(self, page: Page, *, url: str, bot_name: str, mode: RecordingMode) -> None:
        if self._tracks:
            await super().join(page, url=url, bot_name=bot_name, mode=mode)
        else:
            await PageAdapter.join(self, page, url=url, bot_name=bot_name, mode=mode)

    async def signals(self, page: Page) -> AsyncIterator[MeetingSignal]:
        del page
        for one in self._told:
            if isinstance(one, BotStatus):
                await until(partial(self._reached, one))
            else:
                yield one

    def _reached(self, status: BotStatus) -> bool:
        return status.value in statuses(read_spool(self._directory))


MODES: dict[str, dict[str, object]] = {
    "audio_only": {"recording_mode": RecordingMode.AUDIO_ONLY},
    "live": {"recording_mode": RecordingMode.SPEAKER_VIEW, "video": "live"},
    "dense": {"recording_mode": RecordingMode.SPEAKER_VIEW, "video": "dense"},
    "gallery_view": {"recording_mode": RecordingMode.GALLERY_VIEW},
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("tracks", "people", "began"),
    [(True, (SELF, ADA), True), (False, (SELF, ADA), False), (False, (SELF,), False)],
    ids=["recording", "before it was known how to record", "alone"],
)
async def test_a_meeting_that_ends_in_the_first_instant_is_a_short_recording(
    tmp_path: Path, mode: str, tracks: bool, people: tuple[RosterEntry, ...], began: bool
) -> None:
    told: list[Told] = [Admitted(), roster(*people)]
    # Where the page has no tracks it takes seconds until recording begins; the end is sooner.
    told += [RECORDING] if began else []
    adapter = StagedAdapter(tmp_path, *told, Over(reason=EndReason.MEETING_ENDED), tracks=tracks)
    asked = spec(browser=BrowserSpec(path=CHROMIUM), **MODES[mode])
    events = await live(tmp_path, adapter, asked, nothing)
    ended = end(events)
    assert ended.reason is EndReason.MEETING_ENDED
    assert statuses(events) == [
        "joining_call",
        "in_call_not_recording",
        "in_call_recording",
        "call_ended",
    ]
    recording = ended.recording
    assert recording is not None
    assert recording.complete
    assert 0.19 < recording.duration < 15
    kinds = {one.kind for one in recording.files}
    assert ArtifactKind.AUDIO in kinds
    assert (ArtifactKind.VIDEO in kinds) == (mode != "audio_only")
    if mode != "audio_only":
        ends = await asyncio.to_thread(stream_ends, tmp_path / "output.mp4")
        assert ends["video"] == pytest.approx(ends["audio"], abs=0.1)


@pytest.mark.parametrize("mode", ["dense", "gallery_view"])
@pytest.mark.parametrize(
    ("leaves_at", "reason"),
    [
        (BotStatus.IN_CALL_NOT_RECORDING, EndReason.EXITING_MEETING_BEFORE_RECORD),
        (BotStatus.IN_CALL_RECORDING, EndReason.API_REQUEST),
    ],
)
async def test_asked_to_leave_in_the_first_instant_it_says_whether_it_recorded(
    tmp_path: Path, mode: str, leaves_at: BotStatus, reason: EndReason
) -> None:
    adapter = StagedAdapter(tmp_path, Admitted(), roster(SELF, ADA), BotStatus.COMPLETED)
    asked = spec(browser=BrowserSpec(path=CHROMIUM), **MODES[mode])

    def leave_then(session: Session) -> None:
        append = session._report._spool.append

        def appending(body: EventBody) -> BotEvent:
            event = append(body)
            if isinstance(body, StatusReached) and body.status is leaves_at:
                session.leave()
            return event

        session._report._spool.append = appending  # type: ignore[method-assign]

    events = await live(tmp_path, adapter, asked, leave_then)
    assert end(events).reason is reason
    recorded = leaves_at is BotStatus.IN_CALL_RECORDING
    in_call = ["in_call_not_recording", *(["in_call_recording"] if recorded else [])]
    assert statuses(events) == ["joining_call", *in_call, "api_request_stop", "call_ended"]
    recording = end(events).recording
    assert (recording is not None) is recorded
    if recording is not None:
        kinds = {one.kind for one in recording.files}
        assert (ArtifactKind.VIDEO in kinds) == (mode != "audio_only")


@pytest.mark.parametrize(
    ("told", "reason", "path"),
    [
        (
            (Waiting(), Over(reason=EndReason.BOT_REMOVED)),
            EndReason.BOT_REMOVED_TOO_EARLY,
            ["joining_call", "in_waiting_room", "bot_removed_too_early"],
        ),
        (
            (Waiting(for_host=True), Over(reason=EndReason.MEETING_ENDED)),
            EndReason.CANNOT_JOIN_MEETING,
            ["joining_call", "in_waiting_for_host", "meeting_error"],
        ),
        (
            (Admitted(), Over(reason=EndReason.BOT_REMOVED)),
            EndReason.BOT_REMOVED_TOO_EARLY,
            ["joining_call", "in_call_not_recording", "bot_removed_too_early", "call_ended"],
        ),
        (
            (*IN_CALL, RECORDING, Over(reason=EndReason.BOT_REMOVED)),
            EndReason.BOT_REMOVED,
            [
                "joining_call",
                "in_call_not_recording",
                "in_call_recording",
                "bot_removed",
                "call_ended",
            ],
        ),
    ],
    ids=[
        "removed from the lobby",
        "ended before it began",
        "removed before it recorded",
        "removed from the call",
    ],
)
async def test_an_end_is_called_by_what_had_been_reached(
    tmp_path: Path, told: tuple[Told, ...], reason: EndReason, path: list[str]
) -> None:
    adapter = StagedAdapter(tmp_path, *told)
    events = await live(tmp_path, adapter, spec(), nothing)
    assert end(events).reason is reason
    assert statuses(events) == path
    assert adapter.left == 0, "who is out has nothing to leave"


async def test_it_comes_and_goes_as_the_roster_tells(tmp_path: Path) -> None:
    adapter = CallAdapter()
    renamed = ADA.model_copy(update={"name": "Ada L."})
    adapter.tell(
        Admitted(),
        roster(SELF, ADA),
        roster(SELF, ADA, SCREEN),
        roster(SELF, renamed),
        roster(SELF),
        Unexpected(what="a picture of a cat"),
        Over(reason=EndReason.MEETING_ENDED),
    )
    events = await live(tmp_path, adapter, spec(), nothing)
    people = [one.body for one in events if isinstance(one.body, ParticipantSeen | ParticipantLeft)]
    assert people == [
        ParticipantSeen(participant_id="1", name="Ada"),
        ParticipantSeen(participant_id="1", name="Ada L."),
        ParticipantLeft(participant_id="1"),
    ]
    (seen,) = [one.body for one in events if isinstance(one.body, UnexpectedSeen)]
    assert seen.what == "a picture of a cat"
    assert [(tmp_path / name).stat().st_size > 0 for name in seen.files] == [True, True]


async def test_asked_before_it_has_begun_it_goes_nowhere(tmp_path: Path) -> None:
    adapter = FakeAdapter()
    events = await live(tmp_path, adapter, spec(), Session.leave)
    assert end(events).reason is EndReason.EXITING_MEETING_BEFORE_RECORD
    assert statuses(events) == ["joining_call", "api_request_stop"]


async def test_nobody_joined_and_it_takes_its_leave(tmp_path: Path) -> None:
    adapter = FakeAdapter()
    adapter.tell(Admitted(), roster(SELF))
    impatient = Timeouts(waiting_room=60, no_one_joined=5, silence=60, recording=3600)
    events = await live(tmp_path, adapter, spec(timeouts=impatient), nothing)
    assert end(events).reason is EndReason.NO_ATTENDEES
    assert adapter.left == 1
    recording = end(events).recording
    assert recording is not None
    assert 0.5 < recording.duration < 10


async def test_never_admitted_it_gives_up(tmp_path: Path) -> None:
    adapter = FakeAdapter()
    adapter.tell(Waiting())
    impatient = Timeouts(waiting_room=1, no_one_joined=60, silence=60, recording=3600)
    events = await live(tmp_path, adapter, spec(timeouts=impatient), nothing)
    assert end(events).reason is EndReason.TIMEOUT_WAITING_TO_START
    assert statuses(events) == ["joining_call", "in_waiting_room", "waiting_room_timeout"]


async def test_what_may_work_later_is_tried_again(tmp_path: Path) -> None:
    adapter = CallAdapter()
    adapter.failures = [RetriableError("Not now.", after=0.01), RetriableError("Nor now.")]
    adapter.tell(*IN_CALL, Over(reason=EndReason.MEETING_ENDED))
    order = spec()
    events = await live(tmp_path, adapter, order, nothing)
    assert end(events).reason is EndReason.MEETING_ENDED
    assert [one.bot_name for one in adapter.joins] == ["Note taker"] * 3
    assert {(one.url, one.mode) for one in adapter.joins} == {
        (order.meeting_url, RecordingMode.AUDIO_ONLY)
    }


@pytest.mark.parametrize(
    ("failures", "reason", "message"),
    [
        (
            [RetriableError("The page did not come.", after=0.01)] * 3,
            EndReason.CANNOT_JOIN_MEETING,
            "The page did not come.",
        ),
        (
            [PermanentError("There is no such meeting.", code=EndReason.INVALID_MEETING_URL)],
            EndReason.INVALID_MEETING_URL,
            "There is no such meeting.",
        ),
    ],
    ids=["three times", "for good"],
)
async def test_a_failure_to_join_is_its_end_and_is_kept(
    tmp_path: Path, failures: list[RetriableError], reason: EndReason, message: str
) -> None:
    adapter = FakeAdapter()
    adapter.failures = list(failures)
    events = await live(tmp_path, adapter, spec(), nothing)
    assert (end(events).reason, end(events).message) == (reason, message)
    assert len(adapter.joins) == len(failures)
    (seen,) = [one.body for one in events if isinstance(one.body, UnexpectedSeen)]
    assert seen.what == f"could not join: {message}"


async def test_a_browser_that_does_not_start_is_the_machines_fault(tmp_path: Path) -> None:
    events = await live(
        tmp_path, FakeAdapter(), spec(browser=BrowserSpec(path="/usr/bin/false")), nothing
    )
    assert end(events).reason is EndReason.INTERNAL_ERROR
    assert end(events).message == "The browser /usr/bin/false did not start on this machine."


class TracklessAdapter(PageAdapter):
    """Its page receives no track, whoever is there.

    Others come when the bot, alone until then, has recorded something; the meeting ends when some
    seconds of it have been recorded with them.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self._directory = directory

    async def signals(self, page: Page) -> AsyncIterator[MeetingSignal]:
        del page
        yield Admitted()
        yield roster(SELF)
        await until(lambda: self._recorded("audio.flac") > 0)
        yield roster(SELF, ADA)
        await until(lambda: self._pictures() >= 25)
        yield Over(reason=EndReason.MEETING_ENDED)

    def _recorded(self, name: str) -> int:
        path = self._directory / "capture" / name
        return path.stat().st_size if path.exists() else 0

    def _pictures(self) -> int:
        try:
            return len(reds(self._directory / "capture" / "video.mp4"))
        except (OSError, av.FFmpegError):
            return 0


def reds(video: Path) -> list[bool]:
    """Of every picture whether it is as red as the page."""
    with av.open(str(video)) as container:
        pictures = [one.to_ndarray(format="rgb24") for one in container.decode(video=0)]
    means = [picture.reshape(-1, 3).mean(axis=0) for picture in pictures]
    return [bool(red > 150 and green < 60 and blue < 60) for red, green, blue in means]


@pytest.mark.parametrize(
    ("browser", "joins"),
    [
        (BrowserSpec(path=CHROMIUM), 1),
        (BrowserSpec(path=CHROMIUM, lean_path=HEADLESS_SHELL), 2),
    ],
    ids=["in the same browser", "with one that records tabs"],
)
async def test_alone_it_waits_for_others_to_see_whether_there_are_tracks(
    tmp_path: Path, browser: BrowserSpec, joins: int
) -> None:
    adapter = TracklessAdapter(tmp_path)
    asked = spec(browser=browser, recording_mode=RecordingMode.SPEAKER_VIEW)
    events = await live(tmp_path, adapter, asked, nothing)
    ended = end(events)
    assert ended.reason is EndReason.MEETING_ENDED
    assert len(adapter.joins) == joins
    assert adapter.left == joins - 1
    assert adapter.arranged == [RecordingMode.SPEAKER_VIEW]
    # To a customer it was in the call all the time.
    assert statuses(events) == [
        "joining_call",
        "in_call_not_recording",
        "in_call_recording",
        "call_ended",
    ]
    assert ended.recording is not None
    pictures = await asyncio.to_thread(reds, tmp_path / "output.mp4")
    assert len(pictures) >= 25
    assert all(pictures), "of the tab from its first picture on"


async def test_sound_alone_is_kept_of_a_tab_where_no_more_is_asked_for(tmp_path: Path) -> None:
    adapter = PageAdapter()
    adapter.tell(*IN_CALL)
    asked = spec(
        browser=BrowserSpec(path=CHROMIUM),
        timeouts=Timeouts(waiting_room=60, no_one_joined=60, silence=2, recording=3600),
    )
    ended = end(await live(tmp_path, adapter, asked, nothing))
    assert ended.reason is EndReason.NO_SPEAKER
    assert ended.recording is not None
    kinds = {one.kind for one in ended.recording.files}
    assert ArtifactKind.AUDIO in kinds
    assert not kinds & {ArtifactKind.VIDEO, ArtifactKind.SCREENSHOT}


class EncryptedAdapter(PageAdapter):
    """Its page transforms what it receives, as for end-to-end encryption; somebody beeps."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self._directory = directory

    @property
    def init_script(self) -> str:
        return CALL

    async def join(self, page: Page, *, url: str, bot_name: str, mode: RecordingMode) -> None:
        await super().join(page, url=url, bot_name=bot_name, mode=mode)
        await page.evaluate(
            """() => {
                const source = "onrtctransform = e => "
                    + "e.transformer.readable.pipeTo(e.transformer.writable)";
                const worker = new Worker(URL.createObjectURL(new Blob([source])));
                const onTrack = ({ receiver }) =>
                    (receiver.transform = new RTCRtpScriptTransform(worker, {}));
                return call({ videos: 0, onTrack });
            }"""
        )

    async def signals(self, page: Page) -> AsyncIterator[MeetingSignal]:
        del page
        for signal in IN_CALL:
            yield signal
        await until(self._recorded)
        yield Over(reason=EndReason.MEETING_ENDED)

    def _recorded(self) -> bool:
        path = self._directory / "capture" / "audio.flac"
        return path.exists() and loudness(read_sound(path)[-RATE:]) > 300


@pytest.mark.parametrize(
    "browser",
    [BrowserSpec(path=CHROMIUM), BrowserSpec(path=CHROMIUM, lean_path=HEADLESS_SHELL)],
    ids=["in the same browser", "with one that records tabs"],
)
async def test_what_a_page_keeps_to_itself_is_heard_in_its_tab(
    tmp_path: Path, browser: BrowserSpec
) -> None:
    adapter = EncryptedAdapter(tmp_path)
    asked = spec(browser=browser, recording_mode=RecordingMode.SPEAKER_VIEW)
    ended = end(await live(tmp_path, adapter, asked, nothing))
    assert ended.reason is EndReason.MEETING_ENDED
