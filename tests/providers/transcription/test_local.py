"""Local engines: how audio is read and cut, what the processes do when things go wrong."""

import asyncio
import itertools
import os
import signal
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from sitin.contract.failures import ActionRequiredError, PermanentError, RetriableError
from sitin.contract.transcription import Transcription
from sitin.providers.transcription.local import LocalProcessEngine
from sitin.providers.transcription.local.audio import (
    SAMPLE_RATE,
    Samples,
    UnreadableAudioError,
    blocks,
)
from sitin.providers.transcription.local.speech import Cutting, Stretch, stretches
from tests.speech import (
    RATE,
    Saying,
    Turn,
    recorded_sayings,
    synthetic_saying,
    write_flac,
    write_track,
)
from tests.waiting import until

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def sayings() -> list[Saying]:
    """Four sentences of one voice."""
    recorded = [saying for saying in recorded_sayings() if saying.speaker == "speaker1"]
    return recorded or [
        synthetic_saying("speaker1", text)
        for text in (
            "the child almost hurt the small dog",
            "drop the two when you add the figures",
            "at that high level the air is pure",
            "a thin stripe runs down the middle",
        )
    ]


@pytest.fixture
def engine() -> LocalProcessEngine:
    return LocalProcessEngine("pocketsphinx", slots=asyncio.Semaphore(1))


def resampled(path: Path) -> Samples:
    return np.concatenate(list(blocks(path)))


class TestReading:
    def test_resamples_to_16_khz(self, tmp_path: Path, tone: Samples) -> None:
        write_flac(tmp_path / "a.flac", tone)
        samples = resampled(tmp_path / "a.flac")
        assert len(samples) == pytest.approx(SAMPLE_RATE, abs=20)
        spectrum = np.abs(np.fft.rfft(samples[:SAMPLE_RATE]))
        assert int(np.argmax(spectrum)) == pytest.approx(440, abs=2)

    def test_reads_in_small_blocks(self, tmp_path: Path) -> None:
        write_flac(tmp_path / "a.flac", np.zeros(60 * RATE, np.int16))
        assert max(len(block) for block in blocks(tmp_path / "a.flac")) < SAMPLE_RATE

    def test_reads_what_is_there_of_a_file_that_was_cut_off(
        self, tmp_path: Path, tone: Samples
    ) -> None:
        whole, cut = tmp_path / "a.flac", tmp_path / "b.flac"
        write_flac(whole, np.tile(tone, 10))
        data = whole.read_bytes()
        cut.write_bytes(data[: len(data) // 2])
        assert 4 * SAMPLE_RATE < len(resampled(cut)) < 6 * SAMPLE_RATE

    def test_reads_nothing_where_nothing_was_recorded(self, tmp_path: Path, tone: Samples) -> None:
        write_flac(tmp_path / "a.flac", tone[:0])
        assert list(blocks(tmp_path / "a.flac")) == []

    @pytest.mark.parametrize("content", [b"", b"fLaC", b"no audio at all" * 1000])
    def test_says_so_when_there_is_no_audio(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "a.flac").write_bytes(content)
        with pytest.raises(UnreadableAudioError):
            resampled(tmp_path / "a.flac")


def cut(samples: Samples, **cutting: float) -> list[Stretch]:
    def read() -> Iterator[Samples]:
        # A size that is no multiple of the detector's frame.
        for at in range(0, len(samples), 1000):
            yield samples[at : at + 1000]

    return list(stretches(read(), Cutting(**cutting)))  # type: ignore[arg-type]


def at_16_khz(saying: Saying, tmp_path: Path) -> Samples:
    write_flac(tmp_path / "saying.flac", saying.samples)
    return resampled(tmp_path / "saying.flac")


class TestCutting:
    def test_silence_and_a_faint_hum_are_no_speech(self) -> None:
        time = np.arange(20 * SAMPLE_RATE) / SAMPLE_RATE
        assert cut(np.zeros(20 * SAMPLE_RATE, np.int16)) == []
        assert cut((20 * np.sin(2 * np.pi * 50 * time)).astype(np.int16)) == []

    def test_a_pause_parts_two_stretches(self, sayings: list[Saying], tmp_path: Path) -> None:
        speech = at_16_khz(sayings[0], tmp_path)
        gap = np.zeros(2 * SAMPLE_RATE, np.int16)
        found = cut(np.concatenate([gap, speech, gap, speech, gap]))
        assert len(found) == 2
        second = 4.0 + len(speech) / SAMPLE_RATE
        for stretch, start in zip(found, (2.0, second), strict=True):
            assert stretch.start == pytest.approx(start, abs=0.5)
            assert stretch.end == pytest.approx(start + len(speech) / SAMPLE_RATE, abs=0.5)

    def test_a_short_pause_does_not(self, sayings: list[Saying], tmp_path: Path) -> None:
        speech = at_16_khz(sayings[0], tmp_path)
        loud = np.flatnonzero(np.abs(speech) > 500)
        voiced = speech[loud[0] : loud[-1]]
        gap = np.zeros(int(0.3 * SAMPLE_RATE), np.int16)
        assert len(cut(np.concatenate([voiced, gap, voiced]))) == 1

    def test_samples_are_those_of_the_stream(self, sayings: list[Saying], tmp_path: Path) -> None:
        speech = at_16_khz(sayings[1], tmp_path)
        stream = np.concatenate([np.zeros(16000, np.int16), speech, np.zeros(40000, np.int16)])
        for stretch in cut(stream):
            first = round(stretch.start * SAMPLE_RATE)
            padded = np.pad(stream, (0, 480))
            np.testing.assert_array_equal(
                stretch.samples, padded[first : first + len(stretch.samples)]
            )

    def test_speech_without_a_pause_is_cut_at_a_quiet_place_and_none_is_lost(
        self, sayings: list[Saying], tmp_path: Path
    ) -> None:
        speech = at_16_khz(sayings[0], tmp_path)
        loud = np.flatnonzero(np.abs(speech) > 500)
        stream = np.tile(speech[loud[0] : loud[-1]], 12)
        found = cut(stream, longest=5.0)
        assert len(found) > 3
        assert all(stretch.end - stretch.start <= 5.01 for stretch in found)
        for one, next_one in itertools.pairwise(found):
            assert next_one.start == pytest.approx(one.end, abs=0.001)
        assert found[0].start == 0
        assert found[-1].end == pytest.approx(len(stream) / SAMPLE_RATE, abs=0.5)

    def test_a_single_short_word_is_found(self, tmp_path: Path) -> None:
        yes = at_16_khz(synthetic_saying("Ada", "yes"), tmp_path)
        gap = np.zeros(2 * SAMPLE_RATE, np.int16)
        assert len(cut(np.concatenate([gap, yes, gap]))) == 1


class TestPocketsphinx:
    async def test_hears_people(
        self, engine: LocalProcessEngine, sayings: list[Saying], tmp_path: Path
    ) -> None:
        start, turns = 1.0, []
        for saying in sayings:
            turns.append(Turn(start, saying))
            start += saying.seconds + 1.5
        write_track(tmp_path / "1.flac", turns, seconds=start)
        answer = await engine.transcribe(tmp_path / "1.flac", params={})
        assert len(answer.utterances) == len(turns)
        for heard, turn in zip(answer.utterances, turns, strict=True):
            assert heard.start == pytest.approx(turn.start, abs=0.6)
            assert heard.end == pytest.approx(turn.end, abs=0.6)
            assert len(heard.words) > 2
        # What it makes of these very recordings is in docs/transcription.md; half of the words is
        # a floor under which something is broken.
        if recorded_sayings():
            said = " ".join(saying.text for saying in sayings).split()
            assert common_words(said, answer) >= len(said) // 2

    async def test_runs_at_low_priority_and_without_secrets(
        self,
        engine: LocalProcessEngine,
        sayings: list[Saying],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("SITIN_SECRET_KEYS", "very secret")
        write_track(tmp_path / "1.flac", [Turn(0, sayings[0])] * 3, seconds=300)
        work = asyncio.create_task(engine.transcribe(tmp_path / "1.flac", params={}))
        child = await child_process()
        try:
            await until(lambda: child.nice() == min(19, os.nice(0) + 10))
            assert "SITIN_SECRET_KEYS" not in child.environ()
        finally:
            await end(work)
        assert not child.is_running()

    async def test_a_killed_process_is_worth_another_try(
        self, engine: LocalProcessEngine, sayings: list[Saying], tmp_path: Path
    ) -> None:
        write_track(tmp_path / "1.flac", [Turn(0, sayings[0])], seconds=300)
        work = asyncio.create_task(engine.transcribe(tmp_path / "1.flac", params={}))
        child = await child_process()
        child.kill()
        with pytest.raises(RetriableError):
            await work
        assert (await engine.transcribe(tmp_path / "1.flac", params={})).utterances

    async def test_ends_with_the_process_that_started_it(
        self, sayings: list[Saying], tmp_path: Path
    ) -> None:
        write_track(tmp_path / "1.flac", [Turn(0, sayings[0])], seconds=3000)
        starter = await asyncio.create_subprocess_exec(
            sys.executable, "-c", STARTER, str(tmp_path / "1.flac")
        )
        child = await child_process(starter.pid)
        os.kill(starter.pid, signal.SIGKILL)
        await starter.wait()
        await until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)

    async def test_no_more_run_at_once_than_there_are_slots(
        self, sayings: list[Saying], tmp_path: Path
    ) -> None:
        engine = LocalProcessEngine("pocketsphinx", slots=asyncio.Semaphore(2))
        write_track(tmp_path / "1.flac", [Turn(0, sayings[0])], seconds=5)
        work = asyncio.gather(
            *(engine.transcribe(tmp_path / "1.flac", params={}) for _ in range(4))
        )
        most = 0
        while not work.done():
            most = max(most, len(psutil.Process().children()))
            await asyncio.sleep(0.01)
        assert most == 2
        assert len({answer.utterances for answer in await work}) == 1


STARTER = textwrap.dedent(
    """
    import asyncio, sys
    from pathlib import Path
    from sitin.providers.transcription.local import LocalProcessEngine

    async def main():
        engine = LocalProcessEngine("pocketsphinx", slots=asyncio.Semaphore(1))
        await engine.transcribe(Path(sys.argv[1]), params={})

    asyncio.run(main())
    """
)


class TestTroubleInTheProcess:
    """The recognizer's process replaced by a script that misbehaves."""

    @pytest.fixture
    def engine_of(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalProcessEngine:
        monkeypatch.setattr(
            "sitin.providers.transcription.local.engine.PROCESS_MODULE", "misbehaving"
        )
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        return LocalProcessEngine("pocketsphinx", slots=asyncio.Semaphore(1))

    @pytest.mark.parametrize(
        ("script", "expected"),
        [
            ("raise SystemExit(0)", RetriableError),
            ("raise SystemExit(3)", RetriableError),
            ("print('no json')", RetriableError),
            ("print('x' * 3_000_000)", RetriableError),
            (
                'print(\'{"kind":"refused","message":"No.","by_operator":true}\')',
                ActionRequiredError,
            ),
            (
                'print(\'{"kind":"refused","message":"No.","by_operator":false}\')',
                PermanentError,
            ),
        ],
    )
    async def test_becomes_one_of_the_three_failures(
        self,
        engine_of: LocalProcessEngine,
        tmp_path: Path,
        script: str,
        expected: type[Exception],
    ) -> None:
        write(tmp_path / "misbehaving.py", script)
        with pytest.raises(expected):
            await engine_of.transcribe(tmp_path / "none.flac", params={})


def write(path: Path, text: str) -> None:
    path.write_text(text)


def common_words(said: list[str], answer: Transcription) -> int:
    heard = " ".join(utterance.text for utterance in answer.utterances).split()
    return sum(min(said.count(word), heard.count(word)) for word in set(said))


async def child_process(pid: int | None = None) -> psutil.Process:
    await until(lambda: bool(psutil.Process(pid).children()))
    return psutil.Process(pid).children()[0]


async def end(work: asyncio.Task[Transcription]) -> None:
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
