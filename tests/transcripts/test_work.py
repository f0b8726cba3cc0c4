"""The job that makes transcripts, on a real database with engines and jobs in memory."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from sitin.contract.codes import EndReason, TranscriptionStatus
from sitin.contract.failures import ActionRequiredError, PermanentError, RetriableError
from sitin.contract.recording import ArtifactKind, Recording
from sitin.contract.transcription import JobFailedError, Transcription
from sitin.kit.database import Database
from sitin.providers.transcription.local import LocalProcessEngine
from sitin.transcripts import store
from sitin.transcripts.service import TranscriptionOrder
from sitin.transcripts.tasks import Transcribe, Transcribed
from sitin.transcripts.work import MOST_UNFINISHED_RUNS, Pace
from tests.fakes.engines import FakeLocalEngine, FakeRemoteEngine
from tests.speech import Saying, Turn, recorded_sayings, synthetic_saying, write_track
from tests.transcripts.meeting import Files, House, heard, hears_by_name, store_meeting

pytestmark = pytest.mark.db

TURNS = [("Ada", 0.5, 2.0), ("Grace", 1.5, 4.0)]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "stored")


@pytest.fixture
def house(database: Database, files: Files, tmp_path: Path) -> House:
    return House(database, files, tmp_path / "work")


@pytest.fixture
def local(house: House) -> FakeLocalEngine:
    engine = FakeLocalEngine(
        hears=hears_by_name(
            {
                "participants-1": (heard("good morning", 0.5, 2.0),),
                "participants-2": (heard("hello", 1.5, 2.5), heard("bye", 3.0, 4.0)),
            }
        )
    )
    house.local = engine
    return engine


@pytest.fixture
def remote(house: House) -> FakeRemoteEngine:
    engine = FakeRemoteEngine(
        hears=hears_by_name(
            {
                "output": (
                    heard("good morning", 0.5, 2.0, speaker=4),
                    heard("hello", 2.4, 4.0, speaker=7),
                )
            }
        )
    )
    house.remote = engine
    return engine


@pytest.fixture
def meeting(house: House) -> Recording:
    return store_meeting(
        house.files,
        house.bot_id,
        voices={"Ada": None, "Grace": None, "Silent": None},
        diarization=TURNS,
    )


class TestEngineHere:
    @pytest.fixture(autouse=True)
    async def requested(self, house: House, local: FakeLocalEngine, meeting: Recording) -> None:
        await house.request(meeting, provider="fake-local", params={"sentences": True})

    async def test_each_voice_has_its_participants_name(
        self, house: House, local: FakeLocalEngine
    ) -> None:
        assert (await house.state()).status is TranscriptionStatus.QUEUED
        await house.run_once()
        assert house.said() == [
            ("Ada", "good morning", 0.5),
            ("Grace", "hello", 1.5),
            ("Grace", "bye", 3.0),
        ]
        # Who said nothing has no audio worth looking at.
        assert len(local.given) == 2
        assert local.params == [{"sentences": True}] * 2
        state = await house.state()
        assert state.status is TranscriptionStatus.DONE
        assert state.provider == "fake-local"
        assert state.transcription_ids is None
        assert state.failure is None
        assert house.told() == [Transcribed(bot_id=house.bot_id, failed=False)]

    async def test_the_files_are_stored_and_listed(self, house: House) -> None:
        await house.run_once()
        assert await house.listed() == [
            (ArtifactKind.TRANSCRIPTION, "output_transcription.json"),
            (ArtifactKind.RAW_TRANSCRIPTION, "raw_transcription.json"),
        ]
        assert len(house.raw().transcriptions) == 2
        assert house.output().provider == "fake-local"
        assert house.output().result.total_duration == 5.0

    async def test_nothing_stays_behind(self, house: House) -> None:
        await house.run_once()
        assert await house.kept_answers() == [None, None]
        assert list_directory(house.directory) == []

    async def test_what_is_done_is_not_done_again(
        self, house: House, local: FakeLocalEngine
    ) -> None:
        local.failures = [RetriableError("busy", after=30)]
        await house.run_once()
        assert len(local.given) == 2
        assert (await house.state()).status is TranscriptionStatus.PROCESSING
        await house.run_to_the_end()
        # The one that had failed, and only that.
        assert len(local.given) == 3
        assert len(house.said()) == 3

    async def test_an_engine_that_is_gone_is_said_so(self, house: House) -> None:
        house.local = FakeLocalEngine(name="another")
        await house.run_once()
        state = await house.state()
        assert state.status is TranscriptionStatus.ERROR
        assert "fake-local" in (state.failure or "")

    async def test_the_job_run_again_after_its_end_does_nothing(
        self, house: House, local: FakeLocalEngine
    ) -> None:
        await house.run_once()
        await house.work().run(Transcribe(bot_id=house.bot_id))
        assert len(local.given) == 2
        assert len(house.told()) == 1

    async def test_asked_twice_there_is_one_transcript(
        self, house: House, local: FakeLocalEngine, meeting: Recording
    ) -> None:
        await house.request(meeting, provider="fake-local")
        await house.run_to_the_end()
        await house.request(meeting, provider="fake-local")
        await house.run_to_the_end()
        assert len(local.given) == 2
        assert len(house.told()) == 1

    async def test_audio_that_is_gone_fails_it(self, house: House) -> None:
        house.files.path(house.bot_id, "participants/2.flac").unlink()
        await house.run_once()
        assert (await house.state()).status is TranscriptionStatus.ERROR
        assert house.told() == [Transcribed(bot_id=house.bot_id, failed=True)]

    async def test_a_stopped_worker_is_no_failure(
        self, house: House, local: FakeLocalEngine
    ) -> None:
        begun = block(local)
        work = house.work()
        for _ in range(MOST_UNFINISHED_RUNS + 2):
            task = asyncio.create_task(work.run(Transcribe(bot_id=house.bot_id)))
            await begun.wait()
            begun.clear()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        row = await house.row()
        assert (row.unfinished_runs, row.failures) == (0, 0)
        local.__dict__.pop("transcribe")
        await house.run_to_the_end()
        assert (await house.state()).status is TranscriptionStatus.DONE

    async def test_audio_that_kills_its_worker_every_time_is_given_up(
        self, house: House, local: FakeLocalEngine
    ) -> None:
        for _ in range(MOST_UNFINISHED_RUNS):
            async with house.database.transaction() as session:
                await store.begin_run(session, house.bot_id)
        await house.run_once()
        assert local.given == []
        assert (await house.state()).status is TranscriptionStatus.ERROR
        assert house.told() == [Transcribed(bot_id=house.bot_id, failed=True)]

    async def test_an_overtaken_run_writes_nothing(
        self, house: House, local: FakeLocalEngine
    ) -> None:
        begun = block(local)
        old = asyncio.create_task(house.work().run(Transcribe(bot_id=house.bot_id)))
        await begun.wait()
        release: asyncio.Event = local.__dict__.pop("release")
        local.__dict__.pop("transcribe")
        await house.run_to_the_end()
        before = house.output()
        release.set()
        await old
        assert house.output() == before
        assert len(house.told()) == 1
        assert len(await house.listed()) == 2

    async def test_a_bug_is_tried_again_and_then_told(
        self, house: House, local: FakeLocalEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def broken(*args: Any, **kwargs: Any) -> Transcription:
            raise ZeroDivisionError("secret of a customer")

        monkeypatch.setattr(local, "transcribe", broken)
        await house.run_to_the_end(Pace(most_failures=3))
        state = await house.state()
        assert state.status is TranscriptionStatus.ERROR
        assert state.failure == "Something went wrong inside this service."

    async def test_a_store_that_is_down_is_waited_for(self, house: House) -> None:
        house.files.watched.failures = [RetriableError("down"), RetriableError("down")]
        await house.run_to_the_end()
        assert (await house.state()).status is TranscriptionStatus.DONE
        assert len(house.told()) == 1


class TestEngineElsewhere:
    @pytest.fixture(autouse=True)
    async def requested(self, house: House, remote: FakeRemoteEngine, meeting: Recording) -> None:
        await house.request(meeting, params={"summarization": True})

    async def test_voices_are_named_by_the_diarization(
        self, house: House, remote: FakeRemoteEngine
    ) -> None:
        await house.run_once()
        state = await house.state()
        assert state.status is TranscriptionStatus.PROCESSING
        assert state.transcription_ids == ("job-1",)
        assert house.told() == []
        await house.run_to_the_end()
        assert house.said() == [("Ada", "good morning", 0.5), ("Grace", "hello", 2.4)]
        state = await house.state()
        assert state.status is TranscriptionStatus.DONE
        assert state.provider == "fake-remote"
        assert state.transcription_ids == ("job-1",)
        assert remote.jobs["job-1"].params == {"summarization": True}
        voices = (await house.row()).voices
        assert voices is not None
        assert {(v["voice"], v["name"]) for v in voices} == {(4, "Ada"), (7, "Grace")}
        assert all(0.5 < v["confidence"] <= 1 for v in voices)

    async def test_the_provider_is_asked_at_its_pace(
        self, house: House, remote: FakeRemoteEngine
    ) -> None:
        remote.looks = 40
        started = house.jobs.now
        await house.run_to_the_end(Pace(first_poll=3, later_poll=15))
        waited = (house.jobs.now - started).total_seconds()
        # A minute of looks every 3 s, then every 15 s.
        assert waited == pytest.approx(60 + 15 * 19, abs=15)

    async def test_an_order_that_is_never_answered_fails(
        self, house: House, remote: FakeRemoteEngine
    ) -> None:
        remote.looks = 10_000
        await house.run_to_the_end(Pace(longest_answer=600))
        assert (await house.state()).status is TranscriptionStatus.ERROR
        assert house.told() == [Transcribed(bot_id=house.bot_id, failed=True)]

    @pytest.mark.parametrize("step", ["upload", "create", "result"])
    async def test_what_passes_is_waited_for_as_long_as_asked(
        self, house: House, remote: FakeRemoteEngine, step: str
    ) -> None:
        remote.failures[step] = [RetriableError("busy", after=100), RetriableError("busy")]
        started = house.jobs.now
        await house.run_to_the_end()
        assert (await house.state()).status is TranscriptionStatus.DONE
        assert (house.jobs.now - started).total_seconds() >= 100
        assert (len(remote.uploads), len(remote.jobs)) == (1, 1)

    @pytest.mark.parametrize("step", ["upload", "create", "result"])
    async def test_it_is_not_waited_for_without_end(
        self, house: House, remote: FakeRemoteEngine, step: str
    ) -> None:
        remote.failures[step] = [RetriableError("Gladia is down.") for _ in range(100)]
        started = house.jobs.now
        pace = Pace(most_failures=6, first_retry=5, longest_retry=60)
        await house.run_to_the_end(pace)
        state = await house.state()
        assert state.status is TranscriptionStatus.ERROR
        assert state.failure == "Gladia is down."
        assert len(remote.failures[step]) == 93
        assert (house.jobs.now - started).total_seconds() == 5 + 10 + 20 + 40 + 60 + 60
        assert house.told() == [Transcribed(bot_id=house.bot_id, failed=True)]

    @pytest.mark.parametrize(
        "error",
        [
            ActionRequiredError("The key was refused.", by="customer"),
            PermanentError("The key was refused.", code=EndReason.TRANSCRIPTION_FAILED),
        ],
    )
    async def test_what_never_passes_is_told_at_once(
        self, house: House, remote: FakeRemoteEngine, error: Exception
    ) -> None:
        remote.failures["create"] = [error]  # type: ignore[list-item]
        await house.run_once()
        state = await house.state()
        assert (state.status, state.failure) == (TranscriptionStatus.ERROR, "The key was refused.")
        assert house.told() == [Transcribed(bot_id=house.bot_id, failed=True)]
        assert house.waits() == []

    async def test_a_job_given_up_is_ordered_anew(
        self, house: House, remote: FakeRemoteEngine
    ) -> None:
        remote.failures["result"] = [JobFailedError("Gladia gave up.")]
        await house.run_to_the_end()
        assert (await house.state()).transcription_ids == ("job-2",)
        assert (await house.row()).discarded_jobs == ["job-1"]
        assert len(remote.uploads) == 2

    async def test_a_job_given_up_again_and_again_fails(
        self, house: House, remote: FakeRemoteEngine
    ) -> None:
        remote.failures["result"] = [JobFailedError("Gladia gave up.") for _ in range(10)]
        await house.run_to_the_end()
        state = await house.state()
        assert (state.status, state.failure) == (TranscriptionStatus.ERROR, "Gladia gave up.")
        assert len(remote.jobs) == 3

    async def test_an_order_whose_answer_was_lost_is_found_again(
        self, house: House, remote: FakeRemoteEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        create = remote.create

        async def lost(*args: Any, **kwargs: Any) -> str:
            await create(*args, **kwargs)
            monkeypatch.undo()
            raise RetriableError("the line went dead")

        monkeypatch.setattr(remote, "create", lost)
        await house.run_to_the_end()
        assert (await house.state()).transcription_ids == ("job-1",)
        assert (len(remote.uploads), len(remote.jobs)) == (1, 1)

    async def test_nothing_is_fetched_for_a_job_that_runs(
        self, house: House, remote: FakeRemoteEngine
    ) -> None:
        remote.looks = 5
        await house.run_to_the_end()
        assert house.files.fetched == ["output.flac", "diarization.jsonl"]


class TestLongMeeting:
    async def test_chunks_are_shifted_and_each_has_its_id(
        self, house: House, remote: FakeRemoteEngine
    ) -> None:
        remote.max_duration = 2.0
        remote.hears = hears_by_name(
            {
                "-1": (heard("first", 0.5, 1.0, speaker=0),),
                "-2": (heard("second", 0.5, 1.0, speaker=0),),
                "-3": (heard("third", 0.25, 1.0, speaker=0),),
            }
        )
        recording = store_meeting(
            house.files,
            house.bot_id,
            voices={"Ada": None, "Grace": None},
            diarization=[("Ada", 0.5, 1.0), ("Grace", 2.5, 3.0), ("Ada", 4.2, 5.2)],
            seconds=5.5,
        )
        await house.request(recording)
        await house.run_to_the_end()
        # A second of tolerance on each side lets both names claim the chunk in the middle.
        assert house.said() == [
            ("Ada", "first", 0.5),
            ("Grace", "second", 2.5),
            ("Ada", "third", 4.25),
        ]
        assert (await house.state()).transcription_ids == ("job-1", "job-2", "job-3")
        durations = [heard.duration for _, heard in remote.uploads.values()]
        assert durations == pytest.approx([2.0, 2.0, 1.5])
        assert house.output().result.total_duration == 5.5
        assert len(house.raw().transcriptions) == 3

    async def test_an_order_that_failed_does_not_repeat_the_ones_before(
        self, house: House, remote: FakeRemoteEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        remote.max_duration = 2.0
        recording = store_meeting(
            house.files, house.bot_id, voices={"Ada": None}, diarization=[], seconds=4.0
        )
        await house.request(recording)
        upload = remote.upload
        calls = []

        async def second_fails(audio: Path, *, api_key: str | None) -> str:
            calls.append(audio)
            if len(calls) == 2:
                raise RetriableError("busy")
            return await upload(audio, api_key=api_key)

        monkeypatch.setattr(remote, "upload", second_fails)
        await house.run_to_the_end()
        assert len(calls) == 3
        assert len(remote.jobs) == 2


class TestChoice:
    async def test_without_a_key_the_default_engine_does_it(
        self, house: House, remote: FakeRemoteEngine, local: FakeLocalEngine, meeting: Recording
    ) -> None:
        remote.has_key = False
        await house.request(meeting, provider="fake-remote")
        await house.run_to_the_end()
        assert house.output().provider == "fake-local"
        assert (await house.state()).provider == "fake-local"
        assert remote.uploads == {}

    async def test_the_customers_key_goes_to_the_provider_and_is_stored_encrypted(
        self, house: House, remote: FakeRemoteEngine, meeting: Recording
    ) -> None:
        remote.has_key = False
        await house.request(meeting, api_key="customers-secret-key")
        await house.run_to_the_end()
        assert [job.api_key for job in remote.jobs.values()] == ["customers-secret-key"]
        assert house.output().provider == "fake-remote"
        async with house.database.transaction() as session:
            stored = await session.scalar(text("SELECT transcripts::text FROM transcripts"))
        assert stored is not None
        assert "customers-secret-key" not in stored

    async def test_another_engine_does_not_get_the_key(
        self, house: House, meeting: Recording
    ) -> None:
        await house.request(meeting, provider="somebody-else", api_key="customers-secret-key")
        assert (await house.row()).engine == "fake-local"
        assert (await house.row()).api_key is None

    async def test_without_tracks_of_participants_the_mix_is_taken(
        self, house: House, local: FakeLocalEngine
    ) -> None:
        local.hears = hears_by_name(
            {"output": (heard("good morning", 0.5, 2.0), heard("hello", 3.0, 4.0))}
        )
        recording = store_meeting(
            house.files, house.bot_id, voices={}, diarization=[("Ada", 0.5, 2.0)]
        )
        await house.request(recording, provider="fake-local")
        await house.run_to_the_end()
        assert house.said() == [
            ("Ada", "good morning", 0.5),
            ("Unknown speaker", "hello", 3.0),
        ]

    async def test_a_meeting_without_audio_has_an_empty_transcript(
        self, house: House, local: FakeLocalEngine
    ) -> None:
        recording = store_meeting(house.files, house.bot_id, voices={}, diarization=[], mix=False)
        await house.request(recording, provider="fake-local")
        await house.run_to_the_end()
        assert house.said() == []
        assert house.output().result.total_utterances == 0
        assert house.told() == [Transcribed(bot_id=house.bot_id, failed=False)]

    async def test_a_request_that_is_rolled_back_never_was(
        self, house: House, meeting: Recording
    ) -> None:
        async def request_and_fail() -> None:
            async with house.database.transaction() as session:
                order = TranscriptionOrder(provider="fake-local")
                await house.service().request(session, house.bot_id, order=order, recording=meeting)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await request_and_fail()
        assert house.waits() == []
        async with house.database.transaction() as session:
            assert await house.service().state(session, house.bot_id) is None


class TestPeople:
    """The engine that comes with the package, on voices that speak at once."""

    async def test_who_says_what_and_when(self, house: House, tmp_path: Path) -> None:
        house.default = "pocketsphinx"
        house.local = LocalProcessEngine("pocketsphinx", slots=asyncio.Semaphore(2))
        voices = two_voices()
        tracks, diarization = {}, []
        for name, (start, saying) in voices.items():
            tracks[name] = tmp_path / f"{name}.flac"
            write_track(tracks[name], [Turn(start, saying)], seconds=8.0)
            diarization.append((name, start, start + saying.seconds))
        recording = store_meeting(
            house.files, house.bot_id, voices=tracks, diarization=diarization, seconds=8.0
        )
        await house.request(recording, provider="gladia")
        await house.run_to_the_end()
        utterances = house.output().result.utterances
        assert [u.speaker for u in utterances] == ["Ada", "Grace"]
        for utterance in utterances:
            start, saying = voices[utterance.speaker]
            assert utterance.start == pytest.approx(start, abs=0.6)
            assert utterance.end == pytest.approx(start + saying.seconds, abs=0.6)
            assert [word.word for word in utterance.words] == utterance.text.split()
        assert utterances[1].start < utterances[0].end
        assert house.output().provider == "pocketsphinx"
        assert house.output().result.languages == ("en",)


def two_voices() -> dict[str, tuple[float, Saying]]:
    """Two sentences of two people, the second begun before the first is over."""
    by_speaker = {saying.speaker: saying for saying in recorded_sayings()}
    first = by_speaker.get("speaker1") or synthetic_saying("Ada", "the air is pure up there")
    second = by_speaker.get("speaker2") or synthetic_saying(
        "Grace", "what joy there is in living", voice="en-gb", pitch=80
    )
    return {"Ada": (1.0, first), "Grace": (1.0 + first.seconds / 2, second)}


def block(engine: FakeLocalEngine) -> asyncio.Event:
    """Make the engine say that it has begun and wait for ``engine.release``."""
    begun, release = asyncio.Event(), asyncio.Event()
    transcribe: Callable[..., Any] = engine.transcribe

    async def blocked(*args: Any, **kwargs: Any) -> Transcription:
        begun.set()
        await release.wait()
        answer: Transcription = await transcribe(*args, **kwargs)
        return answer

    engine.__dict__["transcribe"] = blocked
    engine.__dict__["release"] = release
    return begun


def list_directory(path: Path) -> list[Path]:
    return list(path.iterdir())
