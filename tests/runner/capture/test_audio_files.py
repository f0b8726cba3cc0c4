"""FLAC files that grow, end anywhere, and are written anew."""

import errno
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sitin.runner.capture.audio_files import FlacFile, mix, rewrite
from sitin.runner.capture.mp4 import duration
from sitin.runner.capture.sound import RATE, Samples
from tests.runner.capture.media import read_sound, tone

pytestmark = pytest.mark.unit


_FRAME = 4608
"""Samples of an encoded frame."""


def noise(seconds: float) -> Samples:
    """Sound that does not compress: the most that a voice's file can hold back."""
    return np.random.default_rng(1).integers(-9000, 9000, round(seconds * RATE)).astype(np.int16)


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 30_000)), min_size=1, max_size=12))
@settings(max_examples=30)
def test_what_is_written_is_read_to_the_sample(
    tmp_path_factory: pytest.TempPathFactory, parts: list[tuple[bool, int]]
) -> None:
    path = tmp_path_factory.mktemp("flac") / "voice.flac"
    file, expected = FlacFile(path), [np.zeros(0, np.int16)]
    for sounding, count in parts:
        samples = noise(1.0)[:count] if sounding else np.zeros(count, np.int16)
        expected.append(samples)
        if sounding:
            file.write(samples)
        else:
            file.silence(count)
    file.close()
    assert np.array_equal(read_sound(path), np.concatenate(expected))
    assert duration(path) == pytest.approx(sum(count for _, count in parts) / RATE, abs=1e-6)


def test_a_voice_that_was_never_heard_is_a_file_all_the_same(tmp_path: Path) -> None:
    FlacFile(tmp_path / "voice.flac").close()
    assert read_sound(tmp_path / "voice.flac").size == 1


def test_the_disk_has_what_was_written_within_a_frame(tmp_path: Path) -> None:
    """Nothing waits in memory: a kill -9 right now loses a tenth of a second."""
    file = FlacFile(tmp_path / "voice.flac")
    for second in range(1, 6):
        file.write(noise(1.0))
        assert read_sound(tmp_path / "voice.flac").size > (second - 0.25) * RATE
    file.close()


def test_a_long_silence_before_the_first_word_costs_no_pause(tmp_path: Path) -> None:
    """Somebody speaks for the first time after ten minutes: they are written bit by bit."""
    file = FlacFile(tmp_path / "voice.flac")
    word = noise(0.5)
    file.silence(600 * RATE)
    assert file.samples <= 120 * RATE
    for _ in range(3):
        before = file.samples
        file.write(word)
        assert file.samples - before <= 121 * RATE
    assert file.samples < 600 * RATE, "the first word still waits"
    for _ in range(5):
        file.write(word)
    assert file.samples == (600 + 8 * 0.5) * RATE, "it has caught up"
    file.close()
    samples = read_sound(tmp_path / "voice.flac")
    assert not samples[: 600 * RATE].any()
    assert np.array_equal(samples[600 * RATE :][: word.size], word)


@pytest.fixture(scope="module")
def growing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of ten seconds whose process was killed: nobody closed it."""
    directory = tmp_path_factory.mktemp("flac")
    file = FlacFile(directory / "open.flac")
    file.write(noise(10.0))
    shutil.copy(directory / "open.flac", directory / "killed.flac")
    file.close()
    return directory / "killed.flac"


@given(st.data())
@settings(max_examples=25)
def test_cut_off_anywhere_it_is_written_anew_up_to_there(
    tmp_path_factory: pytest.TempPathFactory, growing: Path, data: st.DataObject
) -> None:
    whole = growing.read_bytes()
    cut = data.draw(st.integers(100, len(whole)))
    directory = tmp_path_factory.mktemp("cut")
    (directory / "cut.flac").write_bytes(whole[:cut])
    written = rewrite(directory / "cut.flac", directory / "anew.flac")
    # Noise has the same size everywhere, so that the share of bytes is the share of time.
    assert written / RATE == pytest.approx(10 * cut / len(whole), abs=0.3)
    assert duration(directory / "anew.flac") == pytest.approx(written / RATE, abs=1e-6)
    samples = read_sound(directory / "anew.flac")
    sure = max(0, samples.size - _FRAME)
    assert np.array_equal(samples[:sure], noise(10.0)[:sure])


def test_every_voice_is_padded_to_the_length_of_the_recording(
    tmp_path: Path, growing: Path
) -> None:
    assert rewrite(growing, tmp_path / "anew.flac", pad_to=12 * RATE) == 12 * RATE
    samples = read_sound(tmp_path / "anew.flac")
    assert samples.size == 12 * RATE
    assert not samples[11 * RATE :].any()


@pytest.mark.parametrize("content", [b"", b"fLaC", b"\x00" * 5000, b"no sound at all" * 100])
def test_what_holds_no_sound_becomes_silence_of_the_length(tmp_path: Path, content: bytes) -> None:
    """A voice that was killed while its file was being opened keeps nobody from the rest."""
    (tmp_path / "cut.flac").write_bytes(content)
    assert rewrite(tmp_path / "cut.flac", tmp_path / "anew.flac", pad_to=RATE) == RATE
    assert not read_sound(tmp_path / "anew.flac").any()


def test_a_full_disk_is_told_as_what_it_is() -> None:
    file = FlacFile(Path("/dev/full"))
    with pytest.raises(OSError, match="No space left") as caught:
        file.write(tone(5.0))
    assert caught.value.errno == errno.ENOSPC


@given(st.lists(st.integers(0, 60_000), min_size=1, max_size=4), st.integers(0, 80_000))
@settings(max_examples=25, deadline=None)
def test_a_mix_is_the_sum_of_its_files(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], pad_to: int
) -> None:
    directory = tmp_path_factory.mktemp("flac")
    sources, expected = [], np.zeros(max(*sizes, pad_to, 1, *([1] if 0 in sizes else [])), np.int32)
    for number, size in enumerate(sizes):
        samples = (noise(1.3)[:size] // 4).astype(np.int16)
        file = FlacFile(directory / f"{number}.flac")
        file.write(samples)
        file.close()
        sources.append(file.path)
        expected[: samples.size] += samples
    written = mix(sources, directory / "mix.flac", pad_to=pad_to)
    assert written == expected.size
    assert np.array_equal(read_sound(directory / "mix.flac"), expected)


def test_a_mix_that_is_too_loud_is_clipped(tmp_path: Path) -> None:
    loud = np.full(1000, 30_000, np.int16)
    for name in ("a", "b"):
        file = FlacFile(tmp_path / name)
        file.write(loud)
        file.close()
    mix([tmp_path / "a", tmp_path / "b"], tmp_path / "mix")
    assert set(read_sound(tmp_path / "mix").tolist()) == {32_767}
