import asyncio

import pytest

from sitin.rehearsal.clock import ScriptClock
from sitin.rehearsal.people import Person
from sitin.rehearsal.script import Participant, Video
from sitin.rehearsal.sound import Beat, CaptionLine, SoundStage
from sitin.rehearsal.truth import Ledger
from sitin.rehearsal.voices import from_samples
from tests.rehearsal.sounds import tone

pytestmark = pytest.mark.unit


def person(name: str, position: int) -> Person:
    made = Person(Participant(name=name), position, Video())
    made.device_id, made.source = f"device {position}", 100 + position
    return made


class Stage:
    """A stage whose beats come when a test wants them, not every 20 ms."""

    def __init__(self) -> None:
        self.ledger = Ledger("abc-defg-hij")
        self.clock = ScriptClock()
        self.speaking: list[set[str]] = []
        self.captions: list[CaptionLine] = []
        self.stage = SoundStage(
            self.clock,
            self.ledger,
            on_speaking=lambda people: self.speaking.append({p.spec.name for p in people}),
            on_caption=self.captions.append,
            on_quiet=lambda: None,
        )
        self.listener = self.stage.listen()
        self.number = 0

    async def beats(self, count: int) -> list[Beat]:
        heard = []
        for _ in range(count):
            self.stage._beat(self.number)
            self.number += 1
            heard.append(await self.listener.get())
        return heard


async def heard_sources(stage: Stage, count: int) -> list[set[int]]:
    return [
        {item.source for item in tracks if item is not None}
        for _, tracks in await stage.beats(count)
    ]


async def test_before_the_clock_runs_there_is_silence() -> None:
    stage = Stage()
    stage.stage.schedule(0, person("Ada", 0), from_samples(tone((1, True)), "hi"))
    assert await heard_sources(stage, 20) == [set()] * 20
    stage.clock.start()
    assert await heard_sources(stage, 1) == [{100}]


async def test_speech_begins_on_its_beat_and_ends() -> None:
    stage = Stage()
    stage.stage.schedule(0.2, person("Ada", 0), from_samples(tone((0.4, True), (1, False)), "hi"))
    stage.clock.start()
    sources = await heard_sources(stage, 60)
    assert [bool(item) for item in sources] == [False] * 10 + [True] * 30 + [False] * 20
    (sound,) = stage.ledger.sounds
    assert sound.complete
    assert stage.stage.quiet


async def test_a_muted_or_absent_speaker_is_not_heard_and_not_true() -> None:
    stage = Stage()
    muted, absent = person("Ada", 0), person("Ben", 1)
    muted.muted, absent.device_id = True, ""
    for who in (muted, absent):
        stage.stage.schedule(0, who, from_samples(tone((0.2, True)), "hi"))
    stage.clock.start()
    assert await heard_sources(stage, 20) == [set()] * 20
    assert stage.ledger.sounds == []


async def test_who_is_cut_off_has_not_said_all() -> None:
    stage = Stage()
    ada = person("Ada", 0)
    stage.stage.schedule(0, ada, from_samples(tone((1, True)), "a long sentence"))
    stage.clock.start()
    await stage.beats(25)
    stage.stage.silence(ada)
    assert await heard_sources(stage, 2) == [set(), set()]
    assert [sound.complete for sound in stage.ledger.sounds] == [False]


async def test_a_turn_that_is_not_sent_because_of_louder_ones_is_not_true() -> None:
    stage = Stage()
    for position in range(3):
        loud = from_samples(tone((0.4, True), level=0.5), "loud")
        stage.stage.schedule(0, person(f"Loud {position}", position), loud)
    faint = from_samples(tone((0.3, True), level=0.02), "faint")
    stage.stage.schedule(0.02, person("Faint", 3), faint)
    stage.clock.start()
    await stage.beats(30)
    assert {sound.speaker for sound in stage.ledger.sounds} == {"Loud 0", "Loud 1", "Loud 2"}


async def test_speakers_are_shown_for_a_moment_longer_than_they_speak() -> None:
    stage = Stage()
    stage.stage.schedule(0, person("Ada", 0), from_samples(tone((0.4, True)), "hi"))
    stage.clock.start()
    await stage.beats(40)
    assert stage.speaking == [{"Ada"}]
    await stage.beats(10)
    assert stage.speaking == [{"Ada"}, set()]


async def test_captions_grow_until_they_are_final() -> None:
    stage = Stage()
    words = "one two three four five six"
    stage.stage.schedule(0, person("Ada", 0), from_samples(tone((2.5, True)), words))
    stage.clock.start()
    await stage.beats(140)
    assert [line.final for line in stage.captions] == [False, False, False, True]
    assert len({line.caption_id for line in stage.captions}) == 1
    assert [line.version for line in stage.captions] == [1, 2, 3, 4]
    lengths = [len(line.text) for line in stage.captions]
    assert lengths == sorted(lengths)
    assert stage.captions[-1].text == words


async def test_beeps_come_with_the_flashes_and_are_no_turns() -> None:
    stage = Stage()
    stage.stage.beep(person("Ada", 0))
    stage.clock.start()
    loud = [
        number
        for number, tracks in await stage.beats(250)
        if tracks[0] is not None and tracks[0].level < 40
    ]
    # Every two seconds, 80 ms: beats 100..103 and 200..203.
    assert loud == [100, 101, 102, 103, 200, 201, 202, 203]
    assert stage.ledger.sounds == []


async def test_the_beat_keeps_time() -> None:
    stage = Stage()
    running = asyncio.create_task(stage.stage.run())
    first = await stage.listener.get()
    start = stage.stage.next_beat_at
    while True:
        number, _ = await stage.listener.get()
        if number == first[0] + 10:
            break
    assert start is not None
    assert stage.stage.next_beat_at is not None
    assert stage.stage.next_beat_at >= start + 9 * 0.02
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
