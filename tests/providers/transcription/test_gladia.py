"""The Gladia engine over HTTP: what it sends, how it reads answers and failures."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from sitin.contract.failures import ActionRequiredError, PermanentError, RetriableError
from sitin.contract.transcription import JobFailedError
from sitin.providers.transcription.gladia import GladiaEngine
from sitin.providers.transcription.gladia.wire import WireResult, to_transcription
from tests.fakes.gladia import KEY, OTHER_KEY, GladiaFake, serve_gladia, utterance
from tests.speech import Samples, write_flac

pytestmark = pytest.mark.unit


@pytest.fixture
def gladia() -> Iterator[GladiaFake]:
    with serve_gladia() as fake:
        yield fake


@pytest.fixture
async def engine(gladia: GladiaFake) -> AsyncIterator[GladiaEngine]:
    engine = GladiaEngine(url=gladia.url, api_key=KEY)
    yield engine
    await engine.aclose()


@pytest.fixture
def audio(tmp_path: Path, tone: Samples) -> Path:
    path = tmp_path / "output.flac"
    write_flac(path, tone)
    return path


def size_of(path: Path) -> int:
    return path.stat().st_size


async def ordered(engine: GladiaEngine, audio: Path, **params: Any) -> str:
    upload = await engine.upload(audio, api_key=None)
    return await engine.create(upload, params=params, api_key=None)


async def test_the_file_arrives_whole(
    gladia: GladiaFake, engine: GladiaEngine, audio: Path
) -> None:
    upload = await engine.upload(audio, api_key=None)
    assert gladia.uploads[upload].size == size_of(audio)
    assert gladia.uploads[upload].filename == "output.flac"


async def test_custom_params_go_on_unchanged(
    gladia: GladiaFake, engine: GladiaEngine, audio: Path
) -> None:
    params = {
        "language_config": {"languages": ["fr"], "code_switching": False},
        "custom_vocabulary": ["sitin"],
        "summarization": True,
        "something_new": {"deep": [1, 2.5, None]},
        "custom_metadata": {"order": 7},
    }
    job = await ordered(engine, audio, **params)
    body = gladia.jobs[job].body
    assert body == {
        **params,
        "diarization": True,
        "audio_url": next(iter(gladia.uploads)),
    }


async def test_audio_and_answer_are_not_led_elsewhere(
    gladia: GladiaFake, engine: GladiaEngine, audio: Path
) -> None:
    elsewhere = "https://elsewhere.example/"
    job = await ordered(
        engine,
        audio,
        audio_url=elsewhere,
        callback=True,
        callback_url=elsewhere,
        callback_config={"url": elsewhere},
        diarization=False,
    )
    assert gladia.jobs[job].body == {"diarization": False, "audio_url": next(iter(gladia.uploads))}


async def test_the_customers_own_key_is_used(
    gladia: GladiaFake, engine: GladiaEngine, audio: Path
) -> None:
    upload = await engine.upload(audio, api_key=OTHER_KEY)
    job = await engine.create(upload, params={}, api_key=OTHER_KEY)
    assert (gladia.uploads[upload].key, gladia.jobs[job].key) == (OTHER_KEY, OTHER_KEY)


async def test_no_key_at_all_is_the_operators_to_mend(gladia: GladiaFake, audio: Path) -> None:
    engine = GladiaEngine(url=gladia.url)
    assert not engine.has_key
    with pytest.raises(ActionRequiredError) as refused:
        await engine.upload(audio, api_key=None)
    assert refused.value.by == "operator"
    assert gladia.requests == []
    await engine.aclose()


@pytest.mark.parametrize(("own", "by"), [(None, "operator"), ("nobody", "customer")])
async def test_a_refused_key_says_whose_it_is(
    gladia: GladiaFake, audio: Path, own: str | None, by: str
) -> None:
    engine = GladiaEngine(url=gladia.url, api_key="nobody")
    with pytest.raises(ActionRequiredError) as refused:
        await engine.upload(audio, api_key=own)
    assert refused.value.by == by
    assert "nobody" not in refused.value.message
    await engine.aclose()


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
async def test_what_passes_is_retriable(
    gladia: GladiaFake, engine: GladiaEngine, audio: Path, status: int
) -> None:
    gladia.fail_next("POST", "/v2/upload", status)
    with pytest.raises(RetriableError) as failed:
        await engine.upload(audio, api_key=None)
    assert failed.value.after is None
    assert await engine.upload(audio, api_key=None) in gladia.uploads


@pytest.mark.parametrize(
    ("said", "after"), [("7", 7.0), ("Mon, 23 Nov 2026 12:00:30 GMT", 30.0), ("soon", None)]
)
async def test_retry_after_is_honoured(
    gladia: GladiaFake, audio: Path, said: str, after: float | None
) -> None:
    class Clock:
        def now(self) -> datetime:
            return datetime(2026, 11, 23, 12, tzinfo=UTC)

    engine = GladiaEngine(url=gladia.url, api_key=KEY, clock=Clock())
    gladia.fail_next("POST", "/v2/pre-recorded", 429, headers={"retry-after": said})
    with pytest.raises(RetriableError) as failed:
        await engine.create("x", params={}, api_key=None)
    assert failed.value.after == after
    await engine.aclose()


async def test_a_wrong_parameter_is_permanent_and_named(engine: GladiaEngine, audio: Path) -> None:
    with pytest.raises(PermanentError) as refused:
        await ordered(engine, audio, subtitles="please")
    assert "subtitles must be a boolean value" in refused.value.message


async def test_a_number_that_json_lacks_is_refused(engine: GladiaEngine) -> None:
    with pytest.raises(PermanentError, match="custom_params"):
        await engine.create("x", params={"intensity": float("nan")}, api_key=None)


async def test_a_lone_surrogate_is_carried_over(
    gladia: GladiaFake, engine: GladiaEngine, audio: Path
) -> None:
    job = await ordered(engine, audio, custom_metadata={"x": "\ud800"})
    assert gladia.jobs[job].body["custom_metadata"] == {"x": "\ud800"}


async def test_nobody_there_is_retriable(audio: Path, unused_tcp_port: int) -> None:
    engine = GladiaEngine(url=f"http://127.0.0.1:{unused_tcp_port}", api_key=KEY)
    with pytest.raises(RetriableError):
        await engine.upload(audio, api_key=None)
    await engine.aclose()


async def test_a_redirect_is_not_followed(
    gladia: GladiaFake, engine: GladiaEngine, audio: Path
) -> None:
    gladia.fail_next("POST", "/v2/upload", 307, headers={"location": f"{gladia.url}/elsewhere"})
    with pytest.raises(ActionRequiredError) as refused:
        await engine.upload(audio, api_key=None)
    assert refused.value.by == "operator"
    assert gladia.requests == [("POST", "/v2/upload")]


@pytest.mark.parametrize("body", ["<html>gateway</html>", "{}", '{"id": 5}', '{"id": ""}', "[]"])
async def test_a_success_that_makes_no_sense_is_retriable(
    gladia: GladiaFake, engine: GladiaEngine, body: str
) -> None:
    gladia.fail_next("POST", "/v2/pre-recorded", 201, body=body)
    with pytest.raises(RetriableError):
        await engine.create("x", params={}, api_key=None)


@pytest.mark.parametrize("job_id", ["../../account", "a/b", "", "id?x=1"])
async def test_an_id_does_not_become_a_path(
    gladia: GladiaFake, engine: GladiaEngine, job_id: str
) -> None:
    with pytest.raises(PermanentError):
        await engine.result(job_id, api_key=None)
    assert gladia.requests == []


@pytest.mark.parametrize("code", [500, 503, 429])
async def test_a_job_given_up_for_now_may_be_ordered_again(
    gladia: GladiaFake, engine: GladiaEngine, audio: Path, code: int
) -> None:
    gladia.error_code, gladia.looks = code, 1
    job = await ordered(engine, audio)
    with pytest.raises(JobFailedError):
        await engine.result(job, api_key=None)


@pytest.mark.parametrize("code", [400, 413, 422])
async def test_a_job_given_up_for_good_is_permanent(
    gladia: GladiaFake, engine: GladiaEngine, audio: Path, code: int
) -> None:
    gladia.error_code, gladia.looks = code, 1
    job = await ordered(engine, audio)
    with pytest.raises(PermanentError, match=str(code)):
        await engine.result(job, api_key=None)


async def test_an_addon_may_fail_while_the_transcript_is_there(
    gladia: GladiaFake, engine: GladiaEngine, audio: Path
) -> None:
    gladia.hears = lambda upload: [utterance("hello", 0.0, 0.5)]
    gladia.looks = 1
    answer = await engine.result(await ordered(engine, audio, summarization=True), api_key=None)
    assert answer is not None
    raw = answer.raw
    raw["result"]["summarization"] = {"success": False, "error": {"status_code": 500}}
    again = to_transcription(WireResult.model_validate(raw["result"]), raw)
    assert [heard.text for heard in again.utterances] == ["hello"]


def test_times_that_make_no_sense_are_put_right() -> None:
    heard = [
        utterance("later", 5.0, 6.0),
        {**utterance(" backwards ", 3.0, 2.0), "confidence": 7},
        {**utterance("early", -1.0, 0.5), "words": []},
    ]
    result = WireResult.model_validate(
        {
            "metadata": {"audio_duration": 6.5},
            "transcription": {"languages": ["en", "en"], "utterances": heard},
        }
    )
    answer = to_transcription(result, {})
    assert [(u.text, u.start, u.end) for u in answer.utterances] == [
        ("early", 0.0, 0.5),
        ("backwards", 3.0, 3.0),
        ("later", 5.0, 6.0),
    ]
    assert answer.utterances[1].confidence == 1.0
    assert answer.languages == ("en",)


async def test_deletion_is_tried_again_later_then_done(
    gladia: GladiaFake, engine: GladiaEngine, audio: Path
) -> None:
    job = await ordered(engine, audio)
    gladia.deletable = False
    with pytest.raises(RetriableError) as not_yet:
        await engine.delete(job, api_key=None)
    assert not_yet.value.after is not None
    gladia.deletable = True
    await engine.delete(job, api_key=None)
    assert gladia.deleted == [job]


async def test_a_job_is_found_on_a_later_page(
    gladia: GladiaFake, engine: GladiaEngine, audio: Path
) -> None:
    since = datetime.now(UTC) - timedelta(seconds=1)
    upload = await engine.upload(audio, api_key=None)
    job = await engine.create(upload, params={}, api_key=None)
    for _ in range(45):
        await engine.create("https://elsewhere.example/a.flac", params={}, api_key=None)
    gladia.requests.clear()
    assert await engine.find(upload, since=since, api_key=None) == job
    assert gladia.count("GET", "/v2/pre-recorded") == 3


async def test_an_answer_without_end_is_cut_off(
    gladia: GladiaFake, engine: GladiaEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sitin.providers.transcription.gladia.engine.LARGEST_ANSWER", 1000)
    gladia.fail_next("GET", "/v2/pre-recorded/", 200, body="x" * 5000)
    with pytest.raises(PermanentError):
        await engine.result("some-id", api_key=None)


async def test_the_upload_is_streamed(
    engine: GladiaEngine, audio: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request's body is an iterator with a length, never the whole file."""
    seen: list[httpx.Request] = []

    async def keep(request: httpx.Request) -> None:
        seen.append(request)

    engine._client.event_hooks["request"].append(keep)
    await engine.upload(audio, api_key=None)
    assert int(seen[0].headers["content-length"]) > size_of(audio)
    with pytest.raises(httpx.RequestNotRead):
        _ = seen[0].content
