"""Whose picture is recorded: the presentation, else who speaks, else who spoke last.

For the capture alone. A director knows participants and their tracks; it touches no picture.
"""

from dataclasses import dataclass

from sitin.contract.meeting import MediaSource

HOLD = 1.0
"""Seconds that somebody has to be the only one heard before the picture changes to them."""
_LOUDER = 2.0
"""By how much somebody has to be louder to take the picture from one who still speaks."""
_FORGET = 0.6
"""Share of a speaker's loudness that is left after a second of silence."""


@dataclass(slots=True)
class _Track:
    stream: str
    alive: bool = True
    last_frame: float = -1.0


@dataclass(slots=True)
class _Rival:
    """Somebody who is about to take the picture."""

    participant: str
    since: float
    heard: float


class Director:
    """Chooses the participant and the track to show.

    Times are seconds on any one clock.
    """

    def __init__(self) -> None:
        self._tracks: dict[int, _Track] = {}
        self._sources: dict[str, MediaSource] = {}
        self._loudness: dict[str, tuple[float, float]] = {}
        self._speaker: str | None = None
        self._rival: _Rival | None = None

    def track(self, number: int, stream: str, *, alive: bool) -> None:
        """A video track has come or ended."""
        self._tracks.setdefault(number, _Track(stream)).alive = alive
        self._tracks[number].stream = stream

    def sources(self, video: dict[str, MediaSource]) -> None:
        """Which participant each media stream belongs to."""
        self._sources = video

    def running(self, number: int, at: float) -> None:
        """Frames of this track have come."""
        self._tracks.setdefault(number, _Track("")).last_frame = at

    def heard(self, participant: str, loudness: float, at: float) -> None:
        """Somebody was heard; ``loudness`` is the root mean square of the samples."""
        before = self._level(participant, at)
        self._loudness[participant] = (max(loudness, before), at)
        self._consider(participant, at)

    @property
    def speaker(self) -> str | None:
        """Who has the word, as far as somebody was heard."""
        return self._speaker

    def on_air(self, at: float) -> int | None:
        """The track to show; ``None`` where the speaker has no picture, or there is none at all."""
        presentation = self._presenting(at)
        if presentation is not None:
            return presentation
        if self._speaker is not None:
            return self._of(self._speaker, at)
        return next((n for n, one in self._tracks.items() if self._visible(one, at)), None)

    def _presenting(self, at: float) -> int | None:
        running = [
            number
            for number, one in self._tracks.items()
            if self._visible(one, at) and self._owner(one).presentation
        ]
        # The newest presentation replaces an older one, as the platforms show it.
        return max(running, default=None)

    def _of(self, participant: str, at: float) -> int | None:
        # Who came back has a second camera track; the first one has ended.
        for number, one in self._tracks.items():
            owner = self._owner(one)
            mine = owner.participant_id == participant and not owner.presentation
            if mine and self._visible(one, at):
                return number
        return None

    def _owner(self, track: _Track) -> MediaSource:
        return self._sources.get(track.stream, MediaSource(participant_id=""))

    def _visible(self, track: _Track, at: float) -> bool:
        # A camera that is off ends its track or sends nothing; a still screen sends one a second.
        patience = 5.0 if self._owner(track).presentation else 2.0
        return track.alive and track.last_frame >= 0 and at - track.last_frame < patience

    def _level(self, participant: str, at: float) -> float:
        loudness, when = self._loudness.get(participant, (0.0, at))
        return float(loudness * _FORGET ** max(0.0, at - when))

    def _consider(self, participant: str, at: float) -> None:
        if participant == self._speaker:
            return
        if self._speaker is None:
            self._speaker = participant
            return
        _, spoke = self._loudness.get(self._speaker, (0.0, -1.0))
        silent = at - spoke > HOLD / 2
        louder = self._level(participant, at) > _LOUDER * self._level(self._speaker, at)
        if not silent and not louder:
            self._rival = None
            return
        rival = self._rival
        if rival is None or rival.participant != participant or at - rival.heard > HOLD / 2:
            self._rival = rival = _Rival(participant, since=at, heard=at)
        rival.heard = at
        if at - rival.since >= HOLD / 2:
            self._speaker = participant
            self._rival = None
