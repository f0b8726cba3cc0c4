"""One visitor's peer connection, in Meet's topology. For the visitor.

The page offers three recvonly audio lines, one recvonly video line per picture, and the data
channel ``captions``; this side answers, opens the data channel ``collections``, and asks the page
to offer again whenever pictures come or go.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCRtpSender,
    RTCRtpTransceiver,
    RTCSessionDescription,
)

from sitin.kit.waiting import wait_for_event
from sitin.rehearsal.clock import ScriptClock
from sitin.rehearsal.film import FilmStore
from sitin.rehearsal.people import Feed
from sitin.rehearsal.pool import TRACKS
from sitin.rehearsal.reel import FeedTrack
from sitin.rehearsal.rtp import (
    PooledTrack,
    RtpPath,
    distribute,
    offer_loopback_only,
    set_stream_id,
)
from sitin.rehearsal.script import Script
from sitin.rehearsal.sound import Listener, SoundStage
from sitin.rehearsal.truth import Ledger, SentVideo

log = structlog.get_logger(__name__)

COLLECTIONS = "collections"
CAPTIONS = "captions"

_DRAIN_SECONDS = 1.0

_MIME_TYPES = {"vp8": "video/VP8", "h264": "video/H264"}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a connection takes from the meeting it belongs to."""

    script: Script
    clock: ScriptClock
    stage: SoundStage
    film: FilmStore
    ledger: Ledger


class MeetConnection:
    """Sound, pictures and data channels of one visitor."""

    def __init__(
        self, visitor: str, meeting: Surroundings, *, on_connected: Callable[[], None]
    ) -> None:
        self._visitor = visitor
        self._meeting = meeting
        self._on_connected = on_connected
        # With the default policy aiortc never starts the second video line (1.16).
        self._pc = RTCPeerConnection(
            RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        self._negotiating = asyncio.Lock()
        self._audio = [PooledTrack() for _ in range(TRACKS)]
        self._shown: dict[Feed, RTCRtpTransceiver | None] = {}
        self._video_lines = 0
        self._path: RtpPath | None = None
        self._collections: RTCDataChannel | None = None
        self._captions: RTCDataChannel | None = None
        self._unsent: list[bytes] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._listener: Listener | None = None
        self._pc.on("connectionstatechange", self._state_changed)
        self._pc.on("datachannel", self._channel_opened)

    @property
    def lacks_lines(self) -> bool:
        """Whether a picture waits for a line that the page has not offered."""
        return any(line is None for line in self._shown.values())

    @property
    def video_lines(self) -> int:
        """How many video lines the page's next offer has to have."""
        return self._video_lines + sum(line is None for line in self._shown.values())

    def show(self, feeds: list[Feed]) -> bool:
        """Set what is to be seen; tells whether the page has to offer again."""
        gone = [feed for feed in self._shown if feed not in feeds]
        come = [feed for feed in feeds if feed not in self._shown]
        for feed in gone:
            line = self._shown.pop(feed)
            if line is not None:
                line.direction = "inactive"
        self._shown.update(dict.fromkeys(come))
        return bool(gone or come)

    async def answer(self, offer: str) -> str:
        """Answer the page's offer (SDP in, SDP out). Raises ``ValueError`` for what is no offer."""
        async with self._negotiating:
            if self._path is None:
                self._prepare_audio()
            self._place_pictures(offer.count("m=video") - self._video_lines)
            await self._pc.setRemoteDescription(RTCSessionDescription(offer, "offer"))
            if self._collections is None:
                self._collections = self._pc.createDataChannel(COLLECTIONS)
                self._collections.on("open", self._flush)
            await self._pc.setLocalDescription()
            return str(self._pc.localDescription.sdp)

    def send_collections(self, message: bytes) -> None:
        """Send a message of the channel ``collections``, when it is open."""
        self._unsent.append(message)
        self._flush()

    def send_caption(self, message: bytes) -> None:
        """Send a message of the channel ``captions``; without the channel it is lost."""
        if self._captions is not None and self._captions.readyState == "open":
            self._captions.send(message)

    async def drained(self) -> None:
        """Wait until what was sent on ``collections`` has gone out, for a second at most."""
        channel = self._collections
        if channel is None or not (self._unsent or channel.bufferedAmount):
            return
        empty = asyncio.Event()
        channel.once("bufferedamountlow", empty.set)
        await wait_for_event(empty, _DRAIN_SECONDS)

    async def close(self) -> None:
        """Hang up."""
        if self._listener is not None:
            self._meeting.stage.dismiss(self._listener)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._pc.close()
        for sender in self._pc.getSenders():
            if sender.track is not None:
                sender.track.stop()

    def _prepare_audio(self) -> None:
        for track in self._audio:
            transceiver = self._pc.addTransceiver(track, direction="sendonly")
            if self._path is None:
                transport = transceiver.sender.transport
                offer_loopback_only(transport)
                self._path = RtpPath(transport, self._meeting.script.network)
            self._path.mark_sources(transceiver.sender, track)

    def _place_pictures(self, free_lines: int) -> None:
        """Give the pictures that have no line yet those that the page has added."""
        waiting = [feed for feed, line in self._shown.items() if line is None]
        for feed in waiting[: max(free_lines, 0)]:
            line = self._pc.addTransceiver("video", direction="sendonly")
            wanted = _MIME_TYPES[self._meeting.script.video.codec], "video/rtx"
            codecs = RTCRtpSender.getCapabilities("video").codecs
            line.setCodecPreferences([codec for codec in codecs if codec.mimeType in wanted])
            set_stream_id(line.sender, feed.stream_id)
            line.sender.replaceTrack(self._track(feed, line))
            self._shown[feed] = line
            self._video_lines += 1

    def _track(self, feed: Feed, line: RTCRtpTransceiver) -> FeedTrack:
        sent = SentVideo(
            visitor=self._visitor,
            participant=feed.person.spec.id,
            kind=feed.kind,
            feed=feed.card.number,
            stream_id=feed.stream_id,
        )
        meeting = self._meeting
        meeting.ledger.videos.append(sent)

        def count(frame: int) -> None:
            # A page may decline a line, and then aiortc drops its frames.
            if line.currentDirection == "sendonly":
                sent.sent(frame)

        return FeedTrack(feed, meeting.script.video, meeting.film, meeting.clock, on_sent=count)

    def _state_changed(self) -> None:
        if self._pc.connectionState != "connected" or self._tasks or self._path is None:
            return
        # Not before: what was said while it connected would come all at once, and a receiver that
        # begins with a burst plays late for a long while.
        self._listener = self._meeting.stage.listen()
        self._tasks = [
            asyncio.create_task(distribute(self._listener, self._audio)),
            asyncio.create_task(self._path.run()),
        ]
        self._on_connected()

    def _channel_opened(self, channel: RTCDataChannel) -> None:
        if channel.label == CAPTIONS:
            self._captions = channel
        else:
            log.warning("rehearsal.unknown_channel", label=channel.label, visitor=self._visitor)

    def _flush(self) -> None:
        if self._collections is None or self._collections.readyState != "open":
            return
        for message in self._unsent:
            self._collections.send(message)
        self._unsent.clear()
