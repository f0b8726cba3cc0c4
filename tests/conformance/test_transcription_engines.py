"""What every transcription engine does, whoever runs it: one suite for each of the two kinds."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from sitin.contract.failures import PermanentError
from sitin.contract.transcription import LocalEngine, RemoteEngine, Transcription, Utterance
from sitin.providers.transcription.gladia import GladiaEngine
from sitin.providers.transcription.registry import POCKETSPHINX, WHISPER, build_engines
from sitin.providers.transcription.settings import TranscriptionSettings
from tests.fakes.engines import FakeLocalEngine, FakeRemoteEngine
from tests.fakes.gladia import KEY, OTHER_KEY, serve_gladia, utterance
from tests.speech import RATE, Turn, synthetic_saying, write_flac, write_track

pytestmark = pytest.mark.unit

SECONDS = 6.0
START = 2.0


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six seconds; somebody speaks from the second one on."""
    path = tmp_path_factory.mktemp("audio") / "spoken.flac"
    saying = synthetic_saying("Ada", "what joy there is in living")
    write_track(path, [Turn(START, saying)], seconds=SECONDS)
    return path


@pytest.fixture(scope="module")
def silent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("audio") / "silent.flac"
    write_flac(path, np.zeros(3 * RATE, np.int16))
    return path


@pytest.fixture(scope="module")
def garbage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("audio") / "garbage.flac"
    path.write_bytes(b"this is no audio" * 100)
    return path


def hears(audio: Path) -> tuple[Utterance, ...]:
    if audio.stem != "spoken":
        return ()
    return (Utterance(text="what joy", language="en", start=2.0, end=3.0, confidence=0.9),)


def assert_in_order(answer: Transcription) -> None:
    starts = [utterance.start for utterance in answer.utterances]
    assert starts == sorted(starts)
    for heard in answer.utterances:
        assert heard.text == heard.text.strip() != ""
        assert 0 <= heard.start <= heard.end <= answer.duration + 0.05
        assert 0 <= heard.confidence <= 1
        for word in heard.words:
            assert word.word == word.word.strip() != ""
            assert heard.start - 0.001 <= word.start <= word.end <= heard.end + 0.001
            assert 0 <= word.confidence <= 1


class TestLocalEngine:
    @pytest.fixture(params=["fake", POCKETSPHINX, WHISPER])
    def engine(self, request: pytest.FixtureRequest) -> LocalEngine:
        if request.param == "fake":
            return FakeLocalEngine(hears=hears)
        settings = TranscriptionSettings()
        if request.param == WHISPER and settings.whisper_model is None:
            pytest.skip("SITIN_WHISPER_MODEL names no model: no weights come with the package")
        return build_engines(settings).local[request.param]

    async def test_tells_what_is_said_and_when(self, engine: LocalEngine, spoken: Path) -> None:
        answer = await engine.transcribe(spoken, params={})
        assert_in_order(answer)
        assert answer.utterances
        assert answer.languages == ("en",)
        assert answer.duration == pytest.approx(SECONDS, abs=0.05)
        assert START - 0.5 <= answer.utterances[0].start <= START + 0.5
        assert answer.raw

    async def test_hears_nothing_in_silence(self, engine: LocalEngine, silent: Path) -> None:
        answer = await engine.transcribe(silent, params={})
        assert answer.utterances == ()
        assert answer.languages == ()
        assert answer.duration == pytest.approx(3.0, abs=0.05)

    async def test_what_is_no_audio_never_will_be(self, engine: LocalEngine, garbage: Path) -> None:
        with pytest.raises(PermanentError):
            await engine.transcribe(garbage, params={})

    async def test_takes_parameters_that_are_not_its_own(
        self, engine: LocalEngine, spoken: Path
    ) -> None:
        params = {"summarization": True, "language_config": {"languages": ["en"]}}
        assert (await engine.transcribe(spoken, params=params)).utterances

    def test_wants_a_voice_at_a_time(self, engine: LocalEngine) -> None:
        assert engine.capabilities.per_participant


class TestRemoteEngine:
    @pytest.fixture(params=["fake", "gladia"])
    async def engine(self, request: pytest.FixtureRequest) -> AsyncIterator[RemoteEngine]:
        if request.param == "fake":
            yield FakeRemoteEngine(hears=hears)
            return
        with serve_gladia() as fake:
            fake.hears = lambda upload: (
                [utterance("what joy", 2.0, 3.0)] if upload.filename == "spoken.flac" else []
            )
            gladia = GladiaEngine(url=fake.url, api_key=KEY)
            yield gladia
            await gladia.aclose()

    async def test_answers_in_steps(self, engine: RemoteEngine, spoken: Path) -> None:
        upload = await engine.upload(spoken, api_key=None)
        job = await engine.create(upload, params={}, api_key=None)
        assert await engine.result(job, api_key=None) is None
        answer = await wait_for(engine, job)
        assert_in_order(answer)
        assert [heard.text for heard in answer.utterances] == ["what joy"]
        assert answer.languages == ("en",)
        assert answer.duration == pytest.approx(SECONDS, abs=0.05)
        assert answer.raw

    async def test_hears_nothing_in_silence(self, engine: RemoteEngine, silent: Path) -> None:
        upload = await engine.upload(silent, api_key=None)
        job = await engine.create(upload, params={}, api_key=None)
        answer = await wait_for(engine, job)
        assert answer.utterances == ()
        assert answer.languages == ()

    async def test_what_is_no_audio_never_will_be(
        self, engine: RemoteEngine, garbage: Path
    ) -> None:
        with pytest.raises(PermanentError):
            await engine.upload(garbage, api_key=None)

    async def test_finds_the_job_of_an_upload(self, engine: RemoteEngine, spoken: Path) -> None:
        before = datetime.now(UTC) - timedelta(seconds=1)
        first, second = [await engine.upload(spoken, api_key=None) for _ in range(2)]
        assert await engine.find(first, since=before, api_key=None) is None
        job = await engine.create(first, params={}, api_key=None)
        assert await engine.find(first, since=before, api_key=None) == job
        assert await engine.find(second, since=before, api_key=None) is None
        later = datetime.now(UTC) + timedelta(hours=1)
        assert await engine.find(first, since=later, api_key=None) is None

    async def test_a_job_belongs_to_its_key(self, engine: RemoteEngine, spoken: Path) -> None:
        upload = await engine.upload(spoken, api_key=OTHER_KEY)
        job = await engine.create(upload, params={}, api_key=OTHER_KEY)
        with pytest.raises(PermanentError):
            await engine.result(job, api_key=None)
        await wait_for(engine, job, api_key=OTHER_KEY)

    async def test_forgets_and_does_not_mind_being_asked_twice(
        self, engine: RemoteEngine, spoken: Path
    ) -> None:
        upload = await engine.upload(spoken, api_key=None)
        job = await engine.create(upload, params={}, api_key=None)
        await engine.delete(job, api_key=None)
        await engine.delete(job, api_key=None)
        with pytest.raises(PermanentError):
            await engine.result(job, api_key=None)


async def wait_for(engine: RemoteEngine, job: str, *, api_key: str | None = None) -> Transcription:
    for _ in range(100):
        answer = await engine.result(job, api_key=api_key)
        if answer is not None:
            return answer
        await asyncio.sleep(0)
    raise AssertionError("the engine did not get done")
