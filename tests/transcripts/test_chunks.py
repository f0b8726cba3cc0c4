"""Long recordings are cut where an engine wants it, to the sample."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitin.transcripts.chunks import SHORTEST, chunk_starts, cut
from tests.speech import RATE, Samples, read_audio, write_flac

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def noise() -> Samples:
    """Seven and a bit seconds in which every sample can be told from the next."""
    rng = np.random.default_rng(7)
    return rng.integers(-3000, 3000, int(7.1 * RATE)).astype(np.int16)


@pytest.mark.parametrize(
    ("duration", "starts"),
    [
        (0.0, [0.0]),
        (3600.0, [0.0]),
        (7200.0, [0.0]),
        (7200.9, [0.0]),
        (7202.0, [0.0, 7200.0]),
        (14400.5, [0.0, 7200.0]),
        (14402.0, [0.0, 7200.0, 14400.0]),
    ],
)
def test_a_chunk_is_two_hours(duration: float, starts: list[float]) -> None:
    assert chunk_starts(duration, 7200.0) == starts


def test_no_limit_no_chunks() -> None:
    assert chunk_starts(1e6, None) == [0.0]


@given(duration=st.floats(0, 1e5), longest=st.floats(10, 1e4))
def test_chunks_cover_the_recording(duration: float, longest: float) -> None:
    starts = chunk_starts(duration, longest)
    ends = [*starts[1:], duration]
    assert all(
        end - start <= longest + SHORTEST + 1e-6 for start, end in zip(starts, ends, strict=True)
    )
    assert starts[0] == 0.0
    assert len(starts) == 1 or duration - starts[-1] >= SHORTEST - 1e-6


def test_chunks_joined_are_the_recording(tmp_path: Path, noise: Samples) -> None:
    source = tmp_path / "output.flac"
    write_flac(source, noise)
    edges: list[float | None] = [0.0, 2.0, 4.123, None]
    parts = []
    for number, (start, end) in enumerate(itertools.pairwise(edges)):
        target = tmp_path / f"{number}.flac"
        cut(source, target, start=start or 0.0, end=end)
        parts.append(read_audio(target))
    assert [len(part) for part in parts[:2]] == [2 * RATE, round(2.123 * RATE)]
    np.testing.assert_array_equal(np.concatenate(parts), noise)


def test_a_stereo_recording_becomes_mono(tmp_path: Path, noise: Samples) -> None:
    import av
    from av.audio.frame import AudioFrame

    source = tmp_path / "output.flac"
    with av.open(str(source), "w", format="flac") as container:
        stream = container.add_stream("flac", rate=44_100)
        stream.layout = "stereo"
        frame = AudioFrame.from_ndarray(noise[None, : 2 * 88_200], "s16", "stereo")
        frame.sample_rate = 44_100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    cut(source, tmp_path / "cut.flac", start=0.5, end=1.5)
    with av.open(str(tmp_path / "cut.flac"), "r") as container:
        audio = container.streams.audio[0]
        assert (audio.rate, audio.channels) == (44_100, 1)
        assert sum(frame.samples for frame in container.decode(audio)) == 44_100
