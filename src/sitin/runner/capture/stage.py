"""The picture on air: frames of the chosen track, a name card where there is none.

For the capture alone; the same during the meeting and when a dense recording is composed.
"""

from collections.abc import Callable

from sitin.runner.capture.frames import EncodedVideo
from sitin.runner.capture.picture import (
    PictureDecoder,
    PictureWriter,
    decodable,
    name_card,
    passable,
)
from sitin.runner.capture.rtp import RtpClock

VIDEO_RATE = 90_000
_CARD_EVERY = 1.0
"""Seconds between repetitions of a still picture."""
_H264 = "video/H264"


class Stage:
    """Shows one track at a time; changes to another at that one's key frame and not before."""

    def __init__(self, writer: PictureWriter, origin: float) -> None:
        self._writer = writer
        self._origin = origin
        self._codecs: dict[int, str] = {}
        self._clocks: dict[int, RtpClock] = {}
        self._decoder: PictureDecoder | None = None
        self._passing = False
        self._passed = b""
        """The parameters of what was passed on, from the first on."""
        self._card: str | None = None
        self._card_every = _CARD_EVERY
        """Until a new card has been shown, every moment is the right one."""
        self.wanted: int | None = None
        self.shown: int | None = None
        self.on_change: Callable[[], None] = lambda: None

    def codec(self, track: int, mime_type: str) -> bool:
        """Note a track's codec; false when its pictures cannot be decoded."""
        if self._codecs.get(track) != mime_type and track == self.shown:
            self.shown = None
        if not decodable(mime_type):
            self._codecs.pop(track, None)
            return False
        self._codecs[track] = mime_type
        return True

    def want(self, track: int | None, name: str) -> None:
        """Show this track as soon as it can be, or ``name`` on a card where it is ``None``."""
        self.wanted = track
        card = name if track is None else None
        if card is not None and card != self._card:
            # Whoever's frames may still come, from here on they are not shown.
            self.shown = None
            self._card_every = 0.0
        self._card = card

    def frame(self, frame: EncodedVideo) -> None:
        """Take a frame of any track."""
        clock = self._clocks.setdefault(frame.track, RtpClock(VIDEO_RATE))
        seconds = clock.time(frame.rtp, frame.received) - self._origin
        if frame.track == self.wanted != self.shown and frame.key:
            self.shown = frame.track
            self._decoder = None
            self.on_change()
        if frame.track != self.shown or frame.track not in self._codecs:
            return
        self._show(frame, seconds)

    def idle(self, seconds: float) -> None:
        """Time has come to ``seconds`` from the start: repeat the card if one is shown."""
        if self._card is None or seconds - self._writer.last < self._card_every:
            return
        self._passing = False
        if self._writer.show(name_card(self._card), seconds):
            self._card_every = _CARD_EVERY

    def _show(self, frame: EncodedVideo, seconds: float) -> None:
        mime_type = self._codecs[frame.track]
        if frame.key and mime_type == _H264:
            # Passed on only while its parameters are those of what was passed on before; otherwise
            # decoded and encoded.
            parameters = passable(frame)
            self._passing = bool(parameters) and self._passed in (b"", parameters)
            if self._passing:
                self._passed = parameters
        if self._passing and mime_type == _H264:
            self._decoder = None
            if seconds >= 0:
                self._writer.pass_through(frame, seconds)
            return
        self._passing = False
        if self._decoder is None:
            self._decoder = PictureDecoder(mime_type)
        picture = self._decoder.decode(frame)
        if picture is not None and seconds >= 0:
            self._writer.show(picture, seconds)
