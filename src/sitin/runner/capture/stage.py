"""The picture on air: frames of the chosen track, a card with names where there is none.

For the capture alone; the same during the meeting and when a dense recording is composed.
"""

from collections.abc import Callable

import av

from sitin.runner.capture.cards import name_card
from sitin.runner.capture.frames import EncodedVideo
from sitin.runner.capture.picture import (
    PictureDecoder,
    PictureWriter,
    decodable,
    passable,
)
from sitin.runner.capture.rtp import RtpClock

VIDEO_RATE = 90_000
CARD_EVERY = 1.0
"""Seconds between repetitions of a still picture."""
_ROUNDING = 0.01
"""Seconds by which a repetition may come early: times are sums of binary fractions."""
_FIRST_PICTURE_WITHIN = 3.0
"""Seconds for the first frame of a track that runs; then names are shown until it comes."""
Names = tuple[str, ...]
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
        self._names: Names = ()
        """Who is named where no track is shown."""
        self._card: Names | None = None
        """The names on the card that is shown, if one is."""
        self._drawn: tuple[Names, av.VideoFrame] | None = None
        self._card_shown = False
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

    def want(self, track: int | None, names: Names) -> None:
        """Show this track as soon as it can be, or a card with ``names`` where it is ``None``."""
        self.wanted = track
        self._names = names
        card = names if track is None else None
        if card is not None and card != self._card:
            # Whoever's frames may still come, from here on they are not shown.
            self.shown = None
            self._card_shown = False
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
        if seconds < 0:
            return
        if self._card is None:
            if self._writer.last < 0 and seconds >= _FIRST_PICTURE_WITHIN:
                self._show_card(self._names, seconds)
            return
        if not self._card_shown:
            self._card_shown = self._show_card(self._card, seconds)
        while self._card_shown and self._writer.last + CARD_EVERY <= seconds + _ROUNDING:
            self._show_card(self._card, self._writer.last + CARD_EVERY)

    def finish(self, end: float) -> None:
        """The recording ends at ``end``; shows its last picture until then.

        A recording to which no picture came is a card with names.
        """
        if self._writer.last < 0:
            self._show_card(self._names, 0.0)
        self._writer.finish(end)

    def _show_card(self, names: Names, seconds: float) -> bool:
        if self._drawn is None or self._drawn[0] != names:
            self._drawn = (names, name_card(names))
        self._passing = False
        return self._writer.show(self._drawn[1], seconds)

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
