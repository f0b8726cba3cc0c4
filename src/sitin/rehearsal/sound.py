"""What is heard: every 20 ms, one packet for each pooled track. For the meeting.

One beat drives all visitors, so that they hear the same packets at the same instant, and so that
the truth knows when each was sent.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache

import numpy as np

from sitin.kit.clock import SystemClock
from sitin.rehearsal.clock import ScriptClock
from sitin.rehearsal.people import Person
from sitin.rehearsal.pictures import SYNC_LENGTH, SYNC_PERIOD
from sitin.rehearsal.pool import Sending, SpeakerPool
from sitin.rehearsal.truth import Ledger, SpokenSound
from sitin.rehearsal.voices import PACKET_SECONDS, RATE, Utterance, from_samples

Beat = tuple[int, list[Sending | None]]
"""Number of the beat since the meeting opened, and what each track carries."""

_SPEAKING_HOLD = 20
"""Beats (0.4 s) for which somebody is still shown as speaking after their last sound."""
_AUDIBLE_LEVEL = 40
"""A packet of this level or louder counts as speaking: a level of 0.01 of full scale."""
_PACKET_LENGTH = timedelta(seconds=PACKET_SECONDS)
_CAPTION_BEATS = 50
"""Beats between two versions of a caption: a second."""


@dataclass(eq=False, slots=True)
class Performance:
    """An utterance that is due or under way."""

    person: Person
    utterance: Utterance
    first_beat: int
    number: int
    sent: dict[int, SpokenSound] = field(default_factory=dict)
    """Sounds that have begun, by their index."""

    def position(self, beat: int) -> int:
        """Index of the packet that is due in this beat."""
        return beat - self.first_beat


@dataclass(frozen=True, slots=True)
class CaptionLine:
    """A version of a caption."""

    person: Person
    caption_id: int
    version: int
    text: str
    final: bool


class Listener:
    """One visitor's end of the beat: packets wait here until its connection takes them."""

    def __init__(self) -> None:
        self._beats: deque[Beat] = deque(maxlen=50)
        self._arrived = asyncio.Event()

    def put(self, beat: Beat) -> None:
        """Hand over a beat; a listener that takes none for a second loses the oldest."""
        self._beats.append(beat)
        self._arrived.set()

    async def get(self) -> Beat:
        """The next beat."""
        while not self._beats:
            self._arrived.clear()
            await self._arrived.wait()
        return self._beats.popleft()


class SoundStage:
    """Speaks the script's utterances when they are due and hands packets to the listeners."""

    def __init__(
        self,
        clock: ScriptClock,
        ledger: Ledger,
        *,
        on_speaking: Callable[[frozenset[Person]], None],
        on_caption: Callable[[CaptionLine], None],
        on_quiet: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._wall = SystemClock()
        self._ledger = ledger
        self._on_speaking = on_speaking
        self._on_caption = on_caption
        self._on_quiet = on_quiet
        self._pool = SpeakerPool()
        self._listeners: set[Listener] = set()
        self._waiting: list[tuple[float, Person, Utterance]] = []
        self._performances: list[Performance] = []
        self._count = 0
        self._next_beat_at: float | None = None
        self._clock_beat: int | None = None
        self._audible: dict[Person, int] = {}
        self._speaking: frozenset[Person] = frozenset()
        self._beeper: Person | None = None

    def beep(self, person: Person) -> None:
        """Let somebody beep with every sync mark."""
        self._beeper = person

    def schedule(self, at: float, person: Person, utterance: Utterance) -> None:
        """Speak an utterance at a moment of the script's clock; a past one means now."""
        self._waiting.append((at, person, utterance))

    def silence(self, person: Person) -> None:
        """Cut off what somebody is saying."""
        self._performances = [p for p in self._performances if p.person is not person]

    def silence_everybody(self) -> None:
        """Cut off whatever is said and drop what was to be said later."""
        self._performances.clear()
        self._waiting.clear()

    def listen(self) -> Listener:
        """A new listener; it hears everything from the next beat on."""
        listener = Listener()
        self._listeners.add(listener)
        return listener

    def dismiss(self, listener: Listener) -> None:
        """Forget a listener."""
        self._listeners.discard(listener)

    @property
    def quiet(self) -> bool:
        """Whether nobody says anything and nothing more is due."""
        return not self._waiting and not self._performances

    @property
    def next_beat_at(self) -> float | None:
        """Time of the next beat on the event loop's clock, once it beats."""
        return self._next_beat_at

    async def run(self) -> None:
        """Beat until cancelled. A beat that comes late is followed at once by those it held up."""
        loop = asyncio.get_running_loop()
        zero = loop.time()
        beat = 0
        while True:
            self._next_beat_at = zero + beat * PACKET_SECONDS
            delay = self._next_beat_at - loop.time()
            if delay > 0:
                await asyncio.sleep(delay)
            self._beat(beat)
            beat += 1

    def _beat(self, beat: int) -> None:
        self._begin_due(beat)
        sending: dict[int, tuple[Sending, Performance | None]] = {}
        for performance in self._performances:
            item = _packet(performance, beat)
            if item is not None:
                sending[item.source] = (item, performance)
        beep = self._beep(beat)
        if beep is not None:
            sending[beep.source] = (beep, None)
        tracks = self._pool.assign([item for item, _ in sending.values()])
        for listener in self._listeners:
            listener.put((beat, tracks))
        for item in tracks:
            if item is not None:
                source = sending[item.source][1]
                if source is not None:
                    self._note(source, item, beat)
        before = len(self._performances)
        self._performances = [
            p for p in self._performances if p.position(beat) + 1 < len(p.utterance.packets)
        ]
        if before and self.quiet:
            self._on_quiet()
        self._tell_speaking(beat)

    def _begin_due(self, beat: int) -> None:
        if not self._clock.running:
            return
        if self._clock_beat is None:
            self._clock_beat = beat
        for entry in list(self._waiting):
            at, person, utterance = entry
            first = self._clock_beat + round(at / PACKET_SECONDS)
            if first <= beat:
                self._waiting.remove(entry)
                self._count += 1
                performance = Performance(person, utterance, beat, self._count)
                self._performances.append(performance)

    def _beep(self, beat: int) -> Sending | None:
        if self._beeper is None or self._clock_beat is None or not self._beeper.present:
            return None
        period = round(SYNC_PERIOD / PACKET_SECONDS)
        since = beat - self._clock_beat
        position = since % period
        packets = _beep_packets()
        if since < period or position >= len(packets.packets):
            return None
        return Sending(self._beeper.source, packets.packets[position], packets.levels[position])

    def _note(self, performance: Performance, item: Sending, beat: int) -> None:
        """Write into the ledger what this packet was part of."""
        position = performance.position(beat)
        if item.level <= _AUDIBLE_LEVEL:
            self._audible[performance.person] = beat
        for index, sound in enumerate(performance.utterance.sounds):
            if not sound.first <= position <= sound.last:
                continue
            now = self._wall.now()
            end = now + _PACKET_LENGTH
            spoken = performance.sent.get(index)
            if spoken is None:
                person = performance.person
                spoken = SpokenSound(person.spec.id, person.spec.name, sound.text, now, end)
                performance.sent[index] = spoken
                self._ledger.sounds.append(spoken)
            spoken.end = end
            spoken.complete = position == sound.last
            self._caption(performance, index, position)

    def _caption(self, performance: Performance, index: int, position: int) -> None:
        sound = performance.utterance.sounds[index]
        since = position - sound.first
        final = position == sound.last
        if not final and since % _CAPTION_BEATS:
            return
        words = sound.text.split()
        share = (since + 1) / (sound.last - sound.first + 1)
        shown = words if final else words[: max(1, round(len(words) * share))]
        self._on_caption(
            CaptionLine(
                person=performance.person,
                caption_id=performance.number * 100 + index,
                version=since // _CAPTION_BEATS + 1 + final,
                text=" ".join(shown),
                final=final,
            )
        )

    def _tell_speaking(self, beat: int) -> None:
        speaking = frozenset(
            person for person, last in self._audible.items() if beat - last <= _SPEAKING_HOLD
        )
        if speaking != self._speaking:
            self._speaking = speaking
            self._on_speaking(speaking)


def _packet(performance: Performance, beat: int) -> Sending | None:
    person = performance.person
    if not person.present or person.muted:
        return None
    position = performance.position(beat)
    utterance = performance.utterance
    return Sending(person.source, utterance.packets[position], utterance.levels[position])


@lru_cache(maxsize=1)
def _beep_packets() -> Utterance:
    """A beep of the length of a sync mark, 1 kHz at half of full scale, and the silence after."""
    times = np.arange(int(SYNC_LENGTH * RATE)) / RATE
    tone = np.sin(2 * np.pi * 1000 * times) * 16384
    samples = np.concatenate([tone, np.zeros(round(0.1 * RATE))]).astype(np.int16)
    return from_samples(samples, "beep")
