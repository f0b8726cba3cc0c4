"""The same capture in a meeting that nobody of this house holds: Debian's Janus, browsers in it.

The page is a plain client of its videoroom, and the adapter knows no more than that page: a track
per participant. Session, browser, capture and recording are a bot's own.
"""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import pytest_asyncio
from playwright.async_api import Page, async_playwright
from pydantic import TypeAdapter
from starlette.applications import Starlette
from starlette.responses import FileResponse
from starlette.routing import Route

from sitin.contract.codes import EndReason, Platform, RecordingMode
from sitin.contract.events import Ended
from sitin.contract.meeting import (
    Admitted,
    AudioTopology,
    MediaSource,
    MeetingSignal,
    PlatformCapabilities,
    Roster,
    RosterEntry,
    Sources,
)
from sitin.contract.recording import ArtifactKind, Recording
from sitin.contract.spec import BotSpec, BrowserSpec, Timeouts
from sitin.kit.ids import new_id
from sitin.runner.browser import starting_driver
from sitin.runner.capture.sound import RATE
from sitin.runner.session import Session
from sitin.runner.spool import Spool, read_spool
from tests.e2e.recordings import check_sound, check_video, segments
from tests.rehearsal.sounds import write_wav
from tests.runner.capture.media import read_sound, tone
from tests.runner.conftest import ADDRESS, HEADLESS_SHELL
from tests.serving import serving
from tests.waiting import until

JANUS = shutil.which("janus")
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        JANUS is None, reason="Debian's janus, which make setup welcomes, is not here"
    ),
    pytest.mark.asyncio(loop_scope="module"),
]

PAGE = Path(__file__).with_name("room.html")
HERTZ = {"Ada Martin": 440, "Ben Okafor": 700}
"""What each participant says."""
SECONDS = 8.0

_CONFIGURATION = {
    "janus.jcfg": """
        general: {{ configs_folder = "{directory}" debug_level = 3 }}
        plugins: {{ disable = "{other_plugins}" }}
        transports: {{ disable = "{other_transports}" }}
    """,
    "janus.plugin.videoroom.jcfg": """
        room-1234: {{ publishers = 6 bitrate = 2000000 audiocodec = "opus" videocodec = "vp8" }}
    """,
    "janus.transport.websockets.jcfg": """
        general: {{ json = "compact" ws = true ws_port = {port} ws_ip = "127.0.0.1" wss = false }}
        admin: {{ admin_ws = false }}
    """,
}
_OTHERS = {
    "other_plugins": "audiobridge duktape echotest lua nosip recordplay sip streaming textroom "
    "videocall voicemail",
    "other_transports": "http mqtt nanomsg pfunix rabbitmq",
}
_PEOPLE = TypeAdapter(dict[str, str])


class RoomAdapter:
    """A bot's hands and eyes on the room's page."""

    def __init__(self) -> None:
        self._signals: asyncio.Queue[MeetingSignal] = asyncio.Queue()

    @property
    def capabilities(self) -> PlatformCapabilities:
        return PlatformCapabilities(
            platform=Platform.MEET, audio_topology=AudioTopology.PER_PARTICIPANT, screenshots=True
        )

    @property
    def init_script(self) -> str:
        return """
            const { emit } = window.__sitin;
            window.addEventListener("room", ({ detail }) => emit(JSON.stringify(detail)));
        """

    async def join(self, page: Page, *, url: str, bot_name: str, mode: RecordingMode) -> None:
        # A bot's browser opens nothing that is not encrypted.
        await page.route(f"{ADDRESS}**", lambda route: route.fulfill(path=PAGE))
        await page.goto(url)

    async def signals(self, page: Page) -> AsyncIterator[MeetingSignal]:
        while True:
            yield await self._signals.get()

    async def arrange(self, page: Page, mode: RecordingMode) -> None:
        del page, mode

    def receive(self, message: str | bytes) -> None:
        people = _PEOPLE.validate_json(message)
        sources = {one: MediaSource(participant_id=one) for one in people}
        entries = [RosterEntry(participant_id=one, name=name) for one, name in people.items()]
        self._signals.put_nowait(Sources(audio=sources, video=sources))
        self._signals.put_nowait(Roster(entries=tuple(entries)))
        if len(people) == len(HERTZ):
            self._signals.put_nowait(Admitted())

    async def leave(self, page: Page) -> None:
        await page.close()


@pytest.fixture(scope="module")
def janus_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def janus(tmp_path_factory: pytest.TempPathFactory, janus_port: int) -> AsyncIterator[int]:
    """A Janus with one room; gives its port."""
    directory = tmp_path_factory.mktemp("janus")
    disabled = {
        name: ",".join(f"libjanus_{one}.so" for one in others.split())
        for name, others in _OTHERS.items()
    }
    for name, text in _CONFIGURATION.items():
        (directory / name).write_text(text.format(directory=directory, port=janus_port, **disabled))
    assert JANUS is not None
    log = (directory / "log").open("wb")
    process = await asyncio.create_subprocess_exec(
        JANUS, "-F", str(directory), "-C", str(directory / "janus.jcfg"), stdout=log, stderr=log
    )

    def listens() -> bool:
        assert process.returncode is None, (directory / "log").read_text()
        with suppress(OSError), socket.create_connection(("127.0.0.1", janus_port)):
            return True
        return False

    await until(listens, seconds=60)
    yield janus_port
    process.terminate()
    await process.wait()
    log.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def room(janus: int, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The address of a room in which everybody shows a picture and says a tone of their own."""
    app = Starlette(routes=[Route("/", lambda _: FileResponse(PAGE))])
    directory = tmp_path_factory.mktemp("voices")
    async with serving(app) as url, async_playwright() as playwright, AsyncExitStack() as stack:
        for name, hertz in HERTZ.items():
            voice = np.concatenate([tone(1.5, hertz=hertz), np.zeros(RATE * 3 // 2, np.int16)])
            wav = write_wav(directory / f"{hertz}.wav", voice, rate=RATE)
            browser = await playwright.chromium.launch(
                executable_path=HEADLESS_SHELL,
                args=[
                    "--use-fake-ui-for-media-stream",
                    "--use-fake-device-for-media-stream=fps=25",
                    f"--use-file-for-fake-audio-capture={wav}",
                    "--allow-loopback-in-peer-connection",
                ],
            )
            stack.push_async_callback(browser.close)
            participant = await browser.new_page()
            await participant.goto(f"{url}/?janus={janus}&publish={name}")
            await participant.wait_for_function("document.title === 'in the room'", timeout=60_000)
        yield f"{ADDRESS}?janus={janus}"


@dataclass(frozen=True)
class Kept:
    """What one bot brought home."""

    directory: Path
    recording: Recording

    def paths(self, kind: ArtifactKind) -> list[Path]:
        return [self.directory / one.path for one in self.recording.files if one.kind is kind]


async def visit(
    room: str, directory: Path, mode: RecordingMode, video: Literal["live", "dense"]
) -> Kept:
    """Record for some seconds as a bot does."""
    spec = BotSpec(
        bot_id=new_id(),
        fencing_token=1,
        bot_name="Bot",
        platform=Platform.MEET,
        meeting_url=room,
        recording_mode=mode,
        video=video,
        timeouts=Timeouts(waiting_room=120, no_one_joined=120, silence=120, recording=SECONDS),
        browser=BrowserSpec(
            path=HEADLESS_SHELL,
            args=("--allow-loopback-in-peer-connection",),
            allow_private_addresses=True,
        ),
    )
    spool = Spool(directory, 1)
    async with starting_driver() as driver:
        await Session(spec, directory, spool, RoomAdapter, driver).run()
    spool.close()
    ended = read_spool(directory)[-1].body
    assert isinstance(ended, Ended)
    assert ended.reason is EndReason.RECORDING_TIMEOUT, ended.message
    assert ended.recording is not None
    return Kept(directory, ended.recording)


@pytest.mark.parametrize(
    ("mode", "video"),
    [
        (RecordingMode.SPEAKER_VIEW, "live"),
        (RecordingMode.SPEAKER_VIEW, "dense"),
        (RecordingMode.AUDIO_ONLY, "live"),
    ],
)
async def test_it_is_recorded_like_any_other(
    room: str, tmp_path: Path, mode: RecordingMode, video: Literal["live", "dense"]
) -> None:
    kept = await visit(room, tmp_path, mode, video)
    assert kept.recording.complete
    assert {(one.name, one.spoke) for one in kept.recording.participants} == {
        (name, True) for name in HERTZ
    }
    (diarization,) = kept.paths(ArtifactKind.DIARIZATION)
    assert {one["speaker"] for one in segments(diarization)} == set(HERTZ)
    (sound,) = kept.paths(ArtifactKind.AUDIO)
    seconds = await asyncio.to_thread(check_sound, sound, [])
    assert seconds == pytest.approx(kept.recording.duration, abs=0.1)
    assert seconds > SECONDS - 1
    for one in kept.recording.participants:
        voice = kept.directory / f"participants/{one.number}.flac"
        assert await asyncio.to_thread(pitch, voice) == pytest.approx(HERTZ[one.name], abs=5)
    if mode is RecordingMode.AUDIO_ONLY:
        assert kept.paths(ArtifactKind.VIDEO) == []
        return
    (film,) = kept.paths(ArtifactKind.VIDEO)
    shown, pictures = await asyncio.to_thread(check_video, film)
    assert shown == pytest.approx(seconds, abs=1)
    assert len(pictures) > 10 * seconds, "moving pictures, and not a card a second"
    assert kept.paths(ArtifactKind.SCREENSHOT)


def pitch(path: Path) -> float:
    """The loudest frequency of a recording, in hertz."""
    samples = read_sound(path).astype(np.float64)
    spectrum = np.abs(np.fft.rfft(samples))
    return float(np.argmax(spectrum)) * RATE / samples.size
