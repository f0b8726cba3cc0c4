"""The fake Gladia is right: the vendor's own client works against it, and fails as it should."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from gladiaio_sdk import GladiaClient
from gladiaio_sdk.client_options import HttpRetryOptions
from gladiaio_sdk.network.http_client import HttpError
from gladiaio_sdk.v2.prerecorded.client import PreRecordedV2Client

from tests.fakes.gladia import KEY, OTHER_KEY, GladiaFake, serve_gladia, utterance
from tests.speech import Samples, write_flac

pytestmark = pytest.mark.unit


@pytest.fixture
def gladia() -> Iterator[GladiaFake]:
    with serve_gladia() as fake:
        yield fake


@pytest.fixture
def audio(tmp_path: Path, tone: Samples) -> Path:
    path = tmp_path / "output.flac"
    write_flac(path, tone)
    return path


Client = Callable[..., PreRecordedV2Client]


@pytest.fixture
def client(gladia: GladiaFake) -> Iterator[Client]:
    made: list[PreRecordedV2Client] = []

    def make(key: str = KEY) -> PreRecordedV2Client:
        retry = HttpRetryOptions(delay=lambda attempt: 0.01)
        made.append(GladiaClient(api_key=key, api_url=gladia.url, http_retry=retry).prerecorded())
        return made[-1]

    yield make
    for sdk in made:
        sdk._http_client.close()


def test_upload_create_poll_delete(client: Client, gladia: GladiaFake, audio: Path) -> None:
    gladia.hears = lambda upload: [utterance("good morning everybody", 0.1, 0.9, speaker=1)]
    sdk = client()

    uploaded = sdk.upload_file(audio)
    assert uploaded.audio_metadata.filename == "output.flac"
    assert uploaded.audio_metadata.size == audio.stat().st_size
    assert uploaded.audio_metadata.audio_duration == pytest.approx(1.0)

    created = sdk.create({"audio_url": uploaded.audio_url, "diarization": True})
    assert created.result_url.endswith(created.id)
    done = sdk.poll(created.id, interval=0.01)
    assert done.status == "done"
    assert done.request_params is not None
    assert done.request_params.audio_url == uploaded.audio_url
    assert done.file is not None
    assert done.file.filename == "output.flac"
    assert done.result is not None
    assert done.result.metadata.audio_duration == pytest.approx(1.0)
    assert done.result.transcription is not None
    heard = done.result.transcription.utterances[0]
    assert (heard.text, heard.speaker, heard.words[0].word) == (
        "good morning everybody",
        1,
        " good",
    )

    assert sdk.delete(created.id) is True
    with pytest.raises(HttpError) as gone:
        sdk.get(created.id)
    assert gone.value.status == 404


def test_a_503_is_tried_again_by_the_vendors_client(
    client: Client, gladia: GladiaFake, audio: Path
) -> None:
    gladia.fail_next("POST", "/v2/pre-recorded", 503)
    sdk = client()
    uploaded = sdk.upload_file(audio)
    assert sdk.create({"audio_url": uploaded.audio_url}).id in gladia.jobs
    assert gladia.count("POST", "/v2/pre-recorded") == 2


@pytest.mark.parametrize("status", [429, 503])
def test_two_failures_reach_the_caller(
    client: Client, gladia: GladiaFake, audio: Path, status: int
) -> None:
    gladia.fail_next("POST", "/v2/upload", status, times=2)
    with pytest.raises(HttpError) as refused:
        client().upload_file(audio)
    assert refused.value.status == status


def test_an_unknown_key_is_401(client: Client, gladia: GladiaFake, audio: Path) -> None:
    with pytest.raises(HttpError) as refused:
        client("nobody").upload_file(audio)
    assert refused.value.status == 401
    assert "gladia user not found" in str(refused.value)


def test_a_wrong_parameter_is_named(client: Client, gladia: GladiaFake) -> None:
    with pytest.raises(HttpError) as refused:
        client().create({"audio_url": "x", "diarization": "yes"})
    assert refused.value.status == 400
    assert refused.value.invalid_parameters == ["diarization"]


def test_a_failed_job_tells_its_code(client: Client, gladia: GladiaFake, audio: Path) -> None:
    gladia.error_code = 422
    sdk = client()
    created = sdk.create({"audio_url": sdk.upload_file(audio).audio_url})
    with pytest.raises(Exception, match="failed with error code: 422"):
        sdk.poll(created.id, interval=0.01)
    assert sdk.get(created.id).error_code == 422


def test_deletion_is_refused_first_and_then_done(
    client: Client, gladia: GladiaFake, audio: Path
) -> None:
    sdk = client()
    created = sdk.create({"audio_url": sdk.upload_file(audio).audio_url})
    gladia.deletable = False
    with pytest.raises(HttpError) as refused:
        sdk.delete(created.id)
    assert refused.value.status == 403
    gladia.deletable = True
    assert sdk.delete(created.id) is True


def test_the_list_pages_and_shows_only_the_keys_own(
    client: Client, gladia: GladiaFake, audio: Path
) -> None:
    mine, others = client(), client(OTHER_KEY)
    url = mine.upload_file(audio).audio_url
    ids = [mine.create({"audio_url": url}).id for _ in range(3)]
    theirs = others.create({"audio_url": url}).id

    page = mine.list({"limit": 2})
    assert [job.id for job in page.items] == [ids[2], ids[1]]
    assert page.next is not None
    rest = mine.list({"url": page.next})
    assert [job.id for job in rest.items] == [ids[0]]
    assert rest.next is None
    assert [job.id for job in others.list().items] == [theirs]
    assert mine.list({"after_date": "2100-01-01T00:00:00Z"}).items == []
