import pytest

from sitin.rehearsal.pool import TRACKS, Sending, SpeakerPool

pytestmark = pytest.mark.unit


def speak(pool: SpeakerPool, **levels: int) -> list[str | None]:
    """One packet's time; speakers by letter, levels in dB below full scale."""
    sending = [Sending(ord(letter), b"", level) for letter, level in levels.items()]
    tracks = pool.assign(sending)
    return [chr(item.source) if item is not None else None for item in tracks]


def test_speakers_one_after_another_share_a_track() -> None:
    pool = SpeakerPool()
    assert speak(pool, a=20) == ["a", None, None]
    assert speak(pool) == [None, None, None]
    assert speak(pool, b=20) == ["b", None, None]


def test_a_speaker_keeps_the_track_while_speaking() -> None:
    pool = SpeakerPool()
    speak(pool, a=20)
    assert speak(pool, a=20, b=20) == ["a", "b", None]
    assert speak(pool, b=20) == [None, "b", None]
    assert speak(pool, b=20, c=20) == ["c", "b", None]


def test_at_most_three_are_heard() -> None:
    pool = SpeakerPool()
    speak(pool, a=20, b=20, c=20)
    assert speak(pool, a=20, b=20, c=20, d=20) == ["a", "b", "c"]
    assert len(speak(pool, a=20, b=20, c=20, d=20, e=20)) == TRACKS


def test_among_newcomers_the_loudest_are_heard() -> None:
    assert speak(SpeakerPool(), a=50, b=20, c=30, d=40) == ["b", "c", "d"]


def test_a_much_louder_newcomer_takes_the_quietest_track() -> None:
    pool = SpeakerPool()
    speak(pool, a=20)
    speak(pool, a=20, b=45)
    assert speak(pool, a=20, b=45, c=30) == ["a", "b", "c"]
    assert speak(pool, a=20, b=45, c=30, d=15) == ["a", "d", "c"]


def test_a_slightly_louder_newcomer_does_not() -> None:
    pool = SpeakerPool()
    speak(pool, a=20)
    speak(pool, a=20, b=25)
    assert speak(pool, a=20, b=25, c=20, d=21) == ["a", "b", "c"]


def test_a_breath_does_not_cost_the_track() -> None:
    pool = SpeakerPool()
    for _ in range(50):
        speak(pool, a=20, b=20, c=20, d=25)
    assert speak(pool, a=127, b=20, c=20, d=25) == ["a", "b", "c"]
