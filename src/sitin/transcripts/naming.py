"""Whose voice an utterance is, where the engine tells voices apart by number only.

Used by the assembly of transcripts. The diarization knows names and times, the engine knows words,
times and numbers; the names of those who spoke at a voice's times are its votes.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sitin.contract.recording import DiarizationSegment

TOLERANCE = 1.0
"""Seconds by which a diarization segment may miss an utterance; from the public API's guides."""

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Name:
    """The participant a voice belongs to."""

    name: str
    confidence: float
    """The share of this name in all votes for the voice, 0 to 1."""


def name_voices(
    voices: Mapping[Hashable, Sequence[Interval]], diarization: Sequence[DiarizationSegment]
) -> dict[Hashable, Name]:
    """Name each voice by the majority of the time it shares with participants.

    Time within a participant's segments counts twice, time within the tolerance around them once:
    a signal that lags is forgiven, and quick turns are still told apart.

    Args:
        voices: The times of each voice's utterances, in seconds from the recording's start.
        diarization: Who spoke when, on the same clock.

    A voice that nobody spoke at the times of is left out.
    """
    turns = [_turns(diarization, widened=by) for by in (0.0, TOLERANCE)]
    named: dict[Hashable, Name] = {}
    for voice, times in voices.items():
        votes: Counter[str] = Counter()
        for kind in turns:
            votes.update(_shared_time(times, kind))
        total = sum(votes.values())
        if total > 0:
            winner = max(votes, key=lambda name: (votes[name], name))
            named[voice] = Name(winner, round(votes[winner] / total, 3))
    return named


def _turns(
    diarization: Iterable[DiarizationSegment], *, widened: float
) -> dict[str, list[Interval]]:
    """Each participant's times, sorted, none overlapping another."""
    times: defaultdict[str, list[Interval]] = defaultdict(list)
    for segment in diarization:
        times[segment.speaker].append((segment.start_time - widened, segment.end_time + widened))
    return {name: _merged(intervals) for name, intervals in times.items()}


def _merged(intervals: Iterable[Interval]) -> list[Interval]:
    merged: list[Interval] = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def _shared_time(
    times: Sequence[Interval], turns: Mapping[str, Sequence[Interval]]
) -> dict[str, float]:
    shared: dict[str, float] = {}
    for name, intervals in turns.items():
        seconds = sum(_overlap(time, intervals) for time in times)
        if seconds > 0:
            shared[name] = seconds
    return shared


def _overlap(time: Interval, intervals: Sequence[Interval]) -> float:
    start, end = time
    seconds = 0.0
    first = max(0, bisect_right(intervals, (start, float("inf"))) - 1)
    for turn_start, turn_end in intervals[first:]:
        if turn_start >= end:
            break
        seconds += max(0.0, min(end, turn_end) - max(start, turn_start))
    return seconds
