"""Voices get the names of those who spoke at their times."""

import itertools
from collections.abc import Hashable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitin.contract.recording import DiarizationSegment
from sitin.transcripts.naming import TOLERANCE, Interval, name_voices

pytestmark = pytest.mark.unit


def turn(speaker: str, start: float, end: float) -> DiarizationSegment:
    return DiarizationSegment(speaker=speaker, start_time=start, end_time=end)


def names(
    voices: dict[Hashable, Sequence[Interval]], *turns: DiarizationSegment
) -> dict[Hashable, str]:
    return {voice: name.name for voice, name in name_voices(voices, turns).items()}


def test_each_voice_gets_the_name_of_its_times() -> None:
    voices: dict[Hashable, Sequence[Interval]] = {0: [(0, 4), (10, 13)], 1: [(5, 9)]}
    turns = [turn("Ada", 0, 4), turn("Grace", 5, 9), turn("Ada", 10, 13)]
    assert names(voices, *turns) == {0: "Ada", 1: "Grace"}


def test_times_may_miss_each_other_by_a_second() -> None:
    assert names({0: [(5.0, 6.0)]}, turn("Ada", 2.0, 4.1)) == {0: "Ada"}
    assert names({0: [(5.0, 6.0)]}, turn("Ada", 2.0, 3.9)) == {}


def test_the_majority_wins_and_its_share_is_the_confidence() -> None:
    turns = [turn("Ada", 10, 19), turn("Grace", 30, 32)]
    named = name_voices({0: [(10, 19), (30, 33)]}, turns)
    assert named[0].name == "Ada"
    assert named[0].confidence == pytest.approx(18 / 23, abs=0.001)


def test_one_name_alone_is_certain() -> None:
    assert name_voices({0: [(1, 2)]}, [turn("Ada", 0, 9)])[0].confidence == 1.0


def test_two_voices_may_be_one_participant() -> None:
    assert names({0: [(0, 2)], 1: [(3, 4)]}, turn("Ada", 0, 5)) == {0: "Ada", 1: "Ada"}


def test_quick_turns_are_told_apart() -> None:
    # Each is within a second of all of both voices.
    turns = [turn("Ada", 0, 0.9), turn("Grace", 1, 1.9), turn("Ada", 2, 2.9)]
    voices: dict[Hashable, Sequence[Interval]] = {0: [(0, 0.9), (2, 2.9)], 1: [(1, 1.9)]}
    assert names(voices, *turns) == {0: "Ada", 1: "Grace"}


def test_a_persons_segments_do_not_count_twice_where_they_widen_into_each_other() -> None:
    turns = [turn("Ada", 10, 11), turn("Ada", 11.5, 12), turn("Grace", 10, 13)]
    named = name_voices({0: [(10, 13)]}, turns)
    # Grace: 3 s twice. Ada: 1.5 s, and 3 s with the tolerance.
    assert named[0].name == "Grace"
    assert named[0].confidence == pytest.approx(6 / 10.5, abs=0.001)


def test_two_at_once_are_told_apart_by_the_rest_of_their_times() -> None:
    turns = [turn("Ada", 0, 10), turn("Grace", 8, 20)]
    voices: dict[Hashable, Sequence[Interval]] = {0: [(0, 10)], 1: [(8, 20)]}
    assert names(voices, *turns) == {0: "Ada", 1: "Grace"}


def test_nobody_and_nothing() -> None:
    assert name_voices({}, [turn("Ada", 0, 1)]) == {}
    assert name_voices({0: [(0, 1)]}, []) == {}
    assert name_voices({0: []}, [turn("Ada", 0, 1)]) == {}


interval = st.tuples(st.floats(0, 500, allow_nan=False), st.floats(0.01, 20, allow_nan=False)).map(
    lambda pair: (pair[0], pair[0] + pair[1])
)


@given(
    times=st.lists(interval, min_size=1, max_size=20),
    turns=st.lists(st.tuples(st.sampled_from(["Ada", "Grace", "Alan"]), interval), max_size=40),
)
def test_agrees_with_counting_moment_by_moment(
    times: list[Interval], turns: list[tuple[str, Interval]]
) -> None:
    segments = [turn(name, start, end) for name, (start, end) in turns]
    votes: dict[str, float] = {}
    for widened in (0.0, TOLERANCE):
        spans = [(name, start - widened, end + widened) for name, (start, end) in turns]
        edges = sorted(
            {edge for time in times for edge in time}
            | {edge for _, start, end in spans for edge in (start, end)}
        )
        for left, right in itertools.pairwise(edges):
            middle = (left + right) / 2
            said = sum(start <= middle < end for start, end in times)
            for name in {name for name, start, end in spans if start <= middle < end}:
                votes[name] = votes.get(name, 0.0) + said * (right - left)
    votes = {name: seconds for name, seconds in votes.items() if seconds > 0}
    named = name_voices({0: times}, segments)
    if not votes:
        assert named == {}
        return
    assert votes[named[0].name] == pytest.approx(max(votes.values()))
    share = votes[named[0].name] / sum(votes.values())
    assert named[0].confidence == pytest.approx(share, abs=0.002)
