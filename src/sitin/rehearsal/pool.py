"""Which speaker is heard on which of the pooled audio tracks, as an SFU assigns them. For stage.

Meet sends three audio tracks however many people speak; the contributing source of each packet
tells whose it is. A speaker keeps a track while speaking; a newcomer takes the lowest free track,
so that tracks change owners as they do in a meeting; with all taken, the loudest are heard.
"""

from dataclasses import dataclass, field

TRACKS = 3

_SMOOTHING = 0.1
"""Share of a new packet in a speaker's loudness: about half a second of memory."""
_LOUDER_BY = 6.0
"""Decibels by which a newcomer has to be louder to take a track from a speaker."""


@dataclass(frozen=True, slots=True)
class Sending:
    """What a speaker sends in this packet's time."""

    source: int
    """The speaker's contributing source."""
    payload: bytes
    level: int
    """RFC 6464: 0 is full scale, 127 is silence."""


@dataclass(slots=True)
class SpeakerPool:
    """The tracks and who holds them."""

    holders: list[int | None] = field(default_factory=lambda: [None] * TRACKS)
    """Contributing source per track while its speaker speaks."""
    _loudness: dict[int, float] = field(default_factory=dict)

    def assign(self, sending: list[Sending]) -> list[Sending | None]:
        """Give each track what it carries now; whoever sends nothing has stopped speaking."""
        by_source = {item.source: item for item in sending}
        for source in [source for source in self._loudness if source not in by_source]:
            del self._loudness[source]
        for item in sending:
            before = self._loudness.get(item.source, float(-item.level))
            self._loudness[item.source] = before + _SMOOTHING * (-item.level - before)
        self.holders = [source if source in by_source else None for source in self.holders]
        waiting = [source for source in by_source if source not in self.holders]
        for source in sorted(waiting, key=self._loudness.__getitem__, reverse=True):
            self._place(source)
        return [by_source[source] if source is not None else None for source in self.holders]

    def _place(self, source: int) -> None:
        if None in self.holders:
            self.holders[self.holders.index(None)] = source
            return
        quietest = min(range(TRACKS), key=lambda track: self._loudness[self.holders[track] or 0])
        held = self.holders[quietest]
        assert held is not None
        if self._loudness[source] > self._loudness[held] + _LOUDER_BY:
            self.holders[quietest] = source
