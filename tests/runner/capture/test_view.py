"""Whose picture is on air."""

import pytest

from sitin.contract.meeting import MediaSource
from sitin.runner.capture.view import HOLD, Director

pytestmark = pytest.mark.unit

ADA, BEN, SCREEN = 1, 2, 3
LOUD, FAINT = 3000.0, 400.0


class Booth:
    """A director, and time that goes on in tenths of a second."""

    def __init__(self, *tracks: int) -> None:
        self.director = Director()
        self.now = 0.0
        self.live = set(tracks)
        for track in tracks:
            self.director.track(track, f"stream-{track}", alive=True)
        self.director.sources(
            {
                "stream-1": MediaSource(participant_id="ada"),
                "stream-2": MediaSource(participant_id="ben"),
                "stream-3": MediaSource(participant_id="ben", presentation=True),
            }
        )

    def run(self, seconds: float, **speaking: float) -> list[int | None]:
        """Who is on air in each tenth of a second while these speak so loud."""
        seen = []
        for _ in range(round(seconds * 10)):
            self.now += 0.1
            for track in self.live:
                self.director.running(track, self.now)
            for who, loudness in speaking.items():
                self.director.heard(who, loudness, self.now)
            seen.append(self.director.on_air(self.now))
        return seen


def test_before_anybody_speaks_somebody_is_shown() -> None:
    assert set(Booth(ADA, BEN).run(1)) == {ADA}
    assert set(Booth().run(1)) == {None}


def test_who_speaks_is_shown_and_stays_until_another_does() -> None:
    booth = Booth(ADA, BEN)
    assert booth.run(2, ben=LOUD)[-1] == BEN
    assert set(booth.run(10)) == {BEN}
    assert booth.director.speaker == "ben"


def test_another_speaker_is_on_air_within_a_second() -> None:
    booth = Booth(ADA, BEN)
    booth.run(3, ada=LOUD)
    seen = booth.run(3, ben=LOUD)
    assert seen.index(BEN) / 10 <= HOLD + 0.1
    assert set(seen[seen.index(BEN) :]) == {BEN}


def test_a_short_word_between_does_not_take_the_picture() -> None:
    booth = Booth(ADA, BEN)
    booth.run(3, ada=LOUD)
    assert set(booth.run(0.3, ada=LOUD, ben=LOUD)) == {ADA}
    assert set(booth.run(3, ada=LOUD)) == {ADA}
    booth.run(0.4)
    assert set(booth.run(0.3, ben=LOUD)) == {ADA}, "less than half a second of a word"


def test_of_two_at_once_the_louder_has_the_word() -> None:
    booth = Booth(ADA, BEN)
    booth.run(2, ada=FAINT)
    assert booth.run(3, ada=FAINT, ben=LOUD)[-1] == BEN
    assert set(booth.run(3, ada=FAINT, ben=LOUD)) == {BEN}
    even = Booth(ADA, BEN)
    even.run(2, ada=LOUD)
    assert set(even.run(5, ada=LOUD, ben=LOUD * 1.2)) == {ADA}, "no flicker between equals"


def test_a_shared_screen_goes_before_every_speaker() -> None:
    booth = Booth(ADA, BEN)
    booth.run(2, ada=LOUD)
    booth.director.track(SCREEN, "stream-3", alive=True)
    booth.live.add(SCREEN)
    assert set(booth.run(2, ada=LOUD)) == {SCREEN}
    booth.live.discard(SCREEN)
    assert set(booth.run(4.8, ada=LOUD)) == {SCREEN}, "a still screen sends a frame in 5 s"
    assert booth.run(0.5, ada=LOUD)[-1] == ADA
    booth.live.add(SCREEN)
    booth.run(1)
    booth.director.track(SCREEN, "stream-3", alive=False)
    assert set(booth.run(1)) == {ADA}


def test_the_newest_of_two_screens_is_shown() -> None:
    booth = Booth(ADA, SCREEN)
    booth.director.sources(
        {
            "stream-3": MediaSource(participant_id="ben", presentation=True),
            "stream-4": MediaSource(participant_id="ada", presentation=True),
        }
    )
    booth.director.track(4, "stream-4", alive=True)
    booth.live.add(4)
    assert set(booth.run(1)) == {4}


def test_a_camera_that_is_off_leaves_a_card() -> None:
    booth = Booth(ADA, BEN)
    booth.run(3, ben=LOUD)
    booth.live.discard(BEN)
    seen = booth.run(4, ben=LOUD)
    assert seen[-1] is None
    assert seen.index(None) <= 21, "after two seconds without a frame"
    booth.live.add(BEN)
    assert set(booth.run(1, ben=LOUD)) == {BEN}
    booth.director.track(BEN, "stream-2", alive=False)
    assert set(booth.run(1, ben=LOUD)) == {None}


def test_who_has_no_camera_at_all_speaks_on_a_card() -> None:
    booth = Booth(ADA)
    assert booth.run(2, ben=LOUD)[-1] is None
    assert booth.director.speaker == "ben"
    assert booth.run(3, ada=LOUD)[-1] == ADA
