"""The capture's part inside the page, in the bot's own browser, on real connections."""

import io
import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, TypeVar

import av
import numpy as np
import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, Page

from sitin.runner.browser import snapshot
from sitin.runner.capture.frames import (
    CodecReport,
    EncodedAudio,
    EncodedVideo,
    Item,
    PageMessage,
    RunningReport,
    TabChunk,
    TrackReport,
    UntappableReport,
)
from sitin.runner.capture.hook import init_script
from sitin.runner.capture.link import PageLink
from sitin.runner.capture.picture import PictureDecoder
from sitin.runner.capture.tab import TabRecording
from tests.runner.conftest import ADDRESS, CHROMIUM, bot_browser
from tests.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

CALL = (Path(__file__).parent / "call.js").read_text()
T = TypeVar("T")


class Desk:
    """A link and what the pages of a test have sent through it."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.pages: list[Page] = []
        self.link = PageLink(self.items.extend)

    def of(self, kind: type[T]) -> list[T]:
        return [item for item in self.items if isinstance(item, kind)]

    async def visit(
        self, context: BrowserContext, *, video: bool = True, sound: bool = False, url: str = ""
    ) -> Page:
        page = await context.new_page()
        self.pages.append(page)
        script = init_script(url=url or self.link.url, video=video, sound=sound)
        await page.add_init_script(script + "\n" + CALL)
        await page.goto(ADDRESS)
        return page


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk() -> AsyncIterator[Desk]:
    desk = Desk()
    await desk.link.open()
    yield desk
    await desk.link.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(
    desk: Desk, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[BrowserContext]:
    directory = tmp_path_factory.mktemp("bot")
    async with bot_browser(directory, direct_port=desk.link.port) as context:
        await desk.link.expose(context)
        yield context
    assert list(directory.iterdir()) == [], "the profile is gone with the browser"


@pytest_asyncio.fixture(loop_scope="module")
async def fresh(desk: Desk) -> AsyncIterator[Desk]:
    """The desk for one test, whose pages say their last before the next one begins."""
    desk.items.clear()
    desk.link._commands.clear()
    yield desk
    while desk.pages:
        await desk.pages.pop().close()
    await until(lambda: not desk.link._connections)


async def inbound(page: Page, kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await page.evaluate("kind => inbound(kind)", kind)
    return found


@pytest.mark.parametrize("codec", ["video/VP8", "video/H264", "video/VP9"])
async def test_every_frame_comes_out_encoded(
    browser: BrowserContext, fresh: Desk, codec: str
) -> None:
    page = await fresh.visit(browser)
    video, audio = await page.evaluate("codec => call({codec})", codec)
    await until(lambda: len(fresh.of(EncodedVideo)) > 25 and len(fresh.of(EncodedAudio)) > 50)
    tracks = {(one.kind, one.stream, one.state) for one in fresh.of(TrackReport)}
    assert tracks == {("video", video, "live"), ("audio", audio, "live")}
    assert {one.mimeType for one in fresh.of(CodecReport)} == {codec, "audio/opus"}
    first = fresh.of(EncodedVideo)[0]
    assert first.key
    # Chromium repeats packets at the start, to find out how much the way carries.
    instants = [frame.rtp for frame in fresh.of(EncodedVideo)]
    assert len(set(instants)) == len(instants)
    decoder = PictureDecoder(codec)
    pictures = [decoder.decode(frame) for frame in fresh.of(EncodedVideo)]
    assert all(picture is not None for picture in pictures)
    assert decoder.errors == 0
    packets = [packet for packet in fresh.of(EncodedAudio) if packet.data]
    steps = {(b.sequence - a.sequence) & 0xFFFF for a, b in itertools.pairwise(packets)}
    assert steps == {1}
    assert {b.rtp - a.rtp for a, b in itertools.pairwise(packets)} == {960}


async def test_the_pages_decoder_is_idle_and_asks_for_nothing(
    browser: BrowserContext, fresh: Desk
) -> None:
    page = await fresh.visit(browser)
    await page.evaluate("call({audio: false})")
    await page.wait_for_function("document.querySelector('video')?.videoWidth === 16")
    await until(lambda: len(fresh.of(EncodedVideo)) > 50)
    (stats,) = await inbound(page, "video")
    assert (stats["frameWidth"], stats["frameHeight"]) == (16, 16)
    assert stats.get("pliCount", 0) <= 1, "one at most, before the first frame"
    assert stats["framesDropped"] <= 2
    assert max(frame.width for frame in fresh.of(EncodedVideo)) == 320


async def test_of_silence_every_tenth_packets_time_comes(
    browser: BrowserContext, fresh: Desk
) -> None:
    page = await fresh.visit(browser)
    await page.evaluate("call({videos: 0})")
    await until(lambda: len(fresh.of(EncodedAudio)) > 50)
    await page.evaluate("far.getSenders()[0].track.enabled = false")
    await until(lambda: sum(not packet.data for packet in fresh.of(EncodedAudio)) > 10)
    silent = [packet for packet in fresh.of(EncodedAudio) if not packet.data]
    steps = [(b.sequence - a.sequence) & 0xFFFF for a, b in itertools.pairwise(silent)]
    assert steps[1:] == [10] * len(steps[1:])
    assert all(a.received < b.received for a, b in itertools.pairwise(silent))


async def test_for_sound_alone_no_picture_is_received(browser: BrowserContext, fresh: Desk) -> None:
    page = await fresh.visit(browser, video=False)
    await page.evaluate("call({videos: 2})")
    await until(lambda: len(fresh.of(EncodedAudio)) > 50)
    assert fresh.of(EncodedVideo) == []
    assert {one.kind for one in fresh.of(TrackReport)} == {"audio"}
    assert await inbound(page, "video") == []
    directions = await page.evaluate("near.getTransceivers().map(one => one.currentDirection)")
    assert directions == ["inactive", "inactive", "recvonly"]


async def test_only_the_tracks_that_are_selected_are_sent_on(
    browser: BrowserContext, fresh: Desk
) -> None:
    page = await fresh.visit(browser)
    await page.evaluate("call({videos: 2, audio: false})")
    await until(lambda: len({frame.track for frame in fresh.of(EncodedVideo)}) == 2)
    first, second = sorted({frame.track for frame in fresh.of(EncodedVideo)})
    fresh.link.command(select=[first])
    fresh.link.command(flush=True)
    await until(lambda: any(set(one.ids) == {first, second} for one in fresh.of(RunningReport)))
    # Everything before the answer to a flush that came after the selection may still hold both.
    seen = len(fresh.of(RunningReport))
    await until(lambda: len(fresh.of(RunningReport)) >= seen + 2)
    fresh.items.clear()
    await until(lambda: len(fresh.of(EncodedVideo)) > 30)
    assert {frame.track for frame in fresh.of(EncodedVideo)} == {first}
    assert {second} <= {one for report in fresh.of(RunningReport) for one in report.ids}
    fresh.link.command(select=None)
    await until(lambda: second in {frame.track for frame in fresh.of(EncodedVideo)})


async def test_a_key_frame_comes_when_it_is_asked_for(browser: BrowserContext, fresh: Desk) -> None:
    page = await fresh.visit(browser)
    await page.evaluate("call({audio: false})")
    await until(lambda: len(fresh.of(EncodedVideo)) > 25)
    keys = sum(frame.key for frame in fresh.of(EncodedVideo))
    fresh.link.command(keyframe=fresh.of(EncodedVideo)[0].track)
    await until(lambda: sum(frame.key for frame in fresh.of(EncodedVideo)) > keys)
    fresh.link.command(keyframe=99)  # of a track that there is not


OWN_TRANSFORM = """event => {
    const source = "onrtctransform = ({transformer: t}) => t.readable.pipeTo(t.writable)";
    const worker = new Worker(URL.createObjectURL(new Blob([source])));
    event.receiver.transform = new RTCRtpScriptTransform(worker, {});
}"""


@pytest.mark.parametrize(
    "transform",
    [OWN_TRANSFORM, "event => event.receiver.createEncodedStreams()"],
    ids=["RTCRtpScriptTransform", "createEncodedStreams"],
)
async def test_a_page_that_transforms_frames_itself_keeps_them(
    browser: BrowserContext, fresh: Desk, transform: str
) -> None:
    page = await fresh.visit(browser)
    await page.evaluate(
        f"call({{audio: false, onTrack: {transform}, config: {{encodedInsertableStreams: true}}}})"
    )
    await until(lambda: bool(fresh.of(UntappableReport)))
    assert "transforms frames" in fresh.of(UntappableReport)[0].why


async def test_a_browser_that_gives_no_frames_says_so(tmp_path: Path) -> None:
    desk = Desk()
    await desk.link.open()
    args = ("--disable-blink-features=RTCRtpScriptTransform",)
    async with bot_browser(tmp_path, direct_port=desk.link.port, args=args) as context:
        page = await desk.visit(context)
        await page.evaluate("call()")
        await until(lambda: {one.kind for one in desk.of(UntappableReport)} == {"audio", "video"})
        assert await page.evaluate("received.length") == 2, "the page goes on"
    await desk.link.close()


async def test_the_page_plays_nothing_and_does_not_notice(
    browser: BrowserContext, fresh: Desk
) -> None:
    page = await fresh.visit(browser)
    await page.evaluate("call()")
    await until(lambda: len(fresh.of(EncodedAudio)) > 50)
    kept = await page.evaluate(
        """async () => {
            const audio = document.querySelector("audio");
            await audio.play();
            return [audio.srcObject === received.find(e => e.track.kind === "audio").streams[0],
                    audio.currentTime];
        }"""
    )
    assert kept == [True, 0]
    fresh.link.command(take="beside")
    await page.wait_for_function("document.querySelector('audio').currentTime > 0.2")
    before = len(fresh.of(EncodedAudio))
    await until(lambda: len(fresh.of(EncodedAudio)) > before + 25)


async def test_a_track_that_ends_is_told(browser: BrowserContext, fresh: Desk) -> None:
    page = await fresh.visit(browser)
    await page.evaluate("call({audio: false})")
    await until(lambda: len(fresh.of(EncodedVideo)) > 5)
    await page.evaluate("near.close()")
    await until(lambda: any(one.state == "ended" for one in fresh.of(TrackReport)), seconds=10)


async def test_a_platforms_script_speaks_through_the_hook(
    browser: BrowserContext, fresh: Desk
) -> None:
    page = await fresh.visit(browser)
    await page.evaluate("__sitin.emit('Grüße'); __sitin.emit(new Uint8Array([1, 0, 255]).buffer)")
    await until(lambda: len(fresh.of(PageMessage)) == 2)
    assert [one.message for one in fresh.of(PageMessage)] == ["Grüße", b"\x01\x00\xff"]
    assert await page.evaluate("Object.isFrozen(__sitin)")


async def test_where_no_socket_opens_batches_go_through_the_page(
    browser: BrowserContext, fresh: Desk
) -> None:
    wrong = fresh.link.url[:-1]
    page = await fresh.visit(browser, url=wrong)
    await page.evaluate("call()")
    await until(lambda: len(fresh.of(EncodedVideo)) > 25 and len(fresh.of(EncodedAudio)) > 50)
    await page.evaluate("__sitin.emit('said')")
    await until(lambda: fresh.of(PageMessage) == [PageMessage("said")])


async def test_what_a_page_shows_can_be_kept(browser: BrowserContext, tmp_path: Path) -> None:
    page = await browser.new_page()
    await page.goto(ADDRESS)
    await page.evaluate("document.body.textContent = 'Grüße 😀'")
    assert await snapshot(page, tmp_path, 3) == ("unexpected/3.png", "unexpected/3.html")
    assert "Grüße 😀" in (tmp_path / "unexpected" / "3.html").read_text()
    assert (tmp_path / "unexpected" / "3.png").read_bytes().startswith(b"\x89PNG")
    await page.close()
    assert await snapshot(page, tmp_path, 4) == ()


async def test_the_tab_is_recorded_with_its_sound(tmp_path: Path) -> None:
    """Chromium itself: the headless shell cannot do this."""
    desk = Desk()
    await desk.link.open()
    async with bot_browser(tmp_path, path=CHROMIUM, direct_port=desk.link.port) as context:
        page = await desk.visit(context, sound=True)
        await page.evaluate("call()")
        desk.link.command(take="beside")
        await page.wait_for_function("document.querySelector('audio')?.currentTime > 0")
        recording = await TabRecording.begin(page)
        await until(lambda: len(desk.of(TabChunk)) >= 5)
        await recording.end()
        # A platform's message after the recorder's last piece: when it is here, so is that.
        await page.evaluate("__sitin.emit('last')")
        await until(lambda: PageMessage("last") in desk.items)
    await desk.link.close()
    whole = b"".join(chunk.data for chunk in desk.of(TabChunk))
    with av.open(io.BytesIO(whole), "r") as container:
        assert {one.codec_context.name for one in container.streams} == {"h264", "opus"}
        pictures = list(container.decode(video=0))
    assert {(one.width, one.height) for one in pictures} == {(1280, 720)}
    assert len(pictures) >= 10
    with av.open(io.BytesIO(whole), "r") as container:
        loud = max(np.abs(frame.to_ndarray()).max() for frame in container.decode(audio=0))
    assert loud > 0.05, "a tab is not silent"
