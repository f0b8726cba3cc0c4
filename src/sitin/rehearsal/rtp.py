"""The places at which a rehearsal reaches into aiortc, all of them. For connections.

aiortc has no public way to do five things that a selective forwarding unit does. Each is done here
on the objects of one connection; nothing of the library itself is replaced, so other users of
aiortc in the process are not touched. ``tests/rehearsal/test_rtp.py`` holds aiortc to what is
relied on:

1. Contributing sources: ``RTCDtlsTransport._send_rtp`` receives every RTP packet just before it is
   encrypted; there the CSRC list is put into the header.
2. Levels: ``RTCRtpSender._next_encoded_frame`` tells the audio level of frames that aiortc encodes
   itself and not of frames that come encoded; the level is added there.
3. Stream ids: all senders of a connection share one MediaStream id unless ``_stream_id`` is set.
4. Loopback: aioice offers every address of the machine but loopback; a rehearsal offers only that.
5. Loss and delay happen at the place of (1).
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from fractions import Fraction
from typing import Any

from aiortc import MediaStreamTrack, RTCDtlsTransport, RTCRtpSender
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtcrtpsender import RTCEncodedFrame
from aiortc.rtp import RTP_HEADER_LENGTH, is_rtcp
from av import Packet

from sitin.rehearsal.pool import TRACKS, Sending
from sitin.rehearsal.script import Network
from sitin.rehearsal.serving import LOOPBACK
from sitin.rehearsal.sound import Listener
from sitin.rehearsal.voices import OPUS_SILENCE, PACKET_SAMPLES, RATE, SILENCE_LEVEL


class PooledTrack(MediaStreamTrack):
    """One of the three audio tracks that speakers share; ``source`` is who is on it."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.source: int | None = None
        """Contributing source of the packet that was given out last; it stays in silence."""
        self.level = SILENCE_LEVEL
        self._begun = False
        self._packets: asyncio.Queue[tuple[int, Sending | None]] = asyncio.Queue()

    def put(self, beat: int, sending: Sending | None) -> None:
        """Hand over what the track carries in a beat."""
        self._packets.put_nowait((beat, sending))

    async def recv(self) -> "Packet[Any]":
        """The next packet of 20 ms. Raises ``MediaStreamError`` once stopped."""
        if self.readyState != "live":
            raise MediaStreamError
        beat, sending = await self._packets.get()
        while not self._begun and not self._packets.empty():
            beat, sending = self._packets.get_nowait()
        self._begun = True
        if sending is not None:
            self.source, self.level = sending.source, sending.level
        else:
            self.level = SILENCE_LEVEL
        packet = Packet(sending.payload if sending is not None else OPUS_SILENCE)
        packet.pts = packet.dts = beat * PACKET_SAMPLES
        packet.time_base = Fraction(1, RATE)
        return packet


async def distribute(listener: Listener, tracks: list[PooledTrack]) -> None:
    """Pass the beat on to a visitor's tracks until cancelled."""
    assert len(tracks) == TRACKS
    while True:
        beat, sendings = await listener.get()
        for track, sending in zip(tracks, sendings, strict=True):
            track.put(beat, sending)


class RtpPath:
    """The last yard of a connection's packets before they are encrypted."""

    def __init__(self, transport: RTCDtlsTransport, network: Network) -> None:
        self._send: Callable[[bytes], Awaitable[None]] = transport._send_rtp  # noqa: SLF001
        self._tracks: dict[int, PooledTrack] = {}
        self._network = network
        self._chances: dict[int, random.Random] = {}
        self._delayed: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        self._last_due = 0.0
        transport._send_rtp = self._pass  # type: ignore[method-assign]  # noqa: SLF001

    def mark_sources(self, sender: RTCRtpSender, track: PooledTrack) -> None:
        """Give this sender's packets the contributing source and the level of its track."""
        self._tracks[sender._ssrc] = track  # noqa: SLF001
        self._chance(sender._ssrc)  # noqa: SLF001 - audio lines count first, in their order
        encode = sender._next_encoded_frame  # noqa: SLF001

        async def with_level(codec: RTCRtpCodecParameters) -> RTCEncodedFrame | None:
            frame = await encode(codec)
            if frame is not None:
                # aiortc counts levels as negative dB and turns the sign when it writes them.
                frame.audio_level = -track.level
            return frame

        sender._next_encoded_frame = with_level  # type: ignore[method-assign]  # noqa: SLF001

    async def run(self) -> None:
        """Send what is delayed when it is due, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due, data = await self._delayed.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            try:
                await self._send(data)
            except ConnectionError:
                return

    async def _pass(self, data: bytes) -> None:
        if is_rtcp(data):
            await self._send(data)
            return
        ssrc = int.from_bytes(data[8:12], "big")
        track = self._tracks.get(ssrc)
        if track is not None and track.source is not None:
            data = with_source(data, track.source)
        chance = self._chance(ssrc)
        if chance.random() < self._network.loss:
            return
        wait = self._network.delay + self._network.jitter * chance.random()
        if not wait:
            await self._send(data)
            return
        self._last_due = max(self._last_due, asyncio.get_running_loop().time() + wait)
        self._delayed.put_nowait((self._last_due, data))

    def _chance(self, ssrc: int) -> random.Random:
        """A generator for each stream, by the order in which streams appear: what befalls a
        stream's n-th packet does not depend on how the packets of others fall in between."""
        if ssrc not in self._chances:
            seed = f"{self._network.seed}/{len(self._chances)}"
            self._chances[ssrc] = random.Random(seed)  # noqa: S311 - repeatable, not secret
        return self._chances[ssrc]


def with_source(packet: bytes, source: int) -> bytes:
    """An RTP packet that has no contributing source yet, with one (RFC 3550, section 5.1)."""
    assert packet[0] & 0x0F == 0
    head = bytes([packet[0] | 1]) + packet[1:RTP_HEADER_LENGTH]
    return head + source.to_bytes(4, "big") + packet[RTP_HEADER_LENGTH:]


def set_stream_id(sender: RTCRtpSender, stream_id: str) -> None:
    """Announce a sender's track as part of this MediaStream."""
    sender._stream_id = stream_id  # noqa: SLF001


def offer_loopback_only(transport: RTCDtlsTransport) -> None:
    """Let a connection that has not gathered yet listen on 127.0.0.1 and nowhere else."""
    connection = transport.transport.iceGatherer._connection  # noqa: SLF001
    gather = connection.get_component_candidates

    async def on_loopback(component: int, addresses: list[str], timeout: int = 5) -> object:  # noqa: ASYNC109, ARG001 - the signature is aioice's
        return await gather(component, [LOOPBACK], timeout)

    connection.get_component_candidates = on_loopback  # type: ignore[method-assign, assignment]
