"""Holds aiortc to what ``sitin.rehearsal.rtp`` relies on, between two of its own connections."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtp import HeaderExtensionsMap, RtpPacket

from sitin.rehearsal.clock import ScriptClock
from sitin.rehearsal.film import FilmStore
from sitin.rehearsal.meet.connection import MeetConnection, Surroundings
from sitin.rehearsal.people import Feed, Person
from sitin.rehearsal.pool import Sending
from sitin.rehearsal.rtp import PooledTrack, offer_loopback_only, with_source
from sitin.rehearsal.script import Script
from sitin.rehearsal.serving import LOOPBACK
from sitin.rehearsal.sound import SoundStage
from sitin.rehearsal.truth import Ledger
from sitin.rehearsal.voices import OPUS_SILENCE, PACKET_SAMPLES, from_samples
from tests.rehearsal.sounds import tone

SOURCE = 4_000_000_007
"""More than 31 bits, as contributing sources are unsigned."""


@pytest.mark.unit
def test_a_source_is_put_into_the_header() -> None:
    packet = RtpPacket(111, 1, 4711, 90_000, 99, b"payload")
    parsed = RtpPacket.parse(with_source(packet.serialize(), SOURCE))
    assert parsed.csrc == [SOURCE]
    assert (parsed.ssrc, parsed.sequence_number, parsed.marker) == (99, 4711, 1)
    assert parsed.payload == b"payload"


@pytest.mark.unit
async def test_a_track_begins_with_the_present_and_then_loses_nothing() -> None:
    track = PooledTrack()
    for beat in range(10):
        track.put(beat, None)
    assert (await track.recv()).pts == 9 * PACKET_SAMPLES
    for beat in range(10, 13):
        track.put(beat, Sending(SOURCE, b"voice", 20))
    assert [(await track.recv()).pts for _ in range(3)] == [
        beat * PACKET_SAMPLES for beat in range(10, 13)
    ]
    assert (track.source, track.level) == (SOURCE, 20)


class Line:
    """A connection as the rehearsal makes it, and a plain one of aiortc's as the page."""

    def __init__(self, meeting: Surroundings) -> None:
        self.connected = asyncio.Event()
        self.arrived = asyncio.Event()
        self.server = MeetConnection("visitor", meeting, on_connected=self.connected.set)
        self.page = RTCPeerConnection(
            RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        self.packets: dict[str, list[RtpPacket]] = defaultdict(list)
        self.messages: asyncio.Queue[bytes] = asyncio.Queue()
        self.page.on("datachannel", lambda channel: channel.on("message", self.messages.put_nowait))
        for _ in range(3):
            self.page.addTransceiver("audio", direction="recvonly")
        self.page.createDataChannel("captions")
        offer_loopback_only(self.transport)

    @property
    def transport(self) -> RTCDtlsTransport:
        transport = self.page.getTransceivers()[0].receiver.transport
        assert isinstance(transport, RTCDtlsTransport)
        return transport

    async def negotiate(self, videos: int = 0) -> str:
        for _ in range(videos):
            self.page.addTransceiver("video", direction="recvonly")
        await self.page.setLocalDescription()
        answer = await self.server.answer(self.page.localDescription.sdp)
        await self.page.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        return answer

    def watch(self) -> None:
        """Note every packet by its line, with its extensions."""
        receive = self.transport._handle_rtp_data
        # Ids are the same on all lines, so lines that are added later need no look of their own.
        extensions = HeaderExtensionsMap()
        for transceiver in self.page.getTransceivers():
            extensions.configure(self.page._RTCPeerConnection__remoteRtp(transceiver))  # type: ignore[attr-defined]

        async def note(data: bytes, arrival_time_ms: int) -> None:
            kinds = {line.mid: line.kind for line in self.page.getTransceivers()}
            packet = RtpPacket.parse(data, extensions)
            self.packets[kinds[packet.extensions.mid]].append(packet)
            self.arrived.set()
            await receive(data, arrival_time_ms)

        self.transport._handle_rtp_data = note  # type: ignore[method-assign]

    async def until(self, seen: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not seen():
                self.arrived.clear()
                await self.arrived.wait()

    async def receive(self, kind: str, count: int) -> list[RtpPacket]:
        await self.until(lambda: len(self.packets[kind]) >= count)
        return self.packets[kind]

    async def close(self) -> None:
        await self.server.close()
        await self.page.close()


class Scene:
    """A stage, and lines to it."""

    def __init__(self, directory: Path, **script: object) -> None:
        video = {"resolution": [{"at": 0, "height": 180}], "fps": 10}
        self.script = Script.model_validate(
            {"participants": [{"name": "Ada"}], "video": video, **script}
        )
        self.clock = ScriptClock()
        self.film = FilmStore(directory)
        self.ledger = Ledger("abc-defg-hij")
        self.stage = SoundStage(
            self.clock,
            self.ledger,
            on_speaking=lambda _: None,
            on_caption=lambda _: None,
            on_quiet=lambda: None,
        )
        self.ada = Person(self.script.participants[0], 0, self.script.video)
        self.ada.device_id, self.ada.source = "d1", SOURCE
        self.beating = asyncio.create_task(self.stage.run())
        self.lines: list[Line] = []

    def line(self) -> Line:
        surroundings = Surroundings(self.script, self.clock, self.stage, self.film, self.ledger)
        self.lines.append(Line(surroundings))
        return self.lines[-1]

    async def close(self) -> None:
        for line in self.lines:
            await line.close()
        self.beating.cancel()
        await asyncio.gather(self.beating, return_exceptions=True)
        self.film.close()


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    made = Scene(tmp_path)
    yield made
    await made.close()


@pytest.mark.e2e
async def test_only_loopback_is_offered(scene: Scene) -> None:
    answer = await scene.line().negotiate()
    hosts = {line.split()[4] for line in answer.splitlines() if line.startswith("a=candidate")}
    assert hosts == {LOOPBACK}


@pytest.mark.e2e
async def test_packets_carry_source_and_level(scene: Scene) -> None:
    line = scene.line()
    await line.negotiate()
    line.watch()
    await line.connected.wait()
    silent = [packet for packet in await line.receive("audio", 6) if packet.payload]
    assert {packet.payload for packet in silent} == {OPUS_SILENCE}
    assert {tuple(packet.csrc) for packet in silent} == {()}
    assert {packet.extensions.audio_level for packet in silent} == {(False, 127)}
    scene.stage.schedule(0, scene.ada, from_samples(tone((0.3, True), (0.3, False)), "hi"))
    scene.clock.start()
    packets = await line.receive("audio", 180)
    spoken = [packet for packet in packets if packet.extensions.audio_level[1] < 30]
    assert {packet.ssrc for packet in spoken} == {spoken[0].ssrc}
    assert {tuple(packet.csrc) for packet in spoken} == {(SOURCE,)}
    assert 13 in {packet.extensions.audio_level[1] for packet in spoken}
    # In silence the last speaker stays on the track, at the level of silence.
    last = [packet for packet in packets if packet.ssrc == spoken[0].ssrc][-1]
    assert (last.csrc, last.extensions.audio_level) == ([SOURCE], (False, 127))
    others = {tuple(p.csrc) for p in packets if p.ssrc != spoken[0].ssrc}
    assert others == {()}


@pytest.mark.e2e
async def test_pictures_come_in_streams_of_their_own_and_can_be_added(scene: Scene) -> None:
    line = scene.line()
    camera = Feed(scene.ada, "camera", scene.ada.card("camera"), "d1")
    screen = Feed(scene.ada, "presentation", scene.ada.card("presentation"), "d2")
    assert line.server.show([camera])
    assert line.server.video_lines == 1
    assert f"msid:{camera.stream_id}" in await line.negotiate(videos=1)
    await line.connected.wait()
    scene.clock.start()
    line.watch()
    await line.receive("video", 5)
    assert line.server.show([camera, screen])
    assert line.server.lacks_lines
    assert line.server.video_lines == 2
    assert f"msid:{screen.stream_id}" in await line.negotiate(videos=1)
    await line.until(lambda: len({packet.ssrc for packet in line.packets["video"]}) == 2)
    screen.live = False
    assert line.server.show([camera])
    assert not line.server.show([camera])
    assert "a=inactive" in await line.negotiate()


@pytest.mark.e2e
async def test_it_listens_while_it_is_connected(scene: Scene) -> None:
    line = scene.line()
    assert not scene.stage._listeners
    await line.negotiate()
    await line.connected.wait()
    assert len(scene.stage._listeners) == 1
    await line.server.close()
    assert not scene.stage._listeners


@pytest.mark.e2e
async def test_messages_wait_for_their_channel(scene: Scene) -> None:
    line = scene.line()
    line.server.send_collections(b"first")
    await line.negotiate()
    line.server.send_collections(b"second")
    async with asyncio.timeout(20):
        assert [await line.messages.get(), await line.messages.get()] == [b"first", b"second"]
    await line.server.drained()


@pytest.mark.e2e
async def test_the_same_seed_loses_the_same_packets(tmp_path: Path) -> None:
    seen: dict[str | None, list[list[int]]] = defaultdict(list)
    for _ in range(2):
        scene = Scene(tmp_path, network={"loss": 0.5, "seed": 9})
        line = scene.line()
        await line.negotiate()
        line.watch()
        await line.receive("audio", 90)
        mids = [transceiver.mid for transceiver in line.page.getTransceivers()]
        for mid in mids:
            times = [p.timestamp for p in line.packets["audio"] if p.extensions.mid == mid]
            seen[mid].append([(time - times[0]) // 960 for time in times[:15]])
        await scene.close()
    assert len(seen) == 3
    for first, second in seen.values():
        assert first == second
        assert first != list(range(15))
