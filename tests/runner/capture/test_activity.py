"""From loudness to turns: speech told from noise, pauses under 0.8 s part of a turn."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitin.runner.capture.activity import (
    PAUSE,
    STEP,
    ActivityLog,
    Levels,
    diarization,
    levels,
    read_activity,
    turns,
    whole_steps,
)
from sitin.runner.capture.sound import RATE
from tests.runner.capture.media import tone

pytestmark = pytest.mark.unit

SILENCE = 127


def loud(*parts: tuple[float, int]) -> Levels:
    """Levels of parts, each so many seconds at so many decibels below full scale."""
    return np.concatenate(
        [np.full(round(seconds * 100), level, np.uint8) for seconds, level in parts]
    )


def rounded(found: list[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(round(start, 2), round(end, 2)) for start, end in found]


def test_the_loudness_of_a_sine_is_what_it_is() -> None:
    # The root mean square of a sine is 3 dB below its peak.
    assert levels(tone(0.1, level=1.0)).tolist() == [3] * 10
    assert levels(tone(0.1, level=0.1)).tolist() == [23] * 10
    assert levels(np.zeros(STEP, np.int16)).tolist() == [SILENCE]
    assert levels(np.zeros(STEP - 1, np.int16)).size == 0


@pytest.mark.parametrize("level", [10, 25, 40, 55])
def test_a_turn_runs_from_the_first_to_the_last_sound(level: int) -> None:
    heard = loud((1.0, SILENCE), (2.0, level), (3.0, SILENCE))
    assert rounded(turns(heard)) == [(1.0, 3.0)]


@pytest.mark.parametrize(("pause", "count"), [(0.1, 1), (0.5, 1), (0.79, 1), (0.8, 2), (1.5, 2)])
def test_pauses_under_0_8_s_are_part_of_a_turn(pause: float, count: int) -> None:
    heard = loud((1.0, 20), (pause, SILENCE), (1.0, 20))
    assert len(turns(heard)) == count


def test_a_room_that_hums_does_not_speak() -> None:
    assert rounded(turns(loud((2.0, 55), (2.0, 22), (2.0, 55)))) == [(2.0, 4.0)]
    assert turns(loud((20.0, 75))) == [], "nobody understands what is fainter than 60 dB"


def test_a_noise_that_begins_later_is_judged_by_its_own_time() -> None:
    quiet = [(1.0, 30), (1.0, 90)] * 60
    noisy = [(1.0, 20), (1.0, 45)] * 60
    found = turns(loud(*quiet, *noisy))
    assert [start for start, _ in rounded(found) if start < 90] == [2.0 * n for n in range(45)]
    # Half a minute is judged with what lies around it, so the change itself is blurred.
    later = [start for start, _ in rounded(found) if start > 150]
    assert later == [152.0 + 2 * n for n in range(44)]


def test_a_click_is_no_word() -> None:
    assert turns(loud((1.0, SILENCE), (0.05, 20), (1.0, SILENCE))) == []
    assert len(turns(loud((1.0, SILENCE), (0.06, 20), (1.0, SILENCE)))) == 1


def test_speech_goes_up_and_down_within_a_turn() -> None:
    """A voice's consonants are 20 dB below its vowels, and belong to it."""
    heard = loud((1.0, 60), *[(0.2, 18), (0.1, 37)] * 20, (1.0, 60))
    assert rounded(turns(heard)) == [(1.0, 7.0)]


@given(
    st.lists(
        st.tuples(st.integers(1, 300), st.sampled_from([SILENCE, 80, 50, 35, 20, 12])), max_size=20
    )
)
def test_turns_are_in_order_apart_and_within_the_recording(parts: list[tuple[int, int]]) -> None:
    heard = loud((0.0, SILENCE), *((steps / 100, level) for steps, level in parts))
    found = turns(heard)
    edges = [edge for turn in found for edge in turn]
    assert edges == sorted(edges)
    assert all(start < end for start, end in found)
    assert all(0 <= edge <= heard.size / 100 + 1e-9 for edge in edges)
    gaps = [later[0] - earlier[1] for earlier, later in itertools.pairwise(found)]
    assert all(gap > PAUSE - 0.01 for gap in gaps)
    if not (heard < 60).any():
        assert found == []


@given(st.floats(0, 20_000))
def test_steps_lie_side_by_side(seconds: float) -> None:
    samples = whole_steps(seconds)
    assert samples % STEP == 0
    assert 0 <= seconds * RATE - samples <= STEP


class TestLog:
    def test_what_is_written_is_read(self, tmp_path: Path) -> None:
        log = ActivityLog(tmp_path / "activity")
        log.add(1, 0, loud((0.5, 20)))
        log.add(2, RATE, loud((0.5, 30)))
        log.add(1, 2 * RATE, loud((0.5, 25)))
        log.add(1, 3 * RATE, loud((0.5, SILENCE)))
        log.close()
        read = read_activity(tmp_path / "activity")
        assert sorted(read) == [1, 2]
        assert read[1].size == read[2].size == 250
        assert rounded(turns(read[1])) == [(0.0, 0.5), (2.0, 2.5)]
        assert rounded(turns(read[2])) == [(1.0, 1.5)]

    @given(st.data())
    def test_cut_off_anywhere_it_tells_what_came_before(
        self, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
    ) -> None:
        path = tmp_path_factory.mktemp("log") / "activity"
        log = ActivityLog(path)
        for n in range(4):
            log.add(1, 2 * n * RATE, loud((0.5, 20)))
        log.close()
        whole = path.read_bytes()
        cut = data.draw(st.integers(0, len(whole)))
        path.write_bytes(whole[:cut])
        records = cut // (len(whole) // 4)
        found = read_activity(path)
        assert len(turns(found[1]) if found else []) == records

    def test_nothing_heard_is_nobody(self, tmp_path: Path) -> None:
        assert read_activity(tmp_path / "none") == {}

    def test_silence_takes_no_room(self, tmp_path: Path) -> None:
        log = ActivityLog(tmp_path / "activity")
        for n in range(3600):
            log.add(1, n * RATE, loud((1.0, SILENCE)))
        log.close()
        assert (tmp_path / "activity").stat().st_size == 0


def test_the_diarization_is_sorted_and_named() -> None:
    segments = diarization(
        {"b": loud((1.0, SILENCE), (1.0, 20)), "a": loud((1.5, SILENCE), (1.0, 20))},
        {"a": "Ada", "b": "Ben"},
    )
    assert [(s.speaker, s.start_time, s.end_time, s.user_id) for s in segments] == [
        ("Ben", 1.0, 2.0, "b"),
        ("Ada", 1.5, 2.5, "a"),
    ]
